"""An incident and the second look at its connections in, its STORY out."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePath

import orjson

from analyzer import secrets
from analyzer.capture.frames import Capture
from analyzer.correlate.frames import NO_FRAME, Frame
from analyzer.correlate.view import Tables
from analyzer.explain import steps, words
from analyzer.explain.bodies import bodies
from analyzer.explain.culprits import hints
from analyzer.explain.events import Astray, Moment, Part, moments, placed
from analyzer.explain.incidents import Incident
from analyzer.explain.model import Bodies, Event, Exhibit, Lane, Manner, Proof, Sighting, Story
from analyzer.explain.parties import Parties
from analyzer.explain.summary import considered, how, tellings, why
from analyzer.explain.weights import scales
from analyzer.explain.words import asked, shows_another, strayed
from analyzer.findings.model import Cause, Fact, Finding, Judgement, Kind
from analyzer.second_pass.model import CLIENT, Message, Reread

BEFORE = 1_000_000_000  # ns before the first request of an incident that are looked at,
AFTER = 120_000_000_000  # and ns after the last
_LONGEST_BODY = 4_096  # characters of a body in an exhibit


@dataclass(frozen=True, slots=True)
class Scene(Parties):
    """All that a story is made of."""

    judgement: Judgement
    captures: Sequence[Capture]
    looks: Mapping[int, Reread]  # of every vantage of the incident's connections

    def known(self, number: int) -> bool:
        """Whether a connection behind a proxy was looked at."""
        return number in self.looks


def window(incident: Incident) -> tuple[int, int]:
    """The time that has to be looked at, in ns since 1970."""
    times = [
        what.time
        for finding in incident.findings
        for what in (finding.request, finding.owner, finding.response)
        if what is not None
    ]
    return min(times) - BEFORE, max(times) + AFTER


def tell(scene: Scene, *, show_bodies: bool = False, show_secrets: bool = False) -> Story:
    """The story of an incident; `show_bodies` adds what was sent, values included.

    Credentials in it are masked, unless `show_secrets` says otherwise.
    """
    incident = scene.incident
    lanes, sides = _lanes(scene)
    parts = [_part(scene, n, its) for n, its in sides.items() if n in scene.looks]
    events = _events(scene, parts)
    begins = events[0][0] if events else 0
    causes = considered(incident.findings)
    return Story(
        id=incident.id,
        title=incident.headline[1],
        findings=incident.findings,
        summary=tuple(_summary(scene, causes)),
        lanes=lanes,
        sightings=tuple(_sighting(scene, number) for number in scene.shown),
        begins=begins,
        events=tuple(event for _, event in events),
        bodies=tuple(_bodies(scene)),
        legend=_legend(scene, events),
        evidence=tuple(_evidence(scene)),
        scales=tuple(scales(incident.findings)),
        causes=causes,
        hints=hints(causes, _messages(scene)),
        steps=steps.steps(
            causes,
            _places(scene),
            swapped=any(map(strayed, scene.incident.findings)),
            both_sides=scene.both_sides,
        ),
        caveats=tuple(_caveats(scene)),
        exhibits=tuple(_exhibits(scene, secrets_too=show_secrets)) if show_bodies else (),
    )


def _messages(scene: Scene) -> Iterable[Message]:
    """The messages of the requests in question and their responses."""
    places = {
        (what.capture, what.frame)
        for finding in scene.incident.findings
        for what in (finding.request, finding.owner, finding.response)
        if what is not None
    }
    for look in scene.looks.values():
        for message in look.messages:
            if (message.capture, message.frame) in places:
                yield message


def _bodies(scene: Scene) -> Iterable[Bodies]:
    for finding in scene.incident.findings:
        if finding.kind is Kind.MISDELIVERED and finding.response is not None:
            frame = scene.tables.frame(finding.response)
            found = bodies(finding, scene.judgement.usual or scene.judgement.endpoints, frame)
            if found is not None:
                yield found


# --- who takes part, and what happens ------------------------------------------------------


def _lanes(scene: Scene) -> tuple[tuple[Lane, ...], dict[int, tuple[int, int]]]:
    """Who takes part, and for each connection the lanes of its client and its server."""
    tables, shown = scene.tables, scene.shown
    rows = [tables.connections[n] for n in shown]
    clients = [tables.place(int(r["client"]), int(r["client_port"])) for r in rows]
    servers = list(
        dict.fromkeys(tables.place(int(r["server"]), int(r["server_port"])) for r in rows)
    )
    asked = Lane(scene.server, " and ".join(servers), _inside(tables, shown, servers))
    many = len(shown) > 1
    askers = [Lane(f"client {n}" if many else "client", c) for n, c in enumerate(clients, 1)]
    if scene.behind:
        backs = [tables.connections[back] for _, back in scene.behind]
        origins = dict.fromkeys(
            tables.place(int(r["server"]), int(r["server_port"])) for r in backs
        )
        proxy = len(askers)
        sides = {number: (n, proxy) for n, number in enumerate(shown)}
        sides |= {back: (proxy, proxy + 1) for _, back in scene.behind}
        inside = _inside(tables, [back for _, back in scene.behind], list(origins))
        return (*askers, asked, Lane("server", " and ".join(origins), inside)), sides
    if not many:
        return (askers[0] if askers else Lane("client", ""), asked), dict.fromkeys(shown, (0, 1))
    return (askers[0], asked, askers[1]), {shown[0]: (0, 1), shown[1]: (2, 1)}


def _inside(tables: Tables, numbers: Sequence[int], known: Sequence[str]) -> str:
    """Where the server of connections was seen nearest to it, if by another address."""
    found = []
    for number in numbers:
        members = tables.joined.members(number)
        last = max(members, key=lambda n: int(tables.connections["first_time"][n]))
        row = tables.connections[last]
        found.append(tables.place(int(row["server"]), int(row["server_port"])))
    return " and ".join(dict.fromkeys(place for place in found if place not in known))


def _part(scene: Scene, number: int, sides: tuple[int, int]) -> Part:
    tables = scene.tables
    interface = int(tables.connections["interface"][number])
    row = tables.connections[number]
    part = Part(
        look=scene.looks[number],
        lanes=sides,
        watched_until=tables.ends[interface],
        swapped=len(scene.shown) > 1,
        opened=int(row["first_time"]),
        requests_in_all=int(row["requests"]),
        passes_on=any(number == back for _, back in scene.behind),
    )
    for finding in scene.incident.findings:
        if part.passes_on:
            _behind(scene, finding, number, part)
        for request in (finding.request, finding.owner):
            if request is not None and scene.connection(request) == number:
                part.requests.add((request.capture, request.frame))
        response = finding.response
        here = response is not None and scene.connection(response) == number
        suspect = finding.kind in (Kind.MISDELIVERED, Kind.UNSOLICITED) and not finding.is_extra
        if response is not None and here and suspect:
            asked = request.frame if (request := finding.request) is not None else 0
            _astray(scene, finding, part, (response.capture, response.frame), asked)
    return part


def _behind(scene: Scene, finding: Finding, number: int, part: Part) -> None:
    """What a finding's exchange is to a connection behind a proxy."""
    wrong_there = any(seen.leg == "back" and seen.first_wrong for seen in finding.seen)
    stream = int(scene.tables.connections["stream"][number])
    for seen in finding.seen:
        if seen.leg != "back" or seen.connection != stream:
            continue
        if seen.request_capture is not None and seen.request_frame:
            part.requests.add((seen.request_capture, seen.request_frame))
        if wrong_there and seen.response_capture is not None and seen.response_frame:
            at = seen.response_capture, seen.response_frame
            _astray(scene, finding, part, at, seen.request_frame or 0)


def _astray(scene: Scene, finding: Finding, part: Part, place: tuple[int, int], asked: int) -> None:
    """Note that the response at a place (capture, frame) goes astray, and whose it is."""
    owner = NO_FRAME
    if finding.owner is not None and not shows_another(finding):
        owner = scene.tables.frame(finding.owner)
    part.astray.setdefault(place, []).append(Astray(asked, _what_it_is(scene, finding), owner))


def _what_it_is(scene: Scene, finding: Finding) -> str:
    """What is said of a suspect response where it is shown."""
    owner, request, frame = finding.owner, finding.request, scene.tables.frame
    if finding.kind is Kind.UNSOLICITED:
        if owner is None:
            return "nobody asked for it"
        if strayed(finding):
            return f"the answer to {scene.client(owner)}'s request"
        return "one more than was asked for"
    if shows_another(finding):
        return f"shows {scene.client(owner)}" if owner is not None else "shows somebody else"
    if owner is None or request is None:
        return "not the answer to this request"
    if owner.connection != request.connection:
        return f"the answer to {scene.client(owner)}'s request"
    response = finding.response
    if response is not None and response.time < request.time:
        return f"not asked for yet; will be read as the answer to frame {frame(request)}"
    return f"the answer to frame {frame(owner)}, read as that to frame {frame(request)}"


def _events(scene: Scene, parts: Sequence[Part]) -> list[tuple[int, Event]]:
    """All events in the order of time, each with its time in ns since 1970."""
    every: list[tuple[Moment, Part]] = [(m, part) for part in parts for m in moments(part)]
    every.sort(key=lambda found: (found[0].time, found[0].capture, found[0].frame))
    if not every:
        return []
    begins = before = every[0][0].time
    events = []
    for moment, part in every:
        frame = scene.tables.frame(moment)
        events.append((moment.time, placed(moment, part, frame, begins, before)))
        before = moment.time
    return events


def _legend(scene: Scene, events: Sequence[tuple[int, Event]]) -> tuple[str, ...]:
    swap: list[str] = []
    if any(e.manner is Manner.ASTRAY for _, e in events):
        swap = [words.SHOWN if all(map(shows_another, scene.incident.findings)) else words.SWAP]
    used = [meaning for mark, meaning in words.LEGEND if any(mark in e.text for _, e in events)]
    return (*swap, *used)


def _sighting(scene: Scene, number: int) -> Sighting:
    row = scene.tables.connections[number]
    capture = int(row["first_capture"])
    interface = scene.tables.interfaces[int(row["interface"])]
    return Sighting(number, capture, scene.captures[capture].path, interface)


# --- in words ------------------------------------------------------------------------------


def _summary(scene: Scene, causes: Sequence[Cause]) -> Iterable[str]:
    """What happened and why, a paragraph each."""
    yield from (telling.text for telling in tellings(scene))
    yield f"{why(causes, scene.incident.findings)} {how(scene, causes)}".strip()


def _evidence(scene: Scene) -> Iterable[Proof]:
    told: set[Fact] = set()
    for finding in scene.incident.findings:
        facts = tuple(fact for fact in finding.evidence if fact not in told)
        told.update(facts)
        whose = finding.request or finding.response
        who = "" if whose is None or len(scene.shown) < 2 else f"{scene.client(whose)}: "
        what = "" if finding.request is None else f" ({asked(finding.request)})"
        title = words.title((finding,), finding)
        yield Proof(f"{who}{title}{what}", facts)


# --- where -----------------------------------------------------------------------------------


def _places(scene: Scene) -> steps.Places:
    tables = scene.tables
    shown = (*scene.shown, *(back for _, back in scene.behind))
    groups = [tables.joined.members(n) for n in shown]
    every = [n for members in groups for n in members]
    by_time = sorted(every, key=lambda n: int(tables.connections["first_time"][n]))
    at_client, at_server = steps.sides_seen([scene.looks[n] for n in every if n in scene.looks])
    first, last = by_time[0], by_time[-1]
    clients = [
        tables.place(int(tables.connections["client"][g]), 0).rpartition(":")[0].strip("[]")
        for g in scene.shown
    ]
    return steps.Places(
        tuple(dict.fromkeys(clients)),
        _server(tables, first),
        _server(tables, last),
        at_client,
        at_server,
    )


def _server(tables: Tables, number: int) -> tuple[str, int]:
    row = tables.connections[number]
    place = tables.place(int(row["server"]), int(row["server_port"]))
    return str(ip_address(place.rpartition(":")[0].strip("[]"))), int(row["server_port"])


def _caveats(scene: Scene) -> Iterable[str]:
    shown = [_sighting(scene, number) for number in scene.shown]
    if shown and not scene.tables.files:
        interfaces = dict.fromkeys(s.interface for s in shown if s.interface)
        seen = f", as seen on {' and '.join(interfaces)}" if interfaces else ""
        yield f"Frames are those of {PurePath(shown[0].path).name}{seen}."
    others = len(scene.incident.connections) - len(scene.shown)
    if others > 0:
        yield f"{words.counted(others, 'more connection', 'more connections')} took part."
    if any(number not in scene.looks for number in scene.shown):
        yield "The packets could not be read a second time, so there is no ladder of all of them."
    for number in scene.shown:
        look = scene.looks.get(number)
        if look is not None and (look.packets_left_out or look.messages_left_out):
            yield (
                f"Of a very long connection {look.packets_left_out:,} packets and "
                f"{look.messages_left_out:,} messages in the middle are not shown."
            )


# --- bodies, when they may be shown --------------------------------------------------------


def _exhibits(scene: Scene, *, secrets_too: bool) -> Iterable[Exhibit]:
    for number in scene.shown:
        look = scene.looks.get(number)
        if look is None:
            continue
        part = _part(scene, number, (0, 1))
        places = part.requests | set(part.astray)
        involved = {m.exchange for m in look.messages if (m.capture, m.frame) in places}
        for message in look.messages:
            if message.exchange in involved:
                yield _exhibit(message, scene.tables.frame(message), secrets_too=secrets_too)


def _exhibit(message: Message, frame: Frame, *, secrets_too: bool) -> Exhibit:
    if message.side == CLIENT:
        target = message.target.decode("latin-1")
        title = f"{message.method} {target if secrets_too else secrets.target(target)}"
    else:
        title = f"response {message.status}"
    fields = message.headers if secrets_too else secrets.headers(message.headers)
    head = "\n".join(f"{name}: {value}" for name, value in fields)
    if message.body is None:
        body = f"({words.size(message.length)}, not kept)"
    else:
        text = _readable(message)
        if not secrets_too:
            text = secrets.body(text, message.media_type)
        body = text[:_LONGEST_BODY] + ("…" if len(text) > _LONGEST_BODY else "")
    return Exhibit(title, frame, head, body)


def _readable(message: Message) -> str:
    """A body as text; JSON with a line for each value."""
    body = message.body or b""
    if body[:1] in (b"{", b"["):
        with suppress(orjson.JSONDecodeError, RecursionError, TypeError):
            body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return body.decode("utf-8", "replace")
