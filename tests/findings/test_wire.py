"""What is said of answers that are cut, unreadable, or followed by bytes that are of none."""

from pathlib import Path

import pytest

from analyzer.report.result import Report
from tests.builder import CLIENT, SECOND, SERVER, START, Conversation, in_time, request, response
from tests.tools import scanned

OK = response(b'{"a": 1}', fields="Content-Type: application/json\r\n")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Len"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"


def asked(number: int = 0, start: int = START) -> Conversation:
    return Conversation(
        (f"10.0.0.{number + 1}", 40_000), isns=(number * 7_919, number * 104_729), start=start
    ).open()


def only(report: Report) -> tuple[str, str, str]:
    """Kind, cause and meaning of the one finding."""
    (finding,) = report.judgement.findings
    return str(finding.kind), finding.cause, finding.causes[0].meaning


@pytest.mark.parametrize(
    ("said", "ends", "cause", "means"),
    [
        (CHUNKED, "fin", "server/closed", "what ends the message is missing"),
        (HEAD, "fin", "server/closed", "in the middle of its answer"),
        (HEAD, "reset", "server/reset", "broke the connection off in the middle of its answer"),
        (HEAD, "stall", "server/silent", "began to answer, and stopped"),
        (b"0123456789", "stall", "connection/desync", "not HTTP/1.x"),
        (b"HTTP/1.1 2XX OK\r\n\r\n", "stall", "connection/desync", "no client can tell the status"),
    ],
)
def test_what_an_answer_that_began_means(
    tmp_path: Path, said: bytes, ends: str, cause: str, means: str
) -> None:
    talk = asked().ask(request("/a")).answer(said)
    if ends == "fin":
        talk.close(SERVER)
    elif ends == "reset":
        talk.reset(SERVER)
    else:
        talk.wait(30 * SECOND).close(CLIENT)
    kind, found, meaning = only(scanned(tmp_path, talk.frames))
    assert (kind, found) == ("incomplete", cause)
    assert means in meaning


@pytest.mark.parametrize(
    "said",
    [
        [b"some junk\r\n", b"HTTP/1.1 2XX OK\r\n\r\n"],
        [b"some junk\r\nHTTP/1.1 2XX OK\r\n\r\n"],
        [b"some junk HTTP/1.1 20"],
        [b"some junk HTT"],
    ],
)
def test_all_bytes_of_what_is_no_answer_are_counted(tmp_path: Path, said: list[bytes]) -> None:
    talk = asked().ask(request("/a"))
    for piece in said:
        talk.answer(piece)
    report = scanned(tmp_path, talk.close().frames)
    (finding,) = report.judgement.findings
    assert str(finding.kind) == "incomplete"
    assert finding.response is not None
    assert finding.response.length == sum(map(len, said))
    assert finding.response.frame == 6


@pytest.mark.parametrize("behind", [3, 8])
def test_bytes_behind_an_ordinary_exchange_belong_to_it(tmp_path: Path, behind: int) -> None:
    """Ordinary exchanges are read many at once: one of them is found again, in whatever block."""
    talk = asked()
    for number in range(9):
        talk.ask(request(f"/{number}/")).answer(OK)
        if number == behind:
            talk.answer(b"0\r\n\r\n")
    others = [
        asked(n, START + n).ask(request("/x")).answer(OK).ask(request("/y")).answer(OK).close()
        for n in range(1, 5)
    ]
    report = scanned(tmp_path, in_time(talk.close().frames, *(one.frames for one in others)))
    (finding,) = report.judgement.findings
    assert str(finding.kind) == "unsolicited"
    assert finding.owner is not None
    assert finding.owner.target == f"/{behind}/"
    assert finding.response is not None
    assert finding.response.extra == 5


def test_who_gave_up_first_is_said(tmp_path: Path) -> None:
    slow = [
        asked(n, START + 3 * n * SECOND).ask(request("/slow")).wait(2 * SECOND).answer(OK).close()
        for n in range(1, 7)
    ]
    early = asked(20, START + 30 * SECOND).ask(request("/slow")).wait(SECOND).fin(CLIENT)
    frames = in_time(early.wait(SECOND).fin(SERVER).frames, *(one.frames for one in slow))
    (finding,) = scanned(tmp_path, frames).judgement.findings
    assert finding.cause == "client/gave-up"
    assert finding.causes[0].because.startswith("the client left after 1.0")
    never = asked(20, START + 30 * SECOND).ask(request("/never")).wait(9 * SECOND).close(CLIENT)
    frames = in_time(never.frames, *(one.frames for one in slow))
    (finding,) = scanned(tmp_path, frames).judgement.findings
    assert finding.cause == "server/silent"
    assert "had sent nothing when the client left after 9.0" in finding.causes[0].because
