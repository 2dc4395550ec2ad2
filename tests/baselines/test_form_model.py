"""How well forms fit endpoints, and what that is worth in bits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.baselines.form_model import Counted, FormModel
from analyzer.features.shapes import Form, shape_of

JSON = "application/json"
VET: Any = {"horseId": 1, "examiner": {"name": "a", "licence": "b"}, "findings": [{"note": "n"}]}
STALLS: Any = {"paddock": 1, "horses": [4], "capacity": 9}


def form(value: Any) -> Form:
    return Form(JSON, shape_of(value))


def model(
    *rows: tuple[int, Any, int],
    endpoint: list[int] | None = None,
    neighbours: list[int] | None = None,
) -> FormModel:
    """A model of (variant, body, how many); every variant is an endpoint unless told otherwise, and
    all are neighbours.
    """
    forms = list(dict.fromkeys(form(body) for _, body, _ in rows))
    variants = len(neighbours or ()) or max(variant for variant, *_ in rows) + 1
    columns = np.array(
        [(variant, 200, forms.index(form(body)), count) for variant, body, count in rows]
    ).T
    of = np.array(endpoint if endpoint is not None else range(variants))
    variant, status, number, count = columns
    around = np.array(neighbours or [0] * variants)
    return FormModel(forms, Counted(variant, status, number, count, of, around))


def bits(learned: FormModel, variant: int, body: Any, *, own: bool = False) -> float:
    kind = learned.kind(200, learned.forms.index(form(body)))
    return float(learned.bits(np.array([variant]), np.array([kind]), own=own)[0])


def test_an_endpoints_own_form_speaks_for_it_and_anothers_against() -> None:
    learned = model((0, VET, 20), (1, STALLS, 20))
    assert bits(learned, 0, VET, own=True) > 0
    assert bits(learned, 1, VET) < -8
    assert bits(learned, 0, VET) > 0


def test_neighbours_speak_for_an_endpoint_of_which_nothing_was_seen() -> None:
    """Endpoints 0 to 5 answer alike and 6 to 11 do, each once; the last one has not yet."""
    rows = [(n, VET if n < 6 else STALLS, 1) for n in range(12)]
    learned = model(*rows, neighbours=[0] * 6 + [1] * 6 + [0])
    assert bits(learned, 12, VET) > 0
    assert bits(learned, 12, STALLS) < -1


@pytest.mark.parametrize("many", [2, 3, 10, 100])
def test_what_it_is_worth_grows_with_the_examples(many: int) -> None:
    few, more = (model((0, VET, n), (1, STALLS, n), (1, VET, 1)) for n in (many, 2 * many))
    assert bits(more, 1, VET, own=True) < bits(few, 1, VET, own=True) < -5


def test_a_new_form_says_less_where_little_is_known_and_forms_are_many() -> None:
    """Of ten endpoints each answers in two ways as often; of the last one two of one are known."""
    other = {"error": {"code": 7, "detail": "busy"}}
    both = [(n, body, 50) for n in range(10) for body in (VET, other)]
    stable = [(n, VET, 100) for n in range(10)]
    hardly = bits(model(*both, (10, other, 2), (10, VET, 1)), 10, VET, own=True)
    oddly = bits(model(*stable, (10, other, 2), (10, VET, 1)), 10, VET, own=True)
    assert hardly > -3
    assert oddly < -8


def test_what_is_in_question_is_no_example_of_how_forms_differ() -> None:
    """Where two endpoints are all, and one response of each is the other's form."""
    learned = model((0, VET, 12), (0, STALLS, 1), (1, STALLS, 12), (1, VET, 1))
    number = [learned.forms.index(form(body)) for body in (STALLS, VET)]
    apart = learned.without([((0, 200, number[0]), 1.0), ((1, 200, number[1]), 1.0)])
    kind = np.array([learned.kind(200, number[0])])
    told = [m.bits(np.array([0]), kind, own=True, counted=m is learned) for m in (learned, apart)]
    assert told[1][0] < told[0][0] - 1
    assert told[1][0] < -8


def test_a_response_does_not_teach_its_own_form() -> None:
    learned = model((0, VET, 20), (1, STALLS, 20), (1, VET, 1))
    twice = model((0, VET, 20), (1, STALLS, 20), (1, VET, 2))
    assert bits(learned, 1, VET, own=True) < bits(twice, 1, VET, own=True) < 0


def test_an_envelope_that_all_share_says_nothing() -> None:
    wrapped = [{"data": body, "meta": {"version": 3, "id": "x"}} for body in (VET, STALLS)]
    learned = model((0, wrapped[0], 20), (1, wrapped[1], 20))
    assert bits(learned, 1, wrapped[0]) < -8


def test_a_field_that_comes_and_goes_is_no_other_endpoints() -> None:
    some = [{**STALLS, **({"note": "n"} if n % 2 else {}), **({"shade": True} if n % 3 else {})}
            for n in range(6)]  # fmt: skip
    learned = model((0, VET, 20), *((1, body, 5) for body in some))
    assert all(bits(learned, 1, body, own=True) > -1 for body in some)
    assert bits(learned, 1, VET) < -6


@pytest.mark.parametrize("empty", [{**STALLS, "horses": []}, {**STALLS, "horses": None}])
def test_what_is_empty_or_null_is_unknown_and_not_missing(empty: Any) -> None:
    full = {**STALLS, "horses": [{"id": 1, "name": "a", "stall": {"row": 1}}]}
    learned = model((0, VET, 20), (1, full, 20), (1, empty, 1))
    assert bits(learned, 1, empty, own=True) > -1


def test_an_empty_list_is_everybodys() -> None:
    learned = model((0, [VET], 20), (1, [STALLS], 20), (1, [], 1))
    assert abs(bits(learned, 0, []) - bits(learned, 1, [], own=True)) < 3


def test_an_endpoint_is_known_by_its_name_at_another_host() -> None:
    # Variants 1 and 2 are one endpoint under two names; under the second it was asked once.
    learned = model((0, VET, 20), (1, STALLS, 20), (2, VET, 1), endpoint=[0, 1, 1])
    assert bits(learned, 2, VET, own=True) < -5


def test_a_name_that_answers_otherwise_is_known_for_that() -> None:
    learned = model((0, VET, 20), (1, STALLS, 20), endpoint=[0, 0])
    assert bits(learned, 0, VET, own=True) > bits(learned, 1, VET)


@given(st.permutations(range(6)))
def test_the_order_makes_no_difference(order: list[int]) -> None:
    rows = [(n % 3, [VET, STALLS, {"a": 1}][n % 3] | {"x": n // 3}, n + 1) for n in range(6)]
    one, two = model(*rows), model(*(rows[n] for n in order))
    for variant, body, _ in rows:
        assert bits(one, variant, body, own=True) == pytest.approx(
            bits(two, variant, body, own=True)
        )


def test_a_form_of_very_many_fields_is_compared_by_those_nearest_its_root() -> None:
    deep: Any = {}
    for n in range(12):  # doubles each time: some thousand fields, and more than MOST_FEATURES
        deep = {f"k{n}": deep, "x": n, "y": [deep]}
    learned = model((0, deep, 20), (1, STALLS, 20))
    assert bits(learned, 0, deep, own=True) > 0
    assert bits(learned, 1, deep) < -6
