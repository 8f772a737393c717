"""Who is whose daughter: by object ID, the ID of the parent; no object descends from itself."""

from collections.abc import Iterable, Iterator, Mapping

Parents = Mapping[int, int]
"""By the ID of each object that has one, the ID of its parent. Such graphs have no cycle."""


def ancestors(parents: Parents, object_id: int) -> Iterator[int]:
    """The parent of an object, the parent of that one, and so on."""
    while (parent := parents.get(object_id)) is not None:
        yield parent
        object_id = parent


def has_cycle(parents: Parents) -> bool:
    """Whether an object descends from itself, so that this is no lineage."""
    clear: set[int] = set()
    for object_id in parents:
        path: set[int] = set()
        while object_id in parents and object_id not in clear:
            if object_id in path:
                return True
            path.add(object_id)
            object_id = parents[object_id]
        clear |= path
    return False


def children(parents: Parents, object_id: int) -> tuple[int, ...]:
    """IDs of the objects whose parent this is, sorted."""
    return tuple(sorted(child for child, parent in parents.items() if parent == object_id))


def without(parents: Parents, object_id: int) -> dict[int, int]:
    """The same once an object is gone: its children have no parent then."""
    return {child: parent for child, parent in parents.items() if object_id not in (child, parent)}


def merged(parents: Parents, into: int, other: int) -> dict[int, int]:
    """The same once `other` is a part of `into`, which gets its children, and its parent too if it has none."""
    is_below = other in ancestors(parents, into)
    parent = parents.get(other) if is_below or into not in parents else parents[into]
    kept = {i: into if of == other else of for i, of in parents.items() if i not in (into, other)}
    if parent is None or into in (parent, *ancestors(kept, parent)):
        return kept
    return kept | {into: parent}


def exchanged(parents: Parents, a: int, b: int) -> dict[int, int]:
    """The same once each of two objects is called what the other one was."""
    other = {a: b, b: a}
    return {other.get(child, child): other.get(parent, parent) for child, parent in parents.items()}


def handed_on(parents: Parents, child_ids: Iterable[int], parent: int) -> dict[int, int]:
    """The same once these children are those of another parent, but for those that it descends from."""
    stay = {parent, *ancestors(parents, parent)}
    return dict(parents) | {child: parent for child in child_ids if child not in stay}
