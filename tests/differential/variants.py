"""One conversation in many disguises: cut, mixed up, lost, repeated, wrapped and packed."""

import random
from collections.abc import Callable

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
    SERVER,
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
    one = Conversation((client, 40_000), (server, 8080), isns=isns, step=50_000).open()
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
    one = Conversation(step=50_000).open()
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


def tunnelled(name: str) -> Callable[[int], bytes]:
    """A conversation in a tunnel: cut small, mixed up, with losses or repeated, by the seed."""

    def made(seed: int) -> bytes:
        link_type, wrap = WRAPS[name]
        frames = (segmented, reordered, lossy, repeated)[seed % 4](seed)
        first = frames[0].packet[12:16]
        return records.pcap(
            link_type,
            [
                records.Record(time, whole := wrap(inner, data[12:16] == first), len(whole))
                for time, data, *_ in frames
                for inner in [linked(data, ETHERNET)]
            ],
        )

    return made


def fragmented(seed: int) -> bytes:
    """Packets in IP fragments, every other one's last first."""
    found = []
    for number, frame in enumerate(spoken(seed, 900, (1_000, 500_000)).frames):
        parts = pieces(linked(frame.packet, ETHERNET), 200)
        for part in parts[::-1] if number % 2 else parts:
            found.append(records.Record(frame.time, part, len(part)))
    return records.pcap(ETHERNET, found)


TUNNELS = (
    "vxlan-over-ipv6", "vxlan-in-vxlan", "geneve-around-vxlan", "gre-key-sequence-checksum",
    "erspan2", "erspan3", "ip-in-ipv4", "mpls", "pppoe",
)  # fmt: skip
Disguise = Callable[[int], bytes]

VARIANTS: dict[str, Disguise] = {
    **{
        made.__name__: (lambda seed, made=made: pcap(made(seed)))  # type: ignore[misc]
        for made in (
            plain, segmented, wrapped, reordered, repeated, overlapped, lossy, six,
        )
    },
    "pcapng": lambda seed: pcapng(plain(seed)),
    "big-endian": lambda seed: pcap(segmented(seed), order=">", nanoseconds=True),
    "vlan": lambda seed: pcap(plain(seed), vlans=(0x88A8, 0x8100)),
    "cooked": lambda seed: pcap(reordered(seed), link_type=COOKED),
    "cooked2": lambda seed: pcap(repeated(seed), link_type=COOKED2),
    "null": lambda seed: pcap(plain(seed), link_type=NULL),
    "loop": lambda seed: pcap(six(seed), link_type=LOOP),
    "raw": lambda seed: pcap(wrapped(seed), link_type=IPV4_ONLY),
    **{f"in {name}": tunnelled(name) for name in TUNNELS},
    "fragmented": fragmented,
    "snaplen": lambda seed: pcap(plain(seed), snaplen=400),
}  # fmt: skip
