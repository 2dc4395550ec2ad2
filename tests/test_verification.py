"""What a report says of a frame stands there; what does not is told."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import analyzer
from analyzer.verification import verify
from tests.builder import in_time, pcap, pcapng
from tests.capture.test_files import PACK
from tests.findings.stable import epilogue, ordinary, swap
from tests.recordings import recording
from tests.report.test_command import complaint, run


def frames() -> list[Any]:
    one, two = swap()
    return in_time(ordinary(), one.frames, two.frames, epilogue())


@pytest.mark.parametrize("name", ["plain", "ng", *PACK])
def test_a_true_report_is_verified(tmp_path: Path, name: str) -> None:
    path = tmp_path / "c"
    data = pcapng(frames()) if name == "ng" else pcap(frames(), nanoseconds=True)
    path.write_bytes(PACK[name](data) if name in PACK else data)
    found = verify(analyzer.scan(path))
    assert found.failures == []
    assert found.frames >= 4
    assert found.sha256 == [hashlib.sha256(path.read_bytes()).hexdigest()]


@pytest.mark.parametrize(
    ("scenario", "vantage"),
    [
        ("story-node12", "host-any"),
        ("crossed-node14", "host-any"),
        ("stolen-node12", "container"),
    ],
)
def test_recordings_are_verified(scenario: str, vantage: str) -> None:
    report = analyzer.scan(recording(scenario, vantage))
    assert report.judgement.findings
    assert verify(report).failures == []


LIES: dict[str, Any] = {
    "another frame": lambda r: replace(r, frame=r.frame + 1),
    "no frame": lambda r: replace(r, frame=99_999),
    "another time": lambda r: replace(r, time=r.time + 5_000),
    "another target": lambda r: replace(r, target=r.target + "x"),
    "another method": lambda r: replace(r, method="PUT"),
    "another connection": lambda r: replace(r, connection=0),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_false_report_is_not(tmp_path: Path, lie: str) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames()))
    report = analyzer.scan(path)
    finding = report.judgement.findings[1]
    assert finding.request is not None
    report.judgement.findings[1] = replace(finding, request=LIES[lie](finding.request))
    assert verify(report).failures


def test_another_status_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames()))
    report = analyzer.scan(path)
    finding = report.judgement.findings[1]
    assert finding.response is not None
    changed = replace(finding, response=replace(finding.response, status=404))
    report.judgement.findings[1] = changed
    (failure,) = verify(report).failures
    assert finding.id in failure and "does not stand there" in failure


def test_a_capture_changed_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames()))
    report = analyzer.scan(path)
    path.write_bytes(path.read_bytes().replace(b"GET ", b"PUT "))
    assert verify(report).failures


def test_the_option(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames()))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    done = run("scan", path, "--verify", columns=120)
    assert done.returncode == 1
    assert digest.encode() in done.stdout and b"as reported" in done.stdout
    report = json.loads(run("scan", path, "--verify", "--json", "-").stdout)
    assert report["captures"][0]["sha256"] == digest
    assert report["verified"]["failures"] == [] and report["verified"]["frames"] >= 4
    assert json.loads(run("scan", path, "--json", "-").stdout)["verified"] is None
    assert "standard input" in complaint(run("scan", "-", "--verify", stdin=path.read_bytes()))
