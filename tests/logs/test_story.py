"""The story with its server's log: the contradiction is proof, and the first thing that is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer import pipeline
from analyzer.cli import main
from analyzer.diagnosis.logged import beside
from analyzer.findings.model import Confidence, Kind
from analyzer.logs.contradictions import Contradiction
from analyzer.logs.joining import join
from analyzer.logs.model import Side
from analyzer.logs.reading import read
from analyzer.logs.wired import exchanges
from tests.logs.made import Line, server_log, written
from tests.recordings import recording

STORY = "story-node12"
CAPTURE = str(recording(STORY, "bridge"))


@pytest.fixture(scope="module")
def examined() -> pipeline.Examination:
    return pipeline.examine([CAPTURE], jobs=1)


def kinds(examined: pipeline.Examination, lines: list[Line], folder: Path) -> set[Contradiction]:
    log = read(written(lines, folder / "server.log"), Side.SERVER)
    report = examined.report
    _, found = beside(report.judgement.findings, [log], report.tables)
    return {one.kind for one in found.contradictions}


def test_the_descriptor_is_proved(examined: pipeline.Examination, tmp_path: Path) -> None:
    log = read(written(server_log(STORY), tmp_path / "server.log", shuffled=3), Side.SERVER)
    report = examined.report
    findings, told = beside(report.judgement.findings, [log], report.tables)
    for finding in findings:
        assert finding.confidence is Confidence.CERTAIN
        assert (finding.cause, finding.causes[0].verdict) == ("server/descriptor", "supported")
        assert "the server's log" in finding.evidence[0].fact
        others = {one.cause: one.verdict for one in finding.causes[1:]}
        assert {others[name] for name in others if name.startswith("server/")} == {"ruled-out"}
    assert {one.kind for one in told.contradictions} == {
        Contradiction.OTHER_PEER,
        Contradiction.ANSWERED_ELSEWHERE,
        Contradiction.ANSWERED_NOWHERE,
    }
    swapped = next(one for one in findings if one.kind is Kind.MISDELIVERED)
    assert swapped.request is not None and swapped.owner is not None
    assert f"came from {swapped.owner.client}" in swapped.evidence[0].fact
    assert f"came from {swapped.request.client} (frame" in swapped.evidence[0].fact
    assert "those 382 bytes went to" in swapped.evidence[1].fact


def test_peers_of_a_proxy_prove_nothing(examined: pipeline.Examination, tmp_path: Path) -> None:
    behind = [
        # But for one, which by chance is that of the connection that hung.
        one
        if one["length"] == 122 and "occupancy" in one["url"]
        else {**one, "remoteAddress": "10.9.9.9", "remotePort": 2_000 + n}
        for n, one in enumerate(server_log(STORY))
    ]
    assert Contradiction.OTHER_PEER not in kinds(examined, behind, tmp_path)


def test_a_log_that_has_the_right_peer_proves_nothing(
    examined: pipeline.Examination, tmp_path: Path
) -> None:
    swapped = next(
        one for one in examined.report.judgement.findings if one.kind is Kind.MISDELIVERED
    )
    assert swapped.request is not None
    port = int(swapped.request.client.rpartition(":")[2])
    address = swapped.request.client.rpartition(":")[0]
    right = [
        {**one, "remoteAddress": address, "remotePort": port}
        if one["url"] == swapped.request.target and one["length"] == 122
        else one
        for one in server_log(STORY)
    ]
    assert Contradiction.OTHER_PEER not in kinds(examined, right, tmp_path)


def test_a_third_ones_peer_proves_nothing(examined: pipeline.Examination, tmp_path: Path) -> None:
    third = [
        {**one, "remotePort": 1} if one["length"] == 122 and "occupancy" in one["url"] else one
        for one in server_log(STORY)
    ]
    assert Contradiction.OTHER_PEER not in kinds(examined, third, tmp_path)


def test_other_bytes_are_not_those_that_went_astray(
    examined: pipeline.Examination, tmp_path: Path
) -> None:
    other = [{**one, "length": 383} if one["length"] == 382 else one for one in server_log(STORY)]
    assert Contradiction.ANSWERED_ELSEWHERE not in kinds(examined, other, tmp_path)


def test_a_request_that_has_no_line(examined: pipeline.Examination, tmp_path: Path) -> None:
    fewer = [one for one in server_log(STORY) if "vet-report" not in one["url"]]
    assert Contradiction.NEVER_LOGGED in kinds(examined, fewer, tmp_path)


@pytest.mark.parametrize("ports", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("move", [lambda n: 0.0, lambda n: -0.5, lambda n: n * 1e-5,
                                  lambda n: 0.5 * (n > 70), lambda n: -0.5 * (n > 70)],
                         ids=["right", "offset", "drift", "step", "back"])  # fmt: skip
def test_no_wrong_join(
    examined: pipeline.Examination,
    tmp_path: Path,
    ports: bool,
    seed: int,
    move: Callable[[int], float],
) -> None:
    wire = sorted(exchanges(examined.report.tables), key=lambda one: one.asked)
    lines: list[Line] = []
    for n, one in enumerate(wire):
        address, _, port = one.clients[0].rpartition(":")
        end = one.ended or one.asked + 3_000_000_000
        lines.append(
            {
                "n": n,
                "method": one.method,
                "url": one.target,
                "start": f"{one.asked / 1e9 + 1e-4 + move(n):.6f}",
                "end": f"{end / 1e9 + move(n):.6f}",
                **({"status": one.status, "length": one.length} if one.answered else {}),
                **({"remoteAddress": address, "remotePort": int(port)} if ports else {}),
            }
        )
    path = written(lines, tmp_path / "server.log", shuffled=seed)
    order = [json.loads(line)["n"] for line in Path(path).read_text().splitlines()]
    joined = join(read(path, Side.SERVER), wire)
    assert all(order[n] == m for n, m in joined.pairs.items())
    assert len(joined.pairs) >= (len(wire) if ports else 0.75 * len(wire))
    low, high = joined.clock.low, joined.clock.high
    for n in (0, len(wire) - 1):
        assert low <= move(n) * 1e9 + 1_000 and move(n) * 1e9 - 1_000 <= high


def test_at_the_command_line(tmp_path: Path) -> None:
    log = written(server_log(STORY), tmp_path / "server \x1b[31m.log")
    out = tmp_path / "out.json"
    done = CliRunner(env={"COLUMNS": "2000"}).invoke(
        main, ["scan", CAPTURE, "--server-log", log, "--json", str(out)]
    )
    assert done.exit_code == 1, done.output
    assert "\x1b" not in done.output and "141 of 142 requests are joined" in done.output
    told = json.loads(out.read_text())
    import jsonschema

    schema = Path(pipeline.__file__).parent / "report" / "schema.json"
    jsonschema.validate(told, json.loads(schema.read_text()))
    assert {one["finding"] for one in told["logs"]["contradictions"]} == {
        one["id"] for one in told["findings"]
    }
    again = CliRunner().invoke(main, ["explain", CAPTURE, "--server-log", log])
    assert "took one client's connection" in " ".join(again.output.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--log-format", "json"], "goes with"),
        (["--server-log", "nowhere.log"], "No such file"),
        (["--server-log", CAPTURE], "no known format"),
        (["--server-log", "LOG", "--json", "LOG", "--force"], "LOG"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, options: list[str], said: str) -> None:
    log = written(server_log(STORY), tmp_path / "LOG")
    before = Path(log).read_bytes()
    done = CliRunner().invoke(
        main, ["scan", CAPTURE, *(log if one == "LOG" else one for one in options)]
    )
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output
    assert Path(log).read_bytes() == before
