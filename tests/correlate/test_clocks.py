"""How far clocks are apart: told from the samples, and enclosed by the bound."""

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyzer
from analyzer.correlate.clocks import Clock, Samples, fit
from analyzer.report.result import Report
from tests.builder import MILLISECOND, SECOND
from tests.golden.rewriting import Record, pcap, records
from tests.recordings import recording

MICROSECOND = 1_000
BEGIN = 1_700_000_000 * SECOND


def path(
    seed: int, count: int, *, offset: int, drift: float, delay: int, span: int
) -> tuple[Samples, list[int]]:
    """Exchanges of `count` at two clocks `offset` apart, and what the offset was at each."""
    chance = random.Random(seed)
    columns: list[list[int]] = [[], [], [], []]
    apart = []
    for number in range(count):
        at = BEGIN + span * number // count
        for near in (True, False):
            # A packet leaves one host at `at` and takes a while; the clocks are read as it passes.
            taken = delay + int(chance.expovariate(1 / (delay + 1)))
            ahead = offset + round((at - BEGIN) * drift)
            apart.append(ahead)
            # The first clock sees it now if it comes from there, else when it arrives.
            first, second = (at, at + taken) if near else (at + taken, at)
            second += ahead
            rounded = first // 1_000 * 1_000, second // 1_000 * 1_000
            columns[0 if near else 2].append(rounded[0])
            columns[1 if near else 3].append(rounded[1] - rounded[0])
            at += 2 * MILLISECOND
    return Samples(*(np.array(column, dtype=np.int64) for column in columns)), apart


def said(clock: Clock, at: int) -> int:
    """By how much the clock is ahead at a time of the other, as estimated."""
    return int(clock.ahead(np.array([at + clock.offset]))[0])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 1_000),
    count=st.integers(1, 60),
    offset=st.sampled_from([0, 7, -35 * MILLISECOND, 1_700 * MILLISECOND, 3_600 * SECOND]),
    drift=st.sampled_from([0.0, 0.0, 5e-5, -5e-5]),
    delay=st.sampled_from([0, 20 * MICROSECOND, 5 * MILLISECOND]),
    turned=st.booleans(),
)
def test_the_offset_lies_within_the_bound(
    seed: int, count: int, offset: int, drift: float, delay: int, turned: bool
) -> None:
    samples, apart = path(seed, count, offset=offset, drift=drift, delay=delay, span=60 * SECOND)
    clock = fit([samples.turned() if turned else samples])
    assert clock.bound is not None
    slack = 2 * MICROSECOND
    for number in (0, len(apart) // 2, -1):
        at = BEGIN + 60 * SECOND * (number % len(apart) // 2) // count
        assert abs(said(clock, at) - apart[number]) <= clock.bound + slack


def test_drift_is_told_where_no_constant_fits() -> None:
    samples, _ = path(1, 200, offset=0, drift=5e-5, delay=20 * MICROSECOND, span=60 * SECOND)
    clock = fit([samples])
    assert clock.drift == pytest.approx(5e-5, rel=0.02)
    assert clock.bound is not None and clock.bound < 200 * MICROSECOND
    samples, _ = path(1, 200, offset=0, drift=0.0, delay=20 * MICROSECOND, span=60 * SECOND)
    assert fit([samples]).drift == 0.0


def test_packets_of_one_direction_tell_nothing() -> None:
    samples, _ = path(1, 20, offset=0, drift=0.0, delay=1_000, span=SECOND)
    nothing = np.empty(0, dtype=np.int64)
    clock = fit([Samples(samples.near_at, samples.near, nothing, nothing)])
    assert clock.bound is None and not clock.applied


def test_a_few_copies_of_other_packets_are_left_out() -> None:
    samples, _ = path(1, 400, offset=SECOND, drift=0.0, delay=50_000, span=60 * SECOND)
    samples.near[7] -= 200 * MILLISECOND
    clock = fit([samples])
    assert clock.bound is not None
    assert abs(clock.offset - SECOND) <= clock.bound < MILLISECOND


def test_a_clock_that_was_set_meanwhile_is_not_trusted() -> None:
    samples, _ = path(1, 400, offset=0, drift=0.0, delay=50_000, span=60 * SECOND)
    later = slice(200, None)
    samples.near[later] += 3 * SECOND
    samples.far[later] += 3 * SECOND
    assert fit([samples]).bound is None


def test_a_path_seen_from_its_other_end_is_the_same_path() -> None:
    samples, _ = path(3, 100, offset=5 * SECOND, drift=0.0, delay=50_000, span=60 * SECOND)
    one, two = fit([samples]), fit([samples.from_second()])
    assert one.bound is not None
    assert abs(one.offset + two.offset) <= one.bound


# --- recordings ----------------------------------------------------------------------------

SHIFTS = {
    "35 ms behind": (-35 * MILLISECOND, 0.0),
    "1.7 s ahead": (1_700 * MILLISECOND, 0.0),
    "50 ppm fast": (0, 5e-5),
    "2 s behind, 50 ppm slow": (-2 * SECOND, -5e-5),
}


def shifted(folder: Path, source: Path, offset: int, drift: float) -> Path:
    """A copy of a recording as a clock would have written it that is off."""
    link_type, frames = records(source)
    begin = frames[0].time
    moved = [
        Record(f.time + offset + round((f.time - begin) * drift), f.data, f.wire) for f in frames
    ]
    to = folder / f"{source.name}.shifted.pcap"
    to.write_bytes(pcap(link_type, moved))
    return to


def findings(report: Report) -> list[tuple[str, str, str, str]]:
    """What was found, in no order."""
    return sorted(
        (
            str(f.kind),
            f.cause,
            f.request.target if f.request else "",
            f.owner.target if f.owner else "",
        )
        for f in report.judgement.findings
    )


VANTAGES = ("client1", "client2", "host-any")


@cache
def unmoved(scenario: str) -> Report:
    """The report on the scenario's captures as they were recorded, together."""
    return analyzer.scan([recording(scenario, name) for name in VANTAGES])


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("moved", ["client1", "host-any"])
@pytest.mark.parametrize("scenario", ["story-node12", "crossed-node14", "clean-node14"])
def test_a_clock_that_is_off_changes_no_finding(
    tmp_path: Path, scenario: str, moved: str, shift: str
) -> None:
    paths = {name: recording(scenario, name) for name in VANTAGES}
    before = unmoved(scenario)
    offset, drift = SHIFTS[shift]
    paths[moved] = shifted(tmp_path, paths[moved], offset, drift)
    after = analyzer.scan(list(paths.values()))
    assert findings(after) == findings(before)
    assert after.totals == before.totals
    # The clock of the host is the reference: it saw most. Client 2 was left alone.
    for name, sign, known in (
        ("client1", 1 if moved == "client1" else -1, True),
        ("client2", -1, moved == "host-any"),
    ):
        index = next(i for i, c in enumerate(after.captures) if str(paths[name]) == c.path)
        label = paths[name].name.removesuffix(".zst")
        which = next(n for n, v in enumerate(after.tables.vantages) if v.startswith(label))
        clock = after.tables.clocks.of(which)
        assert clock.bound is not None
        expected = sign * offset if known else 0
        # A drift of 50 ppm is 50 us in every second of the recording.
        first, last = after.captures[index].first, after.captures[index].last
        assert first is not None and last is not None
        gained = abs(drift) * (last - first) * known
        assert abs(clock.offset - expected) <= clock.bound + gained + 2 * MICROSECOND
        assert clock.bound < MILLISECOND
