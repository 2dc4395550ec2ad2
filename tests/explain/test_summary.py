"""What a summary says of an incident: who asked, what they got, whose it was, and how sure."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.explain.overviews import Summary
from analyzer.explain.summary import summary
from analyzer.findings.model import Confidence, Kind
from tests.builder import (
    MILLISECOND,
    SECOND,
    Conversation,
    in_time,
    pcap,
    request,
    response,
)
from tests.findings.stable import (
    LATER,
    OCCUPANCY,
    VET,
    epilogue,
    occupancy,
    ordinary,
    talk,
    vet_report,
)
from tests.recordings import recording


@cache
def examined(*paths: Path) -> pipeline.Examination:
    return pipeline.examine([str(path) for path in paths])


def summaries(*paths: Path) -> list[Summary]:
    """Those of all incidents of the captures, the worst first."""
    one = examined(*paths)
    return [summary(incident, one.report.tables) for incident in one.incidents()]


def test_the_story_says_who_got_whose_response_and_why() -> None:
    (one,) = summaries(recording("story-node12", "bridge"))
    assert one.asked == (
        "Client 2 (172.31.18.34) asked the server for GET /api/v1/paddocks/12/occupancy"
    )
    assert one.got == "and was sent the response to GET /api/v1/horses/417/vet-report,"
    assert one.whose == (
        "which client 1 (172.31.17.21) had asked for 1.50 s before on another connection. "
        "Client 1 got no byte of a response; after 3.00 s it closed its connection."
    )
    assert one.more == "" and one.findings == 2
    assert one.why.startswith("Why: the process wrote to a socket that was no longer")
    assert one.why.endswith(" Two other causes stay possible.")
    assert one.sure == "certain (more than 1,000 to 1 for a fault)"
    assert one.where == "Look at frames 1144 (the response) and 1137 (the request it answers)."
    assert (one.kind, one.cause) == (Kind.MISDELIVERED, "server/descriptor")
    assert one.endpoint == "GET /api/v1/paddocks/{id}/occupancy"


def test_frames_have_their_files_where_several_are_in_play() -> None:
    (one,) = summaries(*(recording("story-node12", f"client{n}") for n in (1, 2)))
    assert [str(pointer.frame) for pointer in one.frames] == [
        "client2.pcap:577",
        "client1.pcap:578",
    ]


def test_two_clients_of_one_host_have_their_ports(tmp_path: Path) -> None:
    """By their address alone nobody knows which of two connections is meant."""
    one = Conversation(("10.0.1.1", 41_001), isns=(1, 70_000), start=LATER).open()
    two = Conversation(("10.0.1.1", 41_002), isns=(9, 90_000), start=LATER + MILLISECOND).open()
    one.ask(request(VET))
    two.ask(request(OCCUPANCY)).wait(50 * MILLISECOND).answer(response(vet_report())).close()
    one.wait(80 * MILLISECOND).answer(response(occupancy())).close()
    path = tmp_path / "one-host.pcap"
    path.write_bytes(pcap(in_time(ordinary(30), one.frames, two.frames, epilogue())))
    (told,) = summaries(path)
    assert "lient 1 (10.0.1.1:41001)" in told.sentence
    assert "lient 2 (10.0.1.1:41002)" in told.sentence


def test_crossed_responses_are_told_both_ways() -> None:
    (one,) = summaries(recording("crossed-node14", "container"))
    assert "was sent the response that belongs to client 2's request" in one.sentence
    assert one.sentence.endswith("belongs to client 1's request: the two were crossed.")
    assert one.more == ""


def test_two_crossed_on_one_connection_are_not_called_a_slip() -> None:
    (one,) = summaries(recording("pipeline-disorder", "client2"))
    assert "asked for GET /warehouse/" in one.asked and ", at once, before an answer" in one.asked
    assert "that belongs to the other one. That for GET /warehouse/" in one.sentence
    assert one.sentence.endswith("belongs to the other one: the two were crossed.")
    assert "in the same way" not in one.sentence and one.more == ""


def test_what_else_is_of_the_incident_is_counted() -> None:
    (one,) = summaries(recording("stale-close-slipped-node12", "host-any"))
    assert one.findings == 5  # two are told
    assert one.more == (
        "2 more responses went to wrong requests and one more response came that nobody asked for."
    )


@pytest.mark.parametrize(
    ("scenario", "sure", "words"),
    [
        ("orphan-by-query-node22", Confidence.LIKELY, "what is very likely the response to"),
        ("pool-reuse", Confidence.POSSIBLE, "possibly read it"),
    ],
)
def test_what_is_not_certain_is_not_told_as_if_it_were(
    scenario: str, sure: Confidence, words: str
) -> None:
    one = summaries(recording(scenario, "container"))[0]
    assert one.confidence is sure and one.sure.startswith(f"{sure} (")
    assert words in one.sentence


def test_what_keeps_it_from_being_certain_is_said() -> None:
    (one,) = summaries(recording("story-node12", "bridge"))
    assert "but" not in one.sure
    examination = examined(recording("story-node12", "bridge"))
    (incident,) = examination.incidents()
    for confidence, why in (
        (Confidence.LIKELY, "for a fault; but by one kind of evidence alone)"),
        (Confidence.POSSIBLE, "for a fault; but whose it was is open)"),
    ):
        findings = tuple(replace(f, confidence=confidence) for f in incident.findings)
        less = replace(incident, findings=findings)
        assert summary(less, examination.report.tables).sure.endswith(why)


def test_a_request_that_hung_says_how_its_wait_ended() -> None:
    (one,) = summaries(recording("silent-node12", "client1"))
    assert one.got == ("and got no byte of a response; after 3.00 s it closed its connection.")
    assert [pointer.what for pointer in one.frames] == ["the request", "the client closes"]
    assert one.whose == "" and one.sure == "certain"


def test_an_owner_out_of_sight_is_not_made_up() -> None:
    (one,) = summaries(recording("story-node12", "client2"))
    assert one.whose == (
        "that possibly does not belong to it, but looks like those of "
        "GET /api/v1/horses/{id}/vet-report; who asked for it is not in sight."
    )
    assert [pointer.what for pointer in one.frames] == ["the response", "the request it came to"]


def test_credentials_in_targets_are_masked(tmp_path: Path) -> None:
    hung = talk().ask(request("/x?api_key=hunter2&page=1")).wait(30 * SECOND).close()
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), hung.frames, epilogue())))
    (one,) = summaries(path)
    assert "page=1" in one.sentence and "hunter2" not in one.sentence


@pytest.mark.parametrize(
    "scenario",
    ["story-node12", "crossed-node14", "pool-reuse", "handler-stalls-node14",
     "idle-408-node20", "tmp-library-node12", "proxy-loses-node22", "shared-cache-node20"],
)  # fmt: skip
def test_summary_and_story_say_the_same(scenario: str) -> None:
    """Each sentence is in one place: a story begins with its summary's, and explains it."""
    one = examined(recording(scenario, "host-any"))
    found = one.incidents()
    assert found
    for incident in found[:3]:
        brief, story = summary(incident, one.report.tables), one.story(incident)
        assert brief.title == story.title and brief.id == story.id
        told = brief.sentence.removesuffix(brief.more).strip()
        assert " ".join(story.summary).startswith(told)
        assert story.summary[-1].startswith(
            brief.why.partition(" other cause")[0].rpartition(" ")[0]
        )
        assert 1 <= len(brief.frames) <= 2 and all(pointer.frame for pointer in brief.frames)
        assert re.fullmatch(r"[A-Z].*\.", brief.sentence)
