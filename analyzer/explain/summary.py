"""An incident in a sentence or two: its SUMMARY, for every renderer, and a story's first words.

Law: what is said of an incident in a line is said here and nowhere else. It is pure: an incident
and the tables in, plain data out; no packet is read again. Text from packets is as it came, but
for credentials, which are masked; a renderer makes it harmless.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request
from analyzer.correlate.view import Tables
from analyzer.explain import words
from analyzer.explain.incidents import Incident, repeated
from analyzer.explain.overviews import Group, Overview, Pointer, Summary
from analyzer.explain.parties import Parties, host
from analyzer.explain.weights import odds
from analyzer.explain.words import alike, duration, sentence, strayed
from analyzer.findings.model import BACKEND, CERTAIN, Cause, Confidence, Finding, How, Kind, Verdict

LONGEST_TARGET = 80  # characters; `explain` has more in its evidence
_NOTHING_GOT = (Kind.UNANSWERED, Kind.INCOMPLETE)
_AT_ONCE = (How.STARVED, How.STUCK)
_SURE = {
    Confidence.CERTAIN: "",
    Confidence.LIKELY: "very likely ",
    Confidence.POSSIBLE: "possibly ",
}
# What keeps a finding from being certain, where that is not the odds.
_KEPT = {
    Confidence.LIKELY: "but by one kind of evidence alone",
    Confidence.POSSIBLE: "but whose it was is open",
}
_ONE_MORE = {
    Kind.MISDELIVERED: "one more response went to the wrong request",
    Kind.UNANSWERED: "one more request never got a response",
    Kind.INCOMPLETE: "one more response never ended",
    Kind.UNSOLICITED: "one more response came that nobody asked for",
}
_MORE = {
    Kind.MISDELIVERED: "{} more responses went to wrong requests",
    Kind.UNANSWERED: "{} more requests never got a response",
    Kind.INCOMPLETE: "{} more responses never ended",
    Kind.UNSOLICITED: "{} more responses came that nobody asked for",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """What happened to one finding's request, in clauses that make sentences one after the other.

    `findings` are those that it tells of, the one it is about first.
    """

    findings: tuple[Finding, ...]
    asked: str
    got: str
    whose: str = ""

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(part for part in (self.asked, self.got, self.whose) if part)


def summary(incident: Incident, tables: Tables) -> Summary:
    """What happened in an incident, for somebody who has ten seconds."""
    every = list(tellings(Parties(incident, tables)))
    first = every[0]
    lead = first.findings[0]
    # Two that were crossed are one thing, told in two sentences.
    told = every[:2] if words.crossed(incident.findings) else every[:1]
    known = {id(finding) for one in told for finding in one.findings}
    causes = considered(incident.findings)
    about = lead.request or lead.owner
    return Summary(
        id=incident.id,
        title=words.title(incident.findings, incident.worst),
        time=incident.headline[2],
        kind=lead.kind,
        confidence=lead.confidence,
        cause=lead.cause,
        endpoint=about.endpoint if about is not None else "",
        findings=len(incident.findings),
        asked=first.asked,
        got=first.got,
        whose=" ".join([first.whose, *(one.text for one in told[1:])]).strip(),
        more=_more([f for f in incident.findings if id(f) not in known]),
        why=_why_briefly(causes, incident.findings),
        sure=_sure(lead),
        frames=tuple(_pointers(lead, tables)),
    )


def overview(incidents: Sequence[Incident], tables: Tables, most: int) -> Overview:
    """The first `most` groups of incidents, which are in the order of `incidents`."""
    groups = repeated(incidents)
    return Overview(
        tuple(_group(group, tables) for group in groups[:most]),
        len(groups),
        len(incidents),
    )


def _group(incidents: Sequence[Incident], tables: Tables) -> Group:
    times = [incident.headline[2] for incident in incidents]
    return Group(summary(incidents[0], tables), len(incidents), duration(max(times) - min(times)))


def _more(findings: Sequence[Finding]) -> str:
    """What else happened in an incident, in a sentence; "" where that is nothing."""
    kinds = Counter(finding.kind for finding in findings)
    parts = [_ONE_MORE[k] if n == 1 else _MORE[k].format(f"{n:,}") for k, n in kinds.items()]
    return sentence(" and ".join(parts)) if parts else ""


def _sure(finding: Finding) -> str:
    """How sure what happened is; of what was weighed the odds too."""
    if not finding.weighed or finding.bits <= 0:
        return str(finding.confidence)
    odds_on = f"{odds(finding.bits)} for a fault"
    if finding.known is not None and finding.rests_on_baseline:
        before, here = finding.known
        odds_on += f", by a baseline: {before:,} requests of its endpoints there, {here:,} here"
    if finding.bits >= CERTAIN and finding.confidence in _KEPT:
        odds_on += f"; {_KEPT[finding.confidence]}"
    return f"{finding.confidence} ({odds_on})"


def _pointers(finding: Finding, tables: Tables) -> Iterator[Pointer]:
    """The frames to look at, two at most: what came and what asked for it, or how waiting ended."""
    request, response, owner = finding.request, finding.response, finding.owner
    if response is not None:
        yield Pointer(tables.frame(response), "the response")
        if owner is not None:
            shows = words.shows_another(finding)
            what = "a request of whom it shows" if shows else "the request it answers"
            yield Pointer(tables.frame(owner), what)
        elif request is not None:
            yield Pointer(tables.frame(request), "the request it came to")
    elif request is not None:
        yield Pointer(tables.frame(request), "the request")
        ends = _ends(tables, request)
        if ends:
            yield Pointer(ends[0].frame, ends[0].what)


# --- what happened -------------------------------------------------------------------------


def tellings(parties: Parties) -> Iterator[Telling]:
    """What happened in an incident: swaps first, then who got nothing, or not all."""
    findings = parties.incident.findings
    told: list[Finding] = []
    for finding in findings:
        if finding.kind is Kind.MISDELIVERED:
            yield _of_misdelivered(parties, finding, told)
            told.append(finding)
    owners = [f.owner for f in told]
    for finding in findings:
        if finding.kind is Kind.UNSOLICITED and strayed(finding):
            yield _of_strayed(parties, finding)
            owners.append(finding.owner)
    starved = _starved(findings)
    if starved:
        yield _of_starved(parties, starved)
    at_once = set(map(id, starved))
    for finding in findings:
        if id(finding) in at_once:
            continue
        if finding.kind is Kind.UNANSWERED and not any(alike(o, finding.request) for o in owners):
            yield _of_unanswered(parties, finding)
        elif finding.kind is Kind.INCOMPLETE:
            yield _of_incomplete(parties, finding)
        elif finding.kind is Kind.UNSOLICITED and not strayed(finding):
            yield _of_unsolicited(parties, finding)


def _of_misdelivered(parties: Parties, finding: Finding, told: Sequence[Finding]) -> Telling:
    request, owner, response = finding.request, finding.owner, finding.response
    assert request is not None and response is not None
    sure = _SURE[finding.confidence]
    if words.shows_another(finding):
        return _of_identity(parties, finding)
    if owner is None:
        like = ""
        if finding.resembles:
            like = (
                f", but looks like those of {finding.resembles}; who asked for it is not in sight"
            )
        return Telling(
            (finding,),
            _begin(parties, request),
            "and was sent a response",
            f"that {sure}does not belong to it{like}.",
        )
    if owner.connection == request.connection:
        return _of_slipped(parties, finding, told)
    who, theirs = parties.client(request), parties.client(owner)
    if finding.cause == BACKEND and any(alike(f.request, owner) for f in told):
        return Telling(
            (finding,),
            f"The next one, {_asked(request)} (frame {parties.tables.frame(request)}, from "
            f"{parties.address(request)}),",
            f"was {sure}given the response to {_asked(owner)}",
            "in the same way.",
        )
    if any(alike(f.owner, request) and alike(f.request, owner) for f in told):
        return Telling(
            (finding,),
            f"{_capital(who)} in turn",
            "was sent the response",
            f"that {sure}belongs to {theirs}'s request: the two were crossed.",
        )
    findings = parties.incident.findings
    if any(alike(f.owner, request) and alike(f.request, owner) for f in findings):
        return Telling(
            (finding,),
            f"{_begin(parties, request)}, and {_named(parties, owner)}, while both waited, for "
            f"{_asked(owner)}.",
            f"{_capital(who)} was sent the response",
            f"that {sure}belongs to {theirs}'s request.",
        )
    before = duration(response.time - owner.time)
    late = any(cause.how is How.GIVEN_UP for cause in finding.causes)
    given_up = ", until it was given up on" if late else ""
    return Telling(
        (finding, *(f for f in findings if alike(f.request, owner) and f.kind in _NOTHING_GOT)),
        _begin(parties, request),
        f"and was sent {_what_is(finding)} response to {_asked(owner)},",
        f"which {_named(parties, owner)} had asked for {before} before on another connection"
        f"{given_up}.{_fates(parties, owner)}",
    )


def _of_identity(parties: Parties, finding: Finding) -> Telling:
    """Of a response that may be its own request's, but shows somebody else."""
    request, owner = finding.request, finding.owner
    assert request is not None
    got = f"and was sent a response that {_SURE[finding.confidence]}shows somebody else:"
    if owner is None:
        frames = next((w.frames for w in finding.weighed if w.comparison == "who"), ())
        theirs = f" (such as that in frame {frames[1]})" if len(frames) > 1 else ""
        whose = f"what goes with the credentials of others{theirs}, of whom none was waiting then."
    else:
        whose = f"what goes with {_named(parties, owner)}, whose {_asked(owner)} was under way."
    return Telling((finding,), _begin(parties, request), got, whose)


def _what_is(finding: Finding) -> str:
    """Words before "response to": what came is that, or only looks so."""
    sure = _SURE[finding.confidence]
    return f"what is {sure}the" if sure else "the"


def _fates(parties: Parties, owner: Request) -> str:
    """What became of the request whose response went astray, where that is a finding."""
    who = _capital(parties.client(owner))
    for finding in parties.incident.findings:
        if alike(finding.request, owner) and finding.kind is Kind.UNANSWERED:
            return f" {who} got no byte of a response{_gave_up(parties.tables, owner)}"
        if alike(finding.request, owner) and finding.kind is Kind.INCOMPLETE:
            return f" {who} got a part of a response{_gave_up(parties.tables, owner)}"
    return ""


def _of_slipped(parties: Parties, finding: Finding, told: Sequence[Finding]) -> Telling:
    """Of a response that is another's of the same connection."""
    request, owner, response = finding.request, finding.owner, finding.response
    assert request is not None and owner is not None and response is not None
    findings = parties.incident.findings
    if any(alike(f.owner, request) and alike(f.request, owner) for f in findings):
        return _of_disorder(parties, finding, told)
    if any(alike(f.request, owner) for f in told):
        return Telling(
            (finding,),
            f"The next request there, {_asked(request)} (frame {parties.tables.frame(request)}),",
            f"was given the answer to {_asked(owner)} (frame {parties.tables.frame(owner)})",
            "in the same way.",
        )
    later = duration(request.time - owner.time)
    first = f"On one connection {_named(parties, request)} asked for {_asked(owner)},"
    if any(cause.how is How.BODY_UNREAD for cause in finding.causes):
        return Telling(
            (finding,),
            f"{first} was answered, and {later} after the first asked for {_asked(request)}.",
            f"It was sent a {response.status},",
            f"the answer to the body of the first, which the {parties.server} had not read.",
        )
    if any(cause.how is How.GIVEN_UP for cause in finding.causes):
        return Telling(
            (finding,),
            f"{first} which was given up on, and {later} later for {_asked(request)}.",
            "It was sent",
            f"{_what_is(finding)} response to the first, which came late.",
        )
    if response.time < request.time:
        return Telling(
            (finding,),
            f"{first} and {later} later for {_asked(request)}.",
            "The response that it read for the later one had been sent before the server had even "
            "received that request:",
            "it belongs to the earlier one, or to none.",
        )
    return Telling(
        (finding,),
        f"{first} and {later} later, before the answer had come, for {_asked(request)}.",
        "The answer that came first",
        "is the first one's; whoever waited for the second one in that client "
        f"{_SURE[finding.confidence]}read it.",
    )


def _of_disorder(parties: Parties, finding: Finding, told: Sequence[Finding]) -> Telling:
    """Of two requests on one connection that were given each other's responses."""
    request, owner = finding.request, finding.owner
    assert request is not None and owner is not None
    sure = _SURE[finding.confidence]
    if any(alike(f.request, owner) for f in told):
        return Telling(
            (finding,),
            f"That for {_asked(request)} in turn",
            "was sent the response",
            f"that {sure}belongs to the other one: the two were crossed.",
        )
    first, second = sorted((request, owner), key=lambda asked: asked.time)
    later = f"{duration(second.time - first.time)} later" if second.time > first.time else "at once"
    return Telling(
        (finding,),
        f"On one connection {_named(parties, request)} asked for {_asked(first)} and, {later}, "
        f"before an answer had come, for {_asked(second)}.",
        f"The request for {_asked(request)} was sent the response",
        f"that {sure}belongs to the other one.",
    )


def _of_strayed(parties: Parties, finding: Finding) -> Telling:
    """Of a response on a connection that waited for nothing, whose request is another's."""
    response, owner = finding.response, finding.owner
    assert response is not None and owner is not None
    findings = parties.incident.findings
    return Telling(
        (finding, *(f for f in findings if alike(f.request, owner) and f.kind in _NOTHING_GOT)),
        f"{_capital(parties.client(response))}, which was waiting for nothing,",
        f"was sent {_what_is(finding)} response to {_asked(owner)},",
        f"which {_named(parties, owner)} had asked for {duration(response.time - owner.time)} "
        f"before.{_fates(parties, owner)}",
    )


def _gave_up(tables: Tables, request: Request) -> str:
    """How the wait for an answer ended, up to the sentence's end."""
    ends = _ends(tables, request)
    if not ends:
        return ", as long as the capture goes on."
    return f"; after {duration(ends[0].time - request.time)} {ends[0].how}."


class _End(NamedTuple):
    """How a connection ended: when (ns since 1970), in a clause, and the frame and its name."""

    time: int
    how: str
    frame: Frame
    what: str


_WAYS = (
    ("client_fin", "it closed its connection", "the client closes"),
    ("server_fin", "the server closed the connection", "the server closes"),
    ("reset", "the connection was reset", "the reset"),
)


def _ends(tables: Tables, request: Request) -> list[_End]:
    """How a request's connection ended after it, the earliest first."""
    streams = tables.connections["stream"]
    row = tables.connections[int((streams == request.connection).nonzero()[0][0])]
    found = [
        _End(int(row[f"{name}_time"]), how, tables.frame_of(row, name), what)
        for name, how, what in _WAYS
    ]
    return sorted(end for end in found if end.time > request.time)


def _of_unanswered(parties: Parties, finding: Finding) -> Telling:
    request = finding.request
    assert request is not None
    ended = _gave_up(parties.tables, request)
    return Telling((finding,), _begin(parties, request), f"and got no byte of a response{ended}")


def _starved(findings: Sequence[Finding]) -> list[Finding]:
    """The requests that hung at once for one cause, where there are several."""
    found = [f for f in findings if f.causes and f.causes[0].how in _AT_ONCE]
    return found if len(found) > 1 else []


def _of_starved(parties: Parties, starved: Sequence[Finding]) -> Telling:
    every = [f.request for f in starved if f.request is not None]
    clients = len({host(request) for request in every})
    first, last = every[0], every[-1]
    endpoints = list(dict.fromkeys(request.endpoint for request in every))
    more = f" and {len(endpoints) - 3} more" if len(endpoints) > 3 else ""
    return Telling(
        tuple(starved),
        f"{len(every):,} requests by {words.counted(clients, 'client', 'clients')} hung at the "
        f"{parties.server}, the first in frame {parties.tables.frame(first)} and the last "
        f"{duration(last.time - first.time)} later: {', '.join(endpoints[:3])}{more}.",
        "None of them got a byte of a response.",
    )


def _of_incomplete(parties: Parties, finding: Finding) -> Telling:
    request, response = finding.request, finding.response
    assert response is not None
    who = "A client" if request is None else f"{_begin(parties, request)} and"
    if not response.status:
        return Telling(
            (finding,),
            who,
            f"was sent {words.size(response.length)} that are no HTTP response "
            f"(frame {parties.tables.frame(response)}).",
        )
    if any(cause.how is How.CLOSED_BEHIND for cause in finding.causes):
        return Telling(
            (finding,),
            who,
            f"was sent a response, status {response.status}, whose body of "
            f"{words.size(response.length)} is whole, and never the end of the message.",
        )
    of = f" of the {response.announced:,} announced" if response.announced else ""
    return Telling(
        (finding,),
        who,
        f"was sent the beginning of a response, status {response.status} and "
        f"{words.size(response.length)}{of}, and never the rest.",
    )


def _of_unsolicited(parties: Parties, finding: Finding) -> Telling:
    response, owner = finding.response, finding.owner
    assert response is not None
    if owner is not None and finding.is_extra:
        return Telling(
            (finding,),
            f"The response to {_asked(owner)} (frame {parties.tables.frame(owner)})",
            f"is followed by {words.size(response.extra)} that are no part of it and begin no "
            "other message.",
            "Whoever reads on there finds them where the next response must begin.",
        )
    last = "" if owner is None else f"; the last request was {_asked(owner)}"
    return Telling(
        (finding,),
        f"The {parties.server}",
        f"sent one more response (status {response.status}, {words.size(response.length)}, frame "
        f"{parties.tables.frame(response)})",
        f"when nothing was left to answer{last}.",
    )


def _begin(parties: Parties, request: Request) -> str:
    """Who asked what."""
    if parties.is_behind(request):
        proxy = f"the proxy ({parties.address(request)})"
        return f"For {parties.client(request)} {proxy} asked the server for {_asked(request)}"
    return f"{_capital(_named(parties, request))} asked the {parties.server} for {_asked(request)}"


def _asked(request: Request) -> str:
    """Method and target, short enough for a sentence that has two."""
    return words.asked(request, LONGEST_TARGET)


def _named(parties: Parties, request: Request) -> str:
    """A client with its address."""
    return f"{parties.client(request)} ({parties.address(request)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# --- why -----------------------------------------------------------------------------------


def considered(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """The causes considered, each once: those of the finding that says most come first."""
    order = (Verdict.SUPPORTED, Verdict.POSSIBLE, Verdict.RULED_OUT)
    found: dict[str, Cause] = {}
    strayed_first = sorted(findings, key=lambda f: not strayed(f))
    for finding in strayed_first:
        for cause in finding.causes:
            found.setdefault(cause.cause, cause)
    return tuple(sorted(found.values(), key=lambda c: order.index(c.verdict)))


def why(causes: Sequence[Cause], findings: Sequence[Finding]) -> str:
    """Why it happened as far as that is known, in a sentence."""
    supported = [c for c in causes if c.verdict is Verdict.SUPPORTED]
    possible = [c for c in causes if c.verdict is Verdict.POSSIBLE]
    if supported:
        lost = supported[0].cause == "server/descriptor" and not any(map(strayed, findings))
        return f"Why: {words.LOST_DESCRIPTOR if lost else supported[0].meaning}."
    if possible:
        return f"Why is open: {'; or '.join(cause.meaning for cause in possible)}."
    return "Why is not known."


def _why_briefly(causes: Sequence[Cause], findings: Sequence[Finding]) -> str:
    """The same, with what of it is open beside it, in number."""
    verdicts = Counter(cause.verdict for cause in causes)
    others = verdicts[Verdict.POSSIBLE]
    said = why(causes, findings)
    if not verdicts[Verdict.SUPPORTED] or not others:
        return said
    stay = "cause stays" if others == 1 else "causes stay"
    return f"{said} {_capital(words.number(others))} other {stay} possible."


def how(parties: Parties, causes: Iterable[Cause]) -> str:
    """How the cause comes about where that is known, else what speaks for it; "": it is open."""
    cause = next((c for c in causes if c.verdict is Verdict.SUPPORTED), None)
    if cause is None:
        return ""
    findings = parties.incident.findings
    if cause.cause == "server/descriptor" and not any(map(strayed, findings)):
        return words.HOW_LOST
    text = None if cause.how else words.HOW_IT_COMES.get(cause.cause)
    if text is None or all(f.kind is Kind.INCOMPLETE or f.is_extra for f in findings):
        return sentence(cause.because)
    one, two = ("client 1", "client 2") if len(parties.shown) > 1 else ("the client", "another")
    for finding in findings:
        read_by = finding.request or finding.response
        if strayed(finding) and finding.owner and read_by:
            one, two = parties.client(finding.owner), parties.client(read_by)
            break
    return text.format(one=one, two=two)
