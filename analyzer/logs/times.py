"""Times as logs write them → ns since 1970, with what is known of zone and resolution."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

SECOND = 1_000_000_000
LATEST = 1 << 62  # the year 2116: what is beyond is no time, and no int64 either
_UNITS = ((11, SECOND), (14, 1_000_000), (17, 1_000), (20, 1))  # fewer digits, and their unit
_NUMBER = re.compile(r"(\d{9,19})(?:\.(\d{1,9})\d*)?", re.ASCII)
# RFC 3339, and what Python's logging writes (a comma, no zone).
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_CLF = re.compile(
    r"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d{4}))?\]?",
    re.ASCII,
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Time(NamedTuple):
    """A time in ns since 1970; the digits read as UTC where it has no zone."""

    time: int
    zoned: bool
    resolution: int


def parse(value: object) -> Time | None:
    """A time as a log writes it: seconds, ms, µs or ns since 1970, RFC 3339, or the common format.

    None where it is none.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        # The digits that it was written with, but for zeros at its end: never finer than it was.
        value = repr(value)
    text = str(value).strip()[:64]
    if found := _NUMBER.fullmatch(text):
        whole, digits = found[1], found[2] or ""
        unit = next((unit for most, unit in _UNITS if len(whole) < most), 0)
        if not unit:
            return None
        time = int(whole) * unit + int((digits + "0" * 9)[:9]) * unit // SECOND
        return _checked(time, True, max(1, unit // 10 ** len(digits)))
    if found := _ISO.fullmatch(text):
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        return _of(year, month, day, hour, minute, second, found[7] or "", found[8])
    if found := _CLF.fullmatch(text):
        if found[2] not in _MONTHS:
            return None
        month = _MONTHS.index(found[2]) + 1
        numbers = (int(found[n]) for n in (3, 1, 4, 5, 6))
        year, day, hour, minute, second = numbers
        return _of(year, month, day, hour, minute, second, found[7] or "", found[8])
    return None


def _of(
    year: int,
    month: int,
    day: int,
    hour: int,
    minute: int,
    second: int,
    digits: str,
    zone: str | None,
) -> Time | None:
    where: timezone = UTC
    if zone and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        where = timezone(-offset if zone[0] == "-" else offset) if offset < timedelta(1) else UTC
    try:
        # A leap second is the next one's begin, as POSIX has it.
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=where)
        seconds = int(moment.timestamp()) + (second == 60)
    except (ValueError, OverflowError):
        return None
    time = seconds * SECOND + int((digits + "0" * 9)[:9])
    return _checked(time, zone is not None, SECOND // 10 ** len(digits))


def _checked(time: int, zoned: bool, resolution: int) -> Time | None:
    return Time(time, zoned, resolution) if 0 <= time < LATEST else None
