"""The capture over time: how many requests were under way, and where the findings are."""

import re
from pathlib import Path

from analyzer.report.page.timeline import HEIGHT, PARTS, Timeline, timeline
from analyzer.report.result import Report
from tests.builder import SECOND, START, Frame, in_time, pcap, request, response
from tests.findings.stable import OCCUPANCY, VET, judged, occupancy, swap, talk, vet_report
from tests.recordings import recording
from tests.report.page.made import told, told_of
from tests.tools import scanned


class All(set[str]):
    """Every incident is on the page."""

    def __contains__(self, name: object) -> bool:
        return True


SHOWN = All()


def of(report: Report) -> Timeline:
    found = timeline(report, SHOWN)
    assert found is not None
    return found


def heights(curve: str) -> list[float]:
    """The curve's height in every part."""
    y = float(HEIGHT)
    found: list[float] = []
    for at, to in re.findall(r"H(\d+)V([\d.]+)", curve):
        found += [HEIGHT - y] * (int(at) - len(found))
        y = float(to)
    return found


def ten_seconds() -> list[Frame]:
    """Two requests of five seconds, the second in the middle of the first; then nothing."""
    one = talk(1, start=START).ask(request(VET)).wait(5 * SECOND).answer(response(vet_report()))
    two = talk(2, start=START + 2 * SECOND).ask(request(OCCUPANCY)).wait(5 * SECOND)
    two.answer(response(occupancy()))
    end = talk(3, start=START + 20 * SECOND)
    return in_time(one.frames, two.frames, end.frames)


def test_what_is_under_way_at_once(tmp_path: Path) -> None:
    found = of(scanned(tmp_path, ten_seconds()))
    assert found.most == 2
    curve = heights(found.curve)
    per_second = PARTS // 20
    for second, count in ((1, 1), (3, 2), (6, 1), (10, 0), (15, 0)):
        assert curve[second * per_second] == count * HEIGHT / 2, second
    assert (found.ticks[0], found.ticks[-1]) == ("0.0 s", "20.0 s")


def test_a_request_without_an_answer_is_under_way_until_its_connection_ends(
    tmp_path: Path,
) -> None:
    one = talk(1, start=START).ask(request(VET)).wait(10 * SECOND).fin(0)
    end = talk(3, start=START + 20 * SECOND).ask(request(VET)).answer(response(vet_report()))
    curve = heights(of(scanned(tmp_path, in_time(one.frames, end.frames))).curve)
    assert curve[PARTS // 4] == HEIGHT and curve[PARTS * 3 // 4] == 0


def test_findings_are_marked_and_lead_to_their_incidents(tmp_path: Path) -> None:
    report = judged(tmp_path, *swap())
    found = of(report)
    strips = {strip.style: strip for strip in found.strips}
    (incident,) = {finding.incident for finding in report.judgement.findings}
    assert set(strips) == {"misdelivered", "unanswered"}
    for strip in strips.values():
        assert [mark.link for mark in strip.marks] == [incident]
    # It went astray after it had been asked for.
    assert strips["unanswered"].marks[0].at < strips["misdelivered"].marks[0].at


def test_missing_frames_and_what_was_not_judged_are_marked(tmp_path: Path) -> None:
    frames = ten_seconds()
    body = response(vet_report() * 400)
    one = talk(5, start=START + 12 * SECOND).ask(request(VET)).answer(body, 1_000)
    del one.frames[5:7]
    strips = {s.style: s for s in of(scanned(tmp_path, in_time(frames, one.frames))).strips}
    assert "gap" in strips and "undecided" in strips
    (mark,) = strips["gap"].marks
    assert abs(mark.at - PARTS * 12 // 20) <= 2


def test_several_captures_are_shown_with_their_times() -> None:
    report, _, _ = told_of([recording("story-node12", f"client{n}") for n in (1, 2)])
    captures = [strip for strip in of(report).strips if strip.style == "capture"]
    assert [strip.label for strip in captures] == list(report.tables.files)
    assert all(mark.at + mark.width <= PARTS for strip in captures for mark in strip.marks)


def test_one_capture_needs_no_line_of_its_own() -> None:
    report, _, _ = told(recording("story-node12", "bridge"))
    assert not [strip for strip in of(report).strips if strip.style == "capture"]


def test_without_requests_there_is_none(tmp_path: Path) -> None:
    assert timeline(scanned(tmp_path, talk(3, start=START).frames), SHOWN) is None
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    assert timeline(told_of([path])[0], SHOWN) is None
