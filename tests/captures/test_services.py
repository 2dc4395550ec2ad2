"""The recordings of services on other stacks hold what their truth says, read by tshark alone.

Law: on every connection in a capture the requests are those that its client logged, in that order,
and each answered one has the status and length that the client logged. An answer that is not its
request's own is one that another request's client could have got.
"""

import json
import shutil
import subprocess
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from captures.lab import scenario, stacks

HOME = Path(__file__).parents[2] / "captures"
NODE_SERVICES = ("node/cinema_graphql.js", "node/recipes_fastify.js", "node/shelter.js")
PYTHON_SERVICES = ("python/meters.py", "python/library.py", "python/parts.py")
FIELDS = [
    "ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "http.request.method", "http.request.uri",
    "http.response.code", "http.content_length_header", "http.chunk_size", "frame.interface_id",
]  # fmt: skip
PORT = "3000"  # the container's
PATIENCE = timedelta(seconds=5)  # no client waits longer, so none reads what was made later
NO_BODY = (204, 304)


def on_other_stacks(one: scenario.Scenario) -> bool:
    """Whether a scenario is served by one of these services."""
    return any(
        stacks.known(server.program) or server.program in NODE_SERVICES + PYTHON_SERVICES
        for server in one.servers
    )


SERVICES = [name for name, one in scenario.load_all().items() if on_other_stacks(one)]


class Response(NamedTuple):
    """What tshark tells of a response; `length` is of its body without chunk framing."""

    status: int
    length: int


def recording(name: str) -> Path:
    """The directory of a recording; new ones have a place of their own at first."""
    for place in ("recordings", "unseen", "reported"):
        if (HOME / place / name).is_dir():
            return HOME / place / name
    raise FileNotFoundError(f"no recording {name}")


def moment(row: dict[str, Any]) -> datetime:
    """When a row's request was sent."""
    return datetime.fromisoformat(row["time"])


def truth(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((recording(name) / "truth.json").read_text())
    return told


class Sides(NamedTuple):
    """The requests and the responses of every connection, by its client, each in order."""

    asked: dict[str, list[tuple[str, str]]]
    answers: dict[str, list[Response]]


def sides(captures: list[Path], to: Path) -> list[Sides]:
    """What tshark reads in each of the captures.

    It is started once for all of them, which are one file with an interface for each: between
    the clients and the host, and between that and the container, connections have other addresses.
    """
    together = to / "together.pcapng"
    subprocess.run(["mergecap", "-I", "none", "-w", str(together), *map(str, captures)], check=True)
    argv = ["tshark", "-r", str(together), "-Y", "http", "-T", "fields"]
    argv += ["-o", "http.decompress_body:FALSE", "-o", "tcp.reassemble_out_of_order:TRUE"]
    argv += ["-d", f"tcp.port=={PORT},http", "-d", "tcp.port==8080,http"]
    for field in FIELDS:
        argv += ["-e", field]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = [Sides(defaultdict(list), defaultdict(list)) for _ in captures]
    for line in said.splitlines():
        source, port, other, other_port, method, uri, code, length, chunks, place = line.split("\t")
        one = found[int(place)]
        if method:
            one.asked[f"{source}:{port}"].append((method, uri))
        elif code:
            size = sum(int(part) for part in chunks.split(",") if part)
            answer = Response(int(code), int(length or 0) or size)
            one.answers[f"{other}:{other_port}"].append(answer)
    return found


def logged(told: dict[str, Any], host: str | None) -> dict[str, list[dict[str, Any]]]:
    """What the clients logged, by connection; only one host's, if that is all a vantage sees."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in told["log"]:
        if row["outcome"] != "unconnected" and host in (None, row["from"]):
            rows[row["client"]].append(row)
    return rows


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
@pytest.mark.parametrize("name", SERVICES)
def test_captures_hold_what_the_clients_logged(name: str, tmp_path: Path) -> None:
    told = truth(name)
    # At host-any there is every packet several times over.
    captures = [one for one in told["captures"] if one["vantage"] != "host-any"]
    read = sides([recording(name) / one["file"] for one in captures], tmp_path)
    for capture, (asked, answers) in zip(captures, read, strict=True):
        host = {"client1": "app1", "client2": "app2"}.get(capture["vantage"])
        rows = logged(told, host)
        assert set(asked) == set(rows)
        for client, mine in rows.items():
            assert asked[client] == [(row["method"], row["target"]) for row in mine]
            got = iter(answers[client])
            for row in mine:
                if row["outcome"] == "answered":
                    answer = next(got)
                    assert answer.status == row["status"]
                    if row["method"] != "HEAD" and row["status"] not in NO_BODY:
                        assert answer.length == row["length"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_planted_is_in_the_log(name: str) -> None:
    told = truth(name)
    by_request = {(row["client"], row["time"]): row for row in told["log"]}
    planted = [one for one in told["planted"] if one["cause"] != "client/gave-up"]
    assert bool(planted) == (not name.startswith("honest-"))
    for one in told["planted"]:
        row = by_request[one["request"]["client"], one["request"]["time"]]
        assert row["outcome"] == one["outcome"]
        assert one["seen_at"]
        if one["kind"] == "misdelivered":
            assert row["own"] is False
            owner = by_request[one["owner"]["client"], one["owner"]["time"]]
            assert moment(owner) <= moment(row) + PATIENCE
    wrong = [row for row in told["log"] if row["own"] is False]
    assert len(wrong) == sum(one["kind"] == "misdelivered" for one in planted) <= 6
