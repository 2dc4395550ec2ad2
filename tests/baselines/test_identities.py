"""What goes with credentials tells whose a response is, though it never repeats them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.findings.model import Finding, Kind
from tests.builder import (
    MILLISECOND,
    SECOND,
    START,
    Frame,
    as_json,
    in_time,
    request,
    response,
)
from tests.findings.stable import epilogue, talk
from tests.tools import scanned

GUESTS = 24
ONE, TWO = 5, 6  # who ask at one moment
LATER = START + 200 * SECOND
Page = Callable[[int, int], bytes]  # of a guest, at a time


def account(guest: int, time: int, **also: object) -> bytes:
    """It names no session; what is new and when it was read change each time."""
    name, card = f"guest-{guest * 7_919 % 10_007}", f"{guest * 104_729 % 99_991:05x}"
    return as_json(
        {"name": name, "card": card, "read": f"T{time * 31 % 997}", "new": time % 3, **also}
    )


def shop(guest: int, time: int) -> bytes:
    """A page of the same."""
    name = f"guest-{guest * 7_919 % 10_007}"
    text = f"<html><h1>Shop</h1><p>Welcome, {name}</p><ul><li>offer {time}</li></ul></html>"
    return text.encode()


def visits(
    now: list[tuple[int, bytes]],
    *,
    page: Page = account,
    target: Callable[[int, int], str] = lambda guest, time: "/account",
    later: Page | None = None,
    media_type: str = "application/json",
) -> list[Frame]:
    """Every guest asks thrice; then some at one moment, who are given these; then all once more."""
    fields = f"Content-Type: {media_type}\r\n"
    parts = []
    for guest in range(GUESTS):
        for time in range(3):
            start = START + (time * GUESTS + guest) * SECOND
            one = talk(100 + time * GUESTS + guest, start=start)
            said = response(page(guest, time), fields=fields)
            one.ask(asks(target(guest, time), guest)).wait(5 * MILLISECOND).answer(said)
            parts.append(one.close().frames)
    for number, (guest, body) in enumerate(now):
        one = talk(10 + number, start=LATER + number * MILLISECOND)
        one.ask(asks(target(guest, 7), guest)).wait(50 * MILLISECOND)
        parts.append(one.answer(response(body, fields=fields)).close().frames)
    for guest in range(GUESTS):
        one = talk(40 + guest, start=LATER + (10 + guest) * SECOND)
        said = response((later or page)(guest, 8), fields=fields)
        one.ask(asks(target(guest, 8), guest)).wait(5 * MILLISECOND).answer(said)
        parts.append(one.close().frames)
    return in_time(*parts, epilogue())


def asks(target: str, guest: int) -> bytes:
    return request(target, fields=f"Cookie: s={guest * 15_485_863 % 99_989:05d}\r\n")


def swapped(found: list[Finding]) -> dict[str, str]:
    """Recipients and owners, by client."""
    return {
        f.request.client: f.owner.client
        for f in found
        if f.kind is Kind.MISDELIVERED and f.request and f.owner
    }


def client(number: int) -> str:
    return f"10.0.1.{number}:{41_000 + number}"


def findings(tmp_path: Path, frames: list[Frame]) -> list[Finding]:
    return scanned(tmp_path, frames).judgement.findings


def test_who_is_shown_anothers_account_is_told(tmp_path: Path) -> None:
    found = findings(tmp_path, visits([(ONE, account(TWO, 7)), (TWO, account(TWO, 9))]))
    assert swapped(found) == {client(10): client(11)}
    [one] = found
    assert {"who", "not who"} <= {w.comparison for w in one.weighed}
    facts = " ".join(w.fact for w in one.weighed if w.comparison == "who")
    assert "$.name" in facts and "guest-" not in facts


def test_so_is_who_is_given_a_page_of_anothers(tmp_path: Path) -> None:
    now = [(ONE, shop(TWO, 7)), (TWO, shop(TWO, 9))]
    found = findings(tmp_path, visits(now, page=shop, media_type="text/html"))
    assert swapped(found) == {client(10): client(11)}


def test_two_who_are_given_each_others_are_crossed(tmp_path: Path) -> None:
    found = findings(tmp_path, visits([(ONE, account(TWO, 7)), (TWO, account(ONE, 9))]))
    assert swapped(found) == {client(10): client(11), client(11): client(10)}


HONEST: dict[str, list[Frame]] = {
    "each the own": visits([(ONE, account(ONE, 7)), (TWO, account(TWO, 9))]),
    "a new name of one's own": visits(
        [(ONE, as_json({"name": "new", "card": "0", "read": "T1", "new": 1})),
         (TWO, account(TWO, 9))]),
    "the same news to all at one moment": visits(
        [(ONE, account(ONE, 7, card="closed")), (TWO, account(TWO, 9, card="closed"))]),
    "news that one sees who comes only then": visits(
        [(ONE, account(ONE, 7, card="closed")), (GUESTS, account(GUESTS, 9, card="closed"))]),
    "signed in as another from then on": visits(
        [(ONE, account(TWO, 7)), (TWO, account(TWO, 9))],
        later=lambda guest, time: account(TWO if guest == ONE else guest, time)),
    "what is asked for is another's, seldom, and may be seen": visits(
        [(ONE, account(TWO, 7))],
        target=lambda guest, time: f"/bookings/{guest * 31 + time * 7_717 % 9_973}"),
    "who is asked for stands in the path, and others may see it": visits(
        [(ONE, account(TWO, 7)), (TWO, account(TWO, 9))],
        target=lambda guest, time: f"/guests/{TWO if (guest, time) == (ONE, 7) else guest}"),
    "what is asked for is now and then another's, and may be seen": visits(
        [(ONE, account(TWO, 7)), (TWO, account(TWO, 9))],
        page=lambda guest, time: account(guest + (guest * 3 + time) % 8 // 7, time),
        target=lambda guest, time: f"/bookings/{guest * 31 + time * 7_717 % 9_973}"),
    "who is asked for stands in the path, and one may see all": visits(
        [(0, account(TWO, 7)), (TWO, account(TWO, 9))],
        page=lambda guest, time: account(time * 3 + 1 if guest == 0 else guest, time),
        target=lambda guest, time: f"/guests/{time * 3 + 1 if guest == 0 else guest}"),
    "one person in two sessions": visits(
        [(ONE, account(ONE, 7)), (TWO, account(ONE, 7))],
        page=lambda guest, time: account(ONE if guest == TWO else guest, time)),
    "all are told the same": visits(
        [(ONE, b'{"name":"all","card":"c"}'), (TWO, b'{"name":"all","card":"c"}')],
        page=lambda guest, time: as_json({"name": "all", "card": "c", "read": time})),
}  # fmt: skip


@pytest.mark.parametrize("what", HONEST)
def test_what_is_honest_is_no_finding(tmp_path: Path, what: str) -> None:
    assert findings(tmp_path, HONEST[what]) == []
