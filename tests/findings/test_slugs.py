"""Ids that are words: each has a path of its own, and yet what is learned is their endpoint's."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.findings.model import Kind
from analyzer.report.result import Report
from tests.builder import (
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import epilogue, talk
from tests.tools import scanned

WORDS = ("amber", "birch", "coral", "dune", "ember", "fjord", "grove", "heron", "iris", "juniper")
SLUGS = [f"{one}-{two}-{WORDS[(n * 7) % 10]}-{n}" for n, (one, two) in enumerate(
    (one, two) for one in WORDS[:3] for two in WORDS[3:])]  # fmt: skip


def vet_report(horse: str) -> bytes:
    return as_json({"horse": horse, "vet": "Dr. Moss", "passed": True, "notes": ["sound"]})


def occupancy(paddock: str) -> bytes:
    return as_json({"paddock": paddock, "capacity": 8, "present": [4, 7], "full": False})


def asks(number: int, target: str, gets: bytes, start: int) -> Conversation:
    one = talk(number, start=start).ask(request(target)).wait(80 * MILLISECOND)
    return one.answer(response(gets)).close()


@pytest.mark.parametrize("many", [8, 20])
def test_two_that_are_crossed_are_found(tmp_path: Path, many: int) -> None:
    parts = []
    for n, slug in enumerate(SLUGS[:many]):
        at = START + n * SECOND
        parts.append(asks(60 + n, f"/horses/{slug}/vet-report", vet_report(slug), at))
        parts.append(asks(100 + n, f"/paddocks/{slug}/occupancy", occupancy(slug), at))
    horse, paddock = SLUGS[-1], SLUGS[-2]
    later = START + 60 * SECOND
    parts.append(asks(2, f"/horses/{horse}/vet-report", occupancy(paddock), later))
    parts.append(asks(3, f"/paddocks/{paddock}/occupancy", vet_report(horse), later + MILLISECOND))
    report = scanned(tmp_path, in_time(*(one.frames for one in parts), epilogue()))
    found = [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]
    owners = {f.request.target: f.owner.target for f in found if f.request and f.owner}
    one, two = f"/horses/{horse}/vet-report", f"/paddocks/{paddock}/occupancy"
    assert owners == {one: two, two: one}


BREEDS = WORDS  # of a catalogue that all ask for again and again: each looks like an endpoint


def breed(name: str) -> bytes:
    return as_json({"name": name, "height": len(name), "origin": "the hills"})


def catalogue(folder: Path, *incident: Conversation, answer: Callable[[str], bytes]) -> Report:
    """Ten names, each asked for eight times, and these conversations."""
    parts = []
    for n in range(80):
        name = BREEDS[n % 10]
        parts.append(asks(60 + n, f"/breeds/{name}", answer(name), START + n * SECOND))
    frames = in_time(*(one.frames for one in (*parts, *incident)), epilogue())
    return scanned(folder, frames)


def crossed(one: str, two: str, answer: Callable[[str], bytes]) -> tuple[Conversation, ...]:
    later = START + 100 * SECOND
    return (
        asks(2, f"/breeds/{one}", answer(two), later),
        asks(3, f"/breeds/{two}", answer(one), later + MILLISECOND),
    )


def test_names_that_are_asked_for_often_are_told_apart_by_what_they_are_answered(
    tmp_path: Path,
) -> None:
    """Their answers look the same; that each repeats its name is learned from all of them."""
    report = catalogue(tmp_path, *crossed("amber", "coral", breed), answer=breed)
    found = [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]
    owners = {f.request.target: f.owner.target for f in found if f.request and f.owner}
    assert owners == {"/breeds/amber": "/breeds/coral", "/breeds/coral": "/breeds/amber"}
    assert any(w.comparison == "token" and "last segment" in w.fact for w in found[0].weighed)


def test_names_of_operations_are_not_missed_where_no_answer_repeats_them(tmp_path: Path) -> None:
    def same(name: str) -> bytes:
        return as_json({"done": True, "took": len(name)})

    report = catalogue(tmp_path, *crossed("amber", "coral", same), answer=same)
    assert report.judgement.findings == [] and report.judgement.notices == []
    assert report.judgement.nameless == 0


@pytest.mark.parametrize("again", [False, True])
def test_an_old_name_beside_the_new_one_is_no_swap(tmp_path: Path, again: bool) -> None:
    """Both are under way at once, and both are given what the new one is; by itself or always."""
    old, new = "/breeds/onyx", "/breeds/coral"
    incident = list(crossed("coral", "coral", breed))
    incident.append(asks(4, old, breed("coral"), START + 100 * SECOND))
    if again:
        incident += [asks(5 + n, old, breed("coral"), START + (110 + n) * SECOND) for n in range(3)]
    report = catalogue(tmp_path, *incident, answer=breed)
    assert report.judgement.findings == []
    assert all(n.request and n.request.target in (old, new) for n in report.judgement.notices)


def test_an_endpoint_that_never_says_its_name_is_not_held_to_others(tmp_path: Path) -> None:
    """Beside many that do."""

    def answer(name: str) -> bytes:
        return as_json({"done": True}) if name == "amber" else breed(name)

    report = catalogue(tmp_path, answer=answer)
    assert report.judgement.findings == [] and report.judgement.notices == []
    assert not report.judgement.nameless
