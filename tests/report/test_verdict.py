"""What a scan says first: the verdict in a screen, and all that it rests on."""

import io
import os
import pty
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from analyzer import pipeline
from analyzer.anomalies import SENTENCES, Anomalies
from analyzer.limits import LIMITS
from analyzer.pipeline import Examination
from analyzer.report import verdict
from analyzer.report.layout import UNWRAPPED, Out
from analyzer.report.paste import Commands
from analyzer.report.result import Verified
from tests.builder import SECOND, Conversation, in_time, pcap, request
from tests.findings.stable import LATER, epilogue, ordinary, talk
from tests.recordings import FOLDER, recording
from tests.report.test_command import PROGRAM, run

ESCAPE = b"\x1b"


@cache
def examined(*paths: Path) -> Examination:
    return pipeline.examine([str(path) for path in paths])


def told(examination: Examination, width: int = UNWRAPPED) -> str:
    """The verdict as text."""
    out = io.StringIO()
    console = Console(file=out, width=min(width, 500), highlight=False)
    overview = examination.overview(verdict.MOST_LISTED)
    commands = Commands("wrangler-forensics", ["c.pcap"])
    verdict.show(examination.report, overview, commands, Out(console, width))
    return out.getvalue()


def several(path: Path, kinds: int, times: int) -> Path:
    """A capture in which requests for so many endpoints hang, one after the other."""
    hung = []
    for number in range(kinds * times):
        one = Conversation(
            (f"10.7.0.{number + 1}", 5_000), isns=(number * 7 + 1, number * 13 + 5),
            start=LATER + number * 5 * SECOND,
        )  # fmt: skip
        asked = request(f"/things{'abcdefghijklmnop'[number % kinds]}/{number}")
        hung.append(one.open().ask(asked).wait(3 * SECOND).close().frames)
    path.write_bytes(pcap(in_time(ordinary(), *hung, epilogue())))
    return path


# --- the verdict first ----------------------------------------------------------------------


@pytest.mark.parametrize("captures", [["bridge.pcap"], [""]], ids=["one", "all"])
def test_the_story_is_one_screen(captures: list[str]) -> None:
    done = run("scan", *(FOLDER / "story-node12" / name for name in captures), columns=80)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "One request hung, and its response went to another"
    assert len(lines) < 24, "the last line of a screen is the shell's"
    assert all(len(line) <= 80 or " explain " in line for line in lines)


@pytest.mark.parametrize("word", ["evidence", "ruled-out", "shape  ", "Endpoints,", "captures "])
def test_details_are_shown_in_full_only(word: str) -> None:
    path = recording("story-node12", "bridge")
    brief, full = (run("scan", path, *more, columns=80).stdout for more in ([], ["--full"]))
    head, _, _ = brief.partition(b"More: ")
    assert word.encode() not in head
    assert full.startswith(head.rstrip())
    if word != "captures ":
        assert word.encode() in full


def test_endpoints_are_shown_on_demand() -> None:
    path = recording("story-node12", "bridge")
    text = run("scan", path, "--endpoints", columns=80).stdout
    assert b"Endpoints, and the shapes" in text and b"ruled-out" not in text


def test_what_repeats_is_told_once(tmp_path: Path) -> None:
    text = told(examined(several(tmp_path / "c.pcap", 1, 5)))
    assert text.startswith("5 × a request never got a response\n")
    assert "Same cause and endpoint, within 20.0 s. The first: 2023-" in text
    assert text.count(" explain ") == 1
    assert "5 incidents, 5 findings (5 unanswered)." in text


def test_many_are_a_table(tmp_path: Path) -> None:
    one = examined(several(tmp_path / "c.pcap", 14, 3))
    text = told(one)
    assert "All 42 incidents, the worst first:" in text
    rows = re.findall(
        r"^ *(\d+) ×  unanswered  certain  [\d:]{8}  [0-9a-f]{8}  \S+  GET /", text, re.M
    )
    assert [int(count) for count in rows] == [3] * verdict.MOST_LISTED
    assert "and 6 more incidents; --csv and --json have all." in text
    narrow = told(one, 60).splitlines()
    assert max(map(len, (line for line in narrow if " explain " not in line))) <= 60
    assert sum(bool(re.fullmatch(r"     GET /things./\{id\}", line)) for line in narrow) == 12


def test_a_few_are_all_told(tmp_path: Path) -> None:
    text = told(examined(several(tmp_path / "c.pcap", 3, 1)))
    assert text.count("A request never got a response\n") == 3
    assert text.count(" explain ") == 3 and "incidents, the worst first" not in text


# --- what it rests on -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SENTENCES)
def test_no_anomaly_is_silent(name: str) -> None:
    """Each is told: why something was not judged, a limit, what a capture lacks, or by name."""
    one = pipeline.examine([str(recording("silent-node12", "container"))])
    before = told(one)
    one.report.anomalies = Anomalies({name: 4_321})
    one.report.__dict__.pop("coverage", None)
    new = "\n".join(set(told(one).splitlines()) - set(before.splitlines()))
    assert "4,321" in new
    limits = [limit.sentence for limit in LIMITS if limit.anomaly == name]
    assert name in new or SENTENCES[name] in new or "Not judged:" in new or limits[0] in new


def test_what_was_not_as_reported_comes_first() -> None:
    one = pipeline.examine([str(recording("story-node12", "bridge"))])
    one.report.verified = Verified(9, ["frame 7 is \x1b[31mgone"], ["0" * 64])
    text = told(one)
    assert text.startswith("1 IS NOT AS REPORTED when the frames were read again: frame 7 is \\x1b")
    assert "as reported." not in text


def test_a_capture_that_is_cut_says_so(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(ordinary())[:-7])
    text = told(examined(path))
    assert "Noted 1 time: the file ends in the middle of a record." in text
    assert "This holds for what was captured and judged, and for nothing else." in text


def test_clocks_that_were_corrected_are_told() -> None:
    names = ("client1", "container")
    text = told(examined(*(recording("story-clocks-apart-node14", name) for name in names)))
    assert re.search(r"clocks differ by up to [\d,.]+ ms; the times shown are corrected", text)


def test_what_is_worth_a_look_is_told_once_for_all(tmp_path: Path) -> None:
    half = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx"
    left = [talk(number).ask(half).close().frames for number in (1, 2, 3)]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), *left, epilogue())))
    text = told(examined(path))
    assert text.count("Worth a look, though no finding: frame ") == 1
    assert "(3 times; this is the first)." in text


# --- where it goes --------------------------------------------------------------------------


def bare(**more: str) -> dict[str, str]:
    """The environment without what changes how output looks."""
    names = ("COLUMNS", "NO_COLOR", "TERM", "FORCE_COLOR", "COLORTERM")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, **more}


def test_what_is_piped_is_not_wrapped_and_has_no_colour() -> None:
    path = recording("story-node12", "bridge")
    done = subprocess.run(
        [PROGRAM, "scan", "--full", path], capture_output=True, env=bare(TERM="xterm"), check=False
    )
    text = done.stdout.decode()
    assert ESCAPE not in done.stdout
    one = examined(path)
    summary = one.overview(1).groups[0].summary
    assert summary.sentence in text and summary.why in text
    for finding in one.report.judgement.findings:
        for fact in finding.evidence:
            assert fact.fact in text
    assert all(line == line.rstrip() for line in text.splitlines())


def in_a_terminal(*arguments: str, **env: str) -> bytes:
    """What the command writes to a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *arguments], stdout=slave, stderr=subprocess.DEVNULL, env=bare(**env)
    )
    os.close(slave)
    found = b""
    try:
        while part := os.read(master, 65_536):
            found += part
    except OSError:
        pass  # Linux: the other end was closed
    os.close(master)
    process.wait(60)
    return found


@pytest.mark.parametrize(
    ("env", "coloured"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
@pytest.mark.parametrize("command", [["scan"], ["scan", "--full"], ["explain"]])
def test_a_terminal_gets_the_colours_it_asked_for(
    command: list[str], env: dict[str, str], coloured: bool
) -> None:
    shown = in_a_terminal(*command, str(recording("story-node12", "bridge")), **env)
    assert b"went to another" in shown
    assert (ESCAPE in shown) is coloured


# --- a text to pass on ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario",
    ["story-node12", "crossed-node14", "silent-node12", "pool-reuse", "tmp-library-node12"],
)
def test_a_brief_is_short_plain_and_says_the_same(scenario: str) -> None:
    path = recording(scenario, "container")
    done = run("explain", path, "--brief", columns=40)
    text = done.stdout.decode()
    assert done.returncode == 1 and not done.stderr
    assert len(text) <= 650
    assert not re.search("[\u2500-\u257f\x1b]", text)
    one = examined(path)
    summary = one.summary(one.incidents()[0])
    assert summary.sentence in text and summary.why in text
    assert summary.sentence in told(one)
    assert f"incident {summary.id}: " in text and f"How sure: {summary.confidence}." in text
    assert all(str(pointer.frame) in text for pointer in summary.frames)


def test_a_brief_of_one_incident_of_several() -> None:
    path = recording("pool-reuse", "container")
    last = examined(path).incidents()[-1]
    text = run("explain", path, "--brief", "--finding", last.id).stdout.decode()
    assert f"incident {last.id}: " in text


def test_a_brief_has_no_bodies() -> None:
    done = run("explain", recording("story-node12", "bridge"), "--brief", "--show-bodies")
    assert done.returncode == 2 and b"--show-bodies" in done.stderr
