"""Every finding's frames once more, by a way that shares no code with how they were found.

Law: the capture is read frame by frame with dpkt (pcapng with Scapy), decompressed with the plain
libraries; of the analyzer's own code only the result is used. What the report says of a frame has
to stand there: its time, addresses, ports, and the request line or status line.
"""

import bz2
import gzip
import hashlib
import lzma
import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import dpkt
import zstandard

from analyzer.correlate.model import Request
from analyzer.errors import InputError
from analyzer.findings.model import Finding
from analyzer.rejoined import Rejoined
from analyzer.report.result import Report, Verified

_PIECE = 1 << 20
_PCAPNG = b"\x0a\x0d\x0d\x0a"
_NEAR = 1_000  # ns; dpkt has times as floating-point numbers

Place = tuple[str, int]


class Claim(NamedTuple):
    """What the report says of a frame; the places are None where it names none."""

    capture: int
    frame: int
    finding: str
    time: int = -1  # ns by the capture's own clock; -1: not said
    source: Place | None = None
    target: Place | None = None
    line: bytes = b""


def verify(report: Report) -> Verified:
    """Check all findings of a report against its captures, and hash those.

    Raises InputError when a capture can't be read a second time (standard input can't).
    """
    claims: dict[int, dict[int, list[Claim]]] = {}
    for finding in report.judgement.findings:
        for claim in _claims(report, finding):
            claims.setdefault(claim.capture, {}).setdefault(claim.frame, []).append(claim)
    found = Verified()
    for number, capture in enumerate(report.captures):
        if capture.path == "-":
            raise InputError("standard input cannot be verified: it cannot be read again")
        found.sha256.append(_digest(Path(capture.path)))
        found.failures += _check(Path(capture.path), claims.get(number, {}))
        found.frames += len(claims.get(number, {}))
    return found


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


# --- what is claimed ------------------------------------------------------------------------------


def _claims(report: Report, finding: Finding) -> Iterator[Claim]:
    for request in (finding.request, finding.owner):
        if request is not None:
            client, server = _ends(report, request)
            line = f"{request.method} {request.target}".encode("latin-1")
            yield Claim(
                request.capture,
                request.frame,
                finding.id,
                _own_time(report, request, request.time),
                client,
                server,
                line,
            )
    response = finding.response
    if response is not None:
        line = f"HTTP/1. {response.status}".encode()
        if finding.request is None:
            yield Claim(response.capture, response.frame, finding.id, line=line)
        else:
            client, server = _ends(report, finding.request)
            time = _own_time(report, finding.request, response.time)
            yield Claim(response.capture, response.frame, finding.id, time, server, client, line)
    for fact in finding.evidence:
        for frame in fact.frames:
            yield Claim(frame.capture, frame.number, finding.id)


def _row(report: Report, request: Request) -> Any:
    connections = report.tables.connections
    return connections[connections["stream"] == request.connection][0]


def _own_time(report: Report, request: Request, time: int) -> int:
    interface = int(_row(report, request)["interface"])
    return report.tables.clocks.own(time, interface)


def _ends(report: Report, request: Request) -> tuple[Place, Place]:
    """Addresses and ports in the frames of the connection that was judged."""
    row, tables = _row(report, request), report.tables
    client, server = (
        tables.place(int(row[who]), int(row[f"{who}_port"])).rpartition(":")
        for who in ("client", "server")
    )
    return (client[0].strip("[]"), int(client[2])), (server[0].strip("[]"), int(server[2]))


# --- what stands there ----------------------------------------------------------------------------


def _frames(path: Path) -> Iterator[tuple[int, bytes, int]]:
    """Time in ns, bytes and link type of every frame."""
    with path.open("rb") as raw:
        stream = _decompressed(raw)
        start = stream.read(4)
        whole = cast(BinaryIO, _Again(start, stream))
        if start == _PCAPNG:
            from scapy.utils import RawPcapNgReader

            reader: Any = RawPcapNgReader(cast(Any, whole))
            for data, about in reader:
                ticks = (about.tshigh or 0) << 32 | (about.tslow or 0)
                time = ticks * 1_000_000_000 // (about.tsresol or 1_000_000)
                yield time, data, about.linktype
            return
        plain = dpkt.pcap.Reader(whole)
        for seconds, data in plain:
            yield round(seconds * 1_000_000_000), data, plain.datalink()


def _decompressed(raw: BinaryIO) -> BinaryIO:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        unpacked = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return cast(BinaryIO, unpacked)
    if start.startswith(b"\xfd7zXZ"):
        return cast(BinaryIO, lzma.LZMAFile(raw))
    if start.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(raw))
    if start.startswith(b"\x04\x22\x4d\x18"):
        import lz4.frame

        return cast(BinaryIO, lz4.frame.LZ4FrameFile(raw))
    return raw


class _Again:
    """A stream whose first bytes have been read, from its beginning."""

    def __init__(self, start: bytes, rest: BinaryIO) -> None:
        self._start, self._rest = start, rest
        self.name = "capture"

    def read(self, size: int) -> bytes:
        start, self._start = self._start[:size], self._start[size:]
        return start + self._rest.read(size - len(start)) if len(start) < size else start


def _check(path: Path, claims: dict[int, list[Claim]]) -> list[str]:
    """The claims that don't hold, a sentence each."""
    failed = _failed(path, claims, None)
    frames = {claim.frame for claim, _ in failed}
    if not frames:
        return []
    # What is not in a frame may be in the packet that it is the last fragment of.
    left = {number: some for number, some in claims.items() if number in frames}
    pairs = {
        ip_address(claim.source[0]).packed + ip_address(claim.target[0]).packed
        for some in left.values()
        for claim in some
        if claim.source is not None and claim.target is not None
    }
    failed = _failed(path, left, Rejoined(sorted(pairs)))
    return [f"{claim.finding}: frame {claim.frame}{what}" for claim, what in failed]


def _failed(
    path: Path, claims: dict[int, list[Claim]], rejoined: Rejoined | None
) -> list[tuple[Claim, str]]:
    """The claims that don't hold, with what is wrong, in the order of the frames."""
    failures: list[tuple[Claim, str]] = []
    left = dict(claims)
    if not left:
        return []
    try:
        for number, (time, data, link_type) in enumerate(_frames(path), 1):
            contents = rejoined.contents(data, link_type) if rejoined else [data]
            for claim in left.pop(number, ()):
                wrong = min((list(_wrong(claim, time, one)) for one in reversed(contents)), key=len)
                failures += [(claim, f": {what}") for what in wrong]
            if not left:
                break
    except (dpkt.Error, EOFError, OSError, ValueError, zstandard.ZstdError, lzma.LZMAError):
        pass  # a damaged end: what is left was not found
    for missing in left.values():
        failures += [(claim, " is not there") for claim in missing]
    return failures


def _wrong(claim: Claim, time: int, data: bytes) -> Iterator[str]:
    if claim.time >= 0 and abs(claim.time - time) > _NEAR:
        yield f"its time is {time} ns, not {claim.time}"
    payload = data
    if claim.source is not None and claim.target is not None:
        found = _payload(data, claim.source, claim.target)
        if found is None:
            yield "no TCP segment from {}:{} to {}:{}".format(*claim.source, *claim.target)
            return
        payload = found
    if claim.line and not _stands(claim.line, payload):
        yield f"{claim.line.decode('latin-1')!r} does not stand there"


def _payload(data: bytes, source: Place, target: Place) -> bytes | None:
    """The payload of the TCP segment between two places, in whatever the frame wraps it."""
    addresses = ip_address(source[0]).packed + ip_address(target[0]).packed
    ports = source[1].to_bytes(2, "big") + target[1].to_bytes(2, "big")
    at = data.find(addresses)
    while at >= 0:
        # The TCP header follows the addresses, perhaps behind options or extension headers.
        tcp = data.find(ports, at + len(addresses), at + len(addresses) + 320)
        if tcp >= 0 and len(data) >= tcp + 20:
            header = dpkt.tcp.TCP(data[tcp : tcp + 12] + b"\x50" + data[tcp + 13 : tcp + 20])
            if (header.sport, header.dport) == (source[1], target[1]):
                return data[tcp + (data[tcp + 12] >> 4) * 4 :]
        at = data.find(addresses, at + 1)
    return None


def _stands(line: bytes, payload: bytes) -> bool:
    """Whether a line stands in a payload, or begins at its end and goes on in the next one."""
    head, _, tail = line.partition(b" ")
    dot = rb"\d" if head == b"HTTP/1." else b""
    if re.search(re.escape(head) + dot + rb" +" + re.escape(tail), payload):
        return True
    # The line's beginning, as the last thing in the payload.
    longest = min(len(line) + 8, len(payload))
    for start in range(max(0, len(payload) - longest), len(payload)):
        rest = payload[start:]
        if dot and len(rest) > 7:
            rest = rest[:7] + rest[8:]
        if line.startswith(rest):
            return True
    return False
