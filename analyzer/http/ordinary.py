"""Ordinary exchanges, read many at once: a whole request, then its whole answer.

Law: what is taken here gives the same row as the state machine of `messages.py` and `exchanges.py`
would give, and whatever is not plainly ordinary is left to them. The caller has checked the
numbers: the response begins where the request's ack points, and acknowledges exactly the request's
end, so that order and causality agree. Most traffic is ordinary; reading its heads a block at a
time, without a state machine, is what makes a scan several times as fast.

A head is told by a *template* learned from an example: the lines that matter to the letter (but for
the number in a Content-Length), of the other lines only their names, in the same order. So every
head that fits a template has the same method or status and the same fields. Fitting is a compiled
kernel; without it nothing is ordinary.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer import compiled
from analyzer.http import grammar
from analyzer.http.grammar import LONGEST_TARGET, Fields

_METHOD = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE|OPTIONS)\Z")
_NAME = re.compile(rb"[!-9;-~]+\Z")
_LENGTH = re.compile(rb"[0-9]{1,9}\Z")
_MOST_TEMPLATES = 48  # kept for requests, and for responses
_LEARNED_AT_ONCE = 6  # new templates in one block

# As the kernel knows them: what stands behind a literal, and how the body is framed.
NOTHING, VALUE, TARGET, LENGTH = range(4)
BY_LENGTH, BODYLESS, CHUNKED = range(3)

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Template:
    """What a kind of head looks like: literals, and what stands behind each.

    `start` is the length of a response's start line with its CR LF, in bytes.
    """

    literals: list[bytes]
    values: list[int]
    fields: Fields
    framing: int
    method: bytes = b""
    status: int = 0
    start: int = 0
    hits: int = 0


@dataclass(slots=True)
class Glance:
    """What the heads of a block's candidate pairs say; arrays have one element a row.

    `ordinary` marks the rows of requests that are taken; the rest describes those: offsets into the
    block's data, lengths in bytes, and indices into `templates`. `length` is that of the response's
    body, which begins at `body`, without transfer coding.
    """

    ordinary: Mask
    target: Ints
    target_end: Ints
    request_length: Ints
    body: Ints
    length: Ints
    asked: Ints
    answered: Ints
    templates: list[Template] = field(default_factory=list)

    @classmethod
    def of(cls, count: int) -> "Glance":
        """A glance at `count` rows that takes none."""
        no = np.zeros((7, count), dtype=np.int64)
        return cls(np.zeros(count, dtype=np.bool_), *no)


class OrdinaryReader:
    """Reads ordinary exchanges; what it remembers is what heads look like, nothing else."""

    def __init__(self) -> None:
        self._requests: list[Template] = []
        self._responses: list[Template] = []

    def glance(
        self, data: bytes, start: Ints, end: Ints, pair: Mask, answer: Ints | None = None
    ) -> Glance:
        """Look at the texts data[start:end]; a row in `pair` is a request before its response.

        All arrays have shape (n,). `answer` is the row of each request's response, without it the
        next.
        """
        if answer is None:
            answer = np.arange(1, len(start) + 1)
        out = Glance.of(len(start))
        rows = np.flatnonzero(pair)
        if compiled.kernels is None or not len(rows):
            return out
        heads = _fit_all(
            data, start[rows], end[rows], self._requests, out.templates, request_template
        )
        whole = (heads[:, 0] >= 0) & (heads[:, 2] >= 0)
        rows, asked = rows[whole], heads[whole]
        heads = _fit_all(
            data,
            start[answer[rows]],
            end[answer[rows]],
            self._responses,
            out.templates,
            response_template,
        )
        whole = (heads[:, 0] >= 0) & (heads[:, 2] >= 0)
        rows, asked, answered = rows[whole], asked[whole], heads[whole]
        out.ordinary[rows] = True
        out.asked[rows], out.request_length[rows] = asked[:, 0], asked[:, 2]
        out.target[rows], out.target_end[rows] = asked[:, 3], asked[:, 4]
        out.answered[rows], out.body[rows] = answered[:, 0], answered[:, 1]
        out.length[rows] = answered[:, 2]
        return out


def _fit_all(
    data: bytes,
    start: Ints,
    end: Ints,
    known: list[Template],
    templates: list[Template],
    learn: Callable[[bytes], Template | None],
) -> Ints:
    """Fit every message to a template, learning new ones from those that fit none so far.

    Returns what the kernel `fit` says of each; templates are numbered as in `templates`.
    """
    found = _fit(data, start, end, known)
    left = np.flatnonzero(found[:, 0] < 0)
    learned: list[Template] = []
    for _ in range(_LEARNED_AT_ONCE):
        if not len(left):
            break
        first = int(left[0])
        template = learn(data[int(start[first]) : int(end[first])])
        if template is None:
            # Not an ordinary head; one of the others may be.
            left = left[1:]
            continue
        again = _fit(data, start[left], end[left], [template])
        again[again[:, 0] == 0, 0] = len(known) + len(learned)
        found[left] = again
        learned.append(template)
        rest = left[again[:, 0] < 0]
        left = rest[1:] if len(rest) and rest[0] == first else rest
    known += learned
    hits = np.bincount(found[:, 0] + 1, minlength=len(known) + 1)[1:]
    for template, count in zip(known, hits.tolist(), strict=True):
        template.hits += count
    found[found[:, 0] >= 0, 0] += len(templates)
    templates += known
    # The most frequent are tried first, and the rarest make room.
    known.sort(key=lambda t: -t.hits)
    del known[_MOST_TEMPLATES:]
    return found


def _fit(data: bytes, start: Ints, end: Ints, templates: list[Template]) -> Ints:
    """What the kernel `fit` says of each message, shape (n, 5)."""
    parts: list[tuple[int, int, int]] = []
    bounds: list[tuple[int, int, int]] = []
    literals = bytearray()
    for template in templates:
        first = len(parts)
        for literal, value in zip(template.literals, template.values, strict=True):
            parts.append((len(literals), len(literal), value))
            literals += literal
        bounds.append((first, len(parts), template.framing))
    out = np.full((len(start), 5), -1, dtype=np.int64)
    compiled.kernels.fit(
        data,
        start,
        end,
        bytes(literals),
        np.array(parts, dtype=np.int64).reshape(-1, 3),
        np.array(bounds, dtype=np.int64).reshape(-1, 3),
        LONGEST_TARGET,
        out,
    )
    return out


# --- learning ------------------------------------------------------------------------------


def request_template(request: bytes) -> Template | None:
    """The template of a request's head; None when it asks for the state machine."""
    head, end, _ = request[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    method, _, rest = first.partition(b" ")
    fields = grammar.fields(block)
    lines = _lines(block)
    if (
        not end
        or lines is None
        or not _METHOD.match(method)
        or not re.fullmatch(rb"[^ \r\n]+ HTTP/1\.1", rest)
        or fields.upgrade
        or fields.expect
        or fields.transfer_codings
        or fields.oddities
    ):
        return None
    literals, values = lines
    literals[0] = b" HTTP/1.1" + literals[0]
    framing = BODYLESS if fields.content_length is None else BY_LENGTH
    return Template([method + b" ", *literals], [TARGET, *values], fields, framing, method=method)


def response_template(response: bytes) -> Template | None:
    """The template of a response's head; None when it asks for the state machine."""
    head, end, _ = response[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    status = grammar.status_line(first)
    fields = grammar.fields(block)
    lines = _lines(block)
    if not end or lines is None or status is None or status[0] < 200 or b"\n" in first:
        return None
    if fields.oddities or grammar.odd_start_line(first):
        return None
    if status[0] in (204, 304):
        framing = BODYLESS
    elif fields.transfer_codings == (b"chunked",) and fields.content_length is None:
        framing = CHUNKED
    elif fields.content_length is not None and not fields.transfer_codings:
        framing = BY_LENGTH
    else:
        return None
    literals, values = lines
    literals[0] = first + literals[0]
    return Template(literals, values, fields, framing, status=status[0], start=len(first) + 2)


def _lines(block: bytes) -> tuple[list[bytes], list[int]] | None:
    """The literals of a head's fields, from the CR behind the start line on, and what follows each.

    None where a line is not plain. At most one value is a Content-Length.
    """
    literals = [b""]
    values: list[int] = []
    for line in block.split(b"\r\n") if block else ():
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.match(name) or b"\n" in line or b"\r" in line:
            return None
        literals[-1] += b"\r\n"
        low = name.lower()
        if low == b"content-length":
            digits = value.lstrip(b" ")
            if not _LENGTH.match(digits):
                return None
            literals[-1] += name + b":" + value[: len(value) - len(digits)]
            values.append(LENGTH)
            literals.append(b"")
        elif low in grammar.WANTED:
            literals[-1] += line
        else:
            literals[-1] += name + b":"
            values.append(VALUE)
            literals.append(b"")
    literals[-1] += b"\r\n\r\n"
    return (literals, [*values, NOTHING]) if values.count(LENGTH) < 2 else None
