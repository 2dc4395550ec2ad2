"""The readers, each as a function from a pcap file to a Reading.

Every one is asked as its user would ask it, with what helps it: it is given the servers' ports
where it wants them. A complaint counts generously: tshark's by connection (expert information of
warning or error), other tools' for the whole capture, whatever they print.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree

from analyzer import archive, pipeline
from analyzer.report.har import Shown
from captures.referee.model import Json, Pair, Reading, seconds

_WARNING = 0x600000  # of _ws.expert.severity
LONGEST = 300  # s that a reader may take for a capture
Read = Callable[[Path, Sequence[int]], Reading]


class Tool(NamedTuple):
    """A reader: how it reads, and what it needs (a program or a module; blank: nothing)."""

    read: Read
    program: str = ""
    module: str = ""
    get: str = ""  # how to get it

    @property
    def there(self) -> bool:
        """Whether it can be run here."""
        if self.module:
            asked = [sys.executable, "-c", f"import {self.module}"]
            if subprocess.run(asked, capture_output=True, check=False).returncode:
                return False
        return not self.program or _found(self.program) is not None


def _found(program: str) -> str | None:
    """A program beside this Python, or on the path."""
    beside = Path(sys.executable).parent / program
    return str(beside) if beside.is_file() else shutil.which(program)


def _run(*command: str) -> tuple[str, str, int]:
    done = subprocess.run(command, capture_output=True, check=False, timeout=LONGEST)
    out, said = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return out, said, done.returncode


def ours(path: Path, ports: Sequence[int]) -> Reading:
    """`scan`: the pairs of its exchanges, the bodies of its HAR; `ports` it finds by itself."""
    examination = pipeline.examine([str(path)])
    report, out = examination.report, BytesIO()
    archive.write(examination, out, Shown(bodies=True, secrets=True))
    entries = json.loads(out.getvalue())["log"]["entries"]
    bodies = {one["_exchange"]: _digest(one["response"]) for one in entries}
    found = report.findings
    whose = set(found.loc[found["kind"] == "misdelivered", "exchange"])
    doubted = {one.request.client for one in report.judgement.undecided if one.request}
    doubted |= set(found["request_client"].dropna())
    pairs = []
    rows: Iterable[Any] = report.exchanges.dropna(subset=["target"]).itertuples()
    for row in rows:
        came = row.outcome == "answered"
        time = row.request_time.timestamp()
        digest = bodies.get(row.exchange) if came else None
        status = int(row.status) if came else 0
        pairs.append(
            Pair(row.client, row.method, row.target, time, status, digest, row.exchange in whose)
        )
    return Reading(tuple(pairs), doubted)


def _digest(response: Json) -> str | None:
    """The SHA-256 of a body in a HAR, where it is there as it was sent."""
    if any(field["name"].lower() == "content-encoding" for field in response["headers"]):
        return None
    content = response["content"]
    text = content.get("text")
    if text is None:
        return None if content["size"] > 0 else sha256(b"").hexdigest()
    coded = content.get("encoding") == "base64"
    return sha256(base64.b64decode(text) if coded else text.encode()).hexdigest()


def _tshark(*options: str) -> Read:
    return lambda path, ports: _dissected(path, ports, options)


def _dissected(path: Path, ports: Sequence[int], options: Sequence[str]) -> Reading:
    """tshark's `http.request_in`, by frame; of several requests in one frame in their order."""
    decode = [part for port in ports for part in ("-d", f"tcp.port=={port},http")]
    wanted = 'http || (tcp && _ws.expert.severity >= "Warning")'
    shown = ("-Y", wanted, "-T", "pdml", "-J", "frame ip tcp http _ws.expert")
    out, said, status = _run("tshark", "-n", "-r", str(path), *options, *decode, *shown)
    if status:
        return Reading(refused=said)
    asked: dict[str, list[Pair]] = {}
    pairs: list[Pair] = []
    doubted: set[str] = set()
    for packet in ElementTree.fromstring(out).iter("packet"):
        value = {f.get("name", ""): f.get("show", "") for f in packet.iter("field")}
        source = f"{value.get('ip.src')}:{value.get('tcp.srcport')}"
        if any(int(f.get("show", "0")) >= _WARNING for f in packet.iter("field")
               if f.get("name") == "_ws.expert.severity"):  # fmt: skip
            doubted |= {source, f"{value.get('ip.dst')}:{value.get('tcp.dstport')}"}
        for proto in packet.findall("proto[@name='http']"):
            told = {f.get("name", ""): f for f in proto.iter("field")}
            pairs += _message(told, source, value, asked)
    return Reading((*pairs, *(one for rest in asked.values() for one in rest)), doubted)


def _message(
    told: dict[str, ElementTree.Element],
    source: str,
    value: dict[str, str],
    asked: dict[str, list[Pair]],
) -> Iterator[Pair]:
    """The pair of a response; a request is put among those `asked`, by frame."""
    if "http.request.method" in told:
        method, target = (
            told[f"http.request.{name}"].get("show", "") for name in ("method", "uri")
        )
        time = float(value["frame.time_epoch"])
        pair = Pair(source, method, target, time, 0, None)
        asked.setdefault(value["frame.number"], []).append(pair)
    elif "http.response.code" in told and "http.request_in" in told:
        status = int(told["http.response.code"].get("show", "0"))
        waiting = asked.get(told["http.request_in"].get("show", ""))
        if waiting and status >= 200:
            first = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            yield first._replace(status=status, digest=_file_data(told))


def _file_data(told: dict[str, ElementTree.Element]) -> str | None:
    if "http.content_encoding" in told:
        return None
    if "http.file_data" not in told:
        return sha256(b"").hexdigest()
    value = told["http.file_data"].get("value")
    return sha256(bytes.fromhex(value)).hexdigest() if value else None


def pcap2har(path: Path, ports: Sequence[int]) -> Reading:
    """pcap2har's entries; it does not tell the client's port."""
    out = path.with_suffix(".har")
    program = _found("pcap2har") or "pcap2har"
    _, said, status = _run(program, "--log-level", "WARNING", "-o", str(out), str(path))
    if status or not out.is_file():
        return Reading(refused=said.strip().splitlines()[-1] if said.strip() else "no output")
    entries = json.loads(out.read_text())["log"]["entries"]
    pairs = []
    for one in entries:
        request, response = one["request"], one["response"]
        url = urlsplit(request["url"])
        target = url.path + (f"?{url.query}" if url.query else "")
        status, digest = int(response["status"] or 0), _digest(response)
        time = seconds(one["startedDateTime"])
        pairs.append(Pair("", request["method"], target, time, status, digest))
    spoken = [s for s in said.splitlines() if "it/s]" not in s and "HTTP/3" not in s and s.strip()]
    return Reading(tuple(pairs), None if spoken else frozenset())


def httpreplay(path: Path, ports: Sequence[int]) -> Reading:
    """httpreplay-ng's pairs, read by its library in a process of its own."""
    out, said, status = _run(sys.executable, "-m", "captures.referee.replayed", str(path))
    if status:
        return Reading(refused=said.strip().splitlines()[-1] if said.strip() else "no output")
    told = json.loads(out)
    pairs = tuple(Pair(*one) for one in told["pairs"])
    return Reading(pairs, None if told["errors"] or said.strip() else frozenset())


OUT_OF_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
TOOLS = {
    "wrangler-forensics": Tool(ours),
    "tshark": Tool(_tshark(), "tshark", get="apt install tshark"),
    "tshark, out of order": Tool(_tshark(*OUT_OF_ORDER), "tshark", get="apt install tshark"),
    "pcap2har": Tool(pcap2har, "pcap2har", get="pip install pcap2har, and tshark"),
    "httpreplay": Tool(httpreplay, module="httpreplay", get="pip install httpreplay-ng"),
}
