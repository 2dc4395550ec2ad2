"""Verdicts by what the protocol demands: no example of the endpoint is needed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.baselines.demands import BEFORE, HABIT, MOST_BROKEN, Demands
from analyzer.features.demanded import accept_of
from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.report.result import Report
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    START,
    Frame,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, ordinary, talk
from tests.tools import scanned

TOTAL = 400_000
BYTES = "Content-Type: application/octet-stream\r\n"


def part(first: int, target: str = "/chain.tar") -> bytes:
    """A request for a thousand bytes of a file."""
    return request(target, fields=f"Range: bytes={first}-{first + 999}\r\n")


def given(first: int, *, body: bytes = b"") -> bytes:
    """The response with a thousand bytes from `first` on."""
    fields = f"{BYTES}Content-Range: bytes {first}-{first + 999}/{TOTAL}\r\n"
    return response(body or first.to_bytes(4, "big") * 250, 206, fields=fields)


def known(tag: str) -> bytes:
    return request("/catalogue", fields=f'If-None-Match: "{tag}"\r\n')


def unchanged(tag: str) -> bytes:
    return f'HTTP/1.1 304 Not Modified\r\nETag: "{tag}"\r\n\r\n'.encode()


def key(number: int) -> str:
    return f"{number:022d}=="


def upgrade(number: int) -> bytes:
    fields = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key(number)}\r\n"
    return request("/feed", fields=fields)


def switched(number: int) -> bytes:
    accept = accept_of(key(number))
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ).encode()


def two(ask: Callable[[int], bytes], answer: Callable[[int], bytes]) -> list[Frame]:
    """Two clients that ask at once and get each other's response."""
    one, other = talk(1), talk(2, start=LATER + 2 * MILLISECOND)
    one.ask(ask(5000)).wait(80 * MILLISECOND).answer(answer(9000)).close()
    other.ask(ask(9000)).wait(50 * MILLISECOND).answer(answer(5000)).close()
    return in_time(one.frames, other.frames)


def end(ask: bytes, answer: bytes) -> list[Frame]:
    return talk(99, start=LATER + 300 * SECOND).ask(ask).answer(answer).close().frames


def strayed(report: Report) -> list[Finding]:
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


def owners(report: Report) -> list[tuple[str, str]]:
    """Who got the response of whom, by their addresses."""
    return [
        (f.request.client.split(":")[0], f.owner.client.split(":")[0])
        for f in strayed(report)
        if f.request is not None and f.owner is not None
    ]


def call(number: int) -> bytes:
    body = as_json({"jsonrpc": "2.0", "id": f"call-{number}", "method": "list"})
    fields = "Content-Type: application/json\r\n"
    return request("/rpc", "POST", body=body, fields=fields)


def result(number: int) -> bytes:
    body = as_json({"jsonrpc": "2.0", "id": f"call-{number}", "result": ["hay", "oats"]})
    return response(b"data: " + body + b"\n\n", fields="Content-Type: text/event-stream\r\n")


BOTH = [("10.0.1.2", "10.0.1.1"), ("10.0.1.1", "10.0.1.2")]


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (part, given),
        (lambda n: known(f"t{n}"), lambda n: unchanged(f"t{n}")),
        (upgrade, switched),
        (call, result),
    ],
    ids=["range", "etag", "websocket", "json-rpc"],
)
def test_two_crossed_ones_are_a_swap_without_any_example(
    tmp_path: Path, ask: Callable[[int], bytes], answer: Callable[[int], bytes]
) -> None:
    report = scanned(tmp_path, in_time(two(ask, answer), end(ask(1), answer(1))))
    assert sorted(owners(report)) == sorted(BOTH)
    assert {f.confidence for f in strayed(report)} <= {Confidence.CERTAIN, Confidence.LIKELY}


def several(count: int, ask: Callable[[int], bytes], answer: Callable[[int], bytes]) -> list[Frame]:
    """Clients that load one part each, and get it."""
    parts = []
    for number in range(count):
        one = talk(100 + number, start=START + number * SECOND)
        first = 100_000 + number * 1000
        parts.append(one.ask(ask(first)).answer(answer(first)).close().frames)
    return in_time(*parts)


def test_a_part_goes_to_another_and_its_owner_hangs(tmp_path: Path) -> None:
    one = talk(1).ask(part(5000)).wait(20 * SECOND).fin(CLIENT)
    other = talk(2, start=LATER + SECOND).ask(part(9000)).answer(given(5000)).close()
    frames = in_time(several(60, part, given), one.frames, other.frames, end(part(0), given(0)))
    report = scanned(tmp_path, frames)
    assert owners(report) == [("10.0.1.2", "10.0.1.1")]


def test_a_cache_that_forgets_the_range(tmp_path: Path) -> None:
    """It gives the part that one client asked for to the next one, which asked for another."""
    one = talk(1).ask(part(5000)).answer(given(5000)).close()
    other = talk(2, start=LATER + SECOND).ask(part(9000)).answer(given(5000)).close()
    frames = in_time(several(60, part, given), one.frames, other.frames, end(part(0), given(0)))
    assert owners(scanned(tmp_path, frames)) == [("10.0.1.2", "10.0.1.1")]


def test_one_that_fits_nobody_is_a_notice(tmp_path: Path) -> None:
    one = talk(1).ask(part(5000)).answer(given(7000)).close()
    frames = in_time(several(60, part, given), one.frames, end(part(0), given(0)))
    judgement = scanned(tmp_path, frames).judgement
    assert judgement.findings == []
    (notice,) = judgement.notices
    assert "by the protocol" in notice.notice
    assert any("Range: bytes=5000-5999" in one.fact for one in notice.weighed)


def test_a_tag_is_compared_and_not_told(tmp_path: Path) -> None:
    report = scanned(
        tmp_path, two(lambda n: known(f"secret{n}"), lambda n: unchanged(f"secret{n}"))
    )
    facts = [one.fact for finding in strayed(report) for one in finding.weighed]
    assert any("If-None-Match" in fact for fact in facts)
    assert not any("secret" in fact for fact in facts)


def whole(body: bytes = b"x" * 4000) -> bytes:
    return response(body, fields=BYTES)


def aligned(first: int) -> bytes:
    """What a server sends that begins every part at a block of its own."""
    return given(first // 4096 * 4096)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((given(5000), given(9000)), id="what was asked"),
        pytest.param((whole(), whole()), id="the Range is ignored"),
        pytest.param((given(5000), whole()), id="the Range is ignored once"),
        pytest.param(
            (
                response(b"ab", 206, fields=f"{BYTES}Content-Range: bytes 5000-5001/5002\r\n"),
                given(9000),
            ),
            id="cut at the end of the file",
        ),
        pytest.param(
            (response(b"", 416, fields="Content-Range: bytes */4000\r\n"), given(9000)),
            id="no such range",
        ),
    ],
)
def test_what_honest_servers_do_is_no_finding(tmp_path: Path, answers: tuple[bytes, bytes]) -> None:
    one, other = talk(1), talk(2, start=LATER + 2 * MILLISECOND)
    one.ask(part(5000)).wait(80 * MILLISECOND).answer(answers[0]).close()
    other.ask(part(9000)).wait(50 * MILLISECOND).answer(answers[1]).close()
    frames = in_time(ordinary(), one.frames, other.frames, end(part(0), given(0)))
    judgement = scanned(tmp_path, frames).judgement
    assert judgement.findings == []
    assert not any("by the protocol" in notice.notice for notice in judgement.notices)


def test_what_a_server_always_does_is_its_habit(tmp_path: Path) -> None:
    """It sends whole blocks, so that nearly every part begins before what was asked for."""
    frames = in_time(several(60, part, aligned), two(part, aligned), end(part(0), given(0)))
    judgement = scanned(tmp_path, frames).judgement
    assert judgement.findings == [] and judgement.notices == []


def test_one_answer_for_two_that_ask_for_other_parts_is_no_single_flight(tmp_path: Path) -> None:
    one, other = talk(1), talk(2, start=LATER + 2 * MILLISECOND)
    one.ask(part(5000)).wait(80 * MILLISECOND).answer(given(5000)).close()
    other.ask(part(9000)).wait(79 * MILLISECOND).answer(given(5000)).close()
    frames = in_time(several(60, part, given), one.frames, other.frames, end(part(0), given(0)))
    assert owners(scanned(tmp_path, frames)) == [("10.0.1.2", "10.0.1.1")]


def test_a_breach_is_worth_what_is_stated_until_it_is_common() -> None:
    seldom = Demands({1: 1000}, {1: 1})
    assert seldom.breach(1, 10.0, but=1) == 10.0
    assert seldom.breach(2, 10.0) == 10.0  # nothing is known of that one
    often = Demands({1: 1000}, {1: 100})
    assert 3.0 < often.breach(1, 10.0, but=1) < 4.0
    assert often.habitual() == set()
    bits = [Demands({1: 100}, {1: n}).breach(1, 10.0) for n in range(50)]
    assert bits == sorted(bits, reverse=True)
    assert BEFORE > 0


def test_what_is_broken_often_or_by_many_is_not_looked_at() -> None:
    assert Demands({1: 7}, {1: 2}).habitual() == set()  # two may be each other's
    assert Demands({1: 7}, {1: 3}).habitual() == {1}
    most = round(MOST_BROKEN / HABIT) + 1
    assert Demands({1: most}, {1: MOST_BROKEN}).habitual() == set()
    assert Demands({1: 100 * most}, {1: MOST_BROKEN + 1}).habitual() == {1}
