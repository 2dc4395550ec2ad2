"""Whose a response is, told by the tokens that it repeats: same endpoint, same shape."""

from pathlib import Path

from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.report.result import Report
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, talk
from tests.tools import scanned


def order(number: int, weight: int = 1) -> bytes:
    """What /orders/{id} answers."""
    return response(as_json({"id": number, "state": "open", "weight": weight}))


def asking(client: int, number: int, *, after: int = 0) -> Conversation:
    """A client that has asked for an order and waits."""
    return talk(client, start=LATER + after).ask(request(f"/orders/{number}"))


def judged(folder: Path, *incident: Conversation) -> Report:
    """The report on ordinary orders and these conversations."""
    parts = []
    for number in range(1000, 1040):
        one = talk(100 + number - 1000, start=START + (number - 1000) * SECOND)
        parts.append(one.ask(request(f"/orders/{number}")).answer(order(number)).close().frames)
    end = talk(99, start=LATER + 300 * SECOND).ask(request("/orders/5000")).answer(order(5000))
    return scanned(folder, in_time(*parts, *(c.frames for c in incident), end.close().frames))


def strayed(report: Report) -> list[Finding]:
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


def given(number: int, *, weight: int = 1) -> Conversation:
    """A client that asked for order 3001 and is given another one."""
    return asking(3, 3001, after=50 * MILLISECOND).answer(order(number, weight)).close()


def hung(client: int, number: int) -> Conversation:
    return asking(client, number).wait(20 * SECOND).fin(CLIENT)


def test_of_two_that_hang_the_one_whose_id_is_repeated(tmp_path: Path) -> None:
    (finding,) = strayed(judged(tmp_path, hung(1, 2001), hung(2, 2002), given(2001)))
    assert finding.owner is not None
    assert finding.owner.target == "/orders/2001"
    # Two of some twenty hang here, and one thing may go by two ids: that is left open.
    assert finding.confidence is Confidence.POSSIBLE
    said = " ".join(fact.fact for fact in finding.evidence)
    assert "does not repeat what the request in frame" in said
    assert "at $.id" in said
    assert "2001" not in said


def test_two_that_asked_for_the_same_are_a_tie(tmp_path: Path) -> None:
    (finding,) = strayed(judged(tmp_path, hung(1, 2001), hung(2, 2001), given(2001)))
    assert finding.confidence is Confidence.POSSIBLE
    assert any("a tie" in fact.fact for fact in finding.evidence)


def test_an_id_that_nobody_in_flight_has_accuses_nobody(tmp_path: Path) -> None:
    assert strayed(judged(tmp_path, hung(1, 2001), given(2777))) == []


def test_an_id_elsewhere_than_usual_stands_there_by_chance(tmp_path: Path) -> None:
    assert strayed(judged(tmp_path, hung(1, 2001), given(2777, weight=2001))) == []


def test_a_response_with_its_own_id_is_no_stray(tmp_path: Path) -> None:
    assert strayed(judged(tmp_path, hung(1, 2001), given(3001))) == []
