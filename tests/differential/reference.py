"""A reader of our own to tell who is right: streams put together from tshark's TCP fields by the
plainest method there is, and h11 over them. It shares no code with the analyzer.
"""

from dataclasses import dataclass, field
from zlib import adler32

import h11

from tests.differential.model import Request, Response, Talk
from tests.differential.theirs import Tcp

FIN, SYN, RST, ACK = 1, 2, 4, 16
_HALF, _WHOLE = 1 << 31, 1 << 32


@dataclass(slots=True)
class Direction:
    """The bytes of one direction; offsets count from the first byte."""

    base: int | None = None  # sequence number of offset 0
    pieces: list[tuple[int, bytes]] = field(default_factory=list)  # disjoint, by arrival
    covered: list[tuple[int, int]] = field(default_factory=list)  # disjoint, sorted
    acked: int = 0  # the other side has acknowledged up to here
    last: int = 0
    began: bool = False  # its SYN was seen
    closed: bool = False

    def at(self, seq: int) -> int:
        """The offset of a sequence number, nearest to the latest one."""
        assert self.base is not None
        low = (seq - self.base) % _WHOLE
        return low + round((self.last - low) / _WHOLE) * _WHOLE

    def put(self, start: int, data: bytes) -> None:
        """Bytes at an offset; of those that are there already the first copy stays."""
        end = start + len(data)
        at = max(start, 0)
        fresh = []
        for low, high in self.covered:
            if high <= at:
                continue
            if low >= end:
                break
            if low > at:
                fresh.append((at, low))
            at = max(at, high)
        if at < end:
            fresh.append((at, end))
        for low, high in fresh:
            self.pieces.append((low, data[low - start : high - start]))
            self.cover(low, high)

    def cover(self, low: int, high: int) -> None:
        """Bytes are there, whatever they are."""
        if low >= high:
            return
        if self.covered and self.covered[-1][1] == low:
            self.covered[-1] = (self.covered[-1][0], high)
            return
        merged: list[tuple[int, int]] = []
        for one in sorted([*self.covered, (low, high)]):
            if merged and one[0] <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(one[1], merged[-1][1]))
            else:
                merged.append(one)
        self.covered = merged

    @property
    def whole(self) -> bytes:
        """The bytes up to the first hole, or up to the first that tshark keeps back."""
        found, end = [], 0
        for at, data in sorted(self.pieces):
            if at != end:
                break
            found.append(data)
            end += len(data)
        return b"".join(found)

    @property
    def all_shown(self) -> bool:
        """Whether there is nothing missing, and nothing that tshark keeps back."""
        return not self.has_hole and sum(high - low for low, high in self.covered) == len(
            self.whole
        )

    @property
    def has_hole(self) -> bool:
        """Whether bytes are missing before others."""
        return self.covered[1:] != [] or (self.covered[:1] != [] and self.covered[0][0] > 0)

    @property
    def misses_one_number(self) -> bool:
        """Whether all that is missing is one number behind the last byte: a byte, or a FIN."""
        end = self.covered[0][1] if self.covered else 0
        whole = not self.covered or (len(self.covered) == 1 and self.covered[0][0] == 0)
        return whole and self.acked == end + 1

    @property
    def has_gap(self) -> bool:
        """Whether bytes are missing that the receiver acknowledged."""
        at = 0
        for low, high in self.covered:
            if low > at and self.acked > at:
                return True
            at = high
        # The last number may count a FIN that is not in the capture.
        return self.acked > at + 1


@dataclass(slots=True)
class Stream:
    """Both directions by sender; `messages` are told in `talk`."""

    directions: dict[tuple[str, int], Direction] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    frames: list[Tcp] = field(default_factory=list)


def streams(tcp: list[Tcp]) -> dict[int, Stream]:
    """All streams of a capture, by their first frames."""
    by_number: dict[int, Stream] = {}
    found: dict[int, Stream] = {}
    for segment in tcp:
        stream = by_number.get(segment.stream)
        if stream is None:
            stream = by_number[segment.stream] = found[segment.frame] = Stream()
        stream.marks |= segment.marks
        stream.frames.append(segment)
        ours = stream.directions.setdefault(segment.source, Direction())
        others = [d for source, d in stream.directions.items() if source != segment.source]
        seq = segment.seq + bool(segment.flags & SYN)
        if ours.base is None:
            ours.base = seq % _WHOLE
        if segment.flags & SYN:
            ours.began = True
        start = ours.at(seq)
        ours.last = max(ours.last, start)
        if segment.payload and not segment.flags & RST:
            ours.put(start, segment.payload)
        elif segment.wire and not segment.cut and not segment.flags & RST:
            # tshark shows no payload of some segments with a FIN: they are there all the same.
            ours.cover(max(start, 0), start + segment.wire)
        if segment.flags & FIN:
            ours.closed = True
        for other in others:
            if segment.flags & ACK and other.base is not None:
                other.acked = max(other.acked, other.at(segment.ack))
    return found


def talk(client: bytes, server: bytes, *, closed: bool) -> tuple[Talk, bool]:
    """The messages that h11 reads out of both directions, and whether it read all to the end.

    The k-th final response is taken for the answer to the k-th request, which is what HTTP says.
    """
    found = Talk()
    clean = _requests(client, found)
    clean &= _responses(server, found, closed=closed, blind=not clean)
    return found, clean


def _requests(data: bytes, found: Talk) -> bool:
    """Requests are read one at a time, so that nothing hangs on the responses."""
    left = data
    while left.strip(b"\r\n"):
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(left)
        try:
            request = None
            length = 0
            while True:
                event = connection.next_event()
                if isinstance(event, h11.Request):
                    request = Request(
                        event.method.decode("latin-1"), event.target.decode("latin-1")
                    )
                    found.requests.append(request)
                elif isinstance(event, h11.Data):
                    length += len(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    # It never ends.
                    if request is not None:
                        request.whole = False
                    return request is not None
        except h11.RemoteProtocolError:
            return False
        assert request is not None
        request.length = length
        left = connection.trailing_data[0]
        if request.method == "CONNECT":
            return True
    return True


def _responses(data: bytes, found: Talk, *, closed: bool, blind: bool) -> bool:
    """Responses; `blind`: not all requests are known, so that only answers to those are read."""
    left = data
    place = 0
    while left and not (blind and place == len(found.requests)):
        method = found.requests[place].method if place < len(found.requests) else "GET"
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        try:
            target = "*" if method == "OPTIONS" else "/"
            connection.send(h11.Request(method=method, target=target, headers=[("Host", "h")]))
            connection.send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            return False
        connection.receive_data(left)
        if closed:
            connection.receive_data(b"")
        response = None
        body: list[bytes] = []
        try:
            while True:
                event = connection.next_event()
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101:
                        asked = place if place < len(found.requests) else None
                        found.responses.append(Response(101, None, None, asked))
                        return True
                elif isinstance(event, h11.Response):
                    asked = place if place < len(found.requests) else None
                    response = Response(event.status_code, None, None, asked)
                    found.responses.append(response)
                    if method == "CONNECT" and event.status_code < 300:
                        return True
                elif isinstance(event, h11.Data):
                    body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    break
                else:
                    if response is not None:
                        response.whole = False
                    return response is not None
        except h11.RemoteProtocolError:
            return False
        assert response is not None
        whole = b"".join(body)
        response.length, response.checksum = len(whole), adler32(whole) if whole else None
        place += 1
        left = connection.trailing_data[0]
    return True
