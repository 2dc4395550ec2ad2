"""What is on the page: of the story, of nothing found, of nothing judged, of very much."""

from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.findings.model import Kind
from analyzer.report.page import view
from tests.builder import in_time, pcap, request
from tests.findings.stable import ordinary, talk
from tests.recordings import recording
from tests.report.page.made import invented, page, page_of, swapped, told, told_of

STORY = recording("story-node12", "bridge")


def test_the_story_says_who_got_whose_answer() -> None:
    shown = page_of(STORY)
    assert (shown.tone, shown.headline) == (
        "found",
        "One request hung, and its response went to another",
    )
    # One incident is told once.
    assert shown.leading == () and shown.in_all == len(shown.shown) == 1
    (incident,) = shown.incidents
    assert incident.summary.got == "and was sent the response to GET /api/v1/horses/417/vet-report,"
    assert incident.kinds == ("misdelivered", "unanswered")
    assert [proof.of.partition(":")[0] for proof in incident.proofs] == ["client 1", "client 2"]
    assert incident.more_facts == 0


def test_the_filters_are_of_the_frames_and_the_connections_each_once() -> None:
    (incident,) = page_of(STORY).incidents
    frames, connections = incident.filters
    assert frames.text == "frame.number == 1137 || frame.number == 1144"
    assert connections.text.count("ip.addr") == 2


def test_frames_of_several_captures_have_a_filter_each() -> None:
    paths = [recording("story-node12", f"client{n}") for n in (1, 2)]
    (incident,) = page(*told_of(paths)).incidents
    named = {one.shows: one.text for one in incident.filters}
    assert named["The frames, in client1.pcap"] == "frame.number == 578"
    assert named["The frames, in client2.pcap"] == "frame.number == 577"


def test_what_was_weighed_and_what_lost() -> None:
    (incident,) = page_of(STORY).incidents
    (scale,) = incident.scales
    assert (scale.total, scale.odds) == ("+30.6", "more than 1,000 to 1")
    assert [(one.bits, one.speaks_against) for one in scale.weights][-1] == ("−20.0", True)
    assert max(one.size for one in scale.weights) == 100
    assert [one.name for one in incident.lost] == ["its own, in a new form"]


def test_causes_with_what_excludes_them() -> None:
    shown = page_of(STORY)
    (incident,) = shown.incidents
    words = {cause.name: cause.word for cause in incident.causes}
    assert words["server/descriptor"] == "supported" and words["network/lost"] == "ruled out"
    assert all(cause.because for cause in incident.causes)
    assert set(words) == {name for name, _ in shown.meanings}


def test_shapes_that_are_the_same_are_shown_once() -> None:
    ((shapes,),) = [incident.shapes for incident in page_of(STORY).incidents]
    assert shapes.same and shapes.owner is not None
    assert shapes.owner.lines == shapes.came.lines != shapes.usual.lines


def test_no_values_of_bodies_but_when_they_are_asked_for() -> None:
    assert not page_of(STORY).with_bodies
    shown = page(*told_of([STORY], show_bodies=True))
    assert shown.with_bodies
    assert any("Lindqvist" in line for e in shown.incidents[0].exhibits for line in e.lines)


def test_nothing_found_says_how_much_was_judged() -> None:
    shown = page_of(recording("clean-node14", "container"))
    assert (shown.tone, shown.headline, shown.incidents) == ("well", "No finding.", ())
    assert any(text.startswith("Judged ") for text in shown.said)


def test_what_the_capture_lacks_is_said_where_nothing_was_found(tmp_path: Path) -> None:
    shown = page_of(recording("mid-stream-node14", "container"))
    assert shown.tone == "well"
    assert shown.said[0].startswith("Judged ")
    assert any("the connection was already open when the capture began" in t for t in shown.said)
    assert shown.said[-1].startswith("This holds for what was captured and judged")
    one = talk(50).ask(request("/horses/1/vet-report"))
    path = tmp_path / "open.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames)))
    assert "1 could not be judged; the reasons are below." in page_of(path).said


def test_nothing_judged_is_no_reassurance(tmp_path: Path) -> None:
    path = tmp_path / "one-way.pcap"
    path.write_bytes(pcap(talk().ask(request("/x")).frames[3:4]))
    shown = page_of(path)
    assert (shown.tone, shown.headline) == ("unjudged", "Nothing could be judged.")
    assert shown.said[0] == "This does not mean that all is well."
    assert shown.unjudged and all(one.advice for one in shown.unjudged)


def test_a_partial_report_says_so(tmp_path: Path) -> None:
    report, summaries, stories = told_of([STORY])
    assert page(report, summaries, stories).warnings == ()
    report.captures[0].partial = True
    assert "not read" in "".join(page(report, summaries, stories).warnings)


def test_beyond_the_bounds_incidents_are_rows_and_then_counted() -> None:
    report, _, _ = told(STORY)
    summaries = invented(10_000, kinds=(Kind.UNANSWERED, Kind.INCOMPLETE))
    shown = page(report, summaries, [])
    assert (shown.in_all, len(shown.shown)) == (10_000, view.MOST_LINES)
    # Those of one kind, confidence, cause and endpoint are together: three times two.
    assert len(shown.groups) == 6
    assert sum(group.count for group in shown.groups) == 10_000
    assert sum(len(group.lines) for group in shown.groups) == view.MOST_LINES
    assert {len(group.lines) for group in shown.groups} == {333, 334}
    # The first of each, and all others are like them.
    assert sum(one.more for one in shown.leading) == 10_000 - 6
    assert shown.like_them == 10_000


def test_few_incidents_are_all_on_top_also_where_they_are_alike() -> None:
    report, _, _ = told(STORY)
    shown = page(report, invented(3), [])
    assert [one.more for one in shown.leading] == [0, 0, 0]


def test_what_incidents_share_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "swaps.pcap"
    path.write_bytes(swapped(2))
    one, two = page_of(path).incidents
    assert one.why and not one.as_before
    assert two.as_before == one.number and not two.why
    assert one.legend and not two.legend
    assert one.steps == two.steps == tuple(range(1, len(page_of(path).steps) + 1))


@pytest.mark.parametrize("many", [False, True])
def test_of_many_incidents_only_the_first_have_all_evidence(many: bool) -> None:
    report, summaries, (story,) = told(STORY)
    count = view.MANY + many
    several = [replace(summaries[0], id=f"{n:08x}") for n in range(count)]
    incidents = page(report, several, [story] * count).incidents
    assert incidents[view.FIRST - 1].more_facts == 0
    assert (incidents[view.FIRST].more_facts > 0) == many
    if many:
        assert {len(p.facts) for p in incidents[-1].proofs} == {view.MOST_FACTS_OF_MANY}


def test_endpoints_notices_and_what_was_read() -> None:
    shown = page_of(STORY)
    assert shown.endpoints[0].requests >= shown.endpoints[-1].requests
    assert dict(shown.about)["read"].startswith("1,466 frames")
    nothing = page_of(recording("mid-stream-node14", "container"))
    assert nothing.unjudged


def test_ordinary_traffic_has_a_timeline_without_marks(tmp_path: Path) -> None:
    path = tmp_path / "fine.pcap"
    path.write_bytes(pcap(ordinary()))
    timeline = page_of(path).timeline
    assert timeline is not None and timeline.strips == ()
