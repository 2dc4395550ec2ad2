"""The closed lists: what can be odd about a capture, and what becomes of its frames.

Law: a passive observer never rejects. What is odd is counted here by name and reading goes on;
no other module makes up a name (`count` refuses one that is not listed).
"""

from collections import Counter

SENTENCES: dict[str, str] = {
    # the file
    "capture-cut-short": "the file ends in the middle of a record",
    "record-invalid": "a record's length cannot be true; the rest of the file was not read",
    "compression-damaged": "the compressed data is damaged; the rest of the file was not read",
    "no-timestamp": "the frame carries no time (pcapng simple packet block)",
    "drops-reported": "packets that the capturing host says it dropped",
    "interfaces-limit": "more interfaces in a file than are told apart; their frames are not read",
    "comments-limit": "more comments on packets than are kept",
    # frames
    "fragments-overlap": "IP fragments that cover the same bytes, or disagree about the end",
    "fragments-limit": "more incomplete IP packets than are kept; the oldest were let go",
    "snaplen-cut": "the capture kept only the first part of the segment",
    # connections
    "port-reused": "a new connection began on addresses and ports still in use by an older one",
    "connection-refused": "a request for a connection that was answered with a reset",
    "starts-midstream": "the connection was already open when the capture began",
    "direction-not-captured": "only one direction of the connection is in the capture",
    "gap": "bytes that the receiver acknowledged are not in the capture",
    "gap-unacknowledged": "bytes that were skipped over and never seen",
    "lost-on-the-way": "bytes that the receiver never acknowledged, with others behind them",
    "retransmission-differs": "a second copy of the same bytes differs from the first",
    "reassembly-limit": "more out-of-order data than is kept; the missing bytes count as a gap",
    "connection-evicted": "too many connections at once; the longest idle was let go",
    "reset-ignored": "a reset that ended nothing: its number was wrong, or both sides went on",
    "data-after-close": "a segment with data on a connection that had ended",
    "tls": "a TLS connection; its content cannot be read",
    "http2": "an HTTP/2 connection; only HTTP/1.x is read",
    "not-http": "a connection that carries something other than HTTP/1.x",
    "proxy-header": "a connection that begins with a PROXY header; HTTP/1.x behind it is read",
    "socks": "a connection that begins with a SOCKS handshake; HTTP/1.x behind it is read",
    "tunnel": "a tunnel that CONNECT opened, with something other than HTTP/1.x in it",
    "tunnel-http": "a tunnel that CONNECT opened, with HTTP/1.x in it, which is read",
    # messages
    "start-line-invalid": "no valid start line where a message must begin",
    "start-line-odd": "a start line that many readers refuse; it was read as it is meant",
    "status-line-invalid": "a line like a status line, without a status code that can be read",
    "extra-bytes": "bytes behind the end of a response, and no beginning of another",
    "head-too-long": "a message head longer than the limit",
    "content-length-invalid": "a Content-Length that is not one number",
    "content-length-and-chunked": "Content-Length and Transfer-Encoding in one message",
    "transfer-coding-unknown": "a transfer coding other than a final chunked",
    "chunk-invalid": "chunk framing that is not valid",
    "response-without-request": "a response whose request the capture cannot show",
    "response-unsolicited": "a response with no request outstanding",
    "body-too-long": "a body longer than is looked into",
    "body-undecodable": "a body that its content coding does not decode",
    "json-invalid": "a JSON body that does not parse",
    "shapes-limit": "more shapes than are kept; the rest are not told apart",
    "outstanding-limit": "too many messages of one connection wait for their other half",
    "odd-limit": "more odd exchanges than are judged one by one; the rest is only counted",
    "routes-limit": "more different targets than are kept; the rest are not told apart",
}

# What the captures lack, and what was let go while they were read: it bears on any verdict.
LACKING = (
    "capture-cut-short",
    "record-invalid",
    "compression-damaged",
    "no-timestamp",
    "drops-reported",
    "snaplen-cut",
    "starts-midstream",
    "direction-not-captured",
    "gap",
    "gap-unacknowledged",
)

# What becomes of a frame. Every frame of a capture is counted under exactly one of these.
ANALYSED = "analysed"
FATES: dict[str, str] = {
    ANALYSED: "a TCP segment that was read",
    "udp": "UDP, and no tunnel that is known",
    "icmp": "ICMP or ICMPv6",
    "arp": "ARP",
    "esp": "encrypted by IPsec (ESP)",
    "not-tcp": "IP with another protocol than TCP, UDP, ICMP and ESP",
    "not-ip": "neither IPv4 nor IPv6",
    "ip-fragment": "a fragment of a packet that a later frame completed, and that counts there",
    "ip-fragment-incomplete": "a fragment of a packet whose other fragments are not in the capture",
    "frame-cut-in-headers": "ends inside its link, network or transport header",
    "header-invalid": "a length or version in a header cannot be true",
    "tunnel-too-deep": "more headers, one in the other, than are followed",
    "tunnels-limit": "in one of more tunnels or interfaces than are told apart",
    "link-type-unknown": "of a link type that is not read",
    "wlan-not-read": "802.11 data: encrypted, damaged, a fragment, or many packets in one frame",
}

READ = (ANALYSED, "ip-fragment")  # the fates of frames that were understood


class Anomalies(Counter[str]):
    """How often each anomaly occurred; only names of the closed list are taken."""

    def count(self, name: str, times: int = 1) -> None:
        """Count `name`; raises KeyError for a name that is not in `SENTENCES`."""
        if name not in SENTENCES:
            raise KeyError(name)
        if times:
            self[name] += times


class Fates(Counter[str]):
    """How many frames came to which end; only names of the closed list are taken."""

    def count(self, name: str, times: int = 1) -> None:
        """Count `name`; raises KeyError for a name that is not in `FATES`."""
        if name not in FATES:
            raise KeyError(name)
        if times:
            self[name] += times
