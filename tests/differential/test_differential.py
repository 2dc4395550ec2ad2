"""tshark and h11 say what the analyzer says, on the recordings and on conversations in disguise.

A capture takes some seconds; of the recordings each test run takes a share, the vantages in turn,
and `WRANGLER_FORENSICS_DIFFERENTIAL=all` takes them all.
"""

import hashlib
import json
import os
from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.extraction import Extraction
from analyzer.packets import single
from tests.differential import decoders, known, verdict
from tests.differential.theirs import TSHARK
from tests.differential.variants import VARIANTS
from tests.recordings import Recording, recordings

pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

EVERY = 1 if os.environ.get("WRANGLER_FORENSICS_DIFFERENTIAL") == "all" else 3


def chosen() -> list[Recording]:
    """At least one vantage of every scenario: which ones differs from scenario to scenario."""
    by_scenario: dict[str, list[Recording]] = {}
    for one in recordings():
        by_scenario.setdefault(one.scenario, []).append(one)
    found = []
    for name, captures in by_scenario.items():
        start = hashlib.sha256(name.encode()).digest()[0] % EVERY
        found += captures[start % len(captures) :: EVERY]
    return found


@pytest.mark.parametrize("one", chosen(), ids=str)
def test_recordings(one: Recording) -> None:
    found = verdict.of(one.path, faults=True)
    assert found.left == []
    assert found.requests + found.responses + sum(found.explained.values()) > 0


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(VARIANTS[name](*range(4)))
    found = verdict.of(path)
    assert found.left == []
    assert found.streams == 4
    assert found.requests > 4


def test_a_mistake_of_ours_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(VARIANTS["plain"](1))
    assert verdict.of(path).left == []
    read = pipeline.extract_share

    def forgetful(*arguments: object) -> object:
        """Loses as many exchanges as `spared`, and makes the others' responses a byte longer."""
        extraction, captures, interfaces = read(*arguments)  # type: ignore[arg-type]
        short = Extraction(extraction.anomalies)
        for rows, targets in extraction.exchanges.chunks():
            rows = rows.copy()
            rows["response_length"] += 1
            short.exchanges.append_many(rows[spared:], targets[spared:])
        extraction.exchanges = short.exchanges
        return extraction, captures, interfaces

    monkeypatch.setattr(pipeline, "extract_share", forgetful)
    monkeypatch.setattr(verdict, "_scan", lambda *_, **__: True)
    spared = 1
    assert {text.partition(":")[0] for text in verdict.of(path).left} >= {"requests", "h11"}
    spared = 0
    assert {text.partition(":")[0] for text in verdict.of(path).left} >= {"body", "h11"}


def test_decoders_that_differ_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(VARIANTS["vlan"](1))
    assert decoders.apart(path) == []
    decode = single.decode

    def off_by_one(*arguments: object) -> object:
        found = decode(*arguments)  # type: ignore[arg-type]
        return found._replace(ack=found.ack + 1) if isinstance(found, single.Segment) else found

    monkeypatch.setattr(single, "decode", off_by_one)
    assert [one.what for one in decoders.apart(path)] == ["decoders"]


def test_what_is_listed_has_a_reason() -> None:
    for digest, entries in json.loads(known.LISTED.read_text()).items():
        assert len(digest) == 64
        for entry in entries:
            assert set(entry) == {"capture", "difference", "reason"}
            assert len(entry["reason"]) > 20
    reasons = [text for text, _ in known.RULES]
    assert len(reasons) == len(set(reasons))
