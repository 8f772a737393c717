"""Buttons that say which key does the same."""

from collections.abc import Mapping

from qtpy.QtWidgets import QPushButton

from napari_sam2.widget.keys import captioned


class KeyCaptions:
    """The texts of buttons with the keys in them; other keys may be chosen while they are shown.

    Parameters
    ----------
    keys
        By name (see `keys.KEYS`); an empty text for none.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys
        self._captions: dict[QPushButton, tuple[str, str]] = {}

    def button(self, text: str, key: str) -> QPushButton:
        """A new button with a text and the key of a name."""
        button = QPushButton()
        self.put(button, text, key)
        return button

    def put(self, button: QPushButton, text: str, key: str) -> None:
        """Let a button have this text, and the key of this name."""
        self._captions[button] = text, key
        button.setText(captioned(text, self._keys[key]))

    def show_keys(self, keys: Mapping[str, str]) -> None:
        """Let all buttons show these keys, by name."""
        self._keys = keys
        for button, (text, key) in self._captions.items():
            button.setText(captioned(text, keys[key]))
