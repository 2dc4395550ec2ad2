"""OpenAPI documents: read, held against traffic, written, and read again."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import openapi_spec_validator
import pytest
import yaml

from analyzer import pipeline
from analyzer.baselines.learned import Learned, Name, Response
from analyzer.errors import InputError
from analyzer.features.shapes import Form, merge_many, shape_of
from analyzer.openapi.describe import described, document_of
from analyzer.openapi.document import read
from analyzer.openapi.schemas import schema_of
from analyzer.pipeline import Known
from analyzer.report.result import Report
from tests.baselines.test_learned import GIVEN, HUNG, STORY, learned_from, verdicts
from tests.builder import as_json, in_time, pcap, request, response
from tests.cutting import cut, ports_in_order
from tests.findings.stable import epilogue, ordinary, swap, talk
from tests.recordings import plain, recording

SHAPE = {
    "type": "object",
    "properties": {"horse": {"type": "integer"}, "vet": {"type": "string"}},
    "required": ["horse", "vet"],
}


def document(schema: Any = None, *, version: str = "3.1.0", **more: Any) -> dict[str, Any]:
    """A document of the stable, which describes vet reports."""
    content = {"application/json": {"schema": SHAPE if schema is None else schema}}
    path = {"name": "horse", "in": "path", "required": True, "schema": {"type": "string"}}
    get = {"responses": {"200": {"description": "a report", "content": content}}}
    return {
        "openapi": version,
        "info": {"title": "Stable", "version": "1"},
        "paths": {"/horses/{horse}/vet-report": {"parameters": [path], "get": get}},
        **more,
    }


def scanned(path: Path, found: dict[str, Any]) -> Report:
    known = Known(documents=[read(json.dumps(found).encode(), "stable.json")])
    return pipeline.scan([str(path)], known=known)


def notices(report: Report) -> list[str]:
    return [notice.notice for notice in report.judgement.notices]


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stable") / "stable.pcap"
    path.write_bytes(pcap(ordinary()))
    return path


def test_the_paths_of_a_document_are_the_endpoints(stable: Path) -> None:
    names = {e.endpoint for e in scanned(stable, document()).judgement.endpoints}
    assert names == {"GET /horses/{horse}/vet-report", "GET /paddocks/{id}/occupancy"}


def test_servers_have_a_path_of_their_own() -> None:
    servers = [{"url": "https://x.example/{stage}/v2/", "variables": {"stage": {"default": "t"}}}]
    found = read(json.dumps(document(servers=servers)).encode(), "d")
    assert list(found.answers) == [Name("GET", "/t/v2/horses/{horse}/vet-report")]


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_traffic_that_fits_contradicts_nothing_but_what_is_not_described(
    stable: Path, version: str
) -> None:
    found = scanned(stable, document(version=version))
    assert notices(found) == ["stable.json has no such operation"]
    assert found.judgement.findings == []


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        ({**SHAPE, "required": ["horse", "stable"]}, '"stable" is a required property'),
        ({**SHAPE, "properties": {"vet": {"type": "integer"}}}, "at $.vet: "),
        ({"$ref": "#/components/schemas/Report"}, "at $.passed: "),
    ],
)
def test_a_contradiction_is_a_notice_without_values(stable: Path, schema: Any, wrong: str) -> None:
    report = {"type": "object", "properties": {"passed": {"type": "string"}}}
    found = scanned(stable, document(schema, components={"schemas": {"Report": report}}))
    (told,) = (text for text in notices(found) if "schema" in text)
    assert wrong in told and "Moss" not in told and "True" not in told and "true" not in told
    assert found.judgement.findings == []


@pytest.mark.parametrize(
    ("responses", "wrong"),
    [
        ({"201": {"description": "-"}}, "no response with status 200"),
        ({"200": {"description": "-"}}, "no content in its response with status 200"),
        (
            {"2XX": {"description": "-", "content": {"text/html": {}}}},
            "no content application/json",
        ),
        ({"default": {"description": "-", "content": {"application/*": {}}}}, ""),
        ({"200": {"description": "-", "content": {"application/json; charset=utf-8": {}}}}, ""),
    ],
)
def test_statuses_and_media_types(stable: Path, responses: Any, wrong: str) -> None:
    found = document()
    found["paths"]["/horses/{horse}/vet-report"]["get"]["responses"] = responses
    told = [text for text in notices(scanned(stable, found)) if "no such operation" not in text]
    assert len(told) == bool(wrong) and all(wrong in text for text in told)


def test_what_is_null_in_version_3_0() -> None:
    schema = {**SHAPE, "nullable": True}
    old = read(json.dumps(document(schema, version="3.0.3")).encode(), "d")
    assert old.check(schema)(b"null") == ""
    assert old.check(SHAPE)(b"null") != ""
    assert old.check({"type": "number", "minimum": 1, "exclusiveMinimum": True})(b"1") != ""


def test_a_response_at_fault_contradicts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "swap.pcap"
    path.write_bytes(pcap(in_time(ordinary(), *(one.frames for one in swap()), epilogue())))
    found = pipeline.scan([str(path)])
    assert [str(f.kind) for f in found.judgement.findings] == ["unanswered", "misdelivered"]
    written = described(learned_from(path), as_yaml=False)
    again = scanned(path, json.loads(written))
    assert notices(again) == []
    # The exchanges that it was learned from speak twice here: it is surer than it was.
    assert [v[2:] for v in verdicts(again)] == [v[2:] for v in verdicts(found)]


def test_traffic_that_a_document_does_not_fit_is_no_swap(tmp_path: Path) -> None:
    path = tmp_path / "other.pcap"
    parts = [
        talk(n).ask(request(f"/horses/{n}/vet-report")).answer(response(as_json([n, "a"]))).close()
        .frames for n in range(1, 4)
    ]  # fmt: skip
    path.write_bytes(pcap(in_time(*parts, epilogue())))
    found = scanned(path, document())
    assert found.judgement.findings == []
    assert any("does not fit its schema" in text for text in notices(found))


@pytest.mark.parametrize(
    "scenario", ["story-node12", "crossed-node22", "mixed-media-node22", "idle-408-node20"]
)
def test_what_was_learned_round_trips(scenario: str) -> None:
    path = recording(scenario, "container")
    written = described(learned_from(path), as_yaml=True)
    openapi_spec_validator.validate(yaml.safe_load(written))
    known = Known(documents=[read(written, "learned.yaml")])
    found = pipeline.scan([str(path)], known=known)
    assert [text for text in notices(found) if "learned.yaml" in text] == []
    assert verdicts(found) == verdicts(pipeline.scan([str(path)]))


def test_the_storys_connections_alone_by_a_document_that_was_learned(tmp_path: Path) -> None:
    data = plain(STORY)
    wanted = {HUNG, GIVEN, ports_in_order(data)[-1]}
    path = cut(data, tmp_path / "short.pcap", lambda ports: bool(ports & wanted))
    written = described(learned_from(STORY), as_yaml=True)
    found = pipeline.scan([str(path)], known=Known(documents=[read(written, "learned.yaml")]))
    whole = pipeline.scan([str(STORY)])
    # Kind, confidence, request and owner; how servers close has no place in a document.
    assert [v[:4] for v in verdicts(found)] == [v[:4] for v in verdicts(whole)]


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [1, "x", None], "c": {"d": None}}, [], {}, [[]], "text", None, 1.5, True,
        {"2024-01-01": 1, "2024-01-02": 2}, [{"a": 1}, {"b": "x"}, 3],
    ],
    ids=repr,
)  # fmt: skip
def test_a_body_fits_the_schema_of_its_shape(value: Any) -> None:
    shape = merge_many([shape_of(value), shape_of({"other": 1})])
    assert jsonschema_rs.validator_for(schema_of(shape)).is_valid(value)
    assert jsonschema_rs.validator_for(schema_of(shape_of(value))).is_valid(value)


def test_paths_that_differ_in_the_names_of_variables_are_one_and_names_are_unique() -> None:
    learned = Learned()
    from analyzer.baselines.learned import Service, Usual

    service = Service({"a:1"})
    for template in ("/a/{id}/b/{id}", "/a/{name}/b/{id}"):
        name = Name("GET", template)
        learned.endpoints[name] = Usual(requests=1)
        service.forms[Response(name, "", 204, Form("", None))] = 1
    learned.services = [service]
    found = document_of(learned)
    assert list(found["paths"]) == ["/a/{id}/b/{id2}"]
    openapi_spec_validator.validate(found)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no OpenAPI document of version 3.0 or 3.1"),
        (b"{", "neither JSON nor YAML"),
        (b"a: [", "neither JSON nor YAML"),
        (b"- 1", "no OpenAPI document"),
        (b"swagger: '2.0'", "no OpenAPI document of version 3.0 or 3.1"),
        (b"openapi: 3.1.0", "no valid OpenAPI document"),
        (b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
            b"%c: &%c [%s]\n" % (98 + n, 98 + n, b",".join([b"*%c" % (97 + n)] * 10))
            for n in range(8)), "too large or too deep"),
        (json.dumps(document({"$ref": "https://x.example/a.json"})).encode(), "bundle all in one"),
        (json.dumps(document({"$ref": "other.yaml#/A"})).encode(), "bundle all in one"),
        (json.dumps(document({"$ref": "#/components/schemas/None"})).encode(), "no valid"),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_document_is_one_line(data: bytes, told: str) -> None:
    with pytest.raises(InputError) as error:
        read(data, "some.yaml")
    (line,) = error.value.args
    assert line.startswith("some.yaml: ") and told in line and "\n" not in line


def test_schemas_that_have_themselves_in_them_end() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    schema = {"$ref": "#/components/schemas/Node"}
    found = read(json.dumps(document(schema, components={"schemas": {"Node": node}})).encode(), "d")
    assert found.learned.services[0].forms.total() == 1
