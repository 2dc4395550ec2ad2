"""Outputs: never an input, never two in one file, alone on standard output, mistakes in a line."""

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from analyzer.errors import InputError
from analyzer.report import outputs
from analyzer.report.columns import EXCHANGE_COLUMNS, FINDING_COLUMNS
from analyzer.report.outputs import Outputs
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap
from tests.report.test_command import PROGRAM, complaint, run

OPTIONS = ("--csv", "--json", "--jsonl", "--html", "--junit", "--har", "--exchanges")
NEVER = "an input is never an output"


@pytest.fixture
def capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A capture with findings, in the working directory, as its relative name."""
    one, two = swap()
    monkeypatch.chdir(tmp_path)
    # Its name is one that every option takes.
    path = Path("c.csv")
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    return path


def refused(told: Outputs, *inputs: str) -> str:
    """What the outputs are refused for."""
    with pytest.raises(InputError) as raised:
        outputs.check(told, inputs)
    (line,) = raised.value.args
    assert "\n" not in line
    return str(line)


# --- an input is never an output ------------------------------------------------------------------


@pytest.mark.parametrize("option", OPTIONS)
def test_a_capture_is_never_written_to(capture: Path, option: str) -> None:
    whole = capture.read_bytes()
    Path("symbolic.csv").symlink_to(capture)
    os.link(capture, "hard.csv")
    Path("there").mkdir()
    Path("other").symlink_to("there/..")
    for name in (
        "c.csv",
        "./there/../c.csv",
        str(capture.resolve()),
        "symbolic.csv",
        "hard.csv",
        "other/c.csv",
    ):
        told = Outputs(**{option[2:]: name}, force=True)
        assert NEVER in refused(told, "c.csv")
    line = complaint(run("scan", capture, "--force", option, "hard.csv"))
    assert line == f"wrangler-forensics: hard.csv: is a capture that is read (c.csv): {NEVER}"
    # Nobody is told to use --force on a capture.
    assert "--force" not in complaint(run("scan", "symbolic.csv", option, capture))
    assert capture.read_bytes() == whole
    assert capture.stat().st_nlink == 2


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_capture_at_standard_input_is_never_written_to(capture: Path, name: str) -> None:
    whole = capture.read_bytes()
    with capture.open("rb") as file:
        done = subprocess.run(
            [PROGRAM, "scan", name, "--force", "--json", capture],
            stdin=file, capture_output=True, check=False,
        )  # fmt: skip
    assert NEVER in complaint(done)
    assert capture.read_bytes() == whole


@pytest.mark.parametrize("command", ["scan", "explain"])
def test_standard_output_is_never_a_capture_either(capture: Path, command: str) -> None:
    whole = capture.read_bytes()
    with capture.open("ab") as file:
        done = subprocess.run(
            [PROGRAM, command, capture], stdout=file, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"wrangler-forensics: standard output is a capture that is read: c.csv\n"
    assert capture.read_bytes() == whole


def test_of_a_directory_only_the_captures_are_inputs(capture: Path, tmp_path: Path) -> None:
    whole = capture.read_bytes()
    Path("r.json").write_text("an earlier report")
    assert run("scan", tmp_path, "--json", "r.json", "--force").returncode == 1
    assert NEVER in complaint(run("scan", ".", "--csv", capture, "--force"))
    assert capture.read_bytes() == whole


def test_evidence_never_replaces_what_it_is_made_from(capture: Path) -> None:
    assert run("scan", capture, "--evidence", "found").returncode == 1
    (packets,) = Path("found").glob("*.pcapng")
    whole = packets.read_bytes()
    done = run("scan", packets, "--evidence", "found", "--force")
    assert done.returncode == 2
    assert NEVER in done.stderr.decode()
    assert packets.read_bytes() == whole
    assert run("scan", packets, "--evidence", "again").returncode == 1


def test_one_device_may_be_read_and_written(capture: Path) -> None:
    outputs.check(Outputs(json="/dev/null", csv="/dev/null", force=True), ["/dev/null"])


# --- two outputs ----------------------------------------------------------------------------------


def test_two_outputs_are_never_one_file(capture: Path) -> None:
    Path("there").mkdir()
    Path("link.csv").symlink_to("new.csv")
    Path("old.csv").write_text("old")
    os.link("old.csv", "hard.csv")
    for one, two in (
        ("new.csv", "there/../new.csv"),
        ("new.csv", "link.csv"),
        ("old.csv", "hard.csv"),
    ):
        line = refused(Outputs(csv=one, exchanges=two, force=True), "c.csv")
        assert line == f"two outputs are one file: --csv {one} and --exchanges {two}"
    line = refused(Outputs(json="there", evidence="there/"), "c.csv")
    assert "there: is a directory" in line
    line = refused(Outputs(json="new", evidence="new/"), "c.csv")
    assert line == "two outputs are one: --json new and --evidence new/"
    inside = "there/incident-0123abcd.json"
    assert "two outputs are one: " in refused(Outputs(json=inside, evidence="there"), "c.csv")
    outputs.check(Outputs(json="there/report.json", evidence="there"), ["c.csv"])


def test_standard_output_is_one_file_too(capture: Path) -> None:
    with Path("out.csv").open("wb") as file:
        done = subprocess.run(
            [PROGRAM, "scan", capture, "--csv", "out.csv", "--force"],
            stdout=file, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert b"two outputs are one file: standard output and --csv out.csv" in done.stderr


# --- standard output ------------------------------------------------------------------------------


def test_findings_on_standard_output_are_alone_there(capture: Path) -> None:
    done = run("scan", capture, "--csv", "-", "--show-bodies", "--exchanges", "e.csv")
    assert done.returncode == 1 and not done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline="")))
    assert rows[0] == list(FINDING_COLUMNS)
    assert len(rows) == 3
    assert len(Path("e.csv").read_bytes().splitlines()) == 20
    named = run("scan", capture, "--csv", "/dev/stdout")
    assert named.stdout == done.stdout


def test_exchanges_on_standard_output_are_csv(capture: Path) -> None:
    done = run("scan", capture, "--exchanges", "-")
    assert done.returncode == 1 and not done.stderr
    rows = list(csv.reader(io.StringIO(done.stdout.decode(), newline="")))
    assert rows[0] == list(EXCHANGE_COLUMNS)
    assert len(rows) == 20
    assert not Path("-").exists()


def test_a_page_on_standard_output_is_alone_there(capture: Path) -> None:
    done = run("scan", capture, "--html", "-")
    assert done.returncode == 1 and not done.stderr
    assert done.stdout.startswith(b"<!doctype html>") and done.stdout.endswith(b"</html>")
    with capture.open("rb") as file:
        again = subprocess.run(
            [PROGRAM, "scan", "-", "--html", "-"], stdin=file, capture_output=True, check=False
        )
    # From standard input too, which is kept for the second look.
    assert again.returncode == 1 and b'class="ladder"' in again.stdout


def test_findings_as_json_lines_are_those_of_the_report(capture: Path) -> None:
    done = run("scan", capture, "--json", "r.json", "--jsonl", "-")
    assert done.returncode == 1 and not done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 2 and lines == json.loads(Path("r.json").read_text())["findings"]


def test_a_har_of_standard_input_is_that_of_the_file(capture: Path) -> None:
    done = run("scan", capture, "--har", "-")
    assert done.returncode == 1 and not done.stderr
    assert len(json.loads(done.stdout)["log"]["entries"]) == 19
    with capture.open("rb") as file:
        again = subprocess.run(
            [PROGRAM, "scan", "-", "--har", "-"], stdin=file, capture_output=True, check=False
        )
    assert again.returncode == 1 and again.stdout == done.stdout


def test_a_page_is_written_when_another_output_cannot_be(capture: Path) -> None:
    Path("old.json").symlink_to("/dev/full")
    done = run("scan", capture, "--json", "old.json", "--html", "page.html", "--force")
    assert done.returncode == 2
    assert b"old.json" in done.stderr and b"page.html" not in done.stderr
    assert Path("page.html").read_bytes().endswith(b"</html>")
    done = run("scan", capture, "--html", "page.html")
    assert "page.html: exists already; --force replaces it" in complaint(done)


def test_only_one_output_is_standard_output(capture: Path) -> None:
    line = complaint(run("scan", capture, "--csv", "-", "--json", "-"))
    assert "only one output can be standard output, not --csv and --json" in line


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--csv", "no/f.csv"], "no/f.csv: no such directory: "),
        (["--csv", "c.csv/f.csv"], "c.csv/f.csv: no such directory: "),
        (["--csv", "there"], "there: is a directory"),
        (["--csv", ""], "the name of an output is empty"),
        (["--json", "x" * 300], "File name too long"),
        (["--json", "loop"], "loop: exists already"),
        (["--exchanges", "e.txt"], "e.txt: the name must end in .csv or .parquet"),
        (["--evidence", "c.csv"], "c.csv: is not a directory"),
        (["--evidence", "c.csv/there"], "c.csv: is not a directory"),
        (["--evidence", "-"], "--evidence takes a directory, not '-'"),
        (["--evidence", ""], "--evidence takes a directory, not ''"),
        (["--limit", "nonsense=1"], "nonsense"),
        (["x" * 300], "File name too long"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(capture: Path, arguments: list[str], told: str) -> None:
    Path("there").mkdir()
    Path("loop").symlink_to("loop")
    before = sorted(Path().iterdir())
    assert told in complaint(run("scan", capture, *arguments))
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    "told", [Outputs(csv="there/f.csv"), Outputs(evidence="there"), Outputs(evidence="there/new")]
)
def test_a_directory_that_may_not_be_written_to(
    capture: Path, told: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere.
    Path("there").mkdir()
    there = Path("there").resolve()
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != there)
    assert "permission denied" in refused(told, "c.csv")


def test_the_kind_of_file_is_told_in_either_case(capture: Path) -> None:
    assert run("scan", capture, "--exchanges", "E.PARQUET").returncode == 1
    assert Path("E.PARQUET").read_bytes().startswith(b"PAR1")


def test_a_name_that_is_no_utf_8_is_shown_as_escapes(capture: Path) -> None:
    odd = os.fsdecode(b"one\xff.pcap")
    Path(odd).write_bytes(capture.read_bytes())
    done = run("scan", odd, "--json", "-")
    assert done.returncode == 1 and not done.stderr
    report = json.loads(done.stdout)
    assert report["captures"][0]["path"] == r"one\udcff.pcap"
    assert len(report["findings"]) == 2
    told = ("--csv", "f.csv", "--exchanges", "e.csv", "--evidence", "found")
    done = run("scan", odd, "c.csv", *told)
    assert done.returncode == 1
    assert rb"explain $'one\xff.pcap' c.csv --finding" in done.stdout
    assert rb"one\udcff.pcap" in run("scan", odd, "--full").stdout
    assert b"Traceback" not in done.stderr
    assert len(list(Path("found").iterdir())) == 2
