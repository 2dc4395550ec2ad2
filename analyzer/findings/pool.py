"""Requests by where and when they were asked, so that few are looked at for each stray response.

Law: however many strays and requests there are, the time that they take together is bounded: of
more requests than there is time for the latest are looked at.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

from analyzer.findings.view import Row, Tables

MOST_PAIRS = 1 << 18  # strays with a request that may have asked for them, of each kind

T = TypeVar("T")


class Pool(Generic[T]):
    """Requests (each with something that stands for it), by server and endpoint."""

    def __init__(self, tables: Tables, entries: Iterable[tuple[Row, T]], strays: int) -> None:
        self._tables = tables
        self._most = MOST_PAIRS // max(1, strays)
        # Under None those of all endpoints.
        self._entries: dict[tuple[int, int | None], list[tuple[int, int, T]]] = {}
        for n, (row, entry) in enumerate(entries):
            for endpoint in (tables.endpoint(row), None):
                place = tables.server(row), endpoint
                self._entries.setdefault(place, []).append((row["request_time"], n, entry))
        for some in self._entries.values():
            some.sort(key=_order)

    def near(self, stray: Row, endpoints: set[int] | None, within: int) -> list[T]:
        """Those asked of one of `endpoints` (None: of any), in the order in which they were given.

        At the server of `stray`, and less than `within` ns before its response began.
        """
        found: list[tuple[int, int, T]] = []
        server, answered = self._tables.server(stray), stray["response_time"]
        for endpoint in (None,) if endpoints is None else endpoints:
            some = self._entries.get((server, endpoint), [])
            first = bisect_right(some, answered - within, key=_time)
            last = bisect_left(some, answered, key=_time)
            found += some[max(first, last - self._most) : last]
        return [entry for _, _, entry in sorted(found, key=_given)]


def _time(entry: tuple[int, int, object]) -> int:
    return entry[0]


def _given(entry: tuple[int, int, object]) -> int:
    return entry[1]


def _order(entry: tuple[int, int, object]) -> tuple[int, int]:
    return entry[0], entry[1]
