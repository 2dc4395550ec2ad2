"""Which incidents are listed, and how their lines read."""

from pathlib import Path

from analyzer import pipeline
from analyzer.explain.overviews import Summary
from analyzer.report.opinions import Mark, Opinion
from analyzer.review.listing import UNMARKED, Filter, following, line, listed
from tests.builder import in_time, pcap
from tests.findings.stable import epilogue, ordinary, swap, talk

TIME = "2026-12-01T01:02:03Z"


def summaries(folder: Path) -> list[Summary]:
    """A swap, and a request with a hostile target that hung."""
    one, two = swap()
    target = b"GET /\x1b[31m HTTP/1.1\r\nHost: h\r\n\r\n"
    lone = talk(7, start=1_700_000_030_000_000_000).ask(target).wait(9 * 10**9).close()
    path = folder / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), lone.frames, one.frames, two.frames, epilogue())))
    examined = pipeline.examine([str(path)])
    return [examined.summary(incident) for incident in examined.incidents()]


def test_a_filter_leaves_what_fits(tmp_path: Path) -> None:
    every = summaries(tmp_path)
    first, second = every
    marks = {second.id: Mark(Opinion.DISMISSED, "Tuesday's test", TIME)}
    for chosen, left in (
        (Filter(), every),
        (Filter(kind="misdelivered"), [first]),
        (Filter(kind="unanswered"), [second]),
        (Filter(confidence=str(first.confidence), kind="incomplete"), []),
        (Filter(mark=UNMARKED), [first]),
        (Filter(mark="dismissed"), [second]),
        (Filter(text="OCCUPANCY"), [first]),
        (Filter(text="tuesday"), [second]),
        (Filter(text=second.id), [second]),
        (Filter(text="nowhere"), []),
    ):
        assert list(listed(every, marks, chosen)) == left, chosen


def test_a_line_has_the_mark_and_is_harmless(tmp_path: Path) -> None:
    first, second = summaries(tmp_path)
    assert line(first, None).startswith("  22:15:0")
    assert "misdelivered GET /paddocks/{id}/occupancy" in line(first, None)
    for opinion, sign in zip(Opinion, "+-?", strict=True):
        assert line(first, Mark(opinion, "", TIME))[0] == sign
    assert "\x1b" not in line(second, None)
    assert "\x1b" not in Filter(text="\x1b").words


def test_the_values_of_a_filter_come_round() -> None:
    assert [following(["a", "b"], value) for value in ("", "a", "b", "gone")] == ["a", "b", "", ""]
