"""What a request is given at other times is a matter of what it asks for, and on whose behalf."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pytest import MonkeyPatch

from analyzer.baselines.repeats import Repeats, suspicious
from analyzer.correlate.view import Tables
from analyzer.findings.model import Kind
from analyzer.report.result import Report
from analyzer.tables import Array
from tests.builder import (
    MILLISECOND,
    SECOND,
    START,
    Conversation,
    Frame,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import epilogue, talk
from tests.tools import scanned

AGES = 30, 30, 31, 31, 31, 32, 30, 30  # as the same request was told, one after the other
RIDERS = 40
FOREIGN = 7, 8  # two of them who are crossed
LATER = START + 200 * SECOND


def profile(rider: int) -> bytes:
    """Nothing in it names the session that asks for it."""
    return as_json({"rides": rider * 37 % 101, "best": rider * 7_919 % 10_007, "stable": "north"})


def asks(rider: int, gets: int, conversation: Conversation, wait: int = MILLISECOND) -> Frame:
    session = f"Cookie: s={rider * 104_729 % 99_991:05d}\r\n"
    conversation.ask(request("/me", fields=session)).wait(wait).answer(response(profile(gets)))
    return conversation.frames[-1]


def riders(times: int, crossed: tuple[int, ...] = FOREIGN) -> list[Frame]:
    """All ask for themselves, so many times; then two at once, who are given each other's."""
    parts = []
    for rider in range(RIDERS):
        one = talk(60 + rider, start=START + rider * SECOND)
        for _ in range(times):
            asks(rider, rider, one)
        parts.append(one.close().frames)
    for rider, gets in zip(crossed, reversed(crossed), strict=True):
        one = talk(rider, start=LATER + rider * MILLISECOND)
        asks(rider, gets, one, 50 * MILLISECOND)
        parts.append(one.close().frames)
    return in_time(*parts, epilogue())


def test_two_sessions_are_told_apart_by_what_each_was_given_before(tmp_path: Path) -> None:
    report = scanned(tmp_path, riders(3))
    found = [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]
    clients = {f.request.client: f.owner.client for f in found if f.request and f.owner}
    one, two = (f"10.0.1.{rider}:{41_000 + rider}" for rider in FOREIGN)
    assert clients == {one: two, two: one}


def test_who_is_given_the_own_is_no_suspect(tmp_path: Path) -> None:
    report = scanned(tmp_path, riders(3, crossed=(7, 7)))
    assert len(suspicious(report.tables)) == 0
    assert report.judgement.findings == []


def test_sessions_that_are_all_given_the_same_are_not_told_apart(tmp_path: Path) -> None:
    parts = []
    for rider in range(RIDERS):
        one = talk(60 + rider, start=START + rider * SECOND)
        asks(rider, 3, one)
        asks(rider, 3, one)
        parts.append(one.close().frames)
    tables = scanned(tmp_path, in_time(*parts, epilogue())).tables
    rows = tables.pick(lambda every: np.ones(len(every), dtype=np.bool_))
    repeats = Repeats.around(tables, rows)
    assert not any(map(repeats.minds, rows))
    tables = scanned(tmp_path, riders(2)).tables
    rows = [r for r in tables.pick(lambda e: np.ones(len(e), dtype=np.bool_)) if r.target == b"/me"]
    assert all(map(Repeats.around(tables, rows).minds, rows))


def told(ages: tuple[int, ...], folder: Path) -> Report:
    talks = [
        talk(100 + n, start=START + n * SECOND)
        .ask(request("/grooms?user=ada01"))
        .answer(response(as_json({"user": "ada01", "age": age})))
        .close()
        for n, age in enumerate(ages)
    ]
    return scanned(folder, in_time(*(one.frames for one in talks)))


def test_the_order_in_which_the_tables_have_them_does_not_matter(
    tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    tables = told(AGES, tmp_path).tables
    rows = tables.pick(lambda every: np.ones(len(every), dtype=np.bool_))
    judged = Tables.judged

    def mixed(self: Tables) -> Iterator[tuple[Array, list[bytes]]]:
        for chunk, targets in judged(self):
            order = np.argsort(np.arange(len(chunk)) % 3, kind="stable")
            yield chunk[order], [targets[at] for at in order.tolist()]

    usual, odd = Repeats.around(tables, rows), suspicious(tables)
    monkeypatch.setattr(Tables, "judged", mixed)
    other = Repeats.around(tables, rows)
    assert (usual.endpoints, usual.given) == (other.endpoints, other.given)
    assert suspicious(tables).tolist() == odd.tolist()
    assert [usual.bits(row, row) for row in rows] == [other.bits(row, row) for row in rows]
    (endpoint,) = usual.endpoints.values()
    assert (endpoint.again, endpoint.alike) == (len(AGES) - 1, len(AGES) - len(set(AGES)))


@pytest.mark.parametrize("age", [30, 33])
def test_nothing_testifies_for_itself(tmp_path: Path, age: int) -> None:
    """What is asked of one exchange is what the others say."""
    tables = told((30, 30, 30, 30, age), tmp_path).tables
    rows = tables.pick(lambda every: np.ones(len(every), dtype=np.bool_))
    repeats = Repeats.around(tables, rows)
    bits = repeats.bits(rows[-1], rows[-1])
    assert bits < -1.9 if age == 33 else 0 <= bits < 1  # all are told 30: that says little
