"""What people say of incidents: confirmed, dismissed or unsure, with a note, in a small JSON file.

Law: a mark changes nothing but what is shown. A dismissed incident is a finding still. The file is
written whole; what it has on incidents that a report lacks stays in it; a file that is anything
else is never replaced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from analyzer.errors import InputError
from analyzer.report import files
from analyzer.report.escape import as_json, well_formed
from analyzer.report.opinions import Mark, Marks, Opinion
from analyzer.report.outputs import identities, refuse_inputs

SCHEMA = 1
SUFFIX = ".marks.json"
LONGEST_NOTE = 2_000  # characters
_LARGEST = 64 << 20  # bytes of a file of marks
_STANDARD_INPUT = "-"


def beside(captures: Sequence[str]) -> str | None:
    """Where the marks of captures are if nobody says where: beside the first one."""
    first = captures[0]
    return None if first == _STANDARD_INPUT else f"{first.rstrip('/') or first}{SUFFIX}"


def read(path: str) -> Marks:
    """The marks in a file; none where there is no such file. Raises InputError when it is other."""
    place = Path(path)
    try:
        if not place.exists():
            return {}
        if not place.is_file() or place.stat().st_size > _LARGEST:
            raise InputError(f"{path}: is no file of marks")
        found = orjson.loads(place.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: is no file of marks") from None
    if not isinstance(found, dict) or not isinstance(found.get("marks"), dict):
        raise InputError(f"{path}: is no file of marks")
    if found.get("schema") != SCHEMA:
        raise InputError(f"{path}: was written by another version of wrangler-forensics")
    try:
        return {str(name): _mark(one) for name, one in found["marks"].items()}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: has a mark that cannot be read") from None


def _mark(one: Any) -> Mark:
    if not isinstance(one, Mapping):
        raise TypeError
    note, time = one.get("note", ""), one["time"]
    if not isinstance(note, str) or not isinstance(time, str):
        raise TypeError
    return Mark(Opinion(one["mark"]), note[:LONGEST_NOTE], time)


def check(path: str, inputs: Sequence[str]) -> None:
    """Raises InputError when marks cannot be kept there, or must not be."""
    refuse_inputs(path, identities(inputs))
    read(path)
    files.check(path, force=True)


def change(path: str, incident: str, mark: Mark | None) -> Marks:
    """Write the file with one incident's mark changed, or taken away (None); returns all marks.

    What somebody else wrote meanwhile stays. Raises InputError when it cannot be written.
    """
    marks = read(path)
    if mark is None:
        marks.pop(incident, None)
    else:
        marks[incident] = mark
    content = {
        "schema": SCHEMA,
        "program": "wrangler-forensics",
        "marks": {name: asdict(one) for name, one in sorted(marks.items())},
    }
    text = as_json(well_formed(content))
    files.write(path, lambda file: file.write(text), force=True)
    return marks
