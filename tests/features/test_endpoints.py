"""Targets to endpoints: typed segments, names that are values, names that stay."""

import pytest

from analyzer.anomalies import Anomalies
from analyzer.features.endpoints import (
    MANY_AT_TOP,
    MANY_VALUES,
    Endpoint,
    Route,
    Routes,
    endpoints,
    path_of,
    typed,
)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("1042", "{id}"),
        ("-7", "{id}"),
        ("12.5", "{id}"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "{id}"),
        ("507f1f77bcf86cd799439011", "{id}"),
        ("2026-01-31", "{date}"),
        ("2026-01", "{date}"),
        ("order-1042", "{id}"),
        ("usr:12", "{id}"),
        ("P_77", "{id}"),
        ("inv_3b8e11f7a09d42", "{id}"),
        ("SLC4", "{id}"),
        ("DEN1-A33", "{id}"),
        ("dQw4w9WgXcQ1aBcDeF", "{id}"),
        ("18f3a9c05d21aabb.json", "{id}.json"),
        ("1042.pdf", "{id}.pdf"),
        # names
        ("subscription-plans", "subscription-plans"),
        ("vet-report", "vet-report"),
        ("horses", "horses"),
        ("v1", "v1"),
        ("v2", "v2"),
        ("api", "api"),
        ("me", "me"),
        ("oauth2", "oauth2"),
        ("deadbeef", "deadbeef"),
        ("facefacefacefacefeed", "facefacefacefacefeed"),
        ("getUserPreferencesById", "getUserPreferencesById"),
        ("index.html", "index.html"),
        ("favicon.ico", "favicon.ico"),
        ("a", "a"),
    ],
)
def test_segments(segment: str, expected: str) -> None:
    assert typed(segment) == expected


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b?c=d#e", "/a/b"),
        (b"/a?x?y", "/a"),
        (b"*", "*"),
        (b"http://host:8080/a/b?c", "/a/b"),
        (b"http://host", "/"),
        (b"https://host/", "/"),
        (b"/a//b/", "/a//b/"),
        (b"", ""),
        (b"/\xff", "/\xff"),
    ],
)
def test_paths_of_targets(target: bytes, path: str) -> None:
    assert path_of(target) == path


def route(method: bytes, target: bytes, host: str = "h") -> Route:
    routes = Routes(Anomalies())
    return routes.routes[routes.number(method, host, target)]


def test_routes() -> None:
    assert route(b"GET", b"/v1/horses/7/rides/2026-01-31?x=1") == Route(
        "GET", "h", "/v1/horses/{id}/rides/{date}"
    )
    assert route(b"CONNECT", b"host:443") == Route("CONNECT", "h", "host:443")
    assert route(b"OPTIONS", b"*") == Route("OPTIONS", "h", "*")
    assert route(b"GET", b"http://other/a/7") == Route("GET", "h", "/a/{id}")


def test_route_numbers_stay() -> None:
    routes = Routes(Anomalies())
    first = routes.number(b"GET", "h", b"/a/1")
    others = {
        routes.number(b"GET", "h", b"/b/1"),
        routes.number(b"POST", "h", b"/a/1"),
        routes.number(b"GET", "i", b"/a/1"),
    }
    assert routes.number(b"GET", "h", b"/a/2?q") == first
    assert len({first, *others}) == 4
    assert 0 not in {first, *others}


def test_too_many_routes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.limits.ROUTES", 3)
    anomalies = Anomalies()
    routes = Routes(anomalies)
    numbers = [routes.number(b"GET", "h", f"/{name}".encode()) for name in "abcd"]
    assert numbers == [1, 2, 0, 0]
    assert anomalies == {"routes-limit": 2}


def names(paths: list[str], requests: int | list[int] = 1) -> set[str]:
    """The endpoints of these paths, each asked for so often."""
    routes = [Route("GET", "h", path) for path in paths]
    counts = requests if isinstance(requests, list) else [requests] * len(paths)
    return {endpoint.name for endpoint in endpoints(routes, counts)}


def test_many_rare_siblings_are_values() -> None:
    slugs = [f"/blog/{'x' * n}-post" for n in range(MANY_VALUES)]
    assert names(slugs) == {"GET /blog/{name}"}
    assert names([f"{slug}/comments" for slug in slugs]) == {"GET /blog/{name}/comments"}


def test_few_siblings_are_names() -> None:
    paths = [f"/blog/{'x' * n}" for n in range(1, MANY_VALUES)]
    assert names(paths) == {f"GET {path}" for path in paths}


def test_siblings_asked_for_often_are_names() -> None:
    paths = [f"/rpc/do{'x' * n}" for n in range(1, 2 * MANY_VALUES)]
    assert names(paths, 50) == {f"GET {path}" for path in paths}


def test_what_is_seldom_asked_for_beside_ids_is_one() -> None:
    assert names(["/posts/red-fox-4", "/posts/{id}"], [1, 9]) == {"GET /posts/{id}"}
    assert len(names(["/posts/top10", "/posts/{id}"], [5, 9])) == 2


def test_an_id_without_a_digit_is_told_by_those_beside_it() -> None:
    one = "/users/qLxZRfTbKwPnYvDe"
    assert names([one, "/users/{id}"], [1, 9]) == {"GET /users/{id}"}
    assert names([one, "/users/bulk"], [1, 9]) == {f"GET {one}", "GET /users/bulk"}
    # What is asked for often is a name, and so are words.
    for name in ("/users/bulkImportFromFile", "/users/subscription-plans"):
        assert names([name, "/users/{id}"], [5, 9]) == {f"GET {name}", "GET /users/{id}"}
    words = "/users/subscription-plans"
    assert names([words, "/users/{id}"], [1, 9]) == {f"GET {words}", "GET /users/{id}"}


def test_random_letters_beside_ids_are_one_however_often_they_are_asked_for() -> None:
    assert names(["/users/{id}", "/users/QcuCbQrkmJsniydT"], [9, 60]) == {"GET /users/{id}"}
    for name in ("findByEmailAddress", "exportAsXMLDocument", "getHTTPStatusOfURL"):
        assert len(names(["/users/{id}", f"/users/{name}"], [9, 60])) == 2


def test_an_api_has_many_names_at_the_top() -> None:
    paths = [f"/{'n' * n}" for n in range(1, MANY_AT_TOP)]
    assert names(paths) == {f"GET {path}" for path in paths}
    assert names([*paths, "/one-more"]) == {"GET /{name}"}


def test_siblings_are_of_one_method_and_host() -> None:
    routes = [
        Route(method, host, f"/blog/{'x' * n}")
        for n in range(MANY_VALUES // 2 + 1)
        for method, host in (("GET", "h"), ("POST", "h"), ("GET", "i"))
    ]
    found = endpoints(routes, [1] * len(routes))
    assert all("{" not in endpoint.template for endpoint in found)


def test_reserved_words_stay() -> None:
    slugs = [f"/items/{'x' * n}" for n in range(1, MANY_VALUES + 1)]
    assert names([*slugs, "/items/search"]) == {"GET /items/{name}", "GET /items/search"}


def test_every_route_has_its_endpoint() -> None:
    routes = [Route("?", "", "?"), Route("GET", "h", "/a/{id}"), Route("GET", "h", "/a/{id}")]
    found = endpoints(routes, [0, 1, 1])
    assert [endpoint.name for endpoint in found] == ["? ?", "GET /a/{id}", "GET /a/{id}"]


@pytest.mark.parametrize(
    ("template", "operation", "expected"),
    [
        ("/v2/carriers/hansa", "", "GET /v2/carriers/*"),
        ("/v2/depots/D07/stock", "", "GET /v2/depots/*/stock"),
        ("/v2/depots/D07", "", "GET /v2/depots/*"),
        ("/api/v1/horses/{id}", "", "GET /api/v1/horses/*"),
        ("/graphql", "query Orders", "GET /graphql"),
        ("/", "", "GET /*"),
        ("*", "", "GET *"),
    ],
)
def test_neighbours(template: str, operation: str, expected: str) -> None:
    assert Endpoint("GET", "", template, operation).neighbours == expected
