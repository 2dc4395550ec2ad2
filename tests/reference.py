"""docs/reference.md and the man page, made of the commands' own help: `python -m tests.reference`.

Law: nothing is said here that the help does not say. A test holds both files to it.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from analyzer import __version__
from analyzer.cli import main

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE, MANUAL = DOCS / "reference.md", DOCS / "wrangler-forensics.1"
NAME = "wrangler-forensics"


class Option(NamedTuple):
    """An option: its names with what it takes, and its help."""

    names: str
    help: str


class Command(NamedTuple):
    """A command: what stands behind its name, its help in paragraphs, its options."""

    name: str
    usage: str
    help: list[str]
    options: list[Option]


def commands() -> Iterator[Command]:
    """The program itself and its commands, in the order of the help."""
    for name in ("", *main.list_commands(click.Context(main))):
        command = main.commands[name] if name else main
        context = click.Context(command, info_name=name or NAME, **main.context_settings)
        usage = " ".join(command.collect_usage_pieces(context))
        text = inspect.cleandoc(command.help or "").replace("\b\n", "\b")
        told = [
            p.lstrip("\b") if p[:1] == "\b" else " ".join(p.split()) for p in text.split("\n\n")
        ]
        parameters = [p for p in command.get_params(context) if isinstance(p, click.Option)]
        yield Command(name, usage, told, [_option(p, context) for p in parameters])


def _option(parameter: click.Option, context: click.Context) -> Option:
    names, told = parameter.get_help_record(context) or ("", "")
    return Option(names, " ".join(told.split()))


# --- Markdown --------------------------------------------------------------------------------


def markdown() -> str:
    """docs/reference.md."""
    return "\n".join(_markdown())


def _markdown() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Made of the commands' own help by `python -m tests.reference`; a test holds it to them."
    for command in commands():
        whole = f"{NAME} {command.name}".strip()
        yield from ("", f"## {whole}", "", "```", f"{whole} {command.usage}", "```")
        for paragraph in command.help:
            yield ""
            yield f"`{paragraph}`" if paragraph.startswith(NAME) else _plain(paragraph)
        yield from ("", "| option | |", "|---|---|")
        for option in command.options:
            yield f"| `{option.names}` | {_plain(option.help)} |"
    yield ""


def _plain(text: str) -> str:
    return re.sub(r"([|*_<>\\])", r"\\\1", text)


# --- roff, as man(7) has it --------------------------------------------------------------------


def manual() -> str:
    """docs/wrangler-forensics.1."""
    return "\n".join(_manual())


def _manual() -> Iterator[str]:
    first, *others = commands()
    yield '.\\" Made by python -m tests.reference'
    yield f'.TH WRANGLER\\-FORENSICS 1 "" "{NAME} {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{_roff(NAME)} \\- {_roff(first.help[0][:1].lower() + first.help[0][1:].rstrip('.'))}"
    yield ".SH SYNOPSIS"
    for number, command in enumerate(others):
        yield from ([".br"] if number else [])
        yield f"\\fB{_roff(f'{NAME} {command.name}')}\\fR {_roff(command.usage)}"
    yield ".SH DESCRIPTION"
    for command in (first, *others):
        if command.name:
            yield f'.SH "{command.name.upper()}"'
        for paragraph in command.help:
            yield from (".PP", _roff(paragraph))
        for option in command.options:
            yield from (".TP", f"\\fB{_roff(option.names)}\\fR", _roff(option.help))
    yield ""


def _roff(text: str) -> str:
    """Text that roff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


def write() -> None:
    """Write both files."""
    REFERENCE.write_text(markdown())
    MANUAL.write_text(manual())


if __name__ == "__main__":
    write()
