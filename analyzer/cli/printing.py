"""What goes to the terminal, or whatever else standard output is; and complaints."""

import io
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from analyzer.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

PIPED = 500  # columns of tables in what is piped: all that they have in a line


def complain(text: str) -> None:
    from analyzer.report.escape import visible

    click.echo(f"wrangler-forensics: {visible(text)}", err=True)


def unwrapped(console: "Console") -> bool:
    """Whether lines are left as long as they are: nobody said where they are to be wrapped."""
    return not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit()


def print_all(render: Callable[["Console"], None], *, piped: int | None = None) -> None:
    """Render for the terminal, or whatever else standard output is, then write it in one go.

    `piped` is how many columns there are where that is no terminal and nobody says how many.
    """
    from rich.console import Console

    there = Console()
    text = Text()
    console = Console(
        file=text,
        width=piped if piped and unwrapped(there) else there.width,
        force_terminal=there.is_terminal,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        highlight=False,
        soft_wrap=False,
    )
    render(console)
    shown = text.getvalue()
    if not there.is_terminal:
        shown = re.sub(" +$", "", shown, flags=re.MULTILINE)
    say(shown.encode(text.encoding, "backslashreplace"))


class Text(io.StringIO):
    """Text that will go to standard output, in whose encoding it has to be."""

    encoding = sys.stdout.encoding or "utf-8"


def say(data: bytes) -> None:
    """Write to standard output. Nobody needs to read it to the end: `| head` is no problem.

    Raises InputError when it cannot be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        _nowhere()
    except OSError as error:
        _nowhere()
        raise InputError(f"standard output: {error.strerror}") from None


def _nowhere() -> None:
    """Let standard output lead nowhere, so that Python has nothing to complain of at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
