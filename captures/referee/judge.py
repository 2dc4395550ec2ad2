"""A reading of one capture against the log of the clients that made the traffic.

Counted are the requests that their client logged with an answer, whose first line and a final
status line are in the capture, to and from the client's own address (`present.py`), and that were
sent while it was taken. A client's log
has status and SHA-256 of the body that it read, so it says which response stood at the request's
place. Left out are requests whose client took another answer of the same connection for theirs:
there, the log and the order on the wire differ.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from captures.referee.model import Json, Pair, Reading, seconds
from captures.referee.present import Present


@dataclass(slots=True)
class Count:
    """Exchanges of one capture, or of several, by what a reader makes of them."""

    captures: int = 0
    refused: int = 0  # captures that it did not read
    exchanges: int = 0  # those that are counted, in the captures that it did read
    right: int = 0  # paired with the response that their client read
    wrong: int = 0  # paired with another response, at least once
    silent: int = 0  # shown with no response or not at all, and nothing is said of it
    told: int = 0  # likewise, and something is said of the connection or the capture
    swaps: int = 0  # responses in their place that belong to another connection's request
    swaps_told: int = 0  # of those, the ones that the reader says so of

    def add(self, other: "Count") -> None:
        """Add another one's counts."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def asked(truth: Json) -> Iterator[Json]:
    """The rows of a truth's log that can be counted."""
    slipped = {
        _key(one["request"])
        for one in truth["planted"]
        if one["request"] and (one.get("owner") or {}).get("client") == one["request"]["client"]
    }
    for row in truth.get("log", ()):
        if row["outcome"] == "answered" and _key(row) not in slipped:
            yield row


def count(truth: Json, ahead: float, present: Present, reading: Reading) -> Count:
    """What a reader makes of one capture; `ahead` is what the capture's clock is, in seconds."""
    if reading.refused:
        return Count(captures=1, refused=1)
    found = Count(captures=1)
    rows = [
        row
        for row in asked(truth)
        if present.has(row["client"], row["method"], row["target"], seconds(row["time"]) + ahead)
    ]
    # A timeout's 408 that came unasked is nobody's own answer either, and no swap.
    swapped = {_key(f["request"]) for f in truth["planted"] if f["kind"] == "misdelivered"}
    shown = _shown(rows, reading.pairs, ahead)
    for row in rows:
        found.exchanges += 1
        pairs = [pair for pair in shown[id(row)] if pair.status]
        if any(not _is(pair, row) for pair in pairs):
            found.wrong += 1
        elif pairs:
            found.right += 1
        elif reading.doubted is None or row["client"] in reading.doubted:
            found.told += 1
        else:
            found.silent += 1
        if pairs and _key(row) in swapped:
            found.swaps += 1
            found.swaps_told += any(pair.whose for pair in pairs)
    return found


def _is(pair: Pair, row: Json) -> bool:
    """Whether a response is the one that the client read, as far as the reader shows it."""
    same = pair.digest is None or pair.digest.startswith(row["sha256"])
    return pair.status == row["status"] and same


def _key(row: Json) -> tuple[str, ...]:
    return row["client"], row["method"], row["target"], row["time"]


def _shown(rows: Sequence[Json], pairs: Sequence[Pair], ahead: float) -> dict[int, list[Pair]]:
    """By row what a reader shows of it: of rows alike in their order, else the nearest in time."""
    found: dict[int, list[Pair]] = {id(row): [] for row in rows}
    by_client: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
    by_name: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
    for row in rows:
        by_client[row["client"], row["method"], row["target"]].append(row)
        by_name["", row["method"], row["target"]].append(row)
    shown: dict[tuple[str, str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        shown[pair.client, pair.method, pair.target].append(pair)
    for key, alike in shown.items():
        asked = (by_client if key[0] else by_name).get(key, [])
        if len(asked) == len(alike):
            asked.sort(key=lambda row: seconds(row["time"]))
            alike.sort(key=lambda pair: pair.time)
            for row, pair in zip(asked, alike, strict=True):
                found[id(row)].append(pair)
        elif asked:
            for pair in alike:
                near = min(asked, key=lambda r: abs(seconds(r["time"]) + ahead - pair.time))
                found[id(near)].append(pair)
    return found
