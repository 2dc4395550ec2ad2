"""A lending library on aiohttp that caches its JSON in a real redis-server, over one connection.

Fault `cancelled` (redis-py#2624, in the releases up to 4.5.4): a handler is cancelled, because its
client has left, after its command was sent to redis and before the answer was read. The connection
stays in use, and every later command on it is given the answer to the one before. redis ends a
connection that idles for two seconds, and the next command begins a new one.

Everything that may be cached is there from the start. `POST /recounts` keeps redis busy for a
moment: it serves one command at a time.
"""

# mypy: disable-error-code="import-not-found"
import asyncio
import hashlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import redis.asyncio
from aiohttp import web

from captures.lab.asked import who
from captures.lab.servers.python.common import CONFIG, Answer, Log, Request, code, number, pick

LOG = Log()
SOCKET = Path(CONFIG["directory"]) / "redis.sock"
NAMES = ["Ada Marsh", "Bo Lindgren", "Cy Okafor", "Dee Tanaka", "Eli Voss", "Fay Delacroix"]
TITLES = ["The Long Ferry", "Salt and Paper", "Two Kettles", "Night Depot", "Wolf Month"]


def member(name: str) -> dict[str, Any]:
    """A reader's own record."""
    key = f"member{name}"
    return {
        "memberId": int(name),
        "name": pick(key, NAMES),
        "email": f"m{name}@readers.example",
        "since": f"20{10 + number(key, 16)}-0{1 + number(key + 'm', 9)}-11",
        "roles": ["reader", "desk"][: 1 + number(key + "r", 2)],
        "finesCents": number(key + "f", 900),
    }


def loans(name: str) -> dict[str, Any]:
    """What a reader has at home."""
    rows = [
        {"isbn": f"978{number(name + str(n), 10**9):010d}", "due": f"2026-12-{1 + n:02d}"}
        for n in range(number(f"loans{name}", 5))
    ]
    return {"of": int(name), "count": len(rows), "loans": rows}


def book(isbn: str) -> dict[str, Any]:
    """A title, and where its copies stand."""
    shelf = {"floor": number(isbn, 4), "shelf": code(isbn, 4)}
    title = {"isbn": isbn, "title": pick(isbn, TITLES), "pages": 90 + number(isbn + "p", 700)}
    return title | {"copies": 1 + number(isbn + "c", 6), "location": shelf}


def hours(branch: str) -> list[dict[str, Any]]:
    """When a branch is open: the list itself, without a wrapper."""
    opens = [9 + number(f"{branch}{day}", 3) for day in range(6)]
    return [{"day": n, "opens": f"{at:02d}:00", "closes": "18:30"} for n, at in enumerate(opens)]


def answer(request: Request) -> Answer:
    """What is answered to a request whose answer may be cached."""
    match request.path.strip("/").split("/"):
        case ["members", name] if int(name) < 9000:
            return Answer(200, member(name))
        case ["members", name, "loans"]:
            return Answer(200, loans(name))
        case ["books", isbn]:
            return Answer(200, book(isbn))
        case ["branches", branch, "hours"]:
            return Answer(200, hours(branch))
        case ["me"]:
            token = request.headers.get("authorization", "").rpartition("_")[2]
            return Answer(200, {"me": member(token), "unread": number(f"u{token}", 9)})
    return Answer(404, {"error": "no such thing", "path": request.path})


def key_of(request: Request) -> str:
    """Under what an answer is cached: the path, and who asks where only that tells."""
    return f"json:{request.path}" + (
        request.headers.get("authorization", "") if request.path == "/me" else ""
    )


def everything() -> dict[str, bytes]:
    """All that may be asked for and cached, by its key."""
    paths = [f"/members/{n}{tail}" for n in range(1, 301) for tail in ("", "/loans")]
    paths += [f"/books/978{n:010d}" for n in range(1, 201)]
    paths += [f"/branches/{n}/hours" for n in range(1, 10)]
    asked = [Request("GET", path, {}, b"") for path in paths]
    for n in range(12):
        asked.append(Request("GET", "/me", {}, b"", {"authorization": f"Bearer lib_{n:04d}"}))
    return {key_of(one): answer(one).encoded() for one in asked}


class Library:
    """The service: one connection to redis for all handlers."""

    def __init__(self) -> None:
        self.redis = self._connection()
        self.maintenance = self._connection()  # another one, for what may take long

    def _connection(self) -> Any:
        return redis.asyncio.Redis(unix_socket_path=str(SOCKET), single_connection_client=True)

    async def cached(self, request: Request, made: bytes) -> bytes:
        """The answer's bytes from the cache; as made where redis does not have them or is away."""
        try:
            found = await self.redis.get(key_of(request))
        except redis.exceptions.RedisError:
            return made
        return bytes(found) if isinstance(found, bytes) else made

    async def handle(self, got: Any) -> Any:
        """One request."""
        received = time.time()
        headers = {key.lower(): value for key, value in got.headers.items()}
        request = Request(got.method, got.path, dict(got.query), await got.read(), headers)
        peer = "{}:{}".format(*got.transport.get_extra_info("peername")[:2])
        if got.method == "POST":
            body = await self.post(request)
            status = 201
            LOG.answer(peer, request, got.raw_path, received, status, body)
        else:
            made = answer(request)
            own, status = made.encoded(), made.status
            row = {"peer": peer, "method": got.method, "target": got.raw_path}
            row |= {"about": request.about, "who": who(headers), "received": received}
            digest = hashlib.sha256(own).hexdigest()
            LOG.write(**row, status=status, length=len(own), sha256=digest)
            try:
                body = await self.cached(request, own) if status == 200 else own
            except asyncio.CancelledError:
                LOG.write(fault="cancelled", request=f"{got.method} {got.raw_path}", at=time.time())
                raise
        return web.Response(status=status, body=body, content_type="application/json")

    async def post(self, request: Request) -> bytes:
        """A hold on a title, or a recount, which is redis's own work."""
        if request.path == "/recounts":
            await self.maintenance.execute_command("DEBUG", "SLEEP", CONFIG["busy"])
            return json.dumps({"recounted": True}).encode()
        asked = json.loads(request.body)
        place = 1 + number(str(asked), 9)
        return json.dumps({"hold": code(str(asked), 10), "place": place}).encode()


async def serve() -> None:
    """Start redis, fill it, and listen until the lab ends the process."""
    argv = ["redis-server", "--port", "0", "--unixsocket", str(SOCKET), "--save", ""]
    argv += ["--timeout", "2", "--enable-debug-command", "yes"]
    store = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    while not SOCKET.exists():
        if store.poll() is not None:
            raise SystemExit("redis-server did not start")
        await asyncio.sleep(0.02)
    service = Library()
    await service.redis.mset(everything())
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", service.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", CONFIG["port"]).start()
    print(f"ready: redis-py {redis.__version__}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
