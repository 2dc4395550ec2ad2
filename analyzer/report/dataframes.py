"""REPORT -> pandas frames, with the columns and dtypes of `columns`.

Law: a million exchanges make no Python object for each cell. What repeats is a category, targets
and ids are Arrow's, and rows with the same flags share one tuple.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas
import pyarrow
import pyarrow.compute

from analyzer.correlate.view import WHERE, Tables, form_text
from analyzer.report.columns import (
    ENDPOINT_COLUMNS,
    EXCHANGE_COLUMNS,
    FINDING_COLUMNS,
    LIST,
    NAME,
    SPAN,
    TEXT,
    TIME,
    Column,
)
from analyzer.report.escape import well_formed
from analyzer.report.result import Report
from analyzer.report.rows import finding_rows
from analyzer.tables import FLAGS, Array, Outcome

T = TypeVar("T")
Mask = npt.NDArray[np.bool_]

_NOTHING = np.iinfo(np.int64).min  # NaT
_KEPT = (
    "connection", "outcome", "flags", "route", "form", "status",
    "request_capture", "request_frame", "request_seq", "request_time", "request_length",
    "response_capture", "response_frame", "response_seq", "response_time", "response_length",
    "response_end_frame", "response_end_time",
)  # fmt: skip


def findings(report: Report) -> pandas.DataFrame:
    """The findings, a row each; columns as in FINDING_COLUMNS."""
    return _frame(FINDING_COLUMNS, list(finding_rows(report)))


def endpoints(report: Report) -> pandas.DataFrame:
    """The forms of response of every endpoint, a row each; columns as in ENDPOINT_COLUMNS."""
    rows = [
        (e.endpoint, e.requests, s.status or None, s.media_type or None, s.shape, s.count)
        for e in report.judgement.endpoints
        for s in e.shapes
    ]
    return _frame(ENDPOINT_COLUMNS, rows)


def exchanges(report: Report) -> pandas.DataFrame:
    """All exchanges in the order of their requests; columns as in EXCHANGE_COLUMNS."""
    tables = report.tables
    rows, targets = _whole(tables)
    asked, came = rows["request_frame"] > 0, rows["response_frame"] > 0
    ended = came & (rows["response_end_frame"] > 0)
    there = {"request": asked, "response": came, "response_end": ended}
    connection = rows["connection"]
    route = np.where(asked, rows["route"].astype(np.int64), -1)
    form = np.where(came, rows["form"].astype(np.int64), -1)
    endpoint = np.where(asked, tables.endpoint_of[rows["route"]], -1)
    columns: dict[str, Any] = {
        "outcome": _categorical(rows["outcome"], [one.name.lower() for one in Outcome]),
        "method": named(endpoint, tables.names, lambda name: name.method),
        "target": pandas.array(
            pyarrow.compute.if_else(pyarrow.array(asked), targets, None), dtype=TEXT
        ),
        "endpoint": named(endpoint, tables.names, lambda name: name.name),
        "host": named(route, tables.endpoints, lambda name: name.host),
        "interface": named(tables.connections["interface"][connection], tables.interfaces, str),
        "connection": tables.connections["stream"][connection],
        "status": _number(rows["status"], rows["status"] > 0),
        "media_type": named(form, tables.forms, lambda one: one.media_type),
        "shape": named(form, tables.forms, form_text),
        "flags": _flags(rows["flags"]),
        "exchange": _ids(rows, asked),
        "duration": _span(rows["request_time"], rows["response_time"], asked & came),
        "response_duration": _span(rows["response_time"], rows["response_end_time"], ended),
    }
    for who in ("client", "server"):
        columns[who] = _places(tables, connection, who)
    for of, known in there.items():
        columns[f"{of}_time"] = _time(rows[f"{of}_time"], known)
        for name in ("capture", "frame", "length"):
            if f"{of}_{name}" in EXCHANGE_COLUMNS:
                columns[f"{of}_{name}"] = _number(rows[f"{of}_{name}"], known)
    return pandas.DataFrame({name: columns[name] for name in EXCHANGE_COLUMNS}, copy=False)


def _whole(tables: Tables) -> tuple[dict[str, Array], pyarrow.Array]:
    """The columns of all exchanges that are needed, with their targets, in order.

    That is the order of `correlate.view.in_order`.
    """
    parts: dict[str, list[Array]] = {name: [] for name in _KEPT}
    texts = [pyarrow.array([], pyarrow.large_string())]
    for rows, targets in tables.judged():
        for name, kept in parts.items():
            kept.append(rows[name].copy())  # a view would keep all columns
        texts.append(pyarrow.array([t.decode("latin-1") for t in targets], pyarrow.large_string()))
    dtype = tables.exchanges.dtype
    whole = {name: np.concatenate([np.empty(0, dtype[name]), *parts.pop(name)]) for name in _KEPT}
    asked = whole["request_frame"] > 0
    time, capture, frame = (
        np.where(asked, whole[f"request_{name}"], whole[f"response_{name}"])
        for name in ("time", "capture", "frame")
    )
    order = np.lexsort((whole["response_frame"], frame, capture, time))
    return (
        {name: column[order] for name, column in whole.items()},
        pyarrow.concat_arrays(texts).take(pyarrow.array(order)),
    )


# --- columns of exchanges ------------------------------------------------------------------


def named(codes: Array, things: Sequence[T], name: Callable[[T], str]) -> "pandas.Categorical[Any]":
    """The names of things, of which `codes` are the numbers; a code below 0 and "" are nothing."""
    used = [code for code in np.unique(codes).tolist() if code >= 0]
    names = [well_formed(name(things[code])) for code in used]
    categories = sorted(set(names) - {""})
    places = {text: place for place, text in enumerate(categories)}
    table = np.full(max(used, default=-1) + 2, -1, dtype=np.int32)  # the last is for those below 0
    table[used] = [places.get(text, -1) for text in names]
    return _categorical(table[codes], categories)


def _categorical(codes: Array, categories: list[str]) -> "pandas.Categorical[Any]":
    # As objects: pandas keeps such a copy of Arrow's texts too, to find them by. Of none Parquet
    # would not know what they are.
    known = pandas.Index(categories, dtype=object if categories else str)
    return pandas.Categorical.from_codes(codes, dtype=pandas.CategoricalDtype(known))


def _places(tables: Tables, connection: Array, who: str) -> "pandas.Categorical[Any]":
    """`ip:port` of an end of connections, which are given by their numbers."""
    address, port = (tables.connections[name][connection] for name in (who, f"{who}_port"))
    places, codes = np.unique(address.astype(np.int64) << 16 | port, return_inverse=True)
    return named(codes, places.tolist(), lambda pair: tables.place(pair >> 16, pair & 0xFFFF))


def _flags(flags: Array) -> npt.NDArray[np.object_]:
    """The names of flags; equal ones are one tuple."""
    names_of = [(int(flag), str(flag.name).lower()) for flag in FLAGS]
    every, codes = np.unique(flags, return_inverse=True)
    names = np.empty(len(every), dtype=object)
    for place, value in enumerate(every.tolist()):
        names[place] = tuple(text for flag, text in names_of if value & flag)
    return names[codes]


def _ids(rows: Mapping[str, Array], asked: Mask) -> Any:
    """The ids of exchanges, as `Row.exchange` makes them."""
    parts = [
        pyarrow.array(np.where(asked, rows[f"request_{name}"], rows[f"response_{name}"])).cast(
            pyarrow.large_string()
        )
        for name in WHERE
    ]
    separator = pyarrow.scalar(":", pyarrow.large_string())
    return pandas.array(pyarrow.compute.binary_join_element_wise(*parts, separator), dtype=TEXT)


def _number(values: Array, known: Mask) -> Any:
    """Numbers as nullable integers of the same size."""
    return pandas.arrays.IntegerArray(np.where(known, values, 0).astype(values.dtype), ~known)


def _time(values: Array, known: Mask) -> pandas.DatetimeIndex:
    """Times in ns since 1970."""
    moments = np.where(known, values, _NOTHING).astype(np.int64).view("datetime64[ns]")
    return pandas.DatetimeIndex(moments).tz_localize("UTC")


def _span(since: Array, until: Array, known: Mask) -> npt.NDArray[np.timedelta64]:
    """Spans in ns."""
    return np.where(known, until - since, _NOTHING).astype(np.int64).view("timedelta64[ns]")


# --- short tables --------------------------------------------------------------------------


def _frame(columns: Mapping[str, Column], rows: Sequence[Sequence[Any]]) -> pandas.DataFrame:
    """Rows of Python values as a frame; a time or span is in ns, None is nothing."""
    made = {
        name: _column(column.dtype, [row[place] for row in rows])
        for place, (name, column) in enumerate(columns.items())
    }
    return pandas.DataFrame(made)


def _column(dtype: str, values: Iterable[Any]) -> Any:
    """Python values as a column of a dtype."""
    given = list(values)
    if dtype in (TIME, SPAN):
        known = np.array([value is not None for value in given], dtype=np.bool_)
        numbers = np.array([value or 0 for value in given], dtype=np.int64)
        return _time(numbers, known) if dtype == TIME else _span(numbers * 0, numbers, known)
    if dtype == LIST:
        return pandas.Series([tuple(map(well_formed, one)) for one in given], dtype=object)
    if dtype == NAME:
        return named(np.arange(len(given)), given, lambda value: value or "")
    if dtype == TEXT:
        given = [None if value is None else well_formed(value) for value in given]
    return pandas.array(given, dtype=dtype)  # type: ignore[call-overload]
