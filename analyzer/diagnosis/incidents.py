"""Findings that are one incident: the request that hung, and the one that got its response.

Law: two findings are of one incident if one's request is the other's owner, if both are of one
connection that slipped, or if they hung at one server at one time for one cause. Its name depends
on its first request alone, not on files or frame numbers, so that it is the same from run to run
and from vantage to vantage.
"""

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from analyzer.correlate.model import Request, Response
from analyzer.correlate.unions import Unions
from analyzer.findings.model import Finding

Asked = tuple[int, int]  # a request's capture and frame
NOTHING: Mapping[Asked, int] = MappingProxyType({})

_SLIPS = ("connection/", "client/pool-reuse", "client/early-final")


def grouped(findings: list[Finding], alike: Mapping[Asked, int] = NOTHING) -> list[Finding]:
    """The findings with the incident that each is part of, those of one incident together.

    `alike` has for requests that hung for one cause a number of that cause. Incidents come in the
    order of their first finding.
    """
    together = Unions(len(findings))
    known: dict[Hashable, int] = {}
    for number, finding in enumerate(findings):
        for tie in _ties(finding, alike):
            together.tie(known.setdefault(tie, number), number)
    members: dict[int, list[Finding]] = {}
    for number, finding in enumerate(findings):
        members.setdefault(together.first(number), []).append(finding)
    return [
        replace(finding, incident=name)
        for _, found in sorted(members.items())
        for name in (_name(found),)
        for finding in found
    ]


def _ties(finding: Finding, alike: Mapping[Asked, int]) -> Iterator[Hashable]:
    """What a finding shares with others of its incident."""
    for request in (finding.request, finding.owner):
        if request is not None:
            yield "request", request.capture, request.frame, request.target, request.connection
            number = alike.get((request.capture, request.frame))
            if number is not None:
                yield "alike", number
    # A connection that slips goes on doing so; other faults on one connection are several.
    where = finding.request or finding.owner
    if where is not None and finding.cause.startswith(_SLIPS):
        yield "connection", where.capture, where.connection


def _name(members: list[Finding]) -> str:
    requests = [r for f in members for r in (f.request, f.owner) if r is not None]
    text = min(map(identity, requests)) if requests else identity(members[0].response)
    return hashlib.sha256(("incident\n" + text).encode()).hexdigest()[:8]


def identity(what: Request | Response | None) -> str:
    """What a request or a response is, whatever files it was seen in; sorts by time."""
    if what is None:
        return "-"
    if isinstance(what, Request):
        return f"{what.time:020} {what.method} {what.target} {what.client} {what.server}"
    return f"{what.time:020} {what.status} {what.length}"


def finding_id(finding: Finding) -> str:
    """A name for a finding that stays the same from run to run and does not depend on files."""
    text = "\n".join([finding.kind, identity(finding.request), identity(finding.response)])
    return hashlib.sha256(text.encode()).hexdigest()[:10]
