"""MESSAGES of one connection in, EXCHANGES out: which response answers which request.

Law: two rules, always both. *Order*: responses answer requests in order (RFC 9112 §9.3.2).
*Causality*: the acknowledgement number in the segment with a response's first byte says which
requests the server's kernel had received; a response cannot answer one that it does not cover.
Where the two disagree the exchange says so (`Flag.SURPLUS`). After a loss in the capture only what
the numbers prove is paired, and everything the loss touches is flagged.
"""

from collections import deque
from enum import Enum, auto
from typing import Protocol as Interface

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.http import content, grammar
from analyzer.http.grammar import Protocol
from analyzer.http.messages import Message, MessageReader, State
from analyzer.intervals import covers
from analyzer.tables import Flag, Outcome

_MOST_INSIDE = 64  # pieces kept while it is not known what a tunnel carries
_PROOFS = 3  # exchanges in a row after which a connection is in step again

# Plain integers: these are combined for every message.
_GAP_REQUEST, _GAP_RESPONSE = int(Flag.GAP_REQUEST), int(Flag.GAP_RESPONSE)
_AFTER_GAP, _MIDSTREAM = int(Flag.AFTER_GAP), int(Flag.MIDSTREAM)
_SURPLUS, _PIPELINED, _INTERIM = int(Flag.SURPLUS), int(Flag.PIPELINED), int(Flag.INTERIM)
_AFTER_CLIENT_CLOSE, _TUNNEL = int(Flag.AFTER_CLIENT_CLOSE), int(Flag.TUNNEL)
_OPEN_AT_END, _LOST = int(Flag.OPEN_AT_END), int((Flag.LOSS | Flag.DAMAGED) & ~Flag.OPEN_AT_END)
_HEAD_CUT, _NOT_HTTP, _AFTER_EXTRA = int(Flag.HEAD_CUT), int(Flag.NOT_HTTP), int(Flag.AFTER_EXTRA)
_BODY_WHOLE, _AFTER_INTERIM = int(Flag.BODY_WHOLE), int(Flag.AFTER_INTERIM)
_BODY_SKIPPED, _DOUBTFUL = int(Flag.BODY_SKIPPED), int(Flag.DOUBTFUL)
_REQUEST_OPEN, _DAMAGED = int(Flag.REQUEST_OPEN), int(Flag.DAMAGED)


class Carries(Enum):
    """What a connection has turned out to carry."""

    UNKNOWN = auto()
    HTTP = auto()
    TLS = auto()
    HTTP2 = auto()
    OTHER = auto()
    TUNNEL = auto()


_CARRIES = {
    Protocol.TLS: Carries.TLS,
    Protocol.HTTP2: Carries.HTTP2,
    Protocol.OTHER: Carries.OTHER,
}


class Recorder(Interface):
    """Takes what this stage puts out."""

    def exchange(
        self,
        connection: int,
        request: Message | None,
        response: Message | None,
        outcome: int,
        flags: int,
    ) -> int:
        """One finished exchange; returns its number (never -1)."""

    def extra(self, exchange: int, stray: Message) -> None:
        """Behind the end of a finished exchange's response came bytes of no message."""


class HttpConnection:
    """The exchanges of one connection; `side` is 0 for the client and 1 for the server.

    Until a side is known to be the client's, bytes are looked at to find out (`roles`).
    """

    __slots__ = (
        "_after_interim",
        "_client_closed",
        "_doubtful",
        "_early",
        "_inside",
        "_interim_end",
        "_last",
        "_midstream",
        "_most_recent",
        "_proofs",
        "_readers",
        "_recorder",
        "_shaken",
        "_skipped",
        "_spilled",
        "_surplus",
        "_why",
        "anomalies",
        "answered",
        "carries",
        "extra",
        "first_request",
        "first_response",
        "number",
        "outstanding",
        "requests",
    )

    def __init__(
        self,
        number: int,
        recorder: Recorder,
        anomalies: Anomalies,
        *,
        midstream: bool,
        gapped: bool = False,
        whole: bool = False,
    ) -> None:
        self.number = number
        self.anomalies = anomalies
        self.carries = Carries.HTTP
        self.requests = 0
        self.answered = 0
        self.first_request: tuple[int, int] | None = None  # seq and ack
        self.first_response: tuple[int, int] | None = None  # ack and seq, where none came
        self.outstanding: deque[Message] = deque()
        self._recorder = recorder
        self._midstream = midstream
        # After a gap, and where a connection was open when the capture began, order alone does not
        # pair: a request that was lost may still be answered. Exchanges in a row whose numbers
        # leave no other reading end this.
        self._shaken = midstream or gapped
        self._why = _AFTER_GAP if self._shaken else 0
        self._proofs = 0
        self._client_closed = False
        self._skipped = False  # a body was announced and never sent
        self._doubtful = False  # a request has ended where another reader may not see its end
        self._surplus: deque[Message] = deque()
        self._last: int | None = None  # the exchange of the last whole response; -1: unknown
        self._spilled = False  # bytes behind its end are still in the way of the next response
        self.extra = 0  # bytes of the server that began no message
        self._interim_end: int | None = None  # where the last interim response ended
        self._after_interim = False
        self._early: tuple[Message, Message, Outcome, int] | None = None
        self._most_recent: Message | None = None  # the request that the current response answers
        # What has come in a tunnel of which it is not known yet what it carries.
        self._inside: list[tuple[int, bytes, int, int, int, int]] = []
        self._readers: tuple[MessageReader, ...] = (
            MessageReader(
                is_request=True,
                on_head=self._request_head,
                on_end=self._request_end,
                on_lost=self._request_lost,
                anomalies=anomalies,
                whole=whole,
            ),
            MessageReader(
                is_request=False,
                on_head=self._response_head,
                on_end=self._response_end,
                on_lost=self._response_lost,
                anomalies=anomalies,
                whole=whole,
                on_stray=self._stray,
                on_strayed=self._strayed,
                may_begin=self._may_begin,
            ),
        )

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding, begun or in doubt: the next request is a fresh start."""
        return (
            self.carries is Carries.HTTP
            and not self._shaken
            and not self.outstanding
            and not self._surplus
            and not self._spilled
            and not self._after_interim
            and self._readers[0].idle
            and self._readers[1].idle
        )

    def took_ordinary(self, count: int, seq: int, ack: int, last: int = -1) -> None:
        """`count` ordinary exchanges were read past this object, the first with these numbers.

        `last` is the last one's number, or what stands for it until `wrote_ordinary`.
        """
        self.requests += count
        self.answered += count
        self._last = last
        if self.first_request is None:
            self.first_request = (seq, ack)

    def wrote_ordinary(self, last: int, number: int) -> None:
        """The exchange that `last` stood for has this number."""
        if self._last == last:
            self._last = number

    # --- bytes in --------------------------------------------------------------------------

    def data(self, side: int, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes in order of the client (0) or the server (1)."""
        if self.carries is not Carries.HTTP:
            if self.carries is Carries.UNKNOWN:
                self._inside.append((side, piece, frame, time, seq, ack))
                self._decide(side)
            return
        reader = self._readers[side]
        waiting = reader.body_announced if side == 0 else None
        if (
            waiting is not None
            and waiting.fields.expect
            and waiting not in self.outstanding
            and grammar.begins_clearly(piece)
        ):
            # Refused before it had sent the body, the client goes on with another request
            # (RFC 9110 §10.1.1). Whether the server does too, its answer will tell.
            reader.skip_body()
            self._put_early()
            self._skipped = True
        reader.feed(piece, frame, time, seq, ack)

    def _decide(self, side: int) -> None:
        """What a tunnel carries, from what has come of `side` (RFC 9110 §9.3.6)."""
        client, carries = roles(side, b"".join(p for s, p, *_ in self._inside if s == side))
        if carries is Carries.UNKNOWN and len(self._inside) < _MOST_INSIDE:
            return
        inside, self._inside = self._inside, []
        if carries is Carries.HTTP and client == 0:
            self.anomalies.count("tunnel-http")
            self.carries = Carries.HTTP
            self._readers[1].leave_tunnel()
            for piece in inside:
                self.data(*piece)
        elif carries is not Carries.OTHER or not self._shaken:
            # Behind a gap the next piece may still begin a request.
            self.anomalies.count("tunnel")
            self.carries = Carries.TUNNEL

    def gap(self, side: int, size: int) -> None:
        """`size` bytes of a side are missing here."""
        self._inside.clear()
        self._shake(_GAP_RESPONSE if side else _GAP_REQUEST)
        self._readers[side].gap(size)

    def _shake(self, flag: int, why: int = 0) -> None:
        """From here on order alone does not pair, and what is outstanding is limited by `flag`.

        What follows has the flag `why`: bytes that could not be read, or a gap.
        """
        self._shaken = True
        self._why |= why or (flag & _DAMAGED or _AFTER_GAP)
        self._proofs = 0
        for request in self.outstanding:
            request.flags |= flag

    def close(self, side: int, frame: int, time: int) -> None:
        """A side's FIN, in order."""
        if side == 0:
            self._client_closed = True
        self._readers[side].close(frame, time)

    def finish(self, *, open_at_end: bool, flags: int) -> None:
        """The connection is over (or the capture is): what is outstanding will stay so."""
        if open_at_end:
            flags |= _OPEN_AT_END
        before = flags
        if self._shaken:
            flags |= self._why
        self._put_early()
        reader = self._readers[1]
        response = reader.message
        if response is not None and response.status >= 200:
            self._abandon(response, flags)
        elif (stray := reader.ended_astray()) is not None:
            self._ended_astray(stray, flags)
            if self._shaken:
                flags = before | self._why
        elif (part := reader.rest()) is not None and not 100 <= part.status < 200:
            self._ended_in_head(part, flags)
        while self._surplus:
            self._lone(self._surplus.popleft(), flags)
        while self.outstanding:
            request = self.outstanding.popleft()
            if not request.complete:
                flags |= _REQUEST_OPEN
            if self._spilled:
                flags |= _AFTER_EXTRA
            self._put(request, None, Outcome.UNANSWERED, flags)
        # The readers hold methods of this object: without them it is let go at once.
        self._readers = ()

    def _ended_in_head(self, part: Message, flags: int) -> None:
        """Nothing more came than a part of a response's head."""
        request = self._claim(part)
        if request is not None:
            self.outstanding.remove(request)
            self._put(request, part, Outcome.INCOMPLETE, flags | _HEAD_CUT)
        elif not self.outstanding and not self._shaken:
            self._count_extra(part)

    def _ended_astray(self, stray: Message, flags: int) -> None:
        """The connection ended in bytes that begin no message."""
        request = self._claim(stray)
        if request is None or (self._last is not None and request.flags & _PIPELINED):
            self._count_extra(stray)
            return
        self.outstanding.remove(request)
        self._put(request, stray, Outcome.INCOMPLETE, flags | _NOT_HTTP)
        self._shake(_DAMAGED)

    # --- bytes that begin no message --------------------------------------------------------

    def _stray(self, stray: Message, anomaly: str) -> bool:
        """Bytes of the server that begin no message: whether they are to be counted."""
        if self._shaken or (self._last is None and not self.outstanding):
            return False
        requests = self.outstanding
        behind = self._last is not None and not (requests and covers(stray.ack, requests[0].seq))
        self.anomalies.count("extra-bytes" if behind else anomaly)
        return True

    def _may_begin(self, ack: int) -> bool:
        """Whether a response may begin in bytes that bear this acknowledgement number."""
        return bool(self.outstanding) and covers(ack, self.outstanding[0].seq)

    def _strayed(self, stray: Message) -> None:
        """A response begins behind bytes that begin none, or some bytes are missing there."""
        if self._last is None:
            self._shake(_DAMAGED)
        else:
            self._count_extra(stray)

    def _count_extra(self, stray: Message) -> None:
        """They came behind the end of the last response, and belong to it."""
        if self._last is None:
            return
        self._spilled = True
        self.extra += stray.length
        if self._last != -1:
            self._recorder.extra(self._last, stray)

    # --- requests --------------------------------------------------------------------------

    def _request_head(self, request: Message) -> bytes:
        self.requests += 1
        if self.first_request is None:
            self.first_request = (request.seq, request.ack)
        if self.outstanding:
            request.flags |= _PIPELINED
        if self._skipped:
            request.flags |= _BODY_SKIPPED
        if self._doubtful:
            request.flags |= _DOUBTFUL
        interim = self._interim_end
        if interim is not None and self.outstanding and covers(request.ack, interim):
            self._after_interim = True
        if self._after_interim:
            request.flags |= _AFTER_INTERIM
        if len(self.outstanding) >= limits.OUTSTANDING:
            self.anomalies.count("outstanding-limit")
            self._put(self.outstanding.popleft(), None, Outcome.UNANSWERED, _DAMAGED)
        self.outstanding.append(request)
        if self._surplus:
            # A client that reads its connection in order takes this for its answer.
            surplus = self._surplus.popleft()
            self.outstanding.remove(request)
            self._pair(request, surplus, _SURPLUS)
        return b""

    def _request_end(self, request: Message) -> None:
        self._put_early()
        if request.doubtful:
            self._doubtful = True
            # What follows may be no request at all, which DOUBTFUL says of it.
            self._shake(_DAMAGED, _AFTER_GAP)

    def _request_lost(self, request: Message | None, by_gap: bool) -> None:
        self._put_early()
        self._shake(_GAP_REQUEST if by_gap else _DAMAGED)
        if request is not None:
            request.flags |= _GAP_REQUEST if by_gap else _DAMAGED

    # --- responses -------------------------------------------------------------------------

    def _response_head(self, response: Message) -> bytes:
        request = self._claim(response)
        if response.status < 200 and response.status != 101:
            # Interim: the final answer is still to come (RFC 9110 §15.2).
            if request is not None:
                request.flags |= _INTERIM
                self._interim_end = response.seq
            return b""
        self._interim_end = None
        self._most_recent = request
        if self.first_request is None and self.first_response is None:
            self.first_response = (response.ack, response.seq)
        if request is None:
            return b""
        self.outstanding.remove(request)
        if self._spilled:
            self._spilled = False
            response.flags |= _AFTER_EXTRA
        if self._client_closed:
            response.flags |= _AFTER_CLIENT_CLOSE
        return request.method

    def _claim(self, response: Message) -> Message | None:
        """The outstanding request that `response` answers, by order and by causality."""
        outstanding = self.outstanding
        if not outstanding:
            return None
        first = outstanding[0]
        if not self._shaken:
            return first if covers(response.ack, first.seq) else None
        # After a gap only the numbers count: a client that sent its request when it had
        # received everything up to here is being answered here.
        exact = [r for r in outstanding if r.ack == response.seq and covers(response.ack, r.seq)]
        if not exact:
            return None
        chosen = exact[0]
        chosen.flags |= self._why
        # What those before it were answered was missed, or could not be read.
        missed = _DAMAGED if self._why == _DAMAGED else _GAP_RESPONSE
        clear = len(exact) == len(outstanding) == 1
        self._proofs = self._proofs + 1 if clear else 0
        if self._proofs >= _PROOFS:
            self._shaken = self._midstream = False
            self._why = 0
        while outstanding[0] is not chosen:
            passed = outstanding.popleft()
            self._put(passed, None, Outcome.UNANSWERED, passed.flags | missed)
        return chosen

    def _response_end(self, response: Message) -> None:
        if response.status < 200 and response.status != 101:
            return
        request, self._most_recent = self._most_recent, None
        if request is not None:
            self._pair(request, response, 0)
            return
        if self._shaken:
            self._lone(response, _MIDSTREAM if self._midstream else self._why)
            return
        if not self.outstanding and not self._readers[0].idle:
            # An answer to a request that has begun and whose head may never end.
            self._shake(_DAMAGED)
            self._lone(response, _DAMAGED)
            return
        late = self.outstanding
        if late and not covers(response.ack, late[0].seq):
            # Sent before the server had this request, and read as its answer all the same.
            self._pair(late.popleft(), response, _SURPLUS)
        elif len(self._surplus) < limits.OUTSTANDING:
            self._surplus.append(response)
        else:
            self.anomalies.count("outstanding-limit")

    def _pair(self, request: Message, response: Message, flags: int) -> None:
        outcome = Outcome.ANSWERED if response.complete else Outcome.INCOMPLETE
        if response.tunnel:
            flags |= _TUNNEL
            self._open_tunnel(request)
        if response.complete:
            self.answered += 1
        if response.doubtful:
            flags |= _DAMAGED
            self._shake(_DAMAGED)
        reader = self._readers[0] if self._readers else None
        if reader is not None and reader.message is request:
            # Answered before its end (RFC 9112 §9.5): what its length is shows only then.
            self._early = (request, response, outcome, flags)
            self._last = -1
        else:
            self._last = self._put(request, response, outcome, flags)

    def _open_tunnel(self, request: Message) -> None:
        """From here on the connection carries what the client speaks with another server."""
        reader = self._readers[0] if self._readers else None
        if request.method != b"CONNECT" or reader is None:
            self.carries = Carries.TUNNEL
        elif self.outstanding or not reader.idle:
            # It did not wait for the answer. What it sent has been read as HTTP, or could not be.
            other = reader.state is State.LOST
            self.anomalies.count("tunnel" if other else "tunnel-http")
            if other:
                self.carries = Carries.TUNNEL
            else:
                self._readers[1].leave_tunnel()
        else:
            self.carries = Carries.UNKNOWN

    def _put_early(self) -> None:
        """The request that was answered early has ended, or never will."""
        early, self._early = self._early, None
        if early is not None:
            number = self._put(*early)
            if self._last == -1:
                self._last = number

    def _response_lost(self, response: Message | None, by_gap: bool) -> None:
        flag = _GAP_RESPONSE if by_gap else _DAMAGED
        self._shake(flag)
        if response is not None:
            self._abandon(response, flag)

    def _abandon(self, response: Message, flags: int) -> None:
        """A response that began and will not end."""
        if response.status < 200:
            return
        if _is_whole(response):
            flags |= _BODY_WHOLE
        request, self._most_recent = self._most_recent, None
        if request is not None:
            self._put(request, response, Outcome.INCOMPLETE, flags)
        elif self.outstanding and not self._shaken:
            self._put(self.outstanding.popleft(), response, Outcome.INCOMPLETE, flags | _SURPLUS)
        else:
            self._lone(response, flags)

    def _lone(self, response: Message, flags: int) -> None:
        if self._shaken:
            flags |= self._why
        self._proofs = 0
        if flags & _LOST:
            self.anomalies.count("response-without-request")
            return
        self.anomalies.count("response-unsolicited")
        self._put(None, response, Outcome.UNSOLICITED, flags)

    def _put(
        self, request: Message | None, response: Message | None, outcome: int, flags: int
    ) -> int:
        if request is not None:
            flags |= request.flags
            if request.gap:
                flags |= _GAP_REQUEST
        if response is not None:
            flags |= response.flags
            if response.gap:
                flags |= _GAP_RESPONSE
        return self._recorder.exchange(self.number, request, response, outcome, flags)


def _is_whole(response: Message) -> bool:
    """Whether the body of a response that did not end is whole by its own grammar."""
    if response.gap:
        return False
    if response.body_ended:
        return True
    return response.body is not None and content.is_whole(
        b"".join(response.body), response.fields.content_coding
    )


def roles(side: int, piece: bytes) -> tuple[int | None, Carries]:
    """Which side is the client, and what the connection carries, from a side's first bytes.

    The side is None while more bytes are needed (UNKNOWN) or where it does not matter.
    """
    protocol = grammar.sniff(piece)
    if protocol is Protocol.REQUEST:
        return side, Carries.HTTP
    if protocol is Protocol.RESPONSE:
        return 1 - side, Carries.HTTP
    return None, _CARRIES.get(protocol, Carries.UNKNOWN)
