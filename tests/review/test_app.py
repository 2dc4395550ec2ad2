"""The review as somebody uses it: by keys, on screens of several sizes."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from analyzer import pipeline
from analyzer.pipeline import Examination
from analyzer.review.app import Review
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap, talk
from tests.report.test_command import complaint, run

Use = Callable[[Pilot[int]], Awaitable[None]]
HOSTILE = b"/x\x1b]0;owned\x07[red]a[/red][@click=app.leave]b[/][[/\x9b"


@pytest.fixture
def examined(tmp_path: Path) -> Examination:
    """A swap, and a request with a hostile target that hung."""
    one, two = swap()
    ask = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % HOSTILE
    lone = talk(7, start=1_700_000_030_000_000_000).ask(ask).wait(9 * 10**9).close()
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), lone.frames, one.frames, two.frames, epilogue())))
    return pipeline.examine([str(path)])


def use(examined: Examination, place: Path, how: Use, size: tuple[int, int] = (80, 24)) -> Review:
    """The review, used; it must not have failed."""
    app = Review(examined, str(place), show_bodies=False, show_secrets=False)

    async def in_a_loop() -> None:
        async with app.run_test(size=size) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            await how(pilot)

    asyncio.run(in_a_loop())
    return app


def shown(pilot: Pilot[int], name: str) -> str:
    return str(pilot.app.query_one(f"#{name}", Static).render())


def marks_in(place: Path) -> list[tuple[str, str]]:
    found = json.loads(place.read_text())["marks"].values()
    return [(one["mark"], one["note"]) for one in found]


def test_the_worst_is_told_first_and_the_next_by_a_key(
    examined: Examination, tmp_path: Path
) -> None:
    async def how(pilot: Pilot[int]) -> None:
        assert "1 of 2 incidents" in shown(pilot, "status")
        first = shown(pilot, "story")
        assert "one request hung, and its response went to another" in first
        assert "What happened" in first and "How sure that is, in bits" in first
        await pilot.press("n")
        assert "2 of 2 incidents" in shown(pilot, "status")
        assert "a request never got a response" in shown(pilot, "story")
        await pilot.press("n", "p", "p")
        assert shown(pilot, "story") == first
        await pilot.press("down")
        assert "2 of 2" in shown(pilot, "status")

    use(examined, tmp_path / "m.json", how)
    assert not (tmp_path / "m.json").exists()


def test_a_mark_with_its_note_is_in_the_file_at_once(examined: Examination, tmp_path: Path) -> None:
    place = tmp_path / "m.json"

    async def how(pilot: Pilot[int]) -> None:
        await pilot.press("d")
        assert marks_in(place) == [("dismissed", "")]
        # While a note is typed, keys are letters.
        await pilot.press(*"duq", "enter")
        assert marks_in(place) == [("dismissed", "duq")]
        assert "Marked dismissed" in shown(pilot, "story") and "duq" in shown(pilot, "story")
        assert str(pilot.app.query_one("#list", OptionList).get_option_at_index(0).prompt)[0] == "-"
        # Another mark keeps the note, Escape too.
        await pilot.press("c", "escape")
        assert marks_in(place) == [("confirmed", "duq")]
        await pilot.press("e", "s", "enter", "n", "u", "escape")
        assert sorted(marks_in(place)) == [("confirmed", "duqs"), ("unsure", "")]
        await pilot.press("x", "p", "x")
        assert marks_in(place) == []

    use(examined, place, how)
    assert len(examined.report.judgement.findings) == 3


def test_a_filter_by_kind_mark_and_text(examined: Examination, tmp_path: Path) -> None:
    async def how(pilot: Pilot[int]) -> None:
        def status() -> str:
            return shown(pilot, "status")

        await pilot.press("k")
        assert "1 of 1 incident (of 2)  only: misdelivered" in status()
        await pilot.press("k")
        assert "only: unanswered" in status()
        await pilot.press("escape", "slash", *"nowhere", "enter")
        assert "0 of 0" in status() and "No incident fits" in shown(pilot, "story")
        await pilot.press("c", "e", "n", "x")
        await pilot.press("escape", "u", "escape", "m", "m")
        assert "0 of 0" in status()
        await pilot.press("m", "m")
        assert "only: unsure" in status() and "1 of 1" in status()

    use(examined, tmp_path / "m.json", how)


@pytest.mark.parametrize("size", [(20, 6), (40, 10), (80, 24), (140, 40)])
def test_it_fits_screens_of_any_size(
    examined: Examination, tmp_path: Path, size: tuple[int, int]
) -> None:
    async def how(pilot: Pilot[int]) -> None:
        beside = pilot.app.query_one("#panes").has_class("beside")
        assert beside == (size[0] >= 120)
        await pilot.press("n", "f1", "z", "space", "tab", "down", "b", "escape")
        await pilot.resize_terminal(200, 50)
        assert pilot.app.query_one("#panes").has_class("beside")

    use(examined, tmp_path / "m.json", how, size)


def test_hostile_text_stays_text(examined: Examination, tmp_path: Path) -> None:
    async def how(pilot: Pilot[int]) -> None:
        await pilot.press("n")
        story = shown(pilot, "story")
        assert "[red]" in story and r"\x1b]0;owned" in story
        for strip in pilot.app.screen._compositor.render_strips():
            assert not any(code in strip.text for code in ("\x1b", "\x9b", "\x07"))

    use(examined, tmp_path / "m.json", how, (140, 40))


def test_what_cannot_be_read_or_written_is_said(examined: Examination, tmp_path: Path) -> None:
    place = tmp_path / "gone" / "m.json"
    (tmp_path / "c.pcap").unlink()

    async def how(pilot: Pilot[int]) -> None:
        assert "cannot be read once more" in shown(pilot, "story")
        await pilot.press("c")
        await pilot.pause()
        told = [str(one.message) for one in pilot.app._notifications]
        assert any("m.json" in text for text in told)
        assert "Marked" not in shown(pilot, "story")

    use(examined, place, how)


def test_keys_and_leaving(examined: Examination, tmp_path: Path) -> None:
    async def how(pilot: Pilot[int]) -> None:
        await pilot.press("f1")
        assert len(pilot.app.screen_stack) == 2
        await pilot.press("z")
        assert len(pilot.app.screen_stack) == 1
        await pilot.press("q")

    assert use(examined, tmp_path / "m.json", how).return_value == 0


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(ordinary()))
    assert "needs a terminal" in complaint(run("review", path))
    assert "reads keys from standard input" in complaint(run("review", "-"))
    without = (
        "import sys; sys.modules['textual'] = None\n"
        "from analyzer import cli\n"
        "try: cli.reviewing._reviewing()\n"
        "except cli.reviewing.InputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, check=True)
    assert b"pip install 'wrangler-forensics[review]'" in done.stdout
