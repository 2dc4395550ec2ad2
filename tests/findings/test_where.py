"""Where: what each vantage saw, losses between two, and the two sides of a proxy."""

import itertools
from pathlib import Path

import pytest

import analyzer
from analyzer.findings.model import Finding, Verdict
from analyzer.report.result import Report
from tests.builder import MILLISECOND, SECOND, Conversation, Frame, pcap, request, response
from tests.findings.proxied import PROXY_AT, Proxy, busy
from tests.findings.stable import LATER, OCCUPANCY, VET, occupancy, ordinary, talk, vet_report
from tests.recordings import recording, recordings, truth
from tests.tools import found

DELAY = 30_000  # ns between two vantages


def captures(folder: Path, **files: list[Frame]) -> Report:
    """A scan of several captures, by name."""
    for name, frames in files.items():
        (folder / f"{name}.pcap").write_bytes(pcap(sorted(frames)))
    return analyzer.scan([folder / f"{name}.pcap" for name in files])


def later(frames: list[Frame]) -> list[Frame]:
    """Frames as the next vantage on the way to the server sees them."""
    towards = [DELAY if f.packet[12:15] == bytes([10, 0, 1]) else -DELAY for f in frames]
    return [Frame(f.time + by, f.packet) for f, by in zip(frames, towards, strict=True)]


def again(number: int, start: int) -> list[Frame]:
    """An ordinary connection of the client of `talk(1)`, with numbers of its own."""
    one = Conversation(
        ("10.0.1.1", 50_000 + number), isns=(number * 7_919, number * 104_729), start=start
    )
    return one.open().ask(request(VET)).answer(response(vet_report())).close().frames


def around() -> list[Frame]:
    """Ordinary connections of that client before and after what happens at LATER."""
    times = [LATER - 50 * SECOND, LATER - 40 * SECOND, LATER + 80 * SECOND, LATER + 90 * SECOND]
    return [f for n, time in enumerate(times) for f in again(n, time)]


def only(report: Report) -> Finding:
    """The one finding."""
    assert len(report.judgement.findings) == 1
    return report.judgement.findings[0]


def verdicts(finding: Finding) -> dict[str, str]:
    """What is said of each cause."""
    return {cause.cause: str(cause.verdict) for cause in finding.causes}


def seen(report: Report, finding: Finding) -> list[tuple[str, bool, bool]]:
    """(vantage, whether it saw the request, whether the response), nearest the client first."""
    return [
        (
            report.tables.vantages[s.vantage].removesuffix(".pcap"),
            s.request_frame is not None,
            s.response_frame is not None,
        )
        for s in finding.seen
    ]


# --- between two vantages ------------------------------------------------------------------


def answered_in_vain() -> tuple[list[Frame], list[Frame]]:
    """A request whose answer is repeated beside the server and never comes to the client."""
    one = talk(1).ask(request(VET))
    near, far = list(one.frames), later(one.frames)
    for wait in (1, 2, 4):
        one.wait(wait * SECOND)
        one.frames = []
        one.send(1, response(vet_report()), seq=one.next[1])
        far += later(one.frames)
    one.frames = []
    one.wait(5 * SECOND).fin(0)
    return near + one.frames, far + later(one.frames)


@pytest.mark.parametrize("order", list(itertools.permutations(["client", "server"])))
@pytest.mark.parametrize("apart", [0, -35 * MILLISECOND, 1_700 * MILLISECOND])
def test_a_response_lost_between_two_vantages(
    tmp_path: Path, apart: int, order: tuple[str, str]
) -> None:
    near, far = answered_in_vain()
    files = {
        "client": [Frame(f.time + apart, f.packet) for f in near + around()],
        "server": far + later(around()) + ordinary(),
    }
    report = captures(tmp_path, **{name: files[name] for name in order})
    finding = only(report)
    assert finding.cause == "network/lost"
    assert verdicts(finding)["server/silent"] == Verdict.RULED_OUT
    assert seen(report, finding) == [("client", True, False), ("server", True, True)]
    assert any("never at client.pcap" in fact.fact for fact in finding.evidence)


def test_the_same_with_the_clients_capture_alone_blames_no_network(tmp_path: Path) -> None:
    near, _ = answered_in_vain()
    finding = only(captures(tmp_path, client=near + around() + ordinary()))
    assert finding.cause != "network/lost"


def test_a_capture_that_has_ended_says_nothing_of_what_came_later(tmp_path: Path) -> None:
    near, far = answered_in_vain()
    early = [f for f in near + around() if f.time < LATER + SECOND // 2]
    report = captures(tmp_path, client=early, server=far + later(around()) + ordinary())
    for finding in report.judgement.findings:
        assert not any("never at client" in fact.fact for fact in finding.evidence)


def unheard() -> list[Frame]:
    """A request on a new connection that is repeated and never acknowledged."""
    one = talk(1)
    for wait in (0, 1, 2, 4):
        one.wait(wait * SECOND).send(0, request(VET), seq=one.next[0])
    return one.wait(3 * SECOND).reset(0).frames


def test_a_request_lost_on_the_way_to_a_vantage(tmp_path: Path) -> None:
    report = captures(
        tmp_path, client=unheard() + around(), server=later(around()) + later(ordinary())
    )
    finding = only(report)
    assert finding.cause == "network/lost"
    assert seen(report, finding) == [("client", True, False), ("server", False, False)]
    assert finding.seen[1].whole and finding.seen[1].connection is None
    assert any("never at server.pcap" in fact.fact for fact in finding.evidence)


def test_a_vantage_that_never_sees_this_client_has_not_missed_anything(tmp_path: Path) -> None:
    report = captures(
        tmp_path, client=unheard() + around(), server=later(ordinary()) + later(again(7, LATER))
    )
    finding = only(report)
    assert seen(report, finding) == [("client", True, False)]


def test_a_swap_says_where_it_was_first_wrong(tmp_path: Path) -> None:
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(request(VET))
    two.time = one.time + 20 * MILLISECOND
    two.ask(request(OCCUPANCY)).answer(response(vet_report())).close()
    one.wait(9 * SECOND).close()
    near, far = one.frames + two.frames, later(one.frames + two.frames)
    report = captures(
        tmp_path,
        client=near + around(),
        server=far + later(around()) + ordinary(),
    )
    first = report.judgement.findings[0]
    assert [k for k, *_ in found(report)] == ["misdelivered", "unanswered"]
    stray = next(f for f in report.judgement.findings if f.kind == "misdelivered")
    assert [s.first_wrong for s in stray.seen] == [False, True]
    assert first.incident == report.judgement.findings[1].incident


# --- through a proxy -----------------------------------------------------------------------


def crossed(proxy: Proxy, *, by_the_server: bool) -> None:
    """Two clients get each other's answers."""
    one = proxy.asked(VET, LATER)
    two = proxy.asked(OCCUPANCY, LATER + 5 * MILLISECOND)
    right = [response(vet_report()), response(occupancy())]
    wrong = right[::-1]
    for n, (front, back) in enumerate((one, two)):
        back.time = LATER + (50 + n) * MILLISECOND
        back.answer((wrong if by_the_server else right)[n]).close()
        front.time = LATER + (100 + n) * MILLISECOND
        proxy.done(front.answer(wrong[n]).close(), back)


@pytest.mark.parametrize("address", [PROXY_AT[0], "10.9.9.9"], ids=["one address", "two"])
def test_right_behind_the_proxy_and_wrong_before_it(tmp_path: Path, address: str) -> None:
    proxy = busy(address)
    crossed(proxy, by_the_server=False)
    report = captures(tmp_path, proxy=proxy.front + proxy.back)
    assert [f.kind for f in report.judgement.findings] == ["misdelivered"] * 2
    for finding in report.judgement.findings:
        assert finding.cause == "proxy/crossed"
        assert verdicts(finding)["server/crossed"] == Verdict.RULED_OUT
        assert [(s.leg, s.first_wrong) for s in finding.seen] == [("front", True), ("back", False)]


def test_what_all_ask_for_at_once_hides_no_proxy(tmp_path: Path) -> None:
    proxy = busy("10.9.9.9")
    crossed(proxy, by_the_server=False)
    for n in range(30):
        asked = [proxy.asked("/barn", LATER + SECOND + n * SECOND // 4) for _ in range(3)]
        for front, back in asked:
            back.wait(20 * MILLISECOND).answer(response(b"[]")).close()
            front.time = back.time
            proxy.done(front.answer(response(b"[]")).close(), back)
    report = captures(tmp_path, proxy=proxy.front + proxy.back)
    assert [f.cause for f in report.judgement.findings] == ["proxy/crossed"] * 2


@pytest.mark.parametrize("off", [0, 2 * SECOND, -30 * SECOND])
def test_two_captures_that_share_no_packet(tmp_path: Path, off: int) -> None:
    """The traffic itself shows whether the two clocks agree; where they don't, nothing is said."""
    proxy = busy()
    crossed(proxy, by_the_server=False)
    back = [Frame(f.time + off, f.packet) for f in proxy.back]
    report = captures(tmp_path, client=proxy.front, origin=back)
    assert [f.kind for f in report.judgement.findings] == ["misdelivered"] * 2
    for finding in report.judgement.findings:
        assert (finding.cause == "proxy/crossed") is (off == 0)
        assert verdicts(finding)["proxy/crossed"] != Verdict.RULED_OUT


def test_wrong_behind_the_proxy_already(tmp_path: Path) -> None:
    proxy = busy()
    crossed(proxy, by_the_server=True)
    report = captures(tmp_path, proxy=proxy.front + proxy.back)
    assert len(report.judgement.findings) == 2
    assert len({f.incident for f in report.judgement.findings}) == 1
    for finding in report.judgement.findings:
        assert finding.cause == "server/crossed"
        assert finding.request is not None
        assert finding.request.server.startswith(PROXY_AT[0])
        assert verdicts(finding)["proxy/crossed"] == Verdict.RULED_OUT
        assert any(fact.fact.startswith("behind the proxy: ") for fact in finding.evidence)
        assert [s.leg for s in finding.seen if s.first_wrong] == ["back"]


def test_with_one_side_of_the_proxy_nothing_is_said_of_it(tmp_path: Path) -> None:
    proxy = busy()
    crossed(proxy, by_the_server=False)
    report = captures(tmp_path, client=proxy.front)
    for finding in report.judgement.findings:
        assert finding.cause != "proxy/crossed"
        assert any("does not show" in fact.fact for fact in finding.evidence)


def test_equal_requests_at_one_time_are_not_told_apart(tmp_path: Path) -> None:
    """Each client waits for the same target: which of them is behind the proxy is left open."""
    proxy = busy()
    crossed(proxy, by_the_server=False)
    for n in range(3):
        for target in (VET, OCCUPANCY):
            front, back = proxy.asked(target, LATER - 2 * MILLISECOND + n * MILLISECOND)
            body = vet_report() if target == VET else occupancy()
            back.time = LATER + (60 + n) * MILLISECOND
            back.answer(response(body)).close()
            front.time = LATER + (110 + n) * MILLISECOND
            proxy.done(front.answer(response(body)).close(), back)
    report = captures(tmp_path, proxy=proxy.front + proxy.back)
    for finding in report.judgement.findings:
        assert finding.cause != "proxy/crossed"
        assert {s.leg for s in finding.seen} == {""}


def test_what_both_sides_show_is_told_once_whoever_asks_for_the_same(tmp_path: Path) -> None:
    proxy = busy()
    for target, body in ((VET, vet_report()), (OCCUPANCY, occupancy())):
        front, back = proxy.asked(target, LATER - 2 * MILLISECOND)
        back.time = LATER + 60 * MILLISECOND
        back.answer(response(body)).close()
        front.time = LATER + 120 * MILLISECOND
        proxy.done(front.answer(response(body)).close(), back)
    crossed(proxy, by_the_server=True)
    findings = captures(tmp_path, proxy=proxy.front + proxy.back).judgement.findings
    assert sorted(f.request.target for f in findings if f.request) == [VET, OCCUPANCY]


def test_a_response_that_the_proxy_kept(tmp_path: Path) -> None:
    proxy = busy()
    front, back = proxy.asked(VET, LATER)
    back.answer(response(vet_report())).close()
    proxy.done(front.wait(9 * SECOND).close(), back)
    finding = only(captures(tmp_path, proxy=proxy.front + proxy.back))
    assert finding.cause == "proxy/crossed"
    assert verdicts(finding)["server/silent"] == Verdict.RULED_OUT


def test_a_server_that_is_silent_to_its_proxy(tmp_path: Path) -> None:
    proxy = busy()
    front, back = proxy.asked(VET, LATER)
    front.wait(9 * SECOND).close()
    back.time = front.time
    proxy.done(front, back.close())
    report = captures(tmp_path, proxy=proxy.front + proxy.back)
    assert [(f.kind, f.cause) for f in report.judgement.findings] == [
        ("unanswered", "server/silent")
    ]


def test_a_request_that_the_proxy_kept(tmp_path: Path) -> None:
    proxy = busy()
    front, _ = proxy.asked(VET, LATER)
    proxy.front += front.wait(9 * SECOND).close().frames
    finding = only(captures(tmp_path, proxy=proxy.front + proxy.back))
    assert finding.cause == "proxy/crossed"


# --- recordings ----------------------------------------------------------------------------

PLACED = {
    "answer-lost-node22": ("client1", "container"),
    "untranslated-node16": ("client1", "host-any"),
    "request-lost-node12": ("client1", "host-any"),
    "conntrack-reset-node14": ("client1", "container"),
    "proxy-mixes-node16": ("client1", "client2", "proxy"),
    "proxy-loses-node22": ("client2", "host-any"),
}


@pytest.mark.parametrize("scenario", PLACED)
def test_recorded_faults_are_placed(scenario: str) -> None:
    planted = truth(scenario)["planted"]
    for order in itertools.permutations(PLACED[scenario]):
        report = analyzer.scan([recording(scenario, vantage) for vantage in order])
        causes = {f.request.target: f.cause for f in report.judgement.findings if f.request}
        assert causes == {fault["request"]["target"]: fault["cause"] for fault in planted}


PARTIAL = ("mid-stream-node14", "capture-loss-node20")
HONEST = ("honest-nginx-node14", "honest-haproxy-node20", "health-checks-node12", *PARTIAL)
SOME = ("story-node12", "crossed-node14", "double-answer-node20", "port-reused-node22")


@pytest.mark.parametrize("scenario", [*HONEST, *SOME])
def test_captures_together_agree_in_every_combination(scenario: str) -> None:
    """Whatever is given with the host's capture: the same findings, the same counts."""
    paths = {r.vantage: r.path for r in recordings() if r.scenario == scenario}
    alone = analyzer.scan(paths["host-any"])
    others = sorted(set(paths) - {"host-any"})
    for size in range(1, len(others) + 1):
        for chosen in itertools.combinations(others, size):
            for order in ((*chosen, "host-any"), ("host-any", *chosen[::-1])):
                report = analyzer.scan([paths[name] for name in order])
                assert found(report) == found(alone)
                if scenario not in PARTIAL:
                    assert report.totals["requests"] == alone.totals["requests"]
                    assert report.totals["answered"] == alone.totals["answered"]
                    assert report.totals["connections"] == alone.totals["connections"]
                assert report.totals["undecided"] <= alone.totals["undecided"]
