"""Which resources can match a path at all, found by its segments."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, Generic, Protocol, TypeVar

__all__ = ("PathIndex",)


class _Ordered(Protocol):
    @property
    def order(self) -> int:
        """Place in the order of registration."""
        ...


_E = TypeVar("_E", bound=_Ordered)
_by_order: Final = attrgetter("order")


class _Node(Generic[_E]):
    __slots__ = ("any", "below", "ends", "literal")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[_E]] = {}
        self.any: _Node[_E] | None = None
        self.ends: list[_E] = []
        """Entries whose path is complete here."""
        self.below: list[_E] = []
        """Entries that take this path and everything below it."""


class PathIndex(Generic[_E]):
    """A tree of path segments. A look-up costs in proportion to the path, not to the entries."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[_E] = _Node()

    def add(self, steps: Sequence[str | None], entry: _E, *, open_ended: bool) -> None:
        """Add *entry* for paths of exactly these segments (``None``: any), or that begin so."""
        node = self._root
        for step in steps:
            if step is not None:
                node = node.literal.setdefault(step, _Node())
            else:
                if node.any is None:
                    node.any = _Node()
                node = node.any
        (node.below if open_ended else node.ends).append(entry)

    def candidates(self, path: str) -> Sequence[_E]:
        """The entries whose segments fit the canonical *path*, in the order of registration."""
        node = self._root
        found: list[_E] = node.below
        if path[:1] != "/":  # "", or "*" (RFC 9112 §3.2.4)
            return found if path else _merged(found, node.ends)
        segments = path.split("/")
        for at in range(1, len(segments)):
            child = node.literal.get(segments[at])
            if child is None:
                child = node.any
                if child is None:
                    return found
            elif node.any is not None:
                return self._on_both_ways(node, segments[at:], found)
            node = child
            if node.below:
                found = _merged(found, node.below)
        return _merged(found, node.ends) if node.ends else found

    def _on_both_ways(self, node: _Node[_E], segments: list[str], found: list[_E]) -> list[_E]:
        """Go on from *node*, whose text and whose variable both fit: every way is followed.

        There are never more ways than the tree has nodes.
        """
        nodes = [node]
        for segment in segments:
            following = []
            for node in nodes:
                if (child := node.literal.get(segment)) is not None:
                    following.append(child)
                if node.any is not None:
                    following.append(node.any)
            for node in following:
                if node.below:
                    found = _merged(found, node.below)
            nodes = following
        for node in nodes:
            if node.ends:
                found = _merged(found, node.ends)
        return found


def _merged(first: list[_E], second: list[_E]) -> list[_E]:
    """Both lists in order; neither is changed."""
    if not first:
        return second
    return sorted(first + second, key=_by_order)
