"""What is known of software: the data is sound, and is told only where it may be the cause."""

import pytest

from analyzer.explain.culprits import Culprit, hints, known
from analyzer.findings.model import CAUSES, Cause, Verdict
from analyzer.second_pass.model import SERVER, Message
from tests.explain.test_ladder import stories
from tests.recordings import recording


def message(**fields: str) -> Message:
    """A response with these fields; underscores stand for hyphens."""
    headers = tuple((name.replace("_", "-").title(), value) for name, value in fields.items())
    return Message(
        side=SERVER, exchange=0, outcome=0, flags=0, method="", target=b"", status=200, capture=0,
        frame=1, time=0, end_frame=1, end_time=0, seq=0, end=1, ack=0, headers=headers,
        media_type="", body=b"", length=0, complete=True,
    )  # fmt: skip


def cause(name: str, verdict: Verdict = Verdict.SUPPORTED) -> Cause:
    return Cause(name, verdict, "", ())


@pytest.mark.parametrize("one", known(), ids=lambda one: one.source)
def test_each_has_causes_that_there_are_and_a_source(one: Culprit) -> None:
    assert one.causes <= CAUSES.keys()
    assert one.source and not one.text.endswith(".")
    assert bool(one.affected) == (one.version is not None)


def test_there_are_a_dozen_and_more() -> None:
    assert len(known()) >= 12
    assert len({one.text for one in known()}) == len(known())


def test_it_is_told_where_it_may_be_the_cause() -> None:
    uvicorn = [message(server="uvicorn")]
    assert any("uvloop#645" in hint.source for hint in hints([cause("server/descriptor")], uvicorn))
    assert hints([cause("server/descriptor", Verdict.RULED_OUT)], uvicorn) == ()
    assert hints([cause("network/lost")], uvicorn) == ()
    assert hints([cause("server/descriptor")], [message(server="nginx")]) == ()
    assert hints([cause("server/descriptor")], [message(via="uvicorn")]) == ()


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ("Jetty(9.4.28.v20200408)", True),
        ("Jetty(9.4.26.v1)", False),
        ("Jetty(9.4.30.v1)", False),
        ("Jetty", True),
        ("Apache Tomcat/9.0.41", True),
        ("Apache Tomcat/9.0.43", False),
        ("Apache-Coyote/1.1", True),
    ],
)
def test_a_version_that_is_told_must_be_affected(server: str, told: bool) -> None:
    assert bool(hints([cause("server/stolen")], [message(server=server)])) is told


def test_a_story_has_them() -> None:
    (story,) = stories(recording("uvloop-stale-close", "container"))
    assert "uvloop#645, uvloop#738, uvloop#740" in [hint.source for hint in story.hints]
