"""The compiled kernels (`kernels.pyx`): what each takes and gives.

Positions are offsets into `data`, ranges half-open. Arrays are contiguous; those named last are
filled in, the others only read. Wrong array lengths raise IndexError.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bytes = bytes | npt.NDArray[np.uint8]

def record_offsets(data: Bytes, big_endian: bool, longest: int) -> tuple[Ints, int, bool]:
    """Offsets of the whole pcap records in `data`, where the rest begins, whether lengths are
    possible: none above `longest`."""

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

def fit(
    data: Bytes,
    start: Ints,
    end: Ints,
    literals: Bytes,
    parts: Ints,
    templates: Ints,
    longest: int,
    out: Ints,
) -> None:
    """Fit the head at the start of each text start..end to the first template that it fits.

    `parts` (n, 3): begin and size of a literal, and what follows it; `templates` (n, 3): first and
    last part (exclusive), framing; `longest`: bytes of a target. `out` (n, 5): number of the
    template or -1, where the head ends, bytes of the body without transfer coding or -1 where the
    message does not end with the text, the target (two).
    """

def unchunked(data: Bytes, at: int, end: int) -> bytes:
    """A chunked body that `fit` has accepted, without its framing."""

def path_codes(
    data: Bytes, start: Ints, end: Ints, shortest: int, codes: Words, tokens: Ints
) -> None:
    """Of each target start..end a word, equal for targets of one path but for plain variables and
    of one operation in the query, and its last path segment with a digit and `shortest` bytes
    (n, 2; empty where there is none)."""

def look(
    data: Bytes,
    start: Ints,
    end: Ints,
    json: npt.NDArray[np.uint8],
    tokens: Ints,
    codes: Words,
    sums: npt.NDArray[np.uint32],
    echoes: npt.NDArray[np.uint8],
) -> None:
    """Of each body start..end the Adler-32; where `json` is set also `body_code`, and whether it
    repeats the token (a range in `tokens`) as a whole word."""

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

    `spans` (n, 7): target (two), where the request's body begins and ends, the field lines of the
    response's head (two; its body begins there), where its body ends. `wanted` (n, 3): row of the
    route's first place or -1, the greatest rank of a place that is still to be learned, and bits: 1
    for an exchange of the sample, 2 where the head has lines to be read. `places` (m, 6): kind,
    number, a range (begin, size) of `names`, whether it is given up, row of the route's next place
    or -1. `counts` (m, 3) are added to: tokens, those in the sample, and of these the repeated
    ones. `values` (m, k) has the least hashes of values, in order. A request `declined` has
    changed nothing: it has a token at a new place, or one that is not plainly repeated.
    """
