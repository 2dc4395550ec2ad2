"""Requests by where and when they were asked, so that few are looked at for each odd response.

Law: however many of either there are, the time that they take together is bounded: of more requests
than there is time for the latest are looked at.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter

from analyzer.correlate.view import Id, Row, Tables

MOST_PAIRS = 1 << 18  # responses with a request that may have asked for them, of each kind

_time = itemgetter(0)
_given = itemgetter(1)


class Pool:
    """Requests by server and time; `responses` is how many they will be asked for."""

    def __init__(self, tables: Tables, requests: Iterable[Row], responses: int) -> None:
        self._tables = tables
        self._most = MOST_PAIRS // max(1, responses)
        self._entries: dict[int, list[tuple[int, int, Row]]] = {}
        self._ids: set[Id] = set()
        for n, row in enumerate(requests):
            self._ids.add(row.id)
            place = tables.server(row)
            self._entries.setdefault(place, []).append((row["request_time"], n, row))
        for some in self._entries.values():
            some.sort(key=itemgetter(0, 1))

    def near(self, response: Row, within: int) -> list[Row]:
        """Those asked at the server of `response` less than `within` ns before it began.

        In the order in which they were given.
        """
        some = self._entries.get(self._tables.server(response), [])
        answered = response["response_time"]
        first = bisect_right(some, answered - within, key=_time)
        last = bisect_left(some, answered, key=_time)
        found = some[max(first, last - self._most) : last]
        return [row for _, _, row in sorted(found, key=_given)]

    def others(self, row: Row, within: int, most: int) -> tuple[list[Row], int]:
        """The first `most` others, and how many, asked less than `within` ns before or after `row`.

        At the same server, in the order of time.
        """
        some = self._entries.get(self._tables.server(row), [])
        asked = row["request_time"]
        first = bisect_right(some, asked - within, key=_time)
        last = bisect_left(some, asked + within, key=_time)
        named = [one for _, _, one in some[first : min(last, first + most + 1)] if one.id != row.id]
        return named[:most], last - first - (row.id in self._ids)
