"""Every limit can be reached, is told in the report when it was, and can be set."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import analyzer
from analyzer import limits, pipeline
from analyzer.anomalies import SENTENCES
from analyzer.errors import InputError
from analyzer.report.result import Report, as_dict
from tests.builder import CLIENT, SECOND, Conversation, Frame, as_json, pcap, request, response
from tests.report.test_command import complaint, run

HERE = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def defaults() -> Iterator[None]:
    """Limits changed by a test are put back."""
    yield
    limits.use({})


def talk(number: int = 0) -> Conversation:
    return Conversation(("10.0.0.1", 40_000 + number), start=1_700_000_000 * SECOND + number)


def connections() -> list[Frame]:
    return [frame for n in range(9) for frame in talk(n).open().ask(request("/x")).frames]


def held(size: int) -> list[Frame]:
    one = talk().open()
    one.send(CLIENT, b"GET ", captured=False)
    for _ in range(9):
        one.send(CLIENT, b"x" * size)
    return one.frames


def exchanges(count: int) -> list[Frame]:
    one = talk().open()
    for n in range(count):
        body = {f"key{n}": n, "more": "x" * 200}
        one.ask(request(f"/name{'x' * n}")).answer(response(as_json(body)))
    return one.close().frames


def silent() -> list[Frame]:
    found = [f for n in range(9) for f in talk(n).open().ask(request("/x")).close().frames]
    return sorted(found, key=lambda frame: frame.time)


REACHED = {
    "connections": (5, connections),
    "held-segments": (5, lambda: held(10)),
    "held-bytes": (500, lambda: held(100)),
    "head": (100, lambda: talk().open().ask(b"GET /x HTTP/1.1\r\nA: " + b"x" * 200).frames),
    "body": (100, lambda: exchanges(2)),
    "outstanding": (5, lambda: talk().open().ask(request("/x") * 9).frames),
    "routes": (5, lambda: exchanges(9)),
    "forms": (5, lambda: exchanges(9)),
    "odd": (5, silent),
}


def scan(path: Path) -> Report:
    return analyzer.scan(path)


@pytest.mark.parametrize("limit", limits.LIMITS, ids=lambda limit: limit.name)
def test_a_limit_that_is_hit_is_told(tmp_path: Path, limit: limits.Limit) -> None:
    number, frames = REACHED[limit.name]
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(frames()))
    assert limit.anomaly in SENTENCES
    assert as_dict(scan(path))["limits"] == []
    limits.use({limit.name: number})
    hit = {one["name"]: one for one in as_dict(scan(path))["limits"]}
    assert hit[limit.name]["value"] == number
    assert hit[limit.name]["times"] > 0


def test_the_option(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(connections()))
    report = json.loads(run("scan", path, "--limit", "connections=5", "--json", "-").stdout)
    assert report["limits"] == [{"name": "connections", "value": 5, "times": 4}]
    done = run("scan", path, "--limit", "connections=5", "--limit", "body=9", columns=200)
    assert b"--limit connections=N" in done.stdout


@pytest.mark.parametrize("option", ["bodies=3", "body", "body=", "body=0", "body=-1", "body=1e3"])
def test_options_that_are_none(tmp_path: Path, option: str) -> None:
    (tmp_path / "c.pcap").write_bytes(pcap([]))
    assert option in complaint(run("scan", tmp_path / "c.pcap", "--limit", option))
    with pytest.raises(InputError):
        limits.parsed((option,))


def test_processes_have_the_same_limits(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(exchanges(9)))
    limits.use({"body": 100})
    anomalies = [pipeline.extract([str(path)], jobs=jobs)[0].anomalies for jobs in (1, 2)]
    assert anomalies[0] == anomalies[1]
    assert anomalies[0]["body-too-long"] == 9


def test_the_limits_are_documented() -> None:
    text = (HERE / "docs" / "hostile.md").read_text()
    for limit in limits.LIMITS:
        assert f"| `{limit.name}` | {limits.DEFAULTS[limit.name]:,} {limit.unit} |" in text
