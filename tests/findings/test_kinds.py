"""Each kind of finding and cause from a small conversation, and honest traffic without any."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.findings.model import Confidence, Explained, How
from analyzer.report.result import Report
from tests.builder import (
    ACK,
    CLIENT,
    FIN,
    MILLISECOND,
    PSH,
    RST,
    SECOND,
    SERVER,
    SYN,
    Conversation,
    Frame,
    request,
    response,
)
from tests.findings.stable import (
    LATER,
    OCCUPANCY,
    VET,
    crossed,
    epilogue,
    judged,
    occupancy,
    ordinary,
    swap,
    talk,
    vet_report,
)
from tests.tools import found, scanned

ANSWER = response(vet_report())
Incident = Callable[[], Conversation]


def asked() -> Conversation:
    """A client that has asked for a vet report."""
    return talk().ask(request(VET))


# --- unanswered ----------------------------------------------------------------------------


def silent() -> Conversation:
    return asked().wait(30 * SECOND).close()


def silent_and_orphaned() -> Conversation:
    return asked().wait(30 * SECOND).fin(CLIENT)


def silent_until_the_client_resets() -> Conversation:
    return asked().wait(30 * SECOND).reset(CLIENT)


def closed() -> Conversation:
    return asked().wait(SECOND).close(SERVER)


def reset() -> Conversation:
    return asked().wait(SECOND).reset(SERVER)


def gave_up() -> Conversation:
    # The others wait two seconds for theirs.
    return asked().wait(100 * MILLISECOND).close()


def left_soon() -> Conversation:
    # Nobody else has waited that long. But who leaves so soon has a short deadline.
    return asked().wait(600 * MILLISECOND).close()


def answered_too_late() -> Conversation:
    late = asked().wait(3 * SECOND).fin(CLIENT).wait(SECOND)
    late.send(SERVER, ANSWER, ACK | PSH)
    return late.reset(CLIENT)


def lost() -> Conversation:
    one = talk()
    start = one.next[CLIENT]
    for _ in range(4):
        one.wait(SECOND).send(CLIENT, request(VET), ACK | PSH, seq=start)
    one.next[CLIENT] = start + len(request(VET))
    return one.wait(SECOND).reset(CLIENT)


def answer_lost() -> Conversation:
    one = asked()
    start = one.next[SERVER]
    for _ in range(6):
        one.send(SERVER, ANSWER, ACK | PSH, seq=start)
        one.wait(2 * SECOND)
    one.send(CLIENT, flags=FIN | ACK, ack=start)
    one.send(SERVER, ANSWER, ACK | PSH, seq=start)
    return one.wait(60 * SECOND).reset(SERVER)


def interim_only() -> Conversation:
    return asked().answer(b"HTTP/1.1 100 Continue\r\n\r\n").wait(30 * SECOND).close()


def second_of_two() -> Conversation:
    return asked().answer(ANSWER).ask(request("/horses/418/vet-report")).wait(30 * SECOND).close()


@pytest.mark.parametrize(
    ("incident", "cause"),
    [
        (silent, "server/silent"),
        # No FIN of the server is no proof: a thread that waits in its handler does not look at its
        # socket. Only a server that has closed others while it owed an answer shows more.
        (silent_and_orphaned, "server/silent"),
        (silent_until_the_client_resets, "server/silent"),
        (closed, "server/closed"),
        (reset, "server/reset"),
        (left_soon, "client/gave-up"),
        (answered_too_late, "client/gave-up"),
        (lost, "network/lost"),
        (answer_lost, "network/lost"),
        (interim_only, "server/silent"),
    ],
)
def test_unanswered(tmp_path: Path, incident: Incident, cause: str) -> None:
    report = judged(tmp_path, incident())
    assert found(report) == [("unanswered", cause, VET, "")]
    assert report.totals["unanswered"] == 1
    (finding,) = report.judgement.findings
    assert finding.confidence is Confidence.CERTAIN
    assert finding.response is None
    assert finding.causes[0].verdict == "supported"
    assert finding.evidence
    assert all(fact.frames for fact in finding.evidence)


def test_a_client_that_left_sooner_than_answers_come(tmp_path: Path) -> None:
    report = judged(tmp_path, gave_up(), wait=2 * SECOND)
    assert found(report) == [("unanswered", "client/gave-up", VET, "")]


def test_one_of_two_on_a_connection(tmp_path: Path) -> None:
    report = judged(tmp_path, second_of_two())
    assert found(report) == [("unanswered", "server/silent", "/horses/418/vet-report", "")]


def abandoned(number: int) -> Conversation:
    """A client gives up, and its server closes too though it owes an answer."""
    one = talk(60 + number, start=LATER - 90 * SECOND + number * SECOND).ask(request(VET))
    return one.wait(10 * SECOND).close()


def test_a_server_that_otherwise_closes_while_it_owes_an_answer(tmp_path: Path) -> None:
    report = judged(tmp_path, silent_and_orphaned(), abandoned(1), abandoned(2))
    causes = sorted(cause for _, cause, *_ in found(report))
    assert causes == ["server/descriptor", "server/silent", "server/silent"]


def test_what_the_request_asked_for_is_named(tmp_path: Path) -> None:
    one = talk().ask(request(VET, fields="Upgrade: h2c\r\nConnection: Upgrade\r\n"))
    (finding,) = judged(tmp_path, one.wait(30 * SECOND).fin(CLIENT)).judgement.findings
    assert finding.cause == "server/silent"
    assert "(Upgrade: h2c)" in finding.causes[0].because


def test_several_that_starve_at_once_name_each_other(tmp_path: Path) -> None:
    others = [talk(n, start=LATER + n * SECOND).ask(request(VET)) for n in (2, 3)]
    report = judged(tmp_path, silent(), *(one.wait(30 * SECOND).close() for one in others))
    assert len(report.judgement.findings) == 3
    for finding in report.judgement.findings:
        told = [f for f in finding.evidence if "2 other requests to this server" in f.fact]
        assert len(told) == 1
        assert len(told[0].frames) == 2


# --- the keep-alive race -------------------------------------------------------------------


def raced() -> Conversation:
    """The server closes an idle connection while the next request is on its way to it."""
    one = asked().answer(ANSWER).wait(5 * SECOND)
    known = one.next[CLIENT]
    one.send(CLIENT, request(OCCUPANCY), ACK | PSH)
    one.send(SERVER, flags=FIN | ACK, ack=known)
    one.send(SERVER, flags=RST)
    return one


def asked_again(start: int, answered: bool) -> Conversation:
    one = Conversation(("10.0.1.1", 41_900), isns=(3, 4), start=start).open()
    one.ask(request(OCCUPANCY)).wait(20 * MILLISECOND)
    return one.answer(response(occupancy())).close() if answered else one.wait(30 * SECOND).close()


def test_a_request_that_met_the_close_of_an_idle_connection(tmp_path: Path) -> None:
    (finding,) = judged(tmp_path, raced()).judgement.findings
    assert (finding.kind, finding.cause) == ("unanswered", "server/closed")
    assert finding.confidence is Confidence.CERTAIN
    assert finding.causes[0].how is How.IDLE_CLOSE
    assert finding.causes[0].meaning.startswith("the client asked on a connection")


def test_and_was_asked_again_and_answered(tmp_path: Path) -> None:
    race = raced()
    report = judged(tmp_path, race, asked_again(race.time + MILLISECOND, answered=True))
    assert found(report) == []
    (notice,) = report.judgement.notices
    assert "asked again in frame" in notice.notice
    assert notice.notice.endswith("and answered")


def test_and_was_asked_again_in_vain(tmp_path: Path) -> None:
    race = raced()
    report = judged(tmp_path, race, asked_again(race.time + MILLISECOND, answered=False))
    assert [cause for _, cause, *_ in found(report)] == ["server/closed", "server/silent"]
    first = min(report.judgement.findings, key=lambda f: f.request.time if f.request else 0)
    assert any("asked the same again in frame" in fact.fact for fact in first.evidence)


def test_a_close_that_covers_the_request_is_no_race(tmp_path: Path) -> None:
    one = asked().answer(ANSWER).wait(5 * SECOND).ask(request(OCCUPANCY)).close(SERVER)
    (finding,) = judged(tmp_path, one).judgement.findings
    assert finding.cause == "server/closed"
    assert finding.causes[0].how is not How.IDLE_CLOSE


# --- incomplete ----------------------------------------------------------------------------

PART = response(vet_report()[:20], length=len(vet_report()))


def cut_by_the_server() -> Conversation:
    return asked().answer(PART).close(SERVER)


def cut_by_a_reset() -> Conversation:
    return asked().answer(PART).reset(SERVER)


def cut_by_the_client() -> Conversation:
    return asked().answer(PART).wait(5 * SECOND).close()


def cut_by_a_closed_window() -> Conversation:
    one = asked().answer(PART)
    one.send(CLIENT, window=0)
    return one.wait(60 * SECOND).reset(CLIENT)


def chunks_without_an_end() -> Conversation:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return asked().answer(head + b'5\r\n{"a":\r\n').close(SERVER)


@pytest.mark.parametrize(
    ("incident", "cause"),
    [
        (cut_by_the_server, "server/closed"),
        (cut_by_a_reset, "server/reset"),
        (cut_by_the_client, "client/gave-up"),
        (cut_by_a_closed_window, "client/gave-up"),
        (chunks_without_an_end, "server/closed"),
    ],
)
def test_incomplete(tmp_path: Path, incident: Incident, cause: str) -> None:
    report = judged(tmp_path, incident())
    ((kind, _, target, _),) = found(report)
    assert (kind, target) == ("incomplete", VET)
    if incident is not cut_by_the_client:
        assert found(report)[0][1] == cause
    (finding,) = report.judgement.findings
    assert finding.response is not None
    assert finding.owner == finding.request


WHOLE = response(vet_report(), length=len(vet_report()) + 40)


def test_a_whole_body_with_too_long_a_length(tmp_path: Path) -> None:
    report = judged(tmp_path, asked().answer(WHOLE).wait(5 * SECOND).close())
    assert found(report) == [("incomplete", "connection/desync", VET, "")]
    (finding,) = report.judgement.findings
    assert finding.response is not None
    assert finding.response.announced - finding.response.length == 40
    assert all(cause.cause != "server/silent" for cause in finding.causes)
    assert any("40 that are missing" in fact.fact for fact in finding.evidence)


def cut_head(*, ends: Callable[[Conversation], Conversation]) -> Conversation:
    return ends(asked().answer(b"HTTP/1.1 200 OK\r\nContent-Ty"))


@pytest.mark.parametrize(
    ("ends", "cause"),
    [
        (lambda one: one.close(SERVER), "server/closed"),
        (lambda one: one.reset(SERVER), "server/reset"),
        (lambda one: one.wait(30 * SECOND).close(), "server/silent"),
        (lambda one: one.close(), "client/gave-up"),
    ],
)
def test_a_part_of_a_head(
    tmp_path: Path, ends: Callable[[Conversation], Conversation], cause: str
) -> None:
    report = judged(tmp_path, cut_head(ends=ends))
    assert found(report) == [("incomplete", cause, VET, "")]
    (finding,) = report.judgement.findings
    assert "a part of its head: 27 bytes" in finding.evidence[0].fact
    assert "`HTTP/1.1 200 OK`" in finding.evidence[0].fact


def test_an_answer_that_is_no_http(tmp_path: Path) -> None:
    report = judged(tmp_path, asked().answer(b"220 mail\x1b[2J ESMTP\r\n").close())
    assert found(report) == [("incomplete", "connection/desync", VET, "")]
    (finding,) = report.judgement.findings
    assert finding.response is not None
    assert finding.response.status == 0
    assert "`220 mail\\x1b[2J ESMTP`" in finding.evidence[0].fact


# --- bytes behind a message ----------------------------------------------------------------


def head_with_body() -> Conversation:
    one = talk().ask(request(VET, "HEAD")).answer(response(b"", length=9) + b"<p>no</p>")
    return one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(occupancy())).close()


def no_content_with_text() -> Conversation:
    said = b"HTTP/1.1 204 No Content\r\n\r\n"
    one = talk().ask(request(VET)).answer(said + b"No Content")
    return one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(occupancy())).close()


def too_short_a_length() -> Conversation:
    return asked().answer(response(vet_report(), length=len(vet_report()) - 3)).close()


@pytest.mark.parametrize(
    ("incident", "extra", "what"),
    [
        (head_with_body, 9, "what looks like HTML"),
        (no_content_with_text, 10, "text"),
        (too_short_a_length, 3, "text"),
    ],
)
def test_bytes_behind_a_response(tmp_path: Path, incident: Incident, extra: int, what: str) -> None:
    report = judged(tmp_path, incident())
    assert found(report) == [("unsolicited", "connection/desync", "", "")]
    (finding,) = report.judgement.findings
    assert finding.confidence is Confidence.CERTAIN
    assert finding.is_extra
    assert finding.request is None
    assert finding.owner is not None
    assert finding.owner.target == VET
    assert finding.response is not None
    assert finding.response.extra == extra
    assert f"{extra} bytes stand behind" in finding.evidence[0].fact
    assert what in finding.evidence[0].fact
    assert len(finding.evidence) == 2
    assert report.totals["undecided"] == 0


def left_in_the_middle() -> Conversation:
    return asked().answer(PART).close()


def event_stream() -> Conversation:
    head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    one = talk().ask(request("/events")).answer(b"HTTP/1.1 200 OK\r\n" + head.encode())
    return one.answer(b"7\r\ndata: 1\r\n").wait(60 * SECOND).fin(CLIENT)


@pytest.mark.parametrize("incident", [left_in_the_middle, event_stream])
def test_a_client_that_has_seen_enough_is_a_notice(tmp_path: Path, incident: Incident) -> None:
    report = judged(tmp_path, incident())
    assert found(report) == []
    assert [n.notice for n in report.judgement.notices] == [
        "the client left in the middle of the response, which was still coming"
    ]


# --- more answers than requests ------------------------------------------------------------


def test_a_surplus_response_slips_the_connection(tmp_path: Path) -> None:
    one = asked().answer(ANSWER).wait(MILLISECOND).answer(ANSWER)
    one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(occupancy())).close()
    report = judged(tmp_path, one)
    assert found(report) == [
        ("misdelivered", "connection/desync", OCCUPANCY, VET),
        ("unsolicited", "connection/desync", "", ""),
    ]


def test_a_slip_is_followed_when_the_numbers_say_nothing(tmp_path: Path) -> None:
    # The client asks on before the server answers: from the second victim on every response has
    # its request's number covered, and only its content is the one before's.
    one = asked().answer(ANSWER).wait(MILLISECOND).answer(ANSWER)
    one.wait(SECOND).ask(request(OCCUPANCY)).wait(MILLISECOND).ask(request(VET))
    one.wait(SECOND).answer(response(occupancy())).wait(MILLISECOND).ask(request(OCCUPANCY))
    one.wait(SECOND).answer(ANSWER).close()
    report = judged(tmp_path, one)
    assert found(report) == [
        ("misdelivered", "connection/desync", VET, OCCUPANCY),
        ("misdelivered", "connection/desync", OCCUPANCY, VET),
        ("misdelivered", "connection/desync", OCCUPANCY, VET),
    ]
    assert len({finding.incident for finding in report.judgement.findings}) == 1


def test_a_surplus_response_nobody_read(tmp_path: Path) -> None:
    report = judged(tmp_path, asked().answer(ANSWER).answer(ANSWER).close())
    assert found(report) == [("unsolicited", "connection/desync", "", "")]


def test_a_408_on_an_idle_connection_is_a_notice(tmp_path: Path) -> None:
    one = asked().answer(ANSWER).wait(30 * SECOND)
    report = judged(tmp_path, one.answer(response(b"", 408)).close(SERVER))
    assert found(report) == []
    assert len(report.judgement.notices) == 1


def test_a_400_on_a_connection_without_a_request_is_a_notice(tmp_path: Path) -> None:
    one = talk().wait(5 * SECOND).answer(response(b"", 400)).close(SERVER)
    report = judged(tmp_path, one)
    assert found(report) == []
    assert [n.response.status for n in report.judgement.notices if n.response] == [400]


def test_owners_behind_two_surplus_answers_obey_the_numbers(tmp_path: Path) -> None:
    one = asked().answer(ANSWER * 3).wait(MILLISECOND)
    for number in (2, 3):
        one.ask(request(f"/horses/{number}/vet-report")).wait(MILLISECOND)
    report = judged(tmp_path, one.close())
    slipped = [f for f in report.judgement.findings if f.kind == "misdelivered"]
    assert len(slipped) == 2
    assert {f.owner.target for f in slipped if f.owner} == {VET}


def test_an_answer_before_its_request_while_another_one_hangs(tmp_path: Path) -> None:
    two = talk(2, start=LATER + SECOND).answer(ANSWER).ask(request(OCCUPANCY)).close()
    report = judged(tmp_path, asked().wait(5 * SECOND).fin(CLIENT), two)
    assert ("misdelivered", "connection/desync", OCCUPANCY, "") in found(report)


def reasons(explanations: tuple[Explained, ...]) -> tuple[list[str], list[str]]:
    """The names that were chosen, and those that lost."""
    return (
        [one.name for one in explanations if one.verdict == "chosen"],
        [one.name for one in explanations if one.verdict == "lost"],
    )


def test_what_the_numbers_say_is_held_against_the_other_reasons(tmp_path: Path) -> None:
    one = asked().answer(ANSWER).wait(MILLISECOND).answer(ANSWER)
    one.wait(SECOND).ask(request(OCCUPANCY)).answer(response(occupancy())).close()
    (slipped, _) = judged(tmp_path, one).judgement.findings
    assert reasons(slipped.explanations) == (
        ["another request's response"],
        ["numbers that deceive"],
    )
    assert [one.comparison for one in slipped.weighed] == ["numbers"]
    assert slipped.bits == pytest.approx(20.0)


def test_an_answer_before_its_request_where_nobody_waits_is_its_own(tmp_path: Path) -> None:
    two = talk(2, start=LATER + SECOND).answer(ANSWER).ask(request(OCCUPANCY)).close()
    report = judged(tmp_path, two)
    assert found(report) == []
    (notice,) = report.judgement.notices
    chosen, lost = reasons(notice.explanations)
    assert chosen == ["sent ahead of its request"]
    assert set(lost) == {"another request's response", "numbers that deceive"}


# --- a connection that still owes an answer ------------------------------------------------


def one_at_a_time(many: int = 30) -> list[Conversation]:
    """What is usual at the client's address: ask, and wait."""
    found = []
    for number in range(many):
        start = LATER - 60 * SECOND + number * SECOND
        one = Conversation(("10.0.9.1", 50_000 + number), isns=(number + 1, 9), start=start).open()
        found.append(one.ask(request(VET)).answer(ANSWER).close())
    return found


def asking_early(first: int = 0) -> Conversation:
    """From that address, after `first` exchanges a request that does not wait for its turn."""
    one = Conversation(("10.0.9.1", 60_000), isns=(77, 88), start=LATER).open()
    for _ in range(first):
        one.ask(request(VET)).answer(ANSWER).wait(SECOND)
    return one.ask(request(VET)).wait(60 * MILLISECOND).ask(request(OCCUPANCY))


def reused() -> Conversation:
    return asking_early(1).wait(SECOND).answer(ANSWER).wait(SECOND).answer(response(occupancy()))


def reused_and_closed() -> Conversation:
    return asking_early().wait(SECOND).answer(ANSWER).answer(response(occupancy())).close()


def reused_and_used_again() -> Conversation:
    one = asking_early(1).wait(SECOND).answer(ANSWER).ask(request(VET)).wait(SECOND)
    return one.answer(response(occupancy())).wait(SECOND).answer(ANSWER)


def pipelined_by_one_of_many() -> Conversation:
    one = asking_early().wait(20 * MILLISECOND).ask(request(VET)).wait(60 * MILLISECOND)
    return one.answer(ANSWER).answer(response(occupancy())).answer(ANSWER).close()


def pipelined_once() -> Conversation:
    one = asking_early(1).wait(SECOND).answer(ANSWER).answer(response(occupancy()))
    return one.wait(SECOND).ask(request(VET)).answer(ANSWER).close()


@pytest.mark.parametrize(
    ("incident", "victims"),
    [
        (reused, 1),
        (reused_and_closed, 1),
        (reused_and_used_again, 2),
        (pipelined_by_one_of_many, 0),
        (pipelined_once, 0),
    ],
)
def test_a_connection_used_again_too_early(
    tmp_path: Path, incident: Incident, victims: int
) -> None:
    report = judged(tmp_path, *one_at_a_time(), incident())
    told = [(kind, cause) for kind, cause, *_ in found(report)]
    assert told == [("misdelivered", "client/pool-reuse")] * victims
    for finding in report.judgement.findings:
        assert reasons(finding.explanations) == (
            ["the answer to the request before"],
            ["a pipeline"],
        )


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"


def after_interim(*, answers_between: bool) -> Conversation:
    """A client goes on after a 103, and each time after the answer that it takes for its own."""
    one = Conversation(("10.0.9.1", 60_000), isns=(77, 88), start=LATER).open()
    one.ask(request(VET)).answer(INTERIM)
    if answers_between:
        one.answer(ANSWER)
    one.ask(request(OCCUPANCY)).wait(30 * MILLISECOND)
    if not answers_between:
        one.answer(ANSWER).ask(request(VET)).wait(30 * MILLISECOND)
        return one.answer(response(occupancy())).answer(ANSWER).close()
    return one.answer(response(occupancy())).close()


def test_an_interim_response_taken_for_the_final_one(tmp_path: Path) -> None:
    report = judged(tmp_path, *one_at_a_time(), after_interim(answers_between=False))
    assert found(report) == [
        ("misdelivered", "client/early-final", VET, OCCUPANCY),
        ("misdelivered", "client/early-final", OCCUPANCY, VET),
    ]
    assert len({finding.incident for finding in report.judgement.findings}) == 1


def test_an_interim_response_that_was_passed_over(tmp_path: Path) -> None:
    report = judged(tmp_path, *one_at_a_time(), after_interim(answers_between=True))
    assert found(report) == []


# --- somebody else's answer ----------------------------------------------------------------


def test_the_story(tmp_path: Path) -> None:
    report = judged(tmp_path, *swap())
    assert found(report) == [
        ("misdelivered", "server/descriptor", OCCUPANCY, VET),
        ("unanswered", "server/descriptor", VET, ""),
    ]
    misdelivered = next(f for f in report.judgement.findings if f.kind == "misdelivered")
    assert misdelivered.confidence is Confidence.LIKELY
    assert misdelivered.owner is not None
    assert misdelivered.owner.client == "10.0.1.1:41001"
    assert misdelivered.request is not None
    assert misdelivered.request.client == "10.0.1.2:41002"
    assert report.totals["answered"] == 8 * 2 + 1 + 1


def test_the_story_when_the_server_closes_first(tmp_path: Path) -> None:
    report = judged(tmp_path, *swap(first_closes=True))
    assert found(report) == [
        ("misdelivered", "server/descriptor", OCCUPANCY, VET),
        ("unanswered", "server/descriptor", VET, ""),
    ]


def test_a_server_that_owned_both_connections_mixed_up_the_answers(tmp_path: Path) -> None:
    # The second connection is older than the first request: its number cannot have been reused.
    two = talk(2, start=LATER - SECOND).ask(request("/paddocks/9/occupancy"))
    two.answer(response(occupancy(9)))
    one = asked()
    two.time = one.time + 50 * MILLISECOND
    two.ask(request(OCCUPANCY)).answer(ANSWER).close()
    one.wait(20 * SECOND).close()
    assert found(judged(tmp_path, one, two)) == [
        ("misdelivered", "server/stolen", OCCUPANCY, VET),
        ("unanswered", "server/stolen", VET, ""),
    ]


def test_two_answers_crossed(tmp_path: Path) -> None:
    report = judged(tmp_path, *crossed())
    assert found(report) == [
        ("misdelivered", "server/crossed", VET, OCCUPANCY),
        ("misdelivered", "server/crossed", OCCUPANCY, VET),
    ]
    assert report.totals["unanswered"] == 0


def test_a_strange_shape_without_anybody_waiting_is_a_notice(tmp_path: Path) -> None:
    _, two = swap()
    report = judged(tmp_path, two)
    assert found(report) == []
    assert len(report.judgement.notices) == 1


def test_an_owner_has_to_have_waited_at_the_same_server(tmp_path: Path) -> None:
    one = Conversation(("10.0.1.1", 41_001), ("10.0.0.3", 8080), isns=(5, 6), start=LATER).open()
    one.ask(request(VET)).wait(20 * SECOND).close()
    _, two = swap()
    assert found(judged(tmp_path, one, two)) == [("unanswered", "server/silent", VET, "")]


def test_an_owner_has_to_have_asked_before(tmp_path: Path) -> None:
    _, two = swap()
    late = talk(1, start=two.time + SECOND).ask(request(VET)).wait(20 * SECOND).close()
    assert found(judged(tmp_path, late, two)) == [("unanswered", "server/silent", VET, "")]


def test_an_error_is_nobodys_in_particular(tmp_path: Path) -> None:
    one = asked().wait(20 * SECOND).close()
    two = talk(2, start=LATER + SECOND).ask(request(OCCUPANCY))
    two.answer(response(vet_report(), 500)).close()
    assert found(judged(tmp_path, one, two)) == [("unanswered", "server/silent", VET, "")]


def test_the_more_there_is_to_compare_the_surer_it_is(tmp_path: Path) -> None:
    one, two = swap()
    bits = []
    for examples in (2, 3, 5, 8):
        frames = sorted([*ordinary(examples), *one.frames, *two.frames, *epilogue()])
        report = scanned(tmp_path, frames)
        (found,) = (f for f in report.judgement.findings if f.kind == "misdelivered")
        assert found.confidence is not Confidence.CERTAIN
        bits.append(found.bits)
    assert bits == sorted(bits)
    assert bits[-1] > bits[0] + 1


# --- honest traffic ------------------------------------------------------------------------


def plain() -> Conversation:
    return asked().answer(ANSWER).close()


def early_answer() -> Conversation:
    head = request("/uploads", "POST", fields="Content-Length: 5000\r\n")
    one = talk().ask(head + b"x" * 100).answer(response(b"too large", 413))
    return one.ask(b"x" * 4_900).close()


def early_answer_and_close() -> Conversation:
    head = request("/uploads", "POST", fields="Content-Length: 5000\r\n")
    return talk().ask(head + b"x" * 100).answer(response(b"too large", 413)).close(SERVER)


def half_closed_client() -> Conversation:
    return asked().fin(CLIENT).wait(SECOND).answer(ANSWER).fin(SERVER)


def half_closed_client_and_reset_server() -> Conversation:
    return asked().fin(CLIENT).wait(SECOND).answer(ANSWER).reset(SERVER)


def answered_at_accept() -> Conversation:
    return talk().answer(ANSWER).ask(request(VET)).close(SERVER)


def late_syn() -> Conversation:
    one = plain()
    one.frames[0], one.frames[1] = one.frames[1], one.frames[0]
    return one


def keep_alive_probes() -> Conversation:
    one = asked().answer(ANSWER)
    for _ in range(3):
        one.wait(30 * SECOND).send(CLIENT, b"\0", seq=one.next[CLIENT] - 1)
        one.send(SERVER)
    return one.ask(request(OCCUPANCY)).answer(response(occupancy())).close()


def head_and_not_modified() -> Conversation:
    one = talk().ask(request(VET, "HEAD")).answer(response(b"", length=90))
    one.ask(request(VET)).answer(response(b"", 304, length=90))
    return one.ask(request(VET)).answer(response(b"", 204)).ask(request(VET)).answer(ANSWER).close()


def pipelined() -> Conversation:
    one = talk().ask(request(VET) + request(OCCUPANCY) + request(VET))
    return one.answer(ANSWER + response(occupancy()) + ANSWER).close()


def connection_without_requests() -> Conversation:
    return talk().wait(SECOND).close()


def closed_when_idle() -> Conversation:
    return asked().answer(ANSWER).wait(5 * SECOND).close(SERVER)


def reset_when_done() -> Conversation:
    return asked().answer(ANSWER).reset(CLIENT)


def until_the_close() -> Conversation:
    body = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + vet_report()
    return talk().ask(request(VET, version="1.0")).answer(body).close(SERVER)


def until_the_close_in_the_fin() -> Conversation:
    one = talk().ask(request(VET, version="1.0"))
    one.send(SERVER, b"HTTP/1.0 200 OK\r\n\r\n" + vet_report(), FIN | ACK)
    one.send(CLIENT)
    return one.fin(CLIENT)


def expectation() -> Conversation:
    one = talk().ask(
        request("/uploads", "PUT", fields="Content-Length: 4\r\nExpect: 100-continue\r\n")
    )
    return one.answer(b"HTTP/1.1 100 Continue\r\n\r\n").ask(b"data").answer(ANSWER).close()


def upgraded() -> Conversation:
    one = talk().ask(request("/live", fields="Upgrade: websocket\r\nConnection: Upgrade\r\n"))
    one.answer(b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n").answer(b"\x81\x02hi")
    return one.ask(b"\x81\x82abcdhi").close()


def retransmitted() -> Conversation:
    one = asked()
    one.frames.append(one.frames[3]._replace(time=one.time + MILLISECOND))
    return one.wait(2 * MILLISECOND).answer(ANSWER, 40).close()


def refused_connection() -> Conversation:
    one = Conversation(("10.0.1.1", 41_001), start=LATER)
    one.send(CLIENT, flags=SYN)
    one.send(SERVER, flags=RST | ACK)
    return one


def error_pages() -> Conversation:
    page = response(b"<h1>No</h1>", 404, fields="Content-Type: text/html\r\n")
    return asked().answer(page).ask(request(OCCUPANCY)).answer(page).close()


def empty_lists() -> Conversation:
    body = occupancy().replace(b"[4, 7]", b"[]")
    return talk().ask(request(OCCUPANCY)).answer(response(body)).close()


def queued_once(tmp_path: Path, *, body: bytes) -> list[tuple[str, str, str, str]]:
    """One endpoint always answers briefly, another one once, at the same time."""
    calls = []
    for number in range(8):
        one = talk(120 + number, start=LATER - 60 * SECOND + number * SECOND)
        ticket = b'{"status": "queued", "ticket": %d}' % (100 + number)
        calls.append(one.ask(request("/exports", "POST", body=b"{}")).answer(response(ticket)))
    two = talk(2).ask(request("/exports", "POST", body=b"{}")).wait(SECOND)
    three = talk(3, start=LATER + MILLISECOND).ask(request(VET)).wait(500 * MILLISECOND)
    two.answer(response(b'{"status": "queued", "ticket": 108}')).close()
    three.answer(response(body)).close()
    return found(judged(tmp_path, *calls, two, three))


def test_two_brief_answers_at_one_time_are_no_copies(tmp_path: Path) -> None:
    assert queued_once(tmp_path, body=b'{"status": "queued", "ticket": 109}') == []


def test_the_same_answer_given_to_two(tmp_path: Path) -> None:
    same = b'{"status": "queued", "ticket": 108}'
    assert queued_once(tmp_path, body=same) == [("misdelivered", "server/stolen", VET, "/exports")]


def test_variants_of_one_program_under_two_hosts_are_no_swap(tmp_path: Path) -> None:
    def feature(number: int, host: bytes, body: bytes) -> Conversation:
        one = talk(number, start=LATER - 60 * SECOND + number * SECOND)
        return one.ask(request("/feature").replace(b"api.example", host)).answer(response(body))

    parts = [feature(n, b"a.example", vet_report()) for n in range(3, 8)]
    parts += [feature(n, b"b.example", occupancy()) for n in range(13, 18)]
    one = talk(1).ask(request("/feature").replace(b"api.example", b"a.example"))
    two = talk(2).ask(request("/feature").replace(b"api.example", b"b.example"))
    one.wait(SECOND).answer(response(occupancy())).close()
    two.wait(SECOND).answer(response(vet_report())).close()
    assert found(judged(tmp_path, *parts, one, two)) == []


@pytest.mark.parametrize(
    "honest",
    [
        plain,
        early_answer,
        early_answer_and_close,
        half_closed_client,
        half_closed_client_and_reset_server,
        answered_at_accept,
        late_syn,
        keep_alive_probes,
        head_and_not_modified,
        pipelined,
        connection_without_requests,
        closed_when_idle,
        reset_when_done,
        until_the_close,
        until_the_close_in_the_fin,
        expectation,
        upgraded,
        retransmitted,
        refused_connection,
        error_pages,
        empty_lists,
    ],
)
def test_honest_traffic_has_no_finding(tmp_path: Path, honest: Incident) -> None:
    report = judged(tmp_path, honest())
    assert found(report) == []
    assert report.totals["undecided"] == 0
    assert report.totals["answered"] == report.totals["requests"]


# --- what the capture lacks ----------------------------------------------------------------


def undecided(report: Report) -> list[str]:
    assert found(report) == []
    assert report.totals["undecided"] == len(report.judgement.undecided)
    return [one.request.target for one in report.judgement.undecided]


def test_outstanding_when_the_capture_ends(tmp_path: Path) -> None:
    report = scanned(tmp_path, [*ordinary(), *asked().frames])
    assert undecided(report) == [VET]
    assert report.judgement.undecided[0].why == "the capture ends while it is outstanding"


def test_a_client_that_closed_as_the_capture_ended(tmp_path: Path) -> None:
    report = scanned(tmp_path, [*ordinary(), *asked().wait(150 * MILLISECOND).fin(CLIENT).frames])
    assert undecided(report) == [VET]
    # It had waited for many times as long as answers take here.
    report = scanned(tmp_path, [*ordinary(), *asked().wait(SECOND).fin(CLIENT).frames])
    assert found(report) == [("unanswered", "server/silent", VET, "")]


def test_an_answer_that_was_not_captured(tmp_path: Path) -> None:
    one = asked()
    one.send(SERVER, ANSWER, captured=False)
    one.send(CLIENT)
    assert undecided(judged(tmp_path, one.close())) == [VET]


def test_an_answer_whose_end_was_not_captured(tmp_path: Path) -> None:
    one = asked()
    one.send(SERVER, ANSWER[:-30])
    one.send(SERVER, ANSWER[-30:], captured=False)
    one.send(CLIENT)
    report = judged(tmp_path, one.close())
    assert found(report) == []


def test_one_direction_alone(tmp_path: Path) -> None:
    server = bytes([10, 0, 0, 2])
    frames = [f for f in silent().frames if f.packet[12:16] != server]
    report = scanned(tmp_path, sorted([*ordinary(), *frames, *epilogue()]))
    assert undecided(report) == [VET]


def test_a_connection_that_was_open_before(tmp_path: Path) -> None:
    one = asked().wait(30 * SECOND).close()
    one.frames = one.frames[3:]
    report = judged(tmp_path, one)
    assert undecided(report) == [VET]


def test_the_story_with_a_gap_in_the_owners_connection(tmp_path: Path) -> None:
    one, two = swap()
    gapped = talk(1).ask(request(VET))
    gapped.send(SERVER, ANSWER, captured=False)
    gapped.send(CLIENT)
    gapped.wait(10 * SECOND).fin(CLIENT)
    report = judged(tmp_path, gapped, two)
    assert found(report) == []
    assert sorted(undecided(report)) == [VET, OCCUPANCY]
    assert found(judged(tmp_path, one, two)) != []


def test_a_snaplen_that_cuts_the_bodies(tmp_path: Path) -> None:
    one, two = swap()
    frames = sorted([*ordinary(), *one.frames, *two.frames, *epilogue()])
    whole = scanned(tmp_path, frames)
    report = scanned(tmp_path, frames, snaplen=150)
    assert not [kind for kind, *_ in found(report) if kind == "misdelivered"]
    assert report.totals["requests"] == whole.totals["requests"]


def test_frames_are_named_as_the_capture_numbers_them(tmp_path: Path) -> None:
    one, two = swap()
    frames = sorted([*ordinary(), *one.frames, *two.frames, *epilogue()], key=lambda f: f.time)
    report = scanned(tmp_path, frames)
    misdelivered = next(f for f in report.judgement.findings if f.kind == "misdelivered")
    assert misdelivered.request is not None
    assert misdelivered.response is not None
    assert misdelivered.owner is not None

    def place(talking: Conversation, at: int) -> int:
        return frames.index(talking.frames[at]) + 1

    assert misdelivered.request.frame == place(two, 3)
    assert misdelivered.response.frame == place(two, 5)
    assert misdelivered.owner.frame == place(one, 3)
    assert misdelivered.filter == (
        "(ip.addr == 10.0.1.2 && tcp.port == 41002 && tcp.port == 8080)"
        " || (ip.addr == 10.0.1.1 && tcp.port == 41001 && tcp.port == 8080)"
    )


def test_the_identity_of_a_finding_does_not_depend_on_the_file(tmp_path: Path) -> None:
    one, two = swap()
    frames = sorted([*ordinary(), *one.frames, *two.frames, *epilogue()])
    names = []
    for extra in ([], [Frame(LATER - 1, b"\x45 noise")]):
        report = scanned(tmp_path, sorted([*frames, *extra]))
        names.append(sorted(f.id for f in report.judgement.findings))
    assert names[0] == names[1]
    assert len(set(names[0])) == 2


# --- nobody's, and somebody's all the same -------------------------------------------------


def test_an_answer_on_a_connection_where_nothing_was_asked(tmp_path: Path) -> None:
    two = talk(2, start=LATER + 6 * SECOND).wait(SECOND).answer(ANSWER).wait(SECOND).close()
    report = judged(tmp_path, asked().wait(5 * SECOND).fin(CLIENT), two)
    assert found(report) == [
        ("unanswered", "server/descriptor", VET, ""),
        ("unsolicited", "server/descriptor", "", ""),
    ]
    one, other = report.judgement.findings
    assert one.incident == other.incident
    assert one.request == other.owner


def test_a_second_answer_is_not_anothers_who_hangs(tmp_path: Path) -> None:
    two = talk(2, start=LATER + SECOND).ask(request("/horses/418/vet-report"))
    two.answer(response(vet_report(418))).wait(SECOND).answer(response(vet_report(418))).close()
    report = judged(tmp_path, asked().wait(5 * SECOND).close(), two)
    assert found(report) == [
        ("unanswered", "server/silent", VET, ""),
        ("unsolicited", "connection/desync", "", ""),
    ]
    owner = report.judgement.findings[1].owner
    assert owner is not None
    assert owner.target == "/horses/418/vet-report"


# --- what else went wrong then -------------------------------------------------------------


def test_what_else_went_wrong_at_the_server(tmp_path: Path) -> None:
    begins = LATER + SECOND
    refused = [
        Conversation(("10.0.8.1", 50_000 + n), isns=(7 + n, 0), start=begins) for n in range(3)
    ]
    for one in refused:
        one.send(CLIENT, flags=SYN)
        one.send(SERVER, flags=RST | ACK)
    cut = talk(7, start=begins).ask(request(OCCUPANCY)).close(SERVER)
    report = judged(tmp_path, silent(), cut, *refused)
    assert report.anomalies["connection-refused"] == 3
    facts = {
        f.request.target: [fact.fact for fact in f.evidence]
        for f in report.judgement.findings
        if f.request is not None
    }
    span = "in the 60 s before and after"
    said = f"{span} 3 connections were refused at the server's port with a reset, as if nobody"
    assert any(fact.startswith(said) for fact in facts[VET])
    assert f"{span} the server closed one other connection without an answer" in facts[VET]
    assert not any("closed one other" in fact for fact in facts[OCCUPANCY])


@pytest.mark.parametrize("expects", [True, False])
def test_a_request_that_is_never_finished_is_noted(tmp_path: Path, expects: bool) -> None:
    """Its client may have waited for a 100 (RFC 9110 §10.1.1)."""
    fields = "Content-Length: 9\r\n" + ("Expect: 100-continue\r\n" if expects else "")
    head = request("/transfers", method="POST", fields=fields)
    one = talk(1).ask(head).wait(2 * SECOND).close()
    report = scanned(tmp_path, sorted([*ordinary(5), *one.frames, *epilogue()]))
    (notice,) = report.judgement.notices
    assert notice.notice.startswith("the client never finished sending")
    assert ("Expect: 100-continue" in notice.notice) is expects
