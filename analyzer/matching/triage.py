"""EXCHANGES -> the odd ones, each once, with what is odd about it.

Law: what is not picked here is ordinary, and never looked at one by one; and each exchange that is
picked is in exactly one of the lists of `Odd`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from analyzer.baselines.form_model import FormModel
from analyzer.baselines.pace import Pace
from analyzer.baselines.tokens import Echoes
from analyzer.correlate.view import Id, Key, Row, Tables, frame_ids, in_order
from analyzer.intervals import covers
from analyzer.tables import EXCHANGES, Array, Close, ConnectionFlag, Flag, Outcome

REQUEST_TIMEOUT = 408
# Bits by which a form is unlike its endpoint's, from which on it is looked at: always, and where no
# more than so many responses are.
ODD, SLIGHTLY_ODD = 5.0, 3.0
MOST_SLIGHTLY_ODD = 256

_SURPLUS, _PIPELINED = int(Flag.SURPLUS), int(Flag.PIPELINED)
_REQUEST_OPEN = int(Flag.REQUEST_OPEN)
_HEAD_ALONE = int(Flag.HEAD_ALONE)
_EXTRA_BYTES, _DEMAND_BROKEN = int(Flag.EXTRA_BYTES), int(Flag.DEMAND_BROKEN)
_CLIENT_REPEATS = int(ConnectionFlag.CLIENT_REPEATS)
_SERVER_REPEATS = int(ConnectionFlag.SERVER_REPEATS)
_SERVER_RESET = int(ConnectionFlag.SERVER_RESET)
_AFTER_CLOSE, _OPEN_AT_END = int(Flag.AFTER_CLIENT_CLOSE), int(Flag.OPEN_AT_END)


@dataclass(slots=True)
class Odd:
    """The odd exchanges, in the order of their frames.

    `refused` are exchanges whose response was sent and never arrived, `lost` those of them where it
    was lost on the way. `unanswered` counts rows that got no response though one was seen;
    `not_answered` those of them that had been taken for answered.
    """

    rows: list[Row] = field(default_factory=list)
    refused: set[Id] = field(default_factory=set)
    lost: set[Id] = field(default_factory=set)
    unanswered: int = 0
    not_answered: int = 0
    # Answered, each in one of these:
    surplus: list[Row] = field(default_factory=list)  # by the numbers sent before their requests
    suspects: list[Row] = field(
        default_factory=list
    )  # unlike their endpoint's, or without its tokens
    early: list[Row] = field(default_factory=list)  # asked while another answer was owed
    # Not answered:
    unserved: list[Row] = field(default_factory=list)
    lone: list[Row] = field(default_factory=list)  # responses without a request

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows that are odd for a reason of their own, each once."""
        known = {row.id for row in self.rows}
        new = [row for row in rows if row.id not in known]
        if new:
            self.rows = sorted([*self.rows, *new], key=in_order)


def triage(
    tables: Tables,
    forms: FormModel,
    echoes: Echoes,
    asks_early: npt.NDArray[np.bool_],
    pace: Pace,
    shared: npt.NDArray[np.int64],
    habitual: set[int],
) -> Odd:
    """Pick the odd exchanges.

    `asks_early` marks the connections whose pipelining is out of the ordinary (see `reuse`),
    `pace` says how long answers take, and `shared` has the frame ids
    of requests that were given what another one was given at the time. Of the endpoints `habitual`
    a response that breaks what the protocol demands is nothing odd.
    """
    odd_keys = odd_forms(forms)
    strange = _codes(odd_keys)
    missed = np.array(sorted({frame for _, frame, _ in echoes.missed}), dtype=np.int64)
    missed = np.union1d(missed, shared)
    heedless = np.array(sorted(habitual), dtype=np.int64)

    def breaks(rows: Array) -> np.ndarray:
        broken: np.ndarray = rows["flags"] & _DEMAND_BROKEN != 0
        if broken.any():
            broken &= ~np.isin(tables.endpoint_of[rows["route"]], heedless)
        return broken

    def odd(rows: Array) -> np.ndarray:
        frame = frame_ids(rows, "request")
        found: np.ndarray = (
            (rows["outcome"] != Outcome.ANSWERED)
            | (rows["flags"] & (_SURPLUS | _AFTER_CLOSE | _EXTRA_BYTES) != 0)
            | ((rows["flags"] & _PIPELINED != 0) & asks_early[rows["connection"]])
            | np.isin(tables.keys(rows), strange)
            | np.isin(frame, missed)
            | breaks(rows)
            | (tables.connections["flags"][rows["connection"]] & _SERVER_REPEATS != 0)
        )
        return found

    out = Odd()
    given = set(shared.tolist())
    parts = [part for row in tables.pick(odd) for part in _parted(row)]
    out.rows = [_settled(tables, row, pace) for row in parts]
    for row in out.rows:
        on_the_way = _lost_on_the_way(tables, row)
        if on_the_way:
            out.lost.add(row.id)
        if _is_refused(tables, row) or (row["response_frame"] and on_the_way):
            out.refused.add(row.id)
            out.unanswered += row["outcome"] in (Outcome.ANSWERED, Outcome.INCOMPLETE)
            out.not_answered += row["outcome"] == Outcome.ANSWERED
        elif row["outcome"] == Outcome.UNANSWERED and row["flags"] & _SURPLUS:
            out.unanswered += 1
            out.not_answered += 1
        which = _list_of(tables, out, row, odd_keys, echoes, asks_early, given, habitual)
        if which is not None:
            which.append(row)
    return out


def _list_of(
    tables: Tables,
    out: Odd,
    row: Row,
    odd_keys: set[Key],
    echoes: Echoes,
    asks_early: npt.NDArray[np.bool_],
    given: set[int],
    habitual: set[int],
) -> list[Row] | None:
    """Where an odd exchange belongs; None: it is odd in no way that concerns whose it is."""
    if row["outcome"] == Outcome.UNSOLICITED:
        return out.lone
    if row.id in out.refused or row["outcome"] == Outcome.UNANSWERED:
        return None if row["flags"] & _REQUEST_OPEN else out.unserved
    if row["outcome"] != Outcome.ANSWERED:
        return out.unserved if row["flags"] & _HEAD_ALONE else None
    if row["flags"] & _SURPLUS:
        return out.surplus
    if tables.key(row) in odd_keys or row.position in echoes.missed or row.position[1] in given:
        return out.suspects
    if row["flags"] & _DEMAND_BROKEN and tables.endpoint(row) not in habitual:
        return out.suspects
    if row["flags"] & _PIPELINED and asks_early[row["connection"]]:
        return out.early
    return None


def odd_forms(forms: FormModel) -> set[Key]:
    """The (variant, status, form) that are unlike what their endpoints answer otherwise."""
    counted = forms.counted
    bits = forms.odd_bits()
    bits = np.where(counted.here > 0, bits, 0.0)
    order = np.argsort(-bits, kind="stable")
    many = np.cumsum(counted.here[order])
    slightly = bits >= bits[order[many <= MOST_SLIGHTLY_ODD]].min(initial=np.inf)
    at = np.flatnonzero((bits >= ODD) | ((bits >= SLIGHTLY_ODD) & slightly))
    columns = (counted.variant[at], counted.status[at], counted.form[at])
    return set(zip(*(column.tolist() for column in columns), strict=True))


def _codes(keys: set[Key]) -> npt.NDArray[np.int64]:
    """Keys as `Tables.keys` has them."""
    return np.array([e << 40 | s << 24 | f for e, s, f in sorted(keys)], dtype=np.int64)


def _is_refused(tables: Tables, row: Row) -> bool:
    """A response that began after its client had closed, and that was cut off or reset.

    A client may close its half only, and read on (RFC 9112 §9.6): then it acknowledges the
    response, and a reset is the server's.
    """
    if row["outcome"] == Outcome.UNANSWERED or not row["flags"] & _AFTER_CLOSE:
        return False
    connection = tables.connection(row)
    if int(connection["flags"]) & _SERVER_RESET:
        return not covers(int(connection["server_acked"]), row["response_seq"])
    if row["outcome"] == Outcome.INCOMPLETE:
        return int(connection["first_close"]) == Close.CLIENT_FIN
    return (
        bool(connection["reset_frame"])
        and int(connection["first_close"]) == Close.CLIENT_FIN
        and int(connection["reset_time"]) >= row["response_time"]
    )


def _parted(row: Row) -> tuple[Row, ...]:
    """A 408 that crossed a request is not read as its answer: two rows instead of one.

    It ends an idle connection (RFC 9110 §15.5.9), whose client then asks again elsewhere.
    """
    if row["status"] != REQUEST_TIMEOUT or not row["flags"] & _SURPLUS:
        return (row,)
    gone: dict[str, dict[str, int]] = {"request": {}, "response": {}}
    for column in EXCHANGES:
        if (which := column.name.partition("_")[0]) in gone:
            gone[which][column.name] = 0
    alone = row.changed({**gone["request"], "outcome": Outcome.UNSOLICITED}, b"")
    nothing = {"outcome": int(Outcome.UNANSWERED), "status": 0, "form": 0}
    return alone, row.changed(gone["response"] | nothing)


def _settled(tables: Tables, row: Row, pace: Pace) -> Row:
    """`row`, no longer open at the end of the capture if its client gave up long before.

    A client may close its half at once and still read the answer (RFC 9112 §9.6), so it must have
    waited, or the capture have gone on, for longer than answers of the endpoint take. And a message
    that is repeated in vain has been lost, whatever comes later.
    """
    if row["outcome"] == Outcome.ANSWERED or not row["flags"] & _OPEN_AT_END:
        return row
    connection = tables.connection(row)
    left = int(connection["client_fin_time"])
    patience = pace.patience(tables.endpoint(row))
    gave_up = left and (
        left - row["request_time"] > 2 * patience or tables.watched_until(row) - left > patience
    )
    if not gave_up and not _lost_on_the_way(tables, row):
        return row
    return row.changed({"flags": row["flags"] & ~_OPEN_AT_END})


def _lost_on_the_way(tables: Tables, row: Row) -> bool:
    """Whether the request, or the whole response, was repeated again and again without an ack."""
    connection = tables.connection(row)
    flags = int(connection["flags"])
    if flags & _CLIENT_REPEATS and not row["response_frame"]:
        return not row.acknowledged(connection)
    if flags & _SERVER_REPEATS and row["response_frame"]:
        return not covers(int(connection["server_acked"]), row["response_seq"])
    return False
