"""All exchanges of the captures as a HAR file, written after reading the captures once more.

Law: bounded memory. Entries are made as exchanges end, lie in an unnamed temporary file (in
`TMPDIR`), and are written in the order of time.
"""

import tempfile
from collections.abc import Callable
from typing import IO

from analyzer import __version__
from analyzer.correlate.frames import Frame
from analyzer.errors import InputError
from analyzer.pipeline import Examination
from analyzer.report import har, remarks
from analyzer.report.escape import compact_json
from analyzer.second_pass.every import Exchanged
from analyzer.second_pass.model import Message


def write(examination: Examination, file: IO[bytes], shown: har.Shown) -> None:
    """Write the file. Raises InputError where the captures cannot be read again."""
    report = examination.report
    if report.partial:
        raise InputError("no HAR is written of captures that were not read to their end")
    if examination.spool is not None and examination.spool.lost:
        raise InputError("standard input could not be kept (TMPDIR is full?): no HAR written")
    told = har.parts_of(report.judgement.findings)
    made: list[tuple[int, int, int]] = []  # time, place and size of each entry
    with tempfile.TemporaryFile() as entries:
        place = 0

        def take(one: Exchanged) -> None:
            nonlocal place
            exchange = _exchange(examination, one, told)
            text = compact_json(har.entry(exchange, shown))
            made.append((exchange.time, place, len(text)))
            entries.write(text)
            place += len(text)

        try:
            examination.every(take)
        except OSError as error:
            raise InputError(f"the entries of the HAR: {error.strerror or error}") from None
        file.write(har.head(__version__, " ".join(remarks.verdict(report))))
        _in_order(made, entries, file.write)
        file.write(har.TAIL)


def _in_order(
    made: list[tuple[int, int, int]], entries: IO[bytes], put: Callable[[bytes], object]
) -> None:
    made.sort()
    for number, (_, place, size) in enumerate(made):
        entries.seek(place)
        put((har.BETWEEN if number else b"") + entries.read(size))


def _exchange(
    examination: Examination, one: Exchanged, told: dict[str, list[har.Told]]
) -> har.Exchange:
    tables = examination.report.tables
    row = tables.connections[one.connection]

    def at(message: Message | None) -> Frame | None:
        return None if message is None else tables.frame(message)

    first = one.request or one.response
    assert first is not None
    # As `Row.exchange` has it.
    name = f"{first.capture}:{first.frame}:{one.seq}"
    return har.Exchange(
        id=name,
        connection=int(row["stream"]),
        server=tables.place(int(row["server"]), int(row["server_port"])),
        request=one.request,
        response=one.response,
        asked_at=at(one.request),
        came_at=at(one.response),
        told=told.get(name, ()),
    )
