"""Ordinary exchanges, read many at once: a whole request in one segment, its answer in the next.

Law: what is taken here gives the same row as the state machine of `messages.py` and `exchanges.py`
would give, and whatever is not plainly ordinary is left to them. The caller has checked the
numbers: the response begins where the request's ack points, and acknowledges exactly the request's
end, so that order and causality agree. Most traffic is ordinary; reading its heads a block at a
time, without a state machine, is what makes a scan several times as fast.

A head is told by a *template* learned from an example: the lines that matter to the letter (but for
the number in a Content-Length), of the other lines only their names, in the same order. So every
head that fits a template has the same method or status and the same fields.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer.http import grammar
from analyzer.http.grammar import LONGEST_TARGET, Fields

_METHOD = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE|OPTIONS)\Z")
_NAME = re.compile(rb"[!-9;-~]+\Z")
_LENGTH = re.compile(rb"[0-9]{1,9}\Z")
_MOST_TEMPLATES = 48  # kept for requests, and for responses
_LEARNED_AT_ONCE = 6  # new templates in one block
_LONGEST_NUMBER = 10  # bytes looked at for a Content-Length and the CR behind it
_WINDOWS = (48, 512)  # bytes looked at for the end of a value; beyond, the state machine reads it

SPACE, CR = 0x20, 0x0D

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Template:
    """What a kind of head looks like: literals with one open value between each two.

    `values` says what each open value is: "target", "length" or "" for a value that doesn't matter.
    """

    literals: list[Bytes]
    values: list[str]
    fields: Fields
    method: bytes = b""
    status: int = 0
    bodyless: bool = False
    hits: int = 0


@dataclass(slots=True)
class Glance:
    """What the heads of a block's candidate pairs say; arrays have one element a row.

    `ordinary` marks the rows of requests that are taken; the rest describes those: offsets into the
    block's data, lengths in bytes, and indices into `templates`.
    """

    ordinary: Mask
    target: Ints
    target_end: Ints
    trailing: Ints  # where the number that the target ends with begins, or the target's end
    request_length: Ints
    body: Ints
    length: Ints
    asked: Ints
    answered: Ints
    templates: list[Template] = field(default_factory=list)

    @classmethod
    def of(cls, count: int) -> "Glance":
        """A glance at `count` rows that takes none."""
        no = np.zeros((8, count), dtype=np.int64)
        return cls(np.zeros(count, dtype=np.bool_), *no)


class OrdinaryReader:
    """Reads ordinary exchanges; what it remembers is what heads look like, nothing else."""

    def __init__(self) -> None:
        self._requests: list[Template] = []
        self._responses: list[Template] = []

    def glance(self, data: bytes, start: Ints, end: Ints, pair: Mask) -> Glance:
        """Look at the segments data[start:end]; a row in `pair` is a request before its response.

        All arrays have shape (n,).
        """
        count = len(start)
        out = Glance.of(count)
        rows = np.flatnonzero(pair)
        if not len(rows):
            return out
        octets = np.frombuffer(data, np.uint8)
        requests = _Heads(octets, start[rows], end[rows])
        _fit_all(data, requests, self._requests, out.templates, request_template)
        whole = requests.fits & (requests.head_end + requests.length == end[rows])
        rows = rows[whole]
        requests = requests.take(whole)
        responses = _Heads(octets, start[rows + 1], end[rows + 1])
        _fit_all(data, responses, self._responses, out.templates, response_template)
        whole = responses.fits & (responses.head_end + responses.length == end[rows + 1])
        rows = rows[whole]
        requests, responses = requests.take(whole), responses.take(whole)
        out.ordinary[rows] = True
        out.target[rows], out.target_end[rows] = requests.target, requests.target_end
        out.trailing[rows] = _trailing_number(octets, requests.target, requests.target_end)
        out.request_length[rows], out.asked[rows] = requests.length, requests.template
        out.body[rows], out.length[rows] = responses.head_end, responses.length
        out.answered[rows] = responses.template
        return out


class _Heads:
    """Heads being told: where each begins, where its segment ends, and what was found."""

    def __init__(self, octets: Bytes, start: Ints, end: Ints) -> None:
        self.octets, self.start, self.end = octets, start, end
        self.fits = np.zeros(len(start), dtype=np.bool_)
        self.head_end, self.length, self.target, self.target_end, self.template = (
            np.zeros(len(start), dtype=np.int64) for _ in range(5)
        )

    def take(self, chosen: Mask) -> "_Heads":
        out = _Heads(self.octets, self.start[chosen], self.end[chosen])
        for name in ("fits", "head_end", "length", "target", "target_end", "template"):
            setattr(out, name, getattr(self, name)[chosen])
        return out


def _fit_all(
    data: bytes,
    heads: _Heads,
    known: list[Template],
    templates: list[Template],
    learn: Callable[[bytes], Template | None],
) -> None:
    """Fit every head to a template, learning new ones from those that fit none so far."""
    left = np.arange(len(heads.start))
    for template in known:
        if not len(left):
            return
        left = _fit(heads, left, template, len(templates))
        templates.append(template)
    for _ in range(_LEARNED_AT_ONCE):
        if not len(left):
            break
        first = int(left[0])
        head = data[int(heads.start[first]) : int(heads.end[first])]
        learned = learn(head)
        if learned is None:
            # Not an ordinary head; one of the others may be.
            left = left[1:]
            continue
        left = _fit(heads, left, learned, len(templates))
        templates.append(learned)
        known.append(learned)
        if len(left) and left[0] == first:
            left = left[1:]
    # The most frequent are tried first, and the rarest make room.
    known.sort(key=lambda t: -t.hits)
    del known[_MOST_TEMPLATES:]


def _fit(heads: _Heads, rows: Ints, template: Template, number: int) -> Ints:
    """Fit the heads of `rows` to a template; returns the rows that don't fit."""
    octets = heads.octets
    alive = np.arange(len(rows))
    at = heads.start[rows]
    found: dict[str, Ints] = {}
    for place, literal in enumerate(template.literals):
        same = _begins_with(octets, at, literal)
        alive, at = alive[same], at[same] + len(literal)
        found = {name: value[same] for name, value in found.items()}
        if place == len(template.values) or not len(alive):
            break
        kind = template.values[place]
        if kind == "length":
            stop, number_found = _number(octets, at)
            good = stop >= 0
            found["length"] = number_found
        else:
            stop = _end_of_value(octets, at, SPACE if kind == "target" else CR)
            good = stop >= 0
            if kind == "target":
                good &= (stop > at) & (stop - at <= LONGEST_TARGET)
                found["target"], found["target_end"] = at, stop
        alive, at = alive[good], stop[good]
        found = {name: value[good] for name, value in found.items()}
    inside = at <= heads.end[rows[alive]]
    alive, at = alive[inside], at[inside]
    chosen = rows[alive]
    heads.fits[chosen] = True
    heads.head_end[chosen] = at
    heads.template[chosen] = number
    for name, value in found.items():
        getattr(heads, name)[chosen] = value[inside]
    if template.bodyless:
        # A 304 may say how long the body would be; there is none (RFC 9112 §6.3).
        heads.length[chosen] = 0
    template.hits += len(chosen)
    rest = np.ones(len(rows), dtype=np.bool_)
    rest[alive] = False
    return rows[rest]


def _windows(octets: Bytes, width: int) -> Bytes:
    """A view of all runs of `width` bytes, by offset; shape (n - width + 1, width)."""
    return np.ndarray((len(octets) - width + 1, width), np.uint8, octets.data, strides=(1, 1))


def _begins_with(octets: Bytes, at: Ints, literal: Bytes) -> Mask:
    """Whether the bytes at each offset are those of `literal`, compared eight at a time."""
    width = len(literal)
    if len(octets) < width:
        return np.zeros(len(at), dtype=np.bool_)
    inside = at + width <= len(octets)
    window = _windows(octets, width)[np.where(inside, at, 0)]
    words = width // 8
    same = inside
    if words:
        whole = np.ascontiguousarray(literal[: words * 8]).view(np.uint64)
        part = np.ascontiguousarray(window[:, : words * 8]).view(np.uint64)
        same = same & (part == whole).all(axis=1)
    if width % 8:
        same = same & (window[:, words * 8 :] == literal[words * 8 :]).all(axis=1)
    return same


def _end_of_value(octets: Bytes, at: Ints, end: int) -> Ints:
    """Where the value beginning at each offset ends with the byte `end`; -1 where it doesn't.

    A value with another byte below `end` in it isn't plain.
    """
    stop = np.full(len(at), -1, dtype=np.int64)
    left = np.arange(len(at))
    for width in _WINDOWS:
        if not len(left):
            break
        left = left[at[left] + width <= len(octets)]
        window = _windows(octets, width)[at[left]]
        # No control before CR belongs in a value (a tab does: then the state machine reads it).
        place = (window <= end).argmax(axis=1)
        last = window[np.arange(len(left)), place]
        done = last <= end
        good = last == end
        stop[left[good]] = at[left[good]] + place[good]
        left = left[~done]
    return stop


def _number(octets: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Where the decimal number at each offset ends with a CR (-1: it doesn't), and its value."""
    stop = np.full(len(at), -1, dtype=np.int64)
    value = np.zeros(len(at), dtype=np.int64)
    going = at + _LONGEST_NUMBER <= len(octets)
    for place in range(_LONGEST_NUMBER):
        byte = octets[np.minimum(at + place, len(octets) - 1)].astype(np.int64)
        ended = going & (byte == CR) & (place > 0)
        stop[ended] = at[ended] + place
        going &= (byte >= 0x30) & (byte <= 0x39) & (place < _LONGEST_NUMBER - 1)
        value = np.where(going, value * 10 + byte - 0x30, value)
        if not going.any():
            break
    return stop, value


def _trailing_number(octets: Bytes, start: Ints, end: Ints) -> Ints:
    """Where the last path segment begins if it is a number of up to 18 digits, else `end`."""
    at = end - 1
    going = np.ones(len(end), dtype=np.bool_)
    for _ in range(18):
        byte = octets[at]
        going = going & (byte >= 0x30) & (byte <= 0x39) & (at > start)
        if not going.any():
            break
        at = at - going
    number = (octets[at] == 0x2F) & (at + 1 < end)
    return np.where(number, at + 1, end)


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
    ):
        return None
    literals, values = lines
    literals[0] = b" HTTP/1.1" + literals[0]
    return Template(
        [_octets(part) for part in (method + b" ", *literals)],
        ["target", *values],
        fields,
        method=method,
        bodyless=fields.content_length is None,
    )


def response_template(response: bytes) -> Template | None:
    """The template of a response's head; None when it asks for the state machine."""
    head, end, _ = response[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    status = grammar.status_line(first)
    fields = grammar.fields(block)
    lines = _lines(block)
    if not end or lines is None or status is None or status[0] < 200 or b"\n" in first:
        return None
    bodyless = status[0] in (204, 304)
    if not bodyless and fields.content_length is None:
        return None
    literals, values = lines
    literals[0] = first + literals[0]
    parts = [_octets(part) for part in literals]
    return Template(parts, values, fields, status=status[0], bodyless=bodyless)


def _octets(part: bytes) -> Bytes:
    return np.frombuffer(part, np.uint8)


def _lines(block: bytes) -> tuple[list[bytes], list[str]] | None:
    """Literals and open values of a head's fields, from the CR behind the start line on.

    None where a line is not plain. At most one value is a Content-Length.
    """
    literals = [b""]
    values: list[str] = []
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
            values.append("length")
            literals.append(b"")
        elif low == b"transfer-encoding":
            return None
        elif low in grammar.WANTED:
            literals[-1] += line
        else:
            literals[-1] += name + b":"
            values.append("")
            literals.append(b"")
    literals[-1] += b"\r\n\r\n"
    return (literals, values) if values.count("length") < 2 else None
