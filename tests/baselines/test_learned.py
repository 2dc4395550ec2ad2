"""What was learned: added up in any order, saved and read, and judged by."""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from analyzer import pipeline
from analyzer.baselines.learned import (
    MOST_FORMS,
    Learned,
    Name,
    Response,
    Service,
    Tokens,
    Usual,
    fold,
)
from analyzer.baselines.saved import from_json, to_json
from analyzer.errors import InputError
from analyzer.features.shapes import Form
from analyzer.pipeline import Known
from analyzer.report.result import Report, as_dict
from tests.builder import as_json, in_time, pcap, request, response
from tests.cutting import cut, ports_in_order
from tests.findings.stable import epilogue, ordinary, swap, talk, vet_report
from tests.recordings import plain, recording

STORY = recording("story-node12", "bridge")
HUNG, GIVEN = 49440, 60248  # the client ports of the story's two connections
OCCUPANCY = Name("GET", "/api/v1/paddocks/{id}/occupancy")


@cache
def learned_from(path: Path) -> Learned:
    return pipeline.examine([str(path)]).learned()


def report(path: Path, *learned: Learned) -> Report:
    return pipeline.scan([str(path)], known=Known(learned) if learned else None)


def verdicts(found: Report) -> list[tuple[Any, ...]]:
    """All that a finding comes to, but for frame numbers and bits."""
    return [
        (
            f.kind, f.confidence, f.request and f.request.target, f.owner and f.owner.target,
            [(c.cause, c.verdict) for c in f.causes],
        )
        for f in found.judgement.findings
    ]  # fmt: skip


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's two connections, and the last one of the capture."""
    data = plain(STORY)
    wanted = {HUNG, GIVEN, ports_in_order(data)[-1]}
    path = tmp_path_factory.mktemp("short") / "short.pcap"
    return cut(data, path, lambda ports: bool(ports & wanted))


def test_three_connections_alone_are_judged_as_in_the_whole_capture(short: Path) -> None:
    whole = report(STORY)
    assert verdicts(report(short)) != verdicts(whole)  # without a baseline they say less
    found = report(short, learned_from(STORY))
    assert verdicts(found) == verdicts(whole)
    (bits,) = (f.bits for f in found.judgement.findings if f.weighed)
    (usual,) = (f.bits for f in whole.judgement.findings if f.weighed)
    assert bits == pytest.approx(usual, abs=3)
    (swap_,) = (f for f in found.judgement.findings if f.weighed)
    assert swap_.known == (31, 2) and swap_.rests_on_baseline
    assert "as it did on 17 others" in swap_.causes[0].because  # one of them here


def test_halves_that_are_added_up_judge_as_the_whole(short: Path, tmp_path: Path) -> None:
    data = plain(STORY)
    order = ports_in_order(data)
    early = set(order[: order.index(HUNG)])
    late = set(order[order.index(GIVEN) + 1 :])
    parts = [
        cut(data, tmp_path / f"{n}.pcap", lambda ports, some=some: bool(ports & some))  # type: ignore[misc]
        for n, some in enumerate((early, late, early | late))
    ]
    first, second, whole = map(learned_from, parts)
    halves = Learned.merged([first, second])
    one, two = json.loads(to_json(halves)), json.loads(to_json(whole))
    # The time between them is of neither; of requests that came again only those within each count.
    for found in (one, two):
        del found["span_ns"]
        for endpoint in found["endpoints"]:
            for name in ("again", "alike", "others", "shared"):
                del endpoint[name]
            for tokens in endpoint["tokens"].values():
                del tokens["different"], tokens["examples"], tokens["where"]
    assert one == two
    apart, together = report(short, halves), report(short, whole)
    assert verdicts(apart) == verdicts(together) == verdicts(report(STORY))
    bits = [[f.bits for f in found.judgement.findings] for found in (apart, together)]
    assert bits[0] == pytest.approx(bits[1], abs=0.1)


def test_the_order_of_adding_up_makes_no_difference() -> None:
    parts = [
        learned_from(recording(name, "container"))
        for name in ("story-node12", "crossed-node22", "stolen-node22")
    ]
    one, two, three = parts
    expected = to_json(Learned.merged(parts))
    assert to_json(Learned.merged([three, Learned.merged([two, one])])) == expected
    assert to_json(Learned.merged([Learned.merged([one, three]), two])) == expected
    assert to_json(Learned.merged([Learned(), Learned.merged(parts)])) == expected


def test_the_order_of_what_is_added_up_is_not_that_of_the_file() -> None:
    name = Name("GET", "/x")
    parts = []
    for place in ("$.b", "$.a"):
        tokens = Tokens(1, 1, 1, (), 1, Counter({place: 1}))
        parts.append(Learned(endpoints={name: Usual(requests=1, tokens={"path[-1]": tokens})}))
    assert to_json(Learned.merged(parts)) == to_json(Learned.merged(parts[::-1]))


def test_what_is_read_is_what_was_written() -> None:
    written = to_json(learned_from(STORY))
    assert to_json(from_json(written)) == written
    assert to_json(pipeline.examine([str(STORY)]).learned()) == written


def test_what_is_at_fault_is_not_learned_from() -> None:
    found = learned_from(STORY)
    assert found.apart == 2
    assert found.exchanges == 140
    (service,) = found.services
    forms = [one.form.shape for one in service.forms if one.endpoint == OCCUPANCY]
    everything = [one for one in map(str, forms) if "vet" in one.lower()]
    assert forms and everything == []
    # Without being told that it is at fault, it would be learned from.
    told = fold(pipeline.examine([str(STORY)]).report.tables)
    assert told.exchanges == 142


def test_a_request_that_merely_hung_counts_among_the_failures(tmp_path: Path) -> None:
    one = talk(1).ask(request("/horses/5/vet-report")).wait(30_000_000_000).close()
    path = tmp_path / "hung.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, epilogue())))
    found = learned_from(path)
    assert found.endpoints[Name("GET", "/horses/{id}/vet-report")].left == 1
    assert found.apart == 0


@pytest.mark.parametrize("vantage", ["client1", "client2", "host-any"])
def test_a_server_is_known_by_what_it_is_asked_for(vantage: str, short: Path) -> None:
    # Seen from a client it has another address, port and Host name than in its container.
    learned = learned_from(recording("story-node12", vantage))
    assert not {"172.17.0.2:3000"} & set(learned.services[0].addresses) or vantage == "host-any"
    found = report(short, learned)
    assert found.basis is not None
    (fit,) = found.basis.servers
    assert fit.fits and fit.known == fit.requests == 3
    kinds = [str(f.kind) for f in found.judgement.findings]
    assert kinds == ["unanswered", "misdelivered"]


def elsewhere() -> Learned:
    """What was learned of a service that is asked for other things."""
    name = Name("GET", "/menu")
    form = Response(name, "", 200, Form("text/plain", "text"))
    service = Service({"10.9.9.9:80"})
    service.asked[name], service.forms[form] = 50, 50
    return Learned(50, endpoints={name: Usual(requests=50)}, services=[service])


def test_what_fits_nothing_is_said_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "swap.pcap"
    path.write_bytes(pcap(in_time(ordinary(), *(one.frames for one in swap()), epilogue())))
    found = report(path, elsewhere())
    plain_one = as_dict(report(path))
    told = as_dict(found)
    assert [fit["fits"] for fit in told.pop("basis")["servers"]] == [False]
    assert orjson.dumps(told["findings"], default=str) == orjson.dumps(
        plain_one["findings"], default=str
    )


def test_of_two_services_the_one_that_knows_more_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ordinary.pcap"
    path.write_bytes(pcap(ordinary(16)))
    stable = from_json(to_json(learned_from(path)))
    stable.services[0].addresses = {"10.8.8.8:80"}
    other = elsewhere()
    vet = Name("GET", "/horses/{id}/vet-report")
    other.services[0].asked[vet] = 1  # it has an endpoint of that name as well
    found = report(path, Learned.merged([other, stable]))
    assert found.basis is not None
    (fit,) = found.basis.servers
    assert fit.addresses == ("10.8.8.8:80",)


def test_of_equals_the_one_at_the_same_address_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ordinary.pcap"
    path.write_bytes(pcap(ordinary(16)))
    here = learned_from(path)
    there = from_json(to_json(here))
    there.services[0].addresses = {"10.8.8.8:80"}
    for every in ([here, there], [there, here]):
        found = report(path, *every)
        assert found.basis is not None
        assert found.basis.servers[0].addresses == ("10.0.0.2:8080",)


def test_services_with_an_address_in_common_are_one() -> None:
    parts = []
    for addresses in ({"a:1", "b:1"}, {"c:1"}, {"b:1", "c:1"}, {"d:1"}):
        service = Service(set(addresses))
        service.asked[Name("GET", "/x")] = 1
        parts.append(Learned(services=[service], endpoints={Name("GET", "/x"): Usual(requests=1)}))
    for order in (parts, parts[::-1]):
        found = Learned.merged(order).services
        assert [sorted(one.addresses) for one in found] == [["a:1", "b:1", "c:1"], ["d:1"]]
        assert [one.asked.total() for one in found] == [3, 1]


def test_it_has_a_bound_whatever_the_order() -> None:
    name = Name("GET", "/x")
    parts = []
    for part in range(2):
        service = Service({"a:1"})
        service.asked[name] = 1
        for n in range(MOST_FORMS * 2 // 3):
            form = Form("application/json", None)
            service.forms[Response(name, f"host{part}-{n}", 200, form)] = 1
        parts.append(Learned(services=[service], endpoints={name: Usual(requests=1)}))
    one, two = (Learned.merged(order) for order in (parts, parts[::-1]))
    assert len(one.services[0].forms) == MOST_FORMS
    assert to_json(one) == to_json(two)


def test_a_template_that_was_learned_holds_in_a_short_capture(tmp_path: Path) -> None:
    def asked(names: list[str], path: Path) -> Path:
        parts = [
            talk(n).ask(request(f"/riders/{name}")).answer(response(as_json({"rider": name})))
            .close().frames
            for n, name in enumerate(names, 1)
        ]  # fmt: skip
        path.write_bytes(pcap(in_time(*parts)))
        return path

    many = asked([f"rider{chr(97 + n)}" for n in range(20)], tmp_path / "many.pcap")
    few = asked(["somebody"], tmp_path / "few.pcap")
    names = [e.endpoint for e in report(few).judgement.endpoints]
    assert names == ["GET /riders/somebody"]
    found = report(few, learned_from(many))
    assert [e.endpoint for e in found.judgement.endpoints] == ["GET /riders/{name}"]


def test_no_value_and_no_credential_is_in_it(tmp_path: Path) -> None:
    secret = "hunter2hunter2"
    parts = []
    for n in range(8):
        body = as_json({"horse": n, "owner": f"{secret}-owner-{n}"})
        fields = f"Cookie: sid={secret}{n}\r\nAuthorization: Bearer {secret}{n}\r\n"
        target = f"/horses/{n}00417/vet-report?shelf={secret}{n}&api_key={secret}{n}"
        one = talk(n + 1).ask(request(target, fields=fields)).answer(response(body)).close()
        parts.append(one.frames)
    path = tmp_path / "secret.pcap"
    path.write_bytes(pcap(in_time(*parts)))
    text = to_json(learned_from(path)).decode()
    assert "query:shelf" in text and "cookie:sid" in text  # the places are known
    assert secret not in text and "00417" not in text
    places = json.loads(text)["endpoints"][0]["tokens"]
    assert places["cookie:sid"]["marks"] == []
    assert all(mark < 1 << 16 for mark in places["query:shelf"]["marks"])
    assert places["query:shelf"]["marks"] != [] and places["query:api_key"]["marks"] == []


def damaged(change: str, value: Any) -> bytes:
    found = json.loads(to_json(learned_from(STORY)))
    *path, last = change.split("/")
    at: Any = found
    for part in path:
        at = at[int(part)] if isinstance(at, list) else at[part]
    at[int(last) if isinstance(at, list) else last] = value
    return json.dumps(found).encode()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"baseline": 1}'])
def test_what_is_no_baseline_is_one_line(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("baseline", 2),
        ("exchanges", -1),
        ("exchanges", 1.5),
        ("endpoints/0/waits", [[64, 1]]),
        ("endpoints/0/requests", None),
        ("endpoints/0/tokens", []),
        ("services/0/forms/0/0", 99),
        ("services/0/forms/0/2", 7),
        ("services/0/forms/0/4", {"what": 1}),
        ("services/0/asked/0", [1]),
        ("services", {}),
    ],
)
def test_a_damaged_baseline_is_one_line(change: str, value: Any) -> None:
    refused(damaged(change, value))


def refused(data: bytes) -> None:
    with pytest.raises(InputError) as error:
        from_json(data, "some.json")
    (line,) = error.value.args
    assert line.startswith("some.json: is ") and "\n" not in line and len(line) < 200


def test_a_shape_that_is_too_deep_is_refused() -> None:
    shape: Any = "number"
    for _ in range(500):
        shape = {"array": shape}
    with pytest.raises(InputError):
        from_json(damaged("services/0/forms/0/4", shape))


def test_how_servers_close_is_learned(tmp_path: Path) -> None:
    path = tmp_path / "ordinary.pcap"
    path.write_bytes(pcap(ordinary()))
    (service,) = learned_from(path).services
    assert service.closes.closes == service.closes.closed == service.closes.delays.total() == 8
    twice = service.closes + service.closes
    assert twice.closes == 16


def test_what_was_learned_of_a_place_says_where_responses_have_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "ordinary.pcap"
    parts = [ordinary(), talk(1).ask(request("/horses/417/vet-report"))
             .answer(response(vet_report())).close().frames]  # fmt: skip
    path.write_bytes(pcap(in_time(*parts)))
    one = learned_from(path).endpoints[Name("GET", "/horses/{id}/vet-report")]
    tokens = one.tokens["path[-2]"]
    assert tokens.usual == {"$.horse"}
