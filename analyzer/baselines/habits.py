"""How each server ordinarily ends its connections: what a finding's connection is held against.

Law: learned from the connections themselves, those of findings left out; and where there are too
few of them, nothing is said to be usual.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, log2
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from analyzer.baselines.pace import MOMENT
from analyzer.correlate.view import Tables
from analyzer.tables import Array, Close, ConnectionFlag

LEAST_CLOSES = 3  # ordinary closes that make a habit
USUAL_SHARE = 0.9  # of them, at least, that go one way
# ns within which a process that owns a socket closes it after its client, where nothing is known.
PROMPT = 1_000_000_000
SLOWEST = 0.99  # quantile of the ordinary delays that still counts as ordinary
BINS = 8  # of an octave of delays that are kept

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


def habits(
    tables: Tables,
    but: set[int],
    late: Counter[int],
    known: Mapping[int, "Closes"] = MappingProxyType({}),
) -> dict[int, Habit]:
    """The habit of every server (`Tables.server`), from all judged connections `but` these.

    `late` counts its answers to clients that had closed; `known` is what was learned before.
    """
    rows = tables.connections
    found = {
        number: _habit(rows[whole], owing, late[number])
        for number, whole, owing in _ended(tables, but)
    }
    for number, one in known.items():
        found[number] = one.added_to(found.get(number, Habit()))
    return found


def closes(tables: Tables, but: set[int], late: Counter[int]) -> dict[int, "Closes"]:
    """The same as sums that can be added up."""
    rows = tables.connections
    found = {}
    for number, whole, owing in _ended(tables, but):
        delays = _delays(rows[whole])
        bins = Counter(_bin(delay) for delay in delays.tolist())
        found[number] = Closes(int(whole.sum()), len(delays), owing, late[number], bins)
    return found


def _ended(tables: Tables, but: set[int]) -> Iterator[tuple[int, npt.NDArray[np.bool_], int]]:
    """Of every server the connections that its clients closed, and how many owing ones it did."""
    rows, service = tables.connections, tables.joined.service
    ended = tables.joined.judged & (rows["flags"] & _DAMAGED == 0) & (rows["client_fin_frame"] > 0)
    ended &= rows["first_close"] == int(Close.CLIENT_FIN)
    whole = ended & (rows["answered"] > 0) & (rows["answered"] == rows["requests"])
    whole[sorted(but)] = False
    owing = ended & (rows["answered"] < rows["requests"]) & (rows["server_fin_frame"] > 0)
    owing &= rows["server_fin_time"] - rows["client_fin_time"] < PROMPT
    for number in np.unique(service[whole | owing]).tolist():
        yield number, whole & (service == number), int((owing & (service == number)).sum())


def _delays(rows: Array) -> npt.NDArray[np.int64]:
    """How long a server took to close in turn, in ns, in order."""
    closed = rows[rows["server_fin_frame"] > 0]
    return np.sort(closed["server_fin_time"] - closed["client_fin_time"])


def _habit(rows: Array, owing: int, holding: int) -> Habit:
    delays = _delays(rows)
    slowest = int(delays[int(SLOWEST * (len(delays) - 1))]) if len(delays) else 0
    return Habit(len(rows), len(delays), max(0, slowest), owing, holding)


def _bin(delay: int) -> int:
    """Which bin a delay in ns is in: BINS to an octave."""
    return ceil(BINS * log2(max(1, delay)))


@dataclass(frozen=True, slots=True)
class Closes:
    """A `Habit` as sums: `delays` counts what the server took to close, by their bins."""

    closes: int = 0
    closed: int = 0
    owing: int = 0
    holding: int = 0
    delays: Counter[int] = field(default_factory=Counter)

    def __add__(self, other: "Closes") -> "Closes":
        """Both together."""
        return Closes(
            self.closes + other.closes,
            self.closed + other.closed,
            self.owing + other.owing,
            self.holding + other.holding,
            self.delays + other.delays,
        )

    def added_to(self, habit: Habit) -> Habit:
        """A habit with these as well; of what is slowest the slower one."""
        return Habit(
            habit.closes + self.closes,
            habit.closed + self.closed,
            max(habit.slowest, self._slowest()),
            habit.owing + self.owing,
            habit.holding + self.holding,
        )

    def _slowest(self) -> int:
        """What the slowest ordinary close took, in ns: the end of its bin."""
        left = int(SLOWEST * max(0, self.delays.total() - 1))
        for number in sorted(self.delays):
            left -= self.delays[number]
            if left < 0:
                return int(2 ** (number / BINS))
        return 0
