"""Honest background traffic: what a client of each API ordinarily asks for.

An API here is a list of weighted makers of requests; a maker draws its ids from the random
generator it is given, so one seed always gives one traffic.
"""

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

APIS: dict[str, list[tuple[int, Maker]]] = {
    "ranch": RANCH,
    "ranch-brotli": RANCH_BROTLI,
    "billing": BILLING,
}


def requests(api: str, rng: random.Random) -> Iterator[Request]:
    """An endless stream of ordinary requests to one API."""
    makers = APIS[api]
    weights = [weight for weight, _ in makers]
    while True:
        yield rng.choices([maker for _, maker in makers], weights)[0](rng)
