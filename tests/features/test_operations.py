"""Operations: which of many a request asks for, by its target, head and body, on either way."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer import compiled, pipeline
from analyzer.anomalies import Anomalies
from analyzer.features.endpoints import MANY_AT_TOP, Endpoint, Route, Routes, endpoints
from analyzer.features.operations import LONGEST, PARAMETERS, may_tell, of_request, of_target
from analyzer.report.result import as_dict
from tests.builder import Conversation, as_json, pcap, request, response

JSON, SOAP = "application/json", "application/soap+xml"


def posted(value: object, media_type: str = JSON) -> str:
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return of_request(b"POST", media_type, b"", body)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/api?action=list", "?action=list"),
        (b"/api?x=1&Action=DescribeInstances&Version=2", "?action=DescribeInstances"),
        (b"/api?cmd=a.b-c", "?cmd=a.b-c"),
        (b"/?r=ticket.sla&id=6120", "?r=ticket.sla"),
        (b"/index.php?r=site%2Findex", "?r=site/index"),
        (b"/?rest_route=/wp/posts", "?rest_route=/wp/posts"),
        (b"/oai?verb=ListRecords", "?verb=ListRecords"),
        (b"/wms?SERVICE=WMS&REQUEST=GetMap", "?request=GetMap"),
        (b"/?r=0.43", ""),
        (b"/plots?crop=kale", ""),
        (b"/api?op=7", ""),
        (b"/api?op=user1042", ""),
        (b"/api?op=x%20y", ""),
        (b"/api?op=", ""),
        (b"/api?top=list", ""),
        (b"/api#?op=list", ""),
        (b"/api?op=list#x", "?op=list"),
        (b"/api?action=" + b"x" * 65, ""),
        (b"/graphql?query=%7Buser(id:7)%7Bname%7D%7D", "query {user}"),
        (b"/graphql?query=query+A%7Ba%7D&operationName=A", "query A"),
        (b"/graphql?operationName=A&extensions=%7B%7D", "operation A"),
        (b"/search?query=shoes", ""),
        (b"/search?query=query+shoes", ""),
    ],
)
def test_targets(target: bytes, expected: str) -> None:
    assert of_target(target) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"jsonrpc": "2.0", "method": "user.get", "id": 1}, "user.get"),
        ({"method": "user.get", "params": [], "id": 1}, "user.get"),
        ({"method": "card", "id": 7, "amount": 5}, ""),
        ({"jsonrpc": "2.0", "method": 7}, ""),
        ([{"jsonrpc": "2.0", "method": m} for m in ("b", "a", "b")], "a + b"),
        ([{"jsonrpc": "2.0", "method": m} for m in "fedcba"], "a + b + c + d + …"),
        (
            {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "get_weather"}},
            "tools/call get_weather",
        ),
        ({"jsonrpc": "2.0", "method": "tools/call", "params": []}, "tools/call"),
        ({"query": "query GetUser($id: ID!) { user(id: $id) { name } }"}, "query GetUser"),
        (
            {"query": "mutation { b: addUser(x: {y: 1}) { id } setName }"},
            "mutation {addUser, setName}",
        ),
        ({"query": "{ user { name } ...F }\nfragment F on Q { more }"}, "query {user}"),
        ({"query": 'query A { a(x: "}") } query B { b }', "operationName": "B"}, "query B"),
        ({"query": "# note {\n subscription S @live { s }"}, "subscription S"),
        ({"operationName": "A", "extensions": {"persistedQuery": {}}}, "operation A"),
        ({"query": "shoes"}, ""),
        ({"query": {"match": {}}}, ""),
        ({"query": "a { b }"}, ""),
        ([{"query": "{a}"}, {"query": "query B {b}"}], "query B + query {a}"),
        (b'{"method": broken', ""),
        ({"other": '"method"'}, ""),
    ],
)  # fmt: skip
def test_json(body: object, expected: str) -> None:
    assert posted(body) == expected


def test_soap_and_headers() -> None:
    envelope = (
        b"<s:Envelope><s:Header/><s:Body>\n <m:GetQuote><m:x/></m:GetQuote></s:Body></s:Envelope>"
    )
    xml = "text/xml"
    assert posted(envelope, xml) == posted(envelope, SOAP) == "GetQuote"
    assert posted(b"<a/>", xml) == ""
    head = b'Content-Type: text/xml\r\nSOAPAction: "urn:GetQuote"\r\n\r\n'
    assert of_request(b"POST", xml, head, envelope) == 'SOAPAction "urn:GetQuote"'
    assert of_request(b"POST", xml, b'SOAPAction: ""\r\n', envelope) == "GetQuote"
    head = b'content-type: application/soap+xml; charset=utf-8; action="urn:A"\r\n'
    assert of_request(b"POST", SOAP, head, envelope) == 'SOAPAction "urn:A"'
    head = b"x-amz-target: DynamoDB_20120810.GetItem\r\n"
    aws = "application/x-amz-json-1.0"
    assert of_request(b"POST", aws, head, b"{}") == "DynamoDB_20120810.GetItem"
    assert of_request(b"GET", aws, head, b"") == ""
    assert posted(b"query A {a}", "application/graphql") == "query A"


def test_which_requests_are_looked_at() -> None:
    assert may_tell(b"POST", "application/graphql+json")
    assert not may_tell(b"POST", "text/html")
    assert not may_tell(b"PUT", JSON)
    assert b"action" in PARAMETERS


@given(
    st.binary(max_size=80) | st.text(max_size=300).map(str.encode), st.sampled_from([JSON, SOAP])
)
def test_what_is_shown_is_printable_and_short(value: bytes, media_type: str) -> None:
    name = value.decode("latin-1")
    shown = [
        of_target(b"/a?action=" + value),
        of_target(b"/a?query=" + value),
        posted({"jsonrpc": "2.0", "method": name}),
        posted({"query": name, "operationName": name, "extensions": 1}),
        of_request(b"POST", media_type, b"SOAPAction: " + value + b"\r\n", value),
    ]
    assert all(one.isprintable() and len(one) <= LONGEST for one in shown)


# --- routes and endpoints --------------------------------------------------------------------


def test_names_of_endpoints() -> None:
    assert (
        Endpoint("POST", "h", "/graphql", "query GetUser").name == "POST /graphql (query GetUser)"
    )
    assert Endpoint("GET", "h", "/api", "?action=list").name == "GET /api?action=list"


def test_routes_of_operations() -> None:
    routes = Routes(Anomalies())
    numbers = [
        routes.number(b"GET", "h", b"/a/7?action=list"),
        routes.number(b"GET", "h", b"/a/8?action=edit"),
        routes.number(b"GET", "h", b"/a/9?page=7"),
        routes.number(b"GET", "h", b"/a/9", "x"),
    ]
    assert len(set(numbers)) == 4
    assert routes.number(b"GET", "h", b"/a/1?b=2&action=list") == numbers[0]
    assert routes.routes[numbers[0]] == Route("GET", "h", "/a/{id}", "?action=list")


def test_templates_are_told_for_each_operation() -> None:
    slugs = [Route("GET", "h", f"/blog/{'x' * n}", "?op=a") for n in range(1, 12)]
    others = [Route("GET", "h", f"/blog/{'x' * n}", "?op=b") for n in range(1, 4)]
    found = {e.name for e in endpoints([*slugs, *others], [1] * 14)}
    assert found == {"GET /blog/{name}?op=a", *(f"GET /blog/{'x' * n}?op=b" for n in range(1, 4))}


def test_operations_that_are_values() -> None:
    routes = [Route("GET", "h", "/a", f"?op={'x' * n}") for n in range(MANY_AT_TOP)]
    assert {e.name for e in endpoints(routes, [1] * len(routes))} == {"GET /a?op={name}"}
    assert len({e.name for e in endpoints(routes, [9] * len(routes))}) == MANY_AT_TOP


# --- both ways -------------------------------------------------------------------------------


PAGES = [b"<main id=a><h1>x</h1></main>", b"<main><nav></nav></main>", b"", b"plain"]


def message(head: str, body: bytes) -> bytes:
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def traffic(seed: int) -> bytes:
    """Exchanges with operations and bodies of all kinds, whole in their segments or cut in two."""
    draw = random.Random(seed)
    heads = ["Content-Type: application/json", "content-type: text/xml\r\nSoapAction: urn:A",
             'Content-Type: application/soap+xml;action="urn:B"', "X-Amz-Target: T.Get",
             "Content-Type: application/json\r\nContent-Encoding: gzip"]  # fmt: skip
    asked = [as_json({"jsonrpc": "2.0", "method": "a", "id": 1}), as_json({"query": "{a b}"}),
             as_json({"query": "query Q {a}"}), as_json({"x": 1}), b"<Envelope><Body><Q/></Body>",
             as_json([{"jsonrpc": "2.0", "method": m} for m in "ab"]), b"",
             as_json({"query": "{a}", "more": "x" * 17_000})]  # fmt: skip
    answers = [("text/html", page) for page in PAGES]
    answers += [("application/json", as_json({"a": 1})), ("application/json", b"broken"),
                ("text/csv", b"a,b\n1,2"), ("text/plain", b"12"), ("image/png", b"\xff\xd8\xff"),
                ("application/octet-stream", b"\x08\x01\x12\x01a"), ("text/css", b"a{}"),
                ("text/event-stream", b'data: {"a":1}\n\n'), ("application/x-ndjson", b'{"a":1}\n'),
                ("application/xml", b"<a><b/></a>")]  # fmt: skip
    frames = []
    for number in range(6):
        talk = Conversation(("10.0.0.1", 40_000 + number), start=10**18 + number * 10**11).open()
        for _ in range(12):
            target = draw.choice(["/a", "/a/7", "/a?action=list", "/a?x=1&op=b", "/a?query={b}"])
            if draw.random() < 0.7:
                body = draw.choice(asked)
                head = draw.choice(heads)
                data = message(f"POST {target} HTTP/1.1\r\nHost: h\r\n{head}", body)
            else:
                data = request(target)
            kind, content = draw.choice(answers)
            reply = (
                f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            talk.ask(data, draw.choice([0, 0, 0, 60])).answer(reply.encode() + content)
        frames += talk.close().frames
    return pcap(frames)


def rows(path: str) -> tuple[list[Any], dict[str, int]]:
    extraction, _, _ = pipeline.extract([path])
    found: list[Any] = []
    for chunk, targets in extraction.exchanges.chunks():
        for row, target in zip(chunk, targets, strict=True):
            route, form = extraction.routes[row["route"]], extraction.forms[row["form"]]
            found.append((int(row["request_frame"]), bytes(target), route, form))
    return sorted(found, key=lambda one: one[0]), dict(extraction.anomalies)


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_give_the_same_routes_and_forms(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(traffic(seed))
    fast = rows(str(path))
    monkeypatch.setattr(compiled, "kernels", None)
    assert rows(str(path)) == fast
    told = {row[2].operation for row in fast[0]}
    assert len(fast[0]) == 72
    assert {"", "?action=list", 'SOAPAction "urn:A"', "T.Get"} <= told
    assert told & {"a + b", "a", "query Q", "query {a, b}"}


def test_an_operation_of_a_request_in_a_scan(tmp_path: Path) -> None:
    talk = Conversation().open()
    for name in ("a", "b", "a"):
        body = as_json({"jsonrpc": "2.0", "method": name})
        sent = message(f"POST /rpc HTTP/1.1\r\nHost: h\r\nContent-Type: {JSON}", body)
        talk.ask(sent).answer(response(as_json({"x": 1})))
    talk.ask(request("/x")).answer(response(as_json({"x": 1})))
    (tmp_path / "c.pcap").write_bytes(pcap(talk.close().frames))
    report = as_dict(pipeline.scan([str(tmp_path / "c.pcap")]))
    assert {(e["endpoint"], e["requests"]) for e in report["endpoints"]} == {
        ("POST /rpc (a)", 2), ("POST /rpc (b)", 1), ("GET /x", 1),
    }  # fmt: skip
