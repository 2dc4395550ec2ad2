"""Both sides of a proxy tell what the side behind it tells: seen twice is no second opinion."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import TempPathFactory

import analyzer
from analyzer.findings.model import Kind
from analyzer.report.result import Report
from tests.builder import MILLISECOND, SECOND, START, Frame, as_json, pcap, response
from tests.findings.proxied import Proxy
from tests.findings.stable import occupancy, vet_report
from tests.recordings import FOLDER

MANY = 10  # ordinary exchanges of each endpoint before, and as many behind
GIVEN_UP = response(as_json({"message": "no answer in time"}), 504)
Thing = tuple[str, bytes]  # target and body


def things(number: int) -> tuple[Thing, Thing, Thing]:
    """What may be asked for under a number; the last one names nothing."""
    boots = as_json({"age": 20 + number % 40, "boots": {"size": 36 + number % 9}})
    return (
        (f"/horses/{number}/vet-report", vet_report(number)),
        (f"/paddocks/{number}/occupancy", occupancy(number)),
        (f"/grooms/groom{number:03d}", boots),
    )


def exchange(proxy: Proxy, target: str, said: bytes | None, at: int, wait: int) -> None:
    """A client asks through a proxy, and is told what the proxy was told, if anything."""
    front, back = proxy.asked(target, at)
    back.wait(wait)
    front.time = back.time + MILLISECOND
    for one in (back, front):
        if said is not None:
            one.answer(said)
        one.close()
    proxy.done(front, back)


def honest(proxy: Proxy, start: int, first: int) -> None:
    for n in range(first, first + MANY):
        for m, (target, body) in enumerate(things(n)):
            at = start + (n - first) * SECOND + m * SECOND // 4
            exchange(proxy, target, response(body), at, (5 + n % 7) * MILLISECOND)


def crossed(proxy: Proxy, one: Thing, two: Thing, at: int) -> None:
    """Each is given the other's."""
    exchange(proxy, one[0], response(two[1]), at, 40 * MILLISECOND)
    exchange(proxy, two[0], response(one[1]), at + 3 * MILLISECOND, 40 * MILLISECOND)


def stolen(proxy: Proxy, one: Thing, two: Thing, at: int) -> None:
    """One hangs, and the other is given its response."""
    exchange(proxy, one[0], None, at, 3 * SECOND)
    exchange(proxy, two[0], response(one[1]), at + 500 * MILLISECOND, 20 * MILLISECOND)


def late(proxy: Proxy, one: Thing, two: Thing, at: int) -> None:
    """One is given up on, and the next is given its response."""
    exchange(proxy, one[0], GIVEN_UP, at, SECOND)
    exchange(proxy, two[0], response(one[1]), at + 2 * SECOND, 20 * MILLISECOND)


def copied(proxy: Proxy, one: Thing, two: Thing, at: int) -> None:
    """Both are given one's."""
    exchange(proxy, one[0], response(one[1]), at, 40 * MILLISECOND)
    exchange(proxy, two[0], response(one[1]), at + 3 * MILLISECOND, 45 * MILLISECOND)


Incident = Callable[[Proxy, Thing, Thing, int], None]


def told(report: Report) -> list[tuple[str, str | None, str]]:
    """What each swap is said to be: target, the rightful request's, and how sure."""
    return sorted(
        (f.request.target, f.owner.target if f.owner else None, f.confidence)
        for f in report.judgement.findings
        if f.kind is Kind.MISDELIVERED and f.request
    )  # fmt: skip


def scan(folder: Path, name: str, frames: list[Frame]) -> Report:
    path = folder / f"{name}.pcap"
    path.write_bytes(pcap(sorted(frames)))
    return analyzer.scan(path)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([crossed, stolen, late, copied]),
            st.permutations([0, 1, 2]),
            st.integers(200, 900),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_side_more_is_no_evidence(
    tmp_path_factory: TempPathFactory, incidents: list[tuple[Incident, list[int], int]]
) -> None:
    proxy = Proxy()
    honest(proxy, START, 10)
    for n, (happens, which, number) in enumerate(incidents):
        one, two = things(number + n)[which[0]], things(number + n + 50)[which[1]]
        happens(proxy, one, two, START + (20 + 10 * n) * SECOND)
    honest(proxy, START + 60 * SECOND, 40)
    folder = tmp_path_factory.mktemp("sides")
    behind, both = scan(folder, "back", proxy.back), scan(folder, "any", proxy.front + proxy.back)
    assert told(both) == told(behind)
    assert told(behind)


@pytest.mark.parametrize("name", ["crossed-behind-nginx-node22", "stolen-behind-haproxy-node14"])
def test_real_ones(name: str) -> None:
    sides = [FOLDER / name / f"proxy-{side}.pcap.zst" for side in ("front", "back")]
    assert told(analyzer.scan(sides)) == told(analyzer.scan(sides[1]))
