"""Whose a body is, where its owner got an error instead, or the head over it is right."""

from pathlib import Path

import pytest

from analyzer.findings.model import Finding, Kind
from analyzer.report.result import Report
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, epilogue, occupancy, ordinary, talk, vet_report
from tests.tools import scanned

HORSE, PADDOCK = "/horses/777/vet-report", "/paddocks/12/occupancy"


def strayed(report: Report) -> list[Finding]:
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


def told_that_it_failed(status: int) -> tuple[Conversation, Conversation]:
    """One is told so, and what it asked for was given to another that was under way."""
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(request(HORSE))
    two.ask(request(PADDOCK)).wait(50 * MILLISECOND).answer(response(vet_report(777))).close()
    one.wait(900 * MILLISECOND).answer(response(b'{"error":"late"}', status=status)).close()
    return one, two


@pytest.mark.parametrize("status", [500, 504])
def test_whoever_was_told_that_it_failed_may_be_the_rightful_one(
    tmp_path: Path, status: int
) -> None:
    incident = [one.frames for one in told_that_it_failed(status)]
    report = scanned(tmp_path, in_time(ordinary(40), *incident, epilogue()))
    (finding,) = strayed(report)
    assert finding.owner is not None and finding.owner.target == HORSE
    assert any(one.comparison == "failed" for one in finding.weighed)


def test_where_many_fail_that_says_little(tmp_path: Path) -> None:
    """And what is only unlike its endpoint's others is nobody's."""
    parts = []
    for n in range(30):
        one = talk(60 + n, start=LATER + n * SECOND)
        parts.append(one.ask(request(f"/horses/{n}/vet-report")).answer(
            response(b'{"error":"busy"}', status=500)).close().frames)  # fmt: skip
    odd = talk(2, start=LATER + 5 * SECOND + MILLISECOND).ask(request(PADDOCK))
    parts.append(odd.answer(response(b'{"moved":true,"to":"the hill"}')).close().frames)
    report = scanned(tmp_path, in_time(ordinary(40), *parts, epilogue()))
    assert strayed(report) == []


def failed_before(folder: Path, later: int) -> float:
    """What it is worth that somebody was told so, whose answer another one has so much `later`."""
    one = talk(1).ask(request(HORSE)).answer(response(b'{"error":"busy"}', status=503)).close()
    two = talk(2, start=LATER + later).ask(request(PADDOCK)).wait(50 * MILLISECOND)
    two.answer(response(vet_report(777))).close()
    between = [
        talk(100 + n, start=LATER + n * SECOND)
        .ask(request(f"/horses/{n}/vet-report"))
        .answer(response(vet_report(n)))
        .close()
        .frames
        for n in range(1, 40)
    ]
    report = scanned(folder, in_time(ordinary(40), *between, one.frames, two.frames, epilogue()))
    (finding,) = strayed(report)
    return next(w.bits for w in finding.weighed if w.comparison == "failed")


def test_the_later_an_answer_comes_the_more_may_have_failed(tmp_path: Path) -> None:
    soon = failed_before(tmp_path, 50 * MILLISECOND)
    assert soon > 5
    assert 0 <= failed_before(tmp_path, 40 * SECOND) < soon - 3


# --- a head of one's own -------------------------------------------------------------------


def asked(target: str, number: int) -> bytes:
    return request(target, fields=f"X-Request-Id: req-{number:08}-a7\r\n")


def said(body: bytes, number: int) -> bytes:
    return response(body, fields=f"X-Request-Id: req-{number:08}-a7\r\n")


def traced(folder: Path, *incident: Conversation) -> Report:
    """Forty clients of two endpoints, whose responses repeat the id of the request's head."""
    parts = []
    for n in range(1, 41):
        one = talk(100 + n, start=START + n * SECOND)
        one.ask(asked(f"/horses/{n}/vet-report", 2 * n)).answer(said(vet_report(n), 2 * n))
        one.ask(asked(f"/paddocks/{n}/occupancy", 2 * n + 1))
        parts.append(one.answer(said(occupancy(n), 2 * n + 1)).close().frames)
    frames = in_time(*parts, *(one.frames for one in incident), epilogue())
    return scanned(folder, frames)


def test_a_body_is_anothers_though_the_head_is_its_own(tmp_path: Path) -> None:
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(asked(HORSE, 501))
    two.ask(asked(PADDOCK, 502)).wait(50 * MILLISECOND).answer(said(vet_report(777), 502)).close()
    one.wait(80 * MILLISECOND).answer(said(occupancy(12), 501)).close()
    found = strayed(traced(tmp_path, one, two))
    owners = {f.request.target: f.owner.target for f in found if f.request and f.owner}
    assert owners == {HORSE: PADDOCK, PADDOCK: HORSE}


def test_a_body_that_was_taken_from_one_that_hangs(tmp_path: Path) -> None:
    """At one endpoint, by what it names alone."""
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(asked(HORSE, 501)).wait(9 * SECOND).fin(CLIENT)
    two.ask(asked("/horses/778/vet-report", 502)).wait(50 * MILLISECOND)
    two.answer(said(vet_report(777), 502)).close()
    (finding,) = strayed(traced(tmp_path, one, two))
    assert finding.owner is not None and finding.owner.target == HORSE


def test_a_head_that_is_anothers_says_whose_all_of_it_is(tmp_path: Path) -> None:
    """Two of one endpoint whose bodies name nothing: the ids in their heads tell."""
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(asked(HORSE, 501))
    two.ask(asked("/horses/778/vet-report", 502)).wait(50 * MILLISECOND)
    two.answer(said(vet_report(777), 501)).close()
    one.wait(80 * MILLISECOND).answer(said(vet_report(778), 502)).close()
    found = strayed(traced(tmp_path, one, two))
    assert len(found) == 2
    assert any("header x-request-id" in one.fact for one in found[0].weighed)


def test_a_new_form_under_its_own_head_is_its_own(tmp_path: Path) -> None:
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(asked(HORSE, 501))
    two.ask(asked(PADDOCK, 502)).wait(50 * MILLISECOND)
    two.answer(said(b'{"paddock":12,"closed":"for the winter"}', 502)).close()
    one.wait(80 * MILLISECOND).answer(said(vet_report(777), 501)).close()
    assert strayed(traced(tmp_path, one, two)) == []
