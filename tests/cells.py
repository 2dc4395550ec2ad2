"""Runs a notebook in Markdown: its `python` blocks are cells, a `text` block behind one its output.

`python -m tests.cells docs/questions.md` runs the cells, in the folder that it is called in, and
writes what they say into the file.
"""

import ast
import io
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas

# A cell, and what it said.
_CELL = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n.*?^```\n)?", re.DOTALL | re.M)
_WIDTH = 120  # columns of what is shown


def codes(page: str) -> Iterator[str]:
    """The cells of a page."""
    for cell in _CELL.finditer(page):
        yield cell["code"]


def executed(page: str) -> str:
    """The page with what its cells say now; they share their names, and run in their order."""
    names: dict[str, Any] = {}

    def run(cell: re.Match[str]) -> str:
        said = "\n".join(line.rstrip() for line in _said(cell["code"], names).splitlines())
        return f"```python\n{cell['code']}```\n" + (f"\n```text\n{said}\n```\n" if said else "")

    options = ("display.width", _WIDTH, "display.max_columns", None, "display.max_rows", 40)
    with pandas.option_context(*options):
        return _CELL.sub(run, page)


def _said(code: str, names: dict[str, Any]) -> str:
    """What a cell prints, and the value of its last line, where that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            if value is not None:
                out.write(repr(value))
    return out.getvalue()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(executed(path.read_text()))
