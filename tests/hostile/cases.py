"""The hostile captures. Each has the witness in it: ordinary traffic with two findings, which have
to be found whatever else there is.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tests.builder import (
    CLIENT,
    ETHERNET,
    SERVER,
    START,
    SYN,
    Conversation,
    Frame,
    Pcapng,
    in_time,
    linked,
    packet,
    pcap,
    request,
    response,
)
from tests.findings.stable import epilogue, ordinary, swap

MIB = 1 << 20
_JSON = "Content-Type: application/json\r\n"


class Case(NamedTuple):
    """A capture to be made, piece by piece; `anomalies` are those that have to be reported.

    `size` says how large it is for a test and for the table.
    """

    name: str
    what: str
    made: Callable[[int], Iterator[bytes]]
    anomalies: tuple[str, ...]
    size: tuple[int, int]
    witness: bool = True


def witness() -> list[Frame]:
    """Ordinary traffic with an unanswered and a misdelivered response."""
    one, two = swap()
    return in_time(ordinary(), one.frames, two.frames, epilogue())


def _with(frames: Iterable[Frame]) -> Iterator[bytes]:
    """A capture of the witness and further frames, which come first."""
    mine = witness()
    yield pcap(mine[:1])[:24]
    yield _records(mine[: len(mine) // 2])
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == 4_096:
            yield _records(batch)
            batch = []
    yield _records(batch)
    yield _records(mine[len(mine) // 2 :])


def _records(frames: Iterable[Frame]) -> bytes:
    return pcap(frames, link_type=ETHERNET)[24:]


def _talk() -> Conversation:
    first = witness()[0].time
    return Conversation(("10.9.9.9", 50_000), ("10.9.9.8", 80), start=first, step=1_000)


def _answered(body: bytes, fields: str = _JSON, size: int = 1_400) -> Iterator[bytes]:
    one = _talk().open().ask(request("/evil"))
    one.answer(response(body, fields=fields), size)
    one.ask(request("/evil")).answer(response(body, fields=fields), size)
    return _with(one.close().frames)


# --- the cases ------------------------------------------------------------------------------------


def lying_lengths(size: int) -> Iterator[bytes]:
    pick = random.Random(1)
    frames = []
    for frame in _talk().open().ask(request("/x") * size, 20).frames:
        data = bytearray(frame.packet)
        at, width = pick.choice([(0, 1), (2, 2), (32, 1)])
        data[at : at + width] = pick.randbytes(width)
        frames.append(Frame(frame.time, bytes(data), pick.choice([0, 60, 65_535, 2**31])))
    one = _talk().open().ask(request("/x"))
    one.answer(response(b"short", length=10**17))
    return _with([*frames, *one.frames])


def zero_length_blocks(size: int) -> Iterator[bytes]:
    file = Pcapng().interface(options={9: b"\x09"})
    for frame in witness():
        file.enhanced(linked(frame.packet, ETHERNET), ticks=frame.time)
    yield file.data + struct.pack("<II", 6, 0) * size


def far_ahead(size: int) -> Iterator[bytes]:
    one = _talk().open().ask(request("/x"))
    for n in range(size):
        one.send(SERVER, b"x" * 100, seq=(one.next[SERVER] + 2**30 + n * 1_000_003) & 0xFFFFFFFF)
    return _with(one.frames)


def endless_head(size: int) -> Iterator[bytes]:
    one = _talk().open()
    head = b"GET /x HTTP/1.1\r\nHost: h\r\n"
    return _with(one.ask(head + b"A: b\r\n" * size, 1_400).frames)


def huge_chunk(size: int) -> Iterator[bytes]:
    one = _talk().open().ask(request("/x"))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"
    return _with(one.answer(head + b"x" * size, 1_400).frames)


def deep_json(size: int) -> Iterator[bytes]:
    return _answered(b"[" * size + b"]" * size)


def many_keys(size: int) -> Iterator[bytes]:
    return _answered(b"{" + b",".join(b'"k%d":1' % n for n in range(size)) + b"}")


def bomb_capture(size: int) -> Iterator[bytes]:
    """Packed 1 : 200 or so."""
    squeeze = zlib.compressobj(wbits=31)
    frame = _talk().send(CLIENT, bytes(1_400))
    again = _records([frame] * 1_024)
    for piece in _with([]):
        yield squeeze.compress(piece)
    for _ in range(size):
        yield squeeze.compress(again)
    yield squeeze.flush()


def bomb_body(size: int) -> Iterator[bytes]:
    squeeze = zlib.compressobj(wbits=31)
    packed = b"".join(squeeze.compress(bytes(MIB)) for _ in range(size)) + squeeze.flush()
    return _answered(packed, fields=f"{_JSON}Content-Encoding: gzip\r\n")


def half_open(size: int) -> Iterator[bytes]:
    first = witness()[0].time
    ends = ("10.9.9.8", 80)

    def syns() -> Iterator[Frame]:
        template = packet(("0.0.0.0", 0), ends, 1, 0, SYN)
        for n in range(size):
            source = struct.pack(">I", 0x0B000000 + n // 60_000)
            port = struct.pack(">H", 1_024 + n % 60_000)
            yield Frame(first + n, template[:12] + source + template[16:20] + port + template[22:])

    return _with(syns())


def one_byte_each(size: int) -> Iterator[bytes]:
    one = _talk().open().ask(request("/x"), 1)
    whole = response(b'{"a": "' + b"x" * size + b'"}')
    return _with(one.say(SERVER, whole, 1).close().frames)


def backwards(size: int) -> Iterator[bytes]:
    """A response whose segments were recorded last first."""
    one = _talk().open().ask(request("/x"))
    begun = len(one.frames)
    one.answer(response(b'"' + b"x" * (size * 10) + b'"'), 10)
    one.frames[begun:] = one.frames[begun:][::-1]
    return _with(one.close().frames)


def huge_connection(size: int) -> Iterator[bytes]:
    """`size` MiB in one response."""
    one = _talk().open().ask(request("/big"))
    mine = witness()
    yield pcap(mine)
    piece = b"x" * 65_000
    count = size * MIB // len(piece)
    one.send(SERVER, response(b"", fields="Content-Type: a/b\r\n", length=count * len(piece)))
    yield _records(one.frames)
    frame = one.send(SERVER, piece)
    record = bytearray(_records([frame]))
    at = 16 + 14 + 20 + 4  # the sequence number behind record, Ethernet and IP headers
    (seq,) = struct.unpack_from(">I", record, at)
    for n in range(count):
        struct.pack_into(">I", record, at, (seq + n * len(piece)) & 0xFFFFFFFF)
        yield bytes(record)


def jumping_times(size: int) -> Iterator[bytes]:
    pick = random.Random(3)
    frames = []
    for n in range(size):
        one = Conversation(("10.9.9.9", 20_000 + n), ("10.9.9.8", 80), start=START).open()
        one.ask(request("/x")).answer(response(b'{"a": 1}'))
        frames += [f._replace(time=pick.randint(0, 4 * 10**18)) for f in one.close().frames]
    # The witness's clock is left alone: its findings hang on times.
    return _with(frames)


def identical(size: int) -> Iterator[bytes]:
    frame = _talk().send(CLIENT, request("/same"))
    return _with([frame] * size)


def colliding_connections(size: int) -> Iterator[bytes]:
    """Many short connections on the same ports, each with a SYN of its own."""

    def frames() -> Iterator[Frame]:
        first = witness()[0].time
        for n in range(size):
            one = Conversation(("10.9.9.9", 50_000), ("10.9.9.8", 80), isns=(n * 1_000, n * 7_919),
                               start=first + n * 10_000, step=1_000)  # fmt: skip
            yield from one.open().ask(request("/x")).frames

    return _with(frames())


def reset_each_time(size: int) -> Iterator[bytes]:
    """Connection after connection with the very same sequence numbers, each from another port."""

    def frames() -> Iterator[Frame]:
        first = witness()[0].time
        for n in range(size):
            place = (f"10.9.{n // 60_000}.9", 1_024 + n % 60_000)
            one = Conversation(place, ("10.9.9.8", 80), start=first + n * 10_000, step=1_000)
            yield from one.open().ask(request("/same")).frames

    return _with(frames())


def pipelined(size: int) -> Iterator[bytes]:
    one = _talk().open()
    return _with(one.ask(request("/x") * size, 1_400).frames)


def many_targets(size: int) -> Iterator[bytes]:
    one = _talk().open()
    pick = random.Random(4)
    for _ in range(size):
        one.ask(request(f"/{pick.randbytes(4).hex()}/{pick.randbytes(3).hex()}"))
        one.answer(response(b'{"a": 1}'))
    return _with(one.close().frames)


def many_shapes(size: int) -> Iterator[bytes]:
    one = _talk().open()
    for n in range(size):
        one.ask(request("/x")).answer(response(b'{"k%d": {"v%d": [1]}}' % (n, n)))
    return _with(one.close().frames)


def many_strays(size: int) -> Iterator[bytes]:
    """Responses of another endpoint's shape, and as many requests there that get none."""
    red, blue = b'{"r": 1, "e": 2, "d": 3}', b'{"b": "x", "l": [], "u": true}'

    def frames() -> Iterator[Frame]:
        first = witness()[0].time
        for n in range(size):
            at = first + n * 1_000_000
            ends = (f"10.9.{n // 60_000}.9", 1_024 + n % 60_000), ("10.9.9.8", 80)
            one = Conversation(*ends, start=at, step=1_000).open()
            for body in (red, red, blue if n % 2 else red):
                one.ask(request("/red")).answer(response(body))
            ends = (f"10.8.{n // 60_000}.9", 1_024 + n % 60_000), ("10.9.9.8", 80)
            two = Conversation(*ends, start=at, step=1_000).open()
            two.ask(request("/blue")).answer(response(blue)).ask(request("/blue"))
            yield from in_time(one.close().frames, two.frames)

    return _with(frames())


def tiny_chunks(size: int) -> Iterator[bytes]:
    one = _talk().open().ask(request("/x"))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return _with(one.answer(head + b"1;x\r\nx\r\n" * size + b"0\r\n\r\n", 1_400).frames)


def interim(size: int) -> Iterator[bytes]:
    one = _talk().open().ask(request("/x"))
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" * size + response(b"{}")
    return _with(one.answer(whole, 1_400).close().frames)


def lonely_fragments(size: int) -> Iterator[bytes]:
    """Each the first of another packet."""
    frame = _talk().send(CLIENT, bytes(516), fragment=0x2000)

    def frames() -> Iterator[Frame]:
        for n in range(size):
            data = bytearray(frame.packet)
            struct.pack_into(">IH", data, 12, 0x0B000000 + n // 65_536, n % 65_536)
            struct.pack_into(">H", data, 4, n % 65_536)
            yield Frame(frame.time + n, bytes(data))

    return _with(frames())


def many_networks(size: int) -> Iterator[bytes]:
    """One exchange in every VXLAN network."""

    def frames() -> Iterator[Frame]:
        one = _talk().open().ask(request("/x")).answer(response(b'{"a": 1}')).close()
        inner = [linked(frame.packet, ETHERNET) for frame in one.frames]
        for n in range(size):
            for at, data in enumerate(inner):
                head = struct.pack(">BBHHHBBH", 0x45, 0, 36 + len(data), 1, 0, 64, 17, 0)
                head += bytes([10, 0, 0, 1, 10, 0, 0, 2])
                head += struct.pack(">HHHH", 50_000, 4_789, 16 + len(data), 0)
                tunnel = struct.pack(">II", 0x08000000, n << 8)
                yield Frame(one.frames[at].time + n * 1_000, head + tunnel + data)

    return _with(frames())


CASES = (
    Case("lying lengths", "lengths of IP, TCP, records and bodies that cannot be", lying_lengths,
         ("header-invalid",), (50, 5_000)),
    Case("zero-length blocks", "pcapng blocks that say they are 0 bytes long", zero_length_blocks,
         ("record-invalid",), (10, 1_000_000)),
    Case("far ahead", "sequence numbers 1 GiB ahead, and further with every segment", far_ahead,
         (), (2_000, 20_000)),
    Case("endless head", "fields without end in one head", endless_head, ("head-too-long",),
         (20_000, 3_000_000)),
    Case("chunk of 2^64", "a chunk size beyond 64 bits", huge_chunk, ("chunk-invalid",),
         (10_000, 1_000_000)),
    Case("JSON 100,000 deep", "arrays in arrays", deep_json, ("json-invalid",),
         (100_000, 100_000)),
    Case("10^6 keys", "an object with that many keys", many_keys, ("body-too-long",),
         (1_000_000, 1_000_000)),
    Case("60,000 keys", "just below the limit of a body", many_keys, (), (60_000, 60_000)),
    Case("compressed capture", "a gzip file that unpacks to 200 times its size", bomb_capture, (),
         (20, 2_000)),
    Case("compressed body", "a body that unpacks to 1,000 times its size", bomb_body,
         ("body-undecodable",), (20, 1_000)),
    Case("half-open connections", "SYNs alone", half_open, ("connection-evicted",),
         (70_000, 1_000_000)),
    Case("one byte a segment", "a request and a response", one_byte_each, (), (3_000, 300_000)),
    Case("backwards", "a response whose segments come last first", backwards,
         ("reassembly-limit",), (5_000, 100_000)),
    Case("huge connection", "one response, on standard input", huge_connection, (), (50, 10_240)),
    Case("jumping times", "every frame at another time between 1970 and 2096", jumping_times, (),
         (2_000, 20_000)),
    Case("identical packets", "one packet again and again", identical, (), (20_000, 2_000_000)),
    Case("reused ports", "SYN after SYN with other numbers", colliding_connections,
         ("port-reused",), (500, 100_000)),
    Case("equal numbers", "connections that all have the same sequence numbers", reset_each_time,
         (), (2_000, 100_000)),
    Case("pipelined", "requests without end, and no response", pipelined, ("outstanding-limit",),
         (10_000, 300_000)),
    Case("many targets", "each request for another one", many_targets, ("routes-limit",),
         (80_000, 100_000)),
    Case("many shapes", "each response of another one", many_shapes, ("shapes-limit",),
         (20_000, 60_000)),
    Case("many strays", "each response of two might have been for any of the requests left waiting",
         many_strays, (), (2_000, 60_000)),
    Case("tiny chunks", "a body in chunks of one byte", tiny_chunks, (), (10_000, 1_000_000)),
    Case("interim responses", "100 Continue again and again", interim, (), (5_000, 500_000)),
    Case("lonely fragments", "IP fragments, each of another packet", lonely_fragments,
         ("fragments-limit",), (6_000, 300_000)),
    Case("many networks", "one exchange in every VXLAN network", many_networks,
         ("tunnels-limit",), (66_000, 70_000)),
)  # fmt: skip
