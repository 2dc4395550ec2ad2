"""Every table: its columns, their types, units and meaning; and the store that keeps one.

Law: a column name has one type and one meaning everywhere. Long tables live in a `Store`: rows are
packed as they come and kept as compressed columns, so that a further exchange costs tens of bytes
and never a Python object.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import zstandard

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `code` is a `struct` format character, little endian."""

    name: str
    code: str
    unit: str
    meaning: str


Address = tuple[int, int]  # the high and the low 64 bits, IPv4 as IPv6 maps it


SKETCH_WORDS = 4  # of 64 bits, in which the sketch of a response is kept
MOST_REFUSALS = 10_000  # that are kept; all are counted


class Refusal(NamedTuple):
    """A SYN that was answered with a reset: who had asked whom, and the frame of the reset."""

    time: int  # ns since 1970, of the reset
    frame: int  # capture << 32 | frame
    client: Address
    client_port: int
    server: Address
    server_port: int


class Outcome(IntEnum):
    """What became of a request, or what a lone response is."""

    ANSWERED = 0
    UNANSWERED = 1
    INCOMPLETE = 2
    UNSOLICITED = 3


class Flag(IntFlag):
    """What qualifies an exchange; FLAGS says what each means."""

    GAP_REQUEST = 1 << 0
    GAP_RESPONSE = 1 << 1
    AFTER_GAP = 1 << 2
    MIDSTREAM = 1 << 3
    OPEN_AT_END = 1 << 4
    ONE_WAY = 1 << 5
    SURPLUS = 1 << 6
    PIPELINED = 1 << 7
    AFTER_CLIENT_CLOSE = 1 << 8
    INTERIM = 1 << 10
    HAS_TOKEN = 1 << 11
    ECHOES = 1 << 12
    TUNNEL = 1 << 13
    REQUEST_OPEN = 1 << 14
    DAMAGED = 1 << 15
    BODY_SKIPPED = 1 << 16
    DOUBTFUL = 1 << 17
    HEAD_CUT = 1 << 18
    NOT_HTTP = 1 << 19
    ODD_START_LINE = 1 << 20
    EXTRA_BYTES = 1 << 21
    AFTER_EXTRA = 1 << 22
    BODY_WHOLE = 1 << 23
    AFTER_INTERIM = 1 << 24
    DEMAND_KEPT = 1 << 25
    DEMAND_BROKEN = 1 << 26
    HEAD_ALONE = 1 << 27

    # The capture's own limits.
    LOSS = GAP_REQUEST | GAP_RESPONSE | AFTER_GAP | MIDSTREAM | OPEN_AT_END | ONE_WAY


# What each flag means, for a person.
FLAGS: dict[Flag, str] = {
    Flag.GAP_REQUEST: "frames from the client are missing in the capture",
    Flag.GAP_RESPONSE: "frames from the server are missing in the capture",
    Flag.AFTER_GAP: "it follows a gap or a late start of the capture on its connection",
    Flag.MIDSTREAM: "its connection was open before the capture began",
    Flag.OPEN_AT_END: "the capture ends while it is outstanding",
    Flag.ONE_WAY: "one direction alone of its connection was captured",
    Flag.SURPLUS: "its response was sent before the server had the request",
    Flag.PIPELINED: "it was asked while its connection owed another answer",
    Flag.AFTER_CLIENT_CLOSE: "its response came after the client's FIN",
    Flag.INTERIM: "an interim (1xx) response came first",
    Flag.HAS_TOKEN: "its request names something that its response may repeat",
    Flag.ECHOES: "its response repeats that",
    Flag.TUNNEL: "with its response its connection became another protocol's",
    Flag.REQUEST_OPEN: "its request never ended",
    Flag.DAMAGED: "bytes on its connection can be read in no way or in two as HTTP",
    Flag.BODY_SKIPPED: "sent where the server still waits for the body of a refused request",
    # RFC 9112 §11.2
    Flag.DOUBTFUL: "behind a request that two readers may end in two places",
    Flag.HEAD_CUT: "of its response came no more than a part of its head",
    Flag.NOT_HTTP: "what came where its response must be is not HTTP/1.x",
    Flag.ODD_START_LINE: "a start line that many readers refuse, read loosely",
    Flag.EXTRA_BYTES: "behind its response's end came bytes that begin no message",
    Flag.AFTER_EXTRA: "such bytes stood where its response had to begin",
    Flag.BODY_WHOLE: "its response is incomplete, but the body is whole by its own grammar",
    Flag.AFTER_INTERIM: "sent after no more than an interim response to the request before it, as "
    "is all that follows on its connection",
    Flag.DEMAND_KEPT: "its response repeats what the protocol demands (`demanded`)",
    Flag.DEMAND_BROKEN: "its response repeats it as another request's would",
    Flag.HEAD_ALONE: "of its incomplete response came the head, and of its content nothing: no "
    "event, no byte",
}


class Close(IntEnum):
    """Which end of a connection closed it first, and how."""

    NONE = 0
    CLIENT_FIN = 1
    SERVER_FIN = 2
    CLIENT_RST = 3
    SERVER_RST = 4


class ConnectionFlag(IntFlag):
    """What is known about a connection as a whole."""

    CLIENT_SYN = 1 << 0
    SERVER_SYN = 1 << 1
    CLIENT_GAP = 1 << 2
    SERVER_GAP = 1 << 3
    CLIENT_FIN_ACKED = 1 << 4
    SERVER_FIN_ACKED = 1 << 5
    OPEN_AT_END = 1 << 6
    ONE_WAY = 1 << 7
    CLIENT_ZERO_WINDOW = 1 << 8
    COPIES_DIFFER = 1 << 9
    CLIENT_REPEATS = 1 << 10  # the client's last bytes, again and again, without an ack
    SERVER_REPEATS = 1 << 11
    SERVER_RESET = 1 << 12  # the RST that ended it was the server's
    EXTRA_BYTES = 1 << 14  # the server sent bytes that begin no message, behind a whole response
    RESET_IGNORED = 1 << 13  # both sides went on after a RST, or its number counted for nothing


EXCHANGES: tuple[Column, ...] = (
    Column("connection", "I", "", "row number of the connection"),
    Column("outcome", "B", "Outcome", "answered, unanswered, incomplete or unsolicited"),
    Column("flags", "I", "Flag", "what qualifies the exchange"),
    Column("request_capture", "H", "", "index of the file with the request's first byte"),
    Column("request_frame", "I", "", "frame with the request's first byte; 0: none"),
    Column("request_time", "q", "ns", "capture time of that frame, since 1970, UTC"),
    Column("request_seq", "I", "", "sequence number of the request's first byte"),
    Column("request_ack", "I", "", "acknowledgement number in that segment"),
    Column("request_length", "Q", "bytes", "the request's body, transfer coding removed"),
    Column("request_sum", "I", "", "CRC-32 of target, credentials and body; 0: not whole, or none"),
    Column("request_behalf", "I", "", "CRC-32 of whom the credentials name; 0: nobody"),
    Column("response_capture", "H", "", "index of the file with the response's first byte"),
    Column("response_frame", "I", "", "frame with the response's first byte; 0: none"),
    Column("response_time", "q", "ns", "capture time of that frame"),
    Column("response_seq", "I", "", "sequence number of the response's first byte"),
    Column("response_ack", "I", "", "acknowledgement number in that segment"),
    Column("response_end_frame", "I", "", "frame with the response's last byte; 0: none"),
    Column("response_end_time", "q", "ns", "capture time of that frame"),
    # Of a part of a head, and of what is not HTTP, all bytes.
    Column("response_length", "Q", "bytes", "the response's body, transfer coding removed"),
    Column(
        "response_announced", "Q", "bytes", "the Content-Length that did not come whole; else 0"
    ),
    Column("response_extra", "I", "bytes", "behind the response's end, and of no message"),
    Column("response_sum", "I", "", "Adler-32 of a body that was looked into, as sent; else 0"),
    # What it says by place (`features.sketch`), where its request bears credentials; else 0.
    *(
        Column(f"response_sketch{n}", "Q", "", f"bytes {8 * n} to {8 * n + 7} of its sketch")
        for n in range(SKETCH_WORDS)
    ),
    Column("status", "H", "", "status code; 0: none"),
    Column("route", "I", "", "index of the route (method, host, path with typed variables)"),
    Column("form", "I", "", "index of the response's form (media type and shape)"),
)

CONNECTIONS: tuple[Column, ...] = (
    Column("connection", "I", "", "row number of the connection"),
    Column("stream", "I", "", "rank by first frame: what Wireshark calls tcp.stream"),
    Column("interface", "I", "", "index of the interface in the list of all interfaces"),
    Column("client", "I", "", "index of the client's address"),
    Column("server", "I", "", "index of the server's address"),
    Column("client_port", "H", "", "TCP port"),
    Column("server_port", "H", "", "TCP port"),
    Column("source", "I", "", "index of the client's address by a PROXY header; else the client's"),
    Column("source_port", "H", "", "TCP port by that header; 0: none"),
    Column("flags", "H", "ConnectionFlag", "what is known about the connection"),
    Column("first_close", "B", "Close", "which end closed first, and how"),
    Column("first_time", "q", "ns", "time of the first frame"),
    Column("last_time", "q", "ns", "time of the last frame"),
    Column("first_capture", "H", "", "index of the file with the first frame"),
    Column("first_frame", "I", "", "number of the first frame"),
    Column("join_seq", "I", "", "sequence number of the first request byte, alike at all vantages"),
    Column("join_ack", "I", "", "acknowledgement number in that segment"),
    Column("client_acked", "I", "", "the client's bytes up to here were acknowledged"),
    Column("server_acked", "I", "", "the server's bytes up to here were acknowledged"),
    Column("client_fin_capture", "H", "", "index of the file with the client's FIN"),
    Column("client_fin_frame", "I", "", "frame with the client's FIN; 0: none"),
    Column("client_fin_time", "q", "ns", "its time"),
    Column("server_fin_capture", "H", "", "index of the file with the server's FIN"),
    Column("server_fin_frame", "I", "", "frame with the server's FIN; 0: none"),
    Column("server_fin_time", "q", "ns", "its time"),
    Column("reset_capture", "H", "", "index of the file with the RST that ended it"),
    Column("reset_frame", "I", "", "frame with the RST that ended it; 0: none"),
    Column("reset_time", "q", "ns", "its time"),
    Column("requests", "I", "", "requests seen on the connection"),
    Column("answered", "I", "", "complete final responses to them"),
)


def dtype_of(columns: tuple[Column, ...]) -> np.dtype[Any]:
    """The packed little-endian dtype of a table."""
    return np.dtype([(c.name, "<" + np.dtype(c.code).str[1:]) for c in columns])


def packer_of(columns: tuple[Column, ...]) -> struct.Struct:
    """The `struct` that packs one row of a table."""
    return struct.Struct("<" + "".join(c.code for c in columns))


def _packed(data: bytes) -> bytes:
    """`data` compressed; copied, because the compressor's own result keeps room it never used."""
    return bytes(memoryview(zstandard.ZstdCompressor(level=1).compress(data)))


class Texts(Sequence[bytes]):
    """The texts beside the rows of a chunk; unpacked when the first one is asked for.

    Most of those who go through a table want none of them.
    """

    def __init__(self, packed: bytes, length: int, chosen: Array | None = None) -> None:
        self._packed = packed
        self._length = length if chosen is None else len(chosen)
        self._chosen = chosen
        self._texts: list[bytes] | None = None

    def of(self, rows: Array) -> "Texts":
        """Those of some of the rows."""
        chosen = rows if self._chosen is None else self._chosen[rows]
        return Texts(self._packed, self._length, chosen)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> bytes: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...

    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        return self._unpacked()[at]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._unpacked())

    def _unpacked(self) -> list[bytes]:
        if self._texts is None:
            if not self._packed:
                self._texts = [b""] * self._length
            else:
                texts = zstandard.ZstdDecompressor().decompress(self._packed).split(b"\n")
                chosen = self._chosen
                self._texts = texts if chosen is None else [texts[n] for n in chosen.tolist()]
        return self._texts


class Store:
    """A long table, kept as compressed columns; append packed rows, iterate over chunks.

    `text` keeps one byte string beside each row (targets of requests) when asked for.
    """

    ROWS = 16_384
    SHOWN = 16 << 20  # bytes of rows that stay unpacked; judging goes through them a score of times

    def __init__(self, columns: tuple[Column, ...], *, text: bool = False) -> None:
        self.dtype = dtype_of(columns)
        self._rows = bytearray()
        self._text: list[bytes] | None = [] if text else None
        self._sealed: list[tuple[int, bytes, bytes]] = []
        self._numbers: dict[str, Array] = {}
        self._changes: dict[int, dict[str, int]] = {}  # of rows: what is to be added, by column
        self._shown: dict[int, Array] = {}  # chunks by their numbers, unpacked
        self._room = self.SHOWN
        self._limit = self.ROWS * self.dtype.itemsize
        self.length = 0

    def append(self, row: bytes, text: bytes = b"") -> int:
        """Add one packed row; returns its number."""
        self._rows += row
        self.length += 1
        if self._text is not None:
            self._text.append(text)
        if len(self._rows) >= self._limit:
            self._seal()
        return self.length - 1

    def change(self, row: int, column: str, bits: int) -> None:
        """Set further bits in a column of a row that has been added."""
        self._hide()
        changes = self._changes.setdefault(row, {})
        changes[column] = changes.get(column, 0) | bits

    def append_many(self, rows: Array, texts: Sequence[bytes]) -> None:
        """Add many rows at once; `rows` has the table's dtype."""
        if not len(rows):
            return
        if self._rows:
            self._seal()
        for at in range(0, len(rows), self.ROWS):
            self._keep(rows[at : at + self.ROWS], texts[at : at + self.ROWS])
        self.length += len(rows)

    def _seal(self) -> None:
        rows = np.frombuffer(bytes(self._rows), dtype=self.dtype)
        self._rows = bytearray()
        texts: list[bytes] = []
        if self._text is not None:
            texts, self._text = self._text, []
        self._keep(rows, texts)

    def _keep(self, rows: Array, texts: Sequence[bytes]) -> None:
        # Column by column: equal and slowly changing values then lie side by side.
        columns = b"".join(np.ascontiguousarray(rows[n]).tobytes() for n in self.dtype.names or ())
        text = _packed(b"\n".join(texts)) if self._text is not None else b""
        self._sealed.append((len(rows), _packed(columns), text))

    def renumber(self, column: str, numbers: Array) -> None:
        """From here on show `numbers[n]` wherever `n` was put into a column."""
        self._hide()
        self._numbers[column] = numbers

    def _hide(self) -> None:
        """Unpacked rows are not what they were: forget them."""
        self._shown.clear()
        self._room = self.SHOWN

    def chunks(self) -> Iterator[tuple[Array, Texts]]:
        """The rows in the order they came, a chunk at a time, with the text beside them.

        The arrays are shown to others too, and cannot be changed.
        """
        if self._rows:
            self._seal()
        changed = sorted(self._changes)
        begin = 0
        for number, (length, columns, text) in enumerate(self._sealed):
            rows = self._shown.get(number)
            if rows is None:
                these = slice(bisect_left(changed, begin), bisect_left(changed, begin + length))
                rows = self._unpacked(length, columns, begin, changed[these])
                rows.flags.writeable = False
                if rows.nbytes <= self._room:
                    self._room -= rows.nbytes
                    self._shown[number] = rows
            begin += length
            yield rows, Texts(text, length)

    def _unpacked(self, length: int, columns: bytes, begin: int, changed: list[int]) -> Array:
        rows = np.empty(length, dtype=self.dtype)
        raw, at = zstandard.ZstdDecompressor().decompress(columns), 0
        for name in self.dtype.names or ():
            kind = self.dtype[name]
            rows[name] = np.frombuffer(raw, kind, length, at)
            at += length * kind.itemsize
        for row in changed:
            for name, bits in self._changes[row].items():
                rows[name][row - begin] |= bits
        for name, numbers in self._numbers.items():
            rows[name] = numbers[rows[name]]
        return rows

    def rows(self) -> Array:
        """The whole table; for short tables, or where a person asked for all of it."""
        parts = [rows for rows, _ in self.chunks()]
        return np.concatenate(parts) if parts else np.empty(0, dtype=self.dtype)
