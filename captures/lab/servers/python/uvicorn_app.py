"""The warehouse, the clinic or the ledger behind uvicorn, as a bare ASGI application.

Faults: `stale-close` closes the number of the chosen request's own connection behind the event
loop's back; `cancelled-connect` gives up a connection of its own that is just being made, by
uvloop's `create_connection(sock=...)`, and drops the socket some time later; `silent` never
answers; `context` keeps "the current request" in one module variable; those of `mixups`.
"""

# mypy: disable-error-code="import-not-found"
import asyncio
import gc
import os
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from captures.lab.servers.python import clinic, ledger, mixups, warehouse
from captures.lab.servers.python.common import CONFIG, Log, Request, matches, slowness

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
HANDLE = {
    "warehouse": warehouse.handle,
    "clinic": clinic.handle,
    "ledger": ledger.handle,
}[CONFIG["api"]]
FAULT: dict[str, Any] = CONFIG.get("fault") or {}
LOG = Log()
CURRENT: dict[str, Request] = {}
TASKS: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected


def stale_close(peer: tuple[str, int]) -> None:
    """Close the number of the connection with this peer; with `inherit` a child still holds it."""
    for number in range(3, 256):
        try:
            duplicate = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        with duplicate:
            try:
                found = duplicate.getpeername()[:2] == tuple(peer)
            except OSError:
                found = False
        if found:
            if FAULT.get("inherit"):
                subprocess.Popen(["sleep", "30"], pass_fds=[number], close_fds=True)
            os.close(number)
            LOG.write(fault="stale-close", descriptor=number, at=time.time())
            return


async def cancelled_connect() -> None:
    """Give up on a connection that is just being made, and drop its socket `after` ms.

    uvloop until 0.22.1 has closed the descriptor by then and does not tell the socket, which closes
    the number once more when it is collected (uvloop#738).
    """
    loop = asyncio.get_running_loop()
    own = socket.socket()
    own.setblocking(False)
    await loop.sock_connect(own, ("127.0.0.1", CONFIG["port"]))
    number = own.fileno()
    making = loop.create_task(loop.create_connection(asyncio.Protocol, sock=own))
    await asyncio.sleep(0)
    making.cancel()
    await asyncio.wait([making])
    await asyncio.sleep(FAULT["after"] / 1000)
    still = own.fileno() == number
    del own, making
    gc.collect()
    LOG.write(fault="cancelled-connect", descriptor=number, closed_again=still, at=time.time())


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """One request."""
    if scope["type"] != "http":
        return
    received = time.time()
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    query = scope["query_string"].decode()
    target = scope["raw_path"].decode() + (f"?{query}" if query else "")
    name = f"{scope['method']} {target}"
    request = Request(
        scope["method"],
        scope["path"],
        dict(urllib.parse.parse_qsl(query)),
        body,
        {key.decode(): value.decode() for key, value in scope["headers"]},
    )
    chosen = matches(FAULT.get("on"), name, request)
    if chosen and FAULT["name"] == "stale-close":
        asyncio.get_running_loop().call_later(
            FAULT["after"] / 1000, stale_close, tuple(scope["client"])
        )
    if chosen and FAULT["name"] == "cancelled-connect":
        TASKS.add(asyncio.create_task(cancelled_connect()))
    if chosen and FAULT["name"] == "context":
        CURRENT["request"] = request
    if chosen and FAULT["name"] == "silent":
        LOG.write(fault="silent", request=name, at=time.time())
        await asyncio.sleep(3600)
    own = mixups.arrive(FAULT["name"]) if chosen and FAULT["name"] in mixups.NAMES else None
    await asyncio.sleep(slowness(name, request))
    if chosen and FAULT["name"] == "context":
        if CURRENT["request"] is not request:
            LOG.write(fault="context", request=name, at=time.time())
        request = CURRENT["request"]
        query = urllib.parse.urlencode(request.query)
        target = request.path + (f"?{query}" if query else "")
    answer = HANDLE(request)
    encoded = answer.encoded()
    peer = "{}:{}".format(*scope["client"])
    LOG.answer(peer, request, target, received, answer.status, encoded)
    if own is not None:
        (answer, encoded), wrong = await mixups.settle(FAULT["name"], own, (answer, encoded))
        if wrong:
            LOG.write(fault=FAULT["name"], request=name, at=time.time())
    headers = {"content-type": answer.media_type, "content-length": str(len(encoded))}
    headers |= {key.lower(): value for key, value in answer.headers.items()}
    headers |= CONFIG.get("headers", {})
    raw = [(key.encode(), value.encode()) for key, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": encoded})


def main() -> None:
    """Listen; the line that says so is what the lab waits for."""
    config = uvicorn.Config(
        app,
        host="0.0.0.0",
        port=CONFIG["port"],
        loop=CONFIG.get("loop", "asyncio"),
        http=CONFIG.get("http", "h11"),
        log_level="info",
        access_log=False,
        **CONFIG.get("options", {}),
    )
    server = uvicorn.Server(config)

    async def serve() -> None:
        waiting = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        print(f"ready: uvicorn {uvicorn.__version__}", flush=True)
        await waiting

    if config.loop == "uvloop":
        import uvloop

        uvloop.run(serve())
    else:
        asyncio.run(serve())


if __name__ == "__main__":
    main()
