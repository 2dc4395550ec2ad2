"""PAGE -> HTML, UTF-8. The one place where text becomes markup.

Law: templates escape everything, and what would act in a terminal or turn text around is shown as
an escape, whatever its way into a template. The page may load nothing and run nothing but its own
style sheet and script, which the policy names by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analyzer.explain.model import HINTS, Story
from analyzer.explain.overviews import Summary
from analyzer.report import remarks
from analyzer.report.escape import visible, well_formed
from analyzer.report.page.model import Page
from analyzer.report.page.view import page
from analyzer.report.result import Report

_PACKAGE = "analyzer.report.page"
MOST_TOLD = 3  # groups of incidents in an excerpt


def html(
    report: Report, summaries: Sequence[Summary], stories: Sequence[Story], version: str
) -> bytes:
    """The report as a page; see `view.page`. The same report gives the same bytes."""
    return rendered(page(report, summaries, stories, version))


def rendered(shown: Page) -> bytes:
    """The page as a file."""
    style, script = _own("page.css"), _own("page.js")
    text = (
        _environment()
        .get_template("page.html.jinja")
        .render(
            page=shown,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            hints_title=HINTS,
        )
    )
    # Bytes in the names of files that are no UTF-8 are shown as escapes.
    return text.encode("utf-8", "backslashreplace")


def excerpt(report: Report) -> str:
    """The scan's first words as a piece of HTML for a notebook, without style and script."""
    overview = report.overview(MOST_TOLD)
    template = _environment().get_template("excerpt.html.jinja")
    text: str = well_formed(template.render(report=report, overview=overview, remarks=remarks))
    return text


def _policy(style: str, script: str) -> str:
    """The Content-Security-Policy (CSP level 2): nothing at all, but for these two."""
    return (
        "default-src 'none'; "
        f"style-src 'sha256-{_hash(style)}'; script-src 'sha256-{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _own(name: str) -> str:
    """A file of this package."""
    return files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["grouped"] = _grouped
    return made


def _harmless(value: Any) -> Any:
    """What every expression of a template goes through, before it is escaped."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return visible(value)
    return value


def _grouped(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"
