"""A block's segments brought together by connection, by column; tcp/streams.py walks them.

Law: everything here is a pure function of the block. Acks that say nothing new are left out, and
what may be walked in one step (exchanges whose numbers and heads leave no doubt) is put together,
so that the walk takes a step for hundreds of segments.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer import compiled, limits
from analyzer.intervals import HALF, MASK

# TCP control bits (RFC 9293 §3.1)
FIN, SYN, RST, ACK = 1, 2, 4, 16
PLAIN_MASK = FIN | SYN | RST | ACK

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Rows:
    """A block's segments, ready to be walked: `key` tells connections apart, `side` directions.

    All arrays have one element a segment, in the order of the frames; `frame` holds frame ids.
    """

    data: bytes
    key: npt.NDArray[
        np.uint64
    ]  # shape (n, 5): two addresses in two words each, ports and interface
    side: npt.NDArray[np.int64]
    frame: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    seq: npt.NDArray[np.int64]
    ack: npt.NDArray[np.int64]
    flags: npt.NDArray[np.int64]
    window: npt.NDArray[np.int64]
    payload: npt.NDArray[np.int64]
    captured: npt.NDArray[np.int64]
    wire: npt.NDArray[np.int64]


_COLUMNS = (
    "side", "seq", "ack", "flags", "window", "payload", "captured", "wire", "frame", "time",
)  # fmt: skip
_MIX = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xFF51AFD7ED558CCD,
    ],
    dtype=np.uint64,
)
_HTTP = int.from_bytes(b"HTTP", "big")


def _codes(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """One well mixed word for each row of `key` (shape (n, 5)); equal rows have equal words."""
    with np.errstate(over="ignore"):
        mixed = (key ^ (key >> np.uint64(29))) * _MIX
        code: npt.NDArray[np.uint64] = np.bitwise_xor.reduce(
            mixed ^ (mixed >> np.uint64(32)), axis=1
        )
    return code


def by_connection(key: npt.NDArray[np.uint64]) -> tuple[Ints, Ints]:
    """The order that brings rows of equal `key` (shape (n, 5)) together, and where each begins.

    Both have dtype int64; the order is stable, so that frames stay in order within a connection.
    """
    code = _codes(key)
    order = np.argsort(code, kind="stable")
    if not len(order):
        return order, order
    starts = np.flatnonzero(np.diff(code[order], prepend=code[order[:1]] ^ np.uint64(1)))
    ordered = key[order]
    changes = (ordered[1:] != ordered[:-1]).any(axis=1)
    if int(changes.sum()) + 1 != len(starts):
        # Two keys with one code: rare, or somebody's intention. Then without codes.
        order = np.lexsort(key.T[::-1])
        ordered = key[order]
        changes = (ordered[1:] != ordered[:-1]).any(axis=1)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    return order, starts


def _distance(a: Ints, b: Ints) -> Ints:
    """`intervals.distance` for arrays."""
    return ((b - a + HALF) & MASK) - HALF


def _redundant(columns: dict[str, Ints], group: Ints) -> tuple[Mask, Mask]:
    """Pure acks that say nothing new; those of them that say nothing which is not said again.

    Returns the latter, which are redundant, and the rest of the former.

    Nothing new: no more than the segment before them on the connection says or ends with. Said
    again: by the sender's next segment that is more than an ack, with no SYN or RST between; or by
    its next ack, with no FIN between either, after which a connection may be over. If that one is
    left out too, what says it again says no less.
    """
    flags, wire, side, ack = (columns[name] for name in ("flags", "wire", "side", "ack"))
    plain = flags & PLAIN_MASK == ACK
    pure = plain & (wire == 0) & (columns["window"] > 0)
    index = np.arange(len(flags))
    before = np.maximum.accumulate(np.where(pure, -1, index))
    last = np.maximum(before, 0)
    said = np.where(side == side[last], ack[last], columns["seq"][last] + wire[last])
    old = (before >= 0) & (group[last] == group) & plain[last] & (_distance(said, ack) <= 0)
    again = np.zeros(len(flags), dtype=np.bool_)
    for says, behind, ends in ((~pure, 0, SYN | RST), (pure, 1, SYN | RST | FIN)):
        disruption = _following(flags & ends != 0)
        ours, theirs = (_following(says & (side == of), behind) for of in (0, 1))
        own = np.where(side == 0, ours, theirs)
        following = np.minimum(own, len(flags) - 1)
        again |= (
            (own < disruption)
            & (group[following] == group)
            & (flags[following] & ACK != 0)
            & (_distance(ack, ack[following]) >= 0)
        )
    early = pure & old
    return early & again, early & ~again


def _acks_behind(columns: dict[str, Ints], group: Ints, early: Mask) -> Ints:
    """The rows in an order that has each of the acks `early` behind the message it stands in.

    What such an ack says is true there as well, and is said of bytes that came before both.
    """
    others = np.flatnonzero(~early)
    first, last, _ = _messages(
        {name: column[others] for name, column in columns.items()}, group[others]
    )
    end = np.repeat(others[last], last - first + 1)  # of the message, for each of the others
    acks = np.flatnonzero(early)
    before = np.searchsorted(others, acks) - 1
    place = 2 * np.arange(len(group))
    inside = before >= 0
    place[acks[inside]] = np.maximum(place[acks[inside]], 2 * end[before[inside]] + 1)
    order: Ints = np.argsort(place, kind="stable")
    return order


def _covered(rows: Ints, last: Ints, count: int) -> Mask:
    """Which of `count` rows lie behind one of `rows`, up to the `last` row of the same element.

    The spans must not overlap.
    """
    edges = np.zeros(count + 1, dtype=np.int8)
    edges[rows + 1] += 1
    edges[last + 1] -= 1
    covered: Mask = np.cumsum(edges, dtype=np.int8)[:-1] > 0
    return covered


def _following(chosen: Mask, behind: int = 0) -> Ints:
    """For each row the index of the first chosen one so many rows behind it or later.

    The number of rows if there is none.
    """
    index = np.where(chosen, np.arange(len(chosen)), len(chosen))
    following = np.full(len(chosen), len(chosen), dtype=np.int64)
    following[: len(chosen) - behind] = np.minimum.accumulate(index[::-1])[::-1][behind:]
    return following


def _messages(columns: dict[str, Ints], group: Ints) -> tuple[Ints, Ints, Ints]:
    """What one side says in segments that follow each other, while the other side says nothing new.

    Returns the first and the last row of each, and its bytes. Segments are put together when each
    continues the one before it and both acknowledge the same.
    """
    flags, wire, seq, ack = (columns[name] for name in ("flags", "wire", "seq", "ack"))
    whole = (flags & PLAIN_MASK == ACK) & (wire > 0) & (columns["captured"] == wire)
    begins = np.ones(len(flags), dtype=np.bool_)
    begins[1:] = ~(
        whole[1:]
        & whole[:-1]
        & (group[1:] == group[:-1])
        & (columns["side"][1:] == columns["side"][:-1])
        & (seq[1:] == (seq + wire & MASK)[:-1])
        & (ack[1:] == ack[:-1])
    )
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(flags)) - 1 if len(first) else first
    size = np.add.reduceat(wire, first) if len(first) else first
    return first, last, size


def _together(data: bytes, columns: dict[str, Ints], group: Ints) -> tuple[bytes, Ints, Ints, Ints]:
    """The data with the texts of messages in several segments behind it, and where they are.

    The arrays, for each row: the last row of the message that begins there, its text's offset in
    the data, and its bytes. Only texts that may be of a pair are put together.
    """
    first, last, size = _messages(columns, group)
    final = np.arange(len(group))
    text, bytes_of = columns["payload"].copy(), columns["wire"].copy()
    several = (last > first) & (size <= limits.BODY)
    # Only what is of an exchange: another side's message before or behind it.
    side, side_group = columns["side"][first], group[first]
    near = np.zeros(len(first), dtype=np.bool_)
    turns = (side_group[1:] == side_group[:-1]) & (side[1:] != side[:-1])
    near[1:] |= turns
    near[:-1] |= turns
    several &= near
    first, last, size = first[several], last[several], size[several]
    if compiled.kernels is None or not len(first):
        return data, final, text, bytes_of  # without the kernels nothing is ordinary
    ends = len(data) + np.cumsum(size)
    final[first], text[first], bytes_of[first] = last, ends - size, size
    data = compiled.kernels.joined(
        data, first, last, columns["payload"], columns["wire"], int(size.sum())
    )
    return data, final, text, bytes_of


def _pairs(
    data: bytes, columns: dict[str, Ints], group: Ints, final: Ints, text: Ints, size: Ints
) -> Mask:
    """Rows where a whole request may begin, its whole response behind it."""
    flags, wire, seq, ack = (columns[name] for name in ("flags", "wire", "seq", "ack"))
    whole = (flags & PLAIN_MASK == ACK) & (wire > 0) & (columns["captured"] == wire)
    octets = np.frombuffer(data, np.uint8)
    pair = np.zeros(len(flags), dtype=np.bool_)
    if len(flags) < 2 or len(octets) < 4:
        return pair
    at = np.minimum(text, len(octets) - 4)
    start = octets[at[:, None] + np.arange(4)].view(">u4")[:, 0]
    response = whole & (size >= 16) & (start == _HTTP)
    answer = np.minimum(final + 1, len(flags) - 1)
    # What lies inside a message begins none, whatever it looks like: a body may be a request.
    joined = np.flatnonzero(final > np.arange(len(final)))
    inside = _covered(joined, final[joined], len(final))
    found: Mask = (
        (whole & ~response & ~inside)
        & (final < len(flags) - 1)
        & response[answer]
        & (group[answer] == group)
        & (columns["side"][answer] != columns["side"])
        & (ack == seq[answer])
        & (ack[answer] == (seq + size & MASK))
    )
    return found


# A segment's columns in their order, as plain numbers.
Values = tuple[int, int, int, int, int, int, int, int, int, int]


@dataclass(slots=True)
class Arranged:
    """A block's segments brought together by connection; a pure function of the block.

    `columns` has a row for each segment, in the order of the frames within each connection; acks
    that say nothing new are left out. `keys` has a row for each connection, `bounds` where its rows
    begin (one more at the end), and `last_times` the time of its last segment. `pair` marks a row
    that may be where a whole request begins, with its whole response behind it, as far as the
    numbers tell. For each row, `final` is the last row of the message that begins there, `text`
    where its bytes are in `data`, in one piece, and `size` how many they are.
    """

    data: bytes
    columns: dict[str, Ints]
    keys: npt.NDArray[np.uint64]
    bounds: Ints
    last_times: list[int]
    pair: Mask
    final: Ints
    text: Ints
    size: Ints

    def answer(self, rows: Ints) -> Ints:
        """Where the responses begin of the requests that begin at `rows`."""
        found: Ints = self.final[rows] + 1
        return found

    def behind(self, rows: Ints) -> Ints:
        """The rows behind the exchanges that begin at `rows`."""
        found: Ints = self.final[self.answer(rows)] + 1
        return found

    def values(self, rows: Ints) -> list[Values]:
        """The columns of some rows."""
        return list(zip(*(self.columns[name][rows].tolist() for name in _COLUMNS), strict=True))


def share(rows: Rows, part: int, parts: int) -> Rows:
    """The connections of a block that fall to one of several processes; all their segments."""
    if parts == 1:
        return rows
    # Well mixed: Linux gives clients ports of one parity.
    chosen = _codes(rows.key) % np.uint64(parts) == part
    columns = {f.name: getattr(rows, f.name) for f in fields(rows) if f.name != "data"}
    return Rows(rows.data, **{name: column[chosen] for name, column in columns.items()})


def arrange(rows: Rows) -> Arranged:
    """Bring the segments of a block together by connection."""
    order, starts = by_connection(rows.key)
    columns: dict[str, Ints] = {name: getattr(rows, name)[order] for name in _COLUMNS}
    group = np.zeros(len(order), dtype=np.int64)
    group[starts[1:]] = 1
    group = np.cumsum(group)
    last_times = (
        columns["time"][np.append(starts[1:], len(order)) - 1].tolist() if len(order) else []
    )
    redundant, early = _redundant(columns, group)
    chosen = np.flatnonzero(~redundant)
    columns = {name: column[chosen] for name, column in columns.items()}
    group, early = group[chosen], early[chosen]
    if early.any():
        chosen = _acks_behind(columns, group, early)
        columns = {name: column[chosen] for name, column in columns.items()}
    data, final, text, size = _together(rows.data, columns, group)
    return Arranged(
        data=data,
        columns=columns,
        keys=rows.key[order[starts]],
        bounds=np.searchsorted(group, np.arange(len(starts) + 1)),
        last_times=last_times,
        pair=_pairs(data, columns, group, final, text, size),
        final=final,
        text=text,
        size=size,
    )


class Gone(NamedTuple):
    """What is remembered of a connection that has ended, for its stragglers.

    `initiator` is the side of its SYN, the ISNs are the client's and the server's.
    """

    initiator: int
    client_isn: int
    server_isn: int
    first_frame: int
    first_time: int
    last_time: int


@dataclass(slots=True)
class Brief:
    """Which of a block's connections are brief: begun, ordinary and ended in it, in plain order.

    Arrays have an element a connection; `rows` are those of the SYN, the SYN-ACK, the first request
    and the two FINs (client, server), shape (n, 5), `acked` up to where the bytes of the client and
    the server were acknowledged before the end, shape (n, 2).
    """

    brief: Mask
    exchanges: Ints
    rows: Ints
    acked: Ints

    def gone(self, block: Arranged) -> dict[int, Gone]:
        """What is remembered of each brief connection, by its number."""
        chosen = np.flatnonzero(self.brief)
        at = block.columns
        one, two = self.rows[chosen, 0], self.rows[chosen, 1]
        columns = (
            at["side"][one],
            at["seq"][one],
            at["seq"][two],
            at["frame"][one],
            at["time"][one],
            at["time"][self.rows[chosen, 3:].max(axis=1)],
        )
        found = map(Gone._make, zip(*(column.tolist() for column in columns), strict=True))
        return dict(zip(chosen.tolist(), found, strict=True))


def brief_connections(block: Arranged, ordinary: Mask, known: Mask) -> Brief:
    """Look for brief connections among those that are not `known` already."""
    count = len(block.last_times)
    brief, out = np.zeros(count, dtype=np.uint8), np.zeros((count, 6), dtype=np.int64)
    if compiled.kernels is not None:
        names = ("side", "seq", "ack", "flags", "window", "wire")
        rows = np.stack([block.columns[name] for name in names], axis=1)
        # The kernel takes a row for a message.
        asked = np.flatnonzero(ordinary)
        ordinary = ordinary.copy()
        ordinary[asked] = block.behind(asked) == asked + 2
        compiled.kernels.brief_connections(
            rows, ordinary.view(np.uint8), block.bounds, known.view(np.uint8), brief, out
        )
    first = block.bounds[:-1]
    return Brief(
        brief=brief.view(np.bool_),
        exchanges=out[:, 0],
        rows=np.stack([first, first + 1, *out[:, 1:4].T], axis=1),
        acked=out[:, 4:],
    )


class Run(NamedTuple):
    """Ordinary exchanges in a row: the first row and how many, and the last two rows' columns."""

    row: int
    exchanges: int
    last_request: Values
    last_response: Values


@dataclass(slots=True)
class Walk:
    """A block's rows in steps: a run of ordinary exchanges on one connection, or a single segment.

    The lists have an element a step: the columns of its first row, and the run if it is one.
    `bounds` says where each connection's steps begin (one more at the end).
    """

    values: list[Values]
    runs: list[Run | None]
    bounds: list[int]


def walk(block: Arranged, ordinary: Mask, brief: Mask) -> Walk:
    """The steps of a block, those of brief connections left out.

    `ordinary` marks the rows of requests that are ordinary exchanges.
    A run goes on while each request continues the one before it and acknowledges its response.
    """
    columns = block.columns
    stays = np.repeat(~brief, np.diff(block.bounds))
    asked = np.flatnonzero(ordinary & stays)
    before, after = asked[:-1], asked[1:]
    begins = np.zeros(len(ordinary) + 1, dtype=np.bool_)
    begins[block.bounds] = True
    goes_on = np.zeros(len(asked), dtype=np.bool_)
    goes_on[1:] = (
        (after == block.behind(before))
        & ~begins[after]
        & (columns["side"][after] == columns["side"][before])
        & (columns["seq"][after] == columns["ack"][block.answer(before)])
        & (columns["ack"][after] == _ends(columns, block.behind(before) - 1))
    )
    step = stays & ~_covered(asked, block.behind(asked) - 1, len(ordinary))
    step[asked[goes_on]] = False
    row = np.flatnonzero(step)
    first = np.flatnonzero(~goes_on)
    count = np.diff(np.append(first, len(asked)))
    start = asked[first]
    last = asked[first + count - 1]
    requests, responses = block.final[last], block.behind(last) - 1
    runs: list[Run | None] = [None] * len(row)
    found = zip(
        start.tolist(),
        count.tolist(),
        block.values(requests),
        block.values(responses),
        strict=True,
    )
    for at, run in zip(np.searchsorted(row, start).tolist(), found, strict=True):
        runs[at] = Run(*run)
    return Walk(block.values(row), runs, np.searchsorted(row, block.bounds).tolist())


def _ends(columns: dict[str, Ints], rows: Ints) -> Ints:
    """The sequence numbers behind the segments of `rows`."""
    ends: Ints = columns["seq"][rows] + columns["wire"][rows] & MASK
    return ends
