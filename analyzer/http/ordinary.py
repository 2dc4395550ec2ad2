"""Ordinary exchanges, read many at once: a whole request, then its whole answer.

Law: what is taken here gives the same row as the state machine of `messages.py` and `exchanges.py`
would give, and whatever is not plainly ordinary is left to them. The caller has checked the
numbers: the response begins where the request's ack points, and acknowledges exactly the request's
end, so that order and causality agree. Most traffic is ordinary; reading its heads a block at a
time, without a state machine, is what makes a scan several times as fast.

A head is told by its *key*: a compiled kernel makes one word of the method or the status line and
of those fields that anything depends on (`WANTED`, `TELLING`), and declines what is not plain. The
first head of each key is read by the functions that read all others, and what they say holds for
all heads with that key (a `Template`), but for the number in a Content-Length. Without the kernel
nothing is ordinary.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer import compiled, limits
from analyzer.http import grammar
from analyzer.http.grammar import LONGEST_TARGET, WANTED, Fields

_METHOD = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE|OPTIONS)\Z")
_REST = re.compile(rb"[^ \r\n]+ HTTP/1\.1\Z")
_MOST_KEYS = 4_096  # remembered, of requests and of responses
_MOST_TEMPLATES = 128  # of requests and of responses in one block; the most frequent

# Fields of a request whose presence tells where to look for tokens, or an operation.
TELLING = (
    b"cookie",
    b"authorization",
    b"idempotency-key",
    b"traceparent",
    b"soapaction",
    b"x-amz-target",
)
TELLING_END = b"-id"  # the end of further names

# How the kernel counts a field, and how a body is framed.
_WHOLE, _LENGTH, _NAMED = 1, 2, 3
BY_LENGTH, BODYLESS, CHUNKED = range(3)

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Template:
    """What heads of one key have in common.

    `start` is the length of a response's start line with its CR LF, in bytes; `telling` has, of a
    request, the lines that count in the key, or their names, each behind a line feed.
    """

    fields: Fields
    framing: int
    method: bytes = b""
    status: int = 0
    start: int = 0
    telling: bytes = b""


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
    declined: dict[str, int] = field(default_factory=dict)  # how many pairs, by reason

    @classmethod
    def of(cls, count: int) -> "Glance":
        """A glance at `count` rows that takes none."""
        no = np.zeros((7, count), dtype=np.int64)
        return cls(np.zeros(count, dtype=np.bool_), *no)


class OrdinaryReader:
    """Reads ordinary exchanges; what it remembers is what heads say, by their keys."""

    def __init__(self) -> None:
        self._requests = _Heads(request_template, is_response=False)
        self._responses = _Heads(response_template, is_response=True)

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
        pairs = len(rows)
        asked = self._requests.read(data, start[rows], end[rows], out.templates)
        whole = asked.length >= 0
        out.declined["request-head"] = asked.unknown
        rows, asked = rows[whole], asked.of(whole)
        replies = answer[rows]
        answered = self._responses.read(data, start[replies], end[replies], out.templates)
        whole = answered.length >= 0
        out.declined["response-head"] = answered.unknown
        rows, asked, answered = rows[whole], asked.of(whole), answered.of(whole)
        heads = sum(out.declined.values())
        out.declined["length"] = pairs - heads - len(rows)
        out.ordinary[rows] = True
        out.asked[rows], out.request_length[rows] = asked.template, asked.length
        out.target[rows], out.target_end[rows] = asked.target, asked.target_end
        out.answered[rows], out.body[rows] = answered.template, answered.end
        out.length[rows] = answered.length
        return out


@dataclass(slots=True)
class _Read:
    """What the heads of some texts say, an element each.

    `template` is -1 where a head is not ordinary, `length` also where the message does not end with
    the text; it is that of the body without transfer coding.
    """

    template: Ints
    end: Ints
    length: Ints
    target: Ints
    target_end: Ints

    @property
    def unknown(self) -> int:
        """How many heads are not ordinary."""
        return int(np.count_nonzero(self.template < 0))

    def of(self, chosen: Mask) -> "_Read":
        """Some of them."""
        columns = self.template, self.end, self.length, self.target, self.target_end
        return _Read(*(column[chosen] for column in columns))


class _Heads:
    """The heads of requests, or of responses."""

    def __init__(self, learn: Callable[[bytes], Template | None], *, is_response: bool) -> None:
        self._learn = learn
        self._is_response = is_response
        self._known: dict[int, Template | None] = {}
        names = [(name, _WHOLE, False) for name in WANTED if name != b"content-length"]
        names.append((b"content-length", _LENGTH, False))
        if not is_response:
            names += [(name, _NAMED, False) for name in TELLING]
            names.append((TELLING_END, _NAMED, True))
        self._names, self._table = compiled.name_table(names)

    def read(self, data: bytes, start: Ints, end: Ints, templates: list[Template]) -> _Read:
        """Read the head at the start of each text start..end; `templates` grows."""
        count = len(start)
        keys = np.zeros(count, dtype=np.uint64)
        found = np.zeros((count, 4), dtype=np.int64)
        longest = min(LONGEST_TARGET, limits.HEAD)
        compiled.kernels.head_keys(
            data, start, end, self._names, self._table, self._is_response, longest, keys, found
        )
        template = self._templates(data, start, end, keys, templates)
        head_end, number, target, target_end = found.T
        framing = np.array([t.framing for t in templates] + [BODYLESS])[template]
        length = np.where(framing == BODYLESS, 0, number)
        length[(template < 0) | (head_end + length != end)] = -1
        chunked = np.flatnonzero((framing == CHUNKED) & (template >= 0))
        if len(chunked):
            sizes = np.zeros(len(chunked), dtype=np.int64)
            compiled.kernels.chunked_lengths(data, head_end[chunked], end[chunked], sizes)
            length[chunked] = sizes
        return _Read(template, head_end, length, target, target_end)

    def _templates(
        self, data: bytes, start: Ints, end: Ints, keys: Words, templates: list[Template]
    ) -> Ints:
        """The template of each key, as a number in `templates`, which grows; -1: none."""
        kinds, first, kind, count = np.unique(
            keys, return_index=True, return_inverse=True, return_counts=True
        )
        numbers = np.full(len(kinds), -1, dtype=np.int64)
        left = _MOST_TEMPLATES
        for at in np.argsort(-count, kind="stable").tolist():
            key, example = int(kinds[at]), int(first[at])
            if not key:
                continue
            if key not in self._known:
                if len(self._known) >= _MOST_KEYS:
                    self._known.clear()
                head = data[int(start[example]) : int(end[example])][:LONGEST_TARGET]
                self._known[key] = self._learn(head)
            template = self._known[key]
            if template is not None:
                numbers[at] = len(templates)
                templates.append(template)
                left -= 1
                if not left:
                    break
        chosen: Ints = numbers[kind]
        return chosen


# --- learning ------------------------------------------------------------------------------


def request_template(request: bytes) -> Template | None:
    """The template of a request with a plain head; None when it asks for the state machine."""
    head, end, _ = request[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    method, _, rest = first.partition(b" ")
    fields = grammar.fields(block)
    if (
        not end
        or not _METHOD.match(method)
        or not _REST.match(rest)
        or fields.upgrade
        or fields.expect
        or fields.transfer_codings
        or fields.oddities
    ):
        return None
    framing = BODYLESS if fields.content_length is None else BY_LENGTH
    return Template(fields, framing, method=method, telling=_telling(block))


def response_template(response: bytes) -> Template | None:
    """The template of a response with a plain head; None when it asks for the state machine."""
    head, end, _ = response[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    status = grammar.status_line(first)
    fields = grammar.fields(block)
    if not end or status is None or status[0] < 200:
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
    return Template(fields, framing, status=status[0], start=len(first) + 2)


def _telling(block: bytes) -> bytes:
    """The lines of a request's fields that count in its key, or their names, as in `Template`."""
    lines = []
    for line in block.split(b"\r\n"):
        name, colon, _ = line.partition(b":")
        low = name.lower()
        if low in WANTED:
            lines.append(b"\n" + line)
        elif low in TELLING or low.endswith(TELLING_END):
            lines.append(b"\n" + name + colon)
    return b"".join(lines)
