"""Changes that must not matter: the rewriting is right, and the detector says the same afterwards.

Here is a sample that runs in seconds; `python -m captures.vary --score` asks every variant of every
recording.
"""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h11
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from captures import scoring
from captures.score import RECORDINGS, scanned
from captures.scoring import View
from captures.vary import board, ids, jsontext, messages, packets, recording
from captures.vary.__main__ import main
from captures.vary.connections import Connection, connections
from captures.vary.ids import Replacement, Vocabulary, is_id
from captures.vary.packets import ACK, FIN, SYN, Packet
from captures.vary.recording import NotApplicable
from captures.vary.rewrite import Left, spoken
from captures.vary.variants import VARIANTS, vary
from captures.vary.wire import EPHEMERAL, Addresses

# One recording of each sort of fault, small ones, with the variants that are asked of it.
SAMPLE = [
    ("crossed-same-shape-node22", "none"),
    ("crossed-same-shape-node22", "ids-uuid"),
    ("crossed-same-shape-node22", "ids-number"),
    ("stolen-same-shape-node16", "fields"),
    ("stolen-same-shape-node16", "pretty"),
    ("stale-close-node14", "prefix"),
    ("stale-close-node14", "envelope"),
    ("stale-close-node14", "addresses"),
    ("double-answer-node20", "single"),
    ("double-answer-node20", "mtu-1448"),
    ("handler-resets-node20", "slow-10"),
    ("errors-node16", "ids-base64"),
]
CONTENT = ("hosts", "prefix", "ids-uuid", "ids-slug", "fields", "pretty", "envelope")


@cache
def own(name: str) -> dict[str, View]:
    return scoring.views_of(RECORDINGS / name, scanned)[1]


def varied(name: str, *variants: str) -> recording.Recording:
    one = recording.read(RECORDINGS / name)
    vary(one, variants, seed=1)
    return one


def told(one: recording.Recording) -> list[Connection]:
    return connections(one.captures)


@pytest.mark.parametrize(("name", "variant"), SAMPLE)
def test_what_must_not_matter_does_not(name: str, variant: str, tmp_path: Path) -> None:
    notes = board.make(RECORDINGS / name, [variant], 1, tmp_path / "varied")
    assert notes["left"] == 0
    _, views = scoring.views_of(tmp_path / "varied", scanned)
    assert list(board.differences(own(name), views)) == []


def test_none_changes_nothing_but_checksums() -> None:
    def plain(one: Packet) -> Packet:
        return one.but(original=b"", ip=one.ip[:10] + one.ip[12:])

    name = "stale-close-node14"
    was, now = recording.read(RECORDINGS / name), varied(name, "none")
    assert now.notes["rewritten"] == now.notes["connections"] > 0
    for before, after in zip(was.captures, now.captures, strict=True):
        assert [plain(one) for one in after.packets] == [plain(one) for one in before.packets]
    assert now.truth == was.truth


@pytest.mark.parametrize("variant", CONTENT)
@pytest.mark.parametrize("name", ["compressed-node20", "early-answers-node22"])
def test_what_was_rewritten_is_http_and_agrees_wherever_it_was_seen(
    name: str, variant: str
) -> None:
    was, now = recording.read(RECORDINGS / name), varied(name, variant)
    before, after = told(was), told(now)
    assert [one.why for one in after] == [one.why for one in before]
    for old, new in zip(before, after, strict=True):
        if old.why:
            continue
        assert new.closed == old.closed
        assert shape(new) == shape(old)


def shape(one: Connection) -> list[tuple[str, bool]]:
    """What h11 makes of a connection's requests and responses: methods, statuses, JSON or not."""
    assert one.data[0] is not None and one.data[1] is not None
    said = spoken([one], Left())
    found = []
    for request, response in said[0].exchanges:
        if response is None or response.framing == "raw" or request.framing == "raw":
            continue
        body = b"".join(parsed(response, request.method))
        assert body == b"".join(response.chunks)
        found.append((response.start.decode(), jsontext.load(response.body or b"") is not None))
    return found


def parsed(response: messages.Message, method: bytes) -> Iterator[bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=b"/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(b"".join(response.pieces()))
    if response.framing == "close":
        client.receive_data(b"")
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        assert event is not h11.NEED_DATA
        if isinstance(event, h11.Data):
            yield bytes(event.data)


def test_segments_keep_their_number_order_times_and_boundaries_of_messages() -> None:
    name = "stale-by-body-node14"
    was, now = recording.read(RECORDINGS / name), varied(name, "envelope")
    for before, after in zip(was.captures, now.captures, strict=True):
        for old, new in zip(before.packets, after.packets, strict=True):
            assert (new.time, new.flags, bool(new.payload)) == (
                old.time,
                old.flags,
                bool(old.payload),
            )
            begins = old.payload.startswith((b"HTTP/1.", b"GET ", b"POST "))
            assert new.payload.startswith((b"HTTP/1.", b"GET ", b"POST ")) == begins


def test_truth_goes_along_with_targets_clients_and_times() -> None:
    name = "stale-close-node14"
    was = recording.read(RECORDINGS / name)
    now = varied(name, "prefix", "addresses", "slow-10")
    addresses = Addresses(1)
    assert len(now.truth["planted"]) == len(was.truth["planted"]) > 0
    for before, after in zip(was.truth["log"], now.truth["log"], strict=True):
        assert after["target"] == "/gateway/x9" + before["target"]
        assert after["client"] == addresses.text(before["client"])
        away = recording.seconds(before["time"]) - was.start
        assert recording.seconds(after["time"]) == pytest.approx(was.start + 10 * away, abs=1e-3)
    asked = {
        (message.target.decode(), recording.text(end))
        for one in now.spoken
        for end in one.connection.clients
        for message, _ in one.exchanges
    }
    wanted = {(one["target"], one["client"]) for one in now.truth["log"]}
    assert wanted <= asked


def test_single_makes_a_connection_of_each_exchange_and_truth_knows_them() -> None:
    name = "double-answer-node20"
    was, now = recording.read(RECORDINGS / name), varied(name, "single")
    assert now.notes["split"] > 0
    assert len(told(now)) == len(told(was)) + now.notes["connections made"]
    many = Counter(len(one.exchanges) for one in now.spoken)
    assert many[1] > 0 and now.left.connections == []
    exchanges = [(recording.text(end), request.target.decode())
                 for one in now.spoken for end in one.connection.clients
                 for request, _ in one.exchanges]  # fmt: skip
    assert {(one["client"], one["target"]) for one in now.truth["log"]} <= set(exchanges)
    for one in now.spoken:
        flags = [packet.flags for _, _, packet in one.connection.packets]
        assert any(each & (SYN | ACK) == SYN | ACK for each in flags)
        assert any(each & FIN for each in flags) or len(one.exchanges) != 1


def test_segments_are_no_larger_than_asked_and_carry_the_same() -> None:
    name = "zero-window-node20"
    was, now = recording.read(RECORDINGS / name), varied(name, "mtu-1448")
    assert max(len(one.payload) for each in was.captures for one in each.packets) > 1448
    assert max(len(one.payload) for each in now.captures for one in each.packets) <= 1448
    assert [one.data for one in told(now)] == [one.data for one in told(was)]


def test_a_fault_on_what_cannot_be_rewritten_has_no_such_variant() -> None:
    with pytest.raises(NotApplicable, match="framing"):
        varied("smuggled-node16", "prefix")
    with pytest.raises(NotApplicable, match="network/lost"):
        varied("answer-lost-node22", "fast-10")
    with pytest.raises(NotApplicable, match="another one's body"):
        varied("refused-expectation-node14", "prefix")
    with pytest.raises(NotApplicable, match="not whole"):
        varied("interleaved-node20", "fields")


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
@pytest.mark.parametrize("variant", ["prefix", "ids-number", "single"])
def test_tshark_sees_as_many_messages_and_nothing_missing(variant: str, tmp_path: Path) -> None:
    name = "double-answer-node20"
    board.make(RECORDINGS / name, [variant], 1, tmp_path / "varied")
    for capture in ("client1", "container"):
        counted = [
            dissected(directory / f"{capture}.pcap.zst", tmp_path)
            for directory in (RECORDINGS / name, tmp_path / "varied")
        ]
        assert counted[0] == counted[1]
        assert counted[0]["http.request"] > 10


def dissected(path: Path, scratch: Path) -> Counter[str]:
    """How many frames of a capture have what, as tshark sees it."""
    plain = scratch / "plain.pcap"
    packets.write(packets.read(path), plain)
    names = ("http.request", "http.response", "_ws.malformed", "tcp.analysis.lost_segment",
             "tcp.analysis.ack_lost_segment", "tcp.analysis.retransmission")  # fmt: skip
    fields = [word for one in names for word in ("-e", one)]
    command = ["tshark", "-r", str(plain), "-d", "tcp.port==8080,http", "-d", "tcp.port==3000,http"]
    lines = subprocess.run(
        [*command, "-T", "fields", *fields], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found: Counter[str] = Counter()
    for line in lines:
        found.update(one for one, value in zip(names, line.split("\t"), strict=True) if value)
    return found


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(json_values.filter(lambda one: isinstance(one, dict | list)), st.sampled_from([None, 2]))
def test_json_means_the_same_in_every_layout(value: Any, indent: int | None) -> None:
    parsed_text = jsontext.load(json.dumps(value, indent=indent).encode())
    assert parsed_text is not None
    tree, layout = parsed_text
    for each in (layout, jsontext.pretty(layout), jsontext.compact(layout)):
        assert json.loads(jsontext.dump(tree, each)) == value


@pytest.mark.parametrize(
    "text", ['{"a":1.0,"b":[1,2e5,{}]}', '{"a": "\\u00e9", "b": []}', '{\n  "a": [\n    1\n  ]\n}']
)
def test_json_that_nobody_changed_is_written_as_it_was(text: str) -> None:
    parsed_text = jsontext.load(text.encode())
    assert parsed_text is not None and jsontext.dump(*parsed_text) == text.encode()


@given(st.sets(st.from_regex(r"[a-f0-9]{2,12}", fullmatch=True).filter(is_id)))
@pytest.mark.parametrize("kind", ["uuid", "number", "slug", "base64"])
def test_ids_stay_as_different_as_they_were(kind: str, values: set[str]) -> None:
    wanted = {ids.canonical(one) for one in values}
    given_ids = Replacement(kind, Vocabulary(ids=wanted), seed=1)
    assert len({given_ids.of(one) for one in wanted}) == len(wanted)


@pytest.mark.parametrize("text", ["v1", "2026-11", "2026-W14", "status", "tenant-a", ""])
def test_versions_dates_and_words_are_no_ids(text: str) -> None:
    assert not is_id(text)


@given(st.binary(max_size=60), st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_data_is_spread_over_as_many_pieces(data: bytes, sizes: list[int]) -> None:
    pieces = messages.spread(data, sizes)
    assert b"".join(pieces) == data and len(pieces) == len(sizes)
    assert len(data) < len(sizes) or all(pieces)


def test_ports_and_addresses_are_mapped_one_to_one() -> None:
    addresses = Addresses(1)
    assert len({addresses.port(one) for one in EPHEMERAL}) == len(EPHEMERAL)
    hosts = [bytes((172, 31, third, last)) for third in range(256) for last in (1, 10, 21, 255)]
    assert len({addresses.address(one) for one in hosts}) == len(hosts)


def test_the_command_lists_writes_and_refuses_to_overwrite(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert set(VARIANTS) == {line.split()[0] for line in run(main, ["--list"]).output.splitlines()}
    command = ["prefix", "--recording", "errors-node16", "--out", str(tmp_path)]
    assert run(main, command).exit_code == 0
    assert json.loads((tmp_path / "errors-node16" / "truth.json").read_text())["varied"]
    again = run(main, command)
    assert again.exit_code == 1 and "--force" in again.output
    assert run(main, [*command, "--force"]).exit_code == 0
    assert run(main, ["nonsense", *command[1:]]).exit_code == 2
