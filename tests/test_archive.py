"""The HAR file has every exchange once, as the report has it, and shows what may be shown."""

import base64
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from haralyzer import HarParser

from analyzer import archive, pipeline
from analyzer.report.har import Shown
from tests.builder import in_time, pcap, request, response
from tests.findings.stable import epilogue, ordinary, talk
from tests.recordings import FOLDER

# What HAR 1.2 requires, by the path of the object.
REQUIRED = {
    "": {"version", "creator", "entries"},
    "entry": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {
        "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize",
        "bodySize",
    },
    "response": {
        "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL",
        "headersSize", "bodySize",
    },
    "content": {"size", "mimeType"},
    "timings": {"send", "wait", "receive"},
}  # fmt: skip


def har(path: Path, shown: Shown | None = None) -> dict[str, Any]:
    out = io.BytesIO()
    archive.write(pipeline.examine([str(path)]), out, shown or Shown())
    log: dict[str, Any] = json.loads(out.getvalue())["log"]
    return log


def missing(of: str, what: dict[str, Any]) -> set[str]:
    return REQUIRED[of] - set(what)


@pytest.mark.parametrize(
    "scenario", ["story-clocks-apart-node14", "capture-loss-node20", "double-answer-node20"]
)
def test_every_exchange_is_in_it_once(scenario: str) -> None:
    examined = pipeline.examine([str(FOLDER / scenario)])
    out = io.BytesIO()
    archive.write(examined, out, Shown())
    entries = json.loads(out.getvalue())["log"]["entries"]
    frame = examined.report.exchanges
    assert len(entries) > 20
    assert Counter(e["_exchange"] for e in entries) == Counter(frame["exchange"])
    status = dict(zip(frame["exchange"], frame["status"].fillna(0), strict=True))
    assert {e["_exchange"]: e["response"]["status"] for e in entries} == status
    times = [e["startedDateTime"] for e in entries]
    assert times == sorted(times)
    told = {f["id"] for e in entries for f in e.get("_findings", ())}
    assert told == {f.id for f in examined.report.judgement.findings}


def test_it_has_what_the_format_requires_and_whose_the_response_was() -> None:
    log = har(FOLDER / "story-node12" / "bridge.pcap")
    assert log["version"] == "1.2" and not missing("", log)
    for entry in log["entries"]:
        assert not missing("entry", entry) and not missing("timings", entry["timings"])
        assert not missing("request", entry["request"])
        assert not missing("response", entry["response"])
        assert not missing("content", entry["response"]["content"])
        assert "text" not in entry["response"]["content"]
        assert entry["time"] == pytest.approx(sum(entry["timings"].values()))
    told = {(f["kind"], f["role"]): e for e in log["entries"] for f in e.get("_findings", ())}
    assert told["misdelivered", "request"]["_response_frame"] == "1144"
    owner = told["misdelivered", "owner"]
    assert owner["request"]["url"].endswith("/api/v1/horses/417/vet-report")
    assert owner["response"]["status"] == 0 and owner["response"]["_error"]


def test_another_program_reads_of_it_what_the_scan_says() -> None:
    path = FOLDER / "story-node12" / "bridge.pcap"
    frame = pipeline.examine([str(path)]).report.exchanges
    read = HarParser({"log": har(path, Shown(bodies=True))}).pages[0].entries
    assert [one.request.method for one in read] == list(frame["method"])
    assert [one.response.status for one in read] == list(frame["status"].fillna(0))
    began = [one.startTime.timestamp() for one in read]
    assert began == pytest.approx([t.timestamp() for t in frame["request_time"]], abs=0.001)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with secrets, and with a body that is no text."""
    one = (
        talk(1)
        .ask(
            b"POST /login?token=tok_1234&horse=7 HTTP/1.1\r\nHost: stable\r\n"
            b"Cookie: sid=abcdef; theme=dark\r\nContent-Type: application/json\r\n"
            b'Content-Length: 23\r\n\r\n{"password":"hunter-2"}'
        )
        .answer(response(b'{"accessToken":"very-secret","horse":"Rex"}'))
    )
    image = b"\x89PNG\r\n\x1a\n\xff\xfe"
    two = talk(2).ask(request("/x")).answer(response(image, fields="Content-Type: image/png\r\n"))
    path = tmp_path_factory.mktemp("spoken") / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.close().frames, two.close().frames, epilogue())))
    return path


def test_bodies_are_shown_when_asked_for_and_secrets_when_that_is_asked_for(spoken: Path) -> None:
    plain, bodies, everything = (
        json.dumps(har(spoken, shown)) for shown in (Shown(), Shown(True), Shown(True, True))
    )
    for secret in ("tok_1234", "abcdef", "hunter-2", "very-secret"):
        assert secret not in plain and secret not in bodies
        assert secret in everything
    assert "Rex" not in plain and "Rex" in bodies
    assert "horse=7" in plain and "application/json" in plain


def test_a_body_that_is_no_text_is_in_it_as_base64(spoken: Path) -> None:
    entries = har(spoken, Shown(bodies=True))["entries"]
    (content,) = (
        e["response"]["content"]
        for e in entries
        if e["response"]["content"]["mimeType"] == "image/png"
    )
    assert content["encoding"] == "base64"
    assert base64.b64decode(content["text"]).startswith(b"\x89PNG")
