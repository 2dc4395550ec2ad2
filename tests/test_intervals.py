"""Sequence arithmetic around the wrap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.intervals import advance, covers, distance

NUMBERS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0, 0, 0),
        (5, 9, 4),
        (9, 5, -4),
        (2**32 - 1, 0, 1),
        (0, 2**32 - 1, -1),
        (2**32 - 10, 20, 30),
        (20, 2**32 - 10, -30),
        (0, 2**31 - 1, 2**31 - 1),
        (0, 2**31, -(2**31)),
    ],
)
def test_distance(a: int, b: int, expected: int) -> None:
    assert distance(a, b) == expected


@given(NUMBERS, st.integers(-(2**31) + 1, 2**31 - 1))
def test_distance_undoes_advance(seq: int, by: int) -> None:
    there = advance(seq, by)
    assert 0 <= there < 2**32
    assert distance(seq, there) == by
    assert distance(there, seq) == -by


@pytest.mark.parametrize(
    ("ack", "seq", "expected"),
    [(10, 9, True), (10, 10, False), (10, 11, False), (0, 2**32 - 1, True), (2**32 - 1, 0, False)],
)
def test_covers(ack: int, seq: int, expected: bool) -> None:
    assert covers(ack, seq) is expected
