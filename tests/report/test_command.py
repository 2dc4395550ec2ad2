"""The command line: exit statuses, outputs, hostile text, one-line errors, a quick --help."""

import csv
import io
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pandas
import pytest

import analyzer
from analyzer.report.columns import EXCHANGE_COLUMNS, FINDING_COLUMNS
from tests.builder import SECOND, as_json, in_time, pcap, request, response
from tests.findings.stable import OCCUPANCY, VET, epilogue, ordinary, swap, talk
from tests.recordings import recording

PROGRAM = str(Path(sys.executable).parent / "wrangler-forensics")
SCHEMA = Path(analyzer.__file__).parent / "report" / "schema.json"
HOSTILE = "/x?=1+cmd|'/C calc'!A0&\x1b]0;owned\x07\x1b[2J[red]markup[/red][link=http://evil]\x9b"


Done = subprocess.CompletedProcess[bytes]


def run(*arguments: str | Path, columns: int = 80, stdin: bytes = b"") -> Done:
    """The command, as a person would run it, with its output piped."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, "COLUMNS": str(columns)},
        check=False,
    )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with the story in it."""
    one, two = swap()
    path = tmp_path_factory.mktemp("story") / "story.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture in which all is well."""
    path = tmp_path_factory.mktemp("clean") / "clean.pcap"
    path.write_bytes(pcap(ordinary()))
    return path


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture whose targets, hosts, types and keys try to do harm."""
    one = (
        talk()
        .ask(f"GET {HOSTILE} HTTP/1.1\r\nHost: =evil\x1b[31m\r\n\r\n".encode("latin-1"))
        .wait(30 * SECOND)
        .close()
    )
    two = (
        talk(2)
        .ask(request(VET))
        .answer(response(as_json({"\x1b[31mkey": 1, "[bold]": 2, "=1+1": 3})))
        .ask(request("=1"))
        .answer(response(b"x", fields="Content-Type: \x1b[5m\r\n"))
        .close()
    )
    path = tmp_path_factory.mktemp("hostile") / "hostile\x1b[31m[red].pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    return path


# --- exit status --------------------------------------------------------------------------


def test_status_0_when_nothing_is_found(clean: Path) -> None:
    done = run("scan", clean)
    assert done.returncode == 0
    assert b"No finding" in done.stdout
    assert done.stderr == b""


def test_status_1_when_something_is_found(story: Path) -> None:
    done = run("scan", story)
    assert done.returncode == 1
    assert b"2 findings (1 unanswered, 1 misdelivered)" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan"],
        ["scan", "nowhere.pcap"],
        ["scan", "--nonsense"],
        ["nonsense"],
        ["scan", "."],
        ["scan", "-", "other.pcap"],
    ],
)
def test_status_2_when_it_could_not_be_done(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


def complaint(done: Done) -> str:
    """The one line of an error that is a person's mistake."""
    assert done.returncode == 2
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("wrangler-forensics: ")
    return lines[0]


def test_an_unreadable_input_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "no\x1b[31mcapture\n.pcap"
    path.write_bytes(b"PK\x03\x04")
    line = complaint(run("scan", path))
    assert "not a pcap or pcapng capture" in line
    assert "\x1b" not in line


def test_a_file_that_may_not_be_read(tmp_path: Path, clean: Path) -> None:
    assert "no such file" in complaint(run("scan", clean, tmp_path / "missing"))


# --- output files -------------------------------------------------------------------------


def test_all_outputs_at_once(story: Path, tmp_path: Path) -> None:
    names = {"--csv": "f.csv", "--json": "r.json", "--exchanges": "e.csv"}
    options = [part for option, name in names.items() for part in (option, str(tmp_path / name))]
    assert run("scan", story, *options).returncode == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names.values())
    report = json.loads((tmp_path / "r.json").read_bytes())
    findings = list(csv.DictReader((tmp_path / "f.csv").open(newline="")))
    assert [row["id"] for row in findings] == [f["id"] for f in report["findings"]]
    assert list(findings[0]) == list(FINDING_COLUMNS)
    assert len(pandas.read_csv(tmp_path / "e.csv")) == report["totals"]["requests"]


def test_exchanges_as_parquet(story: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    assert run("scan", story, "--exchanges", path).returncode == 1
    table = pandas.read_parquet(path)
    assert list(table.columns) == list(EXCHANGE_COLUMNS)
    frame = analyzer.scan(story).exchanges
    assert list(map(str, table.dtypes)) == list(map(str, frame.dtypes))
    table["flags"] = table["flags"].map(tuple)
    pandas.testing.assert_frame_equal(table, frame, check_dtype=False, check_categorical=False)


def test_existing_files_are_kept_without_force(story: Path, tmp_path: Path) -> None:
    for option, name in (("--csv", "f.csv"), ("--json", "r.json"), ("--exchanges", "e.csv")):
        path = tmp_path / name
        path.write_text("mine")
        assert "--force" in complaint(run("scan", story, option, path))
        assert path.read_text() == "mine"
        assert run("scan", story, option, path, "--force").returncode == 1
        assert path.read_bytes() != b"mine"


def test_outputs_that_cannot_be_written(story: Path, tmp_path: Path) -> None:
    assert "no such directory" in complaint(run("scan", story, "--csv", tmp_path / "no" / "f.csv"))
    assert "is a directory" in complaint(run("scan", story, "--json", tmp_path))
    assert ".csv or .parquet" in complaint(run("scan", story, "--exchanges", tmp_path / "e.txt"))
    same = tmp_path / "same.csv"
    assert "are one file" in complaint(run("scan", story, "--csv", same, "--exchanges", same))
    assert list(tmp_path.iterdir()) == []


def test_a_bad_output_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("mine")
    line = complaint(run("scan", tmp_path / "missing.pcap", "--csv", tmp_path / "f.csv"))
    assert "exists already" in line


def test_a_failure_leaves_no_half_written_file(tmp_path: Path) -> None:
    (tmp_path / "c.pcap").write_bytes(b"nothing")
    complaint(run("scan", tmp_path / "c.pcap", "--json", tmp_path / "r.json"))
    assert [p.name for p in tmp_path.iterdir()] == ["c.pcap"]


def test_json_on_standard_output_is_alone_there(story: Path) -> None:
    done = run("scan", story, "--json", "-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["totals"]["findings"] == 2
    assert done.stderr == b""


def test_the_same_report_gives_the_same_bytes(story: Path) -> None:
    assert run("scan", story, "--json", "-").stdout == run("scan", story, "--json", "-").stdout


def test_standard_input(story: Path) -> None:
    done = run("scan", "-", "--json", "-", stdin=story.read_bytes())
    named = run("scan", story, "--json", "-")
    one, two = json.loads(done.stdout), json.loads(named.stdout)
    assert one["captures"][0].pop("path") == "-"
    two["captures"][0].pop("path")
    assert one == two


# --- JSON -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> Any:
    """The schema of the report."""
    return json.loads(SCHEMA.read_text())


def conforms(path: Path, schema: Any) -> dict[str, Any]:
    """The report on a capture, having checked it."""
    report: dict[str, Any] = json.loads(run("scan", path, "--json", "-").stdout)
    jsonschema.Draft202012Validator(schema).validate(report)
    return report


def test_the_schema_is_one(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_reports_follow_the_schema(
    schema: Any, story: Path, clean: Path, hostile: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(pcap([]))
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(pcap(in_time(ordinary(), talk().ask(request(VET)).frames))[:-7])
    for path in (story, clean, hostile, empty, cut):
        conforms(path, schema)


@pytest.mark.parametrize("scenario", ["story-node12", "crossed-node14", "double-answer-node20"])
def test_reports_on_recordings_follow_the_schema(schema: Any, scenario: str) -> None:
    assert conforms(recording(scenario, "host-any"), schema)["findings"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("totals"),
        lambda r: r.update(extra=1),
        lambda r: r["totals"].update(answered="2"),
        lambda r: r["findings"][0].update(kind="odd"),
        lambda r: r["findings"][0].pop("evidence"),
        lambda r: r["unjudged"].append({"reason": "invented"}),
        lambda r: r.update(schema=2),
    ],
)
def test_the_schema_refuses_what_is_not_a_report(schema: Any, story: Path, spoil: Any) -> None:
    report = json.loads(run("scan", story, "--json", "-").stdout)
    spoil(report)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(report)


def test_what_the_json_says_of_the_story(story: Path) -> None:
    report = json.loads(run("scan", story, "--json", "-").stdout)
    assert report["schema"] == 1
    assert 0 < report["totals"].pop("expected_false") < 0.1
    assert report["totals"] == {
        "frames": report["captures"][0]["frames"],
        "connections": 11,
        "requests": 19,
        "judged": 19,
        "answered": 18,
        "unanswered": 1,
        "nameless": 0,
        "findings": 2,
        "undecided": 0,
    }
    unanswered, misdelivered = report["findings"]
    assert unanswered["kind"] == "unanswered"
    assert unanswered["response"] is None
    assert unanswered["owner"] is None
    assert misdelivered["kind"] == "misdelivered"
    assert misdelivered["request"]["target"] == OCCUPANCY
    assert misdelivered["owner"]["target"] == VET
    assert misdelivered["response"]["status"] == 200
    assert re.fullmatch(r"2023-\d\d-\d\dT[\d:]{8}\.\d{9}Z", misdelivered["request"]["time"])
    names = {e["endpoint"] for e in report["endpoints"]}
    assert names == {"GET /horses/{id}/vet-report", "GET /paddocks/{id}/occupancy"}


# --- hostile text ---------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_a_terminal_is_given_nothing_to_act_on(hostile: Path, columns: int) -> None:
    for more in ([], ["--endpoints"], ["--full"]):
        done = run("scan", hostile, *more, columns=columns)
        text = done.stdout.decode()
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        assert done.returncode == 1
    cells = ["".join(line.split("│")[2:3]) for line in text.splitlines()]
    whole = re.sub(r"\s+", "", "".join(cells))
    assert "[red]markup[/red]" in whole
    assert r"\x1b]0;owned\x07" in whole


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_lines_fit_the_terminal(story: Path, columns: int) -> None:
    for more in ([], ["--endpoints"], ["--full"]):
        for line in run("scan", story, *more, columns=columns).stdout.decode().splitlines():
            # Commands are there to be copied, and not wrapped.
            assert len(line) <= columns or f"explain {story}" in line


@pytest.mark.parametrize("columns", [80, 140])
def test_a_finding_can_be_read(story: Path, columns: int) -> None:
    lines = run("scan", story, "--full", columns=columns).stdout.decode().splitlines()
    # The right cell alone: the left one has the number and the name.
    text = " ".join(" ".join(line.split("│")[2:3]).strip() for line in lines)
    text = re.sub(" +", " ", text)
    assert f"request GET {OCCUPANCY} from 10.0.1.2:41002 to 10.0.0.2:8080, frame 129" in text
    assert f"belongs to GET {VET} from 10.0.1.1:41001 to 10.0.0.2:8080, frame 124" in text
    assert "MISDELIVERED: got another request's response" in text


def test_a_csv_gives_a_spreadsheet_no_formula(hostile: Path, tmp_path: Path) -> None:
    run("scan", hostile, "--csv", tmp_path / "f.csv", "--exchanges", tmp_path / "e.csv")
    for name in ("f.csv", "e.csv"):
        text = (tmp_path / name).read_bytes().decode()
        for row in csv.reader(io.StringIO(text, newline="")):
            for value in row:
                assert not re.match(r"[=+@\t\r]|-\D", value), value
                assert not re.search("[\x00-\x1f\x7f-\x9f]", value)


def test_a_csv_is_not_cut(tmp_path: Path) -> None:
    target = "/long/" + "x" * 3_000
    one = talk().ask(request(target)).wait(30 * SECOND).close()
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, epilogue())))
    run("scan", path, "--csv", tmp_path / "f.csv")
    (row,) = csv.DictReader((tmp_path / "f.csv").open(newline=""))
    assert row["request_target"] == target


# --- start ----------------------------------------------------------------------------------


def test_help_names_every_option() -> None:
    done = run("scan", "--help")
    assert done.returncode == 0
    text = done.stdout.decode()
    for word in ("--csv", "--json", "--exchanges", "--force", "CAPTURE", "Exit status"):
        assert word in text
    assert b"scan" in run("--help").stdout
    assert analyzer.__version__ in run("--version").stdout.decode()


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "from analyzer.cli import main; main(['--help'])",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {
        "numpy",
        "pandas",
        "pyarrow",
        "scapy",
        "dpkt",
        "rich",
        "orjson",
        "zstandard",
    }
    assert "click" in imported
    assert not imported & heavy


def test_help_answers_at_once() -> None:
    times = []
    for _ in range(5):
        begun = _children()
        run("--help")
        times.append(_children() - begun)
    assert statistics.median(times) < 0.3


def _children() -> float:
    """Processor time of the processes that were waited for, in seconds: others' work is none."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_no_progress_bar_without_a_terminal(story: Path) -> None:
    assert run("scan", story, "--json", "-").stderr == b""


def test_the_python_interface(story: Path) -> None:
    report = analyzer.scan(story)
    assert list(report.findings.columns) == list(FINDING_COLUMNS)
    assert list(report.exchanges.columns) == list(EXCHANGE_COLUMNS)
    assert report.findings["kind"].tolist() == ["unanswered", "misdelivered"]
    assert len(report.exchanges) == 19
    assert report.endpoints["count"].sum() == 18


# --- explain ---------------------------------------------------------------------------------


def test_explain_tells_the_worst_incident(story: Path) -> None:
    done = run("explain", story)
    text = done.stdout.decode()
    assert done.returncode == 1 and not done.stderr
    assert "one request hung, and its response went to another" in text
    for heading in ("What happened", "Evidence", "Causes", "To settle what is open"):
        assert f"\n{heading} " in text
    assert "response to GET /horses/417/vet-report, which client 1" in text.replace("\n", " ")
    assert "gives up" in text


def test_explain_finds_what_is_meant(story: Path) -> None:
    findings = json.loads(run("scan", story, "--json", "-").stdout)["findings"]
    told = run("explain", story).stdout
    for finding in findings:
        assert run("explain", story, "--finding", finding["id"]).stdout == told
        assert run("explain", story, "--finding", finding["id"][:4]).stdout == told
        assert run("explain", story, "--finding", finding["incident"]).stdout == told
    assert run("explain", story, "--finding", "2").stdout == told
    for wrong in ("0", "99", "zz", ""):
        done = run("explain", story, "--finding", wrong)
        assert done.returncode == 2 and not done.stdout
        assert len(done.stderr.splitlines()) == 1


def test_explain_without_findings_says_so(clean: Path) -> None:
    done = run("explain", clean)
    assert done.returncode == 0
    assert b"No finding" in done.stdout


def test_explain_reads_standard_input_twice(story: Path) -> None:
    done = run("explain", "-", stdin=story.read_bytes())
    assert done.returncode == 1
    named = run("explain", story).stdout.decode().replace(story.name, "-")
    assert done.stdout.decode() == named


@pytest.mark.parametrize("columns", [80, 140])
def test_explain_gives_a_terminal_nothing_to_act_on(hostile: Path, columns: int) -> None:
    done = run("explain", hostile, columns=columns)
    assert done.returncode == 1
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", done.stdout)


def test_values_of_bodies_are_shown_only_when_asked_for(story: Path) -> None:
    secret = b"Dr. Moss"
    assert secret in story.read_bytes()
    assert secret not in run("explain", story).stdout
    assert secret in run("explain", story, "--show-bodies").stdout
