"""The file: well-formed, small, without a way out, and inert whatever was in the packets."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.explain.overviews import Summary
from analyzer.findings.model import Kind
from analyzer.report.page import view
from tests.builder import in_time, pcap, request
from tests.findings.stable import epilogue, ordinary, talk
from tests.recordings import Recording, recording, recordings
from tests.report.page.made import file_of, invented, swapped, told, told_of
from tests.report.test_injection import ACTING, planted

STORY = recording("story-node12", "bridge")
VOID = {"meta", "input", "br", "link", "img", "hr"}
# Characters that have no place even in running text.
BARE = re.compile(r"[\x00-\x09\x0b-\x1f]")


class Outline(HTMLParser):
    """Elements as they are nested; complains of what a browser would have to put right."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += [f"not closed: {tag}" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.wrong.append(f"twice in {tag}: {names}")
        self.tags.append((tag, dict(attrs)))
        if tag == "p" and "p" in self.open:
            self.wrong.append("a paragraph in another")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"closes what is not open: {tag}")


def leading_nowhere(outline: Outline) -> set[str]:
    """The links that lead out of the page, or to nothing in it."""
    ids = {attributes.get("id") for _, attributes in outline.tags}
    links = {str(a["href"]) for tag, a in outline.tags if tag == "a" and "href" in a}
    return {link for link in links if link[:1] != "#" or link[1:] not in ids}


def made(path: Path, *, show_bodies: bool = False) -> str:
    return file_of(*told_of([path], show_bodies=show_bodies)).decode()


@pytest.mark.parametrize(
    "where", [r for r in recordings() if r.vantage in ("container", "host-any")][::8], ids=str
)
def test_it_is_well_formed(where: Recording) -> None:
    outline = Outline(file_of(*told(where.path)).decode())
    assert outline.wrong == []
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert leading_nowhere(outline) == set()
    for _, attributes in outline.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert {*(attributes.get(name) or "").split()} <= set(ids)


def test_headings_skip_no_level_and_there_are_landmarks() -> None:
    tags = [tag for tag, _ in Outline(made(STORY)).tags]
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= set(tags)


def test_the_policy_forbids_all_but_its_own_style_and_script() -> None:
    text = made(STORY)
    policy = next(
        attributes["content"]
        for tag, attributes in Outline(text).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    # It comes before what it is to hold for, and nothing needs more than it allows.
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("<script>")
    for tag, attributes in Outline(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "form", "base")
        assert not {"style", "src", "srcset"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")]


def test_the_same_report_gives_the_same_bytes() -> None:
    assert made(STORY) == made(STORY)


# --- hostile text ---------------------------------------------------------------------------------

MORE = (
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</title></svg><svg onload=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<!--<script>",
    "&lt;b&gt;&#60;script&#62;",
    "{{ 7*7 }}{% raw %}",
    "]]><![CDATA[",
    "x" * 9_000,
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with hostile text in targets, heads, bodies, names and comments."""
    return planted(tmp_path_factory.mktemp("hostile"), MORE)


@pytest.mark.parametrize("show_bodies", [False, True])
def test_text_from_packets_is_inert(hostile: Path, show_bodies: bool) -> None:
    text = made(hostile, show_bodies=show_bodies)
    outline = Outline(text)
    assert outline.wrong == []
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("script") == tags.count("style") == 1
    assert not {"img", "b1", "iframe"} & set(tags)
    for _, attributes in outline.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "autofocus"]
    shown = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    assert not ACTING.search(shown)
    assert not BARE.search(shown)
    # It is there to be read, all the same.
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in shown
    assert r"\x1b[31m" in shown and r"\u202e" in shown
    assert "{{_7*7_}}" in shown
    assert len(text) < 300_000


def test_secrets_are_masked(tmp_path: Path) -> None:
    one = talk(1).ask(request("/horses/1/vet-report?api_key=hunter2hunter2"))
    path = tmp_path / "secret.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.wait(10**10).close().frames, epilogue())))
    text = made(path)
    assert "hunter2" not in text and "api_key=[hidden: 14 characters]" in text


def test_names_that_are_no_utf_8_are_shown_as_escapes(tmp_path: Path) -> None:
    report, summaries, stories = told_of([STORY])
    report.captures[0].path = "odd\udcff\x1b.pcap"
    text = file_of(report, summaries, stories).decode()
    assert r"odd\udcff\x1b.pcap" in text


# --- how large it gets ----------------------------------------------------------------------------


def test_fifty_swaps_take_less_than_500_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "swaps.pcap"
    path.write_bytes(swapped(50))
    report, summaries, stories = told_of([path])
    assert len(stories) == 50 and all(story.scales for story in stories)
    assert len(file_of(report, summaries, stories)) < 500_000


def test_links_lead_to_incidents_that_are_on_the_page() -> None:
    report, (real,), _ = told(STORY)
    others = invented(view.MOST_LINES + 5)
    # The one that the timeline shows comes last, and is left out.
    text = file_of(report, [*others, real], []).decode()
    assert leading_nowhere(Outline(text)) == set()
    assert f'id="i-{real.id}"' in text  # alone of its kind, so not left out
    alike = replace(others[0], id=real.id, time=real.time)
    assert f"i-{real.id}" not in file_of(report, [*others, alike], []).decode()


def long(one: Summary) -> Summary:
    return replace(one, asked=one.asked + "/long" * 30)


def test_ten_thousand_incidents_take_bounded_room() -> None:
    report, _, _ = told(STORY)
    summaries = [long(one) for one in invented(10_000, kinds=tuple(Kind))]
    text = file_of(report, summaries, []).decode()
    outline = Outline(text)
    assert outline.wrong == []
    assert leading_nowhere(outline) == set()
    assert len(text) < 2_000_000
    assert "8,000 are left out. The JSON report" in text
