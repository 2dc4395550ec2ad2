"""Bodies of text that are neither JSON nor markup in, shapes out: CSV, forms, plain text.

Law: a shape has names (of columns, fields, keys) and kinds, never a value; what may be data is left
out. Only the beginning of a long text is looked at where that says all (`_LOOKED_AT`).
"""

import csv
import re
from urllib.parse import unquote_plus

from analyzer.features.markup import plain
from analyzer.features.shapes import MOST_KEYS, NUMBER, STRING, Object, Shape

TEXT, WORD = "text", "word"
_LOOKED_AT = 65_536  # bytes of a text
_MOST_COLUMNS = 128
_LONGEST = 64  # of a name
_DELIMITERS = ",\t;|"
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\Z")
_LINE = re.compile(r"([A-Za-z][\w .\-]{0,62}?)\s*[:=](?=\s|\Z)")
# A column's name has a letter, and nothing that dates, addresses or amounts are written with.
_COLUMN = re.compile(r"(?=.*[^\W\d])(?!.*(?:\d{4}|@|://|\d[-:.]\d))[^\x00-\x1f\x7f]{1,64}\Z")


def csv_shape(body: bytes) -> Shape:
    """The columns' names: `{csv: {id: cell, name: cell}}`; their number if the first row is data.

    Another delimiter than a comma is part of the mark: `"csv;"` (RFC 4180 knows the comma only).
    """
    text = plain(body[:_LOOKED_AT]).decode("utf-8", "replace").lstrip()
    line = text.partition("\n")[0].rstrip("\r")
    delimiter = max(_DELIMITERS, key=line.count)
    mark = {",": "csv", "\t": "tsv"}.get(delimiter, f"csv{delimiter}")
    try:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        cells = []
    named = len(set(cells)) == len(cells) <= _MOST_COLUMNS and all(map(_COLUMN.match, cells))
    if named and cells:
        columns: Shape = Object(tuple((cell, "cell", False) for cell in sorted(cells)))
    else:
        columns = f"{min(len(cells), _MOST_COLUMNS)} columns"
    return Object(((mark, columns, False),))


def form_shape(body: bytes) -> Shape:
    """The names of the fields of a form, with `*` for the digits in them (URL Standard §5.1)."""
    names = {
        _DIGITS.sub("*", unquote_plus(pair.partition(b"=")[0].decode("latin-1")))[:_LONGEST]
        for pair in body[:_LOOKED_AT].split(b"&")[:MOST_KEYS]
    }
    return Object(tuple((name, STRING, False) for name in sorted(names)))


def text_shape(body: bytes) -> Shape:
    """A number, one word, lines of `key: value` with their keys, or a text.

    A key that comes twice is no key: the lines of a log begin alike.
    """
    body = plain(body)
    stripped = body.strip()
    if len(stripped) <= 400 and b"\n" not in stripped:
        if _NUMBER.match(stripped):
            return NUMBER
        if stripped and len(stripped.split(None, 1)) == 1:
            return WORD
    lines = stripped[: _LOOKED_AT + 1].decode("utf-8", "replace").splitlines()
    if len(stripped) > _LOOKED_AT or not 2 <= len(lines) <= 2 * MOST_KEYS:
        return TEXT
    keys = set()
    for line in lines:
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None or _DIGITS.search(match[1]) or match[1] in keys:
            return TEXT
        keys.add(match[1])
    if not keys or len(keys) > MOST_KEYS:
        return TEXT
    return Object(tuple((key, TEXT, False) for key in sorted(keys)))
