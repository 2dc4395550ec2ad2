"""An incident's evidence: its packets as a commented pcapng, and its facts as JSON.

Law: who scans the pcapng comes to the same incident. So ordinary exchanges go in as well, as many
as that takes; the file is scanned to find out, and says what came of it.
"""

import tempfile
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import IO, Any

from analyzer import pipeline
from analyzer.capture.frames import Capture
from analyzer.errors import InputError
from analyzer.explain.company import company
from analyzer.explain.incidents import Incident
from analyzer.explain.model import Event, Manner, Story
from analyzer.explain.tell import Scene, tell
from analyzer.findings.model import Finding
from analyzer.pipeline import Examination
from analyzer.report import evidence, files, outputs
from analyzer.report.escape import as_json
from analyzer.report.result import as_dict
from analyzer.second_pass.copying import Copied, merged
from analyzer.second_pass.model import Packet, Reread
from analyzer.sockets import Snapshot

MOST_INCIDENTS = 50  # written; the worst
MOST_BYTES = 256 << 20  # of packets in one file
# How many ordinary connections go in, at first and when that was not enough.
COMPANY = (48, 512, 8_192)
MOST_SEARCHED = 8_192  # ordinary connections that are tried so, of all incidents together

SAME_MOMENT = 1_000_000_000  # ns between two sightings of one request

_Place = tuple[int, int]  # capture, frame


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for an incident; `found`: as which one a scan of the pcapng finds it."""

    incident: str
    path: str
    found: str


def paths(folder: str, incidents: Sequence[Incident]) -> list[tuple[Incident, str, str]]:
    """The incidents that are written, each with the names of its pcapng and its JSON."""
    stems = [(i, str(Path(folder) / f"incident-{i.id}")) for i in incidents[:MOST_INCIDENTS]]
    return [(i, f"{stem}.pcapng", f"{stem}.json") for i, stem in stems]


def write(
    examination: Examination, folder: str, *, force: bool, only: Container[str] | None = None
) -> list[Written]:
    """Write the evidence of all incidents, or of those with the ids `only`, to `folder`.

    It is made if need be.

    Raises InputError when a file exists and may not be replaced, is one of the captures, or cannot
    be written.
    """
    if examination.spool is not None and examination.spool.lost:
        raise InputError("standard input could not be kept (TMPDIR is full?): no evidence written")
    chosen = [i for i in examination.incidents() if only is None or i.id in only]
    wanted = paths(folder, chosen)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from None
    read = outputs.identities(capture.path for capture in examination.report.captures)
    for _, packets, facts in wanted:
        for path in (packets, facts):
            outputs.refuse_inputs(path, read)
            files.check(path, force=force)
    report = as_dict(examination.report)
    scenes = examination.scenes([incident for incident, _, _ in wanted])
    casts = [_cast(scene) for scene in scenes]
    found: dict[int, Written] = {}
    left = list(range(len(wanted)))
    for most, next_most in zip(COMPANY, (*COMPANY[1:], MOST_SEARCHED + 1), strict=True):
        # One pass for all that are left: their own connections first.
        own = [n for number in left for n in casts[number].own]
        along = [n for number in left for n in casts[number].along(most)]
        copies = examination.copy([*own, *along], MOST_BYTES)
        later: list[int] = []
        for number in left:
            (incident, packets, facts), scene, cast = wanted[number], scenes[number], casts[number]
            story = tell(scene)
            mine = copies
            if any(n not in copies for n in cast.own):
                # There was no room for all incidents at once.
                mine = examination.copy([*cast.own, *cast.along(most)], MOST_BYTES)
            content, name = _content(scene, story, cast, mine, most, examination.sockets)
            if not name and cast.has_more(most) and len(later) < MOST_SEARCHED // next_most:
                later.append(number)
                continue
            files.write(packets, partial(_put, content), force=force)
            its = as_json(_facts(report, story, packets, name, examination.sockets))
            files.write(facts, partial(_put, its), force=force)
            found[number] = Written(incident.id, packets, name)
        left = later
        if not left:
            break
    return [found[number] for number in range(len(wanted))]


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _facts(
    report: dict[str, Any],
    story: Story,
    packets: str,
    found: str,
    sockets: Sequence[Snapshot],
) -> dict[str, Any]:
    """What goes beside the packets, from the report as JSON types."""
    name = PurePath(packets).name
    return {
        "schema": report["schema"],
        "note": f"{name} holds packets, hence bodies; this file does not",
        "incident": next(i for i in report["incidents"] if i["id"] == story.id),
        "findings": [f for f in report["findings"] if f["incident"] == story.id],
        "captures": report["captures"],
        "packets": {"file": name, "found_as": found or None},
        "summary": list(story.summary),
        **({"sockets": [one.as_dict() for one in sockets]} if sockets else {}),
    }


# --- who is in it --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cast:
    """The connections of an incident's file, at every vantage.

    `alike` are ordinary ones of the same endpoints, `others` any, the most telling first; each
    with all the connections that are the same one.
    """

    own: tuple[int, ...]
    alike: tuple[tuple[int, ...], ...]
    others: tuple[tuple[int, ...], ...]

    def ordinary(self, most: int) -> tuple[tuple[int, ...], ...]:
        """So many ordinary connections: at first those alone that are like it, then any."""
        every = self.alike if most == COMPANY[0] else (*self.alike, *self.others)
        return every[:most]

    def has_more(self, most: int) -> bool:
        """Whether there are more ordinary connections than so many."""
        return len(self.ordinary(most)) < len(self.alike) + len(self.others)

    def along(self, most: int) -> list[int]:
        """The same, as numbers."""
        return [n for members in self.ordinary(most) for n in members]


def _cast(scene: Scene) -> _Cast:
    joined = scene.tables.joined
    alike, others = company(scene.incident, scene.tables)
    return _Cast(
        tuple(m for n in scene.incident.every for m in joined.members(n)),
        tuple(tuple(joined.members(n)) for n in alike[: COMPANY[-1]]),
        tuple(tuple(joined.members(n)) for n in others[: COMPANY[-1]]),
    )


def _content(
    scene: Scene,
    story: Story,
    cast: _Cast,
    copies: dict[int, list[Copied]],
    most: int,
    sockets: Sequence[Snapshot],
) -> tuple[bytes, str]:
    """The pcapng, and the incident as which a scan of it finds the same; "": it does not."""
    numbers = [*cast.own, *cast.along(most)]
    packets = merged(copies[n] for n in numbers if n in copies)
    about = _about(story, scene.captures, len(cast.own), len(cast.ordinary(most)))
    found = ""
    if all(n in copies for n in cast.own):
        content = _pcapng(about, scene, story, packets)
        found = _found_as(content, scene.incident, sockets)
    return _pcapng(f"{about}\n{_result(story.id, found)}", scene, story, packets), found


def _about(story: Story, captures: Sequence[Capture], own: int, along: int) -> str:
    """The comment of the whole file."""
    sources = "; ".join(f"{PurePath(c.path).name} ({c.frames} frames)" for c in captures)
    return (
        f"wrangler-forensics, incident {story.id}: {story.title}.\n"
        "This file holds packets, hence the bodies of requests and responses.\n"
        f"In it are the connections of the incident ({own}, counting each place where one was "
        f"seen), with comments at the frames that matter, and {along} ordinary connections, from "
        "which a reader learns what is usual.\n"
        f"Frame numbers in the comments are those of the captures: {sources}."
    )


def _result(name: str, found: str) -> str:
    if found == name:
        return "A scan of this file finds the same incident."
    if found:
        return (
            f"A scan of this file finds the same incident, as {found}: its request is timed at "
            "another of the places that saw it."
        )
    return (
        "A scan of this file does NOT find the same incident: that takes more of the captures, or "
        "that they are apart, or what it was judged with (--baseline, --expect)."
    )


def _found_as(content: bytes, incident: Incident, sockets: Sequence[Snapshot]) -> str:
    """The incident of the same findings that a scan finds, "" if there is none."""
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        file.write(content)
        file.flush()
        again = pipeline.examine([file.name], sockets=sockets).incidents()
    gist = sorted(map(_gist, incident.findings))
    same = [i for i in again if sorted(map(_gist, i.findings)) == gist and _near(i, incident)]
    return same[0].id if same else ""


def _gist(finding: Finding) -> tuple[str, ...]:
    asked = [
        (r.method, r.target, r.client) if r else ("", "", "")
        for r in (finding.request, finding.owner)
    ]
    return finding.kind, finding.confidence, finding.cause, *asked[0], *asked[1]


def _near(one: Incident, two: Incident) -> bool:
    return abs(one.headline[2] - two.headline[2]) < SAME_MOMENT


# --- the packets -----------------------------------------------------------------------------


def _pcapng(about: str, scene: Scene, story: Story, copies: Sequence[Copied]) -> bytes:
    captures = scene.captures
    comments = _comments(scene, story)
    # Interfaces of one rotated set are the same interface.
    places: dict[tuple[int, int], int] = {}
    interfaces: list[evidence.Interface] = []
    packets = []
    for copied in copies:
        capture = captures[copied.capture]
        local = max(0, copied.local)
        number = places.get((capture.series, local))
        if number is None:
            number = places[(capture.series, local)] = len(interfaces)
            known = capture.interfaces[local]
            name = PurePath(capture.path).name
            interfaces.append(
                evidence.Interface(
                    known.name or name.split(".")[0],
                    f"{name} {known.description}".strip(),
                    known.link_type,
                )
            )
        packets.append(
            evidence.Packet(
                number,
                copied.time,
                copied.wire,
                copied.data,
                comments.get((copied.capture, copied.frame), ()),
            )
        )
    from analyzer import __version__  # here, because it is slow to import

    application = f"wrangler-forensics {__version__}"
    return b"".join(evidence.pcapng(about, application, interfaces, packets))


def _comments(scene: Scene, story: Story) -> dict[_Place, tuple[str, ...]]:
    """What is said of the frames that matter, at every place where their packets were seen."""
    found: dict[_Place, list[str]] = {}
    for event in story.events:
        if not event.frame or not event.matters:
            continue
        text = _comment(event, story)
        for capture, frame in _sightings(scene, event):
            found.setdefault((capture, frame), []).append(
                f"{text} [frame {frame} of {PurePath(scene.captures[capture].path).name}]"
            )
    return {place: tuple(texts) for place, texts in found.items()}


def _comment(event: Event, story: Story) -> str:
    who, whom = story.lanes[event.source].name, story.lanes[event.target].name
    mark = "THE SWAP: " if event.manner is Manner.ASTRAY else ""
    return f"wrangler-forensics: {mark}{who} → {whom}: {event.text}"


def _sightings(scene: Scene, event: Event) -> Iterable[_Place]:
    """All frames that carry the packet of an event: the same numbers at every vantage."""
    yield event.frame.capture, event.frame.number
    look = scene.looks.get(event.connection)
    packet = next(
        (p for p in (look.packets if look else ()) if scene.tables.frame(p) == event.frame),
        None,
    )
    if packet is None:
        return
    for number in scene.tables.joined.members(event.connection):
        other: Reread | None = scene.looks.get(number)
        if other is None or number == event.connection:
            continue
        for one in other.packets:
            if _numbers(one) == _numbers(packet):
                yield one.capture, one.frame
                break


def _numbers(packet: Packet) -> tuple[int, ...]:
    """What a packet keeps on its way."""
    return packet.side, packet.seq, packet.ack, packet.flags, packet.window, packet.length
