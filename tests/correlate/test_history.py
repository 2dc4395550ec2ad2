"""Looking things up gives what looking at everything gives."""

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer import limits
from analyzer.correlate import pool
from analyzer.correlate.history import END, History
from analyzer.correlate.pool import Pool
from analyzer.correlate.view import Row, Tables, _first_of_each, _order
from analyzer.tables import EXCHANGES, dtype_of

EXCHANGE = dtype_of(EXCHANGES)
TIMES = st.integers(0, 12)


def row(**columns: int) -> Row:
    at = np.zeros(1, dtype=EXCHANGE)
    for name, value in columns.items():
        at[name] = value
    return Row(at[0], b"/")


@st.composite
def requests(draw: Callable[[Any], Any]) -> list[Row]:
    """Requests on a connection, in the order of time; of some no answer came."""
    found = []
    asked = 0
    for n in range(draw(st.integers(1, 9))):
        asked += draw(st.integers(1, 6))
        answered = draw(st.booleans())
        came = asked + draw(TIMES)
        found.append(
            row(
                request_frame=n + 1,
                request_time=asked,
                response_frame=n + 100 if answered else 0,
                response_time=came if answered else 0,
                response_end_time=came + draw(TIMES) if answered else 0,
            )
        )
    return found


@given(requests())
def test_a_history_says_what_its_requests_say(rows: list[Row]) -> None:
    history = History(rows)
    for n, one in enumerate(rows):
        asked = one["request_time"]
        assert history.before(asked) is (rows[n - 1] if n else None)
        answered = [other for other in rows[:n] if other["response_frame"]]
        assert history.answered_before(one) is (answered[-1] if answered else None)
        since = n
        while since and rows[since - 1]["response_end_time"] > rows[since]["request_time"]:
            since -= 1
        assert history.owes_since(one) == since
        assert history.waits_after(asked) == any(
            all(
                (earlier["response_end_time"] if earlier["response_frame"] else END)
                <= later["request_time"]
                for earlier in rows[: rows.index(later)]
            )
            for later in rows[n + 1 :]
        )
    alone = [
        not any(
            other["response_frame"]
            and other["response_time"] <= two["request_time"]
            and other["response_end_time"] >= one["request_time"]
            for other in rows
        )
        for one, two in pairwise(rows)
    ]
    assert history.is_eager == any(map(all, pairwise(alone)))


def tables() -> Tables:
    """Tables in which a row's server is its status."""
    return cast(Tables, SimpleNamespace(server=lambda row: row["status"]))


ROWS = st.builds(
    lambda time, status: row(request_time=time, status=status), TIMES, st.integers(0, 1)
)


@given(st.lists(ROWS, max_size=12), TIMES, st.integers(1, 12))
def test_near_are_those_of_a_server_and_a_time(rows: list[Row], answered: int, within: int) -> None:
    response = row(response_time=answered, status=1)
    found = Pool(tables(), rows, 1).near(response, within)
    wanted = [
        one for one in rows if one["status"] == 1 and 0 < answered - one["request_time"] < within
    ]
    assert list(map(id, found)) == list(map(id, wanted))


def test_of_very_many_the_latest_are_near() -> None:
    rows = [row(request_time=n) for n in range(10)]
    strays = pool.MOST_PAIRS // 3
    found = Pool(tables(), rows, strays).near(row(response_time=8), 1_000)
    assert [one["request_time"] for one in found] == [5, 6, 7]
    assert limits.ODD < pool.MOST_PAIRS


@given(st.lists(st.tuples(st.integers(0, 3), TIMES), min_size=1, max_size=20), st.integers(1, 20))
def test_beyond_a_limit_no_connection_hides_another(
    wanted: list[tuple[int, int]], most: int
) -> None:
    table = np.zeros(len(wanted), dtype=EXCHANGE)
    for n, (connection, time) in enumerate(wanted):
        table[n]["connection"], table[n]["request_time"] = connection, time
        table[n]["request_frame"] = n + 1
    kept = _first_of_each(_order(table, np.zeros(4, np.int64)), most)
    assert kept.sum() == min(most, len(wanted))
    counts = {c: sum(kept[n] for n, (which, _) in enumerate(wanted) if which == c)
              for c, _ in wanted}  # fmt: skip
    fair = max(counts.values())
    for connection, count in counts.items():
        # None has two less than another while it has more to give.
        there = sum(which == connection for which, _ in wanted)
        assert count >= min(there, fair - 1)
        times = sorted((time, n) for n, (which, time) in enumerate(wanted) if which == connection)
        assert {n for _, n in times[:count]} == {
            n for n, (which, _) in enumerate(wanted) if which == connection and kept[n]
        }


def test_beyond_a_limit_no_service_hides_another() -> None:
    table = np.zeros(12, dtype=EXCHANGE)
    table["connection"] = np.arange(12)
    table["request_frame"] = table["request_time"] = np.arange(1, 13)
    service = np.array([7] * 10 + [5] * 2)
    kept = _first_of_each(_order(table, service), 6)
    assert np.flatnonzero(kept).tolist() == [0, 1, 2, 3, 10, 11]
