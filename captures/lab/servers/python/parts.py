"""Long text files on aiohttp, of which clients ask for parts (RFC 9110 §14).

Fault: those of `mixups` (base#5192, aria2-next#52): parts that are asked for at once are exchanged,
with their Content-Range, which then is not the Range that was asked for.
"""

# mypy: disable-error-code="import-not-found"
import asyncio
import hashlib
import re
import time
from typing import Any

from aiohttp import web

from captures.lab.asked import about
from captures.lab.reported import FILES, LOG_SIZE
from captures.lab.servers.python import mixups
from captures.lab.servers.python.common import CONFIG, Log, Request, matches, number, pick, slowness

FAULT: dict[str, Any] = CONFIG.get("fault") or {}
LOG = Log()
WHO = ["truck", "rider", "vet", "feed cart", "hay wagon"]


def text(name: str) -> bytes:
    """A file: who passed, line by line."""
    lines = [
        f"{n // 60 % 24:02d}:{n % 60:02d} {pick(f'{name}{n}', WHO)} {number(f'{name}{n}w', 99)}\n"
        for n in range(3000)
    ]
    return "".join(lines).encode()[:LOG_SIZE]


TEXTS = {name: text(name) for name in FILES}


class Part(Request):
    """A request that the part it asks for tells from others for the same file."""

    @property
    def about(self) -> str | None:
        """As the clients tell it."""
        return about(self.headers.get("range"), self.body)


def answer(request: Part) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and header fields."""
    match request.path.strip("/").split("/"):
        case ["logs"]:
            return 200, "\n".join(FILES).encode(), {"Content-Type": "text/plain"}
        case ["logs", name, "digest"]:
            digest = hashlib.sha256(TEXTS[name.removesuffix(".txt")]).hexdigest()
            return 200, f'{{"sha256":"{digest}"}}'.encode(), {"Content-Type": "application/json"}
        case ["logs", name]:
            whole = TEXTS[name.removesuffix(".txt")]
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
            if span is None:
                return 200, whole, {"Content-Type": "text/plain"}
            first, last = int(span[1]), int(span[2])
            told = {"Content-Range": f"bytes {first}-{last}/{len(whole)}"}
            return 206, whole[first : last + 1], {"Content-Type": "text/plain", **told}
    return 404, b"", {}


async def handle(got: Any) -> Any:
    """One request."""
    received = time.time()
    headers = {key.lower(): value for key, value in got.headers.items()}
    request = Part(got.method, got.path, {}, await got.read(), headers)
    span = headers.get("range", "")
    name = f"{got.method} {got.raw_path}"
    chosen = matches(FAULT.get("on"), f"{name}#{span}")
    own = mixups.arrive(FAULT["name"]) if chosen else None
    await asyncio.sleep(slowness(f"{name}#{span}"))
    made = answer(request)
    peer = "{}:{}".format(*got.transport.get_extra_info("peername")[:2])
    LOG.answer(peer, request, got.raw_path, received, made[0], made[1])
    if own is not None:
        made, wrong = await mixups.settle(FAULT["name"], own, made)
        if wrong:
            LOG.write(fault=FAULT["name"], request=f"{name} {span}", at=time.time())
    status, body, fields = made
    return web.Response(status=status, body=body, headers=fields)


async def listen() -> None:
    """Listen until the lab ends the process."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", CONFIG["port"]).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(listen())
