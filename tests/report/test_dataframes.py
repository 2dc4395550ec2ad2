"""The pandas frames: their dtypes, what stands where there is nothing, and what joins them."""

import csv
import io
import os
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas
import pytest

import analyzer
from analyzer.report import files as outputs
from analyzer.report.columns import (
    ENDPOINT_COLUMNS,
    EXCHANGE_COLUMNS,
    FINDING_COLUMNS,
    LIST,
    Column,
)
from analyzer.report.dataframes import named
from analyzer.report.result import Report
from analyzer.report.verdict import MOST_TOLD
from analyzer.tables import FLAGS, Flag
from tests.builder import MILLISECOND, SECOND, in_time, pcap, request, response
from tests.findings.stable import (
    OCCUPANCY,
    VET,
    epilogue,
    judged,
    occupancy,
    ordinary,
    swap,
    talk,
    vet_report,
)
from tests.recordings import recording, recordings
from tests.tools import scanned

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One request hung, and its response went to another."""
    return judged(tmp_path_factory.mktemp("story"), *swap())


@pytest.fixture(scope="module")
def unasked(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A response that nobody asked for."""
    one = talk().ask(request(VET)).answer(response(vet_report()))
    one.wait(SECOND).answer(response(vet_report(5))).wait(SECOND).close()
    return judged(tmp_path_factory.mktemp("unasked"), one)


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A capture without a frame."""
    return scanned(tmp_path_factory.mktemp("nothing"), [])


# --- dtypes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["story", "unasked", "nothing"])
@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("findings", FINDING_COLUMNS),
        ("exchanges", EXCHANGE_COLUMNS),
        ("endpoints", ENDPOINT_COLUMNS),
    ],
)
def test_a_column_has_the_dtype_that_is_documented(
    which: str, table: str, columns: dict[str, Column], request: pytest.FixtureRequest
) -> None:
    frame: pandas.DataFrame = getattr(request.getfixturevalue(which), table)
    assert len(frame) > 0 or which == "nothing" or (which, table) == ("unasked", "findings")
    documented = {
        name: str(pandas.api.types.pandas_dtype(column.dtype)) for name, column in columns.items()
    }
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == documented
    assert list(frame.columns) == list(columns)
    assert all(column.meaning for column in columns.values())


def test_lists_are_tuples_of_texts(story: Report) -> None:
    for frame, columns in ((story.findings, FINDING_COLUMNS), (story.exchanges, EXCHANGE_COLUMNS)):
        for name in (name for name, column in columns.items() if column.dtype == LIST):
            for value in frame[name]:
                assert isinstance(value, tuple)
                assert all(isinstance(text, str) for text in value)
    assert [len(facts) for facts in story.findings["evidence"]] == [
        len(finding.evidence) for finding in story.judgement.findings
    ]


def test_flags_have_names() -> None:
    assert set(FLAGS) == set(Flag)
    frame = analyzer.scan(recording("pipelined-node22", "host-any")).exchanges
    assert "pipelined" in set(frame["flags"].explode())
    assert set(frame["flags"].explode().dropna()) <= {str(flag.name).lower() for flag in FLAGS}


# --- nothing ----------------------------------------------------------------------------------


def test_an_unanswered_request_has_no_response(story: Report) -> None:
    (hung,) = story.exchanges.query("outcome == 'unanswered'").to_dict("records")
    answered = story.exchanges.query("outcome == 'answered'")
    of_response = [n for n in EXCHANGE_COLUMNS if n.startswith("response_")]
    of_response += ["status", "media_type", "shape", "duration"]
    assert {name for name in of_response if not pandas.isna(hung[name])} == set()
    assert not answered[of_response].isna().any(axis=None)
    assert not pandas.isna(hung["request_time"])
    # It was -147 days.
    assert 0 < story.exchanges["duration"].dt.total_seconds().mean() < 1


def test_a_lone_response_has_no_request(unasked: Report) -> None:
    (lone,) = unasked.exchanges.query("outcome == 'unsolicited'").to_dict("records")
    of_request = [n for n in EXCHANGE_COLUMNS if n.startswith("request_")]
    of_request += ["method", "target", "endpoint", "host", "duration"]
    assert {name for name in of_request if not pandas.isna(lone[name])} == set()
    assert lone["status"] == 200 and lone["response_frame"] > 0


def test_times_are_exact(story: Report) -> None:
    swapped = next(f for f in story.judgement.findings if f.owner is not None)
    assert swapped.request is not None and swapped.response is not None
    (row,) = story.findings.query("kind == 'misdelivered'").to_dict("records")
    assert row["request_time"].value == swapped.request.time
    assert row["response_time"].value == swapped.response.time
    assert row["duration"].value == swapped.response.time - swapped.request.time > 0
    assert row["request_time"].tzname() == "UTC"
    (hung,) = np.flatnonzero(story.findings["kind"] == "unanswered")
    for name in ("response_time", "duration", "owner_time"):
        assert story.findings[name][hung] is pandas.NaT
    for name in ("response_frame", "owner_exchange"):
        assert story.findings[name][hung] is pandas.NA


def test_a_duration_begins_and_ends_with_first_bytes(tmp_path: Path) -> None:
    one = talk().ask(request(VET)).wait(70 * MILLISECOND)
    whole = response(vet_report())
    one.answer(whole[:20]).wait(300 * MILLISECOND).answer(whole[20:]).close()
    frame = judged(tmp_path, one).exchanges
    (row,) = frame.nlargest(1, "response_duration").to_dict("records")
    assert pandas.Timedelta("70ms") <= row["duration"] < pandas.Timedelta("75ms")
    assert pandas.Timedelta("300ms") <= row["response_duration"] < pandas.Timedelta("305ms")


# --- what joins them --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "vantage"),
    [
        ("story-node12", "bridge"),
        ("story-node12", "host-any"),
        ("pipeline-disorder", "host-any"),
        ("proxy-mixes-both-sides-node14", "host-any"),
        ("double-answer-node20", "host-any"),
        ("story-clocks-apart-node14", "host-any"),
    ],
)
def test_the_frames_join(scenario: str, vantage: str) -> None:
    places = {r.vantage for r in recordings() if r.scenario == scenario}
    report = analyzer.scan(recording(scenario, vantage if vantage in places else min(places)))
    exchanges, findings = report.exchanges, report.findings
    assert exchanges["exchange"].is_unique and exchanges["exchange"].notna().all()
    assert len(findings)
    joined = findings.merge(exchanges, on="exchange", validate="m:1", suffixes=("", "_of_it"))
    assert len(joined) == len(findings)
    asked = joined[joined["request_frame"].notna()]
    assert (asked["request_frame"] == asked["request_frame_of_it"]).all()
    assert (asked["request_target"] == asked["target"]).all()
    assert (asked["duration"].dropna() == asked["duration_of_it"].dropna()).all()
    owned = findings.dropna(subset="owner_exchange")
    owners = owned.merge(exchanges, left_on="owner_exchange", right_on="exchange")
    assert owners["owner_target"].tolist() == owners["target"].tolist()
    assert len(owners) == len(owned)
    names = set(report.endpoints["endpoint"])
    assert set(exchanges["endpoint"].dropna()) >= set(findings["endpoint"].dropna()) > set()
    assert names >= set(exchanges.query("outcome == 'answered'")["endpoint"])


def test_a_response_that_is_judged_alone_joins_what_the_wire_made_it_part_of() -> None:
    report = analyzer.scan(recording("idle-408-node22", "host-any"))
    (lone,) = report.findings.query("kind == 'unsolicited'").to_dict("records")
    (row,) = report.exchanges[report.exchanges["exchange"] == lone["exchange"]].to_dict("records")
    assert pandas.isna(lone["request_frame"])
    assert row["response_frame"] == lone["response_frame"]
    assert row["status"] == 408


def test_requests_in_one_frame_have_ids_of_their_own(tmp_path: Path) -> None:
    one = talk().ask(request(VET) + request(OCCUPANCY) + request(VET))
    for body in (vet_report(), occupancy(), vet_report()):
        one.answer(response(body))
    frame = judged(tmp_path, one.close()).exchanges
    together = frame[frame.duplicated("request_frame", keep=False)]
    assert len(together) == 3
    assert together["exchange"].is_unique


def test_exchanges_are_in_the_order_of_time(unasked: Report) -> None:
    frame = unasked.exchanges
    begun = frame["request_time"].fillna(frame["response_time"])
    assert begun.is_monotonic_increasing
    assert frame["outcome"].tolist().index("unsolicited") > 10


# --- memory -----------------------------------------------------------------------------------


def test_no_cell_has_an_object_of_its_own() -> None:
    frame = analyzer.scan(recording("mixed-media-node22", "host-any")).exchanges
    assert len(frame) > 50
    objects = [
        name for name, dtype in frame.dtypes.items() if dtype.kind == "O" and dtype.name == "object"
    ]
    assert objects == ["flags"]
    assert len(set(map(id, frame["flags"].array))) == frame["flags"].nunique() < len(frame) / 4


def test_what_nothing_is_named_by_is_nothing() -> None:
    column = named(np.array([3, -1, 0, 1, 0]), ["b", "", "c", "a"], str)
    assert list(column.categories) == ["a", "b"]
    assert column.codes.tolist() == [0, -1, 1, -1, 1]
    assert list(named(np.array([], dtype=np.int64), [], str)) == []


# --- files ------------------------------------------------------------------------------------


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_exchanges_in_csv_are_blank_where_there_is_nothing(story: Report) -> None:
    out = io.BytesIO()
    outputs.write_exchanges(story, "e.csv", out)
    rows = rows_of(out.getvalue())
    (hung,) = (row for row in rows if row["outcome"] == "unanswered")
    blank = {name for name, value in hung.items() if not value}
    assert {"response_time", "response_frame", "status", "shape", "duration"} <= blank
    assert not {"request_time", "request_frame", "endpoint", "exchange"} & blank
    assert "1970" not in out.getvalue().decode()
    (swapped,) = (row for row in rows if row["request_frame"] == "129")
    length = story.exchanges.set_index("exchange")["duration"][swapped["exchange"]]
    assert 0 < float(swapped["duration"]) == pytest.approx(length.total_seconds())
    several = [row["flags"] for row in rows if "; " in row["flags"]]
    assert several and set(several[0].split("; ")) <= {str(f.name).lower() for f in FLAGS}


def test_findings_in_csv_are_those_of_the_frame(story: Report) -> None:
    rows = rows_of(outputs.csv_text(story))
    assert [row["exchange"] for row in rows] == story.findings["exchange"].tolist()
    for row, told in zip(rows, story.findings.to_dict("records"), strict=True):
        assert row["evidence"] == "; ".join(told["evidence"])
        assert pandas.Timestamp(row["request_time"]) == told["request_time"]
        assert row["request_time"].endswith("Z")
        assert (row["duration"] == "") == pandas.isna(told["duration"])


def test_findings_go_through_parquet(story: Report, tmp_path: Path) -> None:
    story.findings.to_parquet(tmp_path / "f.parquet")
    back = pandas.read_parquet(tmp_path / "f.parquet")
    assert [tuple(facts) for facts in back["evidence"]] == story.findings["evidence"].tolist()
    assert back["response_frame"].dtype == "UInt32"
    assert back["duration"].isna().tolist() == story.findings["duration"].isna().tolist()


def test_a_file_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"odd\xff.pcap")
    one, two = swap()
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    report = analyzer.scan(path)
    assert report.findings["request_file"][0].endswith(r"odd\udcff.pcap")
    for text in (repr(report), report._repr_html_()):
        assert r"odd\udcff.pcap" in text
        text.encode()


# --- what is shown of a report ----------------------------------------------------------------


def test_a_report_is_shown_in_a_line_or_two(story: Report, nothing: Report) -> None:
    shown = repr(story)
    assert shown.startswith("<Report on ") and len(shown) < 300
    assert "1 incident, 2 findings (1 unanswered, 1 misdelivered). Judged 19 of 19" in shown
    assert "Nothing could be judged. This does not mean that all is well." in repr(nothing)


def test_a_notebook_shows_what_the_scan_says(story: Report) -> None:
    shown = re.sub("<[^>]+>", "", story._repr_html_()).replace("&#39;", "'")
    (group,) = story.overview(MOST_TOLD).groups
    for sentence in (group.summary.sentence, group.summary.why, group.summary.where):
        assert sentence and sentence in shown
    assert len(story._repr_html_()) < 4_000


def test_a_notebook_is_told_how_much_is_left_out(tmp_path: Path) -> None:
    hung = [
        talk(n).ask(request(f"/only/{word}")).wait(30 * SECOND).close()
        for n, word in enumerate(("oats", "hay", "straw", "barley", "bran"), 1)
    ]
    report = judged(tmp_path, *hung)
    overview = report.overview(MOST_TOLD)
    shown = report._repr_html_()
    assert shown.count("How sure") == len(overview.groups) == min(MOST_TOLD, overview.incidents)
    assert bool(overview.left_out) == ("more incident" in shown)


def test_what_packets_say_is_no_markup(tmp_path: Path) -> None:
    asked = request("/a?" + HOSTILE.encode().decode("latin-1").replace(" ", ""))
    one = talk().ask(asked).wait(30 * SECOND).close()
    report = judged(tmp_path, one)
    shown = report._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script" not in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown + repr(report))


def test_the_package_says_that_it_is_typed() -> None:
    assert (files(analyzer) / "py.typed").is_file()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["analyzer"]
