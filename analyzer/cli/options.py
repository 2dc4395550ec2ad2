"""Options that several commands have: the same options mean the same."""

import os

import click

# A type for the sake of shell completion alone: what is the matter with a path is told later.
PATH = click.Path(allow_dash=True, readable=False)
JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: -(-(os.cpu_count() or 1) // 2),  # each has two threads at work
    show_default="half of the processors",
    help="Processes to read large captures with.",
)
LIMIT = click.option(
    "--limit",
    "limit",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Another limit than the default; repeatable. An unknown name lists those there are.",
)
BASELINE = click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="Judge with what learn wrote, too; repeatable: several are added up.",
)
EXPECT = click.option(
    "--expect",
    "documents",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="An OpenAPI document (3.0 or 3.1, YAML or JSON) of the API; repeatable. Needs the extra "
    "'openapi'.",
)
MARKS = click.option(
    "--marks",
    "marks_file",
    type=PATH,
    metavar="FILE",
    help="Where the marks of a review are. Without it: beside the first CAPTURE, as "
    "CAPTURE.marks.json.",
)
SHOW_BODIES = click.option(
    "--show-bodies",
    is_flag=True,
    help="Show the messages of an incident with the values in their bodies.",
)
SHOW_SECRETS = click.option(
    "--show-secrets",
    is_flag=True,
    help="With --show-bodies: show cookies, credentials and keys as well, which are masked else.",
)
CLIENT_LOG = click.option(
    "--client-log",
    "client_logs",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="A log of a client, held against the wire; repeatable, plain or compressed.",
)
SERVER_LOG = click.option(
    "--server-log",
    "server_logs",
    multiple=True,
    type=PATH,
    metavar="FILE",
    help="A log of the server, held against the wire; repeatable, plain or compressed.",
)
LOG_FORMAT = click.option(
    "--log-format",
    metavar="NAME|PATTERN",
    help="The format of all logs, where it is not told by content: json, combined, alb; or the "
    "log_format of nginx, or the LogFormat of Apache.",
)
