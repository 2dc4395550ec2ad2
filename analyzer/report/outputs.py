"""Where a command writes to, checked before the work.

Law: an input is never an output, and two outputs are never one file, by whatever names, links or
redirections they are reached. What is refused is one clear line.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import InputError
from analyzer.report import files

STANDARD_STREAM = "-"
_STANDARD_INPUT, _STANDARD_OUTPUT = 0, 1  # file descriptors
_NAMES_OF_IT = (STANDARD_STREAM, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_EVIDENCE = re.compile(r"incident-[0-9a-f]{8}\.(pcapng|json)")
# Of what is neither a file nor a pipe (a terminal, /dev/null) one may be read and written.
_KINDS = (stat.S_ISREG, stat.S_ISFIFO, stat.S_ISBLK)

Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a command was told to write, and whether it may replace what is there."""

    csv: str | None = None
    json: str | None = None
    jsonl: str | None = None
    html: str | None = None
    junit: str | None = None
    har: str | None = None
    exchanges: str | None = None
    learned: str | None = None
    openapi: str | None = None
    evidence: str | None = None  # a directory
    force: bool = False

    def files(self) -> Iterator[tuple[str, str]]:
        """The options that name a file, each with the name."""
        for option, path in (
            ("--csv", self.csv),
            ("--json", self.json),
            ("--jsonl", self.jsonl),
            ("--html", self.html),
            ("--junit", self.junit),
            ("--har", self.har),
            ("--exchanges", self.exchanges),
            ("--output", self.learned),
            ("--openapi", self.openapi),
        ):
            if path is not None:
                yield option, path

    @property
    def takes_standard_output(self) -> bool:
        """Whether an option's output goes there, and nothing else may."""
        return any(is_standard_output(path) for _, path in self.files())


def is_standard_output(path: str | None) -> bool:
    """Whether the name stands for standard output."""
    return path in _NAMES_OF_IT


def check(outputs: Outputs, inputs: Iterable[str], beside: Iterable[str] = ()) -> None:
    """Raises InputError when the outputs cannot be written, or must not be.

    `inputs` are the captures that will be read; "-" is standard input. Of those `beside` other
    things are read.
    """
    read = identities(inputs)
    also = identities(beside)
    _refuse_standard_output(read)
    for _, path in outputs.files():
        if not is_standard_output(path):
            refuse_inputs(path, read)
            refuse_inputs(path, also, "a file")
            files.check(path, force=outputs.force)
    exchanges = outputs.exchanges
    if exchanges is not None and not is_standard_output(exchanges):
        files.check_kind(exchanges)
    if outputs.evidence is not None:
        _check_folder(outputs.evidence)
    _refuse_twice(outputs)


def identities(paths: Iterable[str]) -> dict[Identity, str]:
    """Which files those are, whatever their names, and a name for each."""
    found: dict[Identity, str] = {}
    for path in paths:
        one = _identity(_STANDARD_INPUT if path == STANDARD_STREAM else path)
        if one is not None:
            found[one] = "standard input" if path == STANDARD_STREAM else path
    return found


def refuse_inputs(path: str, read: dict[Identity, str], what: str = "a capture") -> None:
    """Raises InputError when writing to `path` would be writing to something that is read."""
    one = _identity(path)
    if one is not None and one in read:
        name = "" if read[one] == path else f" ({read[one]})"
        raise InputError(f"{path}: is {what} that is read{name}: an input is never an output")


def _refuse_standard_output(read: dict[Identity, str]) -> None:
    one = _identity(_STANDARD_OUTPUT)
    if one is not None and one in read:
        raise InputError(f"standard output is a capture that is read: {read[one]}")


def _refuse_twice(outputs: Outputs) -> None:
    """Raises InputError when two outputs are one file, or one is where the evidence goes."""
    places: dict[str | Identity, str] = {}
    names = list(outputs.files())
    shown = next((option for option, path in names if is_standard_output(path)), "")
    there = _identity(_STANDARD_OUTPUT)
    if there is not None:
        places[there] = f"{shown} {STANDARD_STREAM}" if shown else "standard output"
    folder = outputs.evidence and os.path.realpath(outputs.evidence)
    for option, path in names:
        told = f"{option} {path}"
        if is_standard_output(path):
            if option != shown:
                raise InputError(
                    f"only one output can be standard output, not {shown} and {option}"
                )
            continue
        place, one = os.path.realpath(path), _identity(path)
        ours = str(Path(place).parent) == folder and _EVIDENCE.fullmatch(Path(place).name)
        if place == folder or ours:
            raise InputError(f"two outputs are one: {told} and --evidence {outputs.evidence}")
        # A device such as /dev/null is no file that two could spoil.
        keys = [one] if one is not None else [] if Path(place).exists() else [place]
        for key in keys:
            if key in places:
                raise InputError(f"two outputs are one file: {places[key]} and {told}")
            places[key] = told


def _check_folder(folder: str) -> None:
    """Raises InputError when the evidence's folder is none, or cannot be made."""
    if folder in ("", *_NAMES_OF_IT):
        raise InputError(f"--evidence takes a directory, not '{folder}'")
    place = Path(os.path.realpath(folder))
    try:
        there = next(p for p in (place, *place.parents) if p.exists())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from None
    if not there.is_dir():
        raise InputError(f"{there if there != place else folder}: is not a directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: permission denied")


def _identity(place: str | int) -> Identity | None:
    """Which file a path or descriptor leads to; None: there is none, or it is no file or pipe."""
    try:
        found = os.fstat(place) if isinstance(place, int) else Path(place).stat()
    except (OSError, ValueError):
        return None
    if not any(is_kind(found.st_mode) for is_kind in _KINDS):
        return None
    return found.st_dev, found.st_ino
