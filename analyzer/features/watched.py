"""The places that the kernel `search_tokens` knows, route by route, and what it has counted there.

Law: what is counted here and what is counted elsewhere are two parts of one sum. A place that is
given up is still counted; one that is dropped is forgotten.
"""

import numpy as np
import numpy.typing as npt

ANY = 1 << 62  # a rank above all

Ints = npt.NDArray[np.int64]

_NONE = -1
_KIND, _NUMBER, _BEGIN, _SIZE, _GIVEN_UP, _NEXT = range(6)


class Watched:
    """A table of places; `kept` hashes of values are kept for each, EMPTY where there are fewer."""

    EMPTY = 0xFFFFFFFF

    def __init__(self, kept: int) -> None:
        self.places = np.empty((64, 6), dtype=np.int64)
        self.counts = np.zeros((64, 3), dtype=np.int64)
        self.values = np.full((64, kept), self.EMPTY, dtype=np.uint32)
        self.names = bytearray(b"\0")  # never empty, which the kernel could not take
        # By route: its first place, and the greatest rank of a place that is still to be learned.
        self._routes = np.full((64, 2), (_NONE, ANY), dtype=np.int64)
        self._used = 0
        self._free: list[int] = []

    def of(self, routes: Ints) -> Ints:
        """The first place, and the greatest rank, of each of these routes, shape (n, 2)."""
        self._room(int(routes.max(initial=0)))
        found: Ints = self._routes[routes]
        return found

    def add(self, route: int, part: tuple[int, int, bytes]) -> int:
        """A new place of a route, from kind, number and name; returns its row."""
        self._room(route)
        row = self._free.pop() if self._free else self._used
        if row == self._used:
            self._used += 1
            if self._used > len(self.places):
                self._grow()
        kind, number, name = part
        begin = len(self.names)
        self.names += name
        self.places[row] = kind, number, begin, len(name), 0, self._routes[route, 0]
        self.counts[row] = 0
        self.values[row] = self.EMPTY
        self._routes[route, 0] = row
        return row

    def give_up(self, row: int) -> None:
        """Look there no more but in the sample."""
        self.places[row, _GIVEN_UP] = 1

    def most(self, route: int, rank: int) -> None:
        """Learn of no more places of a route whose rank is greater."""
        self._room(route)
        self._routes[route, 1] = rank

    def drop(self, route: int, row: int) -> None:
        """Forget a place of a route."""
        at = int(self._routes[route, 0])
        following = int(self.places[row, _NEXT])
        if at == row:
            self._routes[route, 0] = following
        else:
            while int(self.places[at, _NEXT]) != row:
                at = int(self.places[at, _NEXT])
            self.places[at, _NEXT] = following
        self._free.append(row)

    def _room(self, route: int) -> None:
        short = route + 1 - len(self._routes)
        if short > 0:
            more = np.full((short + len(self._routes), 2), (_NONE, ANY), dtype=np.int64)
            self._routes = np.concatenate([self._routes, more])

    def _grow(self) -> None:
        self.places = np.concatenate([self.places, np.empty_like(self.places)])
        self.counts = np.concatenate([self.counts, np.zeros_like(self.counts)])
        self.values = np.concatenate([self.values, np.full_like(self.values, self.EMPTY)])
