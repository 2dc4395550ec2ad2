"""What clients ordinarily ask of the services that public bug reports were recorded anew with.

As in `services`: one seed, one load, and the ids are those that the servers know.
"""

import json
import random

from captures.lab.services import bearer, fmt
from captures.lab.traffic import GZIP, Maker, Request, with_headers

MEMBER = (1, 300)


def _hold(rng: random.Random) -> Request:
    body = {"isbn": f"978{rng.randint(1, 200):010d}", "member": rng.randint(*MEMBER)}
    return Request("POST", "/holds", {"Content-Type": "application/json"}, json.dumps(body))


LIBRARY: list[tuple[int, Maker]] = [
    (7, fmt("/members/{n}", n=MEMBER)),
    (5, fmt("/members/{n}/loans", n=MEMBER)),
    (6, fmt("/books/978{n:010d}", n=(1, 200))),
    (3, fmt("/branches/{n}/hours", n=(1, 9))),
    (3, lambda rng: Request("GET", "/me", bearer(rng, "lib_"))),
    (2, _hold),
    (1, fmt("/members/{n}", n=(9001, 9999))),
]


def call(number: int, tool: str, **arguments: int | str) -> Request:
    """A JSON-RPC call of one of a model context server's tools."""
    asked = {"name": tool, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked}
    kinds = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    return Request("POST", "/mcp", kinds, json.dumps(body))


def _call(tool: str, **ranges: tuple[int, int]) -> Maker:
    def make(rng: random.Random) -> Request:
        drawn: dict[str, int | str] = {key: rng.randint(*of) for key, of in ranges.items()}
        return call(rng.randint(100, 99999), tool, **drawn)

    return make


STABLE: list[tuple[int, Maker]] = [
    (5, _call("horse_record", horse=(1, 700))),
    (4, _call("feed_plan", horse=(1, 700), days=(2, 6))),
    (4, _call("paddock_state", paddock=(1, 40))),
    (3, _call("vet_visits", horse=(1, 700))),
]

SHELTER: list[tuple[int, Maker]] = [
    (6, fmt("/api/animals/{n}", n=(1, 900))),
    (3, fmt("/api/animals?kind={k}&page={n}", k=["dog", "cat", "goat"], n=(1, 30))),
    (3, fmt("/api/visits/{n}", n=(4000, 9000))),
    (1, fmt("/api/animals/{n}", n=(9001, 9999))),
]
ADOPTERS: list[tuple[int, Maker]] = [(1, fmt("/api/adopters/{n}", n=(1, 2000)))]

BISTRO: list[tuple[int, Maker]] = [
    (6, fmt("/menu/{n}", n=(1, 400))),
    (3, with_headers(fmt("/menu/{n}", n=(1, 400)), GZIP)),
    (4, fmt("/tables/{n}/orders", n=(1, 60))),
    (2, fmt("/suppliers/{n}", n=(1, 90))),
    (1, fmt("/menu/{n}", n=(9001, 9999))),
]
BISTRO_ALLERGENS: list[tuple[int, Maker]] = [
    *BISTRO,
    (4, fmt("/menu/{n}/allergens", n=(1, 400))),
]

PAPERS: list[tuple[int, Maker]] = [
    (6, fmt("/papers/{n}", n=(1, 900))),
    (4, fmt("/drafts/{n}", n=(1, 900))),
    (3, fmt("/authors/{n}/papers", n=(1, 80))),
    (1, fmt("/papers/{n}", n=(9001, 9999))),
]


def _other(method: str, maker: Maker) -> Maker:
    def make(rng: random.Random) -> Request:
        return Request(method, maker(rng).target)

    return make


PAPERS_ALL: list[tuple[int, Maker]] = [
    *PAPERS,
    (3, _other("HEAD", PAPERS[0][1])),
    (3, _other("DELETE", PAPERS[1][1])),
]

LOG_SIZE = 40_000  # bytes of each of the servers/python/parts.py files
FILES = ["gate-north", "gate-south", "barn", "office"]


def _part(rng: random.Random) -> Request:
    first = rng.randrange(0, LOG_SIZE - 700)
    span = {"Range": f"bytes={first}-{first + rng.randint(200, 600)}"}
    return Request("GET", f"/logs/{rng.choice(FILES)}.txt", span)


PARTS: list[tuple[int, Maker]] = [
    (9, _part),
    (2, fmt("/logs")),
    (2, fmt("/logs/{f}.txt/digest", f=FILES)),
]

APIS: dict[str, list[tuple[int, Maker]]] = {
    "library": LIBRARY,
    "stable": STABLE,
    "shelter": SHELTER,
    "adopters": ADOPTERS,
    "bistro": BISTRO,
    "bistro-allergens": BISTRO_ALLERGENS,
    "papers": PAPERS,
    "papers-all": PAPERS_ALL,
    "parts": PARTS,
}
