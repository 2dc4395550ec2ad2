"""What clients ordinarily ask of the services on other stacks; as in `traffic`, one seed, one load.

Their words (slugs, names, tokens) are those that the servers know.
"""

import json
import random
from typing import Any

from captures.lab.traffic import GZIP, Maker, Request, with_headers

SLUG_HEADS = ["north", "paper", "slow", "iron", "open", "salt", "blue", "late", "river", "winter"]
SLUG_TAILS = ["line", "garden", "gambit", "kitchen", "ledger", "signal", "window", "field"]


def slug(rng: random.Random, prefix: str = "") -> str:
    """A show's slug, as `slugOf` in servers/go/podcasts.go makes it."""
    n = rng.randrange(400)
    return f"{prefix}{SLUG_HEADS[n % 10]}-{SLUG_TAILS[n // 10 % 8]}-{1 + n // 80}"


def bearer(rng: random.Random, prefix: str, count: int = 12) -> dict[str, str]:
    """One of a few users' tokens."""
    return {"Authorization": f"Bearer {prefix}{rng.randrange(count):04d}"}


def fmt(pattern: str, **ranges: tuple[int, int] | list[str]) -> Maker:
    """A GET whose named places are drawn: a number from a range, or one of some words."""

    def make(rng: random.Random) -> Request:
        drawn = {
            key: rng.choice(of) if isinstance(of, list) else rng.randint(*of)
            for key, of in ranges.items()
        }
        return Request("GET", pattern.format(**drawn))

    return make


def _show(tail: str = "", prefix: str = "") -> Maker:
    return lambda rng: Request("GET", f"/shows/{slug(rng, prefix)}{tail}")


def _numbered(tail: str = "") -> Maker:
    return lambda rng: Request("GET", f"/shows/{slug(rng)}/episodes/{rng.randint(1, 40)}{tail}")


def _queue(rng: random.Random) -> Request:
    token = bearer(rng, "pod_")
    if rng.random() < 0.7:
        return Request("GET", "/me/queue", token)
    body = {"show": slug(rng), "episode": rng.randint(1, 40), "position_s": rng.randint(0, 3000)}
    return Request(
        "PUT", "/me/queue", {**token, "Content-Type": "application/json"}, json.dumps(body)
    )


TOPICS = ["history", "gardening", "chess", "weather", "cooking", "railways"]
PODCASTS: list[tuple[int, Maker]] = [
    (6, _show()),
    (2, with_headers(_show(), GZIP)),
    (4, _show("/episodes")),
    (5, _numbered()),
    (2, with_headers(_numbered(), GZIP)),
    (4, fmt("/shows?topic={topic}&cursor={n}", topic=TOPICS, n=(1, 300))),
    (2, fmt("/charts/{country}", country=["us", "de", "es", "jp", "br"])),
    (3, _queue),
    (1, lambda rng: Request("GET", f"/shows/no-{slug(rng)}")),
    (1, lambda rng: Request("GET", "/healthz")),
]
PODCASTS_READ: list[tuple[int, Maker]] = [*PODCASTS, (8, _numbered("/transcript"))]
PODCASTS_OLD: list[tuple[int, Maker]] = [
    *PODCASTS,
    (6, _show(prefix="the-")),
    (3, _show("/episodes", "the-")),
]

PARCEL = (100000, 899999)
DEPOTS = ["CYS-1", "DEN-4", "BIL-2", "SLC-9", "CPR-3"]
LANES = {"a": ["LAR", "CHE", "COD", "JAC"], "b": ["DEN", "SLC", "BOI", "RAP"]}
PROOFS: list[tuple[int, Maker]] = [(1, fmt("/parcels/WY{n}/proof", n=PARCEL))]


def _pickup(rng: random.Random) -> Request:
    body = {"Depot": rng.choice(DEPOTS), "Count": rng.randint(1, 30)}
    kind = {"Content-Type": "application/json"}
    return Request("POST", "/pickups", kind, json.dumps(body))


PARCELS: list[tuple[int, Maker]] = [
    (8, fmt("/parcels/WY{n}", n=PARCEL)),
    (5, fmt("/parcels/WY{n}/scans", n=PARCEL)),
    (2, fmt("/parcels/WY{n}.xml", n=PARCEL)),
    (3, fmt("/quotes?from={a}&to={b}&grams={n}", **LANES, n=(100, 30000))),
    (2, fmt("/depots/{d}", d=DEPOTS)),
    (2, fmt("/depots/{d}/manifest?day=2026-11-{n}", d=DEPOTS, n=(10, 29))),
    (2, _pickup),
    (1, fmt("/parcels/XX{n}", n=PARCEL)),
    (1, fmt("/health")),
    (1, fmt("/health?full=1")),
]
PARCELS_READ: list[tuple[int, Maker]] = [one for n, one in enumerate(PARCELS) if n != 3]

SESSIONS = [f"{n * 2654435761 % 2**32:08x}" for n in range(1, 15)]
CAMP_HEADS = ["elk", "pine", "granite", "heron", "willow", "badger", "juniper", "antler"]
CAMP_TAILS = ["creek", "flats", "ridge", "hollow", "bend", "lake", "meadow", "gulch"]
REGIONS = ["north", "west", "basin", "high-country"]


def _camp(pattern: str, signed_in: float = 0.5, **ranges: tuple[int, int] | list[str]) -> Maker:
    """A page, by a visitor who is signed in or not."""
    draw = fmt(pattern, head=CAMP_HEADS, tail=CAMP_TAILS, region=REGIONS, **ranges)

    def make(rng: random.Random) -> Request:
        made = draw(rng)
        who = {"Cookie": f"camp_session={rng.choice(SESSIONS)}"} if rng.random() < signed_in else {}
        return Request(made.method, made.target, who)

    return make


def _book(rng: random.Random) -> Request:
    form = (
        f"camp={rng.choice(CAMP_HEADS)}-lake&nights={rng.randint(1, 9)}&pitch={rng.randint(1, 99)}"
    )
    return Request("POST", "/bookings", {"Content-Type": "application/x-www-form-urlencoded"}, form)


BOOKING = (0x10000000, 0xEFFFFFFF)
CAMPS: list[tuple[int, Maker]] = [
    (7, _camp("/sites/{head}-{tail}")),
    (4, _camp("/sites?region={region}&page={n}", n=(0, 9))),
    (4, _camp("/sites/{head}-{tail}/availability.json?month=2026-{n}", 0, n=(10, 12))),
    (5, _camp("/bookings/{n:x}", 1, n=BOOKING)),
    (3, _camp("/account", 0.8)),
    (2, _camp("/camp/{head}-{tail}", 0)),
    (2, _camp("/style.css", 0)),
    (1, _camp("/login", 0)),
    (2, _book),
    (1, _camp("/reports/{region}.csv", 1)),
    (1, _camp("/trail/{head}", 0)),
]
CAMP_INVOICES: list[tuple[int, Maker]] = [(1, _camp("/bookings/{n:x}/invoice", 1, n=BOOKING))]

TENANTS = ["YW50bGVyOjE=", "YmFzaW46Mg==", "Y29keTozMQ==", "ZGVwb3Q6OQ==", "ZWxrOjc3Nw=="]
QUEUES = ["front", "nights", "billing", "abuse"]
ARTICLES = ["vpn-basics", "reset-password", "new-laptop", "printers", "shared-calendars", "mfa"]


def _board(rng: random.Random) -> Request:
    who = {"Authorization": f"Basic {rng.choice(TENANTS)}"} if rng.random() < 0.9 else {}
    return Request("GET", "/?r=board&period=week", who)


def _reply(rng: random.Random) -> Request:
    form = f"id={rng.randint(100, 9000)}&text=Have+you+tried+{rng.choice(['turning', 'asking'])}"
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", "/?r=ticket.reply", kind, form)


DESK: list[tuple[int, Maker]] = [
    (7, fmt("/?r=ticket.view&id={n}", n=(100, 9000))),
    (3, fmt("/?r=ticket.view&id={n}&format=xml", n=(100, 9000))),
    (4, fmt("/?r=ticket.list&queue={q}&page={n}", q=QUEUES, n=(0, 30))),
    (1, fmt("/?r=ticket.list&queue={q}&page={n}&format=xml", q=QUEUES, n=(0, 30))),
    (3, fmt("/?r=kb.article&id={a}", a=ARTICLES)),
    (3, fmt("/?r=customer.card&id={n}", n=(1000, 4000))),
    (3, _board),
    (2, _reply),
    (1, fmt("/?r=export&id={n}", n=(1, 400))),
    (1, fmt("/?r=ticket.view&id={n}", n=(1, 99))),
    (1, fmt("/?r=ping")),
    (1, fmt("/?r=ping&v=1")),
]
DESK_SLA: list[tuple[int, Maker]] = [(1, fmt("/?r=ticket.sla&id={n}", n=(100, 9000)))]

GRAPHQL = {
    "film": "query Film($id: ID!) { film(id: $id) { id title minutes rating cast { name born } } }",
    "times": "query Times($id: ID!) { film(id: $id) { title screenings(first: 4) "
    "{ startsAt hall subtitled free } } }",
    "screening": "query Seats($id: ID!) { screening(id: $id) "
    "{ startsAt hall priceCents free seats { row number } } }",
    "search": "query Find($text: String!) { search(text: $text) { id title minutes } }",
    "person": "query Who($name: String!) { person(name: $name) { name born films { title } } }",
    "me": "query Me { me { name level points watchlist { id title } } }",
    "wishes": "query Me { me { name points wishes } }",
    "buy": "mutation Buy($screening: ID!, $row: String!) { buy(screening: $screening, row: $row) "
    "{ code seat { row number } } }",
    "typo": "query Film($id: ID!) { film(id: $id) { titel } }",
}
WORDS = ["ferry", "wolf", "paper", "night", "harbour", "kettle", "week", "depot"]
ACTORS = ["Ana Quist", "Per Lund", "Mika Sato", "Dora Amaro", "Lou Holt", "Ines Park"]


def graphql(operation: str, variables: dict[str, Any], token: str = "") -> Request:
    """One operation, by POST."""
    body = json.dumps({"query": GRAPHQL[operation], "variables": variables})
    who = {"Authorization": f"Bearer {token}"} if token else {}
    return Request("POST", "/graphql", {"Content-Type": "application/json", **who}, body)


def _operation(operation: str, low: int = 1, high: int = 500) -> Maker:
    return lambda rng: graphql(operation, {"id": str(rng.randint(low, high))})


def _member(operation: str) -> Maker:
    return lambda rng: graphql(operation, {}, f"cin_{rng.randint(100, 130)}")


def _buy(rng: random.Random) -> Request:
    wanted = {"screening": str(rng.randint(1, 9000)), "row": rng.choice("ABCDEFGH")}
    return graphql("buy", wanted, f"cin_{rng.randint(100, 130)}")


CINEMA: list[tuple[int, Maker]] = [
    (8, _operation("film")),
    (5, _operation("times")),
    (4, lambda rng: graphql("search", {"text": rng.choice(WORDS) + rng.choice("abc ")})),
    (3, lambda rng: graphql("person", {"name": rng.choice(ACTORS)})),
    (2, _buy),
    (1, _operation("film", 501, 600)),
    (1, _operation("typo")),
    (1, fmt("/graphql?query={{film(id:{n}){{title%20minutes}}}}", n=(1, 500))),
    (1, fmt("/healthz")),
]
CINEMA_SEATS: list[tuple[int, Maker]] = [(1, _operation("screening", 1, 9000))]
CINEMA_ME: list[tuple[int, Maker]] = [(1, _member("me"))]
CINEMA_ALL: list[tuple[int, Maker]] = [
    *CINEMA,
    (4, CINEMA_SEATS[0][1]),
    (4, CINEMA_ME[0][1]),
    (2, lambda rng: graphql("me", {})),
]
CINEMA_WISHES: list[tuple[int, Maker]] = [*CINEMA_ALL, (4, _member("wishes"))]

METER = (1, 89999)
SITES = (1, 400)


def _reading(rng: random.Random) -> Request:
    body = json.dumps({"value": rng.randint(-20, 900), "by": rng.choice(["holt", "park"])})
    kind = {"Content-Type": "application/json"}
    return Request("POST", f"/meters/{rng.randint(*METER)}/readings", kind, body)


METERS: list[tuple[int, Maker]] = [
    (7, fmt("/meters/{n}", n=METER)),
    (2, fmt("/meters/SN{n:06X}", n=(1, 0xFFFFFF))),
    (4, fmt("/meters/{n}/readings", n=METER)),
    (2, fmt("/meters/{n}/readings.csv", n=METER)),
    (3, fmt("/meters?site={s}&page={n}", s=SITES, n=(0, 3))),
    (4, fmt("/sites/{s}", s=SITES)),
    (2, _reading),
    (1, fmt("/serials/SN{n:06X}", n=(1, 0xFFFFFF))),
    (1, fmt("/gateways/{n}", n=METER)),
    (1, fmt("/status")),
    (1, with_headers(fmt("/status"), {"Accept": "application/json"})),
]
METER_REPORTS: list[tuple[int, Maker]] = [(1, fmt("/reports/{s}/consumption", s=SITES))]
METER_PAGES: list[tuple[int, Maker]] = [(1, fmt("/pages/{s}", s=SITES))]
METERS_ALL: list[tuple[int, Maker]] = [
    *METERS,
    (2, METER_REPORTS[0][1]),
    (3, METER_PAGES[0][1]),
]

DISH_A = ["smoked", "green", "quick", "sour", "sunday", "cold"]
DISH_B = ["barley", "trout", "plum", "onion", "rye", "bean"]
DISH_C = ["soup", "pie", "salad", "bread"]
COURSES = ["starter", "main", "sweet", "bread"]


def _dish(pattern: str, **ranges: tuple[int, int] | list[str]) -> Maker:
    """A page of a dish; half of the clients are shown the other variant."""
    draw = fmt(pattern, a=DISH_A, b=DISH_B, c=DISH_C, **ranges)

    def make(rng: random.Random) -> Request:
        variant = {"Cookie": "variant=b"} if rng.random() < 0.5 else {}
        return Request("GET", draw(rng).target, variant)

    return make


def _order(rng: random.Random) -> Request:
    body = json.dumps({"items": [rng.randint(1, 60) for _ in range(rng.randint(1, 4))]})
    key = {"Idempotency-Key": f"{rng.getrandbits(64):016x}", "Content-Type": "application/json"}
    return Request("POST", "/v2/orders", key, body)


RECIPES: list[tuple[int, Maker]] = [
    (8, _dish("/v2/recipes/{a}-{b}-{c}")),
    (4, _dish("/v2/recipes/{a}-{b}-{c}/reviews")),
    (4, fmt("/v2/recipes?tag={t}&after={n:08x}", t=COURSES, n=(1, 2**32 - 1))),
    (4, fmt("/v2/orders/{n:010x}", n=(1, 2**40 - 1))),
    (3, _order),
    (2, with_headers(fmt("/v2/menu"), GZIP)),
    (1, _dish("/v2/recipes/no-{a}-{b}")),
    (1, fmt("/healthz")),
    (1, fmt("/readyz")),
]
RECIPE_ACCOUNTS: list[tuple[int, Maker]] = [
    (1, lambda rng: Request("GET", "/v2/account", bearer(rng, "rcp_", 40)))
]
KITCHENS: list[tuple[int, Maker]] = [
    (1, fmt("/v2/kitchens/{k}/next-ticket?place={n}", k=["east", "west", "roof"], n=(1, 90)))
]
RECIPES_ALL: list[tuple[int, Maker]] = [
    *RECIPES,
    (3, RECIPE_ACCOUNTS[0][1]),
    (2, KITCHENS[0][1]),
    (1, fmt("/v2/account")),
]

APIS: dict[str, list[tuple[int, Maker]]] = {
    "podcasts": PODCASTS,
    "podcasts-read": PODCASTS_READ,
    "podcasts-old": PODCASTS_OLD,
    "parcels": PARCELS,
    "parcels-read": PARCELS_READ,
    "proofs": PROOFS,
    "camps": CAMPS,
    "camp-invoices": CAMP_INVOICES,
    "cinema": CINEMA,
    "cinema-seats": CINEMA_SEATS,
    "cinema-me": CINEMA_ME,
    "cinema-all": CINEMA_ALL,
    "cinema-wishes": CINEMA_WISHES,
    "meters": METERS,
    "meter-reports": METER_REPORTS,
    "meter-pages": METER_PAGES,
    "meters-all": METERS_ALL,
    "recipes": RECIPES,
    "recipe-accounts": RECIPE_ACCOUNTS,
    "kitchens": KITCHENS,
    "recipes-all": RECIPES_ALL,
    "desk": DESK,
    "desk-sla": DESK_SLA,
}
