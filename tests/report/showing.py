"""All that a scan can show of a report, on one console."""

from rich.console import Console

from analyzer.explain.incidents import incidents
from analyzer.explain.summary import overview
from analyzer.report import terminal, verdict
from analyzer.report.layout import Out
from analyzer.report.paste import Commands
from analyzer.report.result import Report


def show_all(report: Report, console: Console) -> None:
    """The verdict, an incident in brief, and all details."""
    found = incidents(report.judgement.findings, report.tables)
    told = overview(found, report.tables, verdict.MOST_LISTED)
    paths = [capture.path for capture in report.captures]
    commands = Commands("wrangler-forensics", paths)
    verdict.show(report, told, commands, Out(console, console.width), full=True)
    for group in told.groups[:1]:
        console.print(verdict.brief(report, group.summary), markup=False)
    terminal.details(report, console)
