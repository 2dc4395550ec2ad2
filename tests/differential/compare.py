"""Two readers beside each other, and every difference told; nothing is excused here."""

from difflib import SequenceMatcher

from tests.differential.model import Difference, Request, Response, Seen, Talk

_SHOWN = 80


def of_talk(stream: int, ours: Talk, theirs: Talk) -> list[Difference]:
    """What differs in a connection's messages."""
    found = []
    asked, told = [_asked(r) for r in ours.requests], [_asked(r) for r in theirs.requests]
    if asked != told:
        found.append(Difference("requests", stream, *_apart(asked, told)))
    said, heard = [str(r.status) for r in ours.responses], [str(r.status) for r in theirs.responses]
    if said != heard:
        found.append(Difference("responses", stream, *_apart(said, heard)))
    if found:
        # What is beside what is not known: the rest would be told for the wrong messages.
        return found
    for place, (one, two) in enumerate(zip(ours.requests, theirs.requests, strict=True)):
        if None not in (one.length, two.length) and one.length != two.length:
            found.append(
                Difference("body", stream, f"request {place}: {one.length}", str(two.length))
            )
    for place, (mine, other) in enumerate(zip(ours.responses, theirs.responses, strict=True)):
        found += _of_response(stream, place, mine, other)
    return found


def _of_response(stream: int, place: int, ours: Response, theirs: Response) -> list[Difference]:
    found = []
    if ours.asked is not None and theirs.asked not in (None, -1) and ours.asked != theirs.asked:
        found.append(
            Difference("pairing", stream, f"response {place} of {ours.asked}", f"{theirs.asked}")
        )
    if None not in (ours.length, theirs.length) and ours.length != theirs.length:
        found.append(
            Difference("body", stream, f"response {place}: {ours.length}", f"{theirs.length}")
        )
    elif None not in (ours.checksum, theirs.checksum) and ours.checksum != theirs.checksum:
        found.append(
            Difference(
                "body", stream, f"response {place}: sum {ours.checksum:x}", f"{theirs.checksum:x}"
            )
        )
    return found


def _asked(request: Request) -> str:
    return f"{request.method} {request.target}"


def _apart(ours: list[str], theirs: list[str]) -> tuple[str, str]:
    """What only one of two lists has, in order."""
    mine, others = [], []
    matcher = SequenceMatcher(a=ours, b=theirs, autojunk=False)
    for kind, low, high, start, stop in matcher.get_opcodes():
        if kind != "equal":
            mine += ours[low:high]
            others += theirs[start:stop]
    return _list(mine), _list(others)


def _list(items: list[str]) -> str:
    shown = ", ".join(items[:4]) + (f" and {len(items) - 4} more" if len(items) > 4 else "")
    return f"{len(items)}" + (f" ({shown[:_SHOWN]!r})" if items else "")


def of_capture(ours: Seen, theirs: Seen) -> list[Difference]:
    """What differs in a capture, message by message."""
    found = []
    if ours.frames != theirs.frames:
        found.append(Difference("frames", 0, str(ours.frames), str(theirs.frames)))
    for frame in sorted(ours.begun ^ theirs.begun):
        told = ("begins", "goes on") if frame in ours.begun else ("none", "begins")
        found.append(Difference("streams", frame, *told))
    nothing = Talk()
    for stream in sorted({*ours.talks, *theirs.talks}):
        mine, others = ours.talks.get(stream, nothing), theirs.talks.get(stream, nothing)
        found += of_talk(stream, mine, others)
    for side in sorted(ours.gaps ^ theirs.gaps):
        who = "server's bytes" if side.server else "client's bytes"
        sides = [f"{who} missing" if side in one.gaps else "whole" for one in (ours, theirs)]
        found.append(Difference("gap", side.stream, *sides))
    return found
