"""The comments of a capture on the frames of a finding: what container tools wrote on them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analyzer.capture.frames import Capture
from analyzer.correlate.frames import Frame, listed
from analyzer.correlate.view import Tables
from analyzer.findings.model import Finding
from analyzer.report.escape import shortened

MOST_LISTED = 64  # of one finding
MOST_TOLD, LONGEST = 12, 400  # of an incident, and characters of one
MOST_NAMED = 12  # frames of one comment that are named


class Comment(NamedTuple):
    """A comment on a frame, as it is in the file."""

    capture: int
    frame: int
    comment: str


def comments(captures: list[Capture], finding: Finding) -> list[Comment]:
    """The comments on the frames that a finding names, in the order of captures and frames."""
    found: list[Comment] = []
    for number, frame in sorted(set(_frames(finding))):
        # What judging calls a capture is its place in the list.
        for text in captures[number].comments.of(frame):
            if len(found) < MOST_LISTED:
                found.append(Comment(number, frame, text))
    return found


def told(captures: list[Capture], findings: Iterable[Finding], tables: Tables) -> list[str]:
    """The comments on the frames of several findings for a person, the first ones."""
    every = dict.fromkeys(one for finding in findings for one in comments(captures, finding))
    return [shortened(line, LONGEST) for line in lines(list(every), tables)][:MOST_TOLD]


def _frames(finding: Finding) -> Iterator[tuple[int, int]]:
    """Captures and numbers of the finding's frames."""
    for part in (finding.request, finding.response, finding.owner):
        if part is not None:
            yield part.capture, part.frame
    yield from ((frame.capture, frame.number) for fact in finding.evidence for frame in fact.frames)


def lines(found: list[Comment], tables: Tables) -> list[str]:
    """The comments for a person: each text once, with all its frames."""
    texts: dict[str, list[Frame]] = {}
    for one in found:
        texts.setdefault("; ".join(one.comment.split("\n")), []).append(tables.frame(one))
    return [f"{listed(frames, MOST_NAMED)}: {text}" for text, frames in texts.items()]
