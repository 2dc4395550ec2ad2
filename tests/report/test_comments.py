"""Comments on a finding's frames: in the JSON as they are, on the terminal harmless."""

import io
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

import analyzer
from analyzer import pipeline
from analyzer.report import ladder
from analyzer.report.comments import told
from analyzer.report.files import json_text
from analyzer.report.result import Report
from tests.builder import Pcapng
from tests.golden.rewriting import records
from tests.recordings import recording
from tests.report.showing import show_all

HOSTILE = "\x1b[31mred \x07 [bold]=1+1"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The story, every frame with its number in a comment."""
    link_type, frames = records(recording("story-node12", "bridge"))
    built = Pcapng(options={1: f"the story {HOSTILE}".encode()})
    built.interface(link_type, options={9: b"\x09", 2: b"docker0", 3: f"bridge {HOSTILE}".encode()})
    blocks, built.data = [built.data], b""
    for number, (time, data, wire) in enumerate(frames, 1):
        comment = f"PID: {number}\nCmd: node {HOSTILE}".encode()
        built.enhanced(data, ticks=time, wire=wire, comments=[comment])
        blocks.append(built.data)
        built.data = b""
    path = tmp_path_factory.mktemp("comments") / "story.pcapng"
    path.write_bytes(b"".join(blocks))
    return analyzer.scan(path)


def test_json_has_them(report: Report) -> None:
    told = json.loads(json_text(report))
    schema = json.loads((Path(analyzer.__file__).parent / "report" / "schema.json").read_text())
    Draft202012Validator(schema).validate(told)
    (capture,) = told["captures"]
    assert capture["comment"] == f"the story {HOSTILE}"
    assert capture["interfaces"] == [
        {
            "link_type": 1,
            "name": "docker0",
            "description": f"bridge {HOSTILE}",
            "comment": "",
            "dropped": 0,
        }
    ]
    assert told["findings"]
    for finding in told["findings"]:
        frames = [comment["frame"] for comment in finding["comments"]]
        assert finding["request"]["frame"] in frames
        assert frames == sorted(set(frames))
        for comment in finding["comments"]:
            assert comment["comment"] == f"PID: {comment['frame']}\nCmd: node {HOSTILE}"


def test_terminal_shows_them_harmless(report: Report) -> None:
    out = io.StringIO()
    show_all(report, Console(file=out, width=120, force_terminal=False))
    text = out.getvalue()
    request = report.judgement.findings[0].request
    assert request is not None
    assert f"frame {request.frame}: PID: {request.frame}; Cmd: node \\x1b[31mred" in text
    assert "docker0: bridge \\x1b[31mred" in text
    assert "the story" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_explain_has_them_too(report: Report) -> None:
    findings = report.judgement.findings
    texts = told(report.captures, findings, report.tables)
    out = io.StringIO()
    examined = pipeline.examine([report.captures[0].path])
    story = examined.story(examined.incidents()[0])
    ladder.show(story, Console(file=out, width=120, force_terminal=False), texts)
    text = out.getvalue()
    assert "What the capture itself says of these frames" in text
    request = findings[0].request
    assert request is not None
    assert f"frame {request.frame}: PID: {request.frame}; Cmd: node \\x1b[31mred" in text
    assert "\x1b" not in text and "\x07" not in text
