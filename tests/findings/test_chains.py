"""Requests that are each given the response to the one before: what slipped, and whose each is."""

from pathlib import Path

from analyzer.findings.model import Finding, Kind, Verdict
from tests.builder import (
    MILLISECOND,
    SECOND,
    SERVER,
    START,
    Conversation,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, epilogue, occupancy, talk, vet_report
from tests.tools import scanned

BACKEND = "server/backend-desync"


def vet(horse: int) -> bytes:
    return request(f"/horses/{horse}/vet-report")


def paddock(number: int) -> bytes:
    return request(f"/paddocks/{number}/occupancy")


def findings(folder: Path, *parts: Conversation) -> list[Finding]:
    """What is found among thirty ordinary exchanges of each endpoint, by clients of two hosts."""
    frames = []
    for number in range(1, 31):
        one = talk(100 + number, start=START + number * SECOND, address=f"10.0.{number % 2 + 1}")
        for ask, body in ((vet, vet_report(number)), (paddock, occupancy(number))):
            one.ask(ask(number)).wait(MILLISECOND).answer(response(body))
        frames.append(one.close().frames)
    report = scanned(folder, in_time(*frames, *(part.frames for part in parts), epilogue()))
    return report.judgement.findings


def verdicts(finding: Finding) -> dict[str, Verdict]:
    return {cause.cause: cause.verdict for cause in finding.causes}


def left(wait: int = 300 * MILLISECOND) -> Conversation:
    """A client that leaves before it is answered; the server closes in turn."""
    return talk(1).ask(vet(417)).wait(wait).close()


def given(number: int, ask: bytes, body: bytes, after: int) -> Conversation:
    one = talk(number, start=LATER + after, address=f"10.0.{number % 2 + 1}")
    return one.ask(ask).wait(MILLISECOND).answer(response(body)).close()


def chain() -> tuple[Conversation, ...]:
    return (
        left(),
        given(2, paddock(61), vet_report(417), SECOND),
        given(3, vet(62), occupancy(61), 2 * SECOND),
        given(4, paddock(63), vet_report(62), 3 * SECOND),
    )


def test_a_chain_over_connections_is_a_slip_behind_the_server(tmp_path: Path) -> None:
    found = findings(tmp_path, *chain())
    strayed = [f for f in found if f.kind is Kind.MISDELIVERED]
    assert [f.owner.target for f in strayed if f.owner] == [
        "/horses/417/vet-report", "/paddocks/61/occupancy", "/horses/62/vet-report",
    ]  # fmt: skip
    assert {f.cause for f in strayed} == {BACKEND}
    for finding in strayed:
        assert verdicts(finding)["server/descriptor"] is Verdict.RULED_OUT
        assert any("one of 3 in a row" in fact.fact for fact in finding.evidence)
    assert len({f.incident for f in found}) == 1


def test_the_first_of_it_says_why_it_was_left_without_an_answer(tmp_path: Path) -> None:
    (hung,) = [f for f in findings(tmp_path, *chain()) if f.kind is Kind.UNANSWERED]
    assert hung.cause == "client/gave-up"
    assert verdicts(hung)[BACKEND] is Verdict.SUPPORTED


def test_it_is_no_lost_descriptor_when_the_server_closed_first(tmp_path: Path) -> None:
    """A killed worker's connections are closed, and its successor reads what it was owed."""
    killed = talk(1).ask(vet(417)).wait(SECOND // 2).close(SERVER)
    found = findings(tmp_path, killed, *chain()[1:])
    assert {f.cause for f in found if f.kind is Kind.MISDELIVERED} == {BACKEND}
    assert [f.cause for f in found if f.kind is Kind.UNANSWERED] == ["server/closed"]


def test_a_chain_on_one_connection_of_a_client_is_one_too(tmp_path: Path) -> None:
    """Its responses come after their requests: that connection has nothing too many."""
    one = talk(2, start=LATER + SECOND)
    for ask, body in (
        (paddock(61), vet_report(417)),
        (vet(62), occupancy(61)),
        (paddock(63), vet_report(62)),
    ):
        one.ask(ask).wait(MILLISECOND).answer(response(body)).wait(SECOND)
    strayed = [f for f in findings(tmp_path, left(), one.close()) if f.kind is Kind.MISDELIVERED]
    assert len(strayed) == 3 and {f.cause for f in strayed} == {BACKEND}


def test_one_alone_is_open(tmp_path: Path) -> None:
    """The owner had left and the server knew it: no two were live, and more does not show."""
    found = findings(tmp_path, left(2 * SECOND), given(2, paddock(61), vet_report(417), 3 * SECOND))
    (finding,) = [f for f in found if f.kind is Kind.MISDELIVERED]
    told = verdicts(finding)
    assert told[BACKEND] is told["server/stolen"] is Verdict.POSSIBLE
    assert Verdict.SUPPORTED not in told.values()
