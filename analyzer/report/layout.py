"""Paragraphs for a terminal: wrapped at words, without blanks at the ends of lines."""

import re
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from analyzer.report.escape import visible

UNWRAPPED = 1_000_000  # columns of what is not a terminal: a line is a paragraph
RULE = 80  # columns of a rule there
# A number stays with its unit. No text has a NUL here: it was made visible before.
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|bytes?)\b)")
_GLUE = "\0"
_PIECES = re.compile(r"/?[^/?&]*[/?&]|/?[^/?&]+")


@dataclass(frozen=True, slots=True)
class Out:
    """Prints lines of at most `width` columns, without blanks at their ends."""

    console: Console
    width: int

    def line(self, text: Text) -> None:
        text.rstrip()
        self.console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def title(self, text: str) -> None:
        self.console.print()
        rule = "-" if self.console.options.ascii_only else "─"
        line = Text(f"{text} ", style="bold")
        width = self.width if self.width < UNWRAPPED else RULE
        self.line(line.append(rule * (width - len(line)), style="dim"))

    def say(
        self, text: str, *, indent: int = 0, label: str = "", style: str = "", bold: int = 0
    ) -> None:
        """A paragraph, indented, with a label before its first line.

        The first `bold` characters of its first line are bold.
        """
        margin = label.ljust(indent)
        for number, line in enumerate(wrapped(visible(text), self.width - indent)):
            whole = Text(f"{margin}{line}", style=style)
            if bold and not number:
                whole.stylize("bold", len(margin), len(margin) + bold)
            self.line(whole)
            margin = " " * indent


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns; a longer word breaks behind a `/`, `?` or `&`."""
    lines, line = [], ""
    for word in _UNIT.sub(_GLUE, text).split(" "):
        glue = " " if line else ""
        for piece in _PIECES.findall(word) if len(word) > width else [word]:
            if len(line) + len(glue) + len(piece) <= width:
                line += glue + piece
            else:
                if line:
                    lines.append(line)
                while len(piece) > width:
                    lines.append(piece[:width])
                    piece = piece[width:]
                line = piece
            glue = ""
    found = [*lines, line] if line or not lines else lines
    return [line.replace(_GLUE, " ") for line in found]
