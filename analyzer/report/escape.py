"""Text from packets, made harmless for where it is going."""

import re
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

# Controls (C0, DEL, C1), line and paragraph separators, and what changes the direction of text.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_FORMULA = re.compile(r"[=+\-@\t\r]")


def visible(text: str) -> str:
    """`text` with everything that a terminal would act on shown as an escape."""
    return _HIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def as_json(content: Any) -> bytes:
    """JSON, UTF-8 (RFC 8259); the same content gives the same bytes.

    Bytes in the names of files that are no UTF-8 are shown as escapes.
    """
    import orjson

    how = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(content, option=how)
    except TypeError:
        return orjson.dumps(well_formed(content), option=how)


def compact_json(content: Any) -> bytes:
    """The same in one line, without its end."""
    import orjson

    try:
        return orjson.dumps(content)
    except TypeError:
        return orjson.dumps(well_formed(content))


def well_formed(content: Any) -> Any:
    """`content` with all text such that UTF-8 can hold it."""
    if isinstance(content, str):
        return content.encode("utf-8", "backslashreplace").decode()
    if isinstance(content, dict):
        return {well_formed(key): well_formed(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [well_formed(value) for value in content]
    if is_dataclass(content) and not isinstance(content, type):
        return {f.name: well_formed(getattr(content, f.name)) for f in fields(content)}
    return content


def cell(value: object) -> object:
    """A CSV cell: text that a spreadsheet would take for a formula is quoted with `'`."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if _FORMULA.match(text) else text


def shortened(text: str, width: int) -> str:
    """`text` cut to `width` characters, with an ellipsis where something is missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def rfc3339(nanoseconds: int) -> str:
    """A time in ns since 1970 as RFC 3339, UTC, with all nine digits."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{seconds}.{rest:09d}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
