"""The first recordings: exactly what happened is found, at every place that could see it."""

from typing import Any

import pytest

import analyzer
from analyzer.findings.model import Confidence
from tests.recordings import Recording, recording, recordings, sees_both, truth
from tests.tools import found

VET, OCCUPANCY = "/api/v1/horses/417/vet-report", "/api/v1/paddocks/12/occupancy"

EXPECTED: dict[str, list[tuple[str, str, str, str]]] = {
    "story-node12": [
        ("misdelivered", "server/descriptor", OCCUPANCY, VET),
        ("unanswered", "server/descriptor", VET, ""),
    ],
    "story-node14": [
        ("misdelivered", "server/descriptor", OCCUPANCY, VET),
        ("unanswered", "server/descriptor", VET, ""),
    ],
    "crossed-node14": [
        (
            "misdelivered",
            "server/crossed",
            "/api/v1/dispatches/50123",
            "/api/v1/horses/233/vet-report",
        ),
        (
            "misdelivered",
            "server/crossed",
            "/api/v1/horses/233/vet-report",
            "/api/v1/dispatches/50123",
        ),
    ],
    "silent-node12": [
        (
            "unanswered",
            "server/silent",
            truth("silent-node12")["planted"][0]["request"]["target"],
            "",
        )
    ],
    "clean-node14": [],
}


@pytest.mark.parametrize("one", [r for name in EXPECTED for r in sees_both(name)], ids=str)
def test_exactly_what_happened(one: Recording) -> None:
    told = truth(one.scenario)
    report = analyzer.scan(one.path)
    assert found(report) == EXPECTED[one.scenario]
    totals = report.totals
    # The crossed answers were answers; who waits for ever has none.
    assert totals["requests"] == told["totals"]["requests"]
    assert totals["answered"] == told["totals"]["answered"]
    assert totals["unanswered"] == told["totals"]["unanswered"]
    assert totals["undecided"] == 0


@pytest.mark.parametrize("scenario", ["story-node12", "story-node14"])
def test_each_client_alone_sees_its_half(scenario: str) -> None:
    planted = truth(scenario)["planted"]
    (waited,) = [p for p in planted if p["kind"] == "unanswered"]
    alone = analyzer.scan(recording(scenario, "client1"))
    assert [(kind, target) for kind, _, target, _ in found(alone)] == [
        ("unanswered", waited["request"]["target"])
    ]
    # What the other one got is another endpoint's; its owner is out of sight.
    other = analyzer.scan(recording(scenario, "client2"))
    assert found(other) == [("misdelivered", "unknown/server-or-proxy", OCCUPANCY, "")]
    (finding,) = other.judgement.findings
    assert finding.confidence is Confidence.POSSIBLE
    assert finding.resembles == "GET /api/v1/horses/{id}/vet-report"


@pytest.mark.parametrize("scenario", ["story-node12", "story-node14", "crossed-node14"])
def test_addresses_and_frames_are_those_of_the_client_that_asked(scenario: str) -> None:
    told = truth(scenario)["planted"]
    report = analyzer.scan(recording(scenario, "host-any"))
    for finding in report.judgement.findings:
        (planted,) = [
            p
            for p in told
            if finding.request is not None
            and p["kind"] == finding.kind
            and p["request"]["target"] == finding.request.target
        ]
        assert finding.request is not None
        assert finding.request.client == planted["request"]["client"]
        assert len(finding.request.interfaces) > 1
        if finding.owner is not None:
            assert finding.owner.client == planted["owner"]["client"]


def test_both_clients_captures_together_show_the_whole_story() -> None:
    # No capture at the server: the story from the two ends that people have.
    paths = [recording("story-node12", f"client{n}") for n in (1, 2)]
    report = analyzer.scan(paths)
    assert [one[0] for one in found(report)] == ["misdelivered", "unanswered"]
    assert report.totals["requests"] == truth("story-node12")["totals"]["requests"]


@pytest.mark.parametrize("scenario", ["story-node12", "clean-node14"])
def test_all_captures_together_count_each_exchange_once(scenario: str) -> None:
    paths = [r.path for r in recordings() if r.scenario == scenario]
    report = analyzer.scan(paths)
    assert found(report) == EXPECTED[scenario]
    assert report.totals["requests"] == truth(scenario)["totals"]["requests"]
    assert report.totals["answered"] == truth(scenario)["totals"]["answered"]


def test_no_more_is_said_about_a_clean_run() -> None:
    report = analyzer.scan(recording("clean-node14", "container"))
    judged: Any = report.judgement
    assert (judged.findings, judged.notices, judged.undecided) == ([], [], [])
    assert report.anomalies == {}
