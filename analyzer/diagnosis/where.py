"""FINDINGS -> FINDINGS with their places: what each vantage saw, and what that does to the causes.

Law: places only say more about a finding; they make none and take none back. A cause is ruled out
here only by something that a vantage did see, or did not see where it would have.
"""

from dataclasses import dataclass, replace

import numpy as np

from analyzer.correlate.frames import Frame
from analyzer.correlate.places import MARGIN, Place, Traced
from analyzer.correlate.proxies import Leg, Proxies
from analyzer.correlate.unions import Unions
from analyzer.correlate.view import Row, Tables, frame_ids
from analyzer.diagnosis.causes import OPEN, ordered
from analyzer.features.echoes import Position
from analyzer.findings.model import (
    Cause,
    Fact,
    Finding,
    How,
    Judgement,
    Kind,
    Seen,
    Vantage,
    Verdict,
    expected_false,
)
from analyzer.tables import Close, Flag, Outcome

MOST = 500  # findings whose places are looked up

_SUPPORTED, _POSSIBLE, _RULED_OUT = Verdict.SUPPORTED, Verdict.POSSIBLE, Verdict.RULED_OUT
_SERVERS = (
    "server/silent",
    "server/closed",
    "server/reset",
    "server/descriptor",
    "server/stolen",
    "server/backend-desync",
)
_DOUBTFUL = int(Flag.DOUBTFUL)
_FRONT, _BACK = "front", "back"
_BEHIND = "behind the proxy: "
# Faults of one connection as a whole: they are the same at every place on it.
_ON_ONE_CONNECTION = ("client/", "connection/")


def locate(tables: Tables, judged: Judgement) -> Judgement:
    """Say for each finding what was seen where, and revise its causes by that."""
    judged.vantages = vantages(tables)
    _place(tables, judged)
    return judged


def _place(tables: Tables, judged: Judgement) -> None:
    rows = _rows(tables, judged.findings[:MOST])
    if not rows:
        return
    proxies = Proxies.around(tables, rows.values())
    sides: list[Row] = []
    for row in rows.values():
        sides += [leg.row for leg in proxies.behind(row) or ()]
        front = proxies.before(row)
        sides += [front.row] if front is not None else []
    where = _Where(tables, Traced.of(tables, [*rows.values(), *sides]), proxies, rows)
    found = [where.placed(finding) for finding in judged.findings]
    judged.findings = _joined(_one_incident(where.inherited(found), where.same), where.same)
    judged.expected_false = expected_false(judged.findings)


def vantages(tables: Tables) -> list[Vantage]:
    """Every vantage: an interface of a capture, or of the files of a rotated set."""
    table, joined = tables.connections, tables.joined
    found = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for group in np.unique(joined.group[~joined.judged]).tolist():
        path = [int(table["interface"][n]) for n in joined.members(group)]
        first[path[0]] = first.get(path[0], 0) + 1
        last[path[-1]] = last.get(path[-1], 0) + 1
        for between in path[1:-1]:
            first.setdefault(between, 0)
            last.setdefault(between, 0)
    here = np.bincount(table["interface"], minlength=len(tables.interfaces)).tolist()
    for number, interface in enumerate(tables.interfaces):
        clock = tables.clocks.of(number)
        near, far = first.get(number, 0), last.get(number, 0)
        role = "alone"
        if number in first or number in last:
            role = "client side" if near > far else "server side" if far > near else "between"
        found.append(
            Vantage(
                captures=tables.sources[number],
                interface=interface,
                role=role,
                connections=here[number],
                offset_ns=clock.offset if clock.bound is not None else None,
                bound_ns=clock.bound,
                drift_ppm=round(clock.drift * 1e6, 3),
                corrected=clock.applied,
            )
        )
    return found


def _rows(tables: Tables, findings: list[Finding]) -> dict[int, Row]:
    """The exchange of each finding, by the finding's place in the list."""
    requests: dict[tuple[int, int], list[int]] = {}
    responses: dict[tuple[int, int], list[int]] = {}
    for number, finding in enumerate(findings):
        if finding.request is not None:
            key = finding.request.capture, finding.request.frame
            requests.setdefault(key, []).append(number)
        elif finding.response is not None:
            key = finding.response.capture, finding.response.frame
            responses.setdefault(key, []).append(number)
    if not requests and not responses:
        return {}

    def codes(keys: dict[tuple[int, int], list[int]]) -> np.ndarray:
        return np.array(sorted(c << 32 | f for c, f in keys), dtype=np.int64)

    asked, said = codes(requests), codes(responses)
    found: dict[int, Row] = {}
    for row in tables.pick(
        lambda rows: (
            np.isin(frame_ids(rows, "request"), asked) | np.isin(frame_ids(rows, "response"), said)
        )
    ):
        for number in requests.get((row["request_capture"], row["request_frame"]), ()):
            if row.target.decode("latin-1") == findings[number].request.target:  # type: ignore[union-attr]
                found[number] = row
        for number in responses.get((row["response_capture"], row["response_frame"]), ()):
            found[number] = row
    return found


@dataclass(slots=True)
class _Where:
    """Places the findings of one scan; `rows` are in the order in which `placed` is called."""

    tables: Tables
    traced: Traced
    proxies: Proxies
    rows: dict[int, Row]
    same: list[tuple[int, int]]  # findings before and behind a proxy that are of one exchange
    inherits: dict[int, Position]  # findings before a proxy, and what was wrong behind it already
    at: dict[Position, list[int]]  # findings by their exchange
    by_code: dict[int | None, list[int]]  # and by its code (see `correlate.forwarded`)
    _next: int = 0

    def __init__(
        self, tables: Tables, traced: Traced, proxies: Proxies, rows: dict[int, Row]
    ) -> None:
        self.tables, self.traced, self.proxies, self.rows = tables, traced, proxies, rows
        self.same = []
        self.inherits = {}
        self.at = {}
        self.by_code = {}
        for number, row in rows.items():
            self.at.setdefault(row.position, []).append(number)
            code = row["connection"] << 32 | row["request_seq"]
            self.by_code.setdefault(code, []).append(number)
        self._next = 0

    def placed(self, finding: Finding) -> Finding:
        """The next finding with its places."""
        number = self._next
        self._next += 1
        row = self.rows.get(number)
        if row is None:
            return finding
        path = self.traced.path(row)
        seen = self._seen(path, "")
        if finding.kind is Kind.UNANSWERED or finding.kind is Kind.INCOMPLETE:
            finding = self._lost(finding, row, path)
        elif finding.kind is Kind.MISDELIVERED:
            finding, seen = self._first_wrong(finding, path, seen)
        return self._proxied(finding, number, row, seen)

    def inherited(self, findings: list[Finding]) -> list[Finding]:
        """The findings; those that were wrong behind a proxy already with the causes found there.

        The proxy in between is excluded, whatever is open behind it.
        """
        out = list(findings)
        for number, position in self.inherits.items():
            if position not in self.at:
                continue
            behind = out[self.at[position][-1]]
            own = next(c for c in out[number].causes if c.cause == "proxy/crossed")
            causes = [c for c in behind.causes if c.cause != "proxy/crossed"]
            if causes and behind.kind is out[number].kind:
                both = tuple(ordered([*causes, own]))
                out[number] = replace(out[number], cause=both[0].cause, causes=both)
        return out

    # --- on one connection -----------------------------------------------------------------

    def _seen(self, path: list[Place], leg: str) -> list[Seen]:
        return [
            Seen(
                vantage=place.interface,
                leg=leg,
                connection=(
                    int(self.tables.connections["stream"][place.connection])
                    if place.connection >= 0
                    else None
                ),
                request_capture=place.request.capture if place.request else None,
                request_frame=place.request.frame if place.request else None,
                response_capture=place.response.capture if place.response else None,
                response_frame=place.response.frame if place.response else None,
                whole=place.whole,
                first_wrong=False,
            )
            for place in path
        ]

    def _name(self, place: Place) -> str:
        return self.tables.vantages[place.interface] or "the capture"

    def _lost(self, finding: Finding, row: Row, path: list[Place]) -> Finding:
        """Whether the request or its response was lost between two vantages, or cut off there."""
        told = self._lost_response(finding, row, path) or self._lost_request(finding, path)
        return told or self._reset_between(finding, row, path) or finding

    def _lost_response(self, finding: Finding, row: Row, path: list[Place]) -> Finding | None:
        whole = finding.kind is Kind.INCOMPLETE
        having = [n for n, p in enumerate(path) if p.response and (p.ended or not whole)]
        if not having:
            return None
        near = having[0]
        last = path[near]
        assert last.response is not None
        lacking = [p for p in path[:near] if p.whole and not (p.ended if whole else p.response)]
        if not lacking:
            return None
        left = self._client_left(row)
        if left and left < last.response.time:
            return None  # the client's host may have refused it: that it came late is the cause
        beyond = lacking[-1]
        frame = self.tables.frame(last.response)
        what = "whole response" if whole else "response"
        if last.stray:
            server = self._address(last)
            said = (
                f"the response left at {self._name(last)} in frame {frame} under the "
                f"server's address behind the translation, {server}, and never came to "
                f"{self._name(beyond)}"
            )
        else:
            said = (
                f"the {what} was seen at {self._name(last)} in frame {frame}, and "
                f"never at {self._name(beyond)}, which would have seen it"
            )
        ruled = "the server answered: the response was seen on its way"
        cause = Cause("network/lost", _SUPPORTED, said, (frame,))
        fact = Fact(said, cause.frames)
        return _led(finding, cause, dict.fromkeys(_SERVERS, ruled), fact)

    def _lost_request(self, finding: Finding, path: list[Place]) -> Finding | None:
        if finding.kind is not Kind.UNANSWERED or any(p.response for p in path):
            return None
        having = [n for n, p in enumerate(path) if p.request]
        if not having:
            return None
        far = having[-1]
        last = path[far]
        lacking = [p for p in path[far + 1 :] if p.whole]
        if not lacking or self._reset_at(last):
            return None
        assert last.request is not None
        frame = self.tables.frame(last.request)
        said = (
            f"the request was seen last at {self._name(last)} in frame {frame}, and "
            f"never at {self._name(lacking[0])}, which would have seen it"
        )
        ruled = "the request never came to the server"
        cause = Cause("network/lost", _SUPPORTED, said, (frame,))
        fact = Fact(said, cause.frames)
        return _led(finding, cause, dict.fromkeys(_SERVERS, ruled), fact)

    def _reset_at(self, place: Place) -> Frame | None:
        """The frame with a reset in the server's name that ended the connection there."""
        if place.connection < 0:
            return None
        connection = self.tables.connections[place.connection]
        if int(connection["first_close"]) != Close.SERVER_RST:
            return None
        return self.tables.frame_of(connection, "reset") or None

    def _reset_time(self, place: Place) -> int:
        return int(self.tables.connections["reset_time"][place.connection])

    def _reset_by(self, place: Place, time: int) -> bool:
        """Whether any reset was seen at a place until a second after `time`."""
        return place.connection >= 0 and 0 < self._reset_time(place) <= time + MARGIN

    def _reset_between(self, finding: Finding, row: Row, path: list[Place]) -> Finding | None:
        """Whether a reset came out of the middle: no vantage nearer the server has it."""
        if finding.kind is not Kind.UNANSWERED:
            return None
        having = [n for n, p in enumerate(path) if self._reset_at(p)]
        if not having:
            return None
        last = path[having[-1]]
        frame = self._reset_at(last)
        assert frame is not None
        beyond = [
            p
            for p in path[having[-1] + 1 :]
            if p.whole and not self._reset_by(p, self._reset_time(last))
        ]
        if not beyond:
            return None
        said = (
            f"the reset in frame {frame} at {self._name(last)} was never at "
            f"{self._name(beyond[0])}, nearer the server: something in between sent it"
        )
        ruled = "the reset was not the server's"
        out = dict.fromkeys((*_SERVERS, "network/lost"), ruled)
        return _led(
            finding, Cause("network/reset", _SUPPORTED, said, (frame,)), out, Fact(said, (frame,))
        )

    def _client_left(self, row: Row) -> int:
        connection = self.tables.connection(row)
        left = int(connection["client_fin_time"])
        return left if left > row["request_time"] else 0

    def _address(self, place: Place) -> str:
        connection = self.tables.connections[place.connection]
        return self.tables.place(int(connection["server"]), int(connection["server_port"]))

    def _first_wrong(
        self, finding: Finding, path: list[Place], seen: list[Seen]
    ) -> tuple[Finding, list[Seen]]:
        having = [n for n, p in enumerate(path) if p.response]
        if not having or finding.response is None:
            return finding, seen
        first = having[-1]
        place = path[first]
        assert place.response is not None
        frame = self.tables.frame(place.response)
        seen[first] = replace(seen[first], first_wrong=True)
        if len(having) > 1:
            elsewhere = finding.owner is None or (
                finding.owner.connection != finding.response.connection
            )
            how = "on the wrong connection" if elsewhere else "sent so"
            said = (
                f"it was {how} already at {self._name(place)}, of the vantages "
                f"that saw it the nearest to the server (frame {frame})"
            )
        else:
            if finding.cause.startswith(_ON_ONE_CONNECTION):
                return finding, seen
            name = self.tables.vantages[place.interface]
            said = (
                f"the response was captured at one place{f' ({name})' if name else ''}: what "
                "happened between there and the server does not show"
            )
        return _with(finding, Fact(said, (frame,))), seen

    # --- on both sides of a proxy ----------------------------------------------------------

    def _proxied(self, finding: Finding, number: int, row: Row, seen: list[Seen]) -> Finding:
        behind = self.proxies.behind(row)
        front = self.proxies.before(row)
        for leg in (front.row,) if front is not None else ():
            seen = [
                *self._seen(self.traced.path(leg), _FRONT),
                *(replace(s, leg=_BACK) for s in seen),
            ]
            self.same += [(known, number) for known in self._of(leg) if known != number]
        if behind:
            seen = [replace(s, leg=_FRONT) for s in seen]
            for leg in (b.row for b in behind):
                seen += self._seen(self.traced.path(leg), _BACK)
                self.same += [(number, known) for known in self._of(leg) if known != number]
            if finding.kind is Kind.MISDELIVERED:
                finding, seen = self._mixed(finding, number, row, behind, seen)
            elif finding.kind is Kind.UNANSWERED:
                finding = self._kept(finding, behind)
            elif finding.kind is Kind.INCOMPLETE:
                finding = self._kept_back(finding, row, behind)
        elif behind == [] and front is None and self.proxies.passes_on(row):
            finding = self._alone(finding, row)
        # Which of several that ask alike one behind is for may be open. That both sides were given
        # the same is not, and is told once.
        origin = self.tables.forwarded.origin_of(row["connection"], row["request_seq"])
        self.same += [(number, known) for known in self.by_code.get(origin, ())]
        return replace(finding, seen=tuple(seen))

    def _of(self, row: Row) -> list[int]:
        """The findings on an exchange."""
        return self.at.get(row.position, [])

    def _mixed(
        self, finding: Finding, number: int, row: Row, behind: list[Leg], seen: list[Seen]
    ) -> tuple[Finding, list[Seen]]:
        """A response of another request, with the exchange behind the proxy: was it wrong there?"""
        got = row["status"], row["response_sum"], row["response_length"]
        alike = [leg for leg in behind if leg.response == got]
        if alike:
            self.inherits[number] = alike[-1].row.position
            frame = self.tables.came(alike[-1].row)
            why = f"behind the proxy the response was the same already, in frame {frame}"
            finding = _revised(finding, Cause("proxy/crossed", _RULED_OUT, why, (frame,)))
            behind_first = [n for n, s in enumerate(seen) if s.leg == _BACK and s.response_frame]
            if behind_first:
                seen = [replace(s, first_wrong=n == behind_first[-1]) for n, s in enumerate(seen)]
            return _with(finding, Fact(why, (frame,))), seen
        answered = [leg for leg in behind if leg.response is not None]
        if any(leg.row["flags"] & _DOUBTFUL for leg in behind):
            # Which response answered it there, framing leaves open.
            return finding, seen
        if not answered or not self.proxies.leaves_bodies(row) or row["response_sum"] == 0:
            return finding, seen
        frame = self.tables.came(answered[-1].row)
        why = (
            f"behind the proxy the same request got another response, in frame {frame}; the proxy "
            "otherwise hands responses on byte for byte"
        )
        ruled = f"behind the proxy the server answered this request otherwise, in frame {frame}"
        out = dict.fromkeys(
            (
                "server/crossed",
                "server/stolen",
                "server/descriptor",
                "server/backend-desync",
                "connection/desync",
            ),
            ruled,
        )
        return _led(
            finding, Cause("proxy/crossed", _SUPPORTED, why, (frame,)), out, Fact(why, (frame,))
        ), seen

    def _kept(self, finding: Finding, behind: list[Leg]) -> Finding:
        """No response before the proxy: was there one behind it?"""
        if any(leg.row["flags"] & _DOUBTFUL for leg in behind):
            return finding
        answered = [leg.row for leg in behind if leg.row["outcome"] == Outcome.ANSWERED]
        if not answered:
            last = behind[-1].row
            frame = self.tables.asked(last)
            why = f"behind the proxy the request, in frame {frame}, got none either"
            finding = _revised(finding, Cause("proxy/crossed", _RULED_OUT, why, (frame,)))
            return _with(finding, Fact(why, (frame,)))
        if finding.cause.startswith("client/") or finding.cause == "network/lost":
            return finding
        frame = self.tables.came(answered[-1])
        why = f"the response came back to the proxy, in frame {frame}, and never left it"
        ruled = f"the server answered the proxy, in frame {frame}"
        cause = Cause("proxy/crossed", _SUPPORTED, why, (frame,), How.KEPT)
        return _led(finding, cause, dict.fromkeys(_SERVERS, ruled), Fact(why, (frame,)))

    def _kept_back(self, finding: Finding, row: Row, behind: list[Leg]) -> Finding:
        """A response that never ended before the proxy: was it whole behind it, and in time?"""
        left = self._client_left(row)
        whole = [
            leg.row
            for leg in behind
            if leg.row["outcome"] == Outcome.ANSWERED
            and leg.row["status"] == row["status"]
            and (not left or leg.row["response_end_time"] < left - self.proxies.slack)
        ]
        if not whole or finding.cause == "network/lost":
            return finding
        frame = self.tables.came(whole[-1])
        why = (
            f"behind the proxy the response, which begins in frame {frame}, was whole before the "
            "client left"
        )
        cause = Cause("proxy/crossed", _SUPPORTED, why, (frame,))
        return _led(finding, cause, dict.fromkeys(_SERVERS, why), Fact(why, (frame,)))

    def _alone(self, finding: Finding, row: Row) -> Finding:
        """Asked of a proxy that passes on nearly all, and not seen behind it."""
        frame = self.tables.asked(row)
        why = (
            f"behind the proxy the request in frame {frame} was never seen, as nearly all others "
            "were"
        )
        how = None
        if finding.kind is Kind.MISDELIVERED:
            first = finding.causes[0].how
            if first is How.SMUGGLING:
                return _with(finding, Fact(why, (frame,)))  # it was taken for a part of another
            if first is How.CACHE:
                how, why = first, f"a cache answered: {why}"
            out = dict.fromkeys(
                ("server/crossed", "server/stolen", "server/descriptor", "server/backend-desync"),
                "the server never saw this request: the proxy answered by itself",
            )
        elif finding.kind is Kind.UNANSWERED and finding.cause != "network/lost":
            out = dict.fromkeys(_SERVERS, "the server never saw this request")
        else:
            return finding
        cause = Cause("proxy/crossed", _SUPPORTED, why, (frame,), how, both_sides=True)
        return _led(finding, cause, out, Fact(why, (frame,)))


def _with(finding: Finding, *facts: Fact) -> Finding:
    return replace(finding, evidence=(*finding.evidence, *facts))


def _revised(finding: Finding, cause: Cause) -> Finding:
    """`finding` with `cause` in place of what was said of the same one."""
    kept = [c for c in finding.causes if c.cause != cause.cause]
    return replace(finding, causes=tuple(ordered([*kept, cause])))


def _led(finding: Finding, cause: Cause, ruled_out: dict[str, str], *facts: Fact) -> Finding:
    """`finding` with `cause` first, and those of `ruled_out` that were considered excluded.

    What was left open between server and proxy is so no more.
    """
    frames = cause.frames
    others = []
    for other in finding.causes:
        if other.cause in (cause.cause, OPEN):
            continue
        if other.cause in ruled_out:
            why = ruled_out[other.cause]
            other = replace(other, verdict=_RULED_OUT, because=why, frames=frames, how=None)
        elif other.verdict is _SUPPORTED:
            other = replace(other, verdict=_POSSIBLE)
        others.append(other)
    led = replace(finding, cause=cause.cause, causes=(cause, *ordered(others)))
    return _with(led, *facts)


def _joined(findings: list[Finding], same: list[tuple[int, int]]) -> list[Finding]:
    """The findings, those before and behind a proxy that are one and the same told once.

    It is the client's request that is told, with the causes of where it went wrong first: behind.
    """
    out: list[Finding | None] = list(findings)
    for front, back in dict.fromkeys(same):
        one, two = out[front], out[back]
        if one is None or two is None or one.kind is not two.kind:
            continue
        out[front] = _as_one(one, two)
        out[back] = None
    return [finding for finding in out if finding is not None]


def _as_one(front: Finding, back: Finding) -> Finding:
    """Two findings of one exchange, before a proxy and behind it, as one."""
    own = {fact.fact for fact in front.evidence}
    behind = tuple(
        replace(fact, fact=f"{_BEHIND}{fact.fact}")
        for fact in back.evidence
        if fact.fact not in own and not fact.fact.startswith("behind the proxy")
    )
    stronger = back if back.bits > front.bits else front
    joined = replace(
        front,
        confidence=stronger.confidence,
        evidence=(*front.evidence, *behind),
        weighed=stronger.weighed,
        explanations=stronger.explanations,
        bits=stronger.bits,
        filter=f"{front.filter} || {back.filter}",
    )
    proxy = next((c for c in front.causes if c.cause == "proxy/crossed"), None)
    if proxy is None or proxy.verdict is not _RULED_OUT:
        return joined
    causes = ordered([*(c for c in back.causes if c.cause != proxy.cause), proxy])
    return replace(joined, cause=causes[0].cause, causes=tuple(causes))


def _one_incident(findings: list[Finding], same: list[tuple[int, int]]) -> list[Finding]:
    """Findings on the two sides of a proxy are one incident: that of the lowest name."""
    names = sorted({finding.incident for finding in findings})
    number = {name: n for n, name in enumerate(names)}
    together = Unions(len(names))
    for one, two in same:
        together.tie(number[findings[one].incident], number[findings[two].incident])
    return [
        finding if names[first] == finding.incident else replace(finding, incident=names[first])
        for finding in findings
        for first in (together.first(number[finding.incident]),)
    ]
