"""The ladder of the story, line by line; and that any story fits its columns."""

import re
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from analyzer import pipeline
from analyzer.correlate.frames import Frame
from analyzer.explain.model import Event, Lane, Manner, Story
from analyzer.report.ladder import ladder, show
from analyzer.report.layout import wrapped
from tests.builder import SECOND
from tests.recordings import recording, recordings

GOLDEN = Path(__file__).parent / "golden"


@cache
def stories(path: Path) -> list[Story]:
    """The stories of all incidents of a capture."""
    examined = pipeline.examine([str(path)])
    return [examined.story(incident) for incident in examined.incidents()]


def drawn(story: Story, width: int, *, ascii_only: bool = False) -> str:
    """The ladder as text."""
    return "\n".join(line.plain.rstrip() for line in ladder(story, width, ascii_only=ascii_only))


def printed(story: Story, width: int) -> str:
    """All of a story as the terminal shows it."""
    console = Console(width=width, file=None, record=True, quiet=False, highlight=False)
    with console.capture():
        show(story, console)
    return console.export_text(clear=False)


@pytest.mark.parametrize("width", [80, 140])
def test_the_story_is_drawn_as_it_was_approved(width: int) -> None:
    (story,) = stories(recording("story-node12", "container"))
    expected = (GOLDEN / f"story-{width}.txt").read_text().rstrip("\n")
    assert drawn(story, width) == expected


def test_a_slip_is_drawn_on_one_connection() -> None:
    (story,) = stories(recording("double-answer-node20", "container"))
    expected = (GOLDEN / "slip-80.txt").read_text().rstrip("\n")
    assert drawn(story, 80) == expected


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("where", [r for r in recordings() if r.vantage == "container"], ids=str)
def test_every_story_fits_its_columns(where, width: int) -> None:  # type: ignore[no-untyped-def]
    for story in stories(where.path)[:2]:
        for line in drawn(story, width).split("\n"):
            assert len(line) <= width
        for line in printed(story, width).split("\n"):
            # Commands are there to be copied, and not wrapped.
            assert len(line) <= width or line.startswith("   ")


def test_a_plain_terminal_gets_plain_letters() -> None:
    (story,) = stories(recording("story-node12", "container"))
    drawn(story, 80, ascii_only=True).encode("ascii")


def _story(text: str, *, lanes: int = 3) -> Story:
    event = Event(0, 0, 0, 1, Manner.REQUEST, text, Frame(0, 7), 0, True)
    note = Event(SECOND, SECOND, 1, 0, Manner.NOTE, text, Frame(0, 0), 0, False)
    names = ("client 1", "server", "client 2")[:lanes]
    return Story(
        id="x", title="", findings=(), summary=(), lanes=tuple(Lane(n, "1.2.3.4:5") for n in names),
        sightings=(), begins=0, events=(event, note), bodies=(), legend=(), evidence=(), scales=(),
        causes=(), hints=(), steps=(), caveats=(),
    )  # fmt: skip


@pytest.mark.parametrize("lanes", [2, 3])
@pytest.mark.parametrize("text", ["", "x" * 500, "GET /" + "a/" * 200, "a\x1b[31mb\n\x9bc", " "])
def test_any_text_stays_between_its_lanes(text: str, lanes: int) -> None:
    for width in (60, 80, 140):
        lines = drawn(_story(text, lanes=lanes), width).split("\n")
        assert all(len(line) <= width for line in lines)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "".join(lines))
        arrow = [line for line in lines if "▶" in line]
        assert len(arrow) == 1


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("GET /api/v1/horses/417", 12, ["GET /api/v1/", "horses/417"]),
        ("/a?b=1&c=2", 6, ["/a?", "b=1&", "c=2"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("ab " + "x" * 12, 10, ["ab", "x" * 10, "xx"]),
        ("after 1.50 s it", 10, ["after", "1.50 s it"]),
    ],
)
def test_lines_break_between_words_and_behind_slashes(
    text: str, width: int, lines: list[str]
) -> None:
    assert wrapped(text, width) == lines
