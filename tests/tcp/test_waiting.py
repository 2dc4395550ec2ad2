"""Segments that wait come out as a look at each of them, again and again, would let them out."""

from hypothesis import given
from hypothesis import strategies as st

from analyzer.intervals import MASK, advance, distance
from analyzer.tcp.waiting import Held, Nexts, Waiting

START = (MASK - 20, 5_000)  # one side wraps

_near = st.integers(-10, 60)
_entries = st.lists(
    st.tuples(st.integers(0, 1), _near, st.none() | _near, st.integers(1, 20)), max_size=30
)


def is_ready(entry: Held, nexts: Nexts) -> bool:
    """The law: its side has come to its first byte, the other to what it acknowledges."""
    own, other = nexts[entry.side], nexts[1 - entry.side]
    assert own is not None
    return distance(own, entry.seq) <= 0 and (
        other is None or entry.ack < 0 or distance(other, entry.ack) <= 0
    )


def after(entry: Held, nexts: Nexts) -> Nexts:
    """Where both sides are when the segment has been delivered."""
    now = list(nexts)
    own = now[entry.side]
    assert own is not None
    now[entry.side] = advance(own, max(0, distance(own, advance(entry.seq, entry.wire))))
    return now[0], now[1]


def drained(waiting: list[Held], nexts: Nexts) -> tuple[list[Held], list[Held], Nexts]:
    """What a look at each segment, again and again, lets out; what is left; where both sides are"""
    out: list[Held] = []
    moved = True
    while moved:
        moved = False
        left = []
        for entry in waiting:
            if is_ready(entry, nexts):
                out.append(entry)
                nexts = after(entry, nexts)
                moved = True
            else:
                left.append(entry)
        waiting = left
    return out, waiting, nexts


def let_out(waiting: Waiting, nexts: Nexts) -> tuple[list[Held], Nexts]:
    """The same with `Waiting`, as the streams stage does it."""
    out: list[Held] = []
    turn = waiting.ready(nexts)
    while turn:
        later: list[int] = []
        while turn:
            number = min(turn)
            turn.remove(number)
            entry = waiting.take(number)
            out.append(entry)
            nexts = after(entry, nexts)
            for other in waiting.ready(nexts):
                (turn if other > number else later).append(other)
        turn = later
    return out, nexts


@given(_entries, st.lists(st.tuples(st.integers(0, 1), st.integers(1, 30)), max_size=20),
       st.booleans())  # fmt: skip
def test_it_lets_out_what_a_look_at_each_would(
    given_entries: list[tuple[int, int, int | None, int]],
    moves: list[tuple[int, int]],
    one_unknown: bool,
) -> None:
    nexts: Nexts = (START[0], None if one_unknown else START[1])
    waiting, plain = Waiting(), list[Held]()
    for number, (side, ahead, ack, wire) in enumerate(given_entries):
        entry = Held(
            0 if one_unknown else side, advance(START[0 if one_unknown else side], ahead),
            -1 if ack is None else advance(START[1 if one_unknown else 1 - side], ack), 0,
            b"x" * number, wire, number, number,
        )  # fmt: skip
        if not is_ready(entry, nexts):
            waiting.hold(entry, nexts)
            plain.append(entry)
    nexts = (nexts[0], START[1])
    for side, by in [(0, 0), *moves]:
        moved = [*nexts]
        own = moved[side]
        assert own is not None
        moved[side] = advance(own, by)
        nexts = (moved[0], moved[1])
        expected, plain, then = drained(plain, nexts)
        assert let_out(waiting, nexts) == (expected, then)
        nexts = then
        assert len(waiting) == len(plain)
        assert waiting.size == sum(len(entry.piece) for entry in plain)
        if plain:
            assert waiting.first == plain[0]
        for one, start in enumerate(nexts):
            assert start is not None
            ends = [distance(start, e.seq) for e in plain if e.side == one]
            ends += [distance(start, e.ack) for e in plain if e.side != one and e.ack >= 0]
            holes = [end for end in ends if end > 0]
            if holes:
                assert waiting.nearest(one, nexts) == min(holes)
                left = waiting.without(one, nexts)
                assert len(left) == sum(
                    not (e.side == one and distance(start, e.seq) > 0)
                    and not (e.side != one and e.ack >= 0 and distance(start, e.ack) > 0)
                    for e in plain
                )
