"""Marks: kept whole, by the incident's id, shown by every output, and nothing else is changed."""

import csv
import io
import json
from pathlib import Path

import jsonschema
import pytest

from analyzer import pipeline
from analyzer.errors import InputError
from analyzer.report import marks
from analyzer.report.opinions import Mark, Opinion
from analyzer.report.result import incidents
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap
from tests.report.test_command import SCHEMA, complaint, run

MARK = Mark(Opinion.DISMISSED, "a load test", "2026-12-01T01:02:03Z")
HOSTILE = "\x1b]0;owned\x07 <b> =1+1\x9b"


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A capture with one incident, in the working directory."""
    one, two = swap()
    monkeypatch.chdir(tmp_path)
    path = Path("c.pcap")
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    return path


def incident(capture: Path) -> str:
    (one,) = incidents(pipeline.scan([str(capture)]))
    assert one["mark"] is None
    return str(one["id"])


def test_they_are_beside_the_first_capture() -> None:
    assert marks.beside(["a/c.pcap", "d.pcap"]) == "a/c.pcap.marks.json"
    assert marks.beside(["captures/"]) == "captures.marks.json"
    assert marks.beside(["-"]) is None


def test_a_change_keeps_what_else_is_there(tmp_path: Path) -> None:
    path = str(tmp_path / "m.json")
    assert marks.read(path) == {}
    marks.change(path, "01234567", MARK)
    other = Mark(Opinion.UNSURE, "\udcff", MARK.time)
    assert set(marks.change(path, "89abcdef", other)) == {"01234567", "89abcdef"}
    assert marks.change(path, "89abcdef", None) == {"01234567": MARK} == marks.read(path)
    assert json.loads(Path(path).read_text())["schema"] == marks.SCHEMA


@pytest.mark.parametrize(
    "content",
    ["", "junk", "[]", "{}", '{"schema": 1}', '{"schema": 2, "marks": {}}',
     '{"schema": 1, "marks": {"a": {"mark": "odd", "note": "", "time": ""}}}',
     '{"schema": 1, "marks": {"a": 1}}', '{"schema": 1, "marks": ' + "[" * 9_000],
)  # fmt: skip
def test_what_is_no_file_of_marks_is_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    for attempt in (
        lambda: marks.read(str(path)),
        lambda: marks.change(str(path), "01234567", MARK),
        lambda: marks.check(str(path), []),
    ):
        with pytest.raises(InputError):
            attempt()
    assert path.read_text() == content


def test_every_output_shows_them_and_nothing_else_changes(capture: Path) -> None:
    name = incident(capture)
    before = run("scan", capture)
    marks.change("c.pcap.marks.json", name, MARK)
    done = run("scan", capture, "--json", "r.json", "--csv", "r.csv", "--html", "r.html")
    assert done.returncode == before.returncode == 1
    text = done.stdout.decode()
    assert "Marked dismissed on 2026-12-01: a load test." in text
    assert "Marked in a review: 1 dismissed of 1 incident" in text
    left = [line for line in done.stdout.splitlines() if not line.startswith(b"Marked")]
    assert left[:5] == before.stdout.splitlines()[:5]
    report = json.loads(Path("r.json").read_text())
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert report["incidents"][0]["mark"] == {
        "mark": "dismissed", "note": "a load test", "time": MARK.time,
    }  # fmt: skip
    assert len(report["findings"]) == report["totals"]["findings"] == 2
    rows = list(csv.DictReader(io.StringIO(Path("r.csv").read_text())))
    assert {(row["mark"], row["note"]) for row in rows} == {("dismissed", "a load test")}
    assert "Marked dismissed on 2026-12-01: a load test." in Path("r.html").read_text()
    assert b"Marked dismissed" in run("explain", capture).stdout


def test_a_hostile_note_is_made_harmless(capture: Path) -> None:
    marks.change("m.json", incident(capture), Mark(Opinion.CONFIRMED, HOSTILE, MARK.time))
    done = run("scan", capture, "--marks", "m.json", "--csv", "r.csv", "--html", "r.html")
    outputs = (done.stdout, Path("r.csv").read_bytes(), Path("r.html").read_bytes())
    for output in (*outputs, run("explain", capture, "--marks", "m.json").stdout):
        assert b"\x1b" not in output and "\x9b".encode() not in output
        assert b"owned" in output
    assert b"&lt;b&gt; =1" in Path("r.html").read_bytes()


def test_a_named_file_has_to_be_one_and_another_is_said(capture: Path) -> None:
    assert "no.json: no such file" in complaint(run("scan", capture, "--marks", "no.json"))
    Path("m.json").write_text("junk")
    assert "is no file of marks" in complaint(run("scan", capture, "--marks", "m.json"))
    Path("c.pcap.marks.json").write_text("junk")
    done = run("scan", capture)
    assert done.returncode == 1 and b"no marks are shown" in done.stderr


def test_no_output_replaces_them(capture: Path) -> None:
    kept = Path("c.pcap.marks.json")
    marks.change(str(kept), incident(capture), MARK)
    before = kept.read_bytes()
    assert complaint(run("scan", capture, "--csv", kept, "--force"))
    assert kept.read_bytes() == before
