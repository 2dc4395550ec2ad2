"""What responses show of whoever asked: which of their values go with a request's credentials.

Law: sums over the exchanges, whatever their order. Where an endpoint's responses to the same
credentials have one value at a place, and those to others have other ones, a response shows by it
whose it is, though it repeats nothing that its request says. How much that tells is learned from
all other credentials than those in question. Nothing is learned from what was under way with the
response: what all were told at one moment is nobody's own.

Values are compared by their sketches (`features.sketch`), so a place is one of 32 buckets.
Source: the m- and u-probabilities of Fellegi and Sunter (1969); issue 11.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from analyzer.correlate.view import ERROR, Id, Row, Tables, frame_ids
from analyzer.tables import SKETCH_WORDS, Array, Outcome

WIDTH = 8 * SKETCH_WORDS  # buckets of a sketch
HALF = 0.5  # of somebody's other responses: with one value they have a usual one
# What goes with somebody does so always, or hardly ever: so many responses either way are known
# beforehand (a beta distribution in the form of a U, steeper than that of what responses repeat).
STEADY = 1.0 / 64
BORROWED = 1.0  # response of others, which an identity's own habit is held against
MOST_SHOWN = 12.0  # bits: what goes with one person comes together
ALIKE = 1.0 / 255  # how often two values that differ have one number in a sketch
TELLING = 3.0  # bits from which on a response shows, or does not show, whose it is
MOST_ODD = 256  # responses that are looked at for whom they show
MOST_OTHERS = 64  # identities that may be shown, among which they are looked for

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
_SKETCH = [f"response_sketch{n}" for n in range(SKETCH_WORDS)]


class Shown(NamedTuple):
    """What a response shows of whose it is.

    In bits, and the buckets of its sketch that say so: that these `fits` with what else was given
    to the credentials, and how it `differs` from that (0 or less).
    """

    fits: float = 0.0
    fitting: tuple[int, ...] = ()
    differs: float = 0.0
    differing: tuple[int, ...] = ()
    others: int = 0  # responses to these credentials that it was held against

    @property
    def bits(self) -> float:
        """What both come to."""
        return self.fits + self.differs


class _Given(NamedTuple):
    """Exchanges of one endpoint at one server, by column, in the order of their credentials."""

    whose: Ints
    asked: Ints  # the sum of the target, or of a request with a body
    said: Bytes  # (n, WIDTH)
    began: Ints
    ended: Ints
    frame: Ints

    def chosen(self, at: Ints | slice) -> "_Given":
        """Some of them."""
        whose, asked, said, began, ended, frame = self
        return _Given(whose[at], asked[at], said[at], began[at], ended[at], frame[at])


@dataclass(slots=True)
class _Place:
    """What is known of an endpoint at a server."""

    given: _Given
    counts: npt.NDArray[np.int32]  # (WIDTH, 256): how often each value was given
    compared: Ints  # (WIDTH,) responses that could be compared with their identity's others
    agreed: Ints  # (WIDTH,) those of them that agree

    def of(self, whose: int) -> slice:
        """Where somebody's exchanges are."""
        begin, end = np.searchsorted(self.given.whose, (whose, whose + 1)).tolist()
        return slice(begin, end)


@dataclass(slots=True)
class Identities:
    """What goes with credentials, by endpoint.

    `showing` has, by the frame id of each request whose response shows somebody else, whose
    credentials that fits, the best first.
    """

    tables: Tables
    places: dict[int, _Place] = field(default_factory=dict)
    showing: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Tables) -> "Identities":
        """Learn from all exchanges, and find those that show somebody else."""
        out = cls(tables)
        odd: list[tuple[float, int, int, int]] = []  # bits, frame id, place, and where it is there
        for number, given in _by_place(tables):
            learned, bits = _learned(given)
            if learned is not None:
                out.places[number] = learned
                rows = np.flatnonzero(bits <= -TELLING)
                frames = given.frame[rows].tolist()
                places = [number] * len(rows)
                odd += zip(bits[rows].tolist(), frames, places, rows.tolist(), strict=True)
        for _, frame, number, at in sorted(odd)[:MOST_ODD]:
            fitting = _fitting(out.places[number], at)
            if fitting:
                out.showing[frame] = fitting
        return out

    def shown(self, request: Row, response: Row, apart: Iterable[Id] = ()) -> Shown:
        """What speaks for a response to be one to the credentials of a request (in bits).

        Nothing is learned from these two, nor from those `apart`.
        """
        if _place(self.tables, request) != _place(self.tables, response):
            return Shown()
        return self.of_identity(
            request["request_behalf"], response, {request.id, response.id, *apart}
        )

    def of_identity(self, whose: int, response: Row, apart: Iterable[Id]) -> Shown:
        """What speaks for a response to be one to somebody; nothing is learned from some."""
        place = self.places.get(_place(self.tables, response))
        if place is None or not whose:
            return Shown()
        given = place.given
        out = _under_way(given, response["request_time"], response["response_end_time"])
        left = {one[1] for one in apart}
        out |= np.isin(given.frame, np.array(sorted(left), dtype=np.int64))
        return _shown(place, whose, response["request_behalf"], _said(response), out)

    def latest(self, whose: int, row: Row) -> int:
        """The frame id of somebody's last request for an endpoint before a response there, or 0."""
        place = self.places.get(_place(self.tables, row))
        if place is None:
            return 0
        mine = place.given.chosen(place.of(whose))
        before = np.flatnonzero(mine.began < row["response_time"])
        return int(mine.frame[before[mine.began[before].argmax()]]) if len(before) else 0

    def otherwise(self, row: Row, *, later: bool = False, same: bool = False) -> bool:
        """Whether the same credentials were shown other values than in this response.

        In `later` ones, and to the `same` request, where that is asked for.
        """
        place = self.places.get(_place(self.tables, row))
        if place is None:
            return False
        at = place.of(row["request_behalf"])
        mine = place.given.chosen(at)
        wanted = ~_under_way(mine, row["request_time"], row["response_end_time"])
        if later:
            wanted &= mine.began > row["request_time"]
        if same:
            asked = _asked(row["request_length"], row["request_sum"], row.target)
            wanted &= mine.asked == asked
        against = list(self.shown(row, row).differing)
        other = mine.said[wanted][:, against]
        return bool(((other > 0) & (other != _said(row)[against])).any())

    def may_share(self, one: Row, other: Row) -> bool:
        """Whether what `one` was given may as well be given to the other request's credentials.

        As it may where both stand for one person, or are in one room: it differs from nothing that
        goes with either, as far as anything is known of both.
        """
        every = self.shown(one, one), self.shown(other, one)
        return all(found.others and not found.differing for found in every)

    def minds(self, row: Row) -> bool:
        """Whether an endpoint's responses have values that go with the credentials."""
        place = self.places.get(_place(self.tables, row))
        if place is None:
            return False
        usual = place.counts[:, 1:].max(axis=1) / np.maximum(1, place.counts[:, 1:].sum(axis=1))
        agree = (place.agreed + STEADY) / (place.compared + 2 * STEADY)
        return bool(((place.compared > 0) & (agree > HALF) & (usual <= HALF)).any())


def _fitting(place: _Place, at: int) -> tuple[int, ...]:
    """Whom a response shows instead of its own identity, the best first."""
    given = place.given
    whose = int(given.whose[at])
    apart = _under_way(given, int(given.began[at]), int(given.ended[at]))
    against = list(_shown(place, whose, whose, given.said[at], apart).differing)
    same = (given.said[:, against] == given.said[at][against]).any(axis=1)
    others = np.setdiff1d(given.whose[same], [whose])  # whom it may show at all
    fits = [
        (_shown(place, other, whose, given.said[at], apart).bits, other)
        for other in others.tolist()[:MOST_OTHERS]
    ]
    return tuple(other for bits, other in sorted(fits, reverse=True) if bits >= TELLING)


def _place(tables: Tables, row: Row) -> int:
    return tables.server(row) << 32 | tables.endpoint(row)


def _said(row: Row) -> Bytes:
    return np.array([row[name] for name in _SKETCH], dtype="<u8").view(np.uint8)


def _under_way(given: _Given, began: int, ended: int) -> npt.NDArray[np.bool_]:
    """Which were under way between two times, in ns since 1970."""
    found: npt.NDArray[np.bool_] = (given.began < ended) & (given.ended > began)
    return found


def _by_place(tables: Tables) -> Iterator[tuple[int, _Given]]:
    """The exchanges with credentials of each endpoint at each server, where some asked again."""
    parts = [_columns(tables, rows, targets) for rows, targets in tables.judged()]
    place = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    if not len(place):
        return
    given = _Given._make(map(np.concatenate, zip(*(part[1] for part in parts), strict=True)))
    order = np.lexsort((given.frame, given.whose, place))
    numbers, first = np.unique(place[order], return_index=True)
    for number, mine in zip(numbers.tolist(), np.split(order, first)[1:], strict=True):
        many = len(np.unique(given.whose[mine]))
        if 1 < many < len(mine):
            yield number, given.chosen(mine)


def _asked(length: int, whole: int, target: bytes) -> int:
    """What is asked for, whoever asks: credentials may be renewed with each request."""
    return whole if length else crc32(target)


def _columns(tables: Tables, rows: Array, targets: Sequence[bytes]) -> tuple[Ints, _Given]:
    usable = (
        (rows["outcome"] == Outcome.ANSWERED)
        & (rows["status"] < ERROR)
        & (rows["request_behalf"] != 0)
        & np.logical_or.reduce([rows[name] != 0 for name in _SKETCH])
    )
    chosen = [targets[at] for at in np.flatnonzero(usable).tolist()]
    rows = rows[usable]
    bodies = zip(rows["request_length"].tolist(), rows["request_sum"].tolist(), chosen, strict=True)
    said = np.stack([rows[name] for name in _SKETCH], axis=1).astype("<u8")
    return tables.joined.service[rows["connection"]] << 32 | tables.endpoint_of[rows["route"]], (
        _Given(
            rows["request_behalf"].astype(np.int64),
            np.array([_asked(*one) for one in bodies], dtype=np.int64),
            np.ascontiguousarray(said).view(np.uint8),
            rows["request_time"],
            rows["response_end_time"],
            frame_ids(rows, "request"),
        )
    )


def _learned(given: _Given) -> tuple[_Place | None, Floats]:
    """What is known of an endpoint, and how well each response shows its own identity, in bits."""
    size = len(given.whose)
    group = np.unique(given.whose, return_inverse=True)[1]
    counts = np.zeros((WIDTH, 256), dtype=np.int32)
    compared, agreed = np.zeros(WIDTH, dtype=np.int64), np.zeros(WIDTH, dtype=np.int64)
    least = np.zeros(size)
    for bucket in range(WIDTH):
        value = given.said[:, bucket].astype(np.int64)
        counts[bucket] = np.bincount(value, minlength=256)
        has = value > 0
        counts[bucket, 0] = 0
        if not has.any():
            continue
        _, kind, alike = np.unique(group << 8 | value, return_inverse=True, return_counts=True)
        others = np.bincount(group, weights=has)[group] - 1  # of the same identity, with a value
        comparable = has & (others > 0)
        agrees = comparable & (alike[kind] - 1 >= HALF * others)
        compared[bucket], agreed[bucket] = comparable.sum(), agrees.sum()
        # Of each identity the others' habit: what is in question teaches nothing of itself.
        mine = [np.bincount(group, weights=which)[group] for which in (comparable, agrees)]
        likely = (agreed[bucket] - mine[1] + STEADY) / (compared[bucket] - mine[0] + 2 * STEADY)
        usual = counts[bucket].max() / has.sum()
        bits = np.log2((1.0 - likely) / max(ALIKE, 1.0 - usual))
        least = np.where(comparable & ~agrees, np.minimum(least, bits), least)
    if not compared.any():
        return None, least
    return _Place(given, counts, compared, agreed), least


def _shown(place: _Place, whose: int, own: int, said: Bytes, apart: npt.NDArray[np.bool_]) -> Shown:
    """What speaks for a response, which went to `own`, to be one to the credentials `whose`."""
    given = place.given
    at = place.of(whose)
    mine = given.said[at][~apart[at]]
    if not len(mine):
        return Shown()
    # The habits and values of all others than these two.
    compared, agreed = place.compared.astype(np.float64), place.agreed.astype(np.float64)
    counts = place.counts.astype(np.float64)
    for one in {whose, own}:
        part = given.said[place.of(one)]
        for bucket in range(WIDTH):
            values = part[:, bucket][part[:, bucket] > 0]
            if not len(values):
                continue
            alike = np.bincount(values, minlength=256)
            counts[bucket] -= alike
            if len(values) > 1:
                compared[bucket] -= len(values)
                agreed[bucket] -= (alike[values] - 1 >= HALF * (len(values) - 1)).sum()
    fits: dict[int, float] = {}
    differs: dict[int, float] = {}
    for bucket in np.flatnonzero(said).tolist():
        values = mine[:, bucket][mine[:, bucket] > 0]
        if not len(values):
            continue
        alike = np.bincount(values, minlength=256)
        usual = int(alike.argmax())
        most = int(alike[usual])
        if most < HALF * len(values):
            continue  # they have no usual value
        likely = (agreed[bucket] + STEADY) / (compared[bucket] + 2 * STEADY)
        likely = (most - 1 + BORROWED * likely) / (len(values) - 1 + BORROWED)
        # Others that have this value, or the usual one, all the same.
        is_usual = alike[said[bucket]] >= HALF * len(values)
        value = int(said[bucket]) if is_usual else usual
        random = (counts[bucket, value] + STEADY) / (counts[bucket].sum() + 2 * STEADY)
        random = min(1.0 - ALIKE, max(ALIKE, random))
        if is_usual:
            fits[bucket] = float(np.log2(likely / random))
        else:
            differs[bucket] = float(np.log2((1.0 - likely) / (1.0 - random)))
    # Values that go with one person come and go together: of those against it, one counts.
    return Shown(
        min(MOST_SHOWN, sum(fits.values())),
        tuple(sorted((b for b, bits in fits.items() if bits >= 1.0), key=lambda b: -fits[b])),
        min((0.0, *differs.values())),
        tuple(sorted((b for b, bits in differs.items() if bits <= -1.0), key=lambda b: differs[b])),
        len(mine),
    )
