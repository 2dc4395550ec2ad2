"""How much of the captures was judged, what kept the rest from it, and what to do about that.

Law: what was not judged is never told as being well. An exchange counts as judged when nothing of
the capture's own limits withheld it; one that is a finding or a notice was judged.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analyzer.anomalies import READ, Anomalies, Fates
from analyzer.capture.frames import Capture
from analyzer.findings.model import MOST_UNDECIDED, Judgement

Advice = tuple[str, ...]  # what to do, a sentence each


@dataclass(frozen=True, slots=True)
class Unjudged:
    """So many of something that were not judged, and why.

    `what` are requests, responses, connections and tunnels (as often as an interface saw them),
    frames or captures. `why` goes on after "because"; `advice` is what to do when capturing again.
    """

    reason: str
    what: str
    count: int
    why: str
    advice: Advice

    @property
    def things(self) -> str:
        """How many of what: "1 request", "2 requests"."""
        return f"{self.count:,} {self.what if self.count != 1 else self.what.removesuffix('s')}"


class Coverage(NamedTuple):
    """How many exchanges were judged, and of what was not: the most first, requests before all."""

    judged: int
    unjudged: tuple[Unjudged, ...]

    @property
    def summary(self) -> str:
        """What was not judged, in one line."""
        return "; ".join(f"{one.things}: {one.why}" for one in self.unjudged)


class _Reason(NamedTuple):
    name: str
    one: str
    many: str
    advice: Advice


_BOTH = ("capture both directions: 'port 8080', not 'dst port 8080'; a mirror's rx, tx",)
_WHOLE = ("drop no packets: a narrower filter, a larger buffer (-B), whole ones (-s 0)",)
_EARLIER = ("start capturing before the connections are opened, or restart the client",)
_LONGER = ("let the capture run on for some seconds after the incident",)
_PLAIN = ("capture where HTTP/1.x is in plain text: behind the load balancer",)
_LOOK = ("look at the bytes (Wireshark: Follow TCP Stream), and capture where HTTP is",)
_COPIES = ("capture at one place on the way, or look for what sends the second copy",)
_FILTER = ("check the interface, the hosts and the ports that were captured",)
_LIMIT = ("--limit odd=N judges more of them",)

# What `matching.capture_limits.why` says of a request, in both numbers.
_OF_REQUESTS: dict[str, _Reason] = {
    reason.one: reason
    for reason in (
        _Reason(
            "one-way",
            "only one direction of its connection was captured",
            "only one direction of their connections was captured",
            _BOTH,
        ),
        _Reason(
            "response-gap",
            "frames of its connection from the server are missing in the capture",
            "frames from the server are missing on their connections",
            _WHOLE,
        ),
        _Reason(
            "request-gap",
            "frames of its connection from the client are missing in the capture",
            "frames from the client are missing on their connections",
            _WHOLE,
        ),
        _Reason(
            "after-gap",
            "it follows a gap or a late start of the capture on its connection",
            "they follow a gap or a late start of the capture",
            (*_EARLIER, *_WHOLE),
        ),
        _Reason(
            "midstream",
            "its connection was open before the capture began",
            "their connections were open before the capture began",
            _EARLIER,
        ),
        _Reason(
            "open-at-end",
            "the capture ends while it is outstanding",
            "the capture ends while they are outstanding",
            _LONGER,
        ),
        _Reason(
            "damaged",
            "bytes on its connection can be read in no way or in two as HTTP",
            "bytes there can be read in no way or in two as HTTP",
            _LOOK,
        ),
        _Reason(
            "copies-differ",
            "two copies of the same bytes on its connection differ",
            "two copies of the same bytes on their connections differ",
            _COPIES,
        ),
    )
}

# What never became a request, by its anomaly, and what it is a number of.
_OF_OTHERS: tuple[tuple[str, _Reason], ...] = (
    ("connections", _Reason("tls", "it is TLS, which cannot be read",
                            "they are TLS, which cannot be read", _PLAIN)),
    ("connections", _Reason("http2", "it is HTTP/2, which is not read",
                            "they are HTTP/2, which is not read", _PLAIN)),
    ("connections", _Reason("not-http", "it carries something other than HTTP/1.x",
                            "they carry something other than HTTP/1.x", _LOOK)),
    ("tunnels", _Reason("tunnel", "CONNECT opened it, and what it carries is no HTTP/1.x",
                        "CONNECT opened them, and what they carry is no HTTP/1.x", _PLAIN)),
    ("connections", _Reason("direction-not-captured", "only one of its directions was captured",
                            "only one of their directions was captured", _BOTH)),
    ("responses", _Reason("response-without-request", "its request is not in the capture",
                          "their requests are not in the capture", (*_BOTH, *_EARLIER))),
)  # fmt: skip


# What is all that there is, and no request.
_ALONE = _Reason(
    "response-unsolicited",
    "there is no request on its connection",
    "there are no requests on their connections",
    (*_BOTH, *_EARLIER),
)


def coverage(
    judgement: Judgement, left_out: int, anomalies: Anomalies, captures: Sequence[Capture]
) -> Coverage:
    """Count what was judged.

    `left_out` is the number of odd exchanges beyond the limit, which were only counted.
    """
    # Of more than are listed the reasons of the rest are not known, and of fewer every one that is
    # not listed is a response without a request.
    listed = [one.why for one in judgement.undecided]
    withheld = len(listed) if len(listed) < MOST_UNDECIDED else judgement.undecided_total
    withheld = min(withheld, judgement.requests)
    beyond = min(left_out, judgement.requests - withheld)
    found = list(_of_requests(Counter(listed), withheld, beyond))
    found += _of_others(anomalies, found)
    if not found and not judgement.requests:
        alone = anomalies[_ALONE.name]
        found = [_counted("responses", _ALONE, alone) if alone else _of_frames(captures)]
    return Coverage(judgement.requests - withheld - beyond, tuple(found))


def _of_requests(reasons: Counter[str], withheld: int, beyond: int) -> Iterator[Unjudged]:
    for text, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        reason = _OF_REQUESTS.get(text, _Reason("other", text, text, ()))
        yield _counted("requests", reason, count)
    rest = withheld - reasons.total()
    if rest > 0:
        first = f"the first {MOST_UNDECIDED:,} alone are told apart"
        yield _counted("requests", _Reason("not-listed", first, first, ()), rest)
    if beyond:
        one = "more exchanges are odd than are judged one by one"
        yield _counted("requests", _Reason("odd-limit", one, one, _LIMIT), beyond)


def _of_others(anomalies: Anomalies, told: Sequence[Unjudged]) -> list[Unjudged]:
    one_way = any(one.reason == "one-way" for one in told)
    found = [
        _counted(what, reason, anomalies[reason.name])
        for what, reason in _OF_OTHERS
        if anomalies[reason.name] and not (one_way and reason.name == "direction-not-captured")
    ]
    return sorted(found, key=lambda one: -one.count)


def _of_frames(captures: Sequence[Capture]) -> Unjudged:
    """Why there is nothing to judge where there is neither HTTP nor anything in its place."""
    fates = sum((capture.fates for capture in captures), Fates())
    frames = sum(capture.frames for capture in captures)
    if not frames:
        reason = _Reason("no-frames", "it has no frames", "they have no frames", _FILTER)
        return _counted("captures", reason, len(captures))
    if not any(fates[name] for name in READ):
        common = ", ".join(name for name, _ in fates.most_common(3))
        reason = _Reason(
            "no-tcp",
            f"it is no TCP segment that can be read ({common})",
            f"they are no TCP segments that can be read ({common})",
            _FILTER,
        )
        return _counted("frames", reason, frames)
    reason = _Reason("no-http", "it has no HTTP in it", "there is no HTTP in them", _FILTER)
    return _counted("frames", reason, frames)


def _counted(what: str, reason: _Reason, count: int) -> Unjudged:
    why = reason.one if count == 1 else reason.many
    return Unjudged(reason.name, what, count, why, reason.advice)
