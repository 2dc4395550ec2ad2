"""Requests, responses, who answers whom and numbers of connections, as tshark counts them."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

import analyzer
from tests.recordings import Recording, recording, recordings, truth
from tests.tools import connections_of, extracted, rows_of

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

# Where tshark 4.0 is wrong, or says something else on purpose; seen by hand in the frames.
DIFFERENCES = {
    "pipelined-node22": "tshark takes a response of several segments for a continuation",
    "long-mixed-node22": "the same, in its pipelines",
    "smuggled-node16": "we leave open whose the answer to a smuggled request is",
    "refused-expectation-node14": "tshark leaves out the request whose body was never sent",
    "capture-loss-node20": "tshark pairs over gaps by order alone",
    "mid-stream-node14": "tshark counts responses whose requests were before the capture",
    "http-in-bodies-node20": "the same",
}
# Where it pairs otherwise: it takes the last request before a response for the one it answers.
PAIRED_OTHERWISE = ("double-answer-node20",)
CAPTURES = [r for r in recordings() if r.vantage == "container"]


class Traffic(NamedTuple):
    """Requests as (connection, method, target), responses as (connection, status), and pairs."""

    requests: Counter[tuple[int, str, str]]
    responses: Counter[tuple[int, int]]
    pairs: Counter[tuple[int, str, int]]


def by_tshark(path: Path, ports: set[int]) -> Traffic:
    """What tshark makes of a capture; interim responses left out."""
    fields = ["frame.number", "tcp.stream", "http.request.method", "http.request.uri"]
    fields += ["http.response.code", "http.request_in"]
    command = [str(TSHARK), "-r", str(path), "-n", "-Y", "http", "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]
    command += [part for port in sorted(ports) for part in ("-d", f"tcp.port=={port},http")]
    command += [part for field in fields for part in ("-e", field)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = Traffic(Counter(), Counter(), Counter())
    targets: dict[str, str] = {}
    for line in out.splitlines():
        frame, stream, methods, uris, codes, request_in = line.split("\t")
        asked = list(zip(methods.split(";"), uris.split(";"), strict=True)) if methods else []
        for method, uri in asked:
            found.requests[(int(stream), method, uri)] += 1
        if len(asked) == 1:
            targets[frame] = asked[0][1]
        statuses = [int(code) for code in codes.split(";") if code and int(code) not in (100, 103)]
        for status in statuses:
            found.responses[(int(stream), status)] += 1
        if len(statuses) == 1 and request_in in targets:
            found.pairs[(int(stream), targets[request_in], statuses[0])] += 1
    return found


def by_us(path: Path) -> tuple[Traffic, set[int]]:
    """What the analyzer makes of it, and the servers' ports."""
    everything = extracted(path)
    found = Traffic(Counter(), Counter(), Counter())
    for row in rows_of(everything):
        target = row["target"].decode("latin-1")
        if row["request_frame"]:
            found.requests[(row["connection"], row["route"].method, target)] += 1
        if row["status"] and row["outcome"] != 2:
            found.responses[(row["connection"], row["status"])] += 1
            found.pairs[(row["connection"], target, row["status"])] += 1
    return found, {row["server_port"] for row in connections_of(everything)}


@pytest.mark.parametrize("one", [c for c in CAPTURES if c.scenario not in DIFFERENCES], ids=str)
def test_agrees_with_tshark(one: Recording) -> None:
    ours, ports = by_us(one.path)
    theirs = by_tshark(one.path, ports)
    assert ours.requests == theirs.requests
    assert ours.responses == theirs.responses
    otherwise = theirs.pairs - ours.pairs
    assert otherwise.total() == (1 if one.scenario in PAIRED_OTHERWISE else 0)
    assert theirs.pairs.total() > 0.5 * ours.pairs.total()


@pytest.mark.parametrize("scenario", DIFFERENCES)
def test_differences_are_tsharks(scenario: str) -> None:
    ours, ports = by_us(recording(scenario, "container"))
    theirs = by_tshark(recording(scenario, "container"), ports)
    asked = Counter((method, target) for _, method, target in ours.requests.elements())
    # All that we read was asked, and tshark has at most what we have, but for responses alone.
    if "log" in truth(scenario):
        told = Counter((row["method"], row["target"]) for row in truth(scenario)["log"])
        assert not asked - told
    assert asked.total() <= truth(scenario)["totals"]["requests"]
    assert not theirs.requests - ours.requests


@pytest.mark.parametrize("vantage", ["client1", "client2", "container"])
def test_answers_of_the_clean_run(vantage: str) -> None:
    path = recording("clean-node14", vantage)
    _, ports = by_us(path)
    report = analyzer.scan(path)
    assert report.totals["answered"] == by_tshark(path, ports).responses.total()
    if vantage == "container":
        assert report.totals["answered"] == truth("clean-node14")["totals"]["answered"]
