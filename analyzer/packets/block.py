"""The block decoder: the headers of a whole block of frames with numpy, up to TCP.

Law: all frames of a block go through their chains of headers together, a header of each kind at a
time (`headers.py` has the kinds and what follows them). What takes a memory of other frames, or a
search (IP fragments, NFLOG, GTP extensions), and what is rare (802.11, L2TP), is declined:
`single.py` is the only place for that. Lengths are never trusted beyond what was captured.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from analyzer.anomalies import Anomalies, Fates
from analyzer.capture.frames import Frames
from analyzer.packets import headers
from analyzer.packets.headers import FATES, FIRST_FATE, MAPPED, MOST_HEADERS, NEED, Kind
from analyzer.packets.scopes import FULL, Scopes
from analyzer.packets.segments import Ints, Segments, Words

Bytes = npt.NDArray[np.uint8]
Kinds = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Decoded:
    """Segments of the block, and the rows that the block decoder leaves to `single.py`."""

    segments: Segments
    declined: Ints


@dataclass(slots=True)
class _Chains:
    """Frames whose next header is of one kind; one array element each, offsets in the block.

    `at` is where the header begins, `stop` where what was captured of the packet around it ends,
    `end` where that packet ends on the wire, `network` where the innermost IP header begins.
    """

    row: Ints
    at: Ints
    stop: Ints
    end: Ints
    scope: Ints
    network: Ints

    def __len__(self) -> int:
        return len(self.row)

    def take(self, chosen: Mask) -> "_Chains":
        return _Chains(
            self.row[chosen],
            self.at[chosen],
            self.stop[chosen],
            self.end[chosen],
            self.scope[chosen],
            self.network[chosen],
        )


@dataclass(slots=True)
class _Look:
    """What a step looks at besides the chains."""

    octets: Bytes
    scopes: Scopes


def decode(
    frames: Frames, link_types: Ints, scopes: Scopes, fates: Fates, anomalies: Anomalies
) -> Decoded:
    """Decode a block; `link_types` has the link type of every frame, shape (n,)."""
    # Room behind the last frame, so that a fixed-width look never leaves the buffer.
    octets = np.frombuffer(frames.data, np.uint8)
    octets = octets if len(octets) >= 64 else np.concatenate([octets, np.zeros(64, np.uint8)])
    look = _Look(octets, scopes)
    parts: list[Segments] = []
    declined: list[Ints] = []
    pending = _begin(frames, link_types, fates)
    for _ in range(MOST_HEADERS):
        current, pending = pending, {}
        for kind, waiting in current.items():
            chains = _whole(kind, _join(waiting), fates)
            if not len(chains):
                continue
            if kind == Kind.TCP:
                parts.append(_tcp(octets, chains, fates, anomalies))
                continue
            following = _STEPS[kind](look, chains)
            for next_kind, those in _parted(following, chains):
                if next_kind == Kind.DECLINED:
                    declined.append(those.row)
                elif next_kind >= FIRST_FATE:
                    fates.count(FATES[next_kind], len(those))
                else:
                    pending.setdefault(next_kind, []).append(those)
    for waiting in pending.values():
        fates.count(FATES[Kind.TOO_DEEP], sum(map(len, waiting)))
    nothing = np.empty(0, np.int64)
    return Decoded(
        Segments.join(parts) if parts else Segments.none(),
        np.sort(np.concatenate(declined)) if declined else nothing,
    )


def _begin(frames: Frames, link_types: Ints, fates: Fates) -> dict[int, list[_Chains]]:
    """The frames by the kind of their first header."""
    begun: dict[int, list[_Chains]] = {}
    for link_type in np.unique(link_types).tolist():
        row = np.flatnonzero(link_types == link_type)
        kind = headers.LINKS.get(link_type)
        if kind is None:
            fates.count(FATES[Kind.LINK_UNKNOWN], len(row))
            continue
        start = frames.offset[row]
        nothing = np.zeros(len(row), np.int64)
        chains = _Chains(
            row,
            start,
            start + frames.captured[row],
            start + frames.wire[row],
            nothing,
            nothing,
        )
        begun.setdefault(kind, []).append(chains)
    return begun


def _join(parts: list[_Chains]) -> _Chains:
    if len(parts) == 1:
        return parts[0]
    return _Chains(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(_Chains))
    )


def _whole(kind: int, chains: _Chains, fates: Fates) -> _Chains:
    """The chains whose next header is there; the others are counted."""
    end = chains.at + NEED[kind]
    short = end > chains.stop
    if not short.any():
        return chains
    # A packet that ends before its own TCP header does was never whole.
    wrong = int((short & (end > chains.end)).sum()) if kind == Kind.TCP else 0
    fates.count(FATES[Kind.INVALID], wrong)
    fates.count(FATES[Kind.CUT], int(short.sum()) - wrong)
    return chains.take(~short)


def _parted(following: Kinds, chains: _Chains) -> list[tuple[int, _Chains]]:
    """The chains by what follows."""
    counts = np.bincount(following)
    kinds = np.flatnonzero(counts).tolist()
    if len(kinds) == 1:
        return [(kinds[0], chains)]
    return [(kind, chains.take(following == kind)) for kind in kinds]


# --- looks at bytes ----------------------------------------------------------------------------


def _u8(octets: Bytes, at: Ints) -> Ints:
    """One byte at each offset; offsets beyond the end read the last byte."""
    return octets.take(at, mode="clip").astype(np.int64)


def _u16(octets: Bytes, at: Ints) -> Ints:
    return _u8(octets, at) << 8 | _u8(octets, at + 1)


def _u32(octets: Bytes, at: Ints) -> Ints:
    return _u16(octets, at) << 16 | _u16(octets, at + 2)


def _rows(octets: Bytes, at: Ints, width: int) -> Bytes:
    """`width` bytes from each offset, shape (n, width); moved inward near the end."""
    windows = np.lib.stride_tricks.sliding_window_view(octets, width)
    rows: Bytes = windows[np.minimum(at, len(windows) - 1)]
    return rows


def _typed(number: Ints) -> Kinds:
    """What follows a type field that cannot be a length."""
    following = headers.TYPES[number]
    return np.where(following == Kind.LLC, Kind.NOT_IP, following).astype(np.uint8)


def _versioned(octets: Bytes, at: Ints) -> Kinds:
    """IPv4 or IPv6, as the first four bits at each offset say."""
    version = _u8(octets, at) >> 4
    four, six = version == 4, version == 6
    return np.where(four, Kind.IPV4, np.where(six, Kind.IPV6, Kind.NOT_IP)).astype(np.uint8)


def _all(chains: _Chains, kind: Kind) -> Kinds:
    return np.full(len(chains), kind, np.uint8)


def _scoped(look: _Look, chains: _Chains, name: str, value: Ints, following: Kinds) -> Kinds:
    """Put the chains into the scope that their header names."""
    scope = look.scopes.numbers(chains.scope, name, value)
    chains.scope = scope
    if (scope == FULL).any():
        following = np.where(scope == FULL, Kind.SCOPES_FULL, following).astype(np.uint8)
    return following


# --- a step for each kind: moves the chains behind their header, returns what follows ------------


def _ethernet(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.TYPES[_u16(look.octets, chains.at + 12)]
    chains.at = chains.at + 14
    return following


def _cooked(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.TYPES[_u16(look.octets, chains.at + 14)]
    chains.at = chains.at + 16
    return following


def _cooked2(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.TYPES[_u16(look.octets, chains.at)]
    index = _u32(look.octets, chains.at + 4)
    chains.at = chains.at + 20
    return _scoped(look, chains, headers.INTERFACE, index, following)


def _loopback(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    little = _u8(octets, at + 3) << 24 | _u8(octets, at + 2) << 16
    little |= _u8(octets, at + 1) << 8 | _u8(octets, at)
    # The family is a small number, in the byte order of the machine that captured.
    number = np.minimum(_u32(octets, at), little)
    following = _all(chains, Kind.NOT_IP)
    for code, kind in headers.LOOPBACK_FAMILIES.items():
        following[number == code] = kind
    chains.at = at + 4
    return following


def _raw(look: _Look, chains: _Chains) -> Kinds:
    return _versioned(look.octets, chains.at)


def _hdlc(look: _Look, chains: _Chains) -> Kinds:
    following = _typed(_u16(look.octets, chains.at + 2))
    chains.at = chains.at + 4
    return following


def _ppp(look: _Look, chains: _Chains) -> Kinds:
    octets = look.octets
    at = np.where(_u16(octets, chains.at) == 0xFF03, chains.at + 2, chains.at)
    first = _u8(octets, at)
    # The protocol field may be compressed to its odd byte (RFC 1661 §6.5).
    short = first & 1 == 1
    number = np.where(short, first, _u16(octets, at))
    following = _all(chains, Kind.NOT_IP)
    for code, kind in headers.PPP_PROTOCOLS.items():
        following[number == code] = kind
    chains.at = np.where(short, at + 1, at + 2)
    return following


def _ppp_serial(look: _Look, chains: _Chains) -> Kinds:
    cisco = np.isin(_u16(look.octets, chains.at), (0x0F00, 0x8F00))
    return np.where(cisco, Kind.HDLC, Kind.PPP).astype(np.uint8)


def _pppoe(look: _Look, chains: _Chains) -> Kinds:
    session = _u16(look.octets, chains.at) == 0x1100
    chains.at = chains.at + 6
    return np.where(session, Kind.PPP, Kind.NOT_IP).astype(np.uint8)


def _vlan(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.TYPES[_u16(look.octets, chains.at + 2)]
    chains.at = chains.at + 4
    return following


def _llc(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    start = _u16(octets, at) << 8 | _u8(octets, at + 2)
    snap, ip = start == 0xAAAA03, start == 0x060603
    following = np.where(snap, _typed(_u16(octets, at + 6)), Kind.NOT_IP)
    chains.at = np.where(ip, at + 3, at + 8)
    return np.where(ip, Kind.IPV4, following).astype(np.uint8)


def _mpls(look: _Look, chains: _Chains) -> Kinds:
    last = _u8(look.octets, chains.at + 2) & 1
    chains.at = chains.at + 4
    return np.where(last, Kind.LABELLED, Kind.MPLS).astype(np.uint8)


def _labelled(look: _Look, chains: _Chains) -> Kinds:
    """IP, or a pseudowire's Ethernet with or without a control word (RFC 4448 §4.6)."""
    octets, at = look.octets, chains.at
    following = _versioned(octets, at)
    zero = _u8(octets, at) >> 4 == 0
    other = following == Kind.NOT_IP
    word = other & zero & _holds_ethernet(octets, at + 4, chains.stop)
    plain = other & ~word & _holds_ethernet(octets, at, chains.stop)
    chains.at = np.where(word, at + 4, at)
    return np.where(word | plain, Kind.ETHERNET, following).astype(np.uint8)


def _holds_ethernet(octets: Bytes, at: Ints, stop: Ints) -> Mask:
    """Whether an Ethernet header with a type that is known can be at each offset."""
    following = headers.TYPES[_u16(octets, at + 12)]
    known: Mask = (at + 14 <= stop) & (following != Kind.NOT_IP) & (following != Kind.LLC)
    return known


def _ipv4(look: _Look, chains: _Chains) -> Kinds:
    head = _rows(look.octets, chains.at, 20)
    size = (head[:, 0] & 0x0F).astype(np.int64) * 4
    total = head[:, 2].astype(np.int64) << 8 | head[:, 3]
    # Segmentation offload leaves the total length 0: then what is around the packet tells.
    total = np.where(total == 0, chains.end - chains.at, total)
    fine = (head[:, 0] >> 4 == 4) & (size >= 20) & (total >= size)
    following: Kinds = headers.PROTOCOLS[head[:, 9]]
    fragment = ((head[:, 6] & 0x3F) | head[:, 7]) != 0
    odd = ~fine | (fragment & (following < FIRST_FATE))
    if odd.any():
        following = np.where(odd, Kind.DECLINED, following).astype(np.uint8)
        following[~fine] = Kind.INVALID
    chains.network = chains.at
    chains.end = chains.at + total
    chains.stop = np.minimum(chains.stop, chains.end)
    chains.at = chains.at + size
    return following


def _ipv6(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    length = _u16(octets, at + 4)
    length = np.where(length == 0, chains.end - at - 40, length)
    following: Kinds = headers.PROTOCOLS6[_u8(octets, at + 6)]
    following = np.where(_u8(octets, at) >> 4 == 6, following, Kind.INVALID).astype(np.uint8)
    chains.network = at
    chains.at = at + 40
    chains.end = chains.at + length
    chains.stop = np.minimum(chains.stop, chains.end)
    return following


def _extension(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.PROTOCOLS6[_u8(look.octets, chains.at)]
    chains.at = chains.at + (_u8(look.octets, chains.at + 1) + 1) * 8
    return following


def _authentication(look: _Look, chains: _Chains) -> Kinds:
    octets = look.octets
    number = _u8(octets, chains.at)
    six = _u8(octets, chains.network) >> 4 == 6
    following = np.where(six, headers.PROTOCOLS6[number], headers.PROTOCOLS[number])
    chains.at = chains.at + (_u8(octets, chains.at + 1) + 2) * 4
    return following.astype(np.uint8)


def _fragment(look: _Look, chains: _Chains) -> Kinds:
    following: Kinds = headers.PROTOCOLS6[_u8(look.octets, chains.at)]
    part = (_u16(look.octets, chains.at + 2) & 0xFFF9 != 0) & (following < FIRST_FATE)
    chains.at = chains.at + 8
    return np.where(part, Kind.DECLINED, following).astype(np.uint8)


def _udp(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    port, inner = _u16(octets, at + 2), at + 8
    first, second = _u8(octets, inner), _u8(octets, inner + 1)
    enough = inner + 8 <= chains.stop
    vxlan = np.isin(port, headers.VXLAN_PORTS) & (first & 0x08 != 0)
    vxlan |= _is_vxlan(octets, inner, chains.stop)
    geneve = (port == headers.GENEVE_PORT) & (first >> 6 == 0)
    gtp = (port == headers.GTP_PORT) & (first & 0xF0 == 0x30) & (second == 0xFF)
    source = _u16(octets, at)
    teredo = (port == headers.TEREDO_PORT) | (source == headers.TEREDO_PORT)
    # An origin indication may come first (RFC 4380 §5.1.1).
    origin = teredo & (first == 0) & (second == 0) & (inner + 9 <= chains.stop)
    start = np.where(origin, inner + 8, inner)
    teredo &= _u8(octets, start) >> 4 == 6
    following = np.where(port == headers.GRE_PORT, Kind.GRE, Kind.UDP_PAYLOAD)
    for kind, number, holds in (
        # A data message of either version (RFC 2661 §3.1, RFC 3931 §4.1.2.1).
        (Kind.L2TP, headers.L2TP_PORT, (first & 0x80 == 0) & np.isin(second & 0x0F, (2, 3))),
        # Forwarding (opcode 1) of IP.
        (
            Kind.AYIYA,
            headers.AYIYA_PORT,
            (_u8(octets, inner + 2) & 0x0F == 1)
            & np.isin(_u8(octets, inner + 3), list(headers.AYIYA_NEXT)),
        ),
    ):
        either = (port == number) | (source == number)
        following = np.where(either & holds, kind, following)
    tzsp = (port == headers.TZSP_PORT) & (first == 1) & (second <= 1)
    following = np.where(tzsp, Kind.TZSP, following)
    following = np.where(teredo, Kind.IPV6, following)
    following = np.where(gtp, Kind.GTP, following)
    following = np.where(geneve, Kind.GENEVE, following)
    following = np.where(vxlan, Kind.VXLAN, following)
    chains.at = np.where(following == Kind.IPV6, start, inner)
    return np.where(enough, following, Kind.UDP_PAYLOAD).astype(np.uint8)


def _is_vxlan(octets: Bytes, at: Ints, stop: Ints) -> Mask:
    """VXLAN on any port: six bytes as they must be, an EtherType of IP, and IP's own version."""
    head = (_u32(octets, at) == 0x08000000) & (_u8(octets, at + 7) == 0)
    number, version = _u16(octets, at + 20), _u8(octets, at + 22) >> 4
    ip = ((number == 0x0800) & (version == 4)) | ((number == 0x86DD) & (version == 6))
    found: Mask = head & ip & (at + 23 <= stop)
    return found


def _vxlan(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    generic = (_u8(octets, at) & 0x04 != 0) & (_u16(octets, at - 6) == headers.GPE_PORT)
    following = _all(chains, Kind.ETHERNET)
    if generic.any():
        following[generic] = Kind.NOT_IP
        number = _u8(octets, at + 3)
        for code, kind in headers.VXLAN_NEXT.items():
            following[generic & (number == code)] = kind
    network = _u32(octets, at + 4) >> 8
    chains.at = at + 8
    return _scoped(look, chains, headers.VXLAN_ID, network, following)


def _geneve(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    following = _typed(_u16(octets, at + 2))
    network = _u32(octets, at + 4) >> 8
    chains.at = at + 8 + (_u8(octets, at) & 0x3F) * 4
    return _scoped(look, chains, headers.GENEVE_ID, network, following)


def _gtp(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    flags = _u8(octets, at) & 7
    chains.at = np.where(flags != 0, at + 12, at + 8)
    return np.where(flags & 4 != 0, Kind.DECLINED, Kind.RAW).astype(np.uint8)


def _gre(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    flags = _u16(octets, at)
    number = _u16(octets, at + 2)
    version = flags & 7
    checksum, key, sequence, source_route = (flags & bit != 0 for bit in (*_GRE_BITS, 0x4000))
    point_to_point = version == 1
    acknowledged = point_to_point & (flags & 0x0080 != 0)
    size = 4 + 4 * (checksum.astype(np.int64) + key + sequence + acknowledged)
    following: Kinds = headers.GRE_TYPES[number]
    # ERSPAN type I has no header of its own, nor a sequence number.
    following = np.where((following == Kind.ERSPAN2) & ~sequence, Kind.ETHERNET, following).astype(
        np.uint8
    )
    odd = (version > 1) | source_route | (point_to_point & (number != 0x880B))
    following[odd] = Kind.OTHER_TRANSPORT
    cut = at + size > chains.stop
    following[cut] = Kind.CUT
    chains.at = at + size
    named = key & ~point_to_point & ~odd & ~cut
    if named.any():
        value = _u32(octets, at + 4 + 4 * checksum)
        # NVGRE: a network of 24 bits, and 8 that differ from flow to flow.
        virtual = number == 0x6558
        for chosen, name, numbers in (
            (named & virtual, headers.NVGRE_ID, value >> 8),
            (named & ~virtual, headers.GRE_ID, value),
        ):
            if chosen.any():
                following[chosen] = _rescoped(look, chains, chosen, name, numbers, following)
    return following


_GRE_BITS = (0x8000, 0x2000, 0x1000)  # checksum, key, sequence number


def _rescoped(
    look: _Look, chains: _Chains, chosen: Mask, name: str, value: Ints, following: Kinds
) -> Kinds:
    """Put some of the chains into the scope that their header names; what follows those."""
    scope = look.scopes.numbers(chains.scope[chosen], name, value[chosen])
    chains.scope = chains.scope.copy()
    chains.scope[chosen] = scope
    return np.where(scope == FULL, Kind.SCOPES_FULL, following[chosen]).astype(np.uint8)


def _wccp(look: _Look, chains: _Chains) -> Kinds:
    plain = _u8(look.octets, chains.at) >> 4 == 4
    chains.at = np.where(plain, chains.at, chains.at + 4)
    return _all(chains, Kind.IPV4)


def _erspan2(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    fine = _u8(octets, at) >> 4 == 1
    session = _u16(octets, at + 2) & 0x03FF
    chains.at = at + 8
    following = np.where(fine, Kind.ETHERNET, Kind.INVALID).astype(np.uint8)
    return _scoped(look, chains, headers.ERSPAN_ID, session, following)


def _erspan3(look: _Look, chains: _Chains) -> Kinds:
    octets, at = look.octets, chains.at
    fine = _u8(octets, at) >> 4 == 2
    session = _u16(octets, at + 2) & 0x03FF
    last = _u16(octets, at + 10)
    content = last >> 10 & 0x1F
    following = np.where(content == 0, Kind.ETHERNET, Kind.NOT_IP)
    following = np.where(content == 2, Kind.RAW, following)
    following = np.where(fine, following, Kind.INVALID).astype(np.uint8)
    # A platform specific subheader may follow.
    chains.at = at + 12 + 8 * (last & 1)
    return _scoped(look, chains, headers.ERSPAN_ID, session, following)


def _etherip(look: _Look, chains: _Chains) -> Kinds:
    fine = _u8(look.octets, chains.at) >> 4 == 3
    chains.at = chains.at + 2
    return np.where(fine, Kind.ETHERNET, Kind.INVALID).astype(np.uint8)


def _declined(look: _Look, chains: _Chains) -> Kinds:
    return _all(chains, Kind.DECLINED)


_STEPS: dict[int, Callable[[_Look, _Chains], Kinds]] = {
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
    Kind.NFLOG: _declined,
    Kind.FRAME_RELAY: _declined,
    Kind.PKTAP: _declined,
    Kind.ARCNET: _declined,
    Kind.WLAN: _declined,
    Kind.WLAN_PADDED: _declined,
    Kind.RADIOTAP: _declined,
    Kind.PRISM: _declined,
    Kind.PPI: _declined,
    Kind.L2TP: _declined,
    Kind.L2TP3: _declined,
    Kind.AYIYA: _declined,
    Kind.TZSP: _declined,
}


def _tcp(octets: Bytes, chains: _Chains, fates: Fates, anomalies: Anomalies) -> Segments:
    """The segments whose TCP headers are next."""
    head = _rows(octets, chains.at, 20)
    size = (head[:, 12] >> 4).astype(np.int64) * 4
    fine = (size >= 20) & (chains.at + size <= chains.end)
    if not fine.all():
        fates.count(FATES[Kind.INVALID], int((~fine).sum()))
        head, size, chains = head[fine], size[fine], chains.take(fine)
    ports = np.ascontiguousarray(head[:, 0:4]).view(">u2").astype(np.int64)
    numbers = np.ascontiguousarray(head[:, 4:12]).view(">u4").astype(np.int64)
    payload = chains.at + size
    wire = chains.end - payload
    captured = np.clip(chains.stop - payload, 0, wire)
    anomalies.count("snaplen-cut", int((captured < wire).sum()))
    addresses = _addresses(octets, chains.network)
    return Segments(
        row=chains.row,
        scope=chains.scope,
        source_high=addresses[0],
        source_low=addresses[1],
        target_high=addresses[2],
        target_low=addresses[3],
        source_port=ports[:, 0],
        target_port=ports[:, 1],
        seq=numbers[:, 0],
        ack=numbers[:, 1],
        flags=head[:, 13].astype(np.int64),
        window=head[:, 14].astype(np.int64) << 8 | head[:, 15],
        payload=payload,
        captured=captured,
        wire=wire,
    )


def _addresses(octets: Bytes, network: Ints) -> tuple[Words, Words, Words, Words]:
    """Source and target of the IP headers at `network`, in two words each."""
    four = octets.take(network, mode="clip") >> 4 == 4
    if four.all():
        return _ipv4_addresses(octets, network)
    words = np.ascontiguousarray(_rows(octets, network + 8, 32)).view(">u8").astype(np.uint64)
    found = words[:, 0], words[:, 1], words[:, 2], words[:, 3]
    if four.any():
        for column, of_ipv4 in zip(found, _ipv4_addresses(octets, network[four]), strict=True):
            column[four] = of_ipv4
    return found


def _ipv4_addresses(octets: Bytes, network: Ints) -> tuple[Words, Words, Words, Words]:
    pairs = np.ascontiguousarray(_rows(octets, network + 12, 8)).view(">u4").astype(np.uint64)
    high, mapped = np.zeros(len(network), np.uint64), np.uint64(MAPPED)
    return high, pairs[:, 0] | mapped, high, pairs[:, 1] | mapped
