"""Which exchanges only hand on what another one was served, and that those teach nothing twice."""

import gzip
from pathlib import Path

import pytest

import analyzer
from analyzer.baselines.repeats import Repeats
from analyzer.correlate.view import Row, Tables
from analyzer.report.result import Report
from tests.builder import MILLISECOND, SECOND, START, Conversation, Frame, pcap, request, response
from tests.findings.proxied import APP, PROXY_AT, Proxy
from tests.findings.stable import VET, occupancy, vet_report
from tests.recordings import FOLDER


def report(folder: Path, *sides: list[Frame]) -> Report:
    """A scan of the captures of some sides."""
    names = [folder / f"side{n}.pcap" for n in range(len(sides))]
    for name, frames in zip(names, sides, strict=True):
        name.write_bytes(pcap(sorted(frames)))
    return analyzer.scan(names)


def forwarded(found: Report) -> list[tuple[str, str]]:
    """Server and target of each forwarded exchange, in the order of time."""
    tables = found.tables
    rows = [
        Row(rows[n], targets[n])
        for rows, targets in tables.judged()
        for n in tables.forwarded.among(rows).nonzero()[0].tolist()
    ]
    rows.sort(key=lambda row: row["request_time"])
    return [(tables.request(row).server, row.target.decode()) for row in rows]


def counted(tables: Tables) -> int:
    """How many exchanges are learned from."""
    return sum(len(rows) for rows, _ in tables.served())


def proxied(count: int = 6) -> Proxy:
    """A proxy that hands all on."""
    proxy = Proxy()
    proxy.ordinary(count, START)
    return proxy


def test_what_a_proxy_hands_on_counts_once(tmp_path: Path) -> None:
    proxy = proxied()
    found = report(tmp_path, proxy.front + proxy.back)
    assert [server for server, _ in forwarded(found)] == ["10.0.0.80:80"] * 12
    assert counted(found.tables) == 12


def test_what_was_handed_on_is_no_example_and_no_repetition(tmp_path: Path) -> None:
    proxy = proxied()
    tables = report(tmp_path, proxy.front + proxy.back).tables
    rows = [
        Row(one, target)
        for rows, targets in tables.judged()
        for one, target in zip(rows, targets, strict=True)
    ]
    repeats = Repeats.around(tables, rows)
    assert sum(endpoint.given.total() for endpoint in repeats.endpoints.values()) == 12
    examples = tables.examples({tables.endpoint(row) for row in rows}, but=(), most=12)
    assert sum(map(len, examples.values())) == 12
    assert all(tables.teaches(row.position) for some in examples.values() for row in some)


def test_each_side_in_a_capture_of_its_own(tmp_path: Path) -> None:
    proxy = proxied()
    assert counted(report(tmp_path, proxy.front, proxy.back).tables) == 12


def test_one_side_alone_is_all_there_is(tmp_path: Path) -> None:
    proxy = proxied()
    assert forwarded(report(tmp_path, proxy.front)) == []


def test_of_two_proxies_in_a_row_the_servers_own_counts(tmp_path: Path) -> None:
    proxy = proxied()
    frames: list[Frame] = []
    for n in range(12):
        target = f"/horses/{n // 2}/vet-report" if n % 2 == 0 else f"/paddocks/{n // 2}/occupancy"
        body = vet_report(n // 2) if n % 2 == 0 else occupancy(n // 2)
        one = Conversation(
            (f"10.0.3.{n + 1}", 30_000 + n), ("10.0.0.81", 80), isns=(n * 77_003, n * 3_000_017),
            start=START + n * SECOND // 2 - 5 * MILLISECOND, step=100_000,
        )  # fmt: skip
        one.open().ask(request(target)).wait(200 * MILLISECOND).answer(response(body)).close()
        frames += one.frames
    found = report(tmp_path, frames + proxy.front + proxy.back)
    assert counted(found.tables) == 12
    asked = {server for server, _ in forwarded(found)}
    assert asked == {"10.0.0.80:80", "10.0.0.81:80"}


def test_what_a_cache_gives_by_itself_counts(tmp_path: Path) -> None:
    proxy = proxied()
    again = Conversation(("10.0.1.77", 41_000), PROXY_AT, isns=(77, 88), start=START + 20 * SECOND)
    again.open().ask(request("/horses/3/vet-report")).answer(response(vet_report(3))).close()
    found = report(tmp_path, proxy.front + proxy.back + again.frames)
    assert counted(found.tables) == 13


@pytest.mark.parametrize(
    ("before", "behind", "many"),
    [
        (response(vet_report()), response(vet_report()), 13),
        (response(vet_report(418)), response(vet_report()), 14),  # other bytes, in the same form
        (response(b'{"message": "no"}', 504), response(vet_report()), 14),
        (response(vet_report()), None, 14),
        (None, None, 13),  # both hang: one exchange
    ],
    ids=["alike", "another's", "given up", "kept", "hangs"],
)
def test_what_differs_was_not_handed_on(
    tmp_path: Path, before: bytes | None, behind: bytes | None, many: int
) -> None:
    proxy = proxied()
    front, back = proxy.asked(VET, START + 30 * SECOND)
    for one, said in ((back, behind), (front, before)):
        one.time = max(one.time, back.time)
        if said is None:
            one.wait(SECOND)
        else:
            one.answer(said)
        one.close()
    proxy.done(front, back)
    assert counted(report(tmp_path, proxy.front + proxy.back).tables) == many


def test_a_request_that_the_proxy_asks_again_was_served_the_second_time(tmp_path: Path) -> None:
    proxy = proxied()
    front, first = proxy.asked(VET, START + 30 * SECOND)
    first.answer(response(b'{"message": "no"}', 503)).close()
    second = Conversation((PROXY_AT[0], 60_000), APP, isns=(5, 6), start=first.time).open()
    second.ask(request(VET)).answer(response(vet_report())).close()
    front.time = second.time
    front.answer(response(vet_report())).close()
    frames = proxy.front + proxy.back + front.frames + first.frames + second.frames
    found = report(tmp_path, frames)
    assert counted(found.tables) == 14  # what failed was served as well, to the proxy
    assert len(forwarded(found)) == 13


def test_bodies_that_a_proxy_compresses(tmp_path: Path) -> None:
    """Where nearly all bodies are changed on the way their forms tell."""
    fields = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n"
    proxy = Proxy()
    for n in range(8):
        front, back = proxy.asked(f"/horses/{n}/vet-report", START + n * SECOND)
        back.answer(response(vet_report(n))).close()
        front.time = back.time
        front.answer(response(gzip.compress(vet_report(n)), fields=fields)).close()
        proxy.done(front, back)
    assert counted(report(tmp_path, proxy.front + proxy.back).tables) == 8


def test_two_services_that_are_asked_for_the_same_one_after_the_other(tmp_path: Path) -> None:
    proxy = proxied()
    moved = [Frame(frame.time + 90 * SECOND, frame.packet) for frame in proxy.back]
    assert forwarded(report(tmp_path, proxy.front, moved)) == []


def test_real_proxies(tmp_path: Path) -> None:
    """All that nginx hands on in a recording is paired, whatever Host name it asks by."""
    folder = FOLDER / "honest-nginx-both-sides-node12"
    found = analyzer.scan([folder / "proxy-front.pcap.zst", folder / "proxy-back.pcap.zst"])
    back = analyzer.scan([folder / "proxy-back.pcap.zst"])
    every = sum(len(rows) for rows, _ in found.tables.judged())
    behind = sum(len(rows) for rows, _ in back.tables.judged())
    assert len(forwarded(found)) == behind
    assert counted(found.tables) == every - behind
