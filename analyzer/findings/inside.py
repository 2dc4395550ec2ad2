"""A response inside the body of another one: what of it is there, and whom it fits.

Law: only a status line with field lines behind it, in a body that is said to be JSON and is not,
counts as another response; whose it is its field names and tokens tell.
"""

import re

from analyzer.findings.learning import Learned
from analyzer.findings.lens import Said
from analyzer.shapes import paths

LEAST_NAMES = 2  # names of fields that a response must have in common with its endpoint's
NEARLY_ALL = 0.8  # share of its names that the endpoint's responses have too
_LONGEST = 65_536  # bytes in which names are looked for

# RFC 9112 §4 and §5.
_HEAD = re.compile(
    rb"HTTP/1\.[01] [1-5][0-9]{2} [^\r\n]*\r\n((?:[!-9;-~]{1,128}:[^\r\n]*\r\n){1,128})\r\n"
)
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$")
_NAME = re.compile(rb'"([^"\\\x00-\x1f]{1,64})"[ \t\r\n]*:')
_PARTS = re.compile(r"[.\[\]{}]+")


def inside(said: Said) -> Said | None:
    """The first response in the body of `said`, as much of it as is there; None without one."""
    head = _HEAD.search(said.body)
    if head is None:
        return None
    length = _LENGTH.search(head[1])
    rest = said.body[head.end() :]
    return Said(head[1], rest[: int(length[1])] if length else rest)


def fits(said: Said, learned: Learned, endpoint: int) -> bool:
    """Whether the names in a JSON text, which may break off, are those of an endpoint's."""
    names = {name.decode("utf-8", "replace") for name in _NAME.findall(said.body[:_LONGEST])}
    usual = {
        part
        for form in learned.usual(endpoint)
        for path, _, _ in paths(learned.forms[form].shape)
        for part in _PARTS.split(path)
    }
    common = len(names & usual)
    return common >= max(LEAST_NAMES, NEARLY_ALL * len(names))
