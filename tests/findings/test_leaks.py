"""Responses that show somebody else: whose request was under way, and what is honest there."""

import base64
import json
from pathlib import Path

from analyzer.baselines.identities import Identities
from analyzer.findings.model import Finding, How, Kind
from tests.baselines.test_identities import (
    GUESTS,
    LATER,
    ONE,
    TWO,
    account,
    asks,
    client,
    findings,
    swapped,
    visits,
)
from tests.builder import MILLISECOND, SECOND, Frame, as_json, in_time, request, response
from tests.findings.stable import talk
from tests.tools import scanned


def beside(guest: int, target: str, body: bytes, *, number: int = 30) -> list[Frame]:
    """What a guest asks for at the moment in question, and is given."""
    one = talk(number, start=LATER + 2 * MILLISECOND)
    one.ask(asks(target, guest)).wait(60 * MILLISECOND).answer(response(body))
    return one.close().frames


def leaked(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.MISDELIVERED and f.causes[0].how is How.IDENTITY]


def test_the_owner_may_be_at_another_endpoint(tmp_path: Path) -> None:
    frames = in_time(visits([(ONE, account(TWO, 7))]), beside(TWO, "/feed", as_json({"news": 1})))
    found = findings(tmp_path, frames)
    assert swapped(found) == {client(10): client(30)}
    [one] = leaked(found)
    assert one.owner is not None and one.owner.endpoint == "GET /feed"
    assert {w.comparison for w in one.weighed} == {"who", "not who", "at once"}


def test_where_nobody_was_under_way_no_owner_is_named(tmp_path: Path) -> None:
    [one] = leaked(findings(tmp_path, visits([(ONE, account(TWO, 7))])))
    assert one.request is not None and one.request.client == client(10)
    assert one.owner is None
    # Somebody else was under way, and is not who is shown.
    frames = in_time(visits([(ONE, account(TWO, 7))]), beside(9, "/feed", as_json({"news": 1})))
    [one] = leaked(findings(tmp_path, frames))
    assert one.owner is None


def test_a_profile_that_all_may_see_is_no_leak_while_its_owner_is_there(tmp_path: Path) -> None:
    frames = visits(
        [(ONE, account(TWO, 7))],
        target=lambda guest, time: f"/guests/{TWO if (guest, time) == (ONE, 7) else guest}",
    )
    frames = in_time(frames, beside(TWO, "/feed", as_json({"news": 1})))
    assert findings(tmp_path, frames) == []


def token(guest: int, time: int) -> str:
    """A JSON Web Token that is renewed each time."""
    claims = {"exp": 1_800_000_000 + time, "sub": f"g{guest}", "iat": 1_700_000_000 + time}
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()) for p in ({"alg": "HS256"}, claims)]
    text = b".".join(part.rstrip(b"=") for part in parts).decode()
    return f"Authorization: Bearer {text}.{guest * 31 + time:08x}\r\n"


def renewed(now: list[tuple[int, bytes]]) -> list[Frame]:
    """Guests whose tokens are new each time; some ask at one moment."""
    parts = []
    for time in range(4):
        for guest in range(20):
            one = talk(100 + time * 20 + guest, start=LATER + (time * 20 + guest - 50) * SECOND)
            one.ask(request("/me", fields=token(guest, time))).wait(5 * MILLISECOND)
            parts.append(one.answer(response(account(guest, time))).close().frames)
    for number, (guest, body) in enumerate(now):
        one = talk(10 + number, start=LATER + SECOND // 2 + number * MILLISECOND)
        one.ask(request("/me", fields=token(guest, 9 + number))).wait(50 * MILLISECOND)
        parts.append(one.answer(response(body)).close().frames)
    return in_time(*parts)


def test_renewed_tokens_stand_for_one_person(tmp_path: Path) -> None:
    found = findings(tmp_path, renewed([(ONE, account(TWO, 7)), (TWO, account(TWO, 9))]))
    assert swapped(found) == {client(10): client(11)}
    # On two devices at once, and given the same page.
    assert findings(tmp_path, renewed([(ONE, account(ONE, 7)), (ONE, account(ONE, 7))])) == []


def test_what_each_is_shown_says_whether_two_may_be_given_the_same(tmp_path: Path) -> None:
    """Two sessions may be one person's on two devices; then one page for both is no swap."""
    frames = visits(
        [(ONE, account(ONE, 7)), (TWO, account(ONE, 7)), (9, account(9, 7))],
        page=lambda guest, time: account(ONE if guest == TWO else guest, time),
    )
    report = scanned(tmp_path, frames)
    assert report.judgement.findings == []
    identities = Identities.of(report.tables)
    at_once = LATER, LATER + SECOND
    rows = report.tables.pick(
        lambda rows: (rows["request_time"] > at_once[0]) & (rows["request_time"] < at_once[1])
    )
    one, two, other = rows
    assert identities.may_share(one, two) and identities.may_share(two, one)
    assert not identities.may_share(one, other) and not identities.may_share(other, two)


def test_what_all_are_told_at_one_address_is_no_notice(tmp_path: Path) -> None:
    """A chat's last line: other bytes each time, and the same for two of one room at once."""

    def line(guest: int, time: int) -> bytes:
        said = f"L{guest * 31 + time}" if time < 9 else "L9001"
        return as_json({"line": said, "by": f"g{time}", "room": f"room-{guest // 8}"})

    judged = scanned(tmp_path, visits([(ONE, line(ONE, 9)), (TWO, line(TWO, 9))], page=line))
    assert judged.judgement.findings == []
    assert judged.judgement.notices == []


def test_a_new_device_that_is_given_the_page_of_a_known_one_is_no_notice(tmp_path: Path) -> None:
    """Nothing is known of its session yet; both asked for the same, and who asks would tell."""
    page = account(ONE, 9)
    judged = scanned(tmp_path, visits([(ONE, page), (GUESTS, page)])).judgement
    assert (judged.findings, judged.notices) == ([], [])
