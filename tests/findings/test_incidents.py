"""Which findings are one incident, and that its name does not depend on order or files."""

import random

from hypothesis import given
from hypothesis import strategies as st

from analyzer.correlate.model import Request, Response
from analyzer.diagnosis.incidents import finding_id, grouped
from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.pipeline import scan
from tests.recordings import recordings


def asked(number: int, connection: int, *, frame: int = 0) -> Request:
    client = f"10.0.0.{number}:4000"
    return Request(
        "GET",
        f"/{number}",
        "GET /{id}",
        client,
        "10.0.1.1:80",
        number,
        frame or number,
        connection,
        0,
    )


def finding(kind: Kind, request: Request | None, owner: Request | None = None) -> Finding:
    response = None if kind is Kind.UNANSWERED else Response(200, 9, 9, 9, "{}", 2, 0)
    return Finding(kind, Confidence.LIKELY, "server/stolen", (), request, response, owner, (), "")


HUNG = finding(Kind.UNANSWERED, asked(1, 1))
THIEF = finding(Kind.MISDELIVERED, asked(2, 2), asked(1, 1))
SAME_CONNECTION = finding(Kind.MISDELIVERED, asked(3, 2), asked(2, 2))
ELSEWHERE = finding(Kind.UNANSWERED, asked(7, 7))


def names(findings: list[Finding]) -> dict[str, str]:
    return {finding_id(f): f.incident for f in grouped(findings)}


def test_the_hung_request_and_the_thief_are_one_incident() -> None:
    found = names([HUNG, THIEF, SAME_CONNECTION, ELSEWHERE])
    assert found[finding_id(HUNG)] == found[finding_id(THIEF)] == found[finding_id(SAME_CONNECTION)]
    assert found[finding_id(ELSEWHERE)] != found[finding_id(HUNG)]


@given(st.randoms())
def test_names_do_not_depend_on_order(rng: random.Random) -> None:
    findings = [HUNG, THIEF, SAME_CONNECTION, ELSEWHERE]
    expected = names(findings)
    rng.shuffle(findings)
    assert names(findings) == expected


def test_names_do_not_depend_on_frame_numbers() -> None:
    elsewhere = finding(Kind.UNANSWERED, asked(1, 5, frame=500))
    assert names([elsewhere])[finding_id(elsewhere)] == names([HUNG])[finding_id(HUNG)]


def test_those_of_one_incident_stand_together() -> None:
    found = [f.incident for f in grouped([HUNG, ELSEWHERE, THIEF])]
    assert found[0] == found[1] != found[2]


def test_findings_come_in_the_order_of_time_and_not_of_files() -> None:
    paths = [str(r.path) for r in recordings() if r.scenario == "crash-and-restart-node16"]
    found = scan(paths).judgement.findings
    times = [finding.request.time for finding in found if finding.request]
    assert len({finding.request.capture for finding in found if finding.request}) > 1
    assert times == sorted(times)
