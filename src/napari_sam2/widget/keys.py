"""The keys of the plugin, all in one table, and how they are bound and given back. No Qt here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakMethod

from napari.utils.key_bindings import coerce_keybinding

Place = Literal["viewer", "points", "shapes"]
PLACES: dict[Place, str] = {"viewer": "everywhere", "points": "points", "shapes": "shapes"}
"""Where a key works, and what that is called: whatever layer is selected, or only on one of the prompt layers."""

EVERYWHERE: tuple[Place, ...] = ("viewer", "points", "shapes")
ON_PROMPTS: tuple[Place, ...] = ("points", "shapes")


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes
    ----------
    name
        What it is called in napari's preferences.
    action
        What it does; several keys may do the same.
    default
        The key, as napari writes it.
    places
        Where it is bound. On the viewer, napari leaves few letters free; on our own layers, those that users of other
        plugins know are.
    help
        What it does, in words.
    """

    name: str
    action: str
    default: str
    places: tuple[Place, ...]
    help: str

    @property
    def where(self) -> str:
        """The places in words."""
        return PLACES["viewer"] if "viewer" in self.places else " and ".join(PLACES[place] for place in self.places)


KEYS = (
    Key("new_object", "new_object", "M", ON_PROMPTS, "next clicks are about another object"),
    Key("polarity", "polarity", "T", ("points",), "swaps positive and negative"),
    Key("propagate", "propagate", "Shift+S", EVERYWHERE, "propagates"),
    Key("approve_here", "approve", "C", ON_PROMPTS, "approves the mask, as K does"),
    Key("undo_here", "undo", "Ctrl+Z", ON_PROMPTS, "undo; napari has none there"),
    Key("redo_here", "redo", "Ctrl+Shift+Z", ON_PROMPTS, "redo"),
    Key("undo", "undo", "U", ("viewer",), "undo"),
    Key("redo", "redo", "Shift+U", ("viewer",), "redo"),
    Key("next_doubtful", "next_doubtful", "N", ("viewer",), "goes to the next mask in doubt"),
    Key("previous_doubtful", "previous_doubtful", "Shift+N", ("viewer",), "goes back to the one before"),
    Key("approve", "approve", "K", ("viewer",), "approves the mask or takes it back"),
    Key("approve_object", "approve_object", "Shift+K", ("viewer",), "approves all masks of the object"),
    Key("end", "end", "H", ("viewer",), "the object ends here"),
    Key("divide", "divide", "Shift+H", ("viewer",), "the object divides here"),
)
"""Every key that the plugin binds. Letters mean the same in upper and lower case; Shift is named."""

DEFAULTS: dict[str, str] = {key.name: key.default for key in KEYS}
"""By name."""


def spelled(key: str) -> str:
    """A key as napari shows it, such as "Shift+S"; an empty text if it is none."""
    return str(coerce_keybinding(key)) if key else ""


def captioned(text: str, key: str) -> str:
    """The text of a button with its key, if it has one."""
    return f"{text} [{key}]" if key else text


class Keys:
    """Binds the keys to what they do; whatever else is bound stays as it is.

    Parameters
    ----------
    chosen
        By name, the key; an empty text for none.
    actions
        By action, a method without arguments; its object is not kept alive by the layers and the viewer.
    note
        Tells the user of a key that is taken.
    """

    def __init__(
        self, chosen: Mapping[str, str], actions: Mapping[str, Callable[[], object]], note: Callable[[str], None]
    ) -> None:
        self._chosen = chosen
        self._actions = actions
        self._note = note
        self._owner = object()
        self._bound: list[tuple[Any, Place]] = []

    def bind(self, provider: Any, place: Place) -> None:
        """Bind the keys of a place on the viewer or a layer, but for those that mean something there already."""
        self._bound.append((provider, place))
        for key in KEYS:
            combination = self._chosen[key.name]
            if place not in key.places or not combination:
                continue
            taken = _taken_by(provider, combination)
            if taken:
                self._note(
                    f"The key {combination} {taken}, so it does not mean '{key.help}'. Choose another key under "
                    "Preferences > napari-sam2, or use the button."
                )
            else:
                press = _Press(WeakMethod(self._actions[key.action]), self._owner)
                provider.bind_key(combination, press, overwrite=True)

    def choose(self, chosen: Mapping[str, str]) -> None:
        """Bind other keys, by name, wherever keys are bound."""
        if chosen == self._chosen:
            return
        self._chosen = chosen
        for provider, place in list(self._bound):
            self.unbind(provider)
            self.bind(provider, place)

    def unbind(self, provider: Any) -> None:
        """Give the keys back that were bound on the viewer or a layer."""
        self._bound = [(other, place) for other, place in self._bound if other != provider]
        for combination, press in list(provider.keymap.items()):
            if isinstance(press, _Press) and press.owner is self._owner:
                provider.bind_key(combination, None, overwrite=True)


class _Press:
    """What napari calls; a function of one argument with a name, as it expects."""

    def __init__(self, method: "WeakMethod[Callable[[], object]]", owner: object) -> None:
        self._method = method
        self.owner = owner
        self.__name__ = getattr(method(), "__name__", "press")

    def __call__(self, _provider: Any) -> None:
        if (method := self._method()) is not None:
            method()


def _taken_by(provider: Any, combination: str) -> str:
    """Who else has the key on a viewer or a layer, in words; an empty text for nobody."""
    key = coerce_keybinding(combination)
    if any(key in keymap for keymap in _napari_keymaps(provider)):
        return "is napari's own"
    bound = provider.keymap.get(key)
    return "" if bound is None or isinstance(bound, _Press) else "was taken by another plugin"


def _napari_keymaps(provider: Any) -> Iterator[Mapping[Any, Any]]:
    for kind in type(getattr(provider, "__wrapped__", provider)).__mro__:
        if (keymap := vars(kind).get("class_keymap")) is not None:
            yield keymap
