"""Small traffic of a riding stable: two endpoints whose answers look different, and incidents."""

from pathlib import Path

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
from tests.tools import scanned

VET, OCCUPANCY = "/horses/417/vet-report", "/paddocks/12/occupancy"
LATER = START + 100 * SECOND  # when the incidents happen


def vet_report(horse: int = 417) -> bytes:
    """What /horses/{id}/vet-report answers."""
    return as_json({"horse": horse, "vet": "Dr. Moss", "passed": True, "notes": ["sound"]})


def occupancy(paddock: int = 12) -> bytes:
    """What /paddocks/{id}/occupancy answers."""
    return as_json({"paddock": paddock, "capacity": 8, "present": [4, 7], "full": False})


def talk(number: int = 1, *, start: int = LATER, address: str = "10.0.1") -> Conversation:
    """The opened connection of one client."""
    isns = number * 100_003, number * 777_001
    return Conversation((f"{address}.{number}", 41_000 + number), isns=isns, start=start).open()


def ordinary(count: int = 8, *, wait: int = 0) -> list[Frame]:
    """Clients that ask both endpoints and are answered, each answer after `wait` ns."""
    parts = []
    for number in range(1, count + 1):
        one = talk(100 + number, start=START + number * SECOND)
        for target, body in (
            (f"/horses/{number}/vet-report", vet_report(number)),
            (f"/paddocks/{number}/occupancy", occupancy(number)),
        ):
            one.ask(request(target)).wait(wait).answer(response(body))
        parts.append(one.close().frames)
    return in_time(*parts)


def epilogue() -> list[Frame]:
    """Ordinary traffic a minute later, so that the capture goes on after an incident."""
    return talk(99, start=LATER + 300 * SECOND).ask(request(VET)).answer(
        response(vet_report())
    ).close().frames  # fmt: skip


def judged(folder: Path, *incidents: Conversation, wait: int = 0) -> Report:
    """The report on a capture of ordinary traffic and these conversations."""
    parts = [one.frames for one in incidents]
    return scanned(folder, in_time(ordinary(wait=wait), *parts, epilogue()))


def swap(*, first_closes: bool = False) -> tuple[Conversation, Conversation]:
    """The story: one client hangs, and the next one on another host gets its answer.

    `first_closes`: the server closes the first connection before it accepts the second one.
    """
    one = talk(1).ask(request(VET))
    if first_closes:
        one.wait(100 * MILLISECOND).fin(SERVER).fin(CLIENT)
    two = (
        talk(2, start=LATER + SECOND).ask(request(OCCUPANCY)).answer(response(vet_report())).close()
    )
    if not first_closes:
        one.wait(10 * SECOND).fin(CLIENT)
    return one, two


def crossed() -> tuple[Conversation, Conversation]:
    """Two clients that get each other's answer."""
    one, two = talk(1), talk(2, start=LATER + 10 * MILLISECOND)
    one.ask(request(VET))
    two.ask(request(OCCUPANCY)).wait(50 * MILLISECOND).answer(response(vet_report())).close()
    one.wait(80 * MILLISECOND).answer(response(occupancy())).close()
    return one, two
