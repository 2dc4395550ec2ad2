"""Responses that show somebody else: whose request was under way, and what is honest there."""

import base64
import json
from pathlib import Path

from analyzer.findings.model import Finding, How, Kind
from tests.baselines.test_identities import (
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
