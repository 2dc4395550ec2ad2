"""A message that is read alone is what its whole connection shows, or is not given at all."""

from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.capture.frames import BLOCK
from analyzer.matching import messages
from analyzer.second_pass import look
from analyzer.second_pass.model import CLIENT, SERVER, Limits, Message, Place
from tests.builder import SECOND, Conversation, pcap, request, response
from tests.recordings import recording

RECORDINGS = [("story-node12", "bridge"), ("crossed-behind-nginx-node22", "client1")]


def both_ways(
    paths: list[str], *, block: int = BLOCK, most: int = 64 << 20
) -> tuple[dict[Place, Message], dict[Place, Message]]:
    """All messages of captures: as their connections show them, and those that are read alone."""
    extraction, captures, interfaces = pipeline.extract(paths)
    tables = pipeline._tables(extraction, captures, interfaces)
    numbers = range(len(tables.connections))
    wanted = look.wanted(tables.connections, tables.addresses, numbers)
    whole: dict[Place, Message] = {}
    places: dict[Place, int] = {}
    for reread in pipeline.look(captures, interfaces, wanted).values():
        asked = {m.exchange: m.method for m in reread.messages if m.side == CLIENT}
        for message in reread.messages:
            if message.side == SERVER and message.status < 200:
                continue
            method = asked.get(message.exchange, "") if message.side == SERVER else ""
            seq = reread.bases[message.side] + message.seq & 0xFFFFFFFF
            frame = message.capture << 32 | message.frame
            place = Place(frame, seq, message.side, method.encode())
            whole[place], places[place] = message, reread.interface
    limits = Limits(bytes=most)
    return whole, pipeline.read(captures, interfaces, places, limits=limits, block=block)


def told(message: Message) -> tuple[object, ...]:
    """What judging takes from a message."""
    return message.method, message.target, message.status, message.headers, message.body


@pytest.mark.parametrize("block", [BLOCK, 3_000])
@pytest.mark.parametrize("scenario, vantage", RECORDINGS)
def test_every_message_of_a_recording(scenario: str, vantage: str, block: int) -> None:
    whole, alone = both_ways([str(recording(scenario, vantage))], block=block)
    assert len(alone) > 0.9 * len(whole)
    for place, message in alone.items():
        assert told(message) == told(whole[place])


def test_one_in_several_segments_and_several_in_one(tmp_path: Path) -> None:
    talk = Conversation().open()
    talk.ask(request("/a/1") + request("/a/2"))
    talk.answer(response(b'{"id": 1}') + response(b'{"id": "' + b"x" * 5_000 + b'"}'), 1_000)
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(talk.wait(SECOND).close().frames))
    whole, alone = both_ways([str(path)])
    assert len(whole) == 4
    assert {place: told(m) for place, m in alone.items()} == {
        place: told(m) for place, m in whole.items()
    }


def test_what_is_incomplete_or_too_much_is_not_given(tmp_path: Path) -> None:
    talk = Conversation().open()
    talk.ask(request("/a/1")).answer(response(b'{"id": 1}')[:-3]).close()
    path = tmp_path / "built.pcap"
    path.write_bytes(pcap(talk.frames))
    assert [place.side for place in both_ways([str(path)])[1]] == [CLIENT]
    assert both_ways([str(path)], most=0)[1] == {}


@pytest.mark.parametrize("scenario, vantage", RECORDINGS)
def test_findings_are_the_same(
    scenario: str, vantage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(recording(scenario, vantage))
    before = pipeline.scan([path]).judgement
    monkeypatch.setattr(messages, "MOST_WHOLE", 0)
    after = pipeline.scan([path]).judgement
    assert before.findings and before.findings == after.findings
    assert before.notices == after.notices
