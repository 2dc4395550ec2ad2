"""How each server ordinarily ends its connections: what a finding's connection is held against.

Law: learned from the connections themselves, those of findings left out; and where there are too
few of them, nothing is said to be usual.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analyzer.baselines.pace import MOMENT
from analyzer.correlate.view import Tables
from analyzer.tables import Array, Close, ConnectionFlag

LEAST_CLOSES = 3  # ordinary closes that make a habit
USUAL_SHARE = 0.9  # of them, at least, that go one way
# ns within which a process that owns a socket closes it after its client, where nothing is known.
PROMPT = 1_000_000_000
SLOWEST = 0.99  # quantile of the ordinary delays that still counts as ordinary

_DAMAGED = int(
    ConnectionFlag.CLIENT_GAP | ConnectionFlag.SERVER_GAP
    | ConnectionFlag.ONE_WAY | ConnectionFlag.OPEN_AT_END
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Habit:
    """How a server answered its clients' FINs: `closed` of `closes` with its own FIN.

    `slowest` is how long that took at most, in ns (the 99th percentile). `owing` counts those that
    it closed in turn though it still owed an answer: not every server does. `holding` counts the
    answers that it sent after their clients had closed, on connections that it had kept open.
    """

    closes: int = 0
    closed: int = 0
    slowest: int = 0
    owing: int = 0
    holding: int = 0

    @property
    def known(self) -> bool:
        """Whether there were enough closes to speak of a habit."""
        return self.closes >= LEAST_CLOSES

    @property
    def closes_too(self) -> bool:
        """Whether the server ordinarily closes when its client has."""
        return self.known and self.closed >= USUAL_SHARE * self.closes

    @property
    def patience(self) -> int:
        """How long to wait for the server's FIN, in ns, before its absence says something."""
        return max(MOMENT, 3 * self.slowest) if self.known else PROMPT


def habits(tables: Tables, but: set[int], late: Counter[int]) -> dict[int, Habit]:
    """The habit of every server (`Tables.server`), from all judged connections `but` these.

    `late` counts its answers to clients that had closed.
    """
    rows, service = tables.connections, tables.joined.service
    ended = tables.joined.judged & (rows["flags"] & _DAMAGED == 0) & (rows["client_fin_frame"] > 0)
    ended &= rows["first_close"] == int(Close.CLIENT_FIN)
    whole = ended & (rows["answered"] > 0) & (rows["answered"] == rows["requests"])
    whole[sorted(but)] = False
    owing = ended & (rows["answered"] < rows["requests"]) & (rows["server_fin_frame"] > 0)
    owing &= rows["server_fin_time"] - rows["client_fin_time"] < PROMPT
    return {
        number: _habit(
            rows[whole & (service == number)],
            int((owing & (service == number)).sum()),
            late[number],
        )
        for number in np.unique(service[whole | owing]).tolist()
    }


def _habit(rows: Array, owing: int, holding: int) -> Habit:
    closed = rows[rows["server_fin_frame"] > 0]
    delays = np.sort(closed["server_fin_time"] - closed["client_fin_time"])
    slowest = int(delays[int(SLOWEST * (len(delays) - 1))]) if len(delays) else 0
    return Habit(len(rows), len(closed), max(0, slowest), owing, holding)
