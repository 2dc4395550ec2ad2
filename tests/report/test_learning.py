"""`learn`, `scan --baseline` and `--expect` on the command line."""

import gc
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest
from click.testing import CliRunner

from analyzer.cli import main
from analyzer.cli.running import ENDING
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap
from tests.report.test_command import SCHEMA


class Done(NamedTuple):
    """What a command came to."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def said(self) -> str:
        """The standard output without its breaks of lines."""
        return " ".join(self.stdout.decode().split())


def run(*arguments: str | Path) -> Done:
    """The command in this process: to start one takes longer than all that is tested here."""
    done = CliRunner(env={"COLUMNS": "2000"}).invoke(main, [str(one) for one in arguments])
    return Done(done.exit_code, done.stdout_bytes, done.stderr_bytes)


@pytest.fixture(autouse=True, scope="module")
def _as_it_was() -> Iterator[None]:
    """What a command changes of its process is as before."""
    known = {number: signal.getsignal(number) for number in ENDING}
    yield
    gc.enable()
    for number, handler in known.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture in which all is well."""
    path = tmp_path_factory.mktemp("usual") / "usual.pcap"
    path.write_bytes(pcap(ordinary(20)))
    return path


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's connections, and one that comes later."""
    one, two = swap()
    path = tmp_path_factory.mktemp("short") / "short.pcap"
    path.write_bytes(pcap(in_time(one.frames, two.frames, epilogue())))
    return path


@pytest.fixture(scope="module")
def baseline(usual: Path) -> Path:
    path = usual.with_name("baseline.json")
    done = run("learn", usual, "-o", path)
    assert done.returncode == 0 and done.stdout == b""
    assert done.stderr == b"wrangler-forensics: learned from 40 exchanges of 2 endpoints\n"
    return path


def test_a_scan_with_a_baseline_finds_what_it_cannot_without(short: Path, baseline: Path) -> None:
    assert b"misdelivered" not in run("scan", short).stdout
    done = run("scan", short, "--baseline", baseline)
    assert done.returncode == 1
    out = done.said
    assert "(1 unanswered, 1 misdelivered)" in out
    assert f"Judged with {baseline}: 40 exchanges of 2 endpoints learned before." in out
    assert "by a baseline: 40 requests of its endpoints there, 3 here" in out
    # The next command has it too, and tells the same.
    assert f"explain {short} --baseline {baseline} --finding " in out
    told = run("explain", short, "--baseline", baseline, "--brief").said
    assert "/horses/417/vet-report" in told and "was sent the response" in told


def test_the_json_says_what_was_used(short: Path, baseline: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert run("scan", short, "--baseline", baseline, "--json", path).returncode == 1
    report = json.loads(path.read_text())
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    assert report["basis"]["baselines"] == [
        {"path": str(baseline), "exchanges": 40, "endpoints": 2}
    ]
    (server,) = report["basis"]["servers"]
    assert (server["fits"], server["requests"], server["known"]) == (True, 3, 3)
    swapped = next(f for f in report["findings"] if f["kind"] == "misdelivered")
    assert swapped["known"] == {"before": 40, "here": 3}
    plain = json.loads(run("scan", short, "--json", "-").stdout)
    assert "basis" not in plain and not any("known" in f for f in plain["findings"])


def test_the_page_says_it_too(short: Path, baseline: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert run("scan", short, "--baseline", baseline, "--html", path).returncode == 1
    assert "40 exchanges of 2 endpoints learned before" in path.read_text()


def test_baselines_add_up(usual: Path, baseline: Path, tmp_path: Path) -> None:
    one, two, three = (tmp_path / f"{n}.json" for n in range(3))
    assert run("learn", usual, "--baseline", baseline, "-o", one).returncode == 0
    assert json.loads(one.read_text())["exchanges"] == 80
    assert run("learn", "--baseline", baseline, "--baseline", one, "-o", two).returncode == 0
    assert run("learn", "--baseline", one, "--baseline", baseline, "-o", three).returncode == 0
    assert two.read_bytes() == three.read_bytes()
    assert json.loads(two.read_text())["exchanges"] == 120
    out = run("learn", usual, "-o", "-")
    assert out.stdout == baseline.read_bytes()


def test_a_document_of_what_was_learned(short: Path, usual: Path, tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    assert run("learn", usual, "--openapi", path).returncode == 0
    assert path.read_bytes().startswith(b"openapi: 3.1.0\n")
    done = run("scan", short, "--expect", path)
    assert b"(1 unanswered, 1 misdelivered)" in done.stdout
    assert f"Judged with {path}, which describes 2 endpoints." in done.said
    assert run("scan", usual, "--expect", path).returncode == 0


def line(done: Done) -> str:
    """The one line that says what could not be done."""
    assert done.returncode == 2 and done.stdout == b""
    (said,) = done.stderr.decode().splitlines()
    return said


def test_mistakes_are_one_line(usual: Path, baseline: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.json"
    assert "name it with -o FILE" in line(run("learn", usual))
    assert "needs a CAPTURE" in line(run("learn", "-o", out))
    assert "no such file" in line(run("scan", usual, "--baseline", tmp_path / "none")).lower()
    assert "is no baseline" in line(run("scan", usual, "--baseline", usual))
    assert "is no" in line(run("scan", usual, "--expect", baseline))
    assert "exists already" in line(run("learn", usual, "-o", baseline))
    again = run("learn", usual, "--baseline", baseline, "-o", baseline, "--force")
    assert "an input is never an output" in line(again)
    assert "two outputs are one file" in line(
        run("learn", usual, "-o", out, "--openapi", tmp_path / "." / "new.json")
    )
    assert not out.exists()


def test_what_has_nothing_to_learn_from_writes_nothing(tmp_path: Path) -> None:
    path, out = tmp_path / "empty.pcap", tmp_path / "out.json"
    path.write_bytes(pcap([]))
    done = run("learn", path, "-o", out)
    assert done.returncode == 3 and not out.exists()
    assert b"nothing could be learned" in done.stderr


@pytest.mark.parametrize("package", ["openapi_spec_validator", "jsonschema_rs", "yaml"])
def test_what_is_missing_is_named_with_its_extra(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analyzer.errors import InputError
    from analyzer.openapi.document import check_extra

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"extra 'openapi' .{package} is missing"):
        check_extra()


def test_a_baseline_that_fits_nothing_is_said(baseline: Path, tmp_path: Path) -> None:
    done = run("learn", "--baseline", baseline, "-o", tmp_path / "b.json")
    assert done.returncode == 0
    found = json.loads((tmp_path / "b.json").read_text())
    for endpoint in found["endpoints"]:
        endpoint["template"] = f"/elsewhere{endpoint['template']}"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(found))
    path = tmp_path / "usual.pcap"
    path.write_bytes(pcap(ordinary(3)))
    done = run("scan", path, "--baseline", other)
    assert done.returncode == 0
    assert "The baseline fits no server here" in done.said
