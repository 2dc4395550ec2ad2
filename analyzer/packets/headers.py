"""Every header that is followed on the way to TCP: its numbers, what it needs, what follows it.

Law: a frame is a chain of headers, each of a `Kind`; what follows a header is looked up in a table
here, by both decoders. A chain ends at TCP or in a fate of `anomalies.FATES`. Sources: link types
as registered at tcpdump.org; EtherTypes and IP protocols as registered by IANA; the RFCs below.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

MOST_HEADERS = 48  # in one frame, before its TCP; VXLAN in VXLAN takes four

MAPPED = 0xFFFF00000000  # an IPv4 address as IPv6 (RFC 4291 §2.5.5.2)

# What keeps equal addresses apart: the names of the identities that headers carry.
INTERFACE, VXLAN_ID, GENEVE_ID, GRE_ID, NVGRE_ID, ERSPAN_ID = (
    "if", "vxlan ", "geneve ", "gre ", "nvgre ", "erspan ",
)  # fmt: skip


class Kind(IntEnum):
    """A header, or how a chain of headers ends. Fates begin at `UDP_PAYLOAD`."""

    ETHERNET = 0  # IEEE 802.3
    COOKED = 1  # LINKTYPE_LINUX_SLL
    COOKED2 = 2  # LINKTYPE_LINUX_SLL2
    LOOPBACK = 3  # LINKTYPE_NULL, LINKTYPE_LOOP
    RAW = 4  # IPv4 or IPv6, as the first four bits say
    HDLC = 5  # LINKTYPE_C_HDLC: Cisco's
    PPP = 6  # RFC 1661, with or without the framing of RFC 1662
    PPP_SERIAL = 7  # LINKTYPE_PPP_HDLC: either of the two
    PPPOE = 8  # RFC 2516
    VLAN = 9  # IEEE 802.1Q and 802.1ad: what follows the first type
    LLC = 10  # IEEE 802.2, and SNAP
    MPLS = 11  # RFC 3032: one label
    LABELLED = 12  # what follows the last label: no field says what it is
    IPV4 = 13  # RFC 791
    IPV6 = 14  # RFC 8200
    EXTENSION = 15  # RFC 8200 §4: hop-by-hop options, routing, destination options
    AUTHENTICATION = 16  # RFC 4302
    FRAGMENT = 17  # RFC 8200 §4.5
    UDP = 18  # RFC 768
    VXLAN = 19  # RFC 7348, and draft-ietf-nvo3-vxlan-gpe
    GENEVE = 20  # RFC 8926
    GTP = 21  # 3GPP TS 29.281
    GRE = 22  # RFC 2784, RFC 2890; version 1: RFC 2637
    WCCP = 23  # draft-wilson-wrec-wccp-v2: GRE with or without a redirect header
    ERSPAN2 = 24  # draft-foschiano-erspan
    ERSPAN3 = 25
    ETHERIP = 26  # RFC 3378
    NFLOG = 27  # LINKTYPE_NFLOG
    FRAME_RELAY = 28  # RFC 2427
    PKTAP = 29  # LINKTYPE_PKTAP: Apple's
    ARCNET = 30  # LINKTYPE_ARCNET_LINUX, RFC 1051 and RFC 1201
    WLAN = 31  # IEEE 802.11
    WLAN_PADDED = 32  # the same, its header padded to four bytes
    RADIOTAP = 33  # what a monitor writes before 802.11: radiotap.org
    PRISM = 34  # the same by others: Prism, AVS
    PPI = 35  # the same by others: Per-Packet Information
    L2TP = 36  # RFC 2661 and RFC 3931, over UDP
    L2TP3 = 37  # RFC 3931 §4.1.1: a session's header
    AYIYA = 38  # draft-massar-v6ops-ayiya
    TZSP = 39  # TaZmen Sniffer Protocol
    TCP = 40  # RFC 9293
    DECLINED = 41  # the block decoder leaves it to the one-frame decoder
    # fates
    UDP_PAYLOAD = 42
    ICMP = 43
    ESP = 44
    OTHER_TRANSPORT = 45
    ARP = 46
    NOT_IP = 47
    CUT = 48
    INVALID = 49
    TOO_DEEP = 50
    LINK_UNKNOWN = 51
    SCOPES_FULL = 52
    WLAN_UNREAD = 53


FIRST_FATE = Kind.UDP_PAYLOAD
FATES: dict[int, str] = {
    Kind.UDP_PAYLOAD: "udp",
    Kind.ICMP: "icmp",
    Kind.ESP: "esp",
    Kind.OTHER_TRANSPORT: "not-tcp",
    Kind.ARP: "arp",
    Kind.NOT_IP: "not-ip",
    Kind.CUT: "frame-cut-in-headers",
    Kind.INVALID: "header-invalid",
    Kind.TOO_DEEP: "tunnel-too-deep",
    Kind.LINK_UNKNOWN: "link-type-unknown",
    Kind.SCOPES_FULL: "tunnels-limit",
    Kind.WLAN_UNREAD: "wlan-not-read",
}

# Bytes that a header must have captured before it is looked at.
NEED: dict[int, int] = {
    Kind.ETHERNET: 14,
    Kind.COOKED: 16,
    Kind.COOKED2: 20,
    Kind.LOOPBACK: 4,
    Kind.RAW: 1,
    Kind.HDLC: 4,
    Kind.PPP: 4,
    Kind.PPP_SERIAL: 4,
    Kind.PPPOE: 6,
    Kind.VLAN: 4,
    Kind.LLC: 8,
    Kind.MPLS: 4,
    Kind.LABELLED: 1,
    Kind.IPV4: 20,
    Kind.IPV6: 40,
    Kind.EXTENSION: 8,
    Kind.AUTHENTICATION: 8,
    Kind.FRAGMENT: 8,
    Kind.UDP: 8,
    Kind.VXLAN: 8,
    Kind.GENEVE: 8,
    Kind.GTP: 8,
    Kind.GRE: 4,
    Kind.WCCP: 4,
    Kind.ERSPAN2: 8,
    Kind.ERSPAN3: 12,
    Kind.ETHERIP: 2,
    Kind.NFLOG: 4,
    Kind.FRAME_RELAY: 4,
    Kind.PKTAP: 12,
    Kind.ARCNET: 8,
    Kind.WLAN: 10,
    Kind.WLAN_PADDED: 10,
    Kind.RADIOTAP: 8,
    Kind.PRISM: 8,
    Kind.PPI: 8,
    Kind.L2TP: 6,
    Kind.L2TP3: 4,
    Kind.AYIYA: 8,
    Kind.TZSP: 5,
    Kind.TCP: 20,
}

NULL, ETHERNET, RAW, LOOP, COOKED, COOKED2 = 0, 1, 101, 108, 113, 276
LINKS: dict[int, Kind] = {
    NULL: Kind.LOOPBACK,
    ETHERNET: Kind.ETHERNET,
    9: Kind.PPP,
    12: Kind.RAW,
    14: Kind.RAW,
    50: Kind.PPP_SERIAL,
    51: Kind.PPPOE,
    RAW: Kind.RAW,
    104: Kind.HDLC,
    105: Kind.WLAN,
    107: Kind.FRAME_RELAY,
    LOOP: Kind.LOOPBACK,
    COOKED: Kind.COOKED,
    119: Kind.PRISM,
    127: Kind.RADIOTAP,
    129: Kind.ARCNET,
    163: Kind.PRISM,
    192: Kind.PPI,
    228: Kind.IPV4,
    229: Kind.IPV6,
    239: Kind.NFLOG,
    258: Kind.PKTAP,
    COOKED2: Kind.COOKED2,
}

# Address family numbers of IPv6 in a loopback header differ from system to system.
LOOPBACK_FAMILIES: dict[int, Kind] = {
    2: Kind.IPV4,
    10: Kind.IPV6,
    24: Kind.IPV6,
    28: Kind.IPV6,
    30: Kind.IPV6,
}

_TYPES: dict[int, Kind] = {
    0x0800: Kind.IPV4,
    0x0806: Kind.ARP,
    0x6558: Kind.ETHERNET,  # transparent Ethernet bridging (RFC 1701)
    0x8035: Kind.ARP,  # reverse ARP
    0x8100: Kind.VLAN,
    0x86DD: Kind.IPV6,
    0x8847: Kind.MPLS,
    0x8848: Kind.MPLS,
    0x8864: Kind.PPPOE,
    0x88A8: Kind.VLAN,
    0x9100: Kind.VLAN,
}
SHORTEST_TYPE = 0x0600  # below it the field is a length, and LLC follows

_GRE_TYPES: dict[int, Kind] = {
    0x22EB: Kind.ERSPAN3,
    0x880B: Kind.PPP,
    0x883E: Kind.WCCP,
    0x88BE: Kind.ERSPAN2,
    # Aruba's controllers number their tunnels by the type; each holds 802.11.
    **dict.fromkeys(range(0x8200, 0x8380, 0x10), Kind.WLAN),
}

_PROTOCOLS: dict[int, Kind] = {
    1: Kind.ICMP,
    2: Kind.OTHER_TRANSPORT,  # IGMP
    4: Kind.IPV4,
    6: Kind.TCP,
    17: Kind.UDP,
    41: Kind.IPV6,
    47: Kind.GRE,
    50: Kind.ESP,
    51: Kind.AUTHENTICATION,
    58: Kind.ICMP,
    97: Kind.ETHERIP,
    115: Kind.L2TP3,
    137: Kind.MPLS,
}
_ONLY_IN_IPV6: dict[int, Kind] = {
    0: Kind.EXTENSION,
    43: Kind.EXTENSION,
    44: Kind.FRAGMENT,
    60: Kind.EXTENSION,
}

PPP_PROTOCOLS: dict[int, Kind] = {
    0x0021: Kind.IPV4,
    0x0057: Kind.IPV6,
    0x0281: Kind.MPLS,
    0x0283: Kind.MPLS,
}

# UDP destination ports. VXLAN is told by its content on any port besides (see `UDP`).
VXLAN_PORTS = (4789, 8472, 4790)  # IANA's, Linux's of old, and that of the GPE
GENEVE_PORT = 6081
GTP_PORT = 2152
GPE_PORT = 4790  # elsewhere VXLAN's other flags are reserved, and ignored (RFC 7348 §5)
GRE_PORT = 4754  # RFC 8086
TEREDO_PORT = 3544  # RFC 4380, at either end
L2TP_PORT = 1701  # RFC 2661, at either end
AYIYA_PORT = 5072  # at either end
AYIYA_NEXT: dict[int, Kind] = {4: Kind.IPV4, 41: Kind.IPV6}
TZSP_PORT = 37_008
TZSP_HOLDS: dict[int, Kind] = {
    0x01: Kind.ETHERNET,
    0x12: Kind.WLAN,
    0x77: Kind.PRISM,
    0x7F: Kind.PRISM,
}
VXLAN_NEXT: dict[int, Kind] = {1: Kind.IPV4, 2: Kind.IPV6, 3: Kind.ETHERNET, 5: Kind.MPLS}

Lookup = npt.NDArray[np.uint8]


def _lookup(size: int, otherwise: Kind, *tables: dict[int, Kind]) -> Lookup:
    """A table for arrays: what follows each number below `size`."""
    found: Lookup = np.full(size, otherwise, np.uint8)
    for table in tables:
        for number, kind in table.items():
            found[number] = kind
    return found


TYPES = _lookup(1 << 16, Kind.NOT_IP, _TYPES)
TYPES[:SHORTEST_TYPE] = Kind.LLC
GRE_TYPES = _lookup(1 << 16, Kind.NOT_IP, _TYPES, _GRE_TYPES)
PROTOCOLS = _lookup(256, Kind.OTHER_TRANSPORT, _PROTOCOLS)
PROTOCOLS6 = _lookup(256, Kind.OTHER_TRANSPORT, _PROTOCOLS, _ONLY_IN_IPV6)
