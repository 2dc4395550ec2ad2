"""The command that the others are parts of; a mistake in its usage is told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from analyzer.cli.running import NOT_DONE


def _show_version(context: click.Context) -> None:
    from analyzer import __version__
    from analyzer.compiled import kernels

    how = "compiled kernels" if kernels else "no compiled kernels: the same answers, more slowly"
    click.echo(f"wrangler-forensics {__version__} ({how})")
    context.exit()


class _Command(click.Command):
    """A command whose usage errors are one line."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _in_a_line():
            return super().make_context(*args, **more)


class Group(click.Group):
    """A group of such commands."""

    command_class = _Command

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _in_a_line():
            return super().make_context(*args, **more)

    def resolve_command(self, *args: Any, **more: Any) -> Any:
        with _in_a_line():
            return super().resolve_command(*args, **more)


@contextmanager
def _in_a_line() -> Iterator[None]:
    """Leave the usage away that click puts before a usage error: how to get help is enough."""
    try:
        yield
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "wrangler-forensics"
        told = " ".join(error.format_message().split())
        raise _OneLine(f"{told.rstrip('.')} ({where} --help)") from None


class _OneLine(click.ClickException):
    exit_code = NOT_DONE


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _, wanted: _show_version(context) if wanted else None,
    help="Show the version, and whether the compiled kernels run, and exit.",
)
def main() -> None:
    """Find the HTTP responses that went to the wrong request, or to none.

    \b
    wrangler-forensics scan capture.pcap
    """
