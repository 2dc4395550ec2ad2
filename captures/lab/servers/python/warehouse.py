"""A warehouse API: resources as {type, id, attributes, relationships}, errors as a list, UUIDs."""

import uuid
from datetime import UTC, datetime
from typing import Any

from captures.lab.servers.python.common import Answer, Request, code, number, pick

SITES = ["DEN1", "SLC2", "BOI1"]
MEDIA = "application/vnd.api+json"


def resource(kind: str, name: str, attributes: Any, **relations: str) -> dict[str, Any]:
    """One resource object."""
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "relationships": {
            key: {"data": {"type": key, "id": value}} for key, value in relations.items()
        },
    }


def document(data: Any, status: int = 200, **more: Any) -> Answer:
    """A whole document."""
    return Answer(status, {"jsonapi": {"version": "1.1"}, "data": data, **more}, media_type=MEDIA)


def error(status: int, title: str, pointer: str) -> Answer:
    """The error list."""
    body = {"errors": [{"status": str(status), "title": title, "source": {"pointer": pointer}}]}
    return Answer(status, body, media_type=MEDIA)


def pallet(name: str) -> dict[str, Any]:
    key = f"pallet{name}"
    return resource(
        "pallets",
        name,
        {
            "weight-kg": 80 + number(key, 900),
            "stackable": number(key + "s", 10) < 7,
            "sscc": f"00{number(key + 'c', 10**9):016d}",
            "dimensions": {"w": 80, "d": 120, "h": 40 + number(key + "h", 160)},
            "last-scan": None if number(key + "n", 5) == 0 else f"2026-11-{10 + number(key, 12)}",
        },
        location=f"{pick(key, SITES)}-A{number(key + 'l', 40):02d}",
    )


def location(name: str) -> dict[str, Any]:
    key = f"location{name}"
    return resource(
        "locations",
        name,
        {
            "aisle": name[-2:],
            "temperature-c": -20 + number(key, 45),
            "occupied": number(key + "o", 2) == 1,
            "capacity": {"pallets": 2 + number(key + "p", 6), "max-kg": 2000},
        },
    )


def order(name: str) -> dict[str, Any]:
    key = f"order{name}"
    lines = [
        {"sku": f"SKU-{number(key + str(n), 9999):04d}", "qty": 1 + number(key + f"q{n}", 24)}
        for n in range(1 + number(key + "n", 4))
    ]
    return resource(
        "orders",
        name,
        {
            "priority": pick(key, ["standard", "express"]),
            "lines": lines,
            "ship-by": f"2026-12-{1 + number(key + 'd', 28):02d}",
            "carrier": {"name": pick(key + "c", ["Plains Freight", "Ridgeline"]), "service": "LTL"},
        },
        customer=code(key, 8),
    )


def handle(request: Request) -> Answer:
    """Answer one request."""
    at = [part for part in request.path.split("/") if part]
    match [request.method, *at]:
        case ["GET", "warehouse", "pallets", name] if name.startswith("0"):
            return error(404, "pallet not found", "/data/id")
        case ["GET", "warehouse", "pallets", name]:
            return document(pallet(name))
        case ["GET", "warehouse", "pallets"]:
            page = int(request.query.get("page[number]", "1"))
            found = [pallet(str(page * 3 + n)) for n in range(3)]
            return document(found, links={"next": f"?page[number]={page + 1}"}, meta={"total": 951})
        case ["GET", "warehouse", "locations", name]:
            return document(location(name))
        case ["GET", "warehouse", "orders", name]:
            return document(order(name))
        case ["POST", "warehouse", "orders", name, "picks"]:
            attributes = {
                "state": "assigned",
                "picker": pick(name, ["P-07", "P-11", "P-23"]),
                "queued-at": datetime.now(UTC).isoformat(),
            }
            return document(resource("picks", str(uuid.uuid4()), attributes, order=name), 201)
        case ["GET", "warehouse", "sites", name, "throughput"]:
            hours = {f"{hour:02d}:00": number(f"{name}{hour}", 400) for hour in range(6, 14)}
            return document(
                {"type": "throughput", "id": name, "attributes": {"pallets-per-hour": hours}},
                meta={"generated": datetime.now(UTC).isoformat()},
            )
    return error(404, "no such route", request.path)
