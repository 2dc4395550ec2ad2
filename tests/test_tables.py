"""Stores show what was put in, however often, whatever stays unpacked."""

import numpy as np
import pytest

from analyzer.tables import CONNECTIONS, Store, Texts, dtype_of

COUNT = 50


@pytest.fixture(params=[0, 10_000, 1 << 30])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """50 rows in chunks of 20, of which none, the first or all stay unpacked."""
    monkeypatch.setattr(Store, "ROWS", 20)
    monkeypatch.setattr(Store, "SHOWN", request.param)
    rows = np.zeros(COUNT, dtype=dtype_of(CONNECTIONS))
    rows["connection"] = np.arange(COUNT)
    made = Store(CONNECTIONS, text=True)
    made.append_many(rows, [b"text %d" % n for n in range(COUNT)])
    return made


def shown(store: Store, column: str = "connection") -> list[int]:
    return [n for rows, _ in store.chunks() for n in rows[column].tolist()]


def test_rows_come_as_they_were_put_in(store: Store) -> None:
    assert shown(store) == shown(store) == list(range(COUNT))
    texts = [text for _, texts in store.chunks() for text in texts]
    assert texts == [b"text %d" % n for n in range(COUNT)]


def test_what_changes_later_is_shown(store: Store) -> None:
    assert sum(shown(store, "flags")) == 0
    store.change(30, "flags", 5)
    assert np.flatnonzero(shown(store, "flags")).tolist() == [30]
    store.renumber("connection", np.arange(COUNT)[::-1])
    assert shown(store) == list(range(COUNT))[::-1]


def test_rows_that_are_shown_cannot_be_changed(store: Store) -> None:
    for rows, _ in store.chunks():
        with pytest.raises(ValueError, match="read-only"):
            rows["connection"] += 1
    assert shown(store) == list(range(COUNT))


def test_texts_of_some_rows(store: Store) -> None:
    _, texts = next(store.chunks())
    some = texts.of(np.array([3, 5, 19]))
    assert len(some) == 3
    assert list(some.of(np.array([2, 0]))) == [b"text 19", b"text 3"]
    assert some[1] == b"text 5"


def test_where_no_texts_are_kept_they_are_empty() -> None:
    assert list(Texts(b"", 3)) == [b""] * 3
    assert list(Texts(b"", 3).of(np.array([0, 2]))) == [b""] * 2
