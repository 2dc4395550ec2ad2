"""An allotment garden's facts, which several frameworks serve; and the log of what is right.

Each request is logged with the answer that it ought to be given, whatever it is given in the end.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from captures.lab.asked import who
from captures.lab.servers.python.common import CONFIG, Answer, Log, Request, code, number, pick

LOG = Log()
FAULT: dict[str, Any] = CONFIG.get("fault") or {}
CROPS = ["beans", "kale", "leek", "beet", "pea", "onion"]
NAMES = ["Ada Marsh", "Bo Lindgren", "Cy Okafor", "Dee Tanaka", "Eli Voss", "Fay Delacroix"]


def plot(name: str) -> dict[str, Any]:
    """One plot."""
    key = f"plot{name}"
    return {"plot": int(name), "metres": 40 + number(key, 90), "soil": pick(key, ["clay", "loam"])}


def listing(query: Mapping[str, str]) -> dict[str, Any]:
    """A page of plots that are free, for a crop: nothing in it says which page or crop it is."""
    key = f"{query.get('crop')}/{query.get('page')}"
    free = [
        {"at": code(key + str(n), 6), "metres": 40 + number(key + str(n), 90)} for n in range(4)
    ]
    return {"free": free[: 1 + number(key, 4)], "waiting": number(key + "w", 40)}


def mine(token: str) -> dict[str, Any]:
    """What a gardener is told of themselves."""
    key = f"me{token}"
    return {
        "name": pick(key, NAMES),
        "card": code(key, 8),
        "owes": number(key, 90),
        "keys": [code(key + str(n), 4) for n in range(number(key + "k", 3))],
    }


def stock(name: str) -> dict[str, Any]:
    """What the shed has of a thing, as the cache has it."""
    key = f"stock{name}"
    return {"item": int(name), "left": number(key, 60), "rack": code(key, 3)}


def answer(request: Request) -> Answer:
    """The right answer."""
    token = request.headers.get("authorization", "").rpartition(" ")[2]
    match [request.method, *request.path.strip("/").split("/")]:
        case ["GET", "plots", name] if int(name) < 9000:
            return Answer(200, plot(name))
        case ["GET", "plots"]:
            return Answer(200, listing(request.query))
        case ["GET", "me"]:
            return Answer(200, mine(token)) if token else Answer(401, {"detail": "who asks?"})
        case ["GET", "stock", name]:
            return Answer(200, stock(name))
        case ["POST", "swaps"] if token:
            asked = json.loads(request.body)
            return Answer(201, {"swap": code(str(asked), 9), "offers": asked["offers"]})
        case ["POST", "swaps"]:
            return Answer(403, {"detail": "members only"})
    return Answer(404, {"detail": "no such thing"})


def tell(request: Request, target: str, peer: str, unread: bool = False) -> Answer:
    """Log the right answer to a request, and return it; `unread` is a request without its body."""
    made = answer(request)
    body = made.encoded()
    LOG.write(
        peer=peer,
        method=request.method,
        target=target,
        **({} if unread else {"about": request.about}),
        who=who(request.headers),
        received=time.time(),
        status=made.status,
        length=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )
    return made
