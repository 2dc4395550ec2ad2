"""What was asked on one connection, in the order of time, and what was owed at each moment."""

from bisect import bisect_left, bisect_right
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from analyzer.correlate.view import Row, Tables
from analyzer.intervals import covers

END = 1 << 62  # ns, later than any capture: until when an answer that never came is owed


class History:
    """The requests on a connection; each question takes a time that does not grow with them."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = sorted(rows, key=_asked)
        self._times = [row["request_time"] for row in self._rows]
        self._places = {row.position: n for n, row in enumerate(self._rows)}
        # For every request the last one before it that was answered, and since which one the
        # connection has owed an answer.
        self._answered: list[Row | None] = []
        self._since: list[int] = []
        # When a request was last sent with nothing owed.
        self._idle = owed_until = 0
        answered, before = None, 0
        for place, (row, asked) in enumerate(zip(self._rows, self._times, strict=True)):
            self._answered.append(answered)
            owing = bool(place) and before > asked
            self._since.append(self._since[-1] if owing else place)
            if owed_until <= asked:
                self._idle = asked
            answered = row if row["response_frame"] else answered
            before = row["response_end_time"]
            owed_until = max(owed_until, before if row["response_frame"] else END)

    def before(self, time: int) -> Row | None:
        """The last request that was sent before `time`."""
        at = bisect_left(self._times, time)
        return self._rows[at - 1] if at else None

    def asked_before(self, time: int) -> list[Row]:
        """All requests that were sent before `time`, in their order."""
        return self._rows[: bisect_left(self._times, time)]

    def covered(self, response: Row, before: int = END) -> Row | None:
        """The last request that the server had when it sent `response`, asked before `before` (ns).

        That is the last one whose first byte the response's acknowledgement number covers
        (RFC 9293 §3.4): what came later cannot have asked for it.
        """
        ack = response["response_ack"]
        at = bisect_left(self._times, min(before, response["response_time"]))
        had = (row for row in reversed(self._rows[:at]) if covers(ack, row["request_seq"]))
        return next(had, None)

    def answered_before(self, row: Row) -> Row | None:
        """The last request before `row` that was ever answered."""
        return self._answered[self._place(row)] if self._rows else None

    def owes_since(self, row: Row) -> int:
        """Since which request, by its place from 0, it has owed an answer when `row` was sent."""
        return self._since[self._place(row)] if self._rows else 0

    def waits_after(self, time: int) -> bool:
        """Whether a request sent after `time` came when nothing was owed."""
        return self._idle > time

    @cached_property
    def is_eager(self) -> bool:
        """Whether two requests in a row were sent with no byte of an answer since the one before.

        A client that asks one at a time goes on too early once, when it takes a connection for idle
        that is not; from then on it waits for an answer each time, though it is another's.
        """
        came = sorted(
            (row["response_time"], row["response_end_time"])
            for row in self._rows
            if row["response_frame"]
        )
        times = [time for time, _ in came]
        ends = list(accumulate((end for _, end in came), max))
        alone = 0
        for one, two in pairwise(self._times):
            begun = bisect_right(times, two)
            alone = 0 if begun and ends[begun - 1] >= one else alone + 1
            if alone > 1:
                return True
        return False

    def _place(self, row: Row) -> int:
        return self._places.get(row.position, 0)


def histories(tables: Tables, rows: list[Row]) -> dict[int, History]:
    """What was asked on the connections of `rows`, by connection."""
    found: dict[int, list[Row]] = {}
    wanted = np.array(sorted({row["connection"] for row in rows}), dtype=np.int64)
    if len(wanted):
        for row in tables.pick(
            lambda rows: np.isin(rows["connection"], wanted) & (rows["request_frame"] > 0)
        ):
            found.setdefault(row["connection"], []).append(row)
    return {connection: History(its) for connection, its in found.items()}


def _asked(row: Row) -> int:
    return row["request_time"]
