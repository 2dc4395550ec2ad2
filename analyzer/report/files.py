"""What is written to files: JSON, CSV, and every exchange as CSV or Parquet.

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
from analyzer.report.escape import cell
from analyzer.report.result import FINDING_COLUMNS, Report, as_dict, finding_rows


def json_text(report: Report) -> bytes:
    """The report as JSON; the same report gives the same bytes."""
    import orjson

    return orjson.dumps(as_dict(report), option=orjson.OPT_INDENT_2) + b"\n"


def csv_text(report: Report) -> bytes:
    """The findings as CSV (RFC 4180), UTF-8, one row each."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FINDING_COLUMNS)
    for row in finding_rows(report):
        writer.writerow([cell(value) for value in row])
    return out.getvalue().encode()


def write_exchanges(report: Report, path: str, file: IO[bytes]) -> None:
    """Every exchange, as Parquet or CSV by the name of `path`."""
    frame = report.exchanges
    if path.endswith(".parquet"):
        frame.to_parquet(file, index=False)
        return
    text = frame.copy()
    for name in text.columns[text.dtypes.astype(str).isin(["object", "str", "string"])]:
        text[name] = text[name].map(cell)
    text.to_csv(file, index=False)


def check(path: str, *, force: bool) -> None:
    """Raises InputError when `path` cannot be written, or exists and may not be replaced."""
    place = Path(path)
    if place.is_dir():
        raise InputError(f"{path}: is a directory")
    if place.exists() and not force:
        raise InputError(f"{path}: exists already; --force replaces it")
    if not place.parent.is_dir():
        raise InputError(f"{path}: no such directory")
    if not os.access(place.parent, os.W_OK):
        raise InputError(f"{path}: permission denied")


def write(path: str, put: Callable[[IO[bytes]], Any]) -> None:
    """Let `put` write to a file that appears at `path` when it is whole.

    Raises InputError when it cannot be written.
    """
    place = Path(path)
    try:
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".wf-", delete=False) as file:
            try:
                put(file)
                file.flush()
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        mode = place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask()
        Path(file.name).chmod(mode)
        Path(file.name).replace(place)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
