"""Log files → rows; in bounded memory, whatever the lines are.

Law: what cannot be read is counted and shown, and ends nothing. What a person did wrong (no such
file, a format that does not exist) is an InputError.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from analyzer.capture.compression import DAMAGE, codec_of
from analyzer.errors import InputError
from analyzer.logs import formats, times
from analyzer.logs.model import Log, LogRow, Moment, Side

LONGEST_LINE = 1 << 20  # bytes; what is longer is not read
MOST_ROWS = 1_000_000  # of one log; all lines are counted
MOST_HAR = 256 << 20  # bytes
LOOKED_AT = 200  # lines that a format is told by
MOST_SHOWN = 5  # numbers of lines that could not be read


class Named(NamedTuple):
    """A log as a person named it."""

    path: str
    side: Side


def read_all(named: Sequence[Named], format: str | None = None) -> list[Log]:
    """All logs. Raises InputError where one cannot be read at all, or is no log of requests."""
    return [read(one.path, one.side, format) for one in named]


def read(path: str, side: Side, format: str | None = None) -> Log:
    """One log; `format` is a name in FORMATS, or a pattern of nginx or Apache."""
    chosen = None if format is None else _chosen(format)
    damaged: list[bool] = []
    try:
        with Path(path).open("rb") as file:
            start = file.peek(8)[:8]
            codec = codec_of(start)
            stream = file if codec is None else codec[1](file)
            lines = _lines(stream, damaged)
            first = list(_some(lines))
            if chosen is None and _is_har(first):
                with Path(path).open("rb") as again:
                    whole = again if codec is None else codec[1](again)
                    return _har(path, side, whole)
            numbered = enumerate(chain(first, lines), 1)
            return _rows(
                path, side, chosen, [one for one in first if one is not None], numbered, damaged
            )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _some(lines: Iterator[str | None]) -> Iterator[str | None]:
    for number, line in enumerate(lines, 1):
        yield line
        if number >= LOOKED_AT:
            return


def _rows(
    path: str,
    side: Side,
    chosen: tuple[str, formats.Parser] | None,
    first: list[str],
    numbered: Iterator[tuple[int, str | None]],
    damaged: list[bool],
) -> Log:
    found = chosen or formats.told_by(first)
    if found is None:
        if not first:
            raise InputError(f"{path}: it has no lines")
        raise InputError(
            f"{path}: its lines are of no known format (json, combined, alb, csv, HAR); "
            "--log-format takes the log_format of nginx or the LogFormat of Apache"
        )
    name, parse = found
    log = Log(path, side, name, [])
    for number, line in numbered:
        log.lines += 1
        if line is not None and not line.strip():
            log.blank += 1
            continue
        row = None if line is None else parse(line, number)
        if row is None:
            if name == "csv" and number == 1:
                continue
            _not_read(log, number)
        else:
            _add(log, row)
    log.damaged = bool(damaged)
    if not log.rows:
        raise InputError(f"{path}: none of its {log.lines:,} lines is a request ({name})")
    return log


def _add(log: Log, row: LogRow) -> None:
    if len(log.rows) < MOST_ROWS:
        log.rows.append(row)
    else:
        log.left_out += 1


def _not_read(log: Log, number: int) -> None:
    """Count a line, or an entry, that is no request."""
    log.unread += 1
    if len(log.first_unread) < MOST_SHOWN:
        log.first_unread += (number,)


def _chosen(format: str) -> tuple[str, formats.Parser]:
    if format in formats.FORMATS:
        return format, formats.FORMATS[format]
    if not re.search(r"[$%]", format):
        names = ", ".join(formats.FORMATS)
        raise InputError(f"--log-format {format}: no such format; there are {names}, and patterns")
    try:
        return "pattern", formats.compiled(format)
    except ValueError as error:
        raise InputError(f"--log-format: {error}") from None


def _lines(stream: BinaryIO, damaged: list[bool]) -> Iterator[str | None]:
    """The lines without their ends; None for one that is too long."""
    while True:
        try:
            line = stream.readline(LONGEST_LINE)
            if not line:
                return
            whole = line.endswith(b"\n") or len(line) < LONGEST_LINE
            while not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                line = stream.readline(LONGEST_LINE)
        except DAMAGE:
            damaged.append(True)
            return
        yield line.decode("utf-8", "backslashreplace").rstrip("\r\n") if whole else None


# --- HAR 1.2 -------------------------------------------------------------------------------


def _is_har(first: list[str | None]) -> bool:
    begin = "".join(line or "" for line in first[:20])[:4_096]
    return re.match(r'\s*\ufeff?\{\s*"log"\s*:\s*\{', begin) is not None or (
        bool(first) and first[0] is None
    )


def _har(path: str, side: Side, stream: BinaryIO) -> Log:
    try:
        data = stream.read(MOST_HAR + 1)
    except DAMAGE:
        raise InputError(f"{path}: its compression is damaged") from None
    if len(data) > MOST_HAR:
        raise InputError(f"{path}: a HAR of more than {MOST_HAR >> 20} MiB is not read")
    try:
        told = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        entries = told["log"]["entries"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError(f"{path}: it begins like a HAR and is none") from None
    if not isinstance(entries, list):
        raise InputError(f"{path}: it begins like a HAR and is none")
    log = Log(path, side, "har", [], lines=len(entries))
    for number, entry in enumerate(entries, 1):
        row = _entry(entry, number)
        if row is None:
            _not_read(log, number)
        else:
            _add(log, row)
    if not log.rows:
        raise InputError(f"{path}: the HAR has no request")
    return log


def _entry(entry: Any, number: int) -> LogRow | None:
    """An entry as a row; its `line` is its number in the file."""
    if not isinstance(entry, dict):
        return None
    asked, came = entry.get("request"), entry.get("response")
    if not isinstance(asked, dict):
        return None
    came = came if isinstance(came, dict) else {}
    content: Any = came.get("content")
    content = content if isinstance(content, dict) else {}
    status = came.get("status") or None  # browsers write 0 where none came
    told = {
        "method": asked.get("method"),
        "url": asked.get("url"),
        "status": status,
        "length": content.get("size"),
        "start": entry.get("startedDateTime"),
        "error": came.get("_error") or ("" if status else "no response"),
    }
    row = formats.of_fields(told, number)
    if row is None or times.parse(entry.get("startedDateTime")) is None:
        return row
    spent, unit = formats.spent(entry.get("time"), formats.MILLISECOND)
    assert row.moment is Moment.START
    return replace(row, duration=spent, duration_unit=unit)
