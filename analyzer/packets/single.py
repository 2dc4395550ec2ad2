"""The one-frame decoder: what the block decoder declines, and the oracle beside it.

Law: given one frame, it returns one segment, one IP fragment, or the frame's fate. It follows the
same chain of headers as `block.py`, one frame at a time and by other means: dpkt for IP and TCP
headers, with lengths checked here, because dpkt trusts some of them.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import dpkt

from analyzer.packets import headers, wireless
from analyzer.packets.fragments import LONGEST, Fragment, Whole
from analyzer.packets.headers import FATES, FIRST_FATE, MAPPED, MOST_HEADERS, NEED, Kind
from analyzer.packets.scopes import FULL, Scopes

_MOST_ATTRIBUTES = 64  # of one NFLOG packet
_NFLOG_PAYLOAD = 9


class Segment(NamedTuple):
    """One TCP segment; the fields are those of `segments.Segments`, offsets in the frame."""

    scope: int
    source_high: int
    source_low: int
    target_high: int
    target_low: int
    source_port: int
    target_port: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: int
    captured: int
    wire: int


@dataclass(slots=True)
class _Chain:
    """One frame on its way; the fields are those of the block decoder's chains."""

    frame: bytes
    at: int
    stop: int
    end: int
    scopes: Scopes
    scope: int = 0
    network: int = 0
    headers: int = 0
    fragment: Fragment | None = None

    def u8(self, at: int) -> int:
        return self.frame[at]

    def u16(self, at: int) -> int:
        return int(struct.unpack_from(">H", self.frame, at)[0])

    def u32(self, at: int) -> int:
        return int(struct.unpack_from(">I", self.frame, at)[0])


def decode(frame: bytes, wire: int, link_type: int, scopes: Scopes) -> Segment | Fragment | str:
    """What is in `frame` (its captured bytes; `wire` bytes on the wire): a segment or a fate."""
    kind = headers.LINKS.get(link_type, Kind.LINK_UNKNOWN)
    return _follow(_Chain(frame, 0, len(frame), wire, scopes), kind)


def decode_whole(packet: Whole, scopes: Scopes) -> tuple[bytes, Segment | Fragment | str]:
    """What is in a packet put together of its fragments, and its bytes, where offsets count."""
    header = bytearray(packet.header)
    if header[0] >> 4 == 4:
        struct.pack_into(">H", header, 2, 20 + packet.wire)
    else:
        struct.pack_into(">H", header, 4, packet.wire)
    data = bytes(header) + packet.data
    chain = _Chain(data, 0, len(data), len(packet.header) + packet.wire, scopes)
    chain.scope, chain.headers = packet.scope, packet.headers
    return data, _follow(chain, Kind.IPV4 if data[0] >> 4 == 4 else Kind.IPV6)


def _follow(chain: _Chain, kind: int) -> Segment | Fragment | str:
    """Follow the headers to the end."""
    try:
        while kind < FIRST_FATE:
            if chain.headers == MOST_HEADERS:
                return FATES[Kind.TOO_DEEP]
            chain.headers += 1
            end = chain.at + NEED[kind]
            if end > chain.stop:
                # A packet that ends before its own TCP header does was never whole.
                wrong = kind == Kind.TCP and end > chain.end
                return FATES[Kind.INVALID if wrong else Kind.CUT]
            if kind == Kind.TCP:
                return _tcp(chain)
            kind = _STEPS[kind](chain)
            if kind == Kind.DECLINED:
                assert chain.fragment is not None
                return chain.fragment
    except (IndexError, struct.error, dpkt.NeedData):
        return FATES[Kind.CUT]
    except dpkt.UnpackError:
        return FATES[Kind.INVALID]
    return FATES[kind]


# --- a step for each kind: moves the chain behind its header, returns what follows ----------------


def _type(number: int) -> int:
    """What follows a type field that may be a length."""
    return int(headers.TYPES[number])


def _typed(number: int) -> int:
    """What follows a type field that cannot be a length."""
    return Kind.NOT_IP if number < headers.SHORTEST_TYPE else _type(number)


def _version(first: int) -> int:
    return {4: Kind.IPV4, 6: Kind.IPV6}.get(first >> 4, Kind.NOT_IP)


def _scoped(chain: _Chain, name: str, value: int, following: int) -> int:
    chain.scope = chain.scopes.number(chain.scope, name, value)
    return Kind.SCOPES_FULL if chain.scope == FULL else following


def _ethernet(chain: _Chain) -> int:
    chain.at += 14
    return _type(chain.u16(chain.at - 2))


def _cooked(chain: _Chain) -> int:
    chain.at += 16
    return _type(chain.u16(chain.at - 2))


def _cooked2(chain: _Chain) -> int:
    following, index = _type(chain.u16(chain.at)), chain.u32(chain.at + 4)
    chain.at += 20
    return _scoped(chain, headers.INTERFACE, index, following)


def _loopback(chain: _Chain) -> int:
    number = min(chain.u32(chain.at), struct.unpack_from("<I", chain.frame, chain.at)[0])
    chain.at += 4
    return headers.LOOPBACK_FAMILIES.get(number, Kind.NOT_IP)


def _raw(chain: _Chain) -> int:
    return _version(chain.u8(chain.at))


def _hdlc(chain: _Chain) -> int:
    chain.at += 4
    return _typed(chain.u16(chain.at - 2))


def _ppp(chain: _Chain) -> int:
    if chain.u16(chain.at) == 0xFF03:
        chain.at += 2
    number = chain.u8(chain.at)
    if number & 1:  # the protocol field is compressed (RFC 1661 §6.5)
        chain.at += 1
    else:
        number = chain.u16(chain.at)
        chain.at += 2
    return headers.PPP_PROTOCOLS.get(number, Kind.NOT_IP)


def _ppp_serial(chain: _Chain) -> int:
    return Kind.HDLC if chain.u16(chain.at) in (0x0F00, 0x8F00) else Kind.PPP


def _pppoe(chain: _Chain) -> int:
    session = chain.u16(chain.at) == 0x1100
    chain.at += 6
    return Kind.PPP if session else Kind.NOT_IP


def _vlan(chain: _Chain) -> int:
    chain.at += 4
    return _type(chain.u16(chain.at - 2))


def _llc(chain: _Chain) -> int:
    start = chain.frame[chain.at : chain.at + 3]
    if start == b"\x06\x06\x03":
        chain.at += 3
        return Kind.IPV4
    chain.at += 8
    return _typed(chain.u16(chain.at - 2)) if start == b"\xaa\xaa\x03" else Kind.NOT_IP


def _mpls(chain: _Chain) -> int:
    chain.at += 4
    return Kind.LABELLED if chain.u8(chain.at - 2) & 1 else Kind.MPLS


def _labelled(chain: _Chain) -> int:
    first = chain.u8(chain.at)
    following = _version(first)
    if following == Kind.NOT_IP:
        if first >> 4 == 0 and _holds_ethernet(chain, chain.at + 4):
            chain.at += 4
            return Kind.ETHERNET
        if _holds_ethernet(chain, chain.at):
            return Kind.ETHERNET
    return following


def _holds_ethernet(chain: _Chain, at: int) -> bool:
    return at + 14 <= chain.stop and _typed(chain.u16(at + 12)) != Kind.NOT_IP


def _ipv4(chain: _Chain) -> int:
    frame, at = chain.frame, chain.at
    size = (frame[at] & 15) * 4
    total = chain.u16(at + 2) or chain.end - at
    if frame[at] >> 4 != 4 or size < 20 or total < size:
        return Kind.INVALID
    # Only the fixed header: dpkt would decode the payload by lengths we have yet to check.
    header = dpkt.ip.IP(bytes([0x45]) + frame[at + 1 : at + 9] + b"\xff" + frame[at + 10 : at + 20])
    number, flags = frame[at + 9], chain.u16(at + 6)
    following = int(headers.PROTOCOLS[number])
    chain.network = at
    chain.end = at + total
    chain.stop = min(chain.stop, chain.end)
    chain.at = at + size
    if flags & 0x3FFF and following < FIRST_FATE:
        key = (header.src, header.dst, number, header.id)
        plain = bytes([0x45]) + frame[at + 1 : at + 6] + bytes(2) + frame[at + 8 : at + 20]
        return _part(chain, key, plain, (flags & 0x1FFF) * 8, last=not flags & 0x2000)
    return following


def _ipv6(chain: _Chain) -> int:
    at = chain.at
    if chain.u8(at) >> 4 != 6:
        return Kind.INVALID
    length = chain.u16(at + 4) or chain.end - at - 40
    chain.network = at
    chain.at = at + 40
    chain.end = chain.at + length
    chain.stop = min(chain.stop, chain.end)
    return int(headers.PROTOCOLS6[chain.u8(at + 6)])


def _extension(chain: _Chain) -> int:
    following = int(headers.PROTOCOLS6[chain.u8(chain.at)])
    chain.at += (chain.u8(chain.at + 1) + 1) * 8
    return following


def _authentication(chain: _Chain) -> int:
    six = chain.u8(chain.network) >> 4 == 6
    following = (headers.PROTOCOLS6 if six else headers.PROTOCOLS)[chain.u8(chain.at)]
    chain.at += (chain.u8(chain.at + 1) + 2) * 4
    return int(following)


def _fragment(chain: _Chain) -> int:
    frame, at = chain.frame, chain.at
    header = dpkt.ip6.IP6FragmentHeader(frame[at : at + 8])
    following = int(headers.PROTOCOLS6[header.nxt])
    chain.at = at + 8
    if (header.frag_off or header.m_flag) and following < FIRST_FATE:
        start = chain.network
        key = (frame[start + 8 : start + 40], header.id)
        # Extension headers before this one are left out of the packet put together.
        plain = frame[start : start + 6] + frame[at : at + 1] + frame[start + 7 : start + 40]
        return _part(chain, key, plain, header.frag_off * 8, last=not header.m_flag)
    return following


def _part(chain: _Chain, key: tuple[object, ...], header: bytes, offset: int, *, last: bool) -> int:
    """A fragment begins here: all that is left of the packet is its data."""
    wire = chain.end - chain.at
    if wire <= 0 or offset + wire > LONGEST or (wire % 8 and not last):
        return Kind.INVALID
    data = chain.frame[chain.at : chain.stop]
    chain.fragment = Fragment(
        (chain.scope, *key), header, offset, wire, last, data, chain.scope, chain.headers
    )
    return Kind.DECLINED


def _udp(chain: _Chain) -> int:
    source, port = chain.u16(chain.at), chain.u16(chain.at + 2)
    at = chain.at = chain.at + 8
    if at + 8 > chain.stop:
        return Kind.UDP_PAYLOAD
    first = chain.u8(at)
    if (port in headers.VXLAN_PORTS and first & 0x08) or _is_vxlan(chain):
        return Kind.VXLAN
    if port == headers.GENEVE_PORT and first >> 6 == 0:
        return Kind.GENEVE
    if port == headers.GTP_PORT and first & 0xF0 == 0x30 and chain.u8(at + 1) == 0xFF:
        return Kind.GTP
    if headers.TEREDO_PORT in (source, port):
        # An origin indication may come first (RFC 4380 §5.1.1).
        origin = chain.u16(at) == 0 and at + 9 <= chain.stop
        start = at + 8 if origin else at
        if chain.u8(start) >> 4 == 6:
            chain.at = start
            return Kind.IPV6
    ports = source, port
    if port == headers.TZSP_PORT and first == 1 and chain.u8(at + 1) <= 1:
        return Kind.TZSP
    forwards = chain.u8(at + 2) & 0x0F == 1 and chain.u8(at + 3) in headers.AYIYA_NEXT
    if headers.AYIYA_PORT in ports and forwards:
        return Kind.AYIYA
    if headers.L2TP_PORT in ports and not first & 0x80 and chain.u8(at + 1) & 0x0F in (2, 3):
        return Kind.L2TP
    return Kind.GRE if port == headers.GRE_PORT else Kind.UDP_PAYLOAD


def _is_vxlan(chain: _Chain) -> bool:
    """VXLAN on any port: six bytes as they must be, an EtherType of IP, and IP's own version."""
    head = chain.frame[chain.at : chain.at + 23]
    if chain.at + 23 > chain.stop or head[:4] != b"\x08\0\0\0" or head[7]:
        return False
    return (head[20:22], head[22] >> 4) in ((b"\x08\x00", 4), (b"\x86\xdd", 6))


def _vxlan(chain: _Chain) -> int:
    generic = chain.u8(chain.at) & 0x04 and chain.u16(chain.at - 6) == headers.GPE_PORT
    following = Kind.ETHERNET
    if generic:
        following = headers.VXLAN_NEXT.get(chain.u8(chain.at + 3), Kind.NOT_IP)
    network = chain.u32(chain.at + 4) >> 8
    chain.at += 8
    return _scoped(chain, headers.VXLAN_ID, network, following)


def _geneve(chain: _Chain) -> int:
    following = _typed(chain.u16(chain.at + 2))
    network = chain.u32(chain.at + 4) >> 8
    chain.at += 8 + (chain.u8(chain.at) & 0x3F) * 4
    return _scoped(chain, headers.GENEVE_ID, network, following)


def _gtp(chain: _Chain) -> int:
    flags = chain.u8(chain.at) & 7
    chain.at += 8
    if not flags:
        return Kind.RAW
    chain.at += 4
    # A chain of extension headers, each with its length in units of four bytes.
    while flags & 4 and chain.at <= chain.stop and chain.u8(chain.at - 1):
        size = chain.u8(chain.at) * 4
        if not size:
            return Kind.INVALID
        chain.at += size
    return Kind.RAW


def _l2tp(chain: _Chain) -> int:
    """A data message over UDP; of version 2 PPP follows (RFC 2661 §3.1)."""
    flags = chain.u16(chain.at)
    if flags & 0x0F == 3:
        chain.at += 4
        return Kind.L2TP3
    chain.at += 6 + (2 if flags & 0x4000 else 0) + (4 if flags & 0x0800 else 0)
    if flags & 0x0200:  # an offset, and as many bytes
        chain.at += 2 + chain.u16(chain.at)
    return Kind.PPP


def _l2tp3(chain: _Chain) -> int:
    """A session of version 3 (RFC 3931 §4.1.1.1): its number, and then what both ends agreed on.

    That are a cookie of 0, 4 or 8 bytes, 0 or 4 of a sublayer, and Ethernet (RFC 4719) or PPP.
    """
    if not chain.u32(chain.at):
        return Kind.OTHER_TRANSPORT  # session 0 are control messages
    for size in (4, 8, 12, 16):
        at = chain.at + size
        if chain.frame[at : at + 4] in (b"\xff\x03\0\x21", b"\xff\x03\0\x57"):
            chain.at = at
            return Kind.PPP
        if _holds_ethernet(chain, at) and at + 15 <= chain.stop:
            following, first = _typed(chain.u16(at + 12)), chain.u8(at + 14)
            if following not in (Kind.IPV4, Kind.IPV6) or following == _version(first):
                chain.at = at
                return Kind.ETHERNET
    return Kind.CUT if chain.stop < chain.end else Kind.OTHER_TRANSPORT


def _ayiya(chain: _Chain) -> int:
    """Identity and signature are as long as they say: in powers of two, and in words."""
    at = chain.at
    chain.at += 8 + (1 << (chain.u8(at) >> 4)) + (chain.u8(at + 1) >> 4) * 4
    return headers.AYIYA_NEXT[chain.u8(at + 3)]


def _tzsp(chain: _Chain) -> int:
    """Tagged fields of their own length stand before the frame; the last has the tag 1."""
    following = headers.TZSP_HOLDS.get(chain.u16(chain.at + 2), Kind.NOT_IP)
    at = chain.at + 4
    while at < chain.stop:
        tag = chain.u8(at)
        at += 1 if tag <= 1 else 2 + chain.u8(at + 1)
        if tag == 1:
            chain.at = at
            return following
    return Kind.CUT


def _gre(chain: _Chain) -> int:
    frame, at = chain.frame, chain.at
    flags, number = chain.u16(at), chain.u16(at + 2)
    version = flags & 7
    point_to_point = version == 1
    chain.at += 4
    for bit in (0x8000, 0x2000, 0x1000, 0x0080 if point_to_point else 0):
        chain.at += 4 if flags & bit else 0
    if chain.at > chain.stop:
        return Kind.CUT
    if version > 1 or flags & 0x4000 or (point_to_point and number != 0x880B):
        return Kind.OTHER_TRANSPORT
    following = int(headers.GRE_TYPES[number])
    if following == Kind.ERSPAN2 and not flags & 0x1000:
        # ERSPAN type I has no header of its own, nor a sequence number.
        following = Kind.ETHERNET
    if not flags & 0x2000 or point_to_point:
        return following
    (key,) = struct.unpack_from(">I", frame, at + (8 if flags & 0x8000 else 4))
    if number == 0x6558:  # NVGRE: a network of 24 bits, and 8 that differ from flow to flow
        return _scoped(chain, headers.NVGRE_ID, key >> 8, following)
    return _scoped(chain, headers.GRE_ID, key, following)


def _wccp(chain: _Chain) -> int:
    chain.at += 0 if chain.u8(chain.at) >> 4 == 4 else 4
    return Kind.IPV4


def _erspan2(chain: _Chain) -> int:
    fine, session = chain.u8(chain.at) >> 4 == 1, chain.u16(chain.at + 2) & 0x03FF
    chain.at += 8
    following = Kind.ETHERNET if fine else Kind.INVALID
    return _scoped(chain, headers.ERSPAN_ID, session, following)


def _erspan3(chain: _Chain) -> int:
    fine, session = chain.u8(chain.at) >> 4 == 2, chain.u16(chain.at + 2) & 0x03FF
    last = chain.u16(chain.at + 10)
    # A platform specific subheader may follow.
    chain.at += 20 if last & 1 else 12
    following = {0: Kind.ETHERNET, 2: Kind.RAW}.get(last >> 10 & 0x1F, Kind.NOT_IP)
    return _scoped(chain, headers.ERSPAN_ID, session, following if fine else Kind.INVALID)


def _etherip(chain: _Chain) -> int:
    fine = chain.u8(chain.at) >> 4 == 3
    chain.at += 2
    return Kind.ETHERNET if fine else Kind.INVALID


def _nflog(chain: _Chain) -> int:
    """Attributes of length, type and value, in the byte order of the machine that captured."""
    at = chain.at + 4
    for _ in range(_MOST_ATTRIBUTES):
        (number,) = struct.unpack_from("<H", chain.frame, at + 2)
        order = "<" if number < 0x0100 else ">"
        size, number = struct.unpack_from(f"{order}HH", chain.frame, at)
        if size < 4:
            return Kind.INVALID
        if number == _NFLOG_PAYLOAD:
            chain.at, chain.end = at + 4, at + size
            chain.stop = min(chain.stop, chain.end)
            return Kind.RAW
        at += size + 3 & ~3
    return Kind.INVALID


def _frame_relay(chain: _Chain) -> int:
    """A Q.922 address of two bytes, then RFC 2427, or an EtherType as Cisco has it."""
    at = chain.at
    if not chain.u8(at + 1) & 1:
        return Kind.NOT_IP
    if chain.u8(at + 2) != 3:
        chain.at += 4
        return _typed(chain.u16(at + 2))
    at += 4 if chain.u8(at + 3) == 0 else 3
    number = chain.u8(at)
    if number == 0x80:  # SNAP
        chain.at = at + 6
        return _typed(chain.u16(at + 4))
    chain.at = at + 1
    return {0xCC: Kind.IPV4, 0x8E: Kind.IPV6}.get(number, Kind.NOT_IP)


def _pktap(chain: _Chain) -> int:
    size, _, link_type = struct.unpack_from("<III", chain.frame, chain.at)
    if size < 12:
        return Kind.INVALID
    chain.at += size
    return headers.LINKS.get(link_type, Kind.LINK_UNKNOWN)


def _arcnet(chain: _Chain) -> int:
    number, part = chain.u8(chain.at + 4), chain.u8(chain.at + 5)
    old = number == 240  # RFC 1051
    chain.at += 5 if old else 8
    return Kind.IPV4 if old or (number == 212 and not part) else Kind.NOT_IP


def _wireless(read: wireless.Step) -> Callable[[_Chain], int]:
    """The step of a header before or of 802.11."""

    def step(chain: _Chain) -> int:
        following, chain.at = read(chain.frame, chain.at, chain.stop)
        return following

    return step


_STEPS: dict[int, Callable[[_Chain], int]] = {
    Kind.ETHERNET: _ethernet,
    Kind.COOKED: _cooked,
    Kind.COOKED2: _cooked2,
    Kind.LOOPBACK: _loopback,
    Kind.RAW: _raw,
    Kind.HDLC: _hdlc,
    Kind.PPP: _ppp,
    Kind.PPP_SERIAL: _ppp_serial,
    Kind.PPPOE: _pppoe,
    Kind.VLAN: _vlan,
    Kind.LLC: _llc,
    Kind.MPLS: _mpls,
    Kind.LABELLED: _labelled,
    Kind.IPV4: _ipv4,
    Kind.IPV6: _ipv6,
    Kind.EXTENSION: _extension,
    Kind.AUTHENTICATION: _authentication,
    Kind.FRAGMENT: _fragment,
    Kind.UDP: _udp,
    Kind.VXLAN: _vxlan,
    Kind.GENEVE: _geneve,
    Kind.GTP: _gtp,
    Kind.GRE: _gre,
    Kind.WCCP: _wccp,
    Kind.ERSPAN2: _erspan2,
    Kind.ERSPAN3: _erspan3,
    Kind.ETHERIP: _etherip,
    Kind.NFLOG: _nflog,
    Kind.FRAME_RELAY: _frame_relay,
    Kind.PKTAP: _pktap,
    Kind.ARCNET: _arcnet,
    Kind.L2TP: _l2tp,
    Kind.L2TP3: _l2tp3,
    Kind.AYIYA: _ayiya,
    Kind.TZSP: _tzsp,
    **{kind: _wireless(read) for kind, read in wireless.STEPS.items()},
}


def _addresses(frame: bytes, at: int) -> tuple[int, int, int, int]:
    """Source and target of the IP header at `at`, in two words each."""
    if frame[at] >> 4 == 6:
        one, two, three, four = struct.unpack_from(">QQQQ", frame, at + 8)
        return one, two, three, four
    header = dpkt.ip.IP(bytes([0x45]) + frame[at + 1 : at + 9] + b"\xff" + frame[at + 10 : at + 20])
    source, target = (MAPPED | int.from_bytes(a, "big") for a in (header.src, header.dst))
    return 0, source, 0, target


def _tcp(chain: _Chain) -> Segment | str:
    frame, at = chain.frame, chain.at
    size = (frame[at + 12] >> 4) * 4
    if size < 20 or at + size > chain.end:
        return FATES[Kind.INVALID]
    # Options are not needed, and may be cut off: the fixed header alone is decoded.
    header = dpkt.tcp.TCP(frame[at : at + 12] + b"\x50" + frame[at + 13 : at + 20])
    payload, wire = at + size, chain.end - at - size
    return Segment(
        chain.scope,
        *_addresses(frame, chain.network),
        header.sport,
        header.dport,
        header.seq,
        header.ack,
        header.flags & 0xFF,
        header.win,
        payload,
        max(0, min(chain.stop - payload, wire)),
        wire,
    )
