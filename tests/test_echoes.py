"""Which tokens of requests are repeated: places, values, and learning that no order changes."""

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.echoes import (
    LAST,
    MOST_CONSTANT,
    MOST_MISSES,
    TRIED,
    Echoes,
    Places,
    Rule,
    places_of,
    repeats,
    tokens,
)

HEAD = b"Host: a\r\nX-Request-Id: 7f3a-99\r\nContent-Type: application/json\r\n\r\n"


def test_a_token_is_named_by_its_place() -> None:
    body = b'{"order": {"id": 1042, "items": ["A77"]}, "paid": true, "sum": 1.5}'
    assert list(tokens(b"/v1/shops/12/orders?user=ann%20b&page=", HEAD, body)) == [
        ("path[-1]", b"orders"),
        ("path[-2]", b"12"),
        ("path[-3]", b"shops"),
        ("path[-4]", b"v1"),
        ("query:user", b"ann b"),
        ("header:x-request-id", b"7f3a-99"),
        ("body:$.order.id", b"1042"),
    ]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"  "])
def test_a_body_that_is_no_json_has_no_tokens(body: bytes) -> None:
    assert not [place for place, _ in tokens(b"", b"", body) if place.startswith("body")]


@pytest.mark.parametrize(
    ("text", "found"),
    [(b'{"id":417}', True), (b'{"id":4170}', False), (b"a417", False), (b"x417 417", True)],
)
def test_only_a_whole_token_is_repeated(text: bytes, found: bool) -> None:
    assert repeats(b"417", text) is found


def test_where_a_token_stands_in_a_response() -> None:
    body = {"id": 417, "links": [{"self": "/horses/417"}, {"self": "/x"}], "age": 4170}
    assert places_of(b"417", body) == {"$.id", "$.links[].self"}


def _place(number: int) -> tuple[int, int, int]:
    return 0, number, 0


def _learned(exchanges: list[tuple[int, bytes, bytes]]) -> dict[tuple[int, str], Rule]:
    echoes = Echoes()
    for number, target, body in exchanges:
        echoes.see(1, tokens(target, b"", b""), b"", body, partial(_place, number))
    return echoes.rules


def test_a_response_that_does_not_repeat_the_token_is_remembered() -> None:
    rules = _learned(
        [(n, b"/things/%d" % n, b'{"id": %d}' % (7 if n == 120 else n)) for n in range(100, 150)]
    )
    rule = rules[(1, LAST)]
    assert (rule.asked, rule.misses, rule.varies) == (50, [(0, 120, 0)], True)


@given(st.randoms())
def test_learning_does_not_depend_on_order_or_processes(rng: random.Random) -> None:
    exchanges = [(n, b"/t/%d?u=%d" % (n, n % 7 + 100), b"%d" % n) for n in range(100, 160)]
    whole = _learned(exchanges)
    rng.shuffle(exchanges)
    cut = rng.randrange(len(exchanges))
    one, two = _learned(exchanges[:cut]), _learned(exchanges[cut:])
    for key, rule in two.items():
        one.setdefault(key, Rule()).add(rule)
    assert {k: (r.asked, sorted(r.misses), r.first, r.varies) for k, r in one.items()} == {
        k: (r.asked, sorted(r.misses), r.first, r.varies) for k, r in whole.items()
    }


def test_a_place_that_is_not_repeated_or_never_varies_is_given_up() -> None:
    rules = _learned([(n, b"/t/%d?v=abc" % n, b"abc") for n in range(100, 102 + MOST_MISSES)])
    assert rules[(1, LAST)].dead
    assert not rules[(1, LAST)].misses
    assert rules[(1, "query:v")].dead
    assert rules[(1, "query:v")].asked == MOST_CONSTANT


def test_only_places_that_matter_are_looked_at() -> None:
    wanted = Places.of(frozenset({"path[-1]", "query:y", "body:$.l"}))
    found = tokens(b"/a/17?x=1&y=2", HEAD, b'{"k": "v", "l": 3}', wanted)
    assert [place for place, _ in found] == [
        "path[-1]",
        "query:y",
        "body:$.l",
    ]


def test_a_route_is_left_alone_when_nothing_is_repeated() -> None:
    echoes = Echoes()
    for n in range(MOST_MISSES + TRIED):
        echoes.see(1, [(LAST, b"%d" % (n + 100))], b"", b"", partial(_place, n))
    assert not echoes.wants(1)
    for n in range(TRIED):
        value = b"%d" % (n + 100)
        echoes.see(2, [(LAST, value)], b"", value, partial(_place, n))
    assert echoes.wants(2)
    assert not set(echoes.alive(2)) - {LAST}
