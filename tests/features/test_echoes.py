"""Which tokens of requests are repeated: places, values, and learning that no order changes."""

import random
from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.features import echoes as module
from analyzer.features.echoes import (
    LAST,
    MOST_MISSES,
    MOST_PLACES,
    MOST_VALUES,
    Echoes,
    Leaves,
    Position,
    Rule,
    Rules,
    bounded,
    join,
    lists_of_others,
    parts,
    places_of,
    rank,
    repeats,
    tokens,
    value_hash,
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
    assert places_of(b"417", Leaves.of(body)) == {"$.id", "$.links[].self"}


def test_the_places_of_several_values_are_no_deeper() -> None:
    deep = {"a": {"b": {"c": {"id": 417}}}}
    assert places_of(b"417", Leaves.of(deep)) == {"$.a.b.c.id"}
    assert places_of(b"417", Leaves.of((deep, deep))) == {"$[].a.b.c.id"}
    assert lists_of_others(b"417", Leaves.of(({"id": 417}, {"id": 5}))) == {"$[].id"}
    assert lists_of_others(b"417", Leaves.of(({"id": 417}, {"n": 5}))) == {"$[].n"}


# --- what is learned ----------------------------------------------------------------------------

Exchange = tuple[int, int, bytes, bytes]  # route, number, target, body of the response
ROUTES = [("GET", "h", f"/{n}") for n in range(40)]


def _position(number: int) -> Position:
    return 0, number, 0


def _learned(exchanges: list[Exchange]) -> Rules:
    echoes = Echoes(Rules(), ROUTES)
    for route, number, target, body in exchanges:
        echoes.see(route, tokens(target, b"", b""), b"", body, _position(number))
    echoes.finish()
    return echoes.rules


def _joined(shares: list[list[Exchange]]) -> Rules:
    """What several processes learn together, each numbering routes and connections by itself."""
    first = Rules()
    for share in shares:
        join(first, _learned(share), np.arange(len(ROUTES)), 0)
    return bounded(first, ROUTES)


def _in_order(rules: Rules) -> Rules:
    rules = deepcopy(rules)
    for rule in rules.values():
        rule.misses.sort()
    return rules


def test_a_response_that_does_not_repeat_the_token_is_remembered() -> None:
    rules = _learned(
        [(1, n, b"/things/%d" % n, b'{"id": %d}' % (7 if n == 120 else n)) for n in range(100, 150)]
    )
    rule = rules[(1, LAST)]
    assert (rule.asked, rule.hits, rule.misses, rule.varies) == (50, 49, [(0, 120, 0)], True)
    assert 30 <= rule.distinct <= 80


def _exchanges(rng: random.Random, count: int) -> list[Exchange]:
    """Exchanges of a few routes: places that come late, constant for long, and data as names."""
    found = []
    for number in range(count):
        route = rng.choice([1, 1, 1, 2, 3])
        user = b"ann" if number < count // 2 else b"ann%d" % number
        pairs = [b"user=" + user, b"kind=abc"]
        if number > count // 2:
            pairs.append(b"late=%d" % rng.randrange(100, 140))
        if route == 3:
            pairs += [b"key%d=value" % rng.randrange(500), b"%dk=abc" % rng.randrange(10**6)]
        said = [user] * rng.choice([0, 1, 1, 1]) + [b"%d" % number] * rng.choice([0, 1])
        target = b"/things/%d?" % number + b"&".join(pairs)
        found.append((route, 1_000 + number, target, b" ".join(said)))
    return found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so low that all of them are met."""
    for name, value in {"MOST_MISSES": 20, "MOST_PLACES": 12, "MOST_RULES": 30}.items():
        monkeypatch.setattr(module, name, value)


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 300))
def test_learning_does_not_depend_on_order_or_processes(
    rng: random.Random, parts: int, count: int
) -> None:
    exchanges = _exchanges(rng, count)
    whole = _in_order(_learned(exchanges))
    rng.shuffle(exchanges)
    assert _in_order(_learned(exchanges)) == whole
    assert _in_order(_joined([exchanges[part::parts] for part in range(parts)])) == whole


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("seed", range(12))
def test_learning_does_not_depend_on_order_where_there_is_too_much(seed: int) -> None:
    rng = random.Random(seed)
    exchanges = [
        (rng.randrange(8), number, target, body) for _, number, target, body in _exchanges(rng, 600)
    ]
    whole = _in_order(_learned(exchanges))
    assert len(whole) <= 30
    assert any(rule.dead for rule in whole.values())
    assert max(Counter(route for route, _ in whole).values()) <= 12
    for _ in range(3):
        rng.shuffle(exchanges)
        assert _in_order(_learned(exchanges)) == whole
        assert _in_order(_joined([exchanges[part::3] for part in range(3)])) == whole


def test_a_place_that_is_not_repeated_is_given_up_and_still_counted() -> None:
    count = 4_000
    rules = _learned(
        [(1, n, b"/t/%d" % (n + 100), b"%d" % (n + 100) if n % 2 else b"") for n in range(count)]
    )
    rule = rules[(1, LAST)]
    assert rule.dead
    assert not rule.misses
    assert rule.missed == MOST_MISSES + 1
    assert rule.asked == count
    assert rule.hits == pytest.approx(count / 2, rel=0.15)


def test_a_value_that_is_constant_for_long_may_vary_later() -> None:
    exchanges = [(1, n, b"/t?v=abc", b"abc") for n in range(5_000)]
    assert not _learned(exchanges)[(1, "query:v")].varies
    rule = _learned([*exchanges, (1, 5_000, b"/t?v=abd", b"abd")])[(1, "query:v")]
    assert (rule.asked, rule.hits, rule.varies, rule.distinct) == (5_001, 5_001, True, 2)


def test_places_whose_names_are_data_do_not_keep_others_from_being_learned() -> None:
    junk = [(1, n, b"/t?k%d=abc" % (n + 1_000), b"") for n in range(5 * MOST_PLACES)]
    late = [(1, 10_000 + n, b"/t?user=ann%d" % n, b"ann%d" % n) for n in range(20)]
    rules = _learned([*junk, *late])
    assert rules[(1, "query:user")].hits == 20
    assert len(rules) == MOST_PLACES


@pytest.mark.parametrize("count", [1, 5, MOST_VALUES - 1, 300, 20_000])
def test_different_values_are_counted(count: int) -> None:
    rule = Rule()
    for n in range(count):
        rule.value(value_hash(b"user-%d" % n))
        rule.value(value_hash(b"user-%d" % (n // 2)))
    assert len(rule.values) <= MOST_VALUES
    assert rule.distinct == pytest.approx(count, rel=0 if count < MOST_VALUES else 0.5)


def test_places_have_different_ranks() -> None:
    places = ["path[-1]", "path[-2]", "query:a", "form:a", "cookie:a", "body:$.a", "jwt:$.a",
              "header:a-id", "basic:user"]  # fmt: skip
    assert len({rank(place) for place in places}) == len({parts(p) for p in places}) == len(places)
    assert max(map(rank, places)) < rank("query:k2024") < 1 << 62


TOKENS = st.sampled_from(
    [b"users", b"Users", b"0042", b"42", b"a-field-1", b"report.pdf", b"A/B", b"x1", b"caf\xc3\xa9"]
)
WORDS = st.sampled_from(
    [b"users", b"USERS", b"user", b"42", b"00042", b"a field #1", b"report", b"a%2Fb", b"x1y", b" ",
     b"&amp;", b"caf\\u00e9", b"CAF\xc3\xa9", b","]
)  # fmt: skip


def _otherwise(token: bytes, text: bytes) -> bool:
    """The same, with nothing remembered and no step left out."""
    if token.isdigit():
        return module._padded(token.lstrip(b"0"), text)
    token, text = token.lower(), text.lower()
    stem = module._ENDING.sub(b"", token)
    escapes = not module._UNRESERVED.fullmatch(token)
    readings = (text, *(module._readings(text) if escapes else ()))
    return (
        any(module.repeats(token, reading) for reading in readings)
        or module.repeats(stem, text)
        or module._is_written_out(token, text)
    )


@given(st.lists(TOKENS, min_size=1, max_size=5), st.lists(WORDS, max_size=6), st.booleans())
def test_what_was_looked_for_before_makes_no_difference(
    tokens: list[bytes], words: list[bytes], likely: bool
) -> None:
    text = b"".join(words)
    said = module._Said(text)
    for token in tokens:
        repeated = said.repeats(token, likely)
        assert repeated == module.repeats(token, text)
        if not repeated:
            assert said.otherwise(token) == _otherwise(token, text)
