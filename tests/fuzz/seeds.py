"""Seeds for the fuzzer that need no keeping: they are made from the builder and the recordings."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from itertools import islice

import dpkt
import zstandard

from analyzer.packets.headers import COOKED, COOKED2, ETHERNET, NULL, RAW
from tests.builder import Conversation, linked, packet, pcap, pcapng
from tests.formats.make import FOLDER as FORMATS
from tests.fuzz.targets import _LINKS, MONITORS, PIECES

V4 = ("192.0.2.1", 40_000), ("198.51.100.7", 8080)
V6 = ("2001:db8::1", 40_000), ("2001:db8::2:3", 8080)
JSON = (
    b'{"a": 1, "b": [{"c": null}, {"c": "x", "d": []}]}\n{"a": 1, "b": []}\n[1, 2.5, true]',
    b'{"1": 2, "2": 3}\n{"a\\"b": 1}\n' + b"[" * 40 + b"]" * 40,
    b'[{"a": 1}, {"b": 2}, 3, "x", []]\n{}\n[]\n""',
)


def seeds(target: str) -> list[bytes]:
    """Inputs that take a target to places worth starting from."""
    return _SEEDS[target]()


def _containers() -> list[bytes]:
    frames = Conversation().open().ask(PIECES[0]).answer(PIECES[1]).close().frames[:4]
    plain, ng = pcap(frames), pcapng(frames)
    packed: list[Callable[[bytes], bytes]] = [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        zstandard.compress,
    ]
    return [
        plain,
        ng,
        pcap(frames, order=">", nanoseconds=True),
        pcapng(frames, order=">"),
        *(pack(plain) for pack in packed),
        gzip.compress(ng)[:-9],
    ]


def _packets() -> list[bytes]:
    whole = [
        packet(*V4, 1, 2, 24, b"GET / HTTP/1.1\r\n\r\n"),
        packet(*V6, 1, 2, 24, b"data"),
        packet(*V6, 1, payload=b"y", extensions=[(0, bytes(7)), (43, bytes(7)), (60, bytes(7))]),
        packet(*V4, 1, payload=b"tso", length_zero=True),
    ]
    found = []
    for one in whole:
        for link in (ETHERNET, COOKED, COOKED2, NULL, RAW):
            frame = linked(one, link, vlans=(0x8100,) if link == ETHERNET else ())
            found.append(bytes([_LINKS.index(link), 0, len(frame)]) + frame)
    return [*found, b"".join(found[:8])]


def _monitors() -> list[bytes]:
    """The first frames of the formats' captures that are of these link types."""
    found = []
    for name in (
        "wlan", "radiotap", "radiotap-padded", "wlan-unread", "prism", "avs", "ppi", "gre-wlan",
        "l2tp", "l2tpv3", "l2tpv3-cookie", "l2tpv3-udp", "ayiya", "tzsp",
    ):  # fmt: skip
        with gzip.open(FORMATS / f"{name}.pcap.gz") as file:
            reader = dpkt.pcap.Reader(file)
            link = MONITORS.index(reader.datalink())
            frames = [frame[:255] for _, frame in islice(reader, 10)]
        found += [bytes([link, 0, len(frame)]) + frame for frame in frames]
    return found


def _before() -> list[bytes]:
    """PROXY headers and SOCKS handshakes."""
    asked = (
        (b"PROXY TCP4 192.0.2.7 198.51.100.9 51234 443\r\n", b""),
        (b"PROXY UNKNOWN\r\n", b""),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), b""),
        (b"\4\1\0\x50\0\0\0\1\0host\0", b"\0\x5a" + bytes(6)),
        (b"\5\2\0\2\1\4user\6secret\5\1\0\3\4host\0\x50", b"\5\2\1\0\5\0\0\1" + bytes(6)),
        (b"\5\1\0\5\1\0\1" + bytes(6), b"\5\0\5\0\0\4" + bytes(18)),
    )
    return [bytes([len(client)]) + client + server for client, server in asked]


def _http() -> list[bytes]:
    more = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nabcde\r\n0\r\nT: 1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"\r\n\r\nPOST /x HTTP/1.0\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    )
    pieces = (*PIECES, *more, PIECES[0] * 3, PIECES[1] + PIECES[4])
    return [bytes([kind, cut]) + piece for piece in pieces for kind in (0, 1, 2) for cut in (0, 6)]


def _exchanges() -> list[bytes]:
    def say(side: int, piece: bytes) -> bytes:
        return bytes([side, len(piece)]) + piece

    first = say(0, PIECES[0]) + say(1, PIECES[1])
    return [b"\0" + first, b"\0" + first * 2 + bytes([12, 13]), b"\1" + say(1, PIECES[1]) + first]


def _fields() -> list[bytes]:
    return [
        b"Host: a\r\nContent-Length: 3\r\n\r\n",
        b"transfer-encoding: gzip, chunked\r\nContent-Type: text/json; charset=x\r\n",
        b"Content-Length: 3,\r\n 3\r\nExpect: 100-continue\nUpgrade: h2c\r\n\r\n",
    ]


def _bodies() -> list[bytes]:
    return [
        b"\0" + gzip.compress(b"abc" * 9),
        b"\1" + zlib.compress(b"abc"),
        b"\3" + zstandard.compress(b"x" * 50),
        b"\2\x0b\x02\x80abc\x03",
    ]


def _streams() -> list[bytes]:
    """SYN, SYN-ACK, ACK, request, response, FINs; then the same with something out of order."""
    hello = bytes([0x10, 0, 0x19, 0, 0x00, 0])
    talk = bytes([0x08, 0x08, 0x09, 0x09])
    bye = bytes([0x20, 0, 0x21, 0, 0x00, 0])
    late = bytes([0x08, 0x88, 4, 0x09, 0x89, 3])
    return [
        hello + talk + bye,
        hello + talk * 4 + late + bye,
        hello + bytes([0x08, 0x18, 20, 0x09, 0x29, 5]) + talk + bye,
        talk + hello + talk,
        hello + bytes([0x08, 0x0A, 0x09, 0x0C, 0x29, 0]),
    ]


def _reports() -> list[bytes]:
    words = (b"=1+1|x\x1b[31m", b"h[red]\x9b", b"text/html\x07", b"@k\xe2\x80\xae[/]")
    return [b"".join(bytes([len(w)]) + w for w in words) + b"GET     " + bytes([n]) for n in (0, 1)]


_SEEDS = {
    "containers": _containers,
    "packets": _packets,
    "monitors": _monitors,
    "before": _before,
    "http": _http,
    "fields": _fields,
    "exchanges": _exchanges,
    "shapes": lambda: list(JSON),
    "bodies": _bodies,
    "streams": _streams,
    "reports": _reports,
}
