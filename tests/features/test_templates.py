"""Which known template a path fits."""

import pytest

from analyzer.features.endpoints import Endpoint, Route, endpoints
from analyzer.features.templates import Templates


def at(path: str, *, stated: tuple[str, ...] = (), guessed: tuple[str, ...] = ()) -> str | None:
    """The template of a GET for a path as routes have it."""
    known = Templates.of(
        [Endpoint("GET", "", one) for one in stated], [Endpoint("GET", "", one) for one in guessed]
    )
    found = known.endpoint(Route("GET", "host", path))
    assert found is None or found.host == "host"
    return found.template if found is not None else None


def test_an_exact_path_beats_a_template() -> None:
    both = ("/users/{user}", "/users/me")
    assert at("/users/me", stated=both) == "/users/me"
    assert at("/users/anna", stated=both) == "/users/{user}"


def test_more_literal_segments_beat_fewer() -> None:
    both = ("/{kind}/{id}/report", "/horses/{id}/report")
    assert at("/horses/{id}/report", stated=both) == "/horses/{id}/report"
    assert at("/goats/{id}/report", stated=both) == "/{kind}/{id}/report"


def test_a_document_beats_a_baseline() -> None:
    assert at("/u/{id}", stated=("/u/{user}",), guessed=("/u/{id}",)) == "/u/{user}"


def test_a_documented_parameter_may_be_anything_a_guessed_one_must_look_like_it() -> None:
    assert at("/items/export", stated=("/items/{id}",)) == "/items/{id}"
    assert at("/items/export", guessed=("/items/{id}",)) is None
    assert at("/items/ab12", guessed=("/items/{id}",)) == "/items/{id}"
    assert at("/items/export", guessed=("/items/{name}",)) == "/items/{name}"


def test_a_documented_literal_that_looks_like_a_value_is_found() -> None:
    assert at("/files/{id}", stated=("/files/report-2024",)) == "/files/report-2024"
    assert at("/files/{id}", stated=("/files/report-2024", "/files/{f}")) == "/files/{f}"


@pytest.mark.parametrize("path", ["/a/b", "/a/b/c/d", "/x/b/c", "/a//c", "/a/b/"])
def test_what_does_not_fit_is_left_to_guessing(path: str) -> None:
    assert at(path, stated=("/a/{b}/c",)) is None


def test_a_variable_with_an_ending() -> None:
    assert at("/files/{id}.json", stated=("/files/{file}.json",)) == "/files/{file}.json"
    assert at("/files/{id}.xml", stated=("/files/{file}.json",)) is None


def test_operations_that_were_found_to_vary() -> None:
    known = Templates.of([], [Endpoint("GET", "", "/do", "?action={name}")])
    found = known.endpoint(Route("GET", "", "/do", "?action=walk"))
    assert found is not None and found.operation == "?action={name}"


def test_what_is_known_takes_no_part_in_guessing() -> None:
    routes = [Route("GET", "", f"/riders/rider{n}x") for n in range(5)]
    known = Templates.of([Endpoint("GET", "", "/riders/rider0x")], [])
    found = endpoints(routes, [1] * 5, known.endpoint)
    assert found[0].template == "/riders/rider0x"
    assert {one.template for one in found[1:]} == {"/riders/{name}"}
