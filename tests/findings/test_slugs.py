"""Ids that are words: each has a path of its own, and yet what is learned is their endpoint's."""

from pathlib import Path

import pytest

from analyzer.findings.model import Kind
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
