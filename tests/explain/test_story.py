"""What a story says: of swaps, slips, silence and losses, on real and on built traffic."""

import re
from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.explain.events import MOST_OTHERS
from analyzer.explain.model import Manner, Story
from analyzer.explain.words import duration
from analyzer.report.ladder import ladder
from tests.builder import (
    CLIENT,
    FIN,
    MILLISECOND,
    SECOND,
    SERVER,
    as_json,
    in_time,
    pcap,
    request,
    response,
)
from tests.findings.stable import VET, epilogue, ordinary, talk
from tests.recordings import recording


def told(path: Path, *more: Path) -> list[Story]:
    """The stories of all incidents of the captures."""
    examined = pipeline.examine([str(p) for p in (path, *more)])
    return [examined.story(incident) for incident in examined.incidents()]


def told_of(folder: Path, *parts: list) -> list[Story]:  # type: ignore[type-arg]
    """The stories of a capture of ordinary traffic and these frames."""
    path = folder / "built.pcap"
    path.write_bytes(pcap(in_time(ordinary(), *parts, epilogue())))
    return told(path)


def texts(story: Story, manner: Manner) -> list[tuple[int, str]]:
    """Frames and texts of the story's events of a kind."""
    return [(e.frame.number, e.text) for e in story.events if e.manner is manner]


def test_the_story_has_its_moments() -> None:
    (story,) = told(recording("story-node12", "bridge"))
    assert [(lane.name, lane.place) for lane in story.lanes] == [
        ("client 1", "172.31.17.21:49440"),
        ("server", "172.17.0.2:3000"),
        ("client 2", "172.31.18.34:60248"),
    ]
    assert texts(story, Manner.REQUEST) == [
        (1137, "GET /api/v1/horses/417/vet-report"),
        (1142, "GET /api/v1/paddocks/12/occupancy"),
    ]
    ((frame, text),) = texts(story, Manner.ASTRAY)
    assert frame == 1144 and "the answer to client 1's request" in text
    assert [e.belongs_to.number for e in story.events if e.manner is Manner.ASTRAY] == [1137]
    assert not any(e.belongs_to for e in story.events if e.manner is not Manner.ASTRAY)
    assert (1149, "gives up and closes (FIN)") in texts(story, Manner.CLOSE)
    assert [frame for frame, _ in texts(story, Manner.ACK)] == [1138, 1145, 1150]
    assert "client 1 (172.31.17.21) had asked for 1.50 s before" in story.summary[0]
    assert "after 3.00 s it closed its connection" in story.summary[0]
    (bodies,) = story.bodies
    assert bodies.usual.title == "usual: GET /api/v1/paddocks/{id}/occupancy"
    assert bodies.usual.count >= 10 and "horseId: number" in bodies.came.lines
    assert any("strace" in command for step in story.steps for command in step.commands)


def test_crossed_responses_are_both_shown_from_two_captures() -> None:
    (story,) = told(recording("crossed-node14", "client1"), recording("crossed-node14", "client2"))
    assert len(texts(story, Manner.ASTRAY)) == 2
    assert {e.frame.capture for e in story.events if e.manner is Manner.ASTRAY} == {0, 1}
    assert {e.frame.file for e in story.events if e.frame} == {"client1.pcap", "client2.pcap"}
    assert "two were crossed" in story.summary[1]
    # Nobody saw a proxy: that there may be one is a step to take, not somebody who takes part.
    assert [lane.name for lane in story.lanes] == ["client 1", "server", "client 2"]
    assert "asked the server for" in story.summary[0]
    assert any("tcp port FRONT" in line for step in story.steps for line in step.commands)


def test_a_client_that_gives_up_on_a_silent_server() -> None:
    (story,) = told(recording("silent-node12", "client1"))
    assert [lane.name for lane in story.lanes] == ["client", "server"]
    assert texts(story, Manner.CLOSE)[0][1] == "gives up and closes (FIN)"
    assert texts(story, Manner.CLOSE)[1][1] == "closes (FIN) without an answer"
    assert not story.bodies


def test_only_the_clients_capture_asks_for_one_at_the_server() -> None:
    (story,) = told(recording("silent-node12", "client1"))
    assert "No capture here was made at the server" in story.steps[0].why
    (story,) = told(recording("silent-node12", "container"))
    assert not any("at the server itself" in step.why for step in story.steps)


def test_what_was_never_confirmed_is_told_once(tmp_path: Path) -> None:
    hung = talk()
    for _ in range(6):
        hung.send(CLIENT, request(VET), seq=hung.next[0])
        hung.wait(2 * SECOND)
    hung.next[0] += len(request(VET))
    hung.send(CLIENT, flags=FIN | 16)
    (story,) = told_of(tmp_path, hung.frames)
    ((_, text),) = texts(story, Manner.REPEAT)
    assert "5 times in 8.00 s: no confirmation ever comes" in text


def test_ordinary_exchanges_around_are_counted_not_listed(tmp_path: Path) -> None:
    busy = talk(7)
    for n in range(12):
        busy.ask(request(f"/things/{n}")).answer(response(as_json({"n": n})))
    busy.ask(request(VET)).wait(30 * SECOND).close()
    (story,) = told_of(tmp_path, busy.frames)
    assert [text for _, text in texts(story, Manner.NOTE)][:1] == [
        "12 exchanges before on this connection, all of them answered"
    ]
    assert len(texts(story, Manner.REQUEST)) <= 1 + MOST_OTHERS


def test_a_response_that_stops_halfway(tmp_path: Path) -> None:
    cut = talk().ask(request(VET))
    cut.send(SERVER, response(b"x" * 50, length=5_000))
    cut.wait(SECOND).fin(SERVER)
    cut.fin(CLIENT)
    (story,) = told_of(tmp_path, cut.frames)
    ((_, text),) = texts(story, Manner.RESPONSE)
    assert text == "200, and 50 bytes of a body that never ends"
    assert "50 bytes of the 5,000 announced, and never the rest" in story.summary[0]


def test_events_are_in_order_and_pauses_add_up() -> None:
    for scenario in ("story-node12", "stale-close-slipped-node12", "pool-reuse"):
        for story in told(recording(scenario, "container")):
            assert story.events[0].after == 0
            total = 0
            for event in story.events:
                total += event.pause
                assert event.after == total and event.pause >= 0
                assert event.source != event.target


def test_every_fact_and_cause_of_the_findings_is_in_the_story() -> None:
    examined = pipeline.examine([str(recording("stale-close-slipped-node12", "host-any"))])
    (incident,) = examined.incidents()
    story = examined.story(incident)
    assert len(incident.findings) == 5
    facts = {fact for proof in story.evidence for fact in proof.facts}
    assert facts == {fact for f in incident.findings for fact in f.evidence}
    assert {c.cause for c in story.causes} == {c.cause for f in incident.findings for c in f.causes}


def test_without_a_second_look_the_rest_is_told() -> None:
    """Standard input that could not be kept: no ladder, but all that judging knows."""
    examined = pipeline.examine([str(recording("story-node12", "bridge"))])
    examined.look = lambda _: {}
    story = examined.story(examined.incidents()[0])
    assert story.events == ()
    assert story.evidence and story.causes and story.summary


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0 ms"),
        (18_000, "0.018 ms"),
        (400_000, "0.4 ms"),
        (12_345_678, "12.3 ms"),
        (999 * MILLISECOND, "999 ms"),
        (1_502 * MILLISECOND, "1.50 s"),
        (41 * SECOND, "41.0 s"),
        (125 * SECOND, "2 min 5 s"),
        (180 * SECOND, "3 min"),
        (2 * 3_600 * SECOND, "2 h 0 min"),
    ],
)
def test_durations_as_a_person_says_them(time: int, text: str) -> None:
    assert duration(time) == text


def test_what_one_client_cannot_see_is_not_claimed() -> None:
    """From the hung client's side alone: no word of a response that went elsewhere."""
    (story,) = told(recording("story-node12", "client1"))
    told_so = " ".join(story.summary)
    assert "wrote to a socket" not in told_so and "client 2" not in told_so
    assert "the process never answered" in told_so
    assert "No capture here was made at the server" in story.steps[0].why


def test_a_proxy_has_its_own_lane() -> None:
    names = ("client1", "client2", "proxy-front", "proxy-back", "container")
    (story,) = told(*(recording("crossed-behind-nginx-node22", name) for name in names))
    assert [lane.name for lane in story.lanes] == ["client 1", "client 2", "proxy", "server"]
    assert len(story.findings) == 2, "each request is told once, though it was seen twice"
    passed = [e for e in story.events if e.text == "passes it on"]
    assert [(e.source, e.target) for e in passed] == [(2, 3), (2, 3)]
    wrong = [(e.source, e.target) for e in story.events if e.manner is Manner.ASTRAY]
    assert sorted(wrong) == [(2, 0), (2, 1), (3, 2), (3, 2)]
    assert not any("client 2" in lane.place for lane in story.lanes)
    assert not any("tcp port FRONT" in line for step in story.steps for line in step.commands)


def test_a_response_that_the_proxy_kept_is_said_so() -> None:
    names = ("client1", "client2", "proxy-front", "proxy-back", "container")
    (story,) = told(*(recording("proxy-loses-both-sides-node20", name) for name in names))
    assert [lane.name for lane in story.lanes] == ["client", "proxy", "server"]
    assert "the proxy was given the response and did not pass it on" in story.summary[-1]


def test_a_cache_and_smuggling_are_called_so() -> None:
    every = ("client1", "client2", "host-any", "proxy", "container")
    (story,) = told(*(recording("shared-cache-node20", name) for name in every))
    assert "a cache gave one client what it had given another" in story.summary[-1]
    every = ("client1", "client2", "proxy-front", "proxy-back", "container")
    (story,) = told(*(recording("smuggled-node16", name) for name in every))
    assert "one request was hidden in another" in story.summary[-1]
    assert "Request smuggling" in story.summary[-1]


def test_a_full_accept_queue_says_how_long_and_how_often() -> None:
    (story,) = told(recording("accept-queue-node14", "client1"))
    assert "only after 6.711 s, when it had been sent 6 more times" in story.summary[-1]
    assert "accept queue" in story.summary[-1]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_headings_of_lanes_do_not_touch(width: int) -> None:
    names = ("client1", "client2", "proxy-front", "proxy-back", "container")
    (story,) = told(*(recording("crossed-behind-nginx-node22", name) for name in names))
    lines = [line.plain for line in ladder(story, width)]
    head = lines[: next(n for n, line in enumerate(lines) if "time/" in line)]
    assert re.split(" {2,}", head[0].strip()) == ["client 1", "client 2", "proxy", "server"]
    assert all(len(line) <= width for line in lines)
    places = [lane.place for lane in story.lanes]
    assert story.lanes[-1].inside == "172.17.0.2:3000"
    # Down each column, its pieces are the address of its lane; below that is what is inside.
    rows = [re.split(" +", line.strip()) for line in head[1:] if line.strip()]
    rebuilt = ["".join(row[n] for row in rows if len(row) == len(places)) for n in range(4)]
    assert rebuilt == places
    assert "".join("".join(row) for row in rows if len(row) < 4).startswith("inside172.17.0.2:3000")
