"""Commands that a person can paste into a shell as they are shown.

Law: what is shown is what the shell reads: names are quoted (POSIX, and `$'...'` as bash, zsh and
POSIX.1-2024 have it where a name has what a terminal would act on), and never cut.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.report.escape import visible

STANDARD_INPUT = "-"
LONGEST = 1_000  # characters of the captures' names; of more nobody sees what is pasted


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands that go on where one ended: the same program, captures and limits.

    `program` is quoted where it needs to be; `captures` are as they were given.
    """

    program: str
    captures: Sequence[str]
    limits: Sequence[str] = ()
    baselines: Sequence[str] = ()
    documents: Sequence[str] = ()
    logs: Sequence[tuple[str, str]] = ()  # options, and what was given with them

    def explain(self, incident: str) -> str:
        """The command that tells one incident."""
        limits = [part for limit in self.limits for part in ("--limit", quoted(limit))]
        known = [
            part
            for option, paths in (("--baseline", self.baselines), ("--expect", self.documents))
            for path in paths
            for part in (option, _path(path))
        ]
        logs = [part for option, given in self.logs for part in (option, _path(given))]
        options = [*limits, *known, *logs, "--finding", quoted(incident)]
        names = " ".join(_path(path) for path in self.captures)
        if len(names) > LONGEST:
            names = "CAPTURE..."
        read = " < CAPTURE" if STANDARD_INPUT in self.captures else ""
        return " ".join([self.program, "explain", names, *options]) + read


def quoted(text: str) -> str:
    """`text` as one word of a shell, with nothing in it that a terminal would act on."""
    data = os.fsencode(text)
    if visible(text) == text and data.decode("utf-8", "replace") == text:
        return shlex.quote(text)
    return "$'" + "".join(map(_byte, data)) + "'"


def _byte(code: int) -> str:
    letter = chr(code)
    plain = letter.isascii() and letter.isprintable() and letter not in "'\\"
    return letter if plain else f"\\x{code:02x}"


def _path(path: str) -> str:
    """A capture's name; one that looks like an option with its folder before it."""
    if path.startswith("-") and path != STANDARD_INPUT:
        path = f"./{path}"
    return quoted(path)
