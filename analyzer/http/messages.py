"""One direction of a connection in, MESSAGES out: where each begins and ends, and its body.

Law: bytes arrive in order, in pieces of any size, and the messages do not depend on where the
pieces end. A gap inside a body of known length is counted; any other gap ends the message, and
reading picks up at a piece that begins with an unmistakable start line. Bytes that begin no message
are counted, and end where such a line begins.
"""

import re
from collections.abc import Callable
from enum import Enum, auto

from analyzer import limits
from analyzer.anomalies import Anomalies
from analyzer.http import grammar
from analyzer.http.content import LONGEST_REQUEST_BODY
from analyzer.http.framing import Framing, Kind, framing
from analyzer.http.grammar import Fields
from analyzer.tables import Flag

_LONGEST_CHUNK_LINE = 4_096
_ODD_START_LINE = int(Flag.ODD_START_LINE)
BEGINNING = 256  # bytes of what is no message that are kept
_LARGEST_CHUNK = 1 << 62
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]+\Z")


class Message:
    """A request or a response; positions are those of its first and last byte.

    `frame` and `end_frame` are frame ids (capture index << 32 | frame number), `time` and
    `end_time` ns since 1970, `seq` and `ack` the numbers at its first byte. `length` counts body
    bytes without transfer coding, `announced` is its Content-Length. `status` is 0 in a request and
    in what is no message, a part of a head or bytes that begin none; `length` counts those all, and
    `begins` has the first of them.
    """

    __slots__ = (
        "ack",
        "announced",
        "begins",
        "body",
        "body_ended",
        "complete",
        "doubtful",
        "end_frame",
        "end_time",
        "fields",
        "flags",
        "frame",
        "gap",
        "head",
        "length",
        "method",
        "seq",
        "status",
        "target",
        "time",
        "tunnel",
    )

    def __init__(self, frame: int, time: int, seq: int, ack: int) -> None:
        self.frame = frame
        self.time = time
        self.seq = seq
        self.ack = ack
        self.end_frame = 0
        self.end_time = 0
        self.method = b""
        self.target = b""
        self.status = 0
        self.fields: Fields = _NO_FIELDS
        self.head = b""  # its field lines
        self.length = 0
        self.body: list[bytes] | None = None  # None: not kept
        self.announced = 0
        self.begins = b""
        self.body_ended = False  # its last chunk has come
        self.complete = False
        self.gap = False
        self.doubtful = False  # its framing is ambiguous
        self.tunnel = False
        self.flags = 0


_NO_FIELDS = Fields()


class State(Enum):
    """Where in a stream of messages the reader stands."""

    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    CLOSE = auto()
    TUNNEL = auto()
    LOST = auto()
    STRAY = auto()  # in bytes that begin no message


OnHead = Callable[[Message], bytes]
OnEnd = Callable[[Message], None]
OnLost = Callable[[Message | None, bool], None]
OnStray = Callable[[Message, str], bool]
MayBegin = Callable[[int], bool]


class MessageReader:
    """Reads the messages of one direction.

    `on_head` is told of a message when its head is complete and returns the method of the request
    that it answers (b"" for requests); `on_end` when its last byte has come; `on_lost` when framing
    is lost: of the message that was being read, if any, and whether a gap was the reason. `whole`
    requests keep bodies as long as those of responses.

    `on_stray` is told where bytes begin that are no message, and of the anomaly that they are; it
    returns whether they are to be counted, until `may_begin` says of an acknowledgement number that
    a message may begin in bytes that bear it. `on_strayed` is told where they ended.
    """

    __slots__ = (
        "_buffer",
        "_chunk_or_body_left",
        "_is_request",
        "_last",
        "_longest_body",
        "_may_begin",
        "_on_end",
        "_on_head",
        "_on_lost",
        "_on_stray",
        "_on_strayed",
        "_start",
        "anomalies",
        "message",
        "state",
        "stray",
    )

    def __init__(
        self,
        *,
        is_request: bool,
        on_head: OnHead,
        on_end: OnEnd,
        on_lost: OnLost,
        anomalies: Anomalies,
        whole: bool = False,
        on_stray: OnStray | None = None,
        on_strayed: OnEnd | None = None,
        may_begin: MayBegin | None = None,
    ) -> None:
        self._is_request = is_request
        longest = limits.BODY if whole or not is_request else LONGEST_REQUEST_BODY
        self._longest_body = longest
        self._on_head = on_head
        self._on_end = on_end
        self._on_lost = on_lost
        self._on_stray = on_stray
        self._on_strayed = on_strayed
        self._may_begin = may_begin
        self.anomalies = anomalies
        self.state = State.HEAD
        self.message: Message | None = None
        self.stray: Message | None = None  # bytes that begin no message, counted in `length`
        self._last = (0, 0)  # frame and time of what waits in the buffer
        self._buffer = b""
        self._start: tuple[int, int, int, int] | None = None
        self._chunk_or_body_left = 0

    @property
    def idle(self) -> bool:
        """Whether the next byte begins a message."""
        return self.state is State.HEAD and not self._buffer and self._start is None

    def feed(self, piece: bytes, frame: int, time: int, seq: int, ack: int) -> None:
        """The next bytes of the direction, in order; the position is that of their segment."""
        state = self.state
        if state is State.LOST:
            if not grammar.begins_clearly(piece):
                return
            state = self.state = State.HEAD
        if self._buffer:
            # Positions stay those of the message's first byte, kept in `_start`.
            data = self._buffer + piece
            self._buffer = b""
        else:
            data = piece
        base = seq + len(piece) - len(data)
        at, end = 0, len(data)
        while at < end:
            state = self.state
            if state is State.HEAD:
                at = self._head(data, at, frame, time, base, ack)
            elif state is State.LENGTH:
                at = self._take(data, at, min(end, at + self._chunk_or_body_left))
                if not self._chunk_or_body_left:
                    self._end(frame, time)
            elif state is State.CHUNK_DATA:
                at = self._take(data, at, min(end, at + self._chunk_or_body_left))
                if not self._chunk_or_body_left:
                    self.state = State.CHUNK_END
            elif state is State.CLOSE:
                at = self._take(data, at, end)
                if self.message is not None:
                    self.message.end_frame, self.message.end_time = frame, time
            elif state is State.STRAY:
                at = self._astray(data, at, frame, time, ack)
            elif state is State.TUNNEL or state is State.LOST:
                return
            else:
                following = self._chunk_line(data, at, frame, time)
                if following < 0:
                    self._buffer = data[at:]
                    return
                at = following

    # --- heads -----------------------------------------------------------------------------

    def _head(self, data: bytes, at: int, frame: int, time: int, base: int, ack: int) -> int:
        """Read a head at `at`; returns where it ends, or the data's end when more is needed."""
        if self._start is None:
            # Empty lines before a start line are skipped (RFC 9112 §2.2).
            while data[at : at + 1] in (b"\r", b"\n"):
                at += 1
            if at >= len(data):
                return at
            self._start = (frame, time, base + at & 0xFFFFFFFF, ack)
        rest = data[at:] if at else data
        size = grammar.end_of_head(rest)
        if size < 0:
            if len(rest) > limits.HEAD:
                self.anomalies.count("head-too-long")
                self._lose()
            elif not self._may_be_head(rest):
                return self._no_start(data, at, "start-line-invalid")
            else:
                self._buffer = rest
                self._last = (frame, time)
            return len(data)
        message = Message(*self._start)
        line, _, block = rest[:size].partition(b"\n")
        line = line.rstrip(b"\r")
        if not self._start_line(message, line):
            like = not self._is_request and line[:5].upper() == b"HTTP/"
            return self._no_start(data, at, "status-line-invalid" if like else "start-line-invalid")
        self._start = None
        if grammar.odd_start_line(line):
            self.anomalies.count("start-line-odd")
            message.flags |= _ODD_START_LINE
        message.head = block
        message.fields = grammar.fields(block)
        method = self._on_head(message)
        how = framing(message.fields, status=message.status, method=method)
        for oddity in (*message.fields.oddities, *([how.oddity] if how.oddity else [])):
            # Two readers of such a message may disagree on where it ends (RFC 9112 §11.2).
            self.anomalies.count(oddity)
            message.doubtful = True
        self._begin_body(message, how)
        if message.complete:
            self._end(frame, time)
        return at + size

    def _no_start(self, data: bytes, at: int, anomaly: str) -> int:
        """No message begins at `at`; returns where to go on."""
        assert self._start is not None
        stray = Message(*self._start)
        if self._on_stray is None or not self._on_stray(stray, anomaly):
            self.anomalies.count(anomaly)
            self._lose()
            return len(data)
        self._start = None
        self.stray = stray
        self.state = State.STRAY
        return at

    def _astray(self, data: bytes, at: int, frame: int, time: int, ack: int) -> int:
        """Bytes from `at` on that begin no message, as far as one may begin; where they end."""
        stray = self.stray
        assert stray is not None and self._may_begin is not None
        begins, part = -1, len(data)
        if self._may_begin(ack):
            # What looks like a status line and was none at the first byte is none again.
            begins, part = grammar.status_within(data, at + (not stray.length))
        end = begins if begins >= 0 else part
        if len(stray.begins) < BEGINNING:
            stray.begins += data[at : min(end, at + BEGINNING - len(stray.begins))]
        stray.length += end - at
        stray.end_frame, stray.end_time = frame, time
        if begins >= 0:
            self.strayed()
            self.state = State.HEAD
        elif part < len(data):
            self._buffer = data[part:]
            return len(data)
        return end

    def ended_astray(self) -> Message | None:
        """The bytes that began no message, if nothing more will come: what might begin one too."""
        stray, rest = self.stray, self._buffer
        if stray is not None and rest:
            stray.begins += rest[: BEGINNING - len(stray.begins)]
            stray.length += len(rest)
            self._buffer = b""
        return stray

    def strayed(self) -> None:
        """The bytes that began no message have come to their end, if there were any."""
        stray, self.stray = self.stray, None
        if stray is not None and self._on_strayed is not None:
            self._on_strayed(stray)

    def rest(self) -> Message | None:
        """What has come of a head whose end has not, when nothing more will come."""
        if self.state is not State.HEAD or self._start is None or not self._buffer:
            return None
        part = Message(*self._start)
        part.length = len(self._buffer)
        part.end_frame, part.end_time = self._last
        self._start_line(part, self._buffer.partition(b"\n")[0].rstrip(b"\r"))
        part.head = self._buffer.partition(b"\n")[2]
        part.begins = self._buffer[:BEGINNING]
        return part

    def _may_be_head(self, rest: bytes) -> bool:
        if not self._is_request:
            return grammar.may_be_status_line(rest)
        return grammar.sniff(rest) in (grammar.Protocol.REQUEST, grammar.Protocol.UNDECIDED)

    def _start_line(self, message: Message, line: bytes) -> bool:
        if self._is_request:
            request = grammar.request_line(line)
            if request is None:
                return False
            message.method, message.target, _ = request
            return True
        status = grammar.status_line(line)
        if status is None:
            return False
        message.status = status[0]
        return True

    # --- bodies ----------------------------------------------------------------------------

    def _begin_body(self, message: Message, how: Framing) -> None:
        kind = how.kind
        self.message = message
        if kind is Kind.NONE:
            message.complete = True
            return
        if how.length <= self._longest_body:
            message.body = []
        if kind is Kind.LENGTH:
            message.announced = how.length
            self.state = State.LENGTH
            self._chunk_or_body_left = how.length
        elif kind is Kind.CHUNKED:
            self.state = State.CHUNK_SIZE
        elif kind is Kind.CLOSE:
            self.state = State.CLOSE
        else:
            message.complete = message.tunnel = True
            self.state = State.TUNNEL

    def _take(self, data: bytes, at: int, end: int) -> int:
        """Body bytes data[at:end]; returns `end`."""
        message = self.message
        assert message is not None
        size = end - at
        message.length += size
        if message.body is not None:
            message.body.append(data[at:end])
            if message.length > self._longest_body:
                message.body = None
        if self.state is not State.CLOSE:
            self._chunk_or_body_left -= size
        return end

    def _chunk_line(self, data: bytes, at: int, frame: int, time: int) -> int:
        """A line of chunk framing (RFC 9112 §7.1); returns where it ends, -1: more is needed."""
        end = data.find(b"\n", at)
        if end < 0:
            if len(data) - at > _LONGEST_CHUNK_LINE:
                self._break()
                return len(data)
            return -1
        line = data[at:end].rstrip(b"\r")
        end += 1
        if self.state is State.CHUNK_END:
            if line:
                self._break()
                return len(data)
            self.state = State.CHUNK_SIZE
        elif self.state is State.TRAILERS:
            if not line:
                self._end(frame, time)
        else:
            digits = line.partition(b";")[0].strip()
            size = int(digits, 16) if _CHUNK_SIZE.match(digits) else _LARGEST_CHUNK
            if size >= _LARGEST_CHUNK:
                self._break()
                return len(data)
            self._chunk_or_body_left = size
            self.state = State.CHUNK_DATA if size else State.TRAILERS
            message = self.message
            if message is not None and not size:
                message.body_ended = True
        return end

    def _end(self, frame: int, time: int) -> None:
        message = self.message
        assert message is not None
        self.message = None
        if self.state is not State.TUNNEL:
            self.state = State.HEAD
        message.complete = True
        message.end_frame, message.end_time = frame, time
        self._on_end(message)

    # --- what goes wrong -------------------------------------------------------------------

    def skip_body(self) -> Message | None:
        """The body of the message being read will not come: its sender goes on without it."""
        message, self.message = self.message, None
        self.state = State.HEAD
        return message

    def leave_tunnel(self) -> None:
        """What is in the tunnel are messages again."""
        if self.state is State.TUNNEL:
            self.state = State.HEAD

    @property
    def body_announced(self) -> Message | None:
        """The message whose head has come and of whose body of known length nothing has."""
        message = self.message
        return message if self.state is State.LENGTH and message and not message.length else None

    def gap(self, size: int) -> None:
        """`size` bytes are missing here."""
        message = self.message
        if self.state in (State.LENGTH, State.CHUNK_DATA) and message is not None:
            message.gap = True
            message.body = None
            left = self._chunk_or_body_left
            if size < left or (size == left and self.state is State.CHUNK_DATA):
                message.length += size
                self._chunk_or_body_left -= size
                if not self._chunk_or_body_left:
                    self.state = State.CHUNK_END
                return
            if size == left:
                # Exactly the rest of the body: the message is whole but for what is missing.
                message.length += size
                self._chunk_or_body_left = 0
                self._end(message.frame, message.time)
                return
        elif self.state is State.CLOSE and message is not None:
            message.gap = True
            message.body = None
            return
        elif self.state is State.TUNNEL or self.state is State.LOST:
            return
        self.strayed()
        self._lose(by_gap=True)

    def close(self, frame: int, time: int) -> None:
        """The direction's FIN: it ends a body that is delimited by the close."""
        if self.state is State.CLOSE and self.message is not None:
            self._end(frame, time)

    def _break(self) -> None:
        self.anomalies.count("chunk-invalid")
        self._lose()

    def _lose(self, *, by_gap: bool = False) -> None:
        """Framing is lost; a message in progress stays incomplete."""
        message, self.message = self.message, None
        if message is not None:
            message.body = None
        self._buffer = b""
        self._start = None
        self.state = State.LOST
        self._on_lost(message, by_gap)
