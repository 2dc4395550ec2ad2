"""Causality bounds a log's clock; what contradicts itself is a step, or drift."""

from analyzer.logs.clocks import INFINITE, Bound, bound, settle
from analyzer.logs.model import LogRow, Moment, Side

MS = 1_000_000


def row(time: int, moment: Moment, duration: int | None = None) -> LogRow:
    return LogRow(1, "GET", "/", time, True, 1, moment, duration, status=200)


def test_a_server_has_a_request_between_its_coming_and_its_answer() -> None:
    found = bound(row(1_000, Moment.START), Side.SERVER, asked=300, came=800, ended=900)
    assert found == Bound(300, 200, 701)


def test_a_server_that_tells_no_start_bounds_one_side_only() -> None:
    found = bound(row(1_000, Moment.UNKNOWN), Side.SERVER, asked=300, came=800, ended=900)
    assert found == Bound(300, -INFINITE, 701)


def test_a_client_sends_before_and_reads_after_the_wire() -> None:
    found = bound(row(1_000, Moment.END, 500), Side.CLIENT, asked=300, came=800, ended=900)
    assert found == Bound(300, 200, 101)


def test_bounds_are_intersected_and_a_step_begins_a_stretch() -> None:
    before = [Bound(n, -n - 5, 10 + n) for n in range(5)]
    after = [Bound(100 + n, 500 * MS - n, 500 * MS + n + 1) for n in range(5)]
    clock = settle([*after, *before], zoned=True)
    assert [(s.low, s.high, s.pairs) for s in clock.stretches] == [
        (-5, 10, 5),
        (500 * MS, 500 * MS + 1, 5),
    ]
    assert clock.low <= -5 and clock.high >= 500 * MS + 1


def test_a_zone_that_is_not_said_is_found() -> None:
    zone = 19_800 * 1000 * MS
    clock = settle([Bound(n, zone + 3, zone + 9) for n in range(3)], zoned=False)
    assert clock.zone == zone and (clock.stretches[0].low, clock.stretches[0].high) == (3, 9)
    assert clock.allows(Bound(9, zone + 4, zone + 5)) and not clock.allows(Bound(9, 4, 5))


def test_without_bounds_nothing_is_known() -> None:
    assert settle([], zoned=True).allows(Bound(0, 5, 5))
