"""The ledger of `node/ledger.js` in Python; request ids come back in the body."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from captures.lab.servers.python.common import Answer, Request, code, number, pick


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def statement(account: str, month: str) -> dict[str, Any]:
    key = f"statement{account}{month}"
    return {
        "statement": {"account": account, "month": month},
        "opening": number(key, 900000) / 100,
        "closing": number(key + "c", 900000) / 100,
        "lines": [
            {"day": 1 + number(key + str(n), 28), "amount": number(key + f"a{n}", 50000) / 100}
            for n in range(1 + number(key + "n", 4))
        ],
        "printed_at": _now(),
    }


def quote(asked: dict[str, Any]) -> dict[str, Any]:
    key = f"quote{asked['reference']}"
    return {
        "quote": {
            "reference": asked["reference"],
            "rate": 1 + number(key, 9000) / 10000,
            "fee": number(key + "f", 900) / 100,
        },
        "valid_for_s": 30,
        "made_at": _now(),
    }


def rates(request_id: str | None) -> dict[str, Any]:
    key = f"rates{time.time_ns()}"
    quotes = {to: 0.7 + number(key + to, 3000) / 10000 for to in ("EUR", "GBP", "CHF")}
    return {"request_id": request_id, "base": "USD", "tick": number(key, 10**9), "quotes": quotes}


def balance(account: str) -> dict[str, Any]:
    key = f"balance{account}"
    return {
        "account": {"id": account, "currency": pick(key + "c", ["USD", "EUR"])},
        "available": number(key, 9000000) / 100,
        "pending": number(key + "p", 90000) / 100,
        "as_of": _now(),
    }


def fulfilment(tenant: str, order: str) -> dict[str, Any]:
    key = f"fulfilment{tenant}{order}"
    return {
        "tenant": tenant,
        "order": order,
        "state": pick(key, ["picking", "packed", "shipped"]),
        "parcels": [{"weight_g": 100 + number(key + str(n), 9000)} for n in range(2)],
        "checked_at": _now(),
    }


def odd(request: Request, kind: str, name: str) -> Answer:
    """What repeats nothing of its request, or not reliably."""
    key, moment = f"{kind}{name}", f"{kind}{name}{time.time_ns()}"
    match kind:
        case "devices":
            seen: dict[str, Any] = {"online": number(key, 9) > 1, "battery": number(moment, 100)}
            named = {"device": name} if number(moment + "n", 2) else {}
            return Answer(200, {**seen, **named, "seen_at": _now()})
        case "vehicles":
            return Answer(200, {"plate": name.upper(), "axles": 2 + number(key, 3), "at": _now()})
        case "branches":
            return Answer(200, {"branch": int(name), "counters": 1 + number(key, 9), "at": _now()})
        case "terminals":
            model = pick(key, ["T2", "T5"])
            return Answer(200, {"terminal": name.zfill(8), "model": model, "at": _now()})
        case "transfers":
            asked = json.loads(request.body)
            made = 40000 + number(moment, 20000)
            body = {"transfer": made, "amount": asked["amount"], "state": "accepted", "at": _now()}
            return Answer(201, body, {"Location": f"/v1/odd/transfers/{made}"})
        case "entries":
            token = request.query.get("page_token", "first")
            items = [{"entry": 40000 + number(f"{token}{n}", 20000)} for n in range(3)]
            return Answer(200, {"items": items, "next_page_token": code(token, 16), "at": _now()})
        case "related":
            related = [100 + number(f"{moment}{n}", 40) for n in range(4)]
            return Answer(200, {"related": related, "weight": number(moment, 100) / 100})
        case "go":
            to = f"/v1/accounts/{40000 + number(key, 20000)}/balance"
            return Answer(302, b"", {"Location": to})
        case "terms":
            tag = f'"{code(key, 12)}"'
            if request.headers.get("if-none-match") == tag:
                return Answer(304, None, {"ETag": tag})
            return Answer(200, {"terms": name, "version": number(key, 20)}, {"ETag": tag})
        case "announcements":
            return Answer(200, {"announcements": [{"title": "Maintenance", "level": "info"}]})
        case "profile":
            return Answer(200, {"profile": name, "segment": pick(key, ["retail", "business"])})
    return Answer(404, {"code": "unknown_path", "detail": request.path})


def handle(request: Request) -> Answer:
    """Answer one request."""
    at = [part for part in request.path.split("/") if part]
    match [request.method, *at]:
        case [_, "v1", "odd", kind, *rest]:
            return odd(request, kind, rest[0] if rest else "")
        case ["GET", "v1", "statements"]:
            return Answer(200, statement(request.query["account"], request.query["month"]))
        case ["POST", "v1", "quotes"]:
            return Answer(200, quote(json.loads(request.body)))
        case ["GET", "v1", "rates"]:
            return Answer(200, rates(request.headers.get("x-request-id")))
        case ["GET", "v1", "accounts", name, "balance"]:
            return Answer(200, balance(name))
        case ["GET", "v1", "fulfilments"]:
            return Answer(200, fulfilment(request.query["tenant"], request.query["order"]))
    return Answer(404, {"code": "unknown_path", "detail": request.path})
