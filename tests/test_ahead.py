"""A stage that works ahead: order, exceptions, and an end before the end."""

import threading
from collections.abc import Iterator

import pytest

from analyzer.ahead import ahead


def test_what_comes_out_is_what_went_in() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter([]))) == []


def test_exceptions_come_in_their_place() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"):
        for item in ahead(broken()):
            got.append(item)
    assert got == [1]


def test_only_one_is_made_ahead() -> None:
    made = []

    def counted() -> Iterator[int]:
        for item in range(50):
            made.append(item)
            yield item

    for item in ahead(counted()):
        # One is being worked on, one is ready or being made.
        assert len(made) <= item + 2


def test_who_stops_listening_leaves_no_thread() -> None:
    before = threading.active_count()
    items = ahead(iter(range(1_000)))
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
