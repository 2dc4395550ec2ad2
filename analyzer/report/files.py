"""What is written to files: JSON, JSON Lines, CSV, and every exchange as CSV or Parquet.

Law: a file is written whole or not at all, and an existing one is replaced only when asked.
"""

import csv
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from analyzer.errors import InputError
from analyzer.report.columns import (
    EXCHANGE_COLUMNS,
    FINDING_COLUMNS,
    LIST,
    NAME,
    SPAN,
    TEXT,
    TIME,
)
from analyzer.report.escape import as_json, cell, compact_json, rfc3339
from analyzer.report.result import Report, as_dict, finding_dicts
from analyzer.report.rows import finding_rows

PARQUET = ".parquet"
BETWEEN = "; "  # the parts of a list in CSV


def json_text(report: Report) -> bytes:
    """The report as JSON; the same report gives the same bytes."""
    return as_json(as_dict(report))


def jsonl_text(report: Report) -> bytes:
    """The findings as JSON Lines: the objects of `findings[]` in the report, one a line."""
    return b"".join(compact_json(one) + b"\n" for one in finding_dicts(report))


def csv_text(report: Report) -> bytes:
    """The findings as CSV (RFC 4180), UTF-8, one row each."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FINDING_COLUMNS)
    dtypes = [column.dtype for column in FINDING_COLUMNS.values()]
    for row in finding_rows(report):
        writer.writerow(map(_cell, row, dtypes))
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any, dtype: str) -> object:
    """A value of a row of findings as a cell."""
    if value is None:
        return ""
    if dtype == TIME:
        return rfc3339(value)
    if dtype == SPAN:
        return value / 1e9
    return cell(BETWEEN.join(value) if dtype == LIST else value)


def write_exchanges(report: Report, path: str, file: IO[bytes]) -> None:
    """Every exchange, as Parquet or CSV by the name of `path`."""
    frame = report.exchanges
    if path.lower().endswith(PARQUET):
        frame.to_parquet(file, index=False)
        return
    text = frame.copy()
    for name, column in EXCHANGE_COLUMNS.items():
        if column.dtype == SPAN:
            text[name] = frame[name].dt.total_seconds()
        elif column.dtype == LIST:
            text[name] = frame[name].map(BETWEEN.join)
        elif column.dtype in (NAME, TEXT):
            text[name] = frame[name].map(cell, na_action="ignore")
    text.to_csv(file, index=False, errors="backslashreplace")


def check(path: str, *, force: bool) -> None:
    """Raises InputError when `path` cannot be written, or exists and may not be replaced."""
    if not path:
        raise InputError("the name of an output is empty")
    place = Path(path)
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    else:
        if place.is_dir():
            raise InputError(f"{path}: is a directory, and the name of a file is needed")
        if not force:
            raise InputError(f"{path}: exists already; --force replaces it")
    folder = Path(os.path.realpath(place)).parent
    if not folder.is_dir():
        raise InputError(f"{path}: no such directory: {folder}")
    if not os.access(folder if _is_replaced(place) else place, os.W_OK):
        raise InputError(f"{path}: permission denied")


def check_kind(path: str) -> None:
    """Raises InputError when the name does not say in which of the formats exchanges go there."""
    if not path.lower().endswith((".csv", PARQUET)):
        raise InputError(f"{path}: the name must end in .csv or .parquet")


def _is_replaced(place: Path) -> bool:
    """Whether an output at `place` is a new file, rather than written to a device or a pipe."""
    return not place.exists() or place.is_file()


def write(path: str, put: Callable[[IO[bytes]], Any], *, force: bool = False) -> None:
    """Let `put` write to a file that appears at `path` when it is whole and on the disk.

    What is there is replaced only with `force`; a link is followed, a device or pipe written to.
    Raises InputError when it cannot be written.
    """
    place = Path(path)
    try:
        if force and not _is_replaced(place):
            with place.open("wb") as file:
                put(file)
            return
        _put_in_place(Path(os.path.realpath(place)), put, force=force)
    except FileExistsError:
        raise InputError(f"{path}: exists already; --force replaces it") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _put_in_place(place: Path, put: Callable[[IO[bytes]], Any], *, force: bool) -> None:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=".wf-")
    made = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            put(file)
            file.flush()
            os.fsync(file.fileno())
        made.chmod(place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask())
        if force or not _linked(made, place):
            made.replace(place)
    finally:
        made.unlink(missing_ok=True)


def _linked(made: Path, place: Path) -> bool:
    """Give the file its name; unlike a renaming, this fails where something has come to be there.

    False where the file system has no links. Raises FileExistsError.
    """
    try:
        os.link(made, place)
    except FileExistsError:
        raise
    except OSError:
        if place.exists():
            raise FileExistsError from None
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
