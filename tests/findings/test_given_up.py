"""Requests that were given up on: the response proper comes late, and often to somebody else."""

from pathlib import Path

import pytest

from analyzer.explain.incidents import incidents
from analyzer.explain.summary import summary
from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.matching import assignment
from analyzer.report.result import Report
from tests.builder import (
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    Frame,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, OCCUPANCY, VET, occupancy, talk, vet_report
from tests.tools import scanned

GROOM = "/grooms/groom05"
GIVEN_UP = response(as_json({"message": "no answer in time"}), 504)
Swap = tuple[str, str | None]  # target, and that of the rightful request


def groom(number: int = 5) -> bytes:
    """What /grooms/{id} answers: it names nobody."""
    return as_json({"age": 20 + number, "since": "2019-04-01", "boots": {"size": 40 + number % 5}})


def stall(number: int) -> bytes:
    """What /stalls/{id} answers."""
    return as_json({"width": number, "straw": "fresh", "next": {"door": number % 3}})


def usual(many: int = 12) -> list[Frame]:
    """Honest exchanges."""
    parts = []
    for n in range(1, many + 1):
        one = talk(100 + n, start=START + n * SECOND)
        for target, body in (
            (f"/horses/{n}/vet-report", vet_report(n)),
            (f"/paddocks/{n}/occupancy", occupancy(n)),
            (f"/grooms/groom{n:02d}", groom(n)),
            (f"/stalls/{n}", stall(n)),
        ):
            one.ask(request(target)).wait(20 * MILLISECOND).answer(response(body))
        parts.append(one.close().frames)
    end = talk(99, start=LATER + 300 * SECOND).ask(request(VET)).answer(response(vet_report()))
    return in_time(*parts, end.close().frames)


def judged(folder: Path, *incident: Conversation) -> Report:
    """The report on usual traffic and these conversations."""
    return scanned(folder, in_time(usual(), *(one.frames for one in incident)))


def misdelivered(report: Report) -> list[Finding]:
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


def swaps(report: Report) -> list[Swap]:
    return [
        (f.request.target, f.owner.target if f.owner else None)
        for f in misdelivered(report)
        if f.request
    ]


def asked(number: int, target: str, at: int, *said: bytes) -> Conversation:
    """A connection on which a target is asked for, and these responses come 0.5 s later."""
    one = talk(number, start=LATER + at).ask(request(target)).wait(SECOND // 2)
    for data in said:
        one.answer(data)
    return one.close()


def test_what_comes_late_goes_to_the_next_and_so_on(tmp_path: Path) -> None:
    report = judged(
        tmp_path,
        asked(1, VET, 0, GIVEN_UP),
        asked(2, OCCUPANCY, SECOND, response(vet_report())),
        asked(3, GROOM, 2 * SECOND, response(occupancy())),
    )
    assert swaps(report) == [(OCCUPANCY, VET), (GROOM, OCCUPANCY)]
    assert {f.cause for f in misdelivered(report)} == {"server/backend-desync"}


def test_the_one_who_is_given_up_on_after_its_response_went_elsewhere(tmp_path: Path) -> None:
    """As a proxy's client sees it: somebody got the response, and it a 504 a second later."""
    given_up = talk(1).ask(request(VET)).wait(3 * SECOND).answer(GIVEN_UP).close()
    report = judged(tmp_path, given_up, asked(2, OCCUPANCY, SECOND, response(vet_report())))
    (finding,) = misdelivered(report)
    assert finding.request and finding.owner
    assert (finding.request.target, finding.owner.target) == (OCCUPANCY, VET)
    assert any("was told that it was given up on" in fact.fact for fact in finding.evidence)


def test_nothing_is_said_of_a_service_that_gives_up_and_is_asked_again(tmp_path: Path) -> None:
    report = judged(
        tmp_path,
        asked(1, VET, 0, GIVEN_UP),
        asked(2, VET, SECOND, response(vet_report())),
        asked(3, GROOM, 2 * SECOND, GIVEN_UP),
        asked(4, OCCUPANCY, 3 * SECOND, response(occupancy())),
    )
    assert report.judgement.findings == []


def test_the_surplus_is_the_late_response_and_not_the_last(tmp_path: Path) -> None:
    """On one connection: 504, then its response to the next request, and one is left over."""
    one = talk(1).ask(request(VET)).wait(SECOND).answer(GIVEN_UP)
    one.wait(SECOND).ask(request("/grooms/groom07")).answer(response(groom(7)))
    one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(vet_report()))
    one.ask(request(GROOM)).answer(response(occupancy()))
    one.answer(response(groom())).wait(SECOND).close()
    report = judged(tmp_path, one)
    assert swaps(report) == [(OCCUPANCY, VET), (GROOM, OCCUPANCY)]
    (left,) = (f for f in report.judgement.findings if f.kind is Kind.UNSOLICITED)
    assert left.owner and left.owner.target == GROOM


def test_those_in_between_of_whom_nothing_tells_slipped_as_well(tmp_path: Path) -> None:
    """Responses come in order: from the first that is another's on each answers the one before."""
    one = talk(1).ask(request(VET)).wait(SECOND).answer(GIVEN_UP)
    one.wait(SECOND).ask(request("/grooms/groom07")).answer(response(vet_report()))
    one.ask(request("/grooms/groom08")).answer(response(groom(7)))
    one.ask(request(OCCUPANCY)).answer(response(groom(8)))
    one.answer(response(occupancy())).wait(SECOND).close()
    report = judged(tmp_path, one)
    assert swaps(report) == [
        ("/grooms/groom07", VET),
        ("/grooms/groom08", "/grooms/groom07"),
        (OCCUPANCY, "/grooms/groom08"),
    ]


def test_an_answer_given_twice_makes_nothing_of_those_before(tmp_path: Path) -> None:
    one = talk(1).ask(request(VET)).wait(SECOND).answer(GIVEN_UP)
    one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(occupancy()))
    one.ask(request(GROOM)).answer(response(groom())).answer(response(groom()))
    report = judged(tmp_path, one.wait(SECOND).close())
    assert misdelivered(report) == []
    assert [f.kind for f in report.judgement.findings] == [Kind.UNSOLICITED]


def test_who_is_only_left_over_is_not_named(tmp_path: Path) -> None:
    """Each was given the response to the one before; who asked for the first is not in sight.

    That the last one's request is left over makes it no asker for a stall.
    """
    report = judged(
        tmp_path,
        asked(1, OCCUPANCY, 0, response(stall(9))),
        asked(2, GROOM, SECOND // 4, response(occupancy())),
        asked(3, VET, SECOND // 3, response(groom())),
    )
    found = dict(swaps(report))
    assert found == {OCCUPANCY: None, GROOM: OCCUPANCY, VET: GROOM}
    for finding in misdelivered(report):
        assert finding.owner or finding.confidence is Confidence.POSSIBLE


def test_no_request_is_named_that_the_response_speaks_against(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = [
        asked(1, VET, 0, GIVEN_UP),
        asked(2, OCCUPANCY, SECOND, response(vet_report())),
    ]
    assert swaps(judged(tmp_path, *incident)) == [(OCCUPANCY, VET)]
    monkeypatch.setattr(assignment, "_fit", lambda weigher, link: -0.1)
    report = judged(tmp_path, *incident)
    assert swaps(report) == [(OCCUPANCY, None)]
    assert misdelivered(report)[0].confidence is Confidence.POSSIBLE


def told(report: Report) -> str:
    """What a person reads of the worst incident."""
    tables, findings = report.tables, report.judgement.findings
    return summary(incidents(findings, tables)[0], tables).sentence


def test_a_person_reads_that_it_was_given_up_on(tmp_path: Path) -> None:
    elsewhere = judged(
        tmp_path,
        asked(1, VET, 0, GIVEN_UP),
        asked(2, OCCUPANCY, SECOND, response(vet_report())),
    )
    assert f"response to GET {VET}, which client 1" in told(elsewhere)
    assert "on another connection, until it was given up on." in told(elsewhere)
    one = talk(1).ask(request(VET)).wait(SECOND).answer(GIVEN_UP)
    one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(vet_report()))
    there = judged(tmp_path, one.answer(response(occupancy())).wait(SECOND).close())
    assert f"asked for GET {VET}, which was given up on, and" in told(there)
    assert "response to the first, which came late." in told(there)
