"""Fragments put together: any order, overlaps, limits of time and room; each counted once."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.anomalies import Anomalies, Fates
from analyzer.packets import fragments as module
from analyzer.packets.fragments import PATIENCE, Fragment, Fragments, Whole

KEY = ("packet",)
BYTES = bytes(range(240))


class Box:
    """Takes fragments, and what came of them."""

    def __init__(self) -> None:
        self.fates, self.anomalies = Fates(), Anomalies()
        self.fragments = Fragments(self.fates, self.anomalies)

    def add(
        self, offset: int, data: bytes, *, last: bool = False, time: int = 0, **more: Any
    ) -> Whole | None:
        """One fragment; `wire` says that it was longer than what was captured."""
        key = more.get("key", KEY)
        wire = more.get("wire", len(data))
        one = Fragment(key, b"header %d" % offset, offset, wire, last, data, 0, 3)
        return self.fragments.add(one, key, time)

    def finish(self) -> Fates:
        """The end of the capture."""
        self.fragments.finish()
        return self.fates


def test_whole_with_the_last_missing_fragment() -> None:
    box = Box()
    assert box.add(80, BYTES[80:160]) is None
    assert box.add(160, BYTES[160:], last=True) is None
    whole = box.add(0, BYTES[:80])
    assert whole is not None
    assert (whole.data, whole.wire, whole.header) == (BYTES, 240, b"header 0")
    assert box.finish() == {"ip-fragment": 2}
    assert not box.anomalies


@settings(max_examples=200)
@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=6))
def test_any_order_and_repetitions(order: list[int], again: list[int]) -> None:
    box, found, taken = Box(), [], 0
    for n in [*order, *again]:
        whole = box.add(40 * n, BYTES[40 * n : 40 * n + 40], last=n == 5)
        taken += whole is not None
        found += [whole.data] if whole is not None else []
    assert found[0] == BYTES
    assert set(found) == {BYTES}
    assert box.finish().total() == 6 + len(again) - taken
    assert not box.anomalies


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 29), st.integers(1, 30), st.booleans(), st.integers(0, 3)),
        max_size=30,
    )
)
def test_overlaps_of_any_kind(parts: list[tuple[int, int, bool, int]]) -> None:
    """Against a packet kept byte by byte: the first copy of a byte wins."""
    box = Box()
    known: dict[int, int] = {}
    length: int | None = None
    taken = 0
    for place, size, last, fill in parts:
        start, end = 8 * place, 8 * (place + size)
        whole = box.add(start, bytes([fill]) * (end - start), last=last)
        if last and length is None:
            length = end
        for at in range(start, end):
            known.setdefault(at, fill)
        complete = length is not None and all(at in known for at in range(length))
        assert (whole is not None) == complete
        if whole is not None and length is not None:
            taken += 1
            assert whole.data == bytes(known[at] for at in range(length))
            known, length = {}, None
    assert box.finish().total() == len(parts) - taken


def test_an_overlap_is_an_anomaly_and_the_first_copy_wins() -> None:
    box = Box()
    box.add(0, BYTES[:80])
    box.add(40, b"!" * 80)
    whole = box.add(120, BYTES[120:], last=True)
    assert whole is not None
    assert whole.data == BYTES[:80] + b"!" * 40 + BYTES[120:]
    assert box.anomalies == {"fragments-overlap": 1}


def test_a_cut_fragment_ends_what_was_captured() -> None:
    box = Box()
    box.add(0, BYTES[:50], wire=80)
    whole = box.add(80, BYTES[80:], last=True)
    assert whole is not None
    assert (whole.data, whole.wire) == (BYTES[:50], 240)


@pytest.mark.parametrize(("wait", "joined"), [(PATIENCE, True), (PATIENCE + 1, False)])
def test_incomplete_packets_are_let_go_in_time(wait: int, joined: bool) -> None:
    box = Box()
    box.add(0, BYTES[:80])
    assert (box.add(80, BYTES[80:], last=True, time=wait) is not None) == joined
    expected = {"ip-fragment": 1} if joined else {"ip-fragment-incomplete": 2}
    assert box.finish() == expected


def test_times_that_run_backwards() -> None:
    box = Box()
    box.add(0, BYTES[:80], time=10**18)
    assert box.add(80, BYTES[80:], last=True, time=0) is not None


@pytest.mark.parametrize(
    ("limit", "value", "count"), [("MOST_PACKETS", 3, 10), ("MOST_BYTES", 300, 10)]
)
def test_the_room_is_limited(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, count: int
) -> None:
    monkeypatch.setattr(module, limit, value)
    box = Box()
    for n in range(count):
        box.add(0, BYTES[:80], key=(n,))
    kept = 3
    assert box.anomalies == {"fragments-limit": count - kept}
    assert box.fates == {"ip-fragment-incomplete": count - kept}
    assert box.add(80, BYTES[80:], last=True, key=(count - 1,)) is not None
    assert box.add(80, BYTES[80:], last=True, key=(0,)) is None
    assert box.finish().total() == count + 1


def test_pieces_of_one_packet_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 4)
    box = Box()
    for n in range(10):
        box.add(16 * n, BYTES[:8])
    assert box.anomalies["fragments-limit"] == 2
    assert box.finish() == {"ip-fragment-incomplete": 10}
