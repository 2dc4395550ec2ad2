"""Pages of small captures, and summaries of incidents that never were, to test the page with."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from analyzer import pipeline
from analyzer.correlate.frames import Frame
from analyzer.explain.model import Story
from analyzer.explain.overviews import Pointer, Summary
from analyzer.explain.summary import summary
from analyzer.findings.model import Confidence, Kind
from analyzer.report.page import view
from analyzer.report.page.model import Page
from analyzer.report.page.render import html
from analyzer.report.result import Report
from tests.builder import MILLISECOND, SECOND, START, Conversation, in_time, pcap, request, response
from tests.builder import Frame as Packet
from tests.findings.stable import LATER, VET, occupancy, talk, vet_report

VERSION = "1.2.3"


@cache
def told(path: Path) -> tuple[Report, list[Summary], list[Story]]:
    """A capture's report, with the summaries and the stories of its incidents."""
    return told_of([path])


def told_of(
    paths: Sequence[Path], *, show_bodies: bool = False
) -> tuple[Report, list[Summary], list[Story]]:
    """The same of several."""
    examined = pipeline.examine([str(path) for path in paths])
    incidents = examined.incidents()
    stories = examined.stories(incidents, show_bodies=show_bodies)
    return examined.report, [summary(i, examined.report.tables) for i in incidents], stories


def page_of(path: Path) -> Page:
    """The page of a capture."""
    return page(*told(path))


def page(report: Report, summaries: Sequence[Summary], stories: Sequence[Story]) -> Page:
    """The page of a report."""
    return view.page(report, summaries, stories, VERSION)


def file_of(report: Report, summaries: Sequence[Summary], stories: Sequence[Story]) -> bytes:
    """The same as a file."""
    return html(report, summaries, stories, VERSION)


def invented(count: int, *, kinds: Iterable[Kind] = (Kind.UNANSWERED,)) -> list[Summary]:
    """Summaries of so many incidents, which are alike where they are of one kind."""
    every = tuple(kinds)
    return [
        Summary(
            id=f"{number:08x}",
            title="a request never got a response",
            time=START + number * MILLISECOND,
            kind=every[number % len(every)],
            confidence=tuple(Confidence)[number % len(Confidence)],
            cause=f"server/{every[number % len(every)]}",
            endpoint="GET /horses/{id}",
            findings=1,
            asked=f"The client (10.0.0.1) asked the server for GET /horses/{number}",
            got="and got no byte of a response.",
            whose="",
            more="",
            why="Why is not known.",
            sure="certain",
            frames=(Pointer(Frame(0, number + 1), "the request"),),
        )
        for number in range(count)
    ]


def swapped(count: int) -> bytes:
    """A capture of so many swaps, each an incident of its own, amid ordinary traffic."""
    parts: list[list[Packet]] = []
    for number in range(20 * count):
        one = _client(number, START + 40 * SECOND + number * 7 * MILLISECOND)
        for target, body in (
            (f"/horses/{number}/vet-report", vet_report(number)),
            (f"/paddocks/{number}/occupancy", occupancy(number)),
        ):
            one.ask(request(target)).answer(response(body))
        parts.append(one.close().frames)
    for number in range(count):
        at = LATER + number * 20 * SECOND
        horse, net = 50_000 + number, f"10.2.{number}"
        one = talk(1, start=at, address=net).ask(request(f"/horses/{horse}/vet-report"))
        two = talk(2, start=at + SECOND, address=net)
        two.ask(request(f"/paddocks/{30_000 + number}/occupancy"))
        two.answer(response(vet_report(horse))).close()
        one.wait(10 * SECOND).fin(0)
        parts += [one.frames, two.frames]
    end = talk(99, start=LATER + count * 20 * SECOND + 300 * SECOND)
    parts.append(end.ask(request(VET)).answer(response(vet_report())).close().frames)
    return pcap(in_time(*parts))


def _client(number: int, start: int) -> Conversation:
    place = f"10.77.{number // 200}.{number % 200 + 1}", 30_000 + number % 20_000
    return Conversation(place, isns=(number * 7_919 + 1, number * 104_729 + 5), start=start).open()
