"""Requests that hang at one time: which have one cause, and are told as one incident."""

from pathlib import Path

from analyzer.findings.model import Finding, How
from tests.builder import MILLISECOND, SECOND, Conversation, request, response
from tests.findings.stable import LATER, OCCUPANCY, VET, judged, occupancy, talk, vet_report


def hung(number: int, after: int, target: str = VET, wait: int = 5 * SECOND) -> Conversation:
    one = talk(number, start=LATER + after).ask(request(target))
    return one.wait(wait).close()


def served(number: int, after: int, wait: int = MILLISECOND) -> Conversation:
    one = talk(number, start=LATER + after).ask(request(OCCUPANCY))
    return one.wait(wait).answer(response(occupancy())).close()


def found(folder: Path, *parts: Conversation) -> list[Finding]:
    return judged(folder, *parts).judgement.findings


def hows(findings: list[Finding]) -> set[How | None]:
    return {finding.causes[0].how for finding in findings}


def test_a_server_whose_workers_are_all_busy(tmp_path: Path) -> None:
    """Three hang, whatever they ask for, and nobody is answered until they have left."""
    three = [hung(1, 0), hung(2, SECOND, OCCUPANCY), hung(3, 2 * SECOND)]
    told = found(tmp_path, *three, served(4, 9 * SECOND))
    assert len(told) == 3 and len({finding.incident for finding in told}) == 1
    assert {finding.cause for finding in told} == {"server/silent"}
    assert hows(told) == {How.STARVED}
    assert all(
        "3 requests hung, each while another one waited" in f.causes[0].because for f in told
    )


def test_what_was_at_work_before_them_is_named(tmp_path: Path) -> None:
    """One takes eight seconds, and those who came after it leave before it is done."""
    told = found(tmp_path, served(1, 0, wait=8 * SECOND), hung(2, SECOND), hung(3, 2 * SECOND))
    assert len(told) == 2 and hows(told) == {How.STARVED}
    assert all("1 earlier one was still at work then" in f.causes[0].because for f in told)


def test_one_endpoint_alone(tmp_path: Path) -> None:
    told = found(tmp_path, hung(1, 0), hung(2, SECOND), served(3, 2 * SECOND))
    assert len(told) == 2 and len({finding.incident for finding in told}) == 1
    assert hows(told) == {How.STUCK}
    assert all("for GET /horses/{id}/vet-report" in f.causes[0].because for f in told)


def test_those_that_others_overtook_have_nothing_in_common(tmp_path: Path) -> None:
    late = talk(3, start=LATER + 2 * SECOND).ask(request("/horses/9/vet-report"))
    late.answer(response(vet_report(9))).close()
    told = found(tmp_path, hung(1, 0), hung(2, SECOND), late)
    assert len(told) == 2 and len({finding.incident for finding in told}) == 2
    assert hows(told) == {None}


def test_those_of_different_times_have_nothing_in_common(tmp_path: Path) -> None:
    told = found(tmp_path, hung(1, 0), hung(2, 20 * SECOND))
    assert len(told) == 2 and len({finding.incident for finding in told}) == 2
    assert hows(told) == {None}
