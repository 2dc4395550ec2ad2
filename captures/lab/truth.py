"""What happened, from the logs of the clients and the servers alone.

A client's row says what it asked for and what it got; a server's row says which body it made for
which request. Neither log leaves a trace on the wire. A body belongs to its request when the server
made those bytes for that method and target while the client waited.
"""

import json
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from captures.lab.errors import RecordingFailed
from captures.lab.scenario import Expect

Row = Mapping[str, Any]
SLACK = 0.25  # seconds between a client's clock reading and the server's, on one machine
GATEWAY = (
    502,
    503,
    504,
)  # what a gateway says in place of a response (RFC 9110 §15.6.3 to §15.6.5)
UNCONNECTED = "unconnected"  # the client of a request whose connection was never made


@dataclass(frozen=True)
class Observed:
    """One request whose answer went wrong, or an answer that nobody asked for."""

    kind: str
    row: Row
    owner: Row | None = None


Body = tuple[str, int]  # its hash and the status it went with


@dataclass
class Index:
    """The servers' rows by the body that was made; for each request the times it was made at."""

    by_body: dict[Body, list[Row]] = field(default_factory=dict)
    made: dict[tuple[str, str, Body], list[Row]] = field(default_factory=dict)


def body(row: Row) -> Body:
    """What makes two answers the same."""
    return row["sha256"], row["status"]


def index(servers: Iterable[Row]) -> Index:
    """Sort the rows that answer something; notes of the planted bug are left aside."""
    by_body: dict[Body, list[Row]] = defaultdict(list)
    made: dict[tuple[str, str, Body], list[Row]] = defaultdict(list)
    for row in servers:
        if "sha256" in row:
            by_body[body(row)].append(row)
            made[row["method"], row["target"], body(row)].append(row)
    for rows in made.values():
        rows.sort(key=_received)
    return Index(by_body, made)


def _received(row: Row) -> float:
    return float(row["received"])


def alike(client: Row, server: Row) -> bool:
    """Whether both rows can be of one request: the same method and target, and as far as both tell
    the same request id and body, asked by the same.
    """
    if (client["method"], client["target"]) != (server["method"], server["target"]):
        return False
    return all(
        client[key] == server[key] for key in ("about", "who") if key in client and key in server
    )


def belongs(row: Row, made: Index) -> bool:
    """Whether the server made this body for this request while the client waited."""
    rows = made.made.get((row["method"], row["target"], body(row)), [])
    first = bisect_left(rows, row["sent"] - SLACK, key=_received)
    for one in islice(rows, first, None):
        if _received(one) > row["ended"] + SLACK:
            return False
        if alike(row, one):
            return True
    return False


def owner_of(row: Row, made: Index, clients: Sequence[Row]) -> Row | None:
    """The client's request that a foreign body was made for.

    Where the same bytes were made for several, one on the reader's own connection comes first, then
    the one that the server had last when the reader was done.
    """
    candidates = [
        (other["client"] != row["client"], abs(row["ended"] - one["received"]), n, other)
        for one in made.by_body.get(body(row), ())
        for n, other in enumerate(clients)
        if alike(other, one)
        and other["sent"] - SLACK <= one["received"] <= other.get("ended", 0) + SLACK
        and one["received"] <= row["ended"] + SLACK  # made before it was read
        and other is not row
    ]
    return min(candidates)[-1] if candidates else None


def observe(
    clients: Sequence[Row],
    servers: Iterable[Row],
    foreign: Iterable[int] = (),
    stray: Iterable[int] = (),
    askers: Sequence[Row] | None = None,
) -> list[Observed]:
    """Everything that went wrong with these clients' rows.

    `foreign` are statuses that answer the request though no handler made them (a parser's 400);
    where a gateway made one, the request was left without a response behind it.
    `stray` are those sent before any request (an idle connection's 408), whoever read them.
    `askers` are the rows among which an owner is looked for, by default the same.
    """
    made = index(servers)
    expected_foreign, expected_stray = set(foreign), set(stray)
    askers = clients if askers is None else askers
    found: list[Observed] = []
    for row in clients:
        if row["outcome"] == "surplus":
            found.append(Observed("unsolicited", row, owner_of(row, made, askers)))
        elif row["outcome"] != "answered":
            found.append(Observed("incomplete" if row["began"] else "unanswered", row))
        elif not belongs(row, made):
            owner = owner_of(row, made, askers)
            if owner is None and row["status"] in expected_foreign:
                if row["status"] in GATEWAY:
                    found.append(Observed("unanswered", row))
                continue
            if owner is None and row["status"] in expected_stray:
                found += [Observed("unsolicited", row), Observed("unanswered", row)]
                continue
            found.append(Observed("misdelivered", row, owner))
    return found


def match(observed: Sequence[Observed], expects: Sequence[Expect]) -> list[tuple[Observed, Expect]]:
    """Pair what was observed with what was planted; nothing may be left over on either side."""
    left = list(observed)
    paired: list[tuple[Observed, Expect]] = []
    for expect in sorted(expects, key=lambda one: one.request == "*"):
        taken = [one for one in left if _fits(one, expect)]
        if len(taken) < expect.needed:
            raise RecordingFailed(
                f"planted but not seen: {expect.kind} {expect.request} "
                f"({len(taken)} of {expect.needed}); seen: {_words(observed)}"
            )
        left = [one for one in left if one not in taken]
        paired += [(one, expect) for one in taken]
    if left:
        raise RecordingFailed(f"seen but not planted: {_words(left)}")
    return paired


def _fits(observed: Observed, expect: Expect) -> bool:
    return (
        observed.kind == expect.kind
        and expect.request in ("*", observed.row.get("mark"))
        and (
            expect.owner is None
            or expect.owner == "*"
            or (observed.owner is not None and observed.owner.get("mark") == expect.owner)
        )
        and (expect.owner != "*" or observed.owner is not None)
    )


def _words(observed: Iterable[Observed]) -> str:
    said = [
        f"{one.kind} {one.row.get('mark')} {one.row['method']} {one.row['target']} "
        f"{one.row['outcome']} owner {one.owner and one.owner['target']}"
        for one in observed
    ]
    return "; ".join(said[:8]) + (f"; and {len(said) - 8} more" if len(said) > 8 else "") or "none"


def instant(seconds: float) -> str:
    """A time as the report writes it: RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def request(row: Row) -> dict[str, Any]:
    """A request as truth names it."""
    return {
        "method": row["method"],
        "target": row["target"],
        "client": row["client"],
        "time": instant(row["sent"]),
    }


def planted(pairs: Iterable[tuple[Observed, Expect]]) -> list[dict[str, Any]]:
    """The planted faults, as truth.json tells them."""
    return [
        {
            "kind": one.kind,
            "cause": expect.cause,
            **({"also": list(expect.also)} if expect.also else {}),
            "request": request(one.row),
            "outcome": one.row["outcome"],
            "owner": request(one.owner) if one.owner else None,
        }
        for one, expect in sorted(pairs, key=lambda pair: pair[0].row["sent"])
        if expect.cause
    ]


def tolerated(pairs: Iterable[tuple[Observed, Expect]]) -> list[dict[str, Any]]:
    """What also went wrong and is no fault of the traffic, with the reason."""
    return [
        {"kind": one.kind, "why": expect.accept, "request": request(one.row)}
        for one, expect in pairs
        if expect.accept
    ]


def totals(clients: Iterable[Row]) -> dict[str, int]:
    """What the clients counted themselves."""
    rows = [row for row in clients if row["outcome"] != "surplus"]
    asked = [row for row in rows if row["client"] != UNCONNECTED]
    answered = sum(row["outcome"] == "answered" for row in asked)
    return {
        "requests": len(asked),
        "answered": answered,
        "unanswered": len(asked) - answered,
        "unconnected": len(rows) - len(asked),
    }


def log(clients: Iterable[Row], observed: Iterable[Observed]) -> list[dict[str, Any]]:
    """The clients' rows, each with whether its answer was its own."""
    wrong = {id(one.row): one.kind for one in observed}
    return [
        {
            **request(row),
            "from": row["from"],
            "outcome": row["outcome"],
            **({"mark": row["mark"]} if row.get("mark") else {}),
            **(
                {"status": row["status"], "length": row["length"], "sha256": row["sha256"][:16]}
                if "status" in row
                else {}
            ),
            "own": id(row) not in wrong if row["outcome"] == "answered" else None,
        }
        for row in sorted(clients, key=lambda one: float(one["sent"]))
    ]


def by_target(clients: Iterable[Row]) -> dict[str, int]:
    """Answers counted by method, path and status, ids taken out: a long log in brief."""
    counts = Counter(
        f"{row['method']} {_template(row['target'])} {row.get('status', row['outcome'])}"
        for row in clients
    )
    return dict(sorted(counts.items()))


def _template(target: str) -> str:
    segments = target.partition("?")[0].split("/")
    return "/".join("{id}" if re.search(r"\d", one) and one != "v1" else one for one in segments)


def dump(told: Mapping[str, Any]) -> str:
    """Truth as text: indented, but a row of a log on one line, so that people can read it."""
    text = json.dumps(told, indent=1, ensure_ascii=False)
    rows = [key for key in ("log", "server_notes", "captures") if told.get(key)]
    for key in rows:
        lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in told[key])
        whole = json.dumps({key: told[key]}, indent=1, ensure_ascii=False)[2:-2]
        text = text.replace(whole, f' "{key}": [\n{lines}\n ]')
    return text + "\n"
