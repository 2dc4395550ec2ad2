"""Bodies stay private: no value of any recording's bodies is shown, or written but as packets."""

import io
import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import analyzer
from analyzer import archive, dossier, pipeline
from analyzer.baselines.saved import to_json
from analyzer.explain.summary import summary
from analyzer.openapi.describe import described
from analyzer.pipeline import Examination
from analyzer.report import files, ladder
from analyzer.report.escape import rfc3339
from analyzer.report.har import Shown
from analyzer.report.junit import junit
from analyzer.report.page.render import html
from tests.recordings import Recording, recording, recordings
from tests.report.showing import show_all

_TELLING = 8  # characters from which on a value is not met by chance
RECORDED = [r for r in recordings() if r.vantage == "container"]
# A body may say `delivered`, and so may a report.
OUR_WORDS = "\n".join(path.read_text() for path in Path(analyzer.__file__).parent.rglob("*.py"))


def values(body: bytes) -> Iterator[str]:
    """The strings and long numbers in a JSON body, or the words of any other."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        yield from body.decode("latin-1").split()
        return
    waiting = [found]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(value)


def secrets(examined: Examination) -> set[str]:
    """Values in the bodies of a capture that are in no target, header or address as well."""
    tables = examined.report.tables
    numbers = range(len(tables.connections))
    everywhere = dict.fromkeys(numbers, (0, 2**62))
    told: set[str] = set()
    open_text = [OUR_WORDS]
    for look in examined.look(everywhere).values():
        for message in look.messages:
            open_text.append(message.target.decode("latin-1"))
            open_text += [value for _, value in message.headers]
            if message.body:
                told.update(v for v in values(message.body) if len(v) >= _TELLING)
    # What operation of one path was asked for is part of an endpoint's name, wherever it was said.
    open_text += [e.endpoint for e in examined.report.judgement.endpoints]
    known = "\n".join(open_text)
    # Words of a shape, as `number`, are no secrets.
    shapes = " ".join(s.shape for e in examined.report.judgement.endpoints for s in e.shapes)
    return {
        value
        for value in told
        if value not in known and value not in shapes and not is_the_time(value, examined)
    }


def is_the_time(value: str, examined: Examination) -> bool:
    """Whether it is a time of the capture: a server may say so to the very millisecond."""
    times = [t for c in examined.report.captures for t in (c.first, c.last) if t is not None]
    size = max(len("2026-12-01"), min(18, len(value)))
    return rfc3339(min(times))[:size] <= value[:size] <= rfc3339(max(times))[:size]


def outputs(examined: Examination, folder: Path, *, show_bodies: bool) -> Iterator[tuple[str, str]]:
    """Everything that a person or a program is given, by name."""
    report = examined.report
    out = io.StringIO()
    console = Console(file=out, width=200, highlight=False)
    show_all(report, console)
    for incident in examined.incidents():
        ladder.show(examined.story(incident, show_bodies=show_bodies), console)
    yield "terminal", out.getvalue()
    incidents = examined.incidents()
    stories = examined.stories(incidents, show_bodies=show_bodies)
    summaries = [summary(incident, report.tables) for incident in incidents]
    yield "page", unescape(html(report, summaries, stories, "").decode())
    yield "csv", files.csv_text(report).decode()
    yield "json", files.json_text(report).decode()
    yield "jsonl", files.jsonl_text(report).decode()
    yield "junit", junit(report, summaries).decode()
    entries = io.BytesIO()
    archive.write(examined, entries, Shown(show_bodies))
    yield "har", entries.getvalue().decode()
    exchanges = io.BytesIO()
    files.write_exchanges(report, "x.csv", exchanges)
    yield "exchanges", exchanges.getvalue().decode()
    learned = examined.learned()
    yield "baseline", to_json(learned).decode()
    yield "openapi", described(learned, as_yaml=False).decode()
    dossier.write(examined, str(folder), force=False)
    for path in folder.glob("*.json"):
        yield path.name, path.read_text()


def leaks(text: str, hidden: set[str]) -> list[str]:
    """The values that are in a text."""
    flat = text.replace("\n", "")
    return [value for value in hidden if value in text or value in flat]


@pytest.mark.parametrize("where", RECORDED, ids=str)
def test_no_value_of_a_body_is_shown_or_written(where: Recording, tmp_path: Path) -> None:
    examined = pipeline.examine([str(where.path)])
    hidden = secrets(examined)
    for name, text in outputs(examined, tmp_path, show_bodies=False):
        assert leaks(text, hidden) == [], name


def test_the_search_would_find_them(tmp_path: Path) -> None:
    examined = pipeline.examine([str(recording("story-node12", "container"))])
    hidden = secrets(examined)
    assert len(hidden) > 50 and "Dr. J. Lindqvist" in hidden
    shown = dict(outputs(examined, tmp_path, show_bodies=True))
    assert "Dr. J. Lindqvist" in leaks(shown["terminal"], hidden)
    assert "Dr. J. Lindqvist" in leaks(shown["page"], hidden)
    (packets,) = tmp_path.glob("*.pcapng")
    assert b"Dr. J. Lindqvist" in packets.read_bytes()
