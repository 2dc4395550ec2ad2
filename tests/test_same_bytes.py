"""The same input gives the same bytes, whatever the block size, the processes, and the kernels.

A scan's JSON, its CSV and its table of exchanges are compared. Each test run takes one capture of
every scenario; `WRANGLER_FORENSICS_SAME=all` takes all of them, and `WRANGLER_FORENSICS_SAME=DIR`
every capture below a folder.
"""

import hashlib
import io
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
from analyzer.report import files
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
    return files.json_text(report), files.csv_text(report), table.getvalue()


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
