"""What users set for the plugin in napari's preferences, as the manifest declares it. No Qt here."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2.devices import Precision
from napari_sam2.widget.keys import DEFAULTS, KEYS, Place, spelled

PLUGIN = "napari-sam2"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_PRECISIONS: tuple[Precision, ...] = ("float32", "auto")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is set at some moment.

    Attributes
    ----------
    keys
        By name (see `keys.KEYS`), the key as napari writes it; an empty text for none.
    autosave
        Whether new sessions are stored.
    folder
        Where sessions are stored that cannot be beside their movie; None as `sessions_folder` says.
    device, precision
        As of `load_model`.
    follow
        Whether each frame is shown as it is done.
    ahead
        Whether frames around the one on screen are encoded before somebody clicks.
    """

    keys: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    autosave: bool = True
    folder: Path | None = None
    device: str = "auto"
    precision: Precision = "float32"
    follow: bool = True
    ahead: bool = True


def read_preferences(note: Callable[[str], None]) -> Preferences:
    """What is set in napari's preferences; `note` is told of what makes no sense, and the default counts then."""
    settings = plugin_settings()
    return Preferences() if settings is None else understood(settings, note)


def plugin_settings() -> Any | None:
    """Settings as napari keeps them; None if it keeps none."""
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(PLUGIN)
    except (ImportError, KeyError):
        # Before napari 0.9 plugins have no settings, and a plugin that was not installed has none either.
        return None


def understood(settings: Any, note: Callable[[str], None]) -> Preferences:
    """Settings as napari keeps them, checked."""
    usual = Preferences()

    def checked(value: Any, is_sensible: bool, name: str, instead: Any) -> Any:
        if is_sensible:
            return value
        note(f"Preferences > napari-sam2: {name} is {value!r}, which makes no sense; {instead!r} is used instead.")
        return instead

    sessions, runs = settings.sessions, settings.runs
    folder, device, precision = str(sessions.folder).strip(), str(runs.device).strip().lower(), runs.precision
    place = Path(folder).expanduser()
    is_place = place.is_absolute() and (place.is_dir() or not place.exists())
    if not folder or os.environ.get("NAPARI_SAM2_SESSIONS"):
        kept = None
    else:
        kept = place if checked(folder, is_place, "the folder of sessions", "") else None
    return Preferences(
        keys=_keys({name: str(getattr(settings.keys, name)) for name in DEFAULTS}, note),
        autosave=bool(sessions.autosave),
        folder=kept,
        device=checked(device, _DEVICE.fullmatch(device) is not None, "the device", usual.device),
        precision=checked(precision, precision in _PRECISIONS, "the precision", usual.precision),
        follow=bool(runs.follow),
        ahead=bool(runs.ahead),
    )


def _keys(chosen: Mapping[str, str], note: Callable[[str], None]) -> dict[str, str]:
    """The keys as napari writes them; one that is none, or has a meaning already, is replaced by the default."""
    found: dict[str, str] = {}
    used: dict[tuple[Place, str], str] = {}
    for key in KEYS:
        wanted = chosen[key.name].strip()
        candidates = [("", "")] if not wanted else [(wanted, spelled(wanted)), (key.default, key.default)]
        for text, combination in candidates:
            others = [used[place, combination] for place in key.places if (place, combination) in used]
            if (combination or not text) and not others:
                break
            why = f"is that of '{others[0]}', too" if others else "is no key"
            note(f"Preferences > napari-sam2: {text!r} for '{key.help}' {why}; the usual key is used instead, if free.")
        else:
            combination = ""
        found[key.name] = combination
        used.update({(place, combination): key.help for place in key.places if combination})
    return found
