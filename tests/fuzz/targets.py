"""What is fuzzed: each target takes any bytes and raises when something that must hold does not.

A target needs no fuzzer: a test replays the kept inputs through it, and `python -m tests.fuzz`
drives it with atheris. More than "no traceback" is asked wherever there is more to ask: two readers
agree, the pieces' sizes do not matter, nothing reaches the outputs that could act there.
"""

import csv
import io
import json
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

import orjson
from rich.console import Console

from analyzer import compiled, limits, pipeline
from analyzer.anomalies import Anomalies
from analyzer.capture import files
from analyzer.capture.frames import Capture, Frames
from analyzer.errors import InputError
from analyzer.features.forms import Forms
from analyzer.features.shapes import DEEPEST, shape_of, text
from analyzer.http import content, grammar, preambles
from analyzer.http.grammar import Fields
from analyzer.judging import judge
from analyzer.report import files as outputs
from analyzer.report.result import Report
from tests.builder import ACK, ETHERNET, FIN, PSH, RST, SECOND, START, SYN, Frame, packet, pcap
from tests.http.reading import Read, Wire, messages
from tests.packets.test_decode import both_decoders, frames_of
from tests.report.showing import show_all

Target = Callable[[bytes], None]

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Input:
    """Takes values off the front of a fuzzer's bytes; zeros when nothing is left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or what is left."""
        piece = self._data[self._at : self._at + size]
        self._at += size
        return piece

    def number(self, size: int = 1) -> int:
        """The next `size` bytes as a number."""
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "little")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


# --- files -------------------------------------------------------------------------------------


def _read(data: bytes, block: int) -> tuple[list[tuple[object, ...]], Capture] | None:
    """All frames of a capture, and what was noted; None where it is none."""
    capture = Capture("fuzz")
    rows: list[tuple[object, ...]] = []
    try:
        blocks = files._read(cast(BinaryIO, io.BytesIO(data)), "fuzz", capture, block, None)
        for frames in blocks:
            rows += _rows(frames)
    except InputError:
        return None
    return rows, capture


def _rows(frames: Frames) -> Iterator[tuple[object, ...]]:
    for n in range(len(frames)):
        start, size = int(frames.offset[n]), int(frames.captured[n])
        assert 0 <= start <= start + size <= len(frames.data)
        assert size <= frames.wire[n]
        octets = frames.data[start : start + size]
        yield (int(frames.number[n]), int(frames.time[n]), int(frames.interface[n]),
               int(frames.wire[n]), octets)  # fmt: skip


def containers(data: bytes) -> None:
    """Container readers and decompressors: any block size reads the same."""
    whole = _read(data, 1 << 20)
    small = _read(data, 16)
    assert (whole is None) == (small is None)
    if whole is None or small is None:
        return
    assert whole[0] == small[0]
    assert whole[1].anomalies == small[1].anomalies
    assert [row[0] for row in whole[0]] == list(range(1, len(whole[0]) + 1))


def packets(data: bytes) -> None:
    """Packet decoders: the block decoder and the one-frame decoder agree on every frame."""
    _decode(data, _LINKS)


def monitors(data: bytes) -> None:
    """The same for 802.11 and what monitors write before it, and for tunnels in Ethernet."""
    _decode(data, MONITORS)


def _decode(data: bytes, known: tuple[int, ...]) -> None:
    given = Input(data)
    parts: list[bytes] = []
    links: list[int] = []
    wires: list[int] = []
    while given and len(parts) < 12:
        links.append(known[given.number() % len(known)])
        extra = given.number()
        parts.append(given.take(given.number()))
        wires.append(len(parts[-1]) + (extra if extra < 100 else 0))
    if parts:
        both_decoders(frames_of(parts, wires), links)


_LINKS = (1, 113, 276, 0, 108, 101, 12, 228, 229, 239, 104, 50, 147)
MONITORS = (1, 105, 119, 127, 163, 192)


# --- HTTP --------------------------------------------------------------------------------------


def http(data: bytes) -> None:
    """The HTTP parser: a stream gives the same messages however it is cut into pieces."""
    given = Input(data)
    kind, cut = given.number(), given.number() + 1
    stream = given.rest()
    answers = None if kind & 1 else [b"GET", b"HEAD", b"CONNECT", b"POST"]
    close = bool(kind & 2)

    def read(pieces: list[bytes]) -> tuple[list[Read], Anomalies]:
        # After framing is lost, reading picks up where a piece begins with a start line, which
        # depends on the pieces on purpose: what comes then is not compared.
        return messages(pieces, answers=answers, close=close)

    whole, odd = read([stream])
    parts, odd_parts = read([stream[at : at + cut] for at in range(0, len(stream), cut)])
    if not _lost(odd) and not _lost(odd_parts):
        assert whole == parts
        assert odd == odd_parts
    for message in whole:
        assert len(message.method) <= 32
        assert message.body is None or len(message.body) <= limits.BODY
        assert message.body is None or len(message.body) == message.length


def _lost(odd: Anomalies) -> bool:
    names = {"head-too-long", "start-line-invalid", "chunk-invalid"}
    return any(odd[name] for name in names)


def exchanges(data: bytes) -> None:
    """Pairing: pieces of both sides, gaps and closes in any order; each request is put out once."""
    given = Input(data)
    first = given.number()
    wire = Wire(midstream=bool(first & 1), gapped=bool(first & 2))
    closed = [False, False]
    while given:
        what = given.number()
        side = what & 1
        kind = what >> 1 & 7
        if kind < 5:
            piece = given.take(given.number())
            if not piece or closed[side]:
                continue
            behind = given.number() if kind == 4 else 0
            ack = wire.next[1 - side] - behind & 0xFFFFFFFF
            (wire.server if side else wire.client)(piece, ack=ack)
        elif kind == 5:
            wire.gap(side, given.number(2) + 1)
        elif kind == 6 and not closed[side]:
            closed[side] = True
            wire.close(side)
    rows = wire.finish(open_at_end=bool(first & 4))
    asked = sum(row.outcome != "unsolicited" for row in rows)
    assert asked == wire.http.requests
    assert sum(row.outcome == "answered" for row in rows) >= wire.http.answered - asked


# --- bodies ------------------------------------------------------------------------------------


def before(data: bytes) -> None:
    """Preambles: of what is whole every beginning needs more, and what follows changes nothing."""
    given = Input(data)
    size = given.number()
    client = given.take(size)
    server = given.rest()
    found = preambles.read(client, server, from_start=True)
    if not isinstance(found, preambles.Preamble):
        return
    ours, theirs = client[: found.of_client], server[: found.of_server]
    assert 0 < len(ours) == found.of_client
    assert len(theirs) == found.of_server
    assert preambles.read(ours, theirs, from_start=True) == found
    assert preambles.read(ours + b"GET", theirs + b"HTTP", from_start=True) == found
    for end in range(1, len(ours)):
        assert preambles.read(ours[:end], theirs, from_start=True) is preambles.Unread.MORE
    for end in range(len(theirs)):
        assert preambles.read(ours, theirs[:end], from_start=True) is preambles.Unread.MORE


def shapes(data: bytes) -> None:
    """Shapes of JSON: the fast way and the slow way give the same form, and bodies of one code have
    one shape."""
    parts = data.split(b"\n")[:6]
    fresh = [Forms(Anomalies()).of("application/json", part) for part in parts]
    assert all(number >= 0 for number in fresh)
    forms = Forms(Anomalies())
    for _ in range(2):
        for part in parts:
            number = forms.of("application/json", part)
            alone = Forms(Anomalies())
            form = alone.forms[alone.of("application/json", part)]
            assert forms.forms[number] == form
    shapes_of_codes: dict[int, object] = {}
    for part in parts:
        code = compiled.kernels.body_code(part) if compiled.kernels else 0
        try:
            shape = shape_of(orjson.loads(part))
        except orjson.JSONDecodeError:
            assert not code
            continue
        text(shape)
        assert not code or shapes_of_codes.setdefault(code, shape) == shape
    assert DEEPEST


def bodies(data: bytes) -> None:
    """Content codings: a body is decoded up to the limit or refused."""
    given = Input(data)
    codings = ("gzip", "deflate", "br", "zstd", "gzip, br", "identity", "x-gzip,zstd", "odd")
    coding = codings[given.number() % len(codings)]
    out = content.decoded(given.rest(), coding)
    assert out is None or len(out) <= limits.BODY


def fields(data: bytes) -> None:
    """Heads: what is remembered of a head is what reading it anew gives."""
    once = grammar.fields(data)
    grammar._known.clear()
    assert grammar.fields(data) == once
    assert isinstance(once, Fields)
    assert once.content_length is None or once.content_length >= -1


# --- everything --------------------------------------------------------------------------------


def streams(data: bytes) -> None:
    """Reassembly and all that follows: segments with any numbers, in any order, to the report."""
    report = report_on(data)
    asked = len(report.exchanges)
    assert asked >= len(report.judgement.findings)
    check_outputs(report)


PIECES = (
    b"GET /items/1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"b": []}',
    b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HEAD /items/1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
)
_FLAGS = (ACK, ACK | PSH, SYN, SYN | ACK, FIN | ACK, RST | ACK, RST, ACK)


def frames_from(data: bytes) -> list[Frame]:
    """The frames that a fuzzer's bytes stand for: a few connections that send what they like.

    A byte says who sends and what; sequence numbers follow unless told otherwise, so that much of
    what comes out is a conversation, and the rest is not far from one.
    """
    given = Input(data)
    following: dict[tuple[int, int], int] = {}
    frames: list[Frame] = []
    time = START
    while given and len(frames) < 200:
        what, how = given.number(), given.number()
        side, which = what & 1, what >> 1 & 3
        flags = _FLAGS[what >> 3 & 7]
        ours, theirs = (which, side), (which, 1 - side)
        seq = following.setdefault(ours, 1_000 * (side + 1))
        ack = following.setdefault(theirs, 1_000 * (2 - side))
        kind = how & 7
        piece = b""
        if flags & ~(ACK | PSH) == 0 or how & 0x40:
            piece = PIECES[kind] if how & 0x08 else given.take(given.number() if kind else 0)
        shift = _shift(given) if how & 0x10 else 0
        behind = _shift(given) if how & 0x20 else 0
        time += _wait(given) if how & 0x80 else 100_000
        ends = (("10.0.0.1", 40_000 + which), ("10.0.0.2", 80))
        cut = given.number() if kind == 7 and how & 0x08 else 0
        whole = packet(
            ends[side], ends[1 - side], seq + shift, ack - behind if flags & ACK else 0, flags,
            piece, window=0 if how == 0xFF else 60_000,
        )  # fmt: skip
        frames.append(Frame(time, whole[: max(40, len(whole) - cut)], len(whole)))
        if not shift:
            following[ours] = seq + len(piece) + (1 if flags & (SYN | FIN) else 0) & 0xFFFFFFFF
    return frames


def _shift(given: Input) -> int:
    """Mostly small, sometimes anything."""
    (small,) = struct.unpack("<b", given.take(1).ljust(1, b"\0"))
    return int(given.number(4)) if small == 127 else int(small)


def _wait(given: Input) -> int:
    """ns; backwards too."""
    return (-5, -1, 1, 200, 2_000, 40_000, 0, 100_000)[given.number() & 7] * SECOND // 1_000


def report_on(data: bytes) -> Report:
    """The report on a fuzzer's frames."""
    return _report(pcap(frames_from(data)))


def _report(whole: bytes) -> Report:
    """The report on a capture; small blocks, so that connections cross them."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(whole)
        file.flush()
        extraction, captures, interfaces = pipeline.extract_share([file.name], 0, 1, 4_096)
    tables = pipeline._tables(extraction, captures, interfaces)
    return Report(captures, extraction.anomalies, judge(tables), tables, pipeline.in_brief)


def reports(data: bytes) -> None:
    """Reports: text of any kind in methods, targets, hosts, types and keys acts nowhere."""
    given = Input(data)
    words = [given.take(given.number()) for _ in range(4)]
    target, host, kind, key = (w.replace(b"\r", b"").replace(b"\n", b"") for w in words)
    method = re.sub(rb"[^!#-'*+.^-z|~\-0-9A-Z]", b"", given.take(8)) or b"GET"
    method = method.replace(b"`", b"")
    body = orjson.dumps({key.decode("latin-1"): 1})
    asked = method + b" /" + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    said = b"HTTP/1.1 200 OK\r\nContent-Type: " + (
        b"application/json" if given.number() & 1 else kind
    )
    said += b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    ends = ("10.0.0.1", 40_000), ("10.0.0.2", 80)
    late = START + 60 * SECOND
    parts = [
        (START, packet(*ends, 0, 0, SYN)),
        (START, packet(ends[1], ends[0], 0, 1, SYN | ACK)),
        (START, packet(*ends, 1, 1, ACK, asked)),
        (START, packet(ends[1], ends[0], 1, 1 + len(asked), ACK, said)),
        (START, packet(*ends, 1 + len(asked), 1 + len(said), ACK, asked)),
        (late, packet(ends[1], ends[0], 1 + len(said), 1 + 2 * len(asked), ACK | RST)),
        (late + 60 * SECOND, packet(("10.0.0.9", 1), ends[1], 0, 0, SYN)),
    ]
    check_outputs(_report(pcap([Frame(*part) for part in parts], link_type=ETHERNET)))


def check_outputs(report: Report) -> None:
    """All renderers work, their outputs parse, and nothing in them could act."""
    parsed = json.loads(outputs.json_text(report))
    assert len(parsed["findings"]) == len(report.judgement.findings)
    out = io.StringIO()
    show_all(report, Console(file=out, width=80, force_terminal=False, highlight=False))
    assert not _CONTROLS.search(out.getvalue())
    table = io.BytesIO()
    outputs.write_exchanges(report, "e.csv", table)
    for text_of in (outputs.csv_text(report), table.getvalue()):
        rows = list(csv.reader(io.StringIO(text_of.decode(), newline="")))
        assert len({len(row) for row in rows}) == 1
        for row in rows[1:]:
            for value in row:
                assert not re.match(r"[=+@\t\r]|-\D", value), value
                assert not _CONTROLS.search(value), value


TARGETS: dict[str, Target] = {
    "containers": containers,
    "packets": packets,
    "monitors": monitors,
    "before": before,
    "http": http,
    "fields": fields,
    "exchanges": exchanges,
    "shapes": shapes,
    "bodies": bodies,
    "streams": streams,
    "reports": reports,
}
