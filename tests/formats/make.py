"""Makes the captures of all formats that are not recorded (see `record.py`).

    python -m tests.formats.make

Each is the traffic of plain.pcap, real frames of two connections (IPv4 and IPv6, five exchanges),
put into one more format: the headers around it are Scapy's. Some need more: segments cut or
reordered as mirroring leaves them, fragments, or frames beside it that are nobody's HTTP.
"""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.etherip import EtherIP
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, PrismHeader, RadioTap
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    fragment6,
)
from scapy.layers.ipsec import AH, ESP
from scapy.layers.l2 import (
    ARP,
    GRE,
    GRE_PPTP,
    LLC,
    SNAP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Ether,
)
from scapy.layers.l2tp import L2TP
from scapy.layers.ppi import PPI
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from tests.builder import Pcapng
from tests.golden.rewriting import Record, pcap, records

FOLDER = Path(__file__).parent / "captures"
PORT = 8080
EXCHANGES = 5  # of plain.pcap

ETHERNET, NULL, PPP_LINK, RAW, PPP_HDLC, PPP_ETHER, C_HDLC, FRELAY, LOOP = (
    1, 0, 9, 101, 50, 51, 104, 107, 108,
)  # fmt: skip
COOKED, ARCNET, NFLOG, PKTAP, COOKED2 = 113, 129, 239, 258, 276
WLAN, PRISM, RADIOTAP, AVS, PPI_LINK = 105, 119, 127, 163, 192

# Puts a format around a frame: its bytes from Ethernet on, and whether the client sent it.
Wrap = Callable[[bytes, bool], bytes]


@cache
def plain() -> tuple[Record, ...]:
    """The frames of plain.pcap: Ethernet, IPv4 and IPv6, TCP."""
    link_type, frames = records(FOLDER / "plain.pcap")
    assert link_type == ETHERNET
    return frames


def asks(frame: bytes) -> bool:
    """Whether the client sent this Ethernet frame."""
    at = 14 + (20 if frame[12:14] == b"\x08\x00" else 40) + 2
    return frame[at : at + 2] == struct.pack(">H", PORT)


# --- headers that go around --------------------------------------------------------------------


def ether(packet: Any, kind: int | None = None) -> bytes:
    """An Ethernet frame around a Scapy packet."""
    names: dict[str, Any] = {} if kind is None else {"type": kind}
    return bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", **names) / packet)


def ipv4(client: bool, **fields: Any) -> Any:
    """The outer IPv4 header of a packet of that side."""
    ends = ("192.0.2.1", "192.0.2.2")
    return IP(src=ends[not client], dst=ends[client], ttl=64, **fields)


def ipv6(client: bool, **fields: Any) -> Any:
    """The outer IPv6 header of a packet of that side."""
    ends = ("2001:db8::1", "2001:db8::2")
    return IPv6(src=ends[not client], dst=ends[client], **fields)


def udp(port: int, outer: Callable[..., Any] = ipv4) -> Callable[[bool], Any]:
    """Outer IP and UDP to a port."""
    return lambda client: outer(client) / UDP(sport=50_000, dport=port, chksum=0)


def vxlan(frame: bytes, client: bool, network: int = 42, port: int = 4789) -> bytes:
    """VXLAN over IPv4."""
    return ether(udp(port)(client) / VXLAN(flags=8, vni=network) / Raw(frame))


def geneve(frame: bytes, client: bool, network: int = 7, **fields: Any) -> bytes:
    """GENEVE over IPv4 with two options, as a gateway load balancer has them."""
    options = [
        GeneveOptions(classid=0x0108, type=1, data=b"endpoint"),
        GeneveOptions(classid=0x0108, type=3, data=b"cook"),
    ]
    header = GENEVE(vni=network, proto=0x6558, options=options, **fields)
    return ether(udp(6081)(client) / header / Raw(frame))


def gre(kind: int, outer: Callable[..., Any] = ipv4, **fields: Any) -> Callable[[bool], Any]:
    """Outer IP and GRE around that EtherType."""

    def header(client: bool) -> Any:
        proto = {"proto": 47} if outer is ipv4 else {"nh": 47}
        return outer(client, **proto) / GRE(proto=kind, **fields)

    return header


def kind_of(frame: bytes) -> int:
    """The EtherType of a frame of plain.pcap."""
    return int.from_bytes(frame[12:14], "big")


def packet_of(frame: bytes) -> Any:
    """The IP packet in a frame of plain.pcap."""
    return Raw(frame[14:])


def in_gre(frame: bytes, client: bool, outer: Callable[..., Any] = ipv4, **fields: Any) -> bytes:
    """IP in GRE."""
    return ether(gre(kind_of(frame), outer, **fields)(client) / packet_of(frame))


def in_ip(frame: bytes, client: bool, outer: Callable[..., Any]) -> bytes:
    """IP in IP: 4 or 6 in either."""
    number = 4 if kind_of(frame) == 0x0800 else 41
    return ether(outer(client, **{"proto" if outer is ipv4 else "nh": number}) / packet_of(frame))


def ppp_of(frame: bytes) -> Any:
    """PPP around the IP packet."""
    return PPP(proto=0x0021 if kind_of(frame) == 0x0800 else 0x0057) / packet_of(frame)


def authenticated(frame: bytes, client: bool) -> bytes:
    """The packet with an authentication header before its TCP, the rest of it as it was."""
    if kind_of(frame) == 0x0800:
        packet: Any = IP(frame[14:])
        head: Any = IP(src=packet.src, dst=packet.dst, ttl=packet.ttl, proto=51)
    else:
        packet = IPv6(frame[14:])
        head = IPv6(src=packet.src, dst=packet.dst, nh=51)
    return ether(
        head / AH(nh=6, payloadlen=4, reserved=0, spi=9, seq=1, icv=bytes(12)) / packet[TCP]
    )


def extended(frame: bytes, client: bool) -> bytes:
    """IP options for IPv4, extension headers for IPv6."""
    if kind_of(frame) == 0x0800:
        packet: Any = IP(frame[14:])
        head: Any = IP(
            src=packet.src, dst=packet.dst, ttl=packet.ttl, options=[b"\x94\x04\x00\x00"]
        )
        return ether(head / packet[TCP])
    packet = IPv6(frame[14:])
    head = IPv6(src=packet.src, dst=packet.dst)
    return ether(head / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / packet[TCP])


def nflog(frame: bytes, client: bool, order: str = ">") -> bytes:
    """An NFLOG message of a big-endian machine: prefix, packet header, payload."""
    payload = frame[14:]
    attributes = ((10, b"prefix\0"), (1, bytes(4)), (9, payload))
    data = struct.pack(">BBH", 2 if kind_of(frame) == 0x0800 else 10, 0, 5)
    for number, value in attributes:
        data += struct.pack(f"{order}HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
    return data


def frame_relay(frame: bytes, client: bool) -> bytes:
    """RFC 2427: the NLPID of IP, or SNAP."""
    if kind_of(frame) == 0x0800:
        return b"\x18\x41\x03\xcc" + frame[14:]
    return b"\x18\x41\x03\x00\x80\x00\x00\x00\x86\xdd" + frame[14:]


def pktap(frame: bytes, client: bool) -> bytes:
    """Apple's header, version 1, around Ethernet."""
    head = struct.pack("<III24sIII", 108, 1, ETHERNET, b"en0", 0, 2, 0)
    return head.ljust(108, b"\0") + frame


def labelled(frame: bytes, client: bool) -> bytes:
    """Two MPLS labels around IP."""
    labels = MPLS(label=16, s=0, ttl=64) / MPLS(label=17, s=1, ttl=64)
    return ether(labels / packet_of(frame), 0x8847)


def pseudowire(frame: bytes, client: bool) -> bytes:
    """Ethernet over MPLS with a control word."""
    return ether(MPLS(label=18, s=1, ttl=64) / Raw(bytes(4) + frame), 0x8847)


def gtp(frame: bytes, client: bool, **extension: Any) -> bytes:
    """GTP-U, with or without the extension header of 5G."""
    head = GTP_U_Header(teid=0x1234 if client else 0x9876, gtp_type=255)
    if extension:
        head = GTP_U_Header(teid=0x1234, gtp_type=255, E=1, next_ex=0x85)
        head /= GTPPDUSessionContainer(type=0 if client else 1, QFI=1)
    return ether(udp(2152)(client) / head / packet_of(frame))


def nested(frame: bytes, client: bool, times: int) -> bytes:
    """VXLAN in VXLAN."""
    for network in range(times):
        frame = vxlan(frame, client, network)
    return frame


def wlan(frame: bytes, client: bool, *, quality: bool = True) -> Any:
    """802.11 of a station that sends to its access point, or is sent to, with LLC and SNAP."""
    ends = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    head: Any = Dot11(
        type=2,
        subtype=8 if quality else 0,
        FCfield=1 if client else 2,
        addr1="02:00:00:00:00:03" if client else ends[0],
        addr2=ends[0] if client else "02:00:00:00:00:03",
        addr3=ends[1],
    )
    if quality:
        head /= Dot11QoS(TID=5)
    return head / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=kind_of(frame)) / packet_of(frame)


def wlan_padded(frame: bytes, client: bool) -> bytes:
    """Radiotap with a time, an extended set of fields, and a header padded to 28 bytes."""
    inner = bytes(wlan(frame, client))
    present = 1 << 0 | 1 << 1 | 1 << 31
    head = struct.pack("<BBHII", 0, 0, 25, present, 0) + bytes(4) + bytes(8) + b"\x20"
    return head + inner[:26] + bytes(2) + inner[26:]


def avs(frame: bytes, client: bool) -> bytes:
    """The header of AVS, version 1, around 802.11."""
    return struct.pack(">II", 0x80211001, 64) + bytes(56) + bytes(wlan(frame, client))


def l2tp3(frame: bytes, client: bool, cookie: bytes = b"", sublayer: bytes = bytes(4)) -> bytes:
    """A session of L2TP version 3 (RFC 3931 §4.1.1.1) with an Ethernet pseudowire (RFC 4719)."""
    return struct.pack(">I", 7 + client) + cookie + sublayer + frame


def ayiya(frame: bytes, client: bool) -> bytes:
    """AYIYA as the daemon of SixXS sends it: an IPv6 identity, a SHA-1 signature, IPv6 inside."""
    head = struct.pack(">BBBBI", 4 << 4 | 1, 5 << 4 | 2, 1 << 4 | 1, 41, 1_700_000_000)
    packet = packet_of(frame) if kind_of(frame) == 0x86DD else ipv6(client, nh=4) / packet_of(frame)
    data = head + bytes(16) + bytes(20) + bytes(packet)
    ports = (50_000, 5072) if client else (5072, 50_000)
    return ether(ipv4(client) / UDP(sport=ports[0], dport=ports[1], chksum=0) / Raw(data))


WRAPS: dict[str, tuple[int, Wrap]] = {
    "wlan": (WLAN, lambda f, c: bytes(wlan(f, c, quality=c))),
    "radiotap": (RADIOTAP, lambda f, c: bytes(RadioTap() / wlan(f, c))),
    "radiotap-padded": (RADIOTAP, wlan_padded),
    "prism": (PRISM, lambda f, c: bytes(PrismHeader(len=144) / wlan(f, c))),
    "avs": (AVS, avs),
    "ppi": (PPI_LINK, lambda f, c: bytes(PPI(dlt=WLAN) / wlan(f, c))),
    "gre-wlan": (ETHERNET, lambda f, c: ether(gre(0x8200 if c else 0x8210)(c) / wlan(f, c))),
    "l2tp": (
        ETHERNET,
        lambda f, c: ether(
            udp(1701)(c)
            / L2TP(hdr="length+sequence+offset", tunnel_id=8 + c, session_id=c, offset=2)
            / Raw(bytes(2) + b"\xff\x03")
            / ppp_of(f)
        ),
    ),
    "l2tpv3": (ETHERNET, lambda f, c: ether(ipv4(c, proto=115) / Raw(l2tp3(f, c)))),
    "l2tpv3-cookie": (
        ETHERNET,
        lambda f, c: ether(ipv6(c, nh=115) / Raw(l2tp3(f, c, b"8 octets", b""))),
    ),
    "l2tpv3-udp": (
        ETHERNET,
        lambda f, c: ether(udp(1701)(c) / Raw(b"\0\x03\0\0" + l2tp3(f, c, b"four"))),
    ),
    "ayiya": (ETHERNET, ayiya),
    "tzsp": (
        ETHERNET,
        lambda f, c: ether(udp(37_008)(c) / Raw(b"\1\0\0\1" + b"\x0a\1\x99\0\1" + f)),
    ),
    "vxlan-reserved-bits": (
        ETHERNET,
        lambda f, c: ether(udp(4789)(c) / Raw(b"\x8c\x40\x01\x02\0\0\x2a\xff" + f)),
    ),
    "gre-in-udp": (ETHERNET, lambda f, c: ether(udp(4754)(c) / GRE(proto=0x6558) / Raw(f))),
    "teredo": (
        ETHERNET,
        lambda f, c: ether(
            ipv4(c)
            / UDP(sport=3544 if c else 50_000, dport=50_000 if c else 3544, chksum=0)
            / Raw(
                (b"" if c else bytes(8))
                + bytes(ipv6(c, nh=4) / packet_of(f) if kind_of(f) == 0x0800 else packet_of(f))
            )
        ),
    ),
    "vlan": (
        ETHERNET,
        lambda f, c: f[:12] + b"\x81\x00" + bytes(Dot1Q(vlan=7, type=kind_of(f))) + f[14:],
    ),
    "cooked": (
        COOKED,
        lambda f, c: bytes(CookedLinux(pkttype=4 * c, src=f[6:12], proto=kind_of(f))) + f[14:],
    ),
    "cooked2": (
        COOKED2,
        lambda f, c: bytes(CookedLinuxV2(ifindex=3, src=f[6:12], proto=kind_of(f))) + f[14:],
    ),
    "null": (NULL, lambda f, c: struct.pack("<I", 2 if kind_of(f) == 0x0800 else 30) + f[14:]),
    "loop": (LOOP, lambda f, c: struct.pack(">I", 2 if kind_of(f) == 0x0800 else 24) + f[14:]),
    "raw": (RAW, lambda f, c: f[14:]),
    "llc-snap": (
        ETHERNET,
        lambda f, c: (
            f[:12]
            + struct.pack(">H", len(f) - 6)
            + bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=kind_of(f)))
            + f[14:]
        ),
    ),
    "ppp": (PPP_LINK, lambda f, c: bytes(ppp_of(f))),
    "ppp-hdlc": (PPP_HDLC, lambda f, c: bytes(HDLC() / ppp_of(f))),
    "ppp-ether": (PPP_ETHER, lambda f, c: bytes(PPPoE(sessionid=5) / ppp_of(f))),
    "c-hdlc": (C_HDLC, lambda f, c: struct.pack(">HH", 0x0F00, kind_of(f)) + f[14:]),
    "frame-relay": (FRELAY, frame_relay),
    "nflog-big-endian": (NFLOG, nflog),
    "pktap": (PKTAP, pktap),
    "pppoe": (ETHERNET, lambda f, c: ether(PPPoE(sessionid=5) / ppp_of(f), 0x8864)),
    "mpls": (ETHERNET, labelled),
    "mpls-pseudowire": (ETHERNET, pseudowire),
    "ip-options": (ETHERNET, extended),
    "ip-authentication": (ETHERNET, authenticated),
    "vxlan-other-port": (ETHERNET, lambda f, c: vxlan(f, c, port=9_999)),
    "vxlan-over-ipv6": (
        ETHERNET,
        lambda f, c: ether(udp(4789, ipv6)(c) / VXLAN(flags=8, vni=42) / Raw(f)),
    ),
    "vxlan-gpe": (
        ETHERNET,
        lambda f, c: ether(
            udp(4790)(c)
            / Raw(struct.pack(">BHBI", 0x0C, 0, 1 if kind_of(f) == 0x0800 else 2, 42 << 8))
            / packet_of(f)
        ),
    ),
    "vxlan-in-vxlan": (ETHERNET, lambda f, c: nested(f, c, 3)),
    "geneve": (ETHERNET, geneve),
    "geneve-around-vxlan": (ETHERNET, lambda f, c: geneve(vxlan(f, c), c)),
    "vxlan-around-geneve": (ETHERNET, lambda f, c: vxlan(geneve(f, c), c)),
    "gre": (ETHERNET, in_gre),
    "gre-key-sequence-checksum": (
        ETHERNET,
        lambda f, c: in_gre(
            f, c, key_present=1, key=99, seqnum_present=1, sequence_number=5, chksum_present=1
        ),
    ),
    "gre-over-ipv6": (ETHERNET, lambda f, c: in_gre(f, c, ipv6, key_present=1, key=99)),
    "gre-pptp": (
        ETHERNET,
        lambda f, c: ether(
            ipv4(c, proto=47)
            / GRE_PPTP(call_id=8 + c, acknum_present=1, seqnum_present=1)
            / ppp_of(f)
        ),
    ),
    "nvgre": (
        ETHERNET,
        lambda f, c: ether(gre(0x6558, key_present=1, key=42 << 8 | c)(c) / Raw(f)),
    ),
    "wccp": (
        ETHERNET,
        lambda f, c: (
            ether(gre(0x883E)(c) / Raw(bytes(4)) / packet_of(f)) if kind_of(f) == 0x0800 else f
        ),
    ),
    "erspan1": (ETHERNET, lambda f, c: ether(gre(0x88BE)(c) / ERSPAN_I() / Raw(f))),
    "erspan2": (
        ETHERNET,
        lambda f, c: ether(
            gre(0x88BE, seqnum_present=1, sequence_number=1)(c)
            / ERSPAN_II(session_id=3, vlan=7)
            / Raw(f)
        ),
    ),
    "erspan3": (
        ETHERNET,
        lambda f, c: ether(
            gre(0x22EB, seqnum_present=1, sequence_number=1)(c)
            / ERSPAN_III(session_id=3, vlan=7)
            / Raw(f)
        ),
    ),
    "erspan3-subheader": (
        ETHERNET,
        lambda f, c: ether(
            gre(0x22EB, seqnum_present=1, sequence_number=1)(c)
            / ERSPAN_III(session_id=3, o=1)
            / ERSPAN_PlatformSpecific()
            / Raw(f)
        ),
    ),
    "ip-in-ipv4": (ETHERNET, lambda f, c: in_ip(f, c, ipv4)),
    "ip-in-ipv6": (ETHERNET, lambda f, c: in_ip(f, c, ipv6)),
    "etherip": (ETHERNET, lambda f, c: ether(ipv4(c, proto=97) / EtherIP() / Raw(f))),
    "gtp": (ETHERNET, gtp),
    "gtp-extension": (ETHERNET, lambda f, c: gtp(f, c, extension=True)),
    "too-deep": (ETHERNET, lambda f, c: nested(f, c, 12) if kind_of(f) == 0x86DD else f),
}


# --- captures that take more than a header -----------------------------------------------------


def qinq() -> list[Record]:
    """Two tags."""

    def tagged(f: bytes) -> bytes:
        tags = bytes(Dot1AD(vlan=3, type=0x8100)) + bytes(Dot1Q(vlan=7, type=kind_of(f)))
        return f[:12] + b"\x88\xa8" + tags + f[14:]

    return [r._replace(data=tagged(r.data), wire=r.wire + 8) for r in plain()]


def mirrored() -> list[Record]:
    """Traffic mirroring: inner packets cut to 256 bytes, and some of them late."""
    found = []
    for number, (time, data, _) in enumerate(plain()):
        frame = vxlan(data[:256], asks(data), port=4789)
        found.append(Record(time + (3_000_000 if number % 7 == 3 else 0), frame, len(frame)))
    return sorted(found, key=lambda r: r.time)


def two_networks() -> list[Record]:
    """The same addresses and ports in two VXLAN networks, with other sequence numbers in one."""
    found = []
    for time, data, _ in plain():
        other = bytearray(data)
        at = 14 + (20 if kind_of(data) == 0x0800 else 40)
        client = asks(data)
        for place, shift in (
            (at + 4, 1_000_000 * (1 + client)),
            (at + 8, 1_000_000 * (2 - client)),
        ):
            number = int.from_bytes(other[place : place + 4], "big") + shift
            other[place : place + 4] = (number & 0xFFFFFFFF).to_bytes(4, "big")
        for network, frame in ((1, data), (2, bytes(other))):
            whole = vxlan(frame, client, network)
            found.append(Record(time + network, whole, len(whole)))
    return found


def pieces(frame: bytes, size: int) -> list[bytes]:
    """The frame's IP packet in fragments of at most `size` bytes."""
    if kind_of(frame) == 0x0800:
        packet: Any = IP(frame[14:])
        packet.flags, packet.id = 0, packet.id or 1
        parts: Iterable[Any] = fragment(packet, size)  # type: ignore[no-untyped-call]
        return [frame[:14] + bytes(part) for part in parts]
    whole: Any = IPv6(frame[14:])
    packet = IPv6(src=whole.src, dst=whole.dst) / IPv6ExtHdrFragment(id=zlib.crc32(frame))
    parts = fragment6(packet / whole[TCP], size)  # type: ignore[no-untyped-call]
    return [frame[:14] + bytes(part) for part in parts]


def in_pieces(
    size: int, arrange: Callable[[int, list[bytes]], Iterable[bytes]]
) -> Iterable[Record]:
    """The plain frames in fragments; `arrange` has the last word, by the number of the packet."""
    for number, (time, data, _) in enumerate(plain()):
        for part in arrange(number, pieces(data, size)):
            yield Record(time, part, len(part))


def fragments() -> list[Record]:
    """Fragments of both families."""
    return list(in_pieces(600, lambda _, parts: parts))


def fragments_shuffled() -> list[Record]:
    """Fragments in the opposite order, some of them twice."""
    return list(in_pieces(600, lambda n, parts: parts[::-1] if n % 2 else parts[:1] + parts))


def fragments_incomplete() -> list[Record]:
    """Fragments without the last of one packet."""
    return list(in_pieces(600, lambda n, parts: parts[:-1] if n == _LONG else parts))


def fragments_overlapping() -> list[Record]:
    """A fragment of one packet comes twice, with other bytes the second time."""

    def arrange(number: int, parts: list[bytes]) -> list[bytes]:
        if number != _LONG:
            return parts
        return [parts[0], parts[0][:-8] + b"!" * 8, *parts[1:]]

    return list(in_pieces(600, arrange))


_LONG = 10  # the number of the packet with the body of the POST


def unread() -> list[Record]:
    """What is not TCP, and what is broken, beside the plain traffic."""
    inner = plain()[0].data
    strange = [
        ether(ARP(psrc="192.0.2.1", pdst="192.0.2.2")),
        ether(ipv4(True) / ICMP() / Raw(inner[14:60])),
        ether(ipv6(True) / ICMPv6EchoRequest()),
        ether(ipv4(True) / UDP(dport=53) / Raw(b"a question")),
        ether(ipv4(True) / UDP(dport=4789) / Raw(b"no VXLAN")),
        ether(ipv4(True) / ESP(spi=1, seq=1, data=bytes(40))),
        ether(ipv4(True) / SCTP()),
        ether(Raw(bytes(60)), 0x88CC),
        inner[:30],
        inner[:14] + b"\x43" + inner[15:],
        ether(ipv4(True, flags="MF", id=77, proto=6) / Raw(inner[34:66])),
        ether(ipv4(True, proto=17) / Raw(bytes(4))),
        ether(udp(1701)(True) / Raw(b"\xc8\x02\0\x0c\0\1\0\0\0\0\0\0")),
        ether(ipv4(True, proto=115) / Raw(bytes(4) + b"\xc8\x03\0\x0c")),
    ]
    found = [Record(plain()[0].time + n, one, len(one)) for n, one in enumerate(strange)]
    found[8] = found[8]._replace(wire=len(inner))
    return [*found, *plain()]


def commented() -> bytes:
    """pcapng with comments on the section, its interfaces and packets, as container tools write."""
    file = Pcapng(options={1: b"taken for incident 7"})
    file.interface(options={2: b"veth1a2b", 3: b"stable-api-1", 9: b"\x09", 1: b"container stable"})
    file.interface(options={2: b"eth0", 9: b"\x09"})
    for number, (time, data, wire) in enumerate(plain()):
        comments: tuple[bytes, ...] = (b"PID: 811\nCmd: node\nContainer: stable-api-1",)
        if number % 5 == 4:
            comments = ()
        if number == 3:
            comments = (*comments, b"\x1b[31mred\x07 =1+1 <b>&\xff")
        file.enhanced(data, interface=0, ticks=time, wire=wire, comments=comments)
    return file.data


def wlan_unread() -> list[Record]:
    """Beside plain 802.11: management, no data, encrypted, in parts, damaged, several in one."""
    whole = bytes(wlan(plain()[0].data, True))
    encrypted = Dot11(type=2, FCfield=0x41) / Raw(b"\0\0\0\x20\0\0\0\0" + b"?" * 40)
    subframe = bytes(12) + struct.pack(">H", len(whole) - 26) + whole[26:]
    several = whole[:24] + b"\x80\0" + subframe + bytes(-len(subframe) % 4) + subframe
    strange = [
        RadioTap() / Dot11(type=0, subtype=8) / Raw(bytes(40)),
        RadioTap() / Dot11(type=1, subtype=13),
        RadioTap() / Dot11(type=2, subtype=12) / Raw(bytes(8)),
        RadioTap() / encrypted,
        RadioTap() / Dot11(type=2, FCfield=0x05) / Raw(whole[26:]),
        RadioTap(present="Flags", Flags="badFCS") / Raw(whole),
        RadioTap() / Raw(several),
    ]
    found = [bytes(one) for one in strange]
    # What was decrypted may keep its mark, and what stood between header and data.
    found.append(bytes(RadioTap()) + whole[:1] + bytes([whole[1] | 0x40]) + whole[2:])
    found.append(found[-1][: -len(whole) + 26] + b"\0\0\0\x20\0\0\0\0" + whole[26:])
    found.append(bytes(RadioTap()) + whole[:24] + b"\x80\0" + subframe)
    times = plain()[0].time
    return [
        *(Record(times + n, one, len(one)) for n, one in enumerate(found)),
        *(
            Record(r.time, d := bytes(RadioTap() / wlan(r.data, asks(r.data))), len(d))
            for r in plain()
        ),
    ]


CAPTURES: dict[str, Callable[[], list[Record]]] = {
    "qinq": qinq,
    "vxlan-mirrored": mirrored,
    "vxlan-two-networks": two_networks,
    "fragments": fragments,
    "fragments-shuffled": fragments_shuffled,
    "fragments-incomplete": fragments_incomplete,
    "fragments-overlapping": fragments_overlapping,
    "unread": unread,
    "wlan-unread": wlan_unread,
}


def made() -> Iterator[tuple[str, bytes]]:
    """All captures: names and bytes."""
    for name, (link_type, wrap) in WRAPS.items():
        frames = []
        for time, data, _ in plain():
            frame = wrap(data, asks(data))
            frames.append(Record(time, frame, len(frame)))
        order = ">" if name.endswith("big-endian") else "<"
        yield f"{name}.pcap", pcap(link_type, frames, order)
    for name, make in CAPTURES.items():
        yield f"{name}.pcap", pcap(RADIOTAP if name == "wlan-unread" else ETHERNET, make())
    yield "comments.pcapng", commented()


def main() -> None:
    """Write them beside the recorded ones, compressed."""
    for name, data in made():
        (FOLDER / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    main()
