"""A client that asks again on a connection that owes it an answer, and takes that for the new one.

Law: by the client's habits, in bits. One that asks one request at a time, and for once sends the
next one before the answer has come, long after the one before, did not mean to pipeline (RFC 9112
§9.3.2): its pool took the connection for idle. Two requests that were sent together, several in a
row with no answer in between, or one that had waited for its turn are a pipeline all the same.
A client that goes on after no more than an interim response (RFC 9110 §15.2) took that for the
final one, and reads that as the answer to its next request; and so on, as long as it asks before
the answer to its request has come. Where nothing is owed it may have thrown the surplus away.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log2

import numpy as np
import numpy.typing as npt

from analyzer.correlate.history import History
from analyzer.correlate.view import Row, Tables
from analyzer.findings.words import seldom
from analyzer.matching.weights import HABIT, TIME, Comparison
from analyzer.tables import Flag

# Known before anything is seen: one request in a thousand is sent while another is outstanding.
REQUESTS, EARLY = 100.0, 0.1
BORROWED = 20.0  # what a client's own habit counts for beside that of all: as so many requests
SERIAL = 0.1  # share of its requests that a client sends early, from which on it is its habit
TOGETHER = 10_000_000  # ns within which half of all pipelined requests follow the one before
AT_ONCE = 50_000_000  # ns after an answer in which nobody closes who keeps connections for later
LEAVES = 3.0  # bits: whoever closes at once had not meant to ask more
WAITS = -4.0  # bits: whoever later asks when nothing is owed may have known what it is owed

INTERIM = 10.0  # bits: who asks on after a 1xx waits for no more, unless it pipelines just then

_PIPELINED, _AFTER_INTERIM = int(Flag.PIPELINED), int(Flag.AFTER_INTERIM)


@dataclass(slots=True)
class Habits:
    """How clients ask: arrays by the number of their address."""

    client: npt.NDArray[np.int64]  # of every connection
    asked: npt.NDArray[np.float64]
    early: npt.NDArray[np.float64]  # while another was outstanding
    together: npt.NDArray[np.float64]  # of those the ones sent together with the one before
    before: tuple[int, int] = 0, 0  # requests that were learned from before, and early ones

    @classmethod
    def of(cls, tables: Tables, before: tuple[int, int] = (0, 0)) -> "Habits":
        """Count all judged requests; `before` are those learned from other captures."""
        many = len(tables.addresses)
        asked, early = np.zeros(many), np.zeros(many)
        for rows, _ in tables.judged():
            client = tables.connections["client"][rows["connection"]]
            asked += np.bincount(client[rows["request_frame"] > 0], minlength=many)
            # Who takes a 1xx for the final answer is early from then on, and does not mean to be.
            meant = rows["flags"] & (_PIPELINED | _AFTER_INTERIM) == _PIPELINED
            early += np.bincount(client[meant], minlength=many)
        client = tables.connections["client"].astype(np.int64)
        return cls(client, asked, early, np.zeros(many), before)

    def serial(self) -> npt.NDArray[np.bool_]:
        """For every connection whether its client asks one at a time as a rule."""
        share: npt.NDArray[np.bool_] = (self._share(self.early, 1.0) < SERIAL)[self.client]
        return share

    def learn(self, rows: Iterable[Row], before: dict[int, History]) -> None:
        """Note which of the early requests were sent together with the ones before."""
        for row in rows:
            if is_early_final(row):
                continue  # It says nothing of how the client pipelines.
            earlier = before[row["connection"]].before(row["request_time"])
            if earlier is None or row["request_time"] - earlier["request_time"] < TOGETHER:
                self.together[self.client[row["connection"]]] += 1

    def bits(self, row: Row) -> float:
        """How seldom the client of `row` means to ask early."""
        return float(-np.log2(self._share(self.together, 0.0))[self.client[row["connection"]]])

    def told(self, bits: float) -> str:
        """What a habit of so many `bits` says."""
        few = seldom(bits, int(self.asked.sum()), "request")
        return f"this client means to send {few} while another is outstanding"

    def _share(self, early: npt.NDArray[np.float64], but: float) -> npt.NDArray[np.float64]:
        """The share of early requests, `but` the one in question."""
        requests, known = self.before
        every = max(0.0, early.sum() - but) + known + EARLY
        every /= self.asked.sum() + requests + REQUESTS
        own = np.maximum(early - but, 0.0) + BORROWED * every
        share: npt.NDArray[np.float64] = own / (np.maximum(self.asked - but, 0.0) + BORROWED)
        return share


def reused(
    tables: Tables, row: Row, on_it: History | None, habits: Habits
) -> tuple[Row, list[Comparison]] | None:
    """The request whose answer `row`'s client took for its own, and what speaks for it."""
    if on_it is None:
        return None
    earlier = on_it.answered_before(row)
    if earlier is None or on_it.is_eager:
        return None
    if earlier["response_end_time"] <= row["request_time"]:
        return None
    if is_early_final(row):
        return earlier, _after_interim(tables, row, earlier, habits)
    waited = row["request_time"] - earlier["request_time"]
    frames = (tables.asked(earlier), tables.asked(row))
    habit = habits.bits(row)
    found = [
        Comparison(
            HABIT,
            habit,
            habits.told(habit),
            frames,
        ),
        Comparison(
            TIME,
            log2(1.0 + waited / TOGETHER) - 1.0,
            f"it was sent {waited / 1e9:.3f} s after the one before; requests of a pipeline are "
            "sent together",
            frames,
        ),
    ]
    left = int(tables.connection(row)["client_fin_time"])
    if 0 < left - row["response_end_time"] < AT_ONCE:
        fin = tables.frame_of(tables.connection(row), "client_fin")
        text = f"the client closed the connection at once when the answer had come, in frame {fin}"
        found.append(Comparison(HABIT, LEAVES, text, (fin,)))
    if on_it.waits_after(row["request_time"]):
        text = "later it asked on this connection when nothing was owed"
        found.append(Comparison(HABIT, WAITS, text, frames))
    return earlier, found


def is_early_final(row: Row) -> bool:
    """Whether the row's client had taken an interim response on its connection for a final one."""
    return bool(row["flags"] & _AFTER_INTERIM)


def _after_interim(tables: Tables, row: Row, earlier: Row, habits: Habits) -> list[Comparison]:
    frames = (tables.asked(earlier), tables.asked(row))
    habit = habits.bits(row)
    return [
        Comparison(
            HABIT,
            INTERIM,
            "this request, or one before it on the connection, was sent when the client had "
            "received an interim response (1xx) to the one before it and nothing more",
            frames,
        ),
        Comparison(
            HABIT,
            habit,
            habits.told(habit),
            frames,
        ),
    ]
