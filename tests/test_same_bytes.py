"""The same input gives the same bytes, whatever the block size, the processes, and the kernels.

A scan's JSON, its CSV and its table of exchanges are compared. Each test run takes one capture of
every scenario; `WRANGLER_FORENSICS_SAME=all` takes all of them, and `WRANGLER_FORENSICS_SAME=DIR`
every capture below a folder.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer import compiled, pipeline
from analyzer.capture.files import is_capture
from analyzer.capture.frames import BLOCK
from analyzer.cli import main
from analyzer.errors import InputError
from analyzer.extraction import join
from analyzer.features.echoes import Rule
from analyzer.findings.model import Kind
from analyzer.report import files
from analyzer.report.escape import as_json as as_json_text
from analyzer.report.result import as_dict
from tests.builder import (
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    as_json,
    pcap,
    request,
    response,
)
from tests.recordings import recordings

SAME = os.environ.get("WRANGLER_FORENSICS_SAME", "")

Way = Callable[[], AbstractContextManager[None]]


def _extracting(block: int, parts: int = 1) -> Way:
    """Read with blocks of that many bytes, in that many shares (one after the other, which is what
    several processes do side by side).
    """

    def extract(paths: list[str], **options: Any) -> pipeline.Extracted:
        spool = options.get("spool")
        shares = [pipeline.extract_share(paths, n, parts, block, None, spool) for n in range(parts)]
        _, captures, interfaces = shares[0]
        return join([share[0] for share in shares]), captures, interfaces

    again = pipeline._again

    def looking(captures: Any, interfaces: Any, connections: Any, _: int, spool: Any) -> Any:
        return again(captures, interfaces, connections, block, spool)

    @contextmanager
    def way() -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "extract", extract)
            patch.setattr(pipeline, "_again", looking)
            yield

    return way


@contextmanager
def _without_kernels() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kernels", None)
        yield


# 4 KiB cuts the recordings, which are small, where 16 MiB cuts a long one.
WAYS: dict[str, Way] = {
    "small blocks": _extracting(4_096),
    "odd blocks": _extracting(50_021),
    "three shares": _extracting(BLOCK, 3),
    "two shares in small blocks": _extracting(9_973, 2),
    "no kernels": _without_kernels,
}


def chosen() -> list[Path]:
    """The captures of this run: which vantage it is differs from scenario to scenario."""
    if SAME not in ("", "all"):
        return [p for p in sorted(Path(SAME).rglob("*")) if p.is_file() and is_capture(p)]
    by_scenario: dict[str, list[Path]] = {}
    for one in recordings():
        by_scenario.setdefault(one.scenario, []).append(one.path)
    if SAME == "all":
        return [path for paths in by_scenario.values() for path in paths]
    return [
        paths[hashlib.sha256(name.encode()).digest()[0] % len(paths)]
        for name, paths in by_scenario.items()
    ]


def outputs(path: Path) -> tuple[bytes, bytes, bytes]:
    """What a scan writes; the complaint where there is nothing to scan."""
    try:
        report = pipeline.scan([str(path)])
    except InputError as problem:
        return str(problem).encode(), b"", b""
    table = io.BytesIO()
    files.write_exchanges(report, "e.csv", table)
    # How it was read differs, and nothing else.
    told = {name: part for name, part in as_dict(report).items() if name != "reading"}
    return as_json_text(told), files.csv_text(report), table.getvalue()


@pytest.mark.parametrize("path", chosen(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_same_bytes(path: Path) -> None:
    whole = outputs(path)
    for name, way in WAYS.items():
        with way():
            assert outputs(path) == whole, name


def test_the_same_bytes_of_several_captures() -> None:
    folder = recordings()[0].path.parent
    whole = outputs(folder)
    for name, way in WAYS.items():
        with way():
            assert outputs(folder) == whole, name


def test_the_same_bytes_by_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "WORTH_SHARING", 0)
    path = next(one.path for one in recordings() if one.scenario == "story-node12")
    written = []
    for jobs in (1, 2, 3):
        out = tmp_path / f"{jobs}.json"
        done = CliRunner().invoke(
            main, ["scan", str(path), "--json", str(out), "--jobs", str(jobs)]
        )
        assert done.exit_code == 1, done.output
        written.append(out.read_bytes())
    assert written[0] == written[1] == written[2]


# --- what is learned of a place that comes late -----------------------------------------------


def _asked(number: int) -> bytes:
    """The first 750 requests have no user."""
    user = f"?user=user{number:05d}" if number >= 750 else ""
    return request(f"/members{user}", fields="X-Client: web\r\n")


def _said(number: int) -> bytes:
    return response(as_json({"user": f"user{number:05d}" if number >= 750 else "", "level": 3}))


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,600 exchanges on 560 connections; of two under way at once each gets the other's answer."""
    frames = []
    for first in range(0, 5_600, 10):
        client = (f"10.0.{first // 2_000}.{first // 10 % 200 + 1}", 40_000 + first // 10)
        # The last but ten go beside those before them, and two cross.
        start = START + (5_480 * SECOND + MILLISECOND if first == 5_490 else first * SECOND)
        one = Conversation(client, start=start).open()
        for number in range(first, first + 10):
            given = {5_485: 5_495, 5_495: 5_485}.get(number, number)
            one.ask(_asked(number)).wait(100 * MILLISECOND).answer(_said(given))
        frames += one.close().frames
    path = tmp_path_factory.mktemp("late") / "late.pcap"
    path.write_bytes(pcap(sorted(frames, key=lambda frame: frame.time)))
    return path


@pytest.mark.parametrize("kernels", [True, False])
def test_a_place_that_comes_late_is_learned(
    late: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: bool
) -> None:
    monkeypatch.setattr(pipeline, "WORTH_SHARING", 0)
    if not kernels:
        monkeypatch.setattr(compiled, "kernels", None)
    written = []
    for jobs in (1, 2):
        out = tmp_path / f"{jobs}.json"
        done = CliRunner().invoke(
            main, ["scan", str(late), "--json", str(out), "--jobs", str(jobs)]
        )
        assert done.exit_code == 1, done.output
        written.append(out.read_bytes())
    one, two = (json.loads(text) for text in written)
    assert [finding["kind"] for finding in one["findings"]] == ["misdelivered"] * 2
    if not kernels:  # the second process has them all the same
        assert one.pop("reading") != two.pop("reading")
    assert one == two


@pytest.mark.parametrize("name", WAYS)
def test_the_same_is_learned(late: Path, name: str) -> None:
    whole = _rules(late)
    rule = next(rule for (*_, place), rule in whole.items() if place == "query:user")
    assert (rule.asked, rule.hits, len(rule.misses)) == (4_850, 4_848, 2)
    with WAYS[name]():
        assert _rules(late) == whole
        report = pipeline.scan([str(late)])
    assert [one.kind for one in report.judgement.findings] == [Kind.MISDELIVERED] * 2


def _rules(path: Path) -> dict[tuple[str, ...], Rule]:
    """The rules of a capture, by what their numbers stand for."""
    tables = pipeline._tables(*pipeline.extract([str(path)]))
    routes = tables.endpoints
    return {(*routes[route], place): rule for (route, place), rule in tables.echoes.items()}
