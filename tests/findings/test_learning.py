"""What counts as foreign to an endpoint, and how alike two forms are."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.findings.learning import (
    LIKE_THERE,
    Learned,
    families,
    says_something,
    similarity,
    tells_failure,
)
from analyzer.shapes import NO_FORM, UNKNOWN_FORM, Form, Shape, shape_of, text
from tests.test_shapes import SHAPES

JSON = "application/json"
HORSE = {"id": 1, "name": "x", "breed": "x", "age": 4}
HORSE_MORE = {**HORSE, "owner": "x"}
PADDOCK = {"paddock": 1, "capacity": 8, "present": [1], "full": False}
ERROR = {"error": "x", "code": 1}


def form(value: Any, media_type: str = JSON) -> Form:
    return Form(media_type, shape_of(value))


@pytest.mark.parametrize(
    ("one", "two", "low", "high"),
    [
        (HORSE, HORSE, 1, 1),
        (HORSE, HORSE_MORE, 0.8, 0.99),
        (HORSE, PADDOCK, 0, 0.3),
        (HORSE, {**HORSE, "age": "x"}, 0.6, 0.9),
        (HORSE, {**HORSE, "age": None}, 1, 1),
        ([], [HORSE], 1, 1),
        ({}, HORSE, 1, 1),
        ({"items": []}, {"items": [HORSE]}, 1, 1),
        ({"items": [], "total": 0}, {"horses": [HORSE], "total": 0}, 0, 0.6),
        ({"items": []}, {"items": {"id": 1}}, 0, 0.6),
        ([HORSE], HORSE, 0, 0.1),
        ("x", 1, 0, 0),
        ([1], ["x"], 0, 0.9),
    ],
)
def test_similarity(one: Any, two: Any, low: float, high: float) -> None:
    assert low <= similarity(form(one), form(two)) <= high


def test_forms_without_a_shape_are_alike_only_when_equal() -> None:
    html, png = Form("text/html", None), Form("image/png", None)
    assert (similarity(html, html), similarity(html, png)) == (1, 0)
    assert similarity(form(HORSE), form(HORSE, "application/problem+json")) == 0


@given(SHAPES, SHAPES)
def test_similarity_is_symmetric_and_bounded(a: Shape, b: Shape) -> None:
    one, two = Form(JSON, a), Form(JSON, b)
    assert similarity(one, two) == similarity(two, one)
    assert 0 <= similarity(one, two) <= 1
    assert similarity(one, one) == 1


@pytest.mark.parametrize(
    ("value", "tells"),
    [
        ({"success": False, "error": {"code": "busy", "message": "later"}}, True),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601}}, True),
        ({"errors": [{"message": "x"}], "data": None}, True),
        ({"code": 40001, "msg": "busy", "data": None}, True),
        ({"ok": True, "message": "saved"}, True),
        ({"error": "x", "horse": HORSE}, False),
        ({"code": 0, "data": HORSE}, False),
        (HORSE, False),
        ([1], False),
    ],
)
def test_what_tells_of_a_failure(value: Any, tells: bool) -> None:
    assert tells_failure(form(value)) is tells


def learned(*counts: tuple[int, int, Any, int]) -> tuple[Learned, list[tuple[int, int, int]]]:
    """What was learned from (endpoint, status, body, count), and the keys in that order."""
    forms = [Form("", None), Form("?", None)]
    keys = []
    counter: Counter[tuple[int, int, int]] = Counter()
    for endpoint, status, body, count in counts:
        one = form(body)
        if one not in forms:
            forms.append(one)
        keys.append((endpoint, status, forms.index(one)))
        counter[keys[-1]] += count
    return Learned(forms, counter), keys


@pytest.mark.parametrize(
    ("own", "strays", "expected"),
    [(10, 1, True), (2, 1, True), (1, 1, False), (0, 1, False), (10, 5, True), (10, 6, False)],
)
def test_a_form_is_foreign_when_rare_and_unlike(own: int, strays: int, expected: bool) -> None:
    counts = [(1, 200, PADDOCK, strays)] + ([(1, 200, HORSE, own)] if own else [])
    known, keys = learned(*counts)
    assert known.is_foreign(keys[0]) is expected


@pytest.mark.parametrize("body", [HORSE_MORE, {**HORSE, "age": None}])
def test_a_form_like_a_usual_one_is_no_stranger(body: Any) -> None:
    known, keys = learned((1, 200, body, 1), (1, 200, HORSE, 10))
    assert not known.is_foreign(keys[0])


def test_errors_and_bodies_not_looked_into_are_no_strangers() -> None:
    known, keys = learned((1, 500, ERROR, 1), (1, 200, HORSE, 10))
    assert not known.is_foreign(keys[0])
    assert not known.is_foreign((1, 200, NO_FORM))
    assert not known.is_foreign((1, 200, UNKNOWN_FORM))


def test_whose_a_stray_form_is() -> None:
    known, keys = learned((1, 200, PADDOCK, 1), (1, 200, HORSE, 10), (2, 200, PADDOCK, 5))
    assert known.endpoints_like(keys[0]) == [2]
    assert known.endpoints_like(keys[2]) == []


@pytest.mark.parametrize(
    ("count", "others", "expected"), [(1, 0, []), (2, 0, [2]), (2, 18, [2]), (2, 30, [])]
)
def test_an_owner_answers_like_that_often_enough(
    count: int, others: int, expected: list[int]
) -> None:
    known, keys = learned(
        (1, 200, PADDOCK, 1), (1, 200, HORSE, 10), (2, 200, PADDOCK, count), (2, 200, ERROR, others)
    )
    assert known.endpoints_like(keys[0]) == expected


def test_another_status_is_another_answer() -> None:
    known, keys = learned((1, 200, PADDOCK, 1), (1, 200, HORSE, 9), (2, 201, PADDOCK, 9))
    assert known.endpoints_like(keys[0]) == []


LEAVES = st.sampled_from([1, "x", None, [], {}, [1], [None], [{"q": 1}], {"p": None}])
# Bodies that are much alike, but for a field here and there, and what is in the fields.
BODIES = st.one_of(
    LEAVES,
    st.lists(LEAVES, max_size=2),
    st.dictionaries(
        st.sampled_from("abcdefghijkl"), st.one_of(st.just(1), LEAVES), min_size=5, max_size=12
    ),
    st.builds(
        lambda some, more: {**dict.fromkeys("abcdefghijkl", 1), **some, "m": {**more}},
        st.dictionaries(st.sampled_from("abcl"), LEAVES, max_size=2),
        st.dictionaries(st.sampled_from("xy.z"), LEAVES, max_size=3),
    ),
)


@settings(max_examples=400)
@given(st.lists(st.one_of(BODIES.map(shape_of), SHAPES), min_size=2, max_size=12, unique=True))
def test_no_form_that_is_alike_is_missed(shapes: list[Shape]) -> None:
    forms = [Form("", None), Form("?", None), *(Form(JSON, shape) for shape in shapes)]
    known = Learned(forms, Counter({(n, 200, n): 1 for n in range(2, len(forms))}))
    for number in range(2, len(forms)):
        assert sorted(known._forms_like(number)) == [
            n for n in range(2, len(forms)) if similarity(forms[n], forms[number]) >= LIKE_THERE
        ]


def test_alike_are_some_that_differ() -> None:
    """The property above is about something: emptiness, unknown parts, and one field of many."""
    base = dict.fromkeys("abcdefghijkl", 1)
    bodies = [base, {**base, "m": 1}, {**base, "a": None}, {}, {"a": None, "b": []}]
    bodies += [{"u": None, "v": 1}, {"u": {"w": 1}}]
    forms = [Form("", None), Form("?", None), *map(form, bodies)]
    known = Learned(forms, Counter({(n, 200, n): 1 for n in range(2, len(forms))}))
    found = [sorted(known._forms_like(n)) for n in range(2, len(forms))]
    assert found[:3] == [[2, 3, 4, 5]] * 3
    assert found[3:] == [[2, 3, 4, 5, 6, 7, 8], [5, 6], [5, 7, 8], [5, 7, 8]]


def test_little_in_it_says_nothing() -> None:
    assert not says_something(form({"ok": True}))
    assert says_something(form({"ok": True, "id": 1}))
    assert not says_something(form([]))
    assert not says_something(Form("text/html", None))


def test_much_alike_forms_are_shown_as_one() -> None:
    forms = [form(HORSE), form(HORSE_MORE), form(PADDOCK)]
    found = families([(200, 1, 2), (200, 0, 5), (200, 2, 3), (404, 0, 1)], forms)
    assert [(status, count) for status, _, count in found] == [(200, 7), (200, 3), (404, 1)]
    assert text(found[0][1].shape) == (
        "{age: number, breed: string, id: number, name: string, owner?: string}"
    )
    assert sorted(families([(200, 0, 5), (200, 1, 2)], forms)) == sorted(found[:1])
