"""Conversations in many disguises: cut, mixed up, lost, repeated, wrapped and packed."""

import random
from collections.abc import Callable
from typing import Any

from tests.builder import (
    ACK,
    CLIENT,
    COOKED,
    COOKED2,
    ETHERNET,
    IPV4_ONLY,
    LOOP,
    NULL,
    PSH,
    SECOND,
    SERVER,
    START,
    Conversation,
    Frame,
    as_json,
    linked,
    pcap,
    pcapng,
    request,
    response,
)
from tests.formats.make import WRAPS, pieces
from tests.golden import rewriting as records

Conversing = Callable[[int], list[Frame]]  # by a seed; each has a client port of its own
Disguise = Callable[..., bytes]  # by seeds

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'6\r\n{"a": \r\n3\r\n[]}\r\n0\r\n\r\n'
)


def messages(seed: int) -> list[tuple[bytes, bytes]]:
    """Requests and their responses."""
    pick = random.Random(seed)
    found = []
    for n in range(pick.randint(2, 6)):
        body = b"q" * pick.choice([0, 0, 30, 3_000])
        asked = request(f"/items/{n}", "POST" if body else "GET", body=body)
        said = pick.choice(
            [
                response(as_json({"id": n, "name": "x" * pick.randint(0, 4_000)})),
                response(b"", 204, fields=""),
                CHUNKED,
                response(b"<p>no</p>", 404, fields="Content-Type: text/html\r\n"),
            ]
        )
        found.append((asked, said))
    return found


def spoken(seed: int, size: int, isns: tuple[int, int], server: str = "10.0.0.2") -> Conversation:
    """The conversation, in segments of `size` bytes at most."""
    client = "10.0.0.1" if "." in server else "2001:db8::9"
    ends = (client, 40_000 + seed), (server, 8080)
    one = Conversation(*ends, isns=isns, start=START + seed * SECOND, step=50_000).open()
    for asked, said in messages(seed):
        one.ask(asked, size)
        one.answer(said, size)
    return one.close()


def plain(seed: int) -> list[Frame]:
    return spoken(seed, 1_460, (1_000, 500_000)).frames


def segmented(seed: int) -> list[Frame]:
    return spoken(seed, random.Random(seed).randint(1, 40), (1_000, 500_000)).frames


def wrapped(seed: int) -> list[Frame]:
    return spoken(seed, 300, (2**32 - 40, 2**32 - 700)).frames


def reordered(seed: int) -> list[Frame]:
    """Neighbours that carry data of one side change places."""
    pick = random.Random(seed)
    frames = spoken(seed, 200, (1_000, 500_000)).frames
    for at in range(len(frames) - 1):
        one, two = frames[at], frames[at + 1]
        both = one.packet[12:16] == two.packet[12:16] and min(map(len, (one[1], two[1]))) > 40
        if both and pick.random() < 0.3:
            frames[at], frames[at + 1] = one._replace(packet=two[1]), two._replace(packet=one[1])
    return frames


def repeated(seed: int) -> list[Frame]:
    """Data segments sent again a little later."""
    pick = random.Random(seed)
    found: list[Frame] = []
    for frame in spoken(seed, 300, (1_000, 500_000)).frames:
        found.append(frame)
        if len(frame.packet) > 40 and pick.random() < 0.3:
            found.append(frame._replace(time=frame.time + 1_000))
    return found


def overlapped(seed: int) -> list[Frame]:
    """Segments that begin before the last one's end."""
    pick = random.Random(seed)
    client = "10.0.0.1", 40_000 + seed
    one = Conversation(client, start=START + seed * SECOND, step=50_000).open()
    for pair in messages(seed):
        for side, whole in zip((CLIENT, SERVER), pair, strict=True):
            begun, at = one.next[side], 0
            while at < len(whole):
                back = pick.randint(0, min(at, 20))
                end = min(len(whole), at + pick.randint(1, 300))
                one.send(side, whole[at - back : end], ACK | PSH, seq=begun + at - back)
                one.next[side] = begun + end
                at = end
            one.send(1 - side)
    return one.close().frames


def lossy(seed: int) -> list[Frame]:
    """A few frames that the capture missed."""
    pick = random.Random(seed)
    return [f for f in spoken(seed, 300, (1_000, 500_000)).frames if pick.random() > 0.04]


def six(seed: int) -> list[Frame]:
    return spoken(seed, 700, (1_000, 500_000), server="2001:db8::2").frames


def in_large_segments(seed: int) -> list[Frame]:
    return spoken(seed, 900, (1_000, 500_000)).frames


def each(made: Conversing, *seeds: int) -> list[Frame]:
    """The conversations of the seeds, one after the other."""
    return [frame for seed in seeds for frame in made(seed)]


def in_pcap(made: Conversing, **how: Any) -> Disguise:
    """The conversations as a classic pcap file."""
    return lambda *seeds: pcap(each(made, *seeds), **how)


def tunnelled(name: str) -> Disguise:
    """Conversations in a tunnel: cut small, mixed up, with losses or repeated, by the seed."""

    def made(*seeds: int) -> bytes:
        link_type, wrap = WRAPS[name]
        found = []
        for seed in seeds:
            frames = (segmented, reordered, lossy, repeated)[seed % 4](seed)
            first = frames[0].packet[12:16]
            for time, data, *_ in frames:
                whole = wrap(linked(data, ETHERNET), data[12:16] == first)
                found.append(records.Record(time, whole, len(whole)))
        return records.pcap(link_type, found)

    return made


def fragmented(*seeds: int) -> bytes:
    """Packets in IP fragments, every other one's last first."""
    found = []
    for number, frame in enumerate(each(in_large_segments, *seeds)):
        parts = pieces(linked(frame.packet, ETHERNET), 200)
        for part in parts[::-1] if number % 2 else parts:
            found.append(records.Record(frame.time, part, len(part)))
    return records.pcap(ETHERNET, found)


TUNNELS = (
    "vxlan-over-ipv6", "vxlan-in-vxlan", "geneve-around-vxlan", "gre-key-sequence-checksum",
    "erspan2", "erspan3", "ip-in-ipv4", "mpls", "pppoe",
)  # fmt: skip
VARIANTS: dict[str, Disguise] = {
    **{
        made.__name__: in_pcap(made)
        for made in (
            plain, segmented, wrapped, reordered, repeated, overlapped, lossy, six,
        )
    },
    "pcapng": lambda *seeds: pcapng(each(plain, *seeds)),
    "big-endian": in_pcap(segmented, order=">", nanoseconds=True),
    "vlan": in_pcap(plain, vlans=(0x88A8, 0x8100)),
    "cooked": in_pcap(reordered, link_type=COOKED),
    "cooked2": in_pcap(repeated, link_type=COOKED2),
    "null": in_pcap(plain, link_type=NULL),
    "loop": in_pcap(six, link_type=LOOP),
    "raw": in_pcap(wrapped, link_type=IPV4_ONLY),
    **{f"in {name}": tunnelled(name) for name in TUNNELS},
    "fragmented": fragmented,
    "snaplen": in_pcap(plain, snaplen=400),
}  # fmt: skip
