"""A stable's tools behind the Model Context Protocol's own server (mcp, FastMCP, uvicorn).

Its stateful HTTP transport files the answer stream of each request under the JSON-RPC id that the
client chose (python-sdk#3060). Two requests of one session that have the same id at once overwrite
each other: the later one's stream is given the earlier one's answer, the earlier one's nothing.
Nothing is planted here: the mistake is the library's and the client's together.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
import asyncio
import json
import time
from typing import Any

import uvicorn
from mcp.server.fastmcp import FastMCP

from captures.lab.servers.python.common import CONFIG, Log, Request, code, number, pick

LOG = Log()
STABLE = FastMCP(
    "stable",
    host="0.0.0.0",
    port=CONFIG["port"],
    log_level="WARNING",
    json_response=CONFIG.get("json", False),
)
asked: dict[str, dict[str, Any]] = {}  # the latest request for a call's tool and arguments
made: dict[str, str] = {}  # which call a result's text was made for


async def _result(tool: str, facts: dict[str, Any], **arguments: int) -> str:
    """A result's text, after the time that the scenario gives the call."""
    call = json.dumps([tool, arguments])
    first = next(iter(arguments.values()))
    await asyncio.sleep(CONFIG.get("slow", {}).get(f"{tool} {first}", 5) / 1000)
    text = json.dumps(facts)
    made[text] = call
    return text


@STABLE.tool()
async def horse_record(horse: int) -> str:
    """What is known of a horse."""
    key = f"horse{horse}"
    facts = {"horse": horse, "brand": code(key, 5), "hands": 13 + number(key, 5)}
    return await _result("horse_record", facts, horse=horse)


@STABLE.tool()
async def feed_plan(horse: int, days: int) -> str:
    """What a horse is fed."""
    plan = [{"day": n, "hayKg": 5 + number(f"{horse}{n}", 6)} for n in range(days)]
    return await _result("feed_plan", {"for": horse, "plan": plan}, horse=horse, days=days)


@STABLE.tool()
async def paddock_state(paddock: int) -> str:
    """How full a paddock is."""
    key = f"paddock{paddock}"
    facts = {"paddock": paddock, "heads": number(key, 30), "gate": pick(key, ["open", "shut"])}
    return await _result("paddock_state", facts, paddock=paddock)


@STABLE.tool()
async def vet_visits(horse: int) -> str:
    """When the vet came, and why."""
    why = ["teeth", "hoof", "colic", "vaccine"]
    key = f"vet{horse}"
    visits = [{"on": f"2026-0{1 + n}-14", "why": pick(key + str(n), why)} for n in range(3)]
    facts = {"patient": horse, "visits": visits[: 1 + number(key, 3)], "vet": "Dr. Lindqvist"}
    return await _result("vet_visits", facts, horse=horse)


def _texts(body: bytes) -> list[str]:
    """The texts of the results in a body of JSON or of server-sent events."""
    found = []
    for line in body.decode().splitlines():
        try:
            message = json.loads(line.removeprefix("data: "))
        except ValueError:
            continue
        result = message.get("result") or {}
        found += [part["text"] for part in result.get("content", ()) if "text" in part]
    return found


class Told:
    """The application, with a log of which bytes were made for which request."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request; its whole body is read first, which is what tells it from others."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = time.time()
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(parts)
        peer = "{}:{}".format(*scope["client"])
        own = Request(scope["method"], scope["path"], {}, body)
        row = {"peer": peer, "request": own, "target": scope["path"], "received": received}
        params = json.loads(body).get("params") or {} if body else {}
        asked[json.dumps([params.get("name"), params.get("arguments")])] = row
        given, status, sent = False, 0, b""

        async def again() -> Any:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        async def tell(message: Any) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += message.get("body", b"")
                if not message.get("more_body"):
                    self.log(row, status, sent)
            await send(message)

        await self.app(scope, again, tell)

    @staticmethod
    def log(own: dict[str, Any], status: int, body: bytes) -> None:
        """What was sent in answer to a request, under the one that it was made for."""
        row = own
        for text in _texts(body):
            row = asked.get(made.get(text, ""), own)
        if row is not own:
            LOG.write(fault="same-id", read_by=own["peer"], made_for=row["peer"], at=time.time())
        LOG.answer(row["peer"], row["request"], row["target"], row["received"], status, body)


async def serve() -> None:
    """Listen; the line that says so is what the lab waits for."""
    app = Told(STABLE.streamable_http_app())
    config = uvicorn.Config(app, host="0.0.0.0", port=CONFIG["port"], log_level="warning")
    server = uvicorn.Server(config)
    waiting = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await waiting


if __name__ == "__main__":
    asyncio.run(serve())
