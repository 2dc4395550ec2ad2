"""A client that asks again on a connection that still owes it an answer, and takes that for the new one.

Law: by the client's habits, in bits. One that asks one request at a time, and for once sends the
next one before the answer has come, long after the one before, did not mean to pipeline (RFC 9112
§9.3.2): its pool took the connection for idle. Two requests that were sent together, several in a
row with no answer in between, or one that had waited for its turn are a pipeline all the same.
"""

from math import log2

import numpy as np
import numpy.typing as npt

from analyzer.findings.history import History
from analyzer.findings.view import Row, Tables
from analyzer.findings.weights import HABIT, TIME, Comparison
from analyzer.tables import Flag

REUSE = 14.0  # bits: so seldom a pool hands out a connection that owes an answer
# Known before anything is seen: one request in a thousand is sent while another is outstanding.
REQUESTS, EARLY = 100.0, 0.1
BORROWED = 20.0  # what a client's own habit counts for beside that of all: as so many requests
RARE = 5.0  # bits from which on a pipelined request is looked at
TOGETHER = 10_000_000  # ns within which half of all pipelined requests follow the one before
AT_ONCE = 50_000_000  # ns after an answer in which nobody closes who keeps connections for later
LEAVES = 3.0  # bits: whoever closes at once had not meant to ask more

_PIPELINED = int(Flag.PIPELINED)


def habits(tables: Tables) -> npt.NDArray[np.float64]:
    """For every connection, in bits, how seldom its client sends one request before the answer."""
    many = len(tables.addresses)
    asked, early = np.zeros(many), np.zeros(many)
    for rows, _ in tables.judged():
        client = tables.connections["client"][rows["connection"]]
        asked += np.bincount(client[rows["request_frame"] > 0], minlength=many)
        early += np.bincount(client[rows["flags"] & _PIPELINED != 0], minlength=many)
    # The request in question is left out.
    every = (max(0.0, early.sum() - 1.0) + EARLY) / (max(0.0, asked.sum() - 1.0) + REQUESTS)
    own = np.maximum(early - 1.0, 0.0) + BORROWED * every
    bits = -np.log2(own / (np.maximum(asked - 1.0, 0.0) + BORROWED))
    found: npt.NDArray[np.float64] = bits[tables.connections["client"]]
    return found


def reused(
    tables: Tables, row: Row, on_it: History | None, habit: float
) -> tuple[Row, list[Comparison]] | None:
    """The request whose answer `row`'s client took for its own, and what speaks for it."""
    if on_it is None:
        return None
    earlier = on_it.answered_before(row)
    if earlier is None or earlier["response_end_time"] <= row["request_time"]:
        return None
    if on_it.is_eager or on_it.waits_after(row["request_time"]):
        return None
    waited = row["request_time"] - earlier["request_time"]
    frames = (earlier["request_frame"], row["request_frame"])
    found = [
        Comparison(
            HABIT,
            habit,
            f"this client sends a request while another is outstanding once in "
            f"{max(1, round(2**habit)):,}",
            frames,
        ),
        Comparison(
            TIME,
            log2(1.0 + waited / TOGETHER) - 1.0,
            f"it was sent {waited / 1e9:.3f} s after the one before; requests of a pipeline are "
            "sent together",
            frames,
        ),
    ]
    left = int(tables.connection(row)["client_fin_time"])
    if 0 < left - row["response_end_time"] < AT_ONCE:
        fin = int(tables.connection(row)["client_fin_frame"])
        text = f"the client closed the connection at once when the answer had come, in frame {fin}"
        found.append(Comparison(HABIT, LEAVES, text, (fin,)))
    return earlier, found
