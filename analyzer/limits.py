"""What keeps memory and time bounded, whatever a capture has in it: every limit, by name.

Law: a limit is a number here and nowhere else; `use` is the one place that changes it, before
anything is read. Each names the anomaly that is counted when it is hit, so that the report can say
which were, and what to raise.
"""

from collections.abc import Mapping
from typing import NamedTuple

from analyzer.errors import InputError

CONNECTIONS = 65_536
HELD_SEGMENTS = 1_024
HELD_BYTES = 4 << 20
HEAD = 65_536
BODY = 1 << 20
OUTSTANDING = 4_096
ROUTES = 32_768
FORMS = 16_384
ODD = 100_000


class Limit(NamedTuple):
    """A limit: its name on the command line, what it counts, and what happens beyond it."""

    name: str
    variable: str
    unit: str
    anomaly: str
    sentence: str


LIMITS: tuple[Limit, ...] = (
    Limit("connections", "CONNECTIONS", "connections", "connection-evicted",
          "followed at once; beyond it the longest idle tenth is let go"),
    Limit("held-segments", "HELD_SEGMENTS", "segments", "reassembly-limit",
          "of one connection that wait for missing bytes; beyond it those count as a gap"),
    Limit("held-bytes", "HELD_BYTES", "bytes", "reassembly-limit",
          "of one connection that wait for missing bytes; beyond it those count as a gap"),
    Limit("head", "HEAD", "bytes", "head-too-long",
          "of a message head; a longer one ends the reading of its direction"),
    Limit("body", "BODY", "bytes", "body-too-long",
          "of a body that is looked into, as sent and decoded; a longer one has no known shape"),
    Limit("outstanding", "OUTSTANDING", "messages", "outstanding-limit",
          "of one connection that wait for their other half; beyond it the oldest is given up"),
    Limit("routes", "ROUTES", "routes", "routes-limit",
          "told apart; requests beyond it are counted under one name"),
    Limit("forms", "FORMS", "forms", "shapes-limit",
          "of responses told apart; beyond it a response has no known shape"),
    Limit("odd", "ODD", "exchanges", "odd-limit",
          "that are judged one by one; beyond it exchanges are counted, not judged"),
)  # fmt: skip
_BY_NAME = {limit.name: limit for limit in LIMITS}
DEFAULTS = {limit.name: int(globals()[limit.variable]) for limit in LIMITS}


def value(name: str) -> int:
    """The number that a limit has now."""
    found: int = globals()[_BY_NAME[name].variable]
    return found


def use(changed: Mapping[str, int]) -> None:
    """Give limits other numbers than their defaults, in this process; all others get theirs."""
    for name, limit in _BY_NAME.items():
        globals()[limit.variable] = changed.get(name, DEFAULTS[name])


def changed() -> dict[str, int]:
    """The limits that don't have their defaults."""
    return {name: value(name) for name in DEFAULTS if value(name) != DEFAULTS[name]}


def parsed(options: tuple[str, ...]) -> dict[str, int]:
    """The limits in options of the form NAME=NUMBER. Raises InputError for any other."""
    found = {}
    for option in options:
        name, _, number = option.partition("=")
        if name not in _BY_NAME:
            raise InputError(f"--limit {option}: no such limit; there are {', '.join(_BY_NAME)}")
        if not number.isascii() or not number.isdigit() or not 0 < int(number[:19]) < 1 << 40:
            raise InputError(f"--limit {option}: not a number from 1 to 2**40 - 1")
        found[name] = int(number)
    return found
