"""How much was judged: status 3, reasons and advice, and a verdict about no more than that."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from analyzer.anomalies import SENTENCES, Anomalies
from analyzer.correlate.model import Request
from analyzer.findings.model import MOST_UNDECIDED, Judgement, Undecided
from analyzer.matching.capture_limits import why
from analyzer.report.coverage import _OF_OTHERS, _OF_REQUESTS, coverage
from analyzer.tables import Flag
from tests.builder import (
    SECOND,
    START,
    Conversation,
    Frame,
    in_time,
    packet,
    pcap,
    request,
    response,
)
from tests.findings.stable import LATER, VET, ordinary, swap, talk, vet_report
from tests.report.test_command import SCHEMA, run

WELL = "no response fits another request better than its own"
TLS = bytes.fromhex("16030100800100007c0303") + bytes(117)
SERVER_HELLO = bytes.fromhex("160303004a020000460303") + bytes(70)


def of_side(frames: Sequence[Frame], *, server: bool) -> list[Frame]:
    """What one side of the ordinary traffic sent."""
    return [f for f in frames if (f.packet[20:22] == (8080).to_bytes(2, "big")) == server]


def started_late(number: int = 1) -> Conversation:
    """A connection that was open before the capture began."""
    return Conversation(
        (f"10.0.3.{number}", 5_000), isns=(number * 1_009, number * 7_777), start=LATER - SECOND
    ).open(captured=False)


def udp() -> list[Frame]:
    """A datagram."""
    whole = bytearray(packet(("10.0.0.1", 53), ("10.0.0.2", 53), 1))
    whole[9] = 17
    return [Frame(START, bytes(whole))]


CASES: dict[str, tuple[list[Frame], dict[str, tuple[str, int]], str]] = {
    "empty": ([], {"no-frames": ("captures", 1)}, "check the interface"),
    "udp": (udp(), {"no-tcp": ("frames", 1)}, "check the interface"),
    "handshake": (talk().close().frames, {"no-http": ("frames", 7)}, "check the interface"),
    "tls": (
        talk().ask(TLS).answer(SERVER_HELLO).close().frames,
        {"tls": ("connections", 1)},
        "behind the load balancer",
    ),
    "http2": (
        talk().ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)).close().frames,
        {"http2": ("connections", 1)},
        "behind the load balancer",
    ),
    "other": (
        talk().ask(b"hello\0\1\2").answer(b"SSH-2.0-OpenSSH\r\n").close().frames,
        {"not-http": ("connections", 1)},
        "Follow TCP Stream",
    ),
    "requests only": (
        of_side(ordinary(), server=False),
        {"one-way": ("requests", 16)},
        "both directions",
    ),
    "responses only": (
        of_side(ordinary(), server=True),
        {
            "response-without-request": ("responses", 16),
            "direction-not-captured": ("connections", 8),
        },
        "both directions",
    ),
    "open at the end": (
        talk().ask(request(VET)).frames,
        {"open-at-end": ("requests", 1)},
        "run on for some seconds",
    ),
    "a late start": (
        started_late().answer(response(vet_report())).frames,
        {"response-without-request": ("responses", 1)},
        "before the connections are opened",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_status_3_when_nothing_could_be_judged(case: str, tmp_path: Path) -> None:
    frames, reasons, advice = CASES[case]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames))
    done = run("scan", path)
    text = " ".join(done.stdout.decode().split())
    assert done.returncode == 3 and not done.stderr
    assert "Nothing could be judged. This does not mean that all is well." in text
    assert "No finding" not in text and WELL not in text
    assert advice in text
    told = run("scan", path, "--json", "-")
    assert told.returncode == 3
    report: dict[str, Any] = json.loads(told.stdout)
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(report)
    assert report["totals"]["judged"] == 0
    assert {one["reason"]: (one["what"], one["count"]) for one in report["unjudged"]} == reasons
    assert all(one["why"] and one["advice"] for one in report["unjudged"])
    # Where standard output is another program's, a person is told all the same.
    (line,) = told.stderr.decode().splitlines()
    assert line.startswith("wrangler-forensics: nothing could be judged: ")
    assert report["unjudged"][0]["why"] in line


def test_explain_has_the_same_status(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(b"")
    done = run("explain", path)
    assert done.returncode == 3
    assert b"Nothing could be judged" in done.stdout


def some(path: Path, *more: Sequence[Frame]) -> None:
    """Sixteen exchanges that are judged, and ten that cannot be."""
    outstanding = [talk(50 + n).ask(request(VET)).frames for n in range(7)]
    late = [started_late(n).ask(request(VET)).close().frames for n in range(1, 4)]
    path.write_bytes(pcap(in_time(ordinary(), *outstanding, *late, *more)))


def test_a_verdict_is_about_what_was_judged(tmp_path: Path) -> None:
    some(tmp_path / "c.pcap")
    done = run("scan", tmp_path / "c.pcap")
    assert done.returncode == 0
    assert done.stdout.decode().splitlines()[:6] == [
        "No finding.",
        f"Judged 16 of 26 exchanges: {WELL}.",
        "Checked of each: did a response come, did all of it come, and whose is it.",
        "10 could not be judged:",
        "  7 because the capture ends while they are outstanding",
        "  3 because they follow a gap or a late start of the capture",
    ]


def test_beside_findings_it_says_what_was_judged_as_well(tmp_path: Path) -> None:
    one, two = swap()
    some(tmp_path / "c.pcap", one.wait(60 * SECOND).frames, two.frames)
    done = run("scan", tmp_path / "c.pcap")
    assert done.returncode == 1
    lines = [line.rstrip() for line in done.stdout.decode().splitlines()]
    assert "1 incident, 1 finding (1 unanswered). Judged 18 of 28 exchanges." in lines
    assert "10 could not be judged:" in lines
    assert WELL not in " ".join(lines)


def test_one_is_told_in_the_singular(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), talk().ask(request(VET)).frames)))
    assert (
        "\n1 could not be judged:\n  1 because the capture ends while it is outstanding\n"
    ) in run("scan", path).stdout.decode()
    path.write_bytes(pcap(talk().ask(request(VET)).answer(response(vet_report())).close().frames))
    text = run("scan", path).stdout.decode()
    assert "11 frames, 1 HTTP connection, " in " ".join(text.split())
    assert f"Judged 1 of 1 exchange: {WELL}." in text


def test_what_is_worth_a_look_is_not_called_well(tmp_path: Path) -> None:
    one = talk().ask(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx").close()
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames)))
    done = run("scan", path)
    assert done.returncode == 0
    assert "Judged 17 of 17 exchanges: 1 is worth a look." in done.stdout.decode()
    assert WELL not in done.stdout.decode()


def test_a_tunnel_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    via = talk().ask(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").answer(response(b""))
    path.write_bytes(pcap(via.ask(TLS).answer(SERVER_HELLO).close().frames))
    report = json.loads(run("scan", path, "--json", "-").stdout)
    assert report["totals"]["judged"] == 1
    (one,) = report["unjudged"]
    assert (one["reason"], one["what"], one["count"]) == ("tunnel", "tunnels", 1)
    assert one["why"] == "CONNECT opened it, and what it carries is no HTTP/1.x"


# --- counting -------------------------------------------------------------------------------------


def undecided(count: int, text: str) -> list[Undecided]:
    """Requests that could not be judged."""
    asked = Request("GET", "/", "GET /", "1.1.1.1:1", "2.2.2.2:2", START, 1, 0, 0)
    return [Undecided(asked, text)] * count


def test_every_reason_of_a_request_has_its_words() -> None:
    flags = [flag for flag in Flag if flag in Flag.LOSS | Flag.DAMAGED]
    reasons = {why({"flags": int(flag)}) for flag in (*flags, Flag(0))}  # type: ignore[arg-type]
    assert reasons == set(_OF_REQUESTS)
    for reason in (*_OF_REQUESTS.values(), *(reason for _, reason in _OF_OTHERS)):
        assert reason.advice
        # A line each at 80 columns.
        assert all(len(text) <= 76 for text in reason.advice)
        assert len(f"  1,234 because {reason.many}") <= 80


def test_what_never_became_a_request_is_an_anomaly() -> None:
    assert {reason.name for _, reason in _OF_OTHERS} <= set(SENTENCES)


def test_the_most_common_reason_comes_first() -> None:
    every = [*undecided(2, "its connection was open before the capture began"),
            *undecided(3, "a reason that is new")]  # fmt: skip
    judged = Judgement(requests=9, undecided=every, undecided_total=5)
    found = coverage(judged, 0, Anomalies(), ())
    assert found.judged == 4
    assert [(one.reason, one.count) for one in found.unjudged] == [("other", 3), ("midstream", 2)]
    assert found.unjudged[0].why == "a reason that is new"
    assert found.unjudged[1].why == "their connections were open before the capture began"


def test_more_than_are_listed_are_counted() -> None:
    listed = undecided(MOST_UNDECIDED, "the capture ends while it is outstanding")
    judged = Judgement(requests=5_000, undecided=listed, undecided_total=4_000)
    found = coverage(judged, 900, Anomalies(), ())
    counts = Counter({one.reason: one.count for one in found.unjudged})
    assert counts == {"open-at-end": 1_000, "not-listed": 3_000, "odd-limit": 900}
    assert found.judged == 100
    # Odd responses without a request may be more than there are requests.
    assert coverage(judged, 9_000, Anomalies(), ()).judged == 0


def test_lone_responses_take_no_request_away() -> None:
    judged = Judgement(requests=3, undecided=[], undecided_total=2)
    assert coverage(judged, 0, Anomalies(), ()).judged == 3


def test_what_names_nothing_is_said(tmp_path: Path) -> None:
    """Ten horses' weights, and nothing in them that says whose."""
    parts = []
    for n in range(10):
        one = talk(60 + n, start=START + n * SECOND).ask(request(f"/horses/{n + 311}/weight"))
        parts.append(one.answer(response(b'{"kg":%d}' % (400 + 7 * n))).close().frames)
    path = tmp_path / "all.pcap"
    path.write_bytes(pcap(in_time(*parts, ordinary())))
    text = " ".join(run("scan", path).stdout.decode().split())
    assert "10 are of endpoints whose responses name nothing that was asked for" in text
    report = json.loads(run("scan", path, "--json", "-").stdout)
    assert report["totals"]["nameless"] == 10
