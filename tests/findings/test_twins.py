"""Requests that are alike: one answer for several is honest, unless it says whose it is."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.features.echoes import echoed, in_words, tokens
from analyzer.findings.model import Confidence, Finding, Kind
from analyzer.report.result import Report
from tests.builder import (
    CLIENT,
    MILLISECOND,
    SECOND,
    SERVER,
    START,
    Conversation,
    Frame,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import LATER, epilogue, occupancy, ordinary, talk, vet_report
from tests.tools import scanned

Asking = Callable[[int], bytes]
Answering = Callable[[int], bytes]


def judged(
    folder: Path, ask: Asking, answer: Answering, *incident: Conversation, many: int = 20
) -> Report:
    """The report on so many ordinary exchanges and these conversations."""
    parts = []
    for number in range(1000, 1000 + many):
        one = talk(100 + number - 1000, start=START + (number - 1000) * SECOND)
        parts.append(one.ask(ask(number)).answer(answer(number)).close().frames)
    end = talk(99, start=LATER + 300 * SECOND).ask(ask(5000)).answer(answer(5000)).close()
    return scanned(folder, in_time(*parts, *(one.frames for one in incident), end.frames))


def strayed(report: Report) -> list[Finding]:
    return [f for f in report.judgement.findings if f.kind is Kind.MISDELIVERED]


# --- a request id of its own, and the same thing asked for ---------------------------------


def traced(number: int, target: str = "/assets/logo", fields: str = "") -> bytes:
    return request(target, fields=f"X-Request-Id: req-{number}\r\n{fields}")


def tracing(number: int) -> bytes:
    fields = f"Content-Type: application/json\r\nX-Request-Id: req-{number}\r\n"
    return response(as_json({"asset": "logo", "size": 7, "tags": ["a"]}), fields=fields)


@pytest.mark.parametrize("target", ["/assets/2020", "/assets/2020?from=mail"])
def test_one_answer_for_two_that_ask_for_one_thing(tmp_path: Path, target: str) -> None:
    """A cache passes on one of them; what it answers has that one's header, for both."""
    one = talk(1).ask(traced(2001, "/assets/2020")).wait(SECOND).answer(tracing(2001)).close()
    two = talk(2, start=LATER + MILLISECOND).ask(traced(2002, target)).wait(SECOND)
    two.answer(tracing(2001)).close()
    report = judged(tmp_path, lambda n: traced(n, f"/assets/{n}"), tracing, one, two)
    assert strayed(report) == []


def again(client: str) -> Conversation:
    """Another connection, two seconds later."""
    return Conversation((client, 42_000), isns=(7, 70_000), start=LATER + 2 * SECOND).open()


@pytest.mark.parametrize(
    ("client", "fields"), [("10.0.1.1", ""), ("10.0.1.2", "Idempotency-Key: pay-77\r\n")]
)
def test_the_answer_to_the_first_attempt_is_the_seconds_too(
    tmp_path: Path, client: str, fields: str
) -> None:
    one = talk(1).ask(traced(2001, fields=fields)).wait(SECOND).fin(CLIENT)
    two = again(client).ask(traced(2002, fields=fields)).answer(tracing(2001)).close()
    assert strayed(judged(tmp_path, traced, tracing, one, two)) == []


def test_the_answer_to_one_that_left_is_kept_for_another(tmp_path: Path) -> None:
    one = talk(1).ask(traced(2001)).wait(SECOND).fin(CLIENT)
    two = talk(2, start=LATER + 2 * SECOND).ask(traced(2002)).answer(tracing(2001)).close()
    assert strayed(judged(tmp_path, traced, tracing, one, two)) == []


def test_the_answer_to_one_that_waits_is_nobody_elses(tmp_path: Path) -> None:
    one = talk(1).ask(traced(2001)).wait(20 * SECOND).fin(CLIENT)
    two = talk(2, start=LATER + SECOND).ask(traced(2002)).answer(tracing(2001)).close()
    (finding,) = strayed(judged(tmp_path, traced, tracing, one, two))
    # One in twenty hangs, and one in twenty lacks its id: twenty examples make nobody certain.
    assert finding.confidence is Confidence.LIKELY
    assert finding.owner is not None and finding.owner.client.startswith("10.0.1.1:")


# --- one thing with two names --------------------------------------------------------------


def paying(number: int) -> bytes:
    return request(
        "/pay", method="POST", body=b"{}", fields=f"Idempotency-Key: {number:08x}-key\r\n"
    )


def paid(number: int, payment: int) -> bytes:
    return response(
        b'{"payment":%d}' % payment, 201, fields=f"Idempotency-Key: {number:08x}-key\r\n"
    )


@pytest.mark.parametrize("payments", [(71, 72), (71, 71)])
def test_two_answers_for_the_same_question_are_no_one_answer(
    tmp_path: Path, payments: tuple[int, int]
) -> None:
    """A client asks twice, and each names the other's key; what says the same may be either's."""
    others = [
        talk(100 + n, start=START + n * SECOND).ask(paying(n)).answer(paid(n, 900 + n)).close()
        for n in range(40)
    ]
    one = talk(1).ask(paying(0xBEEF))
    two = Conversation(("10.0.1.1", 42_000), isns=(7, 70_000), start=LATER + MILLISECOND).open()
    two.ask(paying(0xCAFE))
    one.wait(50 * MILLISECOND).answer(paid(0xCAFE, payments[0])).close()
    two.wait(50 * MILLISECOND).answer(paid(0xBEEF, payments[1])).close()
    frames = (each.frames for each in (*others, one, two))
    report = scanned(tmp_path, in_time(*frames, epilogue()))
    found = [f.request.target for f in strayed(report) if f.request is not None]
    assert found == (["/pay", "/pay"] if payments[0] != payments[1] else [])


def horse(number: int) -> bytes:
    return request(f"/horses/{number}")


def of_horse(number: int) -> bytes:
    return response(as_json({"id": number, "name": "Juniper", "stall": 4}))


def test_a_thing_asked_for_by_both_its_names_at_once(tmp_path: Path) -> None:
    one = talk(1).ask(horse(2001)).wait(SECOND).answer(of_horse(2001)).close()
    two = talk(2, start=LATER + MILLISECOND).ask(horse(2777)).wait(SECOND)
    two.answer(of_horse(2001)).close()
    assert strayed(judged(tmp_path, horse, of_horse, one, two)) == []


def searched(word: str) -> bytes:
    return request(f"/search?q={word}")


def found(word: str) -> bytes:
    return response(as_json({"query": word, "hits": [1, 2]}))


@pytest.mark.parametrize(
    ("asked", "strays"), [("barcelonna", 0), ("barcel", 0), ("BARCELONA", 0), ("madrid", 1)]
)
def test_a_word_put_right_is_its_own(tmp_path: Path, asked: str, strays: int) -> None:
    words = [f"{a}{b}ova" for a in "bcdfg" for b in "lmnpr"]
    one = talk(1).ask(searched("barcelona")).wait(20 * SECOND).fin(CLIENT)
    two = talk(2, start=LATER + SECOND).ask(searched(asked)).answer(found("barcelona")).close()
    report = judged(
        tmp_path,
        lambda n: searched(words[n % len(words)]),
        lambda n: found(words[n % len(words)]),
        one,
        two,
    )
    assert len(strayed(report)) == strays


# --- who asks ------------------------------------------------------------------------------


def web_token(claims: object) -> str:
    head, body = (
        base64.urlsafe_b64encode(as_json(part)).rstrip(b"=").decode()
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    return f"{head}.{body}.c2lnbmVk"


def with_cookie(number: int) -> bytes:
    return request("/account", fields=f"Cookie: theme=dark; member=m{number}; x\r\n")


def with_token(number: int) -> bytes:
    token = web_token({"sub": f"m{number}", "iat": 1_700_000_000})
    return request("/account", fields=f"Authorization: Bearer {token}\r\n")


def page(number: int) -> bytes:
    text = f"<html><p>Hello <b>m{number}</b></p><p>{number * 7}</p></html>".encode()
    return response(text, fields="Content-Type: text/html; charset=utf-8\r\n")


def profile(number: int) -> bytes:
    return response(as_json({"member": f"m{number}", "points": number * 7}))


@pytest.mark.parametrize("answer", [page, profile])
@pytest.mark.parametrize("ask", [with_cookie, with_token])
def test_what_one_member_was_given_is_given_to_another(
    tmp_path: Path, ask: Asking, answer: Answering
) -> None:
    """A cache may have mixed them up; or the server shows one what the other sees, and means it."""
    one = talk(1).ask(ask(2001)).answer(answer(2001)).close()
    two = talk(2, start=LATER + SECOND).ask(ask(2002)).answer(answer(2001)).close()
    report = judged(tmp_path, ask, answer, one, two)
    assert report.judgement.findings == []
    (notice,) = report.judgement.notices
    assert "what its request names" in notice.notice
    assert notice.request is not None
    assert notice.request.client == "10.0.1.2:41002"


@pytest.mark.parametrize("ask", [with_cookie, with_token])
def test_two_members_are_given_each_others_page(tmp_path: Path, ask: Asking) -> None:
    one = talk(1).ask(ask(2001)).wait(SECOND).answer(profile(2002)).close()
    two = talk(2, start=LATER + MILLISECOND).ask(ask(2002)).wait(SECOND).answer(profile(2001))
    found = strayed(judged(tmp_path, ask, profile, one, two.close()))
    assert [f.cause for f in found] == ["server/crossed"] * 2
    assert not any("m200" in fact.fact for f in found for fact in f.evidence)


@pytest.mark.parametrize("lost", [True, False])
def test_a_page_of_somebody_who_hangs(tmp_path: Path, lost: bool) -> None:
    """One who helps a member sees the member's page, too, because it hangs."""
    one = talk(1).ask(with_cookie(2001)).wait(SECOND).fin(SERVER if lost else CLIENT)
    one = one.wait(MILLISECOND).fin(CLIENT if lost else SERVER)
    two = talk(2, start=LATER + 5 * SECOND).ask(with_cookie(2002)).answer(profile(2001)).close()
    assert len(strayed(judged(tmp_path, with_cookie, profile, one, two, many=40))) == lost


@pytest.mark.parametrize("ask", [with_cookie, with_token])
def test_a_page_that_says_nobody_is_a_notice(tmp_path: Path, ask: Asking) -> None:
    html = "Content-Type: text/html; charset=utf-8\r\n"
    two = talk(2).ask(ask(2002)).answer(response(b"<p>Welcome</p>", fields=html)).close()
    report = judged(tmp_path, ask, page, two)
    assert strayed(report) == []
    assert any("what its request names" in notice.notice for notice in report.judgement.notices)


# --- so many mute that a rule is weak ------------------------------------------------------


@pytest.mark.parametrize(("mirrored", "strays"), [(True, 2), (False, 0)])
def test_two_that_mirror_each_other_among_many_that_repeat_nothing(
    tmp_path: Path, mirrored: bool, strays: int
) -> None:
    many = []
    for number in range(100):
        one = talk(number % 100 + 1, start=START + (30 + number // 2) * SECOND, address="10.0.7")
        body = of_horse(3000 + number if number % 33 else 9_999)
        many.append(one.ask(horse(3000 + number)).answer(body).close())
    one = talk(1).ask(horse(2001)).wait(SECOND).answer(of_horse(2002)).close()
    two = talk(2, start=LATER + MILLISECOND).ask(horse(2002)).wait(SECOND)
    two.answer(of_horse(2001 if mirrored else 9_998)).close()
    report = judged(tmp_path, horse, of_horse, *many, one, two)
    assert len(strayed(report)) == strays
    assert all(f.confidence is Confidence.LIKELY for f in strayed(report))


@pytest.mark.parametrize("alone", [True, False])
def test_two_that_name_each_other_always(tmp_path: Path, alone: bool) -> None:
    """They have swapped shifts: what each is answered when it asks alone, it is answered always."""
    before = [
        talk(number, start=LATER - (20 - 5 * number) * SECOND, address="10.0.7")
        .ask(horse(2000 + number))
        .answer(of_horse(2003 - number))
        .close()
        for number in (1, 2)
    ]
    one = talk(1).ask(horse(2001)).wait(SECOND).answer(of_horse(2002)).close()
    two = talk(2, start=LATER + MILLISECOND).ask(horse(2002)).wait(SECOND).answer(of_horse(2001))
    report = judged(tmp_path, horse, of_horse, *before[: 2 * alone], one, two.close())
    assert len(strayed(report)) == (0 if alone else 2)


# --- the same in another spelling ----------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/things/A1B2-77", '{"id": "a1b2-77"}'),
        ("/things/0417", '{"id": 417}'),
        ("/things/417", '{"id": "00417"}'),
        ("/things/blog7711.xml", '{"id": "blog7711"}'),
        ("/things/O%27Brien%20%26%20sons", "<p>O&#39;Brien &amp; sons</p>"),
        ("/things/caf%C3%A9", '{"id": "caf\\u00e9"}'),
        ("/things/a%2Fb", '{"id": "a\\/b"}'),
        ("/things/a%20b", '{"next": "/things?after=a+b"}'),
        ("/things/winter-field-1", "<h1>Winter Field #1</h1>"),
        ("/things/open_line", '{"title": "Open Line"}'),
    ],
)
def test_a_token_in_another_spelling(asked: str, said: str) -> None:
    token = dict(tokens(asked.encode(), b"", b""))["path[-1]"]
    assert echoed(token, said.encode())
    assert not echoed(token + b"1", said.encode())


@pytest.mark.parametrize(
    "text", [b"a Winter Field 12", b"Midwinter field 1", b"winter / / / field 1"]
)
def test_a_slug_is_written_out_in_whole_words(text: bytes) -> None:
    assert echoed(b"Winter-field_1", b"the WINTER  field #1.")
    assert not echoed(b"Winter-field_1", text)


@pytest.mark.parametrize("token", [b"2026-11-25", b"a1-b2", b"1b4e28ba-2fa1-11d2", b"word"])
def test_what_has_no_words_is_no_slug(token: bytes) -> None:
    assert in_words(token) is None


# --- what is not JSON ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/x-www-form-urlencoded", "meter={}&kwh=17&read=true"),
        ("application/x-ndjson", '{{"meter": {}}}\n{{"kwh": 17}}\n'),
        ("text/markdown", "# Meter {}\n\n17 kWh\n"),
        ("text/tab-separated-values", "meter\tkwh\n{}\t17\n"),
    ],
)
def test_two_that_name_each_other_whatever_they_are_written_in(
    tmp_path: Path, media_type: str, body: str
) -> None:
    def answered(number: int) -> bytes:
        return response(body.format(number).encode(), fields=f"Content-Type: {media_type}\r\n")

    one, two = (talk(n, start=LATER + n * MILLISECOND) for n in (1, 2))
    one.ask(request("/reading/700111")).wait(SECOND).answer(answered(700142)).close()
    two.ask(request("/reading/700142")).wait(SECOND).answer(answered(700111)).close()
    report = judged(tmp_path, lambda n: request(f"/reading/70{n}"), lambda n: answered(700000 + n))
    assert strayed(report) == []
    report = judged(
        tmp_path, lambda n: request(f"/reading/70{n}"), lambda n: answered(700000 + n), one, two
    )
    owners = [f.owner.target for f in strayed(report) if f.owner is not None]
    assert sorted(owners) == ["/reading/700111", "/reading/700142"]


def test_an_answer_made_of_what_another_one_sent(tmp_path: Path) -> None:
    """Both are answered, both for the later one's order; each names its ids in its body alone."""

    def order(number: int) -> bytes:
        body = as_json(
            {"customer": f"C{number * 7_919 % 99_991:05d}", "sku": f"S{number * 31:05d}"}
        )
        return request("/quotes", "POST", body=body, fields="Content-Type: application/json\r\n")

    def quote(number: int, price: int) -> bytes:
        ids = {"customer": f"C{number * 7_919 % 99_991:05d}", "sku": f"S{number * 31:05d}"}
        return response(as_json({**ids, "price": price}))

    parts = []
    for number in range(100, 140):
        one = talk(number, start=START + number * SECOND)
        parts.append(one.ask(order(number)).answer(quote(number, number)).close().frames)
    one = talk(1).ask(order(1)).wait(40 * MILLISECOND).answer(quote(2, 5)).close()
    two = talk(2, start=LATER + 5 * MILLISECOND).ask(order(2)).wait(20 * MILLISECOND)
    frames = in_time(*parts, one.frames, two.answer(quote(2, 6)).close().frames)
    (finding,) = scanned(tmp_path, frames).judgement.findings
    assert finding.kind is Kind.MISDELIVERED and finding.cause == "server/stolen"
    assert finding.request is not None and finding.owner is not None
    assert (finding.request.client, finding.owner.client) == ("10.0.1.1:41001", "10.0.1.2:41002")
    assert any("a response of its own" in fact.fact for fact in finding.evidence)


def test_what_is_made_of_another_ones_request_has_no_second_name(tmp_path: Path) -> None:
    """A second name differs in one place: here both the show and the episode are another's."""

    def asks(number: int) -> bytes:
        return request(f"/shows/s{number * 7_919 % 99_991:05d}/episodes/{number * 31:05d}")

    def says(number: int, at: int) -> bytes:
        names = {"show": f"s{number * 7_919 % 99_991:05d}", "episode": f"{number * 31:05d}"}
        return response(as_json({**names, "at": at}))

    parts = []
    for number in range(100, 140):
        one = talk(number, start=START + number * SECOND)
        parts.append(one.ask(asks(number)).answer(says(number, number)).close().frames)
    one = talk(1).ask(asks(1)).wait(40 * MILLISECOND).answer(says(2, 5)).close()
    two = talk(2, start=LATER + 5 * MILLISECOND).ask(asks(2)).wait(20 * MILLISECOND)
    frames = in_time(*parts, one.frames, two.answer(says(2, 6)).close().frames)
    (finding,) = strayed(scanned(tmp_path, frames))
    names = [one.name for one in finding.explanations]
    assert "another name of the same thing" not in names


def test_an_old_name_that_is_always_answered_with_the_new_one(tmp_path: Path) -> None:
    """While one who asks by the new name hangs: others by old names were answered so before."""

    def product(asked: str, said: str, number: int, start: int) -> list[Frame]:
        one = talk(number, start=start).ask(request(f"/products/{asked}"))
        body = as_json({"id": said, "price": number * 7})
        return one.wait(5 * MILLISECOND).answer(response(body)).close().frames

    parts = [
        product(f"lamp-{n * 37:04d}", f"lamp-{n * 37:04d}", n, START + n * SECOND)
        for n in range(20, 60)
    ]
    for n in range(4):
        parts.append(product(f"old-{2_019 + n}", "new-2026", 70 + n, START + (70 + n) * SECOND))
    hung = talk(1).ask(request("/products/new-2026")).wait(5 * SECOND).close()
    parts.append(product("old-2031", "new-2026", 80, LATER + SECOND))
    report = scanned(tmp_path, in_time(*parts, hung.frames))
    assert [str(f.kind) for f in report.judgement.findings] == ["unanswered"]


def crossed(number: int) -> tuple[Conversation, Conversation]:
    """Two clients that get each other's answer, of other endpoints; each time other ones."""
    start = LATER + number * SECOND
    one, two = talk(2 * number, start=start), talk(2 * number + 1, start=start + MILLISECOND)
    one.ask(request(f"/horses/{200 + number}/vet-report"))
    two.ask(request(f"/paddocks/{300 + number}/occupancy")).wait(50 * MILLISECOND)
    two.answer(response(vet_report(200 + number))).close()
    one.wait(80 * MILLISECOND).answer(response(occupancy(300 + number))).close()
    return one, two


def given_anothers() -> tuple[Conversation, Conversation]:
    """Two at one endpoint are given the same at once, which only one of them had asked for."""
    one, two = talk(1), talk(90, start=LATER + MILLISECOND)
    one.ask(request("/horses/777/vet-report"))
    two.ask(request("/horses/12/vet-report")).wait(50 * MILLISECOND)
    two.answer(response(vet_report(12))).close()
    one.wait(80 * MILLISECOND).answer(response(vet_report(12))).close()
    return one, two


@pytest.mark.parametrize(("others", "told"), [(0, False), (1, False), (3, True)])
def test_a_server_that_mixes_up_others_is_trusted_less(
    tmp_path: Path, others: int, told: bool
) -> None:
    """By itself it may be a second name. The first fault is why there is a capture at all."""
    faults = [one for number in range(1, others + 1) for one in crossed(number)]
    incidents = [one.frames for one in (*given_anothers(), *faults)]
    report = scanned(tmp_path, in_time(ordinary(40), *incidents, epilogue()))
    ours = [f for f in strayed(report) if f.request and f.request.target.startswith("/horses/777")]
    assert len(strayed(report)) == 2 * others + told
    assert len(ours) == told and len(report.judgement.notices) == (not told)
    for finding in ours:
        assert finding.owner is not None and finding.owner.target == "/horses/12/vet-report"
        (seen,) = [one for one in finding.weighed if one.comparison == "seen here"]
        assert f"gave {others} other responses" in seen.fact and len(seen.frames) == others


def test_what_is_asked_for_by_its_own_name_again_has_no_second_one(tmp_path: Path) -> None:
    """Later it is answered by itself."""
    later = talk(91, start=LATER + 9 * SECOND).ask(request("/horses/777/vet-report"))
    later.answer(response(vet_report(777))).close()
    incidents = [one.frames for one in (*given_anothers(), later)]
    report = scanned(tmp_path, in_time(ordinary(40), *incidents, epilogue()))
    (finding,) = strayed(report)
    assert finding.request is not None and finding.request.target == "/horses/777/vet-report"
    assert finding.owner is not None and finding.owner.target == "/horses/12/vet-report"


def test_what_is_asked_for_by_many_is_not_what_many_are_given(tmp_path: Path) -> None:
    """The same request is rightly given the same again; another one is not for that."""
    often = [
        talk(60 + n, start=LATER - (20 - n) * SECOND)
        .ask(request("/horses/12/vet-report"))
        .answer(response(vet_report(12)))
        .close()
        for n in range(6)
    ]
    later = talk(91, start=LATER + 9 * SECOND).ask(request("/horses/777/vet-report"))
    later.answer(response(vet_report(777))).close()
    incidents = [one.frames for one in (*given_anothers(), later, *often)]
    report = scanned(tmp_path, in_time(ordinary(40), *incidents, epilogue()))
    (finding,) = strayed(report)
    assert finding.request is not None and finding.request.target == "/horses/777/vet-report"
    assert finding.owner is not None and finding.owner.target == "/horses/12/vet-report"
