"""The comments of a capture on the frames of a finding: what container tools wrote on them."""

from collections.abc import Iterator
from typing import NamedTuple

from analyzer.capture.frames import Capture
from analyzer.findings.model import Finding

MOST_LISTED = 64  # of one finding


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


def _frames(finding: Finding) -> Iterator[tuple[int, int]]:
    """Captures and numbers of the finding's frames."""
    parts = [p for p in (finding.request, finding.response, finding.owner) if p is not None]
    places = {part.capture for part in parts}
    for part in parts:
        yield part.capture, part.frame
    if len(places) == 1:
        # Evidence says of frames only their numbers: with one capture, that is enough.
        (place,) = places
        yield from ((place, frame) for fact in finding.evidence for frame in fact.frames)


def lines(found: list[Comment]) -> list[str]:
    """The comments for a person: each text once, with all its frames."""
    texts: dict[str, list[int]] = {}
    for _, frame, text in found:
        texts.setdefault("; ".join(text.split("\n")), []).append(frame)
    return [
        f"frame{'s' if len(frames) > 1 else ''} {', '.join(map(str, frames))}: {text}"
        for text, frames in texts.items()
    ]
