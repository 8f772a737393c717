"""Which masks are asked for, and which answers come too late."""

from collections import Counter
from collections.abc import Mapping

from napari_sam2.widget.answers import Key


class Tickets:
    """Numbered requests for masks; a newer request for the same frame and object makes an answer to an older one void.

    Attributes
    ----------
    count
        Requests so far. A worker thread may compare it with an earlier value to learn that there is a newer click.
    dropped
        What was dropped unanswered, and not asked for since: a propagation answers it on its way, and tells nobody.
    """

    def __init__(self) -> None:
        self.count = 0
        self._numbers: Counter[Key] = Counter()
        self._open: dict[Key, None] = {}
        self.dropped: set[Key] = set()

    def __bool__(self) -> bool:
        """Whether any request is unanswered."""
        return bool(self._open)

    def take(self, key: Key) -> None:
        """Ask for a mask."""
        self.count += 1
        self.dropped.discard(key)
        self._numbers[key] += 1
        self._open = {key: None} | {old: None for old in self._open if old != key}

    def unanswered(self) -> Mapping[Key, int]:
        """Return the open requests and their numbers, the newest first."""
        return {key: self._numbers[key] for key in self._open}

    def is_newest(self, key: Key, number: int) -> bool:
        """Whether there is no newer request than that; may be asked in any thread."""
        return self._numbers[key] == number

    def answer(self, key: Key, number: int) -> bool:
        """Close a request; False if the answer is void because there is a newer one."""
        if not self.is_newest(key, number):
            return False
        self._open.pop(key, None)
        return True

    def take_dropped(self) -> set[Key]:
        """Return what was `dropped`, once."""
        dropped, self.dropped = self.dropped, set()
        return dropped

    def clear(self) -> None:
        """Drop what is unanswered."""
        self.dropped.update(self._open)
        self._open = {}
