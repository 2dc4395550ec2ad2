"""What a response looked like, beside what its endpoint usually answers: shapes, never values."""

from collections.abc import Sequence

from analyzer.baselines.summaries import EndpointSummary, ShapeCount
from analyzer.correlate.frames import Frame
from analyzer.correlate.model import Request, Response
from analyzer.explain.model import Bodies, Look
from analyzer.explain.words import counted
from analyzer.findings.model import Finding

MOST_LINES = 14
SAME_ENDPOINT = (
    "Both requests ask the same endpoint, so the shapes tell nothing here: what tells is a value, "
    "which the evidence names."
)
_LONGEST = 400  # characters of one line


def bodies(finding: Finding, endpoints: Sequence[EndpointSummary], frame: Frame) -> Bodies | None:
    """The comparison for a finding with a response (its `frame`), if its endpoint is known."""
    request, response, owner = finding.request, finding.response, finding.owner
    if request is None or response is None:
        return None
    usual = _usual(request, endpoints, but=response)
    if usual is None:
        return None
    theirs = None if owner is None else _usual(owner, endpoints)
    came = Look(f"what came in frame {frame}", response.status, _lines(response.shape))
    if owner is not None and owner.endpoint == request.endpoint:
        told = SAME_ENDPOINT
    else:
        told = _comparison(usual.shape, response.shape, theirs.shape if theirs else None, owner)
    return Bodies(
        _look(usual, request, endpoints),
        came,
        None if theirs is None or owner is None else _look(theirs, owner, endpoints),
        told,
    )


def _shapes(request: Request, endpoints: Sequence[EndpointSummary]) -> list[ShapeCount]:
    return [s for e in endpoints if e.endpoint == request.endpoint for s in e.shapes]


def _usual(
    request: Request, endpoints: Sequence[EndpointSummary], but: Response | None = None
) -> ShapeCount | None:
    """What the endpoint of a request answers most often; `but` does not count for itself."""
    most = max(_shapes(request, endpoints), key=lambda s: s.count, default=None)
    alone = most and but and most.shape == but.shape and most.count == 1
    return None if alone else most


def _look(usual: ShapeCount, request: Request, endpoints: Sequence[EndpointSummary]) -> Look:
    return Look(
        f"usual: {request.endpoint}",
        usual.status,
        _lines(usual.shape),
        usual.count,
        sum(s.count for s in _shapes(request, endpoints)),
    )


def _comparison(usual: str, came: str, theirs: str | None, owner: Request | None) -> str:
    expected, found = _names(usual), _names(came)
    if usual == came:
        return "The two shapes are alike: what tells here is a value, not the shape."
    text = ""
    if expected and found:
        common = len(expected & found)
        text = f"Of the {counted(len(expected), 'field', 'fields')} on the left, " + (
            f"{common or 'none'} {'are' if common > 1 else 'is'} in what came."
        )
    if owner is not None and theirs == came:
        text += f" What came is exactly what {owner.endpoint} usually answers."
    return text.strip()


def _names(shape: str) -> set[str]:
    """The names of all fields, those inside others too, with what they are inside of."""
    found = set()
    for part in _fields(shape):
        name, _, value = part.partition(": ")
        name = name.rstrip("?")
        found |= {name, *(f"{name}.{inner}" for inner in _names(value))}
    return found


def _fields(shape: str) -> list[str]:
    inside = shape[1:-1] if shape.startswith("[{") and shape.endswith("}]") else shape
    if not (inside.startswith("{") and inside.endswith("}")):
        return []
    return [part.strip() for part in _parts(inside[1:-1])]


def _lines(shape: str) -> tuple[str, ...]:
    """A shape's outermost fields, a line each; what lies deeper stays on its field's line."""
    found = [part[:_LONGEST] for part in _fields(shape)]
    if not found:
        return (shape[:_LONGEST],)
    if len(found) > MOST_LINES:
        left = counted(len(found) - MOST_LINES + 1, "more field", "more fields")
        found = [*found[: MOST_LINES - 1], f"… {left}"]
    return ("an array of objects with", *found) if shape.startswith("[") else tuple(found)


def _parts(text: str) -> list[str]:
    """The parts between the outermost commas; quoted names may have any character."""
    parts, depth, start, quoted, skip = [], 0, 0, False, False
    for at, letter in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            skip = letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
        elif letter == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part for part in parts if part.strip()]
