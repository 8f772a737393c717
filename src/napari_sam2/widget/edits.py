"""Undo, redo and edits of whole objects, as work for the thread that has the session. No Qt, no napari."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from napari_sam2.errors import HistoryError, PromptError
from napari_sam2.prompts import Prompt
from napari_sam2.widget.answers import Key, SessionLike


@dataclass(frozen=True, slots=True)
class EditAnswer:
    """What an edit has done, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Something that is to be done to a session.

    Attributes
    ----------
    name
        In words.
    apply
        Does it, and says what was done.
    tells_prompts
        Whether the session is told of all prompts before.
    """

    name: str
    apply: Callable[[SessionLike], str]
    tells_prompts: bool = True


def undo() -> Edit:
    """Take back the last step."""
    return Edit("Undo", lambda session: _moved(session.undo, "Undone"))


def redo() -> Edit:
    """Do again what was undone last."""
    return Edit("Redo", lambda session: _moved(session.redo, "Done again"))


def reload() -> Edit:
    """Show what another process has stored of a session that can only be looked at here."""

    def apply(session: SessionLike) -> str:
        session.reload()
        return "Reloaded."

    return Edit("Reloading", apply, tells_prompts=False)


def remove(object_ids: Sequence[int]) -> Edit:
    """Remove objects with all that is known of them."""

    def apply(session: SessionLike) -> str:
        with session.one_step("remove"):
            for object_id in object_ids:
                session.remove_object(object_id)
        return f"Removed: {_named(object_ids)}."

    return Edit("Removing objects", apply)


def merge(object_ids: Sequence[int]) -> Edit:
    """Make one object of several, that with the lowest ID."""
    into, *others = sorted(object_ids)

    def apply(session: SessionLike) -> str:
        with session.one_step("merge"):
            for other in others:
                session.merge(into, other)
        return f"Merged into object {into}: {_named(others)}."

    return Edit("Merging objects", apply)


def split(object_ids: Sequence[int], frame: int) -> Edit:
    """Let each of some objects be another one from a frame on."""

    def apply(session: SessionLike) -> str:
        with session.one_step("split"):
            new_ids = [session.split(object_id, frame) for object_id in object_ids]
        return f"From frame {frame} on: {_named(new_ids)}."

    return Edit("Splitting objects", apply)


def swap(a: int, b: int, frame: int) -> Edit:
    """Let two objects change places from a frame on."""

    def apply(session: SessionLike) -> str:
        session.swap(a, b, frame)
        return f"Swapped from frame {frame} on: {_named((a, b))}."

    return Edit("Swapping objects", apply)


def end(object_ids: Sequence[int], frame: int) -> Edit:
    """Say that objects are there no more from a frame on."""

    def apply(session: SessionLike) -> str:
        with session.one_step("end"):
            for object_id in object_ids:
                session.end(object_id, frame)
        return f"There no more from frame {frame} on: {_named(object_ids)}."

    return Edit("Ending objects", apply)


def mark_absent(places: Sequence[Key]) -> Edit:
    """Say of frames and objects that the object is not there; what is refused of that is told when the rest is done.

    An object of which there is nothing but a mask that somebody gave goes with that mask.
    """

    def apply(session: SessionLike) -> str:
        refused = []
        with session.one_step("absence"):
            for frame, object_id in places:
                try:
                    session.mark_absent(object_id, frame)
                except PromptError as error:
                    here = session.prompts.get((object_id, frame))
                    if here is None or here.mask is None:
                        refused.append(str(error))
                    else:
                        session.remove_object(object_id)
        if refused:
            raise PromptError("; ".join(refused))
        return f"Not there: {_named([object_id for _, object_id in places])}."

    return Edit("Taking an object off a frame", apply)


def divide(object_ids: Sequence[int], frame: int) -> Edit:
    """Say that objects divide, into the pieces that their masks are in on a frame."""

    def apply(session: SessionLike) -> str:
        with session.one_step("divide"):
            new_ids = [new_id for object_id in object_ids for new_id in session.divide(object_id, frame)]
        return f"Divided on frame {frame}: {_named(object_ids)}. The new ones: {_named(new_ids)}."

    return Edit("Dividing objects", apply)


def set_parent(object_id: int, parent: int | None) -> Edit:
    """Say which object one came from."""

    def apply(session: SessionLike) -> str:
        session.set_parent(object_id, parent)
        return f"Object {object_id} comes from {'none that is known' if parent is None else f'object {parent}'}."

    return Edit("Naming a parent", apply)


def rename(object_id: int, name: str) -> Edit:
    """Give an object a name."""

    def apply(session: SessionLike) -> str:
        session.rename(object_id, name)
        return f"Object {object_id} is called {name!r}." if name.strip() else f"Object {object_id} has no name."

    return Edit("Naming an object", apply)


def approve(object_id: int, frame: int | None = None) -> Edit:
    """Approve what is shown of an object on a frame, or on all its frames."""

    def apply(session: SessionLike) -> str:
        session.approve(object_id, frame)
        return f"Approved: {_where(object_id, frame)}."

    return Edit("Approving", apply)


def disapprove(object_id: int, frame: int | None = None) -> Edit:
    """Take back the approval of an object on a frame, or on all its frames."""

    def apply(session: SessionLike) -> str:
        session.disapprove(object_id, frame)
        return f"No longer approved: {_where(object_id, frame)}."

    return Edit("Approving", apply)


class WaitingEdits:
    """Edits that wait for their turn; see `Controller.edit`.

    Attributes
    ----------
    first
        One that goes before all others, and is not forgotten with them.
    """

    def __init__(self) -> None:
        self.first: Edit | None = None
        self._waiting: deque[Edit] = deque()

    def __bool__(self) -> bool:
        return self.first is not None or bool(self._waiting)

    def add(self, edit: Edit) -> None:
        """Let it wait."""
        self._waiting.append(edit)

    def clear(self) -> None:
        """Forget what waits, but for what comes first."""
        self._waiting.clear()

    def next_work(
        self, session: SessionLike, prompts: Sequence[Prompt], painted: Collection[tuple[int, int]]
    ) -> tuple[str, Callable[[], Iterator[EditAnswer]]]:
        """The first that waits, by name and as a generator for the worker thread.

        Parameters
        ----------
        prompts
            All there are.
        painted
            Object ID and frame of those that were painted by hand: they may be news to the session.
        """
        edit, self.first = self.first or self._waiting.popleft(), None

        def steps() -> Iterator[EditAnswer]:
            if edit.tells_prompts:
                known = session.prompts
                session.set_prompts(prompts)
                for object_id, frame in painted:
                    if known.get((object_id, frame)) != session.prompts.get((object_id, frame)):
                        session.segment(frame, object_id)
            yield EditAnswer(edit.apply(session))

        return edit.name, steps


def _moved(move: Callable[[], str], done: str) -> str:
    try:
        return f"{done}: {move()}."
    except HistoryError as error:
        return str(error)


def _where(object_id: int, frame: int | None) -> str:
    return f"all of object {object_id}" if frame is None else f"object {object_id} on frame {frame}"


def _named(object_ids: Sequence[int]) -> str:
    if len(object_ids) > 5:
        return f"{len(object_ids)} objects"
    return f"object{'s' * (len(object_ids) != 1)} {', '.join(map(str, object_ids))}"
