"""Honest background traffic: what a client of each API ordinarily asks for.

An API here is a list of weighted makers of requests; a maker draws its ids from the random
generator it is given, so one seed always gives one traffic.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as a client will send it."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


Maker = Callable[[random.Random], Request]


def get(pattern: str, low: int = 1, high: int = 800, **headers: str) -> Maker:
    """A GET whose `{id}` is a number in the range."""
    return lambda rng: Request(
        "GET", pattern.replace("{id}", str(rng.randint(low, high))), dict(headers)
    )


def get_hex(pattern: str, length: int) -> Maker:
    """A GET whose `{id}` is a hexadecimal string, as prefixed ids have."""
    return lambda rng: Request("GET", pattern.replace("{id}", f"{rng.getrandbits(length * 4):x}"))


def with_body(
    method: str, pattern: str, make: Callable[[random.Random], Any], high: int = 800
) -> Maker:
    """A request with a JSON body."""
    return lambda rng: Request(
        method,
        pattern.replace("{id}", str(rng.randint(1, high))),
        {"Content-Type": "application/json"},
        json.dumps(make(rng)),
    )


def with_headers(maker: Maker, headers: dict[str, str]) -> Maker:
    """The same request with more headers."""

    def make(rng: random.Random) -> Request:
        made = maker(rng)
        return Request(made.method, made.target, {**made.headers, **headers}, made.body)

    return make


GZIP = {"Accept-Encoding": "gzip"}
BROTLI = {"Accept-Encoding": "br, gzip;q=0.5"}


def _dispatch(rng: random.Random) -> dict[str, Any]:
    return {
        "horseId": rng.randint(1, 800),
        "destination": rng.choice(["Elk Creek", "Fairgrounds", "Vet Clinic"]),
        "requestedBy": rng.choice(["ibarra", "calloway", "oduya"]),
    }


def _week(rng: random.Random) -> Request:
    week = f"2026-W{rng.randint(10, 48)}"
    return Request("GET", f"/api/v1/wranglers/{rng.randint(1, 60)}/shifts?week={week}")


RANCH: list[tuple[int, Maker]] = [
    (6, get("/api/v1/horses/{id}")),
    (3, get("/api/v1/horses?status=active&page={id}", 1, 80)),
    (4, get("/api/v1/horses/{id}/vet-report")),
    (4, get("/api/v1/paddocks/{id}/occupancy", 1, 40)),
    (4, _week),
    (3, get("/api/v1/dispatches/{id}", 50000, 59999)),
    (3, with_body("POST", "/api/v1/dispatches", _dispatch)),
    (2, with_headers(get("/api/v1/feed/inventory"), GZIP)),
    (1, get("/api/v1/horses/{id}", 9000, 9999)),
]
RANCH_READS: list[tuple[int, Maker]] = [RANCH[n] for n in (0, 1, 2, 3, 4, 5, 8)]
RANCH_READS_PLAIN: list[tuple[int, Maker]] = [RANCH[n] for n in (0, 2, 3, 4, 5, 8)]
RANCH_BROTLI: list[tuple[int, Maker]] = [
    *RANCH,
    (6, with_headers(get("/api/v1/horses?status=active&page={id}", 1, 80), BROTLI)),
    (6, with_headers(get("/api/v1/horses/{id}/vet-report"), BROTLI)),
]


def _invoice(rng: random.Random) -> dict[str, Any]:
    return {
        "customer": f"cus_{rng.getrandbits(48):012x}",
        "lines": [{"sku": "plan_team", "quantity": rng.randint(1, 9)}],
    }


BILLING: list[tuple[int, Maker]] = [
    (5, get_hex("/billing/invoices/inv_{id}", 14)),
    (2, get("/billing/invoices?cursor={id}&limit=4", 1, 900)),
    (5, get_hex("/billing/customers/cus_{id}", 12)),
    (4, get_hex("/billing/payments/pay_{id}", 12)),
    (2, with_body("POST", "/billing/payments/pay_{id}/capture", lambda rng: {}, 99999)),
    (3, with_body("POST", "/billing/invoices", _invoice)),
    (2, get("/billing/balance")),
    (1, get("/billing/invoices/inv_{id}/pdf", 10000, 99999)),
    (1, get("/billing/customers/cus_missing")),
]
BILLING_CUSTOMERS: list[tuple[int, Maker]] = [(20, BILLING[2][1]), *BILLING]


def _request_id(rng: random.Random) -> dict[str, str]:
    return {"X-Request-Id": f"{rng.getrandbits(64):016x}"}


def traced(maker: Maker) -> Maker:
    """The same request with a request id of its own, which the service sends back."""
    return lambda rng: with_headers(maker, _request_id(rng))(rng)


WAREHOUSE: list[tuple[int, Maker]] = [
    (5, get("/warehouse/pallets/{id}")),
    (2, get("/warehouse/pallets?page[number]={id}", 1, 90)),
    (4, get("/warehouse/locations/DEN1-A{id}", 10, 49)),
    (4, get("/warehouse/orders/{id}", 4000, 4999)),
    (3, with_body("POST", "/warehouse/orders/{id}/picks", lambda rng: {"zone": rng.randint(1, 9)})),
    (2, get("/warehouse/sites/SLC{id}/throughput", 1, 9)),
    (1, get("/warehouse/pallets/0{id}")),
]
WAREHOUSE_READS: list[tuple[int, Maker]] = [
    one for n, one in enumerate(WAREHOUSE) if n not in (1, 4)
]
CLINIC: list[tuple[int, Maker]] = [
    (5, traced(get("/fhir/Patient/{id}", 1, 4999))),
    (4, traced(get("/fhir/Observation/{id}"))),
    (3, traced(get("/fhir/Observation?patient={id}"))),
    (3, get("/schedule/dr-{id}/slots", 1, 40)),
    (
        2,
        with_body("PUT", "/schedule/dr-7/slots/{id}", lambda rng: {"patient": rng.randint(1, 900)}),
    ),
    (1, get("/fhir/Patient/{id}", 5000, 5999)),
]


def _member(rng: random.Random) -> Request:
    cookie = {"Cookie": f"session={rng.getrandbits(64):016x}"}
    return Request("GET", "/account", cookie)


def _login(rng: random.Random) -> Request:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", "/login", form, f"user=m{rng.randint(1, 900)}&password=hunter2")


PORTAL: list[tuple[int, Maker]] = [
    (3, get("/")),
    (3, get("/news/{id}", 1, 90)),
    (2, get("/images/{id}.png", 1, 900)),
    (2, get("/export/{id}.ndjson", 1, 90)),
    (2, get("/old/{id}", 1, 90)),
    (2, get("/login")),
    (2, _login),
    (1, get("/account")),
    (3, _member),
    (3, get("/status")),
    (1, get("/no/such/{id}")),
]
PORTAL_FRESH: list[tuple[int, Maker]] = [
    (4, with_body("PUT", "/settings/{id}", lambda rng: {"newsletter": rng.random() < 0.5}, 900)),
    (3, _login),
    (3, lambda rng: Request("DELETE", f"/status/{rng.randint(100, 99999)}")),
    (4, get("/news/{id}", 100, 99999)),
    (3, get("/images/{id}.png", 1000, 99999)),
    (3, get("/export/{id}.ndjson", 100, 99999)),
]
PORTAL_MEMBERS: list[tuple[int, Maker]] = [(12, _member), *PORTAL_FRESH]
PORTAL_BODILESS: list[tuple[int, Maker]] = [
    (4, lambda rng: Request("HEAD", f"/news/{rng.randint(1, 90)}")),
    (3, lambda rng: Request("HEAD", f"/images/{rng.randint(1, 900)}.png")),
    (3, lambda rng: Request("HEAD", f"/export/{rng.randint(1, 90)}.ndjson")),
    (3, lambda rng: Request("DELETE", f"/status/{rng.randint(1, 90)}")),
    (4, get("/news/{id}", 1, 90)),
    (3, get("/status")),
]
CATALOG: list[tuple[int, Maker]] = [
    (6, get("/v2/objects/{id}")),
    (3, get("/v2/objects/{id}/tags")),
    (2, get("/v2/search?q=saddle{id}")),
    (2, get("/v2/search?q=&page={id}", 1, 40)),
    (1, get("/v2/version")),
]
LOANS: list[tuple[int, Maker]] = [(4, get("/v2/loans/{id}")), (1, get("/v2/objects/{id}"))]


def _rpc(method: str, params: Callable[[random.Random], Any]) -> Maker:
    def body(rng: random.Random) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": rng.randint(1, 9999), "method": method} | (
            {"params": params(rng)} if params(rng) else {}
        )

    return with_body("POST", "/rpc", body)


def _graphql(operation: str, query: str, variables: Callable[[random.Random], Any]) -> Maker:
    return with_body(
        "POST",
        "/graphql",
        lambda rng: {"operationName": operation, "query": query, "variables": variables(rng)},
    )


RPC: list[tuple[int, Maker]] = [
    (3, _rpc("tank.level", lambda rng: {"tank": rng.randint(1, 60)})),
    (2, _rpc("pump.start", lambda rng: {"pump": rng.randint(1, 99)})),
    (2, _rpc("gate.list", lambda rng: {})),
    (1, _rpc("gate.burn", lambda rng: {})),
    (3, _graphql("Field", "query Field($id:ID!){field(id:$id){id acres crop sensors{id moisture}}}",
                 lambda rng: {"id": rng.randint(1, 400)})),
    (2, _graphql("Season", "query Season($year:Int!){season(year:$year){year notes}}",
                 lambda rng: {"year": rng.randint(1990, 2026)})),
    (2, _graphql("AddReading", "mutation AddReading($sensor:ID!,$value:Int!){addReading{ok}}",
                 lambda rng: {"sensor": rng.randint(1, 90), "value": rng.randint(0, 99)})),
    (1, _graphql("Oops", "query Oops{nothing}", lambda rng: {})),
]  # fmt: skip


def _statement(rng: random.Random) -> Request:
    account, month = rng.randint(40000, 59999), rng.randint(1, 12)
    return Request("GET", f"/v1/statements?account={account}&month=2026-{month:02d}")


def _quote(rng: random.Random) -> dict[str, Any]:
    return {
        "reference": f"q-{rng.getrandbits(40):010x}",
        "from": "USD",
        "to": rng.choice(["EUR", "GBP", "CHF"]),
        "amount": rng.randint(10, 90000),
    }


def _fulfilment(rng: random.Random) -> Request:
    tenant = rng.choice(["northwind", "contoso", "fabrikam"])
    return Request("GET", f"/v1/fulfilments?tenant={tenant}&order={rng.randint(700000, 799999)}")


LEDGER: list[tuple[int, Maker]] = [
    (4, _statement),
    (4, with_body("POST", "/v1/quotes", _quote)),
    (4, traced(get("/v1/rates?base=USD"))),
    (4, get("/v1/accounts/{id}/balance", 40000, 59999)),
    (4, _fulfilment),
    (1, get("/v1/odd/announcements")),
]


def _plate(rng: random.Random) -> Request:
    letters = "".join(rng.choices("abcdefghkmnprstwxyz", k=5))
    return Request("GET", f"/v1/odd/vehicles/{letters[:2]}{rng.randint(10, 99)}{letters[2:]}")


def _transfer(rng: random.Random) -> dict[str, Any]:
    return {
        "from": rng.randint(40000, 59999),
        "to": rng.randint(40000, 59999),
        "amount": rng.randint(1, 9999),
    }


def _page(rng: random.Random) -> Request:
    return Request("GET", f"/v1/odd/entries?page_token={rng.getrandbits(64):016x}")


def _terms(rng: random.Random) -> Request:
    """A document that is asked for again with the tag it had, every other time."""
    name = str(rng.randint(1, 40))
    tag = hashlib.sha1(f"terms{name}".encode()).hexdigest()[:12]
    again = {"If-None-Match": f'"{tag}"'} if rng.random() < 0.5 else {}
    return Request("GET", f"/v1/odd/terms/{name}", again)


LEDGER_ODD: list[tuple[int, Maker]] = [
    (4, get("/v1/odd/devices/{id}", 40000, 59999)),
    (4, _plate),
    (3, lambda rng: Request("GET", f"/v1/odd/branches/{rng.randint(1, 999):05d}")),
    (3, get("/v1/odd/terminals/{id}", 100, 99999)),
    (4, with_body("POST", "/v1/odd/transfers", _transfer)),
    (4, _page),
    (4, get("/v1/odd/related/{id}", 100, 139)),
    (2, get("/v1/odd/go/{id}", 100, 999)),
    (4, _terms),
    (3, get("/v1/odd/announcements")),
    (3, get("/v1/odd/profile/{id}", 1, 9)),
    (2, get("/v1/accounts/{id}/balance", 40000, 59999)),
]


def _article(rng: random.Random) -> Request:
    old = "old-" if rng.random() < 0.15 else ""
    return Request("GET", f"/v1/articles/{old}piece-{rng.randint(100, 139)}")


def _release(rng: random.Random) -> Request:
    return Request("GET", f"/v1/releases/{rng.choice(['latest', '4.17', '4.16', '4.15', '4.14'])}")


def _by_email(rng: random.Random) -> Request:
    return Request("GET", f"/v1/customers?email=m{rng.randint(1, 900)}@ranch.example")


CUSTOMERS: list[tuple[int, Maker]] = [(6, get("/v1/customers/{id}", 1000, 4999)), (1, _by_email)]
ALIASES: list[tuple[int, Maker]] = [
    (8, get("/v1/customers/{id}", 100, 139)),
    (4, get("/v1/customers/{id}/counterparty", 100, 139)),
    (5, _article),
    (2, _release),
    (2, _by_email),
    (4, get("/v1/results/{id}", 1, 900)),
    (2, with_body("POST", "/v1/lookup", lambda rng: {"ids": rng.sample(range(100, 140), 3)})),
]


def _transcript(rng: random.Random) -> Request:
    """An HTTP exchange, sent as a body."""
    horse = rng.randint(1, 800)
    body = f'{{"id":{horse},"name":"Juniper","breed":"Mustang"}}'
    text = f"GET /api/v1/horses/{horse} HTTP/1.1\r\nHost: ranch.example\r\n\r\nHTTP/1.1 200 OK\r\n"
    text += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    return Request("POST", "/transcripts", {"Content-Type": "message/http"}, text)


ARCHIVE: list[tuple[int, Maker]] = [
    (8, get("/transcripts/{id}")),
    (4, _transcript),
    *RANCH_READS[:4],
]


APIS: dict[str, list[tuple[int, Maker]]] = {
    "ranch": RANCH,
    "ranch-reads": RANCH_READS,
    "ranch-reads-plain": RANCH_READS_PLAIN,
    "ranch-brotli": RANCH_BROTLI,
    "billing": BILLING,
    "billing-customers": BILLING_CUSTOMERS,
    "warehouse-reads": WAREHOUSE_READS,
    "warehouse": WAREHOUSE,
    "clinic": CLINIC,
    "portal": PORTAL,
    "portal-fresh": PORTAL_FRESH,
    "portal-members": PORTAL_MEMBERS,
    "portal-bodiless": PORTAL_BODILESS,
    "catalog": CATALOG,
    "loans": LOANS,
    "rpc": RPC,
    "ledger": LEDGER,
    "ledger-odd": LEDGER_ODD,
    "aliases": ALIASES,
    "archive": ARCHIVE,
    "customers": CUSTOMERS,
}


def requests(makers: list[tuple[int, Maker]], rng: random.Random) -> Iterator[Request]:
    """An endless stream of ordinary requests to one API, by the weights of its makers."""
    weights = [weight for weight, _ in makers]
    while True:
        yield rng.choices([maker for _, maker in makers], weights)[0](rng)
