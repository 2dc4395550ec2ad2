"""The ordinary exchange, read in one step: a whole request in one segment, its answer in the next.

Law: what is taken here gives the same row as the state machine of `messages.py` and `exchanges.py`
would give, and whatever is not plainly ordinary is left to them. The caller has checked the
numbers: the response begins where the request's ack points, and acknowledges exactly the request's
end, so that order and causality agree. Most traffic is ordinary; reading it without a state machine
is what makes a scan several times as fast.
"""

import re

from analyzer.http import grammar
from analyzer.http.grammar import LONGEST_TARGET, Fields

_METHODS = rb"(GET|POST|PUT|PATCH|DELETE|OPTIONS)"
_LENGTH = rb"([0-9]{1,9})"
_PATTERNS = 32  # heads remembered, of requests, and of responses for each status code
_NAME = re.compile(rb"[!-9;-~]+")

# method, target, the request's fields and body length; status, the response's fields, body offset
Ordinary = tuple[bytes, bytes, Fields, int, int, Fields, int]
_Head = tuple[re.Pattern[bytes], int, Fields]


class OrdinaryReader:
    """Reads ordinary exchanges; what it remembers is what heads look like, nothing else.

    A head looks like another when the lines that matter are the same to the letter (but for the
    number in a Content-Length), and the other lines have the same names in the same order.
    """

    def __init__(self) -> None:
        self._requests: list[_Head] = []
        self._responses: dict[bytes, list[_Head]] = {}

    def read(
        self, data: bytes, request: int, request_end: int, response: int, response_end: int
    ) -> Ordinary | None:
        """The exchange in data[request:request_end] and data[response:response_end], or None."""
        heads = self._requests
        for pattern, _, fields in heads:
            asked = pattern.match(data, request, request_end)
            if asked is not None:
                break
        else:
            _learn(heads, request_pattern(data[request:request_end]))
            return None
        if pattern is not heads[0][0]:
            _to_front(heads, pattern)
        method, target, length = asked.groups()
        size = int(length) if length else 0
        if asked.end() + size != request_end:
            return None
        code = data[response + 9 : response + 12]
        heads = self._responses.get(code) or self._responses.setdefault(code, [])
        for pattern, status, answered in heads:
            match = pattern.match(data, response, response_end)
            if match is not None:
                break
        else:
            _learn(heads, response_pattern(data[response:response_end]))
            if len(self._responses) > 64:
                self._responses.clear()
            return None
        if pattern is not heads[0][0]:
            _to_front(heads, pattern)
        body = match.end()
        if int(match[1]) != response_end - body:
            return None
        return method, target, fields, size, status, answered, body


def _to_front(heads: list[_Head], pattern: re.Pattern[bytes]) -> None:
    for place, head in enumerate(heads):
        if head[0] is pattern:
            # Half way: two kinds in turn should not change places for ever.
            heads.insert(place // 2, heads.pop(place))
            return


def _learn(heads: list[_Head], head: _Head | None) -> None:
    if head is not None:
        if len(heads) >= _PATTERNS:
            heads.clear()
        heads.append(head)


def request_pattern(request: bytes) -> _Head | None:
    """What a request's head looks like; None when it asks for the state machine.

    The pattern captures method, target and Content-Length (None without one).
    """
    head, end, _ = request[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    fields = grammar.fields(block)
    lines = _lines(block)
    if (
        not end
        or lines is None
        or not re.fullmatch(_METHODS + rb" [^ \r\n]+ HTTP/1\.1", first)
        or fields.upgrade
        or fields.expect
    ):
        return None
    # An empty group stands for the Content-Length that is not there.
    length = rb"()" if fields.content_length is None else b""
    start = _METHODS + rb" ([^ \r\n]{1,%d}) HTTP/1\.1" % LONGEST_TARGET
    return re.compile(rb"\r\n".join([start, *lines]) + length + rb"\r\n\r\n"), 0, fields


def response_pattern(response: bytes) -> _Head | None:
    """What a response's head looks like; None when its body is not framed by a Content-Length.

    The pattern captures the Content-Length; the status is that of every head it matches.
    """
    head, end, _ = response[:LONGEST_TARGET].partition(b"\r\n\r\n")
    first, _, block = head.partition(b"\r\n")
    status = grammar.status_line(first)
    fields = grammar.fields(block)
    lines = _lines(block)
    if (
        not end
        or lines is None
        or status is None
        or status[0] < 200
        or status[0] in (204, 304)
        or fields.content_length is None
    ):
        return None
    return re.compile(rb"\r\n".join([re.escape(first), *lines]) + rb"\r\n\r\n"), status[0], fields


def _lines(block: bytes) -> list[bytes] | None:
    """A pattern for each line of a head's fields; None where one of them is not plain.

    At most one captures: that of the Content-Length.
    """
    patterns: list[bytes] = []
    lengths = 0
    for line in block.split(b"\r\n") if block else ():
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name) or b"\n" in line or b"\r" in line:
            return None
        if name.lower() == b"content-length":
            lengths += 1
            digits = value.strip(b" ")
            before = value[: len(value) - len(digits)]
            if not re.fullmatch(_LENGTH, digits) or value != before + digits or before.strip(b" "):
                return None
            patterns.append(re.escape(name + b":" + before) + _LENGTH)
        elif name.lower() == b"transfer-encoding":
            return None
        elif name.lower() in grammar.WANTED:
            patterns.append(re.escape(line))
        else:
            patterns.append(re.escape(name) + rb":[^\r\n]*")
    return patterns if lengths < 2 else None
