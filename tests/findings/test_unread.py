"""Bodies that a server does not read, and answers as if they were the next request."""

import html
from pathlib import Path

import pytest

from analyzer.findings.model import Finding, How, Kind
from tests.builder import MILLISECOND, SECOND, SERVER, request, response
from tests.findings.stable import OCCUPANCY, judged, occupancy, talk

BODY = b'{"horse": 417, "fee": 12}'
POST = request("/transfers", method="POST", body=BODY)
REFUSED = response(b'{"error":"closed"}', status=403)


def page(text: str, status: int = 400) -> bytes:
    return response(f"<html><h1>Error</h1><p>{text}</p></html>".encode(), status=status,
                    fields="Content-Type: text/html\r\nConnection: close\r\n")  # fmt: skip


def after(folder: Path, answer: bytes, first: bytes = POST) -> list[Finding]:
    """What is found where a request gets this answer, behind one that was refused."""
    one = talk().ask(first).wait(MILLISECOND).answer(REFUSED).wait(SECOND)
    one.ask(request(OCCUPANCY)).wait(MILLISECOND).answer(answer)
    return judged(folder, one.close(SERVER)).judgement.findings


TEXT = BODY.decode()


@pytest.mark.parametrize(
    ("answer", "confidence"),
    [
        (page(f"Bad request syntax ('{TEXT}GET {OCCUPANCY} HTTP/1.1')"), "certain"),
        (page(f"Invalid line {html.escape(TEXT)}GET {OCCUPANCY}"), "certain"),
        (page(f"Unsupported method ('{TEXT}GET')", 501), "certain"),
        (page(f"What is {TEXT}?"), "likely"),
    ],
    ids=["line", "escaped", "method", "body alone"],
)
def test_a_bad_request_that_repeats_the_body_before(
    tmp_path: Path, answer: bytes, confidence: str
) -> None:
    (finding,) = after(tmp_path, answer)
    assert (finding.kind, finding.cause) == (Kind.MISDELIVERED, "connection/desync")
    assert finding.confidence == confidence
    assert finding.causes[0].how is How.BODY_UNREAD
    assert finding.request is not None and finding.request.target == OCCUPANCY
    assert finding.owner is not None and finding.owner.target == "/transfers"
    told = [fact.fact for fact in finding.evidence]
    assert any(f"a body of {len(BODY)} bytes (what looks like JSON)" in fact for fact in told)


@pytest.mark.parametrize(
    ("answer", "first"),
    [
        (page("Bad request"), POST),
        (page("Bad request syntax ('GET')"), POST),
        (page(f"Bad request syntax ('{TEXT}')"), request("/transfers")),
        (page("ok"), request("/transfers", method="POST", body=b"ok")),
        (response(occupancy()), POST),
    ],
    ids=["nothing repeated", "its own method", "no body before", "too short", "its own answer"],
)
def test_what_shows_no_unread_body(tmp_path: Path, answer: bytes, first: bytes) -> None:
    assert [f for f in after(tmp_path, answer, first) if f.kind is Kind.MISDELIVERED] == []


def test_a_server_that_keeps_the_connection_knows_where_the_line_begins(tmp_path: Path) -> None:
    """It may repeat what was asked before, as pages of validation do."""
    one = talk().ask(POST).wait(MILLISECOND).answer(REFUSED).wait(SECOND)
    one.ask(request(OCCUPANCY)).wait(MILLISECOND).answer(
        response(b"<p>still refused: " + BODY + b"</p>", 400, fields="Content-Type: text/html\r\n")
    )
    assert judged(tmp_path, one.close()).judgement.findings == []


def test_a_body_with_the_next_request_behind_it_needs_no_end(tmp_path: Path) -> None:
    """Both stand together nowhere but on that connection, whoever closes it."""
    one = talk().ask(POST).wait(MILLISECOND).answer(REFUSED).wait(SECOND)
    one.ask(request(OCCUPANCY)).wait(MILLISECOND)
    one.answer(page(f"Bad request syntax ('{TEXT}GET {OCCUPANCY} HTTP/1.1')"))
    (finding,) = judged(tmp_path, one.close()).judgement.findings
    assert (finding.cause, finding.confidence) == ("connection/desync", "certain")
