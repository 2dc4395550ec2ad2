"""The clinic, the warehouse or the ledger behind aiohttp's server.

Faults: `silent` never answers; `cut` ends the connection in the middle of the body; those of
`mixups`.
"""

# mypy: disable-error-code="import-not-found"
import asyncio
import time
from typing import Any

from aiohttp import web

from captures.lab.servers.python import clinic, ledger, mixups, warehouse
from captures.lab.servers.python.common import CONFIG, Log, Request, matches, slowness
from captures.lab.servers.python.serving import by_aiohttp

HANDLE = {
    "warehouse": warehouse.handle,
    "clinic": clinic.handle,
    "ledger": ledger.handle,
}[CONFIG["api"]]
FAULT: dict[str, Any] = CONFIG.get("fault") or {}
LOG = Log()


async def handle(got: Any) -> Any:
    """One request."""
    received = time.time()
    name = f"{got.method} {got.raw_path}"
    headers = {key.lower(): value for key, value in got.headers.items()}
    request = Request(got.method, got.path, dict(got.query), await got.read(), headers)
    chosen = matches(FAULT.get("on"), name, request)
    if chosen and FAULT["name"] == "silent":
        LOG.write(fault="silent", request=name, at=time.time())
        await asyncio.sleep(3600)
    own = mixups.arrive(FAULT["name"]) if chosen and FAULT["name"] in mixups.NAMES else None
    await asyncio.sleep(slowness(name, request))
    answer = HANDLE(request)
    body = answer.encoded()
    headers = {**answer.headers, "Content-Type": answer.media_type}
    peer = "{}:{}".format(*got.transport.get_extra_info("peername")[:2])
    LOG.answer(peer, request, got.raw_path, received, answer.status, body)
    if own is not None:
        (headers, body), wrong = await mixups.settle(FAULT["name"], own, (headers, body))
        if wrong:
            LOG.write(fault=FAULT["name"], request=name, at=time.time())
    if chosen and FAULT["name"] == "cut":
        LOG.write(fault="cut", request=name, at=time.time())
        response = web.StreamResponse(
            status=answer.status, headers={**headers, "Content-Length": str(len(body))}
        )
        await response.prepare(got)
        await response.write(body[: len(body) // 2])
        await asyncio.sleep(FAULT.get("stall", 0.05))
        got.transport.close()
        return response
    return web.Response(status=answer.status, body=body, headers=headers)


if __name__ == "__main__":
    by_aiohttp(handle, access_log=None, **CONFIG.get("options", {}))
