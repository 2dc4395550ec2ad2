"""What clients ordinarily ask of the services that public bug reports were recorded anew with.

As in `services`: one seed, one load, and the ids are those that the servers know.
"""

import json
import random

from captures.lab.services import CAMPS, SESSIONS, bearer, fmt
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

CAMPS_SHOWN: list[tuple[int, Maker]] = [one for n, one in enumerate(CAMPS) if n != 4]
ACCOUNTS: list[tuple[int, Maker]] = [
    (1, lambda rng: Request("GET", "/account", {"Cookie": f"camp_session={rng.choice(SESSIONS)}"}))
]

CROPS = ["beans", "kale", "leek", "beet", "pea", "onion"]


def _swap(rng: random.Random) -> Request:
    body = {"offers": rng.choice(CROPS), "kilos": rng.randint(1, 40)}
    kind = {"Content-Type": "application/json"}
    return Request("POST", "/swaps", {**kind, **bearer(rng, "plt_")}, json.dumps(body))


def _search(rng: random.Random) -> Request:
    body = {"crop": rng.choice(CROPS), "metres": rng.randint(20, 90)}
    return Request("POST", "/search", {"Content-Type": "application/json"}, json.dumps(body))


PLOTS: list[tuple[int, Maker]] = [
    (7, fmt("/plots/{n}", n=(1, 900))),
    (1, fmt("/plots/{n}", n=(9001, 9999))),
]
PLOTS_ALL: list[tuple[int, Maker]] = [
    *PLOTS,
    (3, fmt("/stock/{n}", n=(201, 900))),
    (2, _swap),
]
PLOTS_ALL_CACHED: list[tuple[int, Maker]] = [*PLOTS, (2, _swap)]
PLOT_LISTS: list[tuple[int, Maker]] = [
    (1, fmt("/plots?crop={c}&page={n}", c=CROPS, n=(1, 30))),
]
PLOT_SEARCHES: list[tuple[int, Maker]] = [(1, _search)]
GARDENERS: list[tuple[int, Maker]] = [
    (1, lambda rng: Request("GET", "/me", bearer(rng, "plt_", 40))),
]
STOCK: list[tuple[int, Maker]] = [(1, fmt("/stock/{n}", n=(100, 200)))]


def _graphql(query: str, signed_in: bool) -> Maker:
    """An operation of the garden; `{n}` in it is drawn."""

    def make(rng: random.Random) -> Request:
        body = json.dumps({"query": query.replace("{n}", str(rng.randint(1, 900)))})
        who = bearer(rng, "plt_", 40) if signed_in else {}
        return Request("POST", "/", {"Content-Type": "application/json", **who}, body)

    return make


GARDEN_GRAPHQL: list[tuple[int, Maker]] = [
    (5, _graphql('query Plot { plot(id: "{n}") { plot metres soil } }', False)),
    (2, _graphql('query Soil { plot(id: "{n}") { plot soil } }', False)),
]
GARDEN_ME: list[tuple[int, Maker]] = [
    (1, _graphql("query Me { me { name card owes } }", True)),
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
    "camps-shown": CAMPS_SHOWN,
    "accounts": ACCOUNTS,
    "plots": PLOTS,
    "plots-all": PLOTS_ALL,
    "plots-all-cached": PLOTS_ALL_CACHED,
    "plot-lists": PLOT_LISTS,
    "plot-searches": PLOT_SEARCHES,
    "gardeners": GARDENERS,
    "stock": STOCK,
    "garden-graphql": GARDEN_GRAPHQL,
    "garden-me": GARDEN_ME,
}
