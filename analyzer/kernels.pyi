"""The compiled kernels (`kernels.pyx`): what each takes and gives.

Positions are offsets into `data`, ranges half-open. Arrays are contiguous; those named last are
filled in, the others only read. Wrong array lengths raise IndexError.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = bytes | npt.NDArray[np.uint8]

def record_offsets(data: Bytes, big_endian: bool, longest: int) -> tuple[Ints, int, bool]:
    """Offsets of the whole pcap records in `data`, where the rest begins, whether lengths are
    possible: none above `longest`."""

def packet_blocks(data: Bytes, at: int, big_endian: bool, longest: int) -> tuple[Ints, int]:
    """Offsets of the plain enhanced packet blocks (pcapng §4.3) that follow each other from `at`
    on, and where they end: none of more than `longest` bytes."""

def brief_connections(
    rows: Ints,
    ordinary: npt.NDArray[np.uint8],
    bounds: Ints,
    known: npt.NDArray[np.uint8],
    brief: npt.NDArray[np.uint8],
    out: Ints,
) -> None:
    """Which connections, not known before, begin, carry ordinary exchanges and end in plain order.

    `rows` (n, 6): side, seq, ack, flags, window and wire length of a segment. `out` has a row for
    each connection: how many exchanges, the rows of the first request and of the client's and the
    server's FIN, and up to where the client's and the server's bytes were acknowledged.
    """

def head_keys(
    data: Bytes,
    start: Ints,
    end: Ints,
    names: Bytes,
    table: Ints,
    is_response: bool,
    longest: int,
    keys: Words,
    out: Ints,
) -> None:
    """A word for the head at the start of each text start..end, 0 where it is not plain.

    Equal words: the same method, or the same status line to the letter, and of the fields in
    `table` (n, 4: begin and size of a name in small letters in `names`, how it counts, whether
    longer names that end so count as well) the same in the same order: 1 the whole line, 2 that it
    is there, a number of one to nine digits, once; 3 its name. `longest`: bytes of a head.
    `out` (n, 4): where the head ends, the number or -1, the target (two).
    """

def joined(data: Bytes, first: Ints, last: Ints, payload: Ints, sizes: Ints, size: int) -> bytes:
    """The data, and behind it, in `size` bytes, messages put together of their segments.

    A message's are the rows from `first` to `last`, each `sizes` bytes at `payload` in the data.
    """

def checksums(data: Bytes, start: Ints, end: Ints, sums: npt.NDArray[np.uint32]) -> None:
    """The Adler-32 of each text start..end."""

def marks_in(
    data: Bytes,
    start: Ints,
    end: Ints,
    marks: Bytes,
    table: Ints,
    out: npt.NDArray[np.uint8],
) -> None:
    """Which marks each text start..end has in it, as bits added to `out`.

    `table` (n, 4): begin and size of a mark in `marks`, and its bits. A mark begins with a
    quotation mark and has two bytes at least.
    """

def chunked_lengths(data: Bytes, start: Ints, end: Ints, out: Ints) -> None:
    """The bytes of each chunked body start..end without its framing; -1 where it is not plain, or
    does not end there."""

def unchunked(data: Bytes, at: int, end: int) -> bytes:
    """A chunked body that `chunked_lengths` has accepted, without its framing."""

def asked_sums(
    data: Bytes,
    spans: Ints,
    names: Bytes,
    table: Ints,
    out: npt.NDArray[np.uint32],
    behalf: npt.NDArray[np.uint32],
) -> None:
    """What `asked.asked_sum` gives of each request (its target, its credentials, its body), and
    what `asked.behalf_sum` does.

    `spans` (n, 4): the target (two), where the head ends, where the body ends. `table` as in
    `head_keys`: names of fields that count, each how it counts being its row's number from 1 on.
    """

def sketches(data: Bytes, start: Ints, end: Ints, out: npt.NDArray[np.uint8]) -> None:
    """The sketch of each text start..end, as `features.sketch` gives it; `out` (n, 32) of zeros."""

def unchunk(data: Bytes, start: Ints, end: Ints, out: npt.NDArray[np.uint8], ends: Ints) -> None:
    """Put the bytes of chunked bodies that `chunked_lengths` has accepted into `out`, one behind
    the other, without their framing; where each ends there. What has no room is left out."""

def path_codes(
    data: Bytes,
    start: Ints,
    end: Ints,
    shortest: int,
    names: Bytes,
    table: Ints,
    codes: Words,
    tokens: Ints,
) -> None:
    """Of each target start..end a word, equal for targets of one path but for plain variables and
    of one operation in the query, and its last path segment with a digit and `shortest` bytes
    (n, 2; empty where there is none)."""

class Markup:
    """Reads pages (HTML) or documents (XML), remembering what their tags say.

    `learn` is asked about each piece once that differs in what tells: 0, a start tag: its name, and
    what stands between that and the `>`; 1, an end tag, likewise; 2, the text of a table's heading,
    and nothing. It returns a `markup.Said`, None to have bodies with such a piece declined.
    """

    def __init__(
        self, learn: Callable[[int, bytes, bytes], Any], is_xml: bool, deepest: int
    ) -> None: ...
    def code(self, body: Bytes) -> int:
        """A word that is equal only for bodies of one shape; 0: not plain, or too much."""

def text_code(data: Bytes) -> int:
    """A word that stands for these bytes in this process; never 0."""

def look(
    data: Bytes,
    start: Ints,
    end: Ints,
    kinds: npt.NDArray[np.uint8],
    tokens: Ints,
    pages: Markup,
    documents: Markup,
    codes: Words,
    sums: npt.NDArray[np.uint32],
    echoes: npt.NDArray[np.uint8],
) -> None:
    """Of each body start..end the Adler-32; where `kinds` is not 0 also its code, read as JSON (1),
    a page (2) or a document (3), and whether it repeats the token (a range in `tokens`) as a whole
    word."""

def body_code(body: Bytes) -> int:
    """A word that is equal only for JSON texts of one shape; 0: not plain, or not valid."""

def search_tokens(
    data: Bytes,
    spans: Ints,
    wanted: Ints,
    places: Ints,
    names: Bytes | bytearray,
    counts: Ints,
    values: npt.NDArray[np.uint32],
    declined: npt.NDArray[np.uint8],
) -> None:
    """Count the tokens of requests whose responses repeat all of them but at places given up.

    `spans` (n, 8): target (two), where the request's body begins and ends, the field lines of the
    response's head (two), its body's text (two). `wanted` (n, 3): row of the
    route's first place or -1, the greatest rank of a place that is still to be learned, and bits: 1
    for an exchange of the sample, 2 where the head has lines to be read. `places` (m, 6): kind,
    number, a range (begin, size) of `names`, whether it is given up, row of the route's next place
    or -1. `counts` (m, 3) are added to: tokens, those in the sample, and of these the repeated
    ones. `values` (m, k) has the least hashes of values, in order. A request `declined` has
    changed nothing: it has a token at a new place, or one that is not plainly repeated.
    """
