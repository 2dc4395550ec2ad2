"""The ladder as geometry: two arrows at the moment of a swap, everything inside the drawing."""

import re
from dataclasses import replace

import pytest

from analyzer.correlate.frames import Frame
from analyzer.explain.model import Event, Lane, Manner
from analyzer.report.page.ladder import (
    DASHED,
    HERE,
    LETTER,
    MOST_EVENTS,
    THERE,
    Drawing,
    Row,
    drawing,
)
from tests.explain.test_ladder import _story, stories
from tests.recordings import Recording, recording, recordings


def the(story_of: str, vantage: str = "container") -> Drawing:
    (story,) = stories(recording(story_of, vantage))
    found = drawing(story)
    assert found is not None
    return found


def ends(path: str) -> tuple[int, int]:
    """From where to where an arrow goes."""
    found = re.fullmatch(r"M(-?\d+) -?\d+H(-?\d+)", path)
    assert found, path
    return int(found[1]), int(found[2])


def swaps(ladder: Drawing) -> list[Row]:
    return [row for row in ladder.rows if row.astray]


def words(row: Row) -> set[str]:
    return {line for text in row.texts for line in text.lines}


def test_where_it_went_and_where_it_belonged() -> None:
    ladder = the("story-node12")
    client1, server, client2 = ladder.lanes
    (row,) = swaps(ladder)
    assert ends(row.arrow) == (server, client2)
    assert ends(row.belongs) == (server, client1)
    assert words(row) >= {HERE, THERE}
    assert row.spoken == "server → client 2; it belonged to client 1"
    assert not any(other.belongs for other in ladder.rows if not other.astray)


def test_crossed_responses_have_both_arrows_twice() -> None:
    ladder = the("crossed-node14")
    assert [(ends(r.arrow)[1], ends(r.belongs)[1]) for r in swaps(ladder)] == [
        (ladder.lanes[0], ladder.lanes[2]),
        (ladder.lanes[2], ladder.lanes[0]),
    ]


def test_on_one_connection_dashes_lead_up_to_the_request() -> None:
    ladder = the("double-answer-node20")
    for row in swaps(ladder):
        found = re.fullmatch(r"M(\d+) (\d+)h(-?\d+)V(\d+)h(-?\d+)", row.belongs)
        assert found and int(found[1]) == ladder.lanes[0]
        assert int(found[4]) < int(found[2])  # up
        assert DASHED in words(row) and HERE not in words(row)


def test_two_arrows_on_one_side_are_not_on_each_other() -> None:
    found = [
        row
        for where in recordings()
        if where.scenario.startswith("crossed-behind-nginx")
        for story in stories(where.path)[:1]
        if (ladder := drawing(story)) is not None
        for row in swaps(ladder)
        if row.belongs.count("H")
    ]
    for row in found:
        (one, two), (_, three) = ends(row.arrow), ends(row.belongs)
        level = row.arrow.split("H")[0] == row.belongs.split("H")[0]
        assert level == ((two < one) != (three < one))


@pytest.mark.parametrize(
    "where", [r for r in recordings() if r.vantage in ("container", "host-any")][::4], ids=str
)
def test_every_text_is_inside_and_no_row_on_another(where: Recording) -> None:
    for story in stories(where.path)[:2]:
        ladder = drawing(story)
        assert ladder is not None
        right = ladder.left + ladder.width
        below = ladder.begin
        for row in ladder.rows:
            assert row.top >= below - 4
            below = row.top + row.height
            for text in row.texts:
                assert all(text.x + len(line) * LETTER <= right for line in text.lines)
        assert below <= ladder.height


@pytest.mark.parametrize("text", ["", "x" * 500, "a\x1b[31mb\n\x9bc\u202e"])
def test_any_text_is_harmless_and_bounded(text: str) -> None:
    ladder = drawing(_story(text))
    assert ladder is not None
    every = "".join(line for row in ladder.rows for t in row.texts for line in t.lines)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e]", every)
    assert ladder.height < 1_000


def test_a_long_story_is_cut_and_says_so() -> None:
    event = Event(0, 0, 0, 1, Manner.REQUEST, "GET /", Frame(0, 7), 0, True)
    story = _story("GET /")
    many = [event] * (MOST_EVENTS + 5)
    ladder = drawing(replace(story, events=tuple(many)))
    assert ladder is not None
    assert (len(ladder.rows), ladder.more) == (MOST_EVENTS, 5)


def test_without_packets_there_is_none() -> None:
    story = _story("x")
    assert drawing(replace(story, events=())) is None


def test_the_file_of_a_connection_is_in_its_head_not_in_each_row() -> None:
    one = Event(0, 0, 0, 1, Manner.REQUEST, "a", Frame(0, 7, "one.pcap"), 3, True)
    two = Event(1, 1, 2, 1, Manner.REQUEST, "b", Frame(1, 8, "two.pcap"), 4, True)
    story = _story("x")
    ladder = drawing(replace(story, events=(one, two)))
    assert ladder is not None
    assert [row.time.lines[1:] for row in ladder.rows] == [("7",), ("8",)]
    heads = {line: head.x for head in ladder.heads for line in head.lines}
    assert heads["in one.pcap"] == ladder.lanes[0] and heads["in two.pcap"] == ladder.lanes[2]
    # Where one connection is in two files every frame has its own.
    moved = Event(2, 1, 0, 1, Manner.ACK, "c", Frame(1, 9, "two.pcap"), 3, True)
    ladder = drawing(replace(story, events=(one, moved)))
    assert ladder is not None
    assert [":".join(row.time.lines[1:]).replace("::", ":") for row in ladder.rows] == [
        "one.pcap:7",
        "two.pcap:9",
    ]


def test_long_places_stay_in_their_room() -> None:
    story = _story("x")
    place = "[2001:db8:1111:2222:3333:4444:5555:6666]:49440"
    lanes = tuple(Lane(name, place, place) for name in ("client 1", "server", "client 2"))
    ladder = drawing(replace(story, lanes=lanes))
    assert ladder is not None
    step = ladder.lanes[1] - ladder.lanes[0]
    assert all(len(line) * 6 <= step for head in ladder.heads for line in head.lines)
    assert ladder.begin < 14 * 12
