"""JSON taken apart and written again without a change that nobody asked for.

Law: numbers keep their digits, members their order, doubled names their place, and the text its
layout (compact, spaced or indented, escaped or not); `dump(load(text))` is the text wherever the
layout is one of those.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

DEPTH = 200  # deeper ones are left alone


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object: its members in order."""


Tree: TypeAlias = Any  # Members, list, str, Number, bool or None


@dataclass(frozen=True, slots=True)
class Layout:
    """How a JSON text is laid out; `indent` is None for one line."""

    indent: int | None
    after_comma: str
    after_colon: str
    ascii_only: bool
    before: str = ""  # white space around it all
    behind: str = ""


def load(data: bytes) -> tuple[Tree, Layout] | None:
    """A JSON object or array and its layout; None for anything else."""
    try:
        text = data.decode()
        body = text.strip(" \t\r\n")
        if body[:1] not in ("{", "["):
            return None
        tree = json.loads(
            body,
            object_pairs_hook=Members,
            parse_int=Number,
            parse_float=Number,
            parse_constant=Number,
        )
        if _deep(tree) > DEPTH:
            return None
    except (ValueError, RecursionError):
        return None
    start = text.index(body)
    around = text[:start], text[start + len(body) :]
    return tree, Layout(*_spaces(body), text.isascii(), *around)


def dump(tree: Tree, layout: Layout) -> bytes:
    """The text of a tree, laid out like that."""
    return (layout.before + _text(tree, layout, 0) + layout.behind).encode()


def compact(layout: Layout) -> Layout:
    """The same without spaces."""
    return Layout(None, "", "", layout.ascii_only)


def pretty(layout: Layout) -> Layout:
    """The same, a member on each line."""
    return Layout(2, "", " ", layout.ascii_only, behind="\n")


def _spaces(body: str) -> tuple[int | None, str, str]:
    indented = re.match(r"[\[{]\r?\n( *)\S", body)
    colon = re.search(r'"\s*:(\s*)', body)
    after_colon = colon[1] if colon and len(colon[1]) < 2 else ""
    if indented:
        return len(indented[1]), "", after_colon or " "
    comma = re.search(r'(?:"|\d|\]|\}|e|l),( ?)["\d\[{tfn-]', body)
    return None, comma[1] if comma else after_colon, after_colon


def _text(tree: Tree, layout: Layout, level: int) -> str:
    if isinstance(tree, Number):
        return str(tree)
    if isinstance(tree, Members):
        inner = [
            f"{_quoted(name, layout)}:{layout.after_colon}{_text(value, layout, level + 1)}"
            for name, value in tree
        ]
        return _joined("{", inner, "}", layout, level)
    if isinstance(tree, list):
        return _joined("[", [_text(one, layout, level + 1) for one in tree], "]", layout, level)
    if isinstance(tree, str):
        return _quoted(tree, layout)
    return {None: "null", True: "true", False: "false"}[tree]


def _joined(start: str, inner: list[str], end: str, layout: Layout, level: int) -> str:
    if not inner:
        return start + end
    if layout.indent is None:
        return start + f",{layout.after_comma}".join(inner) + end
    line = "\n" + " " * layout.indent * (level + 1)
    last = "\n" + " " * layout.indent * level
    return start + line + f",{line}".join(inner) + last + end


def _quoted(text: str, layout: Layout) -> str:
    return json.dumps(text, ensure_ascii=layout.ascii_only)


def _deep(tree: Tree) -> int:
    deepest, todo = 0, [(tree, 1)]
    while todo:
        one, depth = todo.pop()
        deepest = max(deepest, depth)
        if isinstance(one, Members):
            todo += [(value, depth + 1) for _, value in one]
        elif isinstance(one, list):
            todo += [(value, depth + 1) for value in one]
    return deepest
