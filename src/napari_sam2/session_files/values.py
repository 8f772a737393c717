"""Settings and runs as JSON, and back; whatever is read is checked."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from napari_sam2.cleaning import Cleaning
from napari_sam2.lineage import has_cycle
from napari_sam2.memory_policy import MemoryPolicy
from napari_sam2.object_facts import ObjectFacts
from napari_sam2.runs import Run
from napari_sam2.session_settings import SessionSettings
from napari_sam2.tuning import Tuning

T = TypeVar("T")
_FACTS: dict[str, Callable[[Any], bool]] = {
    "ends": lambda frame: type(frame) is int and frame > 0,
    "parents": lambda parent: type(parent) is int and parent > 0,
    "updating": lambda is_new: type(is_new) is bool,
}
_NUMBER = (int, float)
_NONE = type(None)

_KINDS: dict[type, dict[str, tuple[type, ...]]] = {
    Cleaning: {"fill_holes": (int,), "remove_pieces": (int,), "separate": (bool,)},
    MemoryPolicy: {
        "min_score": _NUMBER,
        "min_iou": _NUMBER,
        "competes": (bool,),
        "max_jump": (*_NUMBER, _NONE),
        "max_change": (*_NUMBER, _NONE),
        "max_recent": (int, _NONE),
        "anchors": (int,),
        "anchor_every": (int,),
    },
    Tuning: {
        "mask_threshold": _NUMBER,
        "score_threshold": _NUMBER,
        "window_tokens": (int, _NONE),
        "cache_bytes": (int, _NONE),
    },
    SessionSettings: {
        "diameter": (*_NUMBER, _NONE),
        "max_prompted": (int, _NONE),
        "restart_at_prompts": (bool,),
        "memory_policy": (MemoryPolicy,),
        "cleaning": (Cleaning,),
        "tuning": (Tuning,),
    },
    Run: {
        "direction": (str,),
        "object_ids": (tuple,),
        "first": (int, _NONE),
        "last": (int, _NONE),
        "count": (int, _NONE),
        "start": (str, _NONE),
        "frame": (int, _NONE),
        "is_done": (bool,),
    },
}


def settings_to_json(settings: SessionSettings) -> dict[str, Any]:
    """The settings as JSON, which does not know infinity: limits that are none are left out."""
    values = asdict(settings)
    policy = values["memory_policy"]
    for name in ("max_jump", "max_change"):
        if policy[name] == math.inf:
            policy[name] = None
    if not math.isfinite(settings.memory_policy.min_score):
        del policy["min_score"]
    return values


def settings_from_json(values: Any) -> SessionSettings:
    """The settings that `settings_to_json` gave. Raises ValueError if they are none."""
    values = dict(_table(values))
    policy = _checked(MemoryPolicy, values.get("memory_policy", {}))
    cleaning = _checked(Cleaning, values.get("cleaning", {}))
    tuning = _checked(Tuning, values.get("tuning", {}))
    return _checked(SessionSettings, values | {"memory_policy": policy, "cleaning": cleaning, "tuning": tuning})


def run_to_json(run: Run) -> dict[str, Any]:
    """A run as JSON."""
    return asdict(run) | {"object_ids": list(run.object_ids)}


def run_from_json(values: Any) -> Run | None:
    """The run that `run_to_json` gave, or None for none. Raises ValueError if it is no run."""
    if values is None:
        return None
    if _table(values).get("is_update"):
        # For some weeks updates were stored in the place of the propagation.
        return None
    ids = values.get("object_ids")
    if not isinstance(ids, list) or not all(type(i) is int for i in ids):
        raise ValueError("a run is told of without objects")
    return _checked(Run, dict(values) | {"object_ids": tuple(ids)})


def facts_to_json(facts: ObjectFacts) -> dict[str, dict[str, Any]]:
    """What is said of objects, by its name and then by object ID; but for names, which have a table of their own."""
    return {name: {str(i): value for i, value in sorted(getattr(facts, name).items())} for name in _FACTS}


def facts_from_json(values: Mapping[str, Any], object_ids: Collection[int], names: Mapping[int, str]) -> ObjectFacts:
    """What `facts_to_json` gave, of the objects that there are; what is missing was not known when it was stored.

    Raises
    ------
    ValueError
        If it is not that.
    """
    facts = {}
    for name, is_one in _FACTS.items():
        said = {int(object_id): value for object_id, value in _table(values.get(name, {})).items()}
        if not all(map(is_one, said.values())):
            raise ValueError(f"of objects, {name} is {said!s:.40}")
        facts[name] = {i: value for i, value in said.items() if i in object_ids}
    parents = {child: parent for child, parent in facts["parents"].items() if parent in object_ids}
    if has_cycle(parents):
        raise ValueError(f"objects descend from themselves: {parents!s:.40}")
    return ObjectFacts(**facts | {"parents": parents, "names": names})


def whole_number(value: Any) -> int:
    """A whole number that is one. Raises ValueError otherwise."""
    if type(value) is not int:
        raise ValueError(f"{value!s:.40} is no whole number")
    return value


def _checked(kind: type[T], values: Any) -> T:
    kinds = _KINDS[kind]
    for name, value in _table(values).items():
        if name not in kinds or type(value) not in kinds[name]:
            raise ValueError(f"the setting {name!s:.40} is {value!s:.40}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"the setting {name} is {value}")
    return kind(**values)


def _table(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"settings are {values!s:.40}")
    return values


# A field that is not listed above would be lost on the way.
if any({f.name for f in fields(kind)} != kinds.keys() for kind, kinds in _KINDS.items()):
    raise TypeError("a setting has no kind in _KINDS")
