"""A capture as tshark reads it: TCP fields of every frame, and the HTTP messages it dissects."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple
from zlib import adler32

from tests.differential.model import Request, Response, Seen, Talk

TSHARK = shutil.which("tshark")
LONGEST = 300  # s that tshark may take
_HTTP_PORTS = (80, 8080)
_OPTIONS = ("-n", "-o", "http.decompress_body:FALSE")
_PATIENT = ("-o", "tcp.reassemble_out_of_order:TRUE")
# Of a packet is told what is directly below these (ICMP and WLAN aggregates may have TCP in them).
_PROTOCOLS = (
    "frame ip ipv6 icmp icmpv6 wlan_aggregate wlan_aggregate.a_mdsu.subframe "
    "tcp tcp.analysis tcp.analysis.flags _ws.expert http text"
)
_MARKS = (
    "lost_segment", "ack_lost_segment", "retransmission", "out_of_order", "fast_retransmission",
    "spurious_retransmission",
)  # fmt: skip
_FIELDS = (
    "frame.number", "frame.len", "frame.cap_len", "frame.protocols", "tcp.stream", "ip.src",
    "ipv6.src", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len",
    *(f"tcp.analysis.{mark}" for mark in _MARKS),
)  # fmt: skip


class Tcp(NamedTuple):
    """One TCP segment as tshark dissects it; `source` is address and port."""

    frame: int
    stream: int
    source: tuple[str, int]
    target_port: int
    seq: int
    ack: int
    flags: int
    wire: int
    marks: frozenset[str]
    payload: bytes
    cut: bool  # by the capture's snaplen


class TsharkError(Exception):
    """tshark did not read the capture to its end; the message is what it said."""


def _tshark(path: Path, *arguments: str) -> tuple[bytes, str]:
    """tshark's output and complaint."""
    command = [str(TSHARK), "-r", str(path), *_OPTIONS, *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=LONGEST)
    said = done.stderr.decode("utf-8", "replace")
    said = "\n".join(line for line in said.splitlines() if "dangerous" not in line)
    return done.stdout, said if done.returncode else ""


class Read(NamedTuple):
    """What tshark reads: frames, of those the pcapng blocks that are none, segments; and by frame
    the HTTP messages in it, as PDML.

    `complaint` is what it said when it did not read the capture to its end.
    """

    frames: int
    blocks: int
    tcp: list[Tcp]
    http: dict[int, list[bytes]]
    complaint: str


_FIELD = re.compile(
    rb'<field name="(%b)" showname="[^"]*"[^>]*? show="([^"]*)"'
    % "|".join(map(re.escape, _FIELDS)).encode()
)
_PAYLOAD = re.compile(rb'<field name="tcp\.payload"[^>]*? show="[^"]*" value="([0-9a-f]*)"')


def read(path: Path, ports: set[int], *, patient: bool = True) -> Read:
    """All of a capture. Starting tshark takes longer than its reading: it is asked once.

    `ports` are those that HTTP was found on by anybody. A `patient` tshark puts segments that are
    out of order together, and dissects nothing behind a lost one; else it dissects what comes as it
    comes.
    """
    decode = [
        part
        for port in sorted(ports | set(_HTTP_PORTS))
        for part in ("-d", f"tcp.port=={port},http")
    ]
    out, complaint = _tshark(path, "-T", "pdml", "-j", _PROTOCOLS, *decode, *(_PATIENT * patient))
    frames = blocks = 0
    found = []
    http: dict[int, list[bytes]] = {}
    for packet in out.split(b"\n<packet>\n")[1:]:
        frames += 1
        # Of what is there several times, in tunnels, the last.
        values = {name.decode(): show.decode("latin-1") for name, show in _FIELD.findall(packet)}
        blocks += values.get("frame.protocols") == "data" and values["frame.len"] != "0"
        parts = packet.split(b'\n  <proto name="http"')[1:]
        if parts:
            http[int(values["frame.number"])] = [p.partition(b"\n  </proto>")[0] for p in parts]
        if "tcp.stream" not in values or "tcp.seq_raw" not in values:
            continue
        payload = _PAYLOAD.findall(packet)
        found.append(
            Tcp(
                frame=int(values["frame.number"]),
                stream=int(values["tcp.stream"]),
                source=(values.get("ip.src") or values["ipv6.src"], int(values["tcp.srcport"])),
                target_port=int(values["tcp.dstport"]),
                seq=int(values["tcp.seq_raw"]),
                ack=int(values.get("tcp.ack_raw", "0")),
                flags=int(values.get("tcp.flags", "0"), 16),
                wire=int(values.get("tcp.len", "0")),
                marks=frozenset(mark for mark in _MARKS if f"tcp.analysis.{mark}" in values),
                payload=bytes.fromhex(payload[-1].decode()) if payload else b"",
                cut=values["frame.len"] != values["frame.cap_len"],
            )
        )
    return Read(frames, blocks, found, http, complaint)


_METHOD = re.compile(rb'<field name="http.request.method"[^>]*? value="([0-9a-f]*)"')
_URI = re.compile(rb'<field name="http.request.uri"[^>]*? value="([0-9a-f]*)"')
_CODE = re.compile(rb'<field name="http.response.code"[^>]* show="(\d+)"')
_REQUEST_IN = re.compile(rb'<field name="http.request_in"[^>]* show="(\d+)"')
_BODY = re.compile(
    rb'<field name="http.file_data"[^>]*? size="(\d+)"[^>]*?(?: value="([0-9a-f]*)")?/?>'
)
# With decompression off, a body with a content coding has no file_data but this.
_CODED = re.compile(
    rb'<field name="" show="Content-encoded entity body[^"]*" size="(\d+)"'
    rb'[^>]*? value="([0-9a-f]*)"'
)


def _talks(http: dict[int, list[bytes]], stream_of: dict[int, int]) -> dict[int, Talk]:
    """The HTTP messages by stream (its first frame)."""
    talks: dict[int, Talk] = {}
    asked_in: dict[tuple[int, int], list[int]] = {}
    for frame, parts in http.items():
        stream = stream_of.get(frame)
        if stream is None:
            continue
        talk = talks.setdefault(stream, Talk())
        for part in parts:
            _message(part, talk, frame, asked_in.setdefault((stream, frame), []), asked_in, stream)
    return talks


def _message(
    part: bytes,
    talk: Talk,
    frame: int,
    here: list[int],
    asked_in: dict[tuple[int, int], list[int]],
    stream: int,
) -> None:
    method, code = _METHOD.search(part), _CODE.search(part)
    body = _CODED.search(part) or _BODY.search(part)
    data = bytes.fromhex((body[2] or b"").decode()) if body else b""
    length = int(body[1]) if body else 0
    if method is not None:
        uri = _URI.search(part)
        target = bytes.fromhex(uri[1].decode()).decode("latin-1") if uri else ""
        here.append(len(talk.requests))
        name = bytes.fromhex(method[1].decode()).decode("latin-1")
        talk.requests.append(Request(name, target, length, frame))
    elif code is not None and (int(code[1]) >= 200 or int(code[1]) == 101):
        before = _REQUEST_IN.search(part)
        places = asked_in.get((stream, int(before[1])), []) if before else []
        checksum = adler32(data) if data and len(data) == length else None
        asked = places[0] if len(places) == 1 else -1 if places else None
        talk.responses.append(Response(int(code[1]), length, checksum, asked, frame))


def _begun(tcp: list[Tcp]) -> dict[int, int]:
    """The first frame of every stream."""
    found: dict[int, int] = {}
    for segment in tcp:
        found.setdefault(segment.stream, segment.frame)
    return found


def seen(path: Path, ports: set[int], known: Read, holes: set[int]) -> Seen:
    """All that tshark says of a capture that it has read; gaps are not filled in.

    `holes` are the streams with bytes missing: they are read as they come.
    """
    begun = _begun(known.tcp)
    stream_of = {segment.frame: begun[segment.stream] for segment in known.tcp}
    found = Seen(known.frames, set(begun.values()), _talks(known.http, stream_of))
    if holes and (ports or known.http):
        hasty = _talks(read(path, ports, patient=False).http, stream_of)
        for stream in holes & {*hasty, *found.talks}:
            found.talks[stream] = hasty.get(stream, Talk())
    return found
