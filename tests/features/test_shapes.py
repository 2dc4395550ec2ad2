"""Shapes of bodies: their texts, merging, data keys, and codes that stand for them."""

import json
import math
import string
from functools import reduce
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import compiled
from analyzer.anomalies import Anomalies
from analyzer.features.forms import Forms
from analyzer.features.shapes import (
    DEEP,
    DEEPEST,
    MOST_KEYS,
    NO_FORM,
    NUMBER,
    STRING,
    UNKNOWN_FORM,
    Form,
    Items,
    Shape,
    may_be_json,
    merge,
    merge_many,
    paths,
    shape_of,
    text,
)

# What JSON texts are made of, and what they should not be.
PIECES = (
    b"{", b"}", b"[", b"]", b",", b":", b'"a"', b'"b"', b"1", b"-0.5", b"true", b"null", b" ",
    b"01", b"1.", b"-", b'"\\x"', b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"nul", b"\x00", b'"',
)  # fmt: skip
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "number"),
        (1.5, "number"),
        ("x", "string"),
        (True, "boolean"),
        (None, "null"),
        ([], "[]"),
        ({}, "{}"),
        ([1, 2], "[number]"),
        ([1, "x"], "[number | string]"),
        ([1, None], "[null | number]"),
        ({"b": 1, "a": "x"}, "{a: string, b: number}"),
        ([{"a": 1}, {"a": 2, "b": "x"}], "[{a: number, b?: string}]"),
        ([{"a": 1}, {"a": "x"}], "[{a: number | string}]"),
        ([[1], []], "[[number]]"),
        ([{"a": []}, {"a": [1]}], "[{a: [number]}]"),
        ({"a": {"b": [{"c": None}]}}, "{a: {b: [{c: null}]}}"),
        ({"with space": 1, "quote\"": 2}, '{"quote\\"": number, "with space": number}'),
        ({"1042": {"n": 1}, "77": {"n": 2}}, "{*: {n: number}}"),
        ({UUID: 1}, "{*: number}"),
        ({"2026-01-31": [1], "2026-02": []}, "{*: [number]}"),
        ({"09:30": "open"}, "{*: string}"),
        ({"1042": 1, "total": 2}, '{"1042": number, total: number}'),
        ({"deadbeefdeadbee1": 1}, "{*: number}"),
        ({f"k{n}": n for n in range(MOST_KEYS + 1)}, "{*: number}"),
        # keys that are data, told by how entries are alike
        ({f"k{n}": {"on": True, "v": 1} for n in (119, 24, 9)}, "{*: {on: boolean, v: number}}"),
        ({"k1": {"v": 1}, "k2": {"v": None}, "k3": {"v": 3}}, "{*: {v: null | number}}"),
        ({"k1": {"v": 1}, "k2": None, "k3": {"v": 3}}, "{*: null | {v: number}}"),
        ({"x8Kq2zPw": {"v": 1}, "Ab3dEf9h": {"v": 2}, "zz19QwEr": {"v": 3}}, "{*: {v: number}}"),
        ({"k119053": 1, "k245123": 2, "k100001": 3}, "{*: number}"),
        ({"k1": {"v": 1}, "k2": {"v": 2}}, "{k1: {v: number}, k2: {v: number}}"),
        ({"k1": {"v": 1}, "k2": {"v": 2}, "k3": {"w": 3}},
         "{k1: {v: number}, k2: {v: number}, k3: {w: number}}"),
        ({"line1": "", "line2": "", "line3": ""}, "{line1: string, line2: string, line3: string}"),
        ({"lat": 1, "lng": 2, "alt": 3}, "{alt: number, lat: number, lng: number}"),
        ({"home": {"zip": 1}, "billing": {"zip": 1}, "work": {"zip": 1}},
         "{billing: {zip: number}, home: {zip: number}, work: {zip: number}}"),
    ],
)  # fmt: skip
def test_texts(value: Any, expected: str) -> None:
    assert text(shape_of(value)) == expected


SHORT = st.text(max_size=4)
LETTERS = st.text(st.characters(categories=["L"]), min_size=1, max_size=4)
SCALARS = st.none() | st.booleans() | st.integers(0, 9) | SHORT


@given(st.sets(st.integers(0, 10**9), min_size=4, max_size=12), st.data())
def test_another_entry_of_a_map_does_not_matter(numbers: set[int], data: st.DataObject) -> None:
    before, after = data.draw(LETTERS), data.draw(LETTERS)
    item = data.draw(st.dictionaries(st.sampled_from("abc"), SCALARS))
    entries = {f"{before}{number}{after}": item for number in numbers}
    fewer = dict(list(entries.items())[1:])
    assert shape_of(entries) == shape_of(fewer)
    assert shape_of([entries, 1]) == shape_of([1, fewer])


def test_values_do_not_matter() -> None:
    assert shape_of({"a": 1, "b": "x"}) == shape_of({"b": "", "a": -2.5e99})


def test_the_depth_is_limited() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    shape, depth = shape_of(value), 0
    while isinstance(shape, Items):
        assert shape.item is not None
        shape, depth = shape.item, depth + 1
    assert (shape, depth) == (DEEP, DEEPEST)


KEYS = st.sampled_from(["a", "b", "c", "id", "1", "22", UUID, "x y", "k1", "k2", "k31"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | SHORT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SHAPES = JSON.map(shape_of)


@given(SHAPES, SHAPES)
def test_merging_is_commutative(a: Shape, b: Shape) -> None:
    assert text(merge(a, b)) == text(merge(b, a))


@given(st.lists(SHAPES, min_size=1, max_size=6))
def test_many_at_once_are_merged_as_one_after_the_other(shapes: list[Shape]) -> None:
    assert merge_many(shapes) == reduce(merge, shapes)


@given(SHAPES, SHAPES)
def test_merging_again_changes_nothing(a: Shape, b: Shape) -> None:
    both = merge(a, b)
    assert merge(a, a) == a
    assert merge(both, a) == both
    assert merge(both, b) == both


@given(st.lists(JSON, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(items: list[Any], random: Any) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)
    assert shape_of(items) == shape_of(shuffled)


@given(SHAPES, SHAPES)
def test_a_merged_shape_has_the_paths_of_both(a: Shape, b: Shape) -> None:
    both = {(path, kind) for path, kind, _ in paths(merge(a, b))}
    for one in (a, b):
        assert {(path, kind) for path, kind, _ in paths(one)} <= both


def test_paths_say_what_may_be_missing() -> None:
    shape = shape_of([{"a": 1}, {"a": 2, "b": "x"}])
    assert sorted(paths(shape)) == [
        ("", "array", False),
        ("[]", "object", True),
        ("[].a", "number", True),
        ("[].b", "string", True),
    ]


# --- codes ----------------------------------------------------------------------------------


def code(body: bytes) -> int:
    """The kernel's code of a body; 0 where it is declined, or without the kernels."""
    return compiled.kernels.body_code(body) if compiled.kernels else 0


def check(one: Any, two: Any) -> None:
    """Bodies of one code have one shape."""
    first, second = orjson.dumps(one), orjson.dumps(two)
    if code(first) and code(first) == code(second):
        assert shape_of(orjson.loads(first)) == shape_of(orjson.loads(second))


@settings(max_examples=400)
@given(JSON, JSON)
def test_bodies_of_one_code_have_one_shape(one: Any, two: Any) -> None:
    check(one, two)


@st.composite
def altered(draw: st.DrawFn) -> tuple[Any, Any]:
    """A value and nearly the same value."""
    value = draw(JSON)
    return value, _altered(draw, value)


def _altered(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _altered(draw, value[key])}
    if isinstance(value, dict) and draw(st.booleans()):
        return {
            **value,
            draw(st.sampled_from(["a", "new", "33"])): draw(st.sampled_from([1, "x", None])),
        }
    if isinstance(value, list) and value and draw(st.booleans()):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _altered(draw, value[at]), *value[at + 1 :]]
    return draw(st.sampled_from([value, 0, 1.5, "x", True, None, [], {}, [1], {"a": 1}]))


@settings(max_examples=400)
@given(altered())
def test_a_code_sees_a_small_difference(values: tuple[Any, Any]) -> None:
    check(*values)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"a": 1}, b'{"a": 1, "a": "x"}'),
        ({"a": 1}, b'{"a": "x", "a": 1}'),
        ({"a": 1}, b'{"a": 1} '),
        ({"a": 1}, b'{"a": 1} trailing'),
        ({"a": 1}, b'{"a": 1e5}'),
        ({"a": 1}, b'{"a": 123456789012345678901234567890}'),
        ({"a": 1}, b'{"a": NaN}'),
        ({"a": 1}, b'{"a": 1e999}'),
        ({"a": 1}, b'{"a": "1"}'),
        ({"a": 1}, b'{"a": true}'),
        ({"a": True}, b'{"a": 1}'),
        ({"a": "x"}, b'{"a": "\\ud83d"}'),
        ({"a": "x"}, b'{"a": "\xff"}'),
        ({"a": "x"}, b'\xef\xbb\xbf{"a": "x"}'),
        ({"a": "x"}, b"{'a': 'x'}"),
        ({"a": []}, b'{"a": [1]}'),
        ({"a": [1]}, b'{"a": []}'),
        ({"a": {}}, b'{"a": {"b": 1}}'),
        ({}, b'{"a": 1}'),
        ([], b"[]"),
        ([], b"[null]"),
    ],
)
def test_tricky_bodies_give_the_same_form_either_way(value: Any, body: bytes) -> None:
    forms = Forms(Anomalies())
    forms.of("application/json", orjson.dumps(value))
    taught = forms.forms[forms.of("application/json", body)]
    fresh = Forms(Anomalies())
    assert taught == fresh.forms[fresh.of("application/json", body)]


@settings(max_examples=300)
@given(st.text(max_size=12), st.text(max_size=12), st.booleans())
def test_any_strings(key: str, value: str, escaped: bool) -> None:
    body = json.dumps({key: [value, {"n": value}], "m": -1.5}, ensure_ascii=escaped).encode()
    if compiled.kernels and not escaped:
        assert code(body) != 0
    assert code(body) in (0, code(body.replace(b"-1.5", b"7")))
    check(orjson.loads(body), {key: ["x", {"n": ""}], "m": 0})


@settings(max_examples=500)
@given(st.lists(st.sampled_from([*PIECES]), max_size=9).map(b"".join))
def test_what_has_a_code_is_valid(body: bytes) -> None:
    if code(body):
        orjson.loads(body)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (b'[1,"a",2]', b'["b",3]'),
        (b'{"a":[{"b":1},{"b":2}]}', b'{ "a" : [ {"b":3.25} ] }'),
        (b'{"a":"\\u00e9\\n"}', '{"a":"łó€😀"}'.encode()),
        (b"[]", b" [ ] "),
        (b"true", b"false"),
    ],
)
def test_codes_that_are_alike(one: bytes, two: bytes) -> None:
    assert code(one) == code(two)
    assert bool(code(one)) == bool(compiled.kernels)


# --- forms ----------------------------------------------------------------------------------


def form(media_type: str, body: bytes) -> tuple[Form, Anomalies]:
    anomalies = Anomalies()
    forms = Forms(anomalies)
    return forms.forms[forms.of(media_type, body)], anomalies


def test_forms() -> None:
    assert form("application/json", b"[1]") == (Form("application/json", Items(NUMBER)), {})
    assert form("application/problem+json", b'"x"')[0].shape == STRING
    assert form("text/plain", b"1") == (Form("text/plain", NUMBER), {})
    assert form("text/plain", b"[1]")[0].shape == Items(NUMBER)
    assert form("", b"not json") == (Form("", "text"), {})
    assert form("application/json", b"{broken") == (
        Form("application/json", None),
        {"json-invalid": 1},
    )


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/json", True),
        ("application/vnd.api+json", True),
        ("text/json", True),
        ("text/plain", True),
        ("", True),
        ("text/html", False),
        ("application/jsonp", False),
        ("application/octet-stream", False),
    ],
)
def test_which_media_types_may_be_json(media_type: str, expected: bool) -> None:
    assert may_be_json(media_type) is expected


@settings(max_examples=100)
@given(st.lists(st.tuples(JSON, st.sampled_from(["", "application/json"])), max_size=12))
def test_what_was_read_before_does_not_change_a_form(bodies: list[tuple[Any, str]]) -> None:
    used = Forms(Anomalies())
    for value, media_type in bodies * 2:
        body = orjson.dumps(value)
        fresh = Forms(Anomalies())
        expected = fresh.forms[fresh.of(media_type, body)]
        assert used.forms[used.of(media_type, body)] == expected


def test_too_many_forms_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.limits.FORMS", 5)
    anomalies = Anomalies()
    forms = Forms(anomalies)
    numbers = [forms.of("application/json", orjson.dumps({letter: 1})) for letter in "abcde"]
    assert numbers[3:] == [UNKNOWN_FORM, UNKNOWN_FORM]
    assert len(set(numbers)) == 4
    assert anomalies == {"shapes-limit": 2}
    assert NO_FORM not in numbers


def test_a_deep_body_does_no_harm() -> None:
    body = b"[" * 5_000 + b"]" * 5_000
    found, anomalies = form("application/json", body)
    assert found.shape is None or text(found.shape).startswith("[[")
    assert set(anomalies) <= {"json-invalid"}


def test_alphabet_of_plain_keys() -> None:
    assert text(shape_of({"a.b-c_$1": 1})) == "{a.b-c_$1: number}"
    assert text(shape_of({"ключ": 1})) == '{"ключ": number}'
    assert text(shape_of({"evil\x1b[31m": 1})) == '{"evil\\u001b[31m": number}'
    assert set(string.ascii_letters) & set("{}?:,|*[]") == set()


def test_nan_is_no_number_in_json() -> None:
    assert math.isnan(float("nan"))
    assert form("application/json", b"[NaN]")[1] == {"json-invalid": 1}
