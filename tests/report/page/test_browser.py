"""The page in a real browser: nothing to complain of, and everything within reach."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.findings.model import Kind
from tests.recordings import recording
from tests.report.page.browser import Browser, program
from tests.report.page.made import file_of, invented, swapped, told, told_of
from tests.report.page.test_render import MORE
from tests.report.test_injection import planted

pytestmark = pytest.mark.skipif(program() is None, reason="chromium is not installed")
STORY = recording("story-node12", "bridge")
SHOWN = "[...document.querySelectorAll('[data-case]')].filter(one => !one.hidden).length"
# All text that a person could come to see: that of closed details too, but not of the style.
TEXT = (
    "[...document.querySelectorAll('header, main, footer')].map(one => one.textContent).join(' ')"
    ".replace(/\\s+/g, ' ')"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages that are looked at."""
    place = tmp_path_factory.mktemp("pages")
    (place / "story.html").write_bytes(file_of(*told(STORY)))
    capture = place / "swaps.pcap"
    capture.write_bytes(swapped(3))
    (place / "swaps.html").write_bytes(file_of(*told(capture)))
    hostile = planted(place, MORE)
    (place / "hostile.html").write_bytes(file_of(*told_of([hostile], show_bodies=True)))
    report, _, _ = told(STORY)
    many = invented(10_000, kinds=tuple(Kind))
    (place / "many.html").write_bytes(file_of(report, many, []))
    return place


def type_in(browser: Browser, text: str) -> None:
    browser.run("document.getElementById('f-text').select()")
    browser.do("Input.insertText", text=text)
    browser.run("new Promise(done => setTimeout(done, 250))")


def choose(browser: Browser, name: str, value: str) -> None:
    browser.run(
        f"(one => {{ one.value = '{value}'; one.dispatchEvent(new Event('change')) }})"
        f"(document.getElementById('{name}'))"
    )


def press(browser: Browser, key: str, code: int) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        browser.do("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                   windowsVirtualKeyCode=code)  # fmt: skip


@pytest.mark.parametrize("name", ["story", "swaps", "hostile", "many"])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens_without_a_word_and_asks_for_nothing(
    browser: Browser, folder: Path, name: str, width: int
) -> None:
    browser.shape(width)
    path = folder / f"{name}.html"
    browser.open(path)
    assert browser.complaints() == []
    assert browser.asked_for() == {path.as_uri()}
    # Nothing is cut off at the side.
    assert browser.run("document.documentElement.scrollWidth") == width


def test_a_policy_that_is_broken_would_be_noticed(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    text = (folder / "story.html").read_text()
    path = tmp_path / "broken.html"
    path.write_text(text.replace("</main>", "<img src='x.png'><i style='color: red'>x</i></main>"))
    browser.open(path)
    told_of_it = str(browser.complaints())
    assert "img-src" in told_of_it and "style-src" in told_of_it
    path.write_text(text.replace("</main>", "<script>document.title = 'owned'</script></main>"))
    browser.open(path)
    assert browser.run("document.title") != "owned"


def test_hostile_text_has_run_nothing(browser: Browser, folder: Path) -> None:
    browser.open(folder / "hostile.html")
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.querySelectorAll('img, iframe, [onload], [onerror]').length") == 0
    assert "</script><script>alert(1)</script>" in browser.run(TEXT)


def test_details_open_by_keyboard_and_all_at_once(browser: Browser, folder: Path) -> None:
    browser.shape(1280)
    browser.open(folder / "swaps.html")
    closed = "document.querySelectorAll('.case:not([open])').length"
    assert browser.run(closed) == 2
    browser.run("document.querySelectorAll('.case > summary')[1].focus()")
    press(browser, "Enter", 13)
    browser.do("Input.dispatchKeyEvent", type="char", text="\r")
    assert browser.run(closed) == 1
    browser.run("document.getElementById('open').click()")
    assert browser.run(closed) == 0
    browser.run("document.getElementById('close').click()")
    assert browser.run(closed) == 3


def test_the_first_stop_of_the_keyboard_skips_to_the_content(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "story.html")
    press(browser, "Tab", 9)
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_link_opens_its_incident(browser: Browser, folder: Path) -> None:
    browser.open(folder / "swaps.html")
    browser.run("document.querySelectorAll('.leading a')[2].click()")
    browser.run("new Promise(done => setTimeout(done, 100))")
    assert browser.run("document.querySelectorAll('.case')[2].open") is True


def test_the_filter(browser: Browser, folder: Path) -> None:
    browser.open(folder / "many.html")
    every = browser.run(SHOWN)
    assert every == 2_000
    choose(browser, "f-kind", "incomplete")
    assert 0 < browser.run(SHOWN) < every
    assert "of 2,000 shown" in browser.run("document.getElementById('f-count').textContent")
    type_in(browser, "horses/17 10.0.0.1")
    few = browser.run(SHOWN)
    assert 0 < few < 100
    groups = "[...document.querySelectorAll('.group')].filter(one => !one.hidden).length"
    # One for each confidence.
    assert browser.run(groups) == 3
    choose(browser, "f-sure", "likely")
    assert browser.run(SHOWN) < few
    type_in(browser, "nowhere to be found")
    assert browser.run(SHOWN) == 0
    assert browser.run("document.getElementById('f-none').hidden") is False
    choose(browser, "f-sure", "")
    choose(browser, "f-kind", "")
    type_in(browser, " ")
    assert browser.run(SHOWN) == every


def test_a_filter_is_copied(browser: Browser, folder: Path) -> None:
    browser.open(folder / "story.html")
    browser.do("Browser.grantPermissions", permissions=["clipboardReadWrite"])
    browser.run("document.querySelector('.copy button').click()")
    browser.run("new Promise(done => setTimeout(done, 100))")
    said = browser.run("document.getElementById('said').textContent")
    assert said == "Copied: frame.number == 1137 || frame.number == 1144"
    browser.run("document.querySelectorAll('.ladder title + text tspan')[1]"
                ".dispatchEvent(new MouseEvent('click', { bubbles: true }))")  # fmt: skip
    browser.run("new Promise(done => setTimeout(done, 100))")
    assert browser.run("document.getElementById('said').textContent") == (
        "Copied: frame.number == 1137"
    )


@pytest.mark.parametrize("name", ["story", "hostile", "many"])
def test_without_scripts_all_text_is_there(browser: Browser, folder: Path, name: str) -> None:
    path = folder / f"{name}.html"
    browser.open(path)
    buttons = "document.querySelectorAll('.copy button').forEach(one => one.remove())"
    browser.run(f"{buttons}; document.getElementById('f-count')?.replaceChildren()")
    browser.run("document.getElementById('said').replaceChildren()")
    scripted = browser.run(TEXT)
    browser.scripts(on=False)
    try:
        browser.open(path)
        assert browser.complaints() == []
        assert browser.run(TEXT) == scripted
        # What works only with them is not shown.
        assert browser.run("document.querySelectorAll('.copy button').length") == 0
        assert browser.run("document.getElementById('filter')?.checkVisibility() ?? false") is False
    finally:
        browser.scripts(on=True)


def test_ten_thousand_findings_open_soon(browser: Browser, folder: Path) -> None:
    browser.open(folder / "many.html")
    assert "8,000 are left out" in browser.run(TEXT)
    took = browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert took < 5_000


def test_both_schemes_have_contrast(browser: Browser, folder: Path) -> None:
    script = """
    (() => {
      const canvas = document.createElement('canvas').getContext('2d');
      const light = (colour) => {
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
          .map((c) => c / 255).map((c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
          .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
      };
      const of = (name) => light(getComputedStyle(document.documentElement).getPropertyValue(name));
      const ratio = (one, two) => {
        const [low, high] = [of(one), of(two)].sort((a, b) => a - b);
        return (high + .05) / (low + .05);
      };
      const pairs = [];
      for (const text of ['--text', '--dim', '--went', '--belonged', '--amber', '--good', '--link'])
        for (const back of ['--back', '--raised']) pairs.push([text, back, ratio(text, back)]);
      pairs.push(['--went', '--went-back', ratio('--went', '--went-back')]);
      pairs.push(['--belonged', '--went-back', ratio('--belonged', '--went-back')]);
      pairs.push(['--amber', '--amber-back', ratio('--amber', '--amber-back')]);
      return [pairs, getComputedStyle(document.body).backgroundColor];
    })()
    """
    backs = set()
    for dark in (False, True):
        browser.shape(1280, dark=dark)
        browser.open(folder / "story.html")
        pairs, back = browser.run(script)
        backs.add(back)
        # WCAG 2.2, level AA, text of ordinary size.
        assert [pair for pair in pairs if pair[2] < 4.5] == []
    assert len(backs) == 2
    browser.shape(1280)


def test_on_paper_what_is_folded_up_is_there(browser: Browser, folder: Path) -> None:
    browser.shape(1280, media="print")
    browser.scripts(on=False)
    try:
        browser.open(folder / "swaps.html")
        case = "document.querySelectorAll('.case')[2]"
        assert browser.run(f"{case}.open") is False
        # Without a script that opens them: the ladder has room, and the evidence is laid out.
        for what in (".ladder", "li"):
            box = f"{case}.querySelector('{what}').getBoundingClientRect()"
            assert browser.run(f"{box}.height") > 5, what
        assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
        assert browser.printed().startswith(b"%PDF")
    finally:
        browser.scripts(on=True)
        browser.shape(1280)


def test_there_is_something_to_see(browser: Browser, folder: Path) -> None:
    browser.shape(800, 600)
    browser.open(folder / "story.html")
    picture = browser.picture()
    assert struct.unpack(">II", picture[16:24]) == (800, 600)
    # The arrows of the swap are drawn, and point where they should.
    row = "document.querySelector('.ladder .astray')"
    boxes = f"[...{row}.querySelectorAll('path')].map(p => p.getBoundingClientRect().width)"
    assert all(width > 50 for width in browser.run(boxes))
