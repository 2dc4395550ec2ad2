"""aiohttp's client: one session and pool for all workers, as an application has.

A step's `cancel` cancels the request after that many seconds, as a caller that gave up does.
"""

# mypy: disable-error-code="import-not-found"
import asyncio
import time
from typing import Any

import aiohttp
import yarl

from captures.lab.clients.journal import Journal, answered, delay, failed, opening, read_plan


async def exchange(session: Any, plan: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """Send one request and read its answer."""
    url = yarl.URL("http://{}:{}{}".format(*plan["to"], step["target"]), encoded=True)
    row = opening(step, "unconnected")
    seen: dict[str, Any] = {}
    tracing = {"row": row, "seen": seen}
    began = False
    try:
        async with session.request(
            step["method"],
            url,
            data=step.get("body"),
            headers=step.get("headers") or {},
            timeout=aiohttp.ClientTimeout(total=step["timeout"]),
            trace_request_ctx=tracing,
            allow_redirects=False,
        ) as response:
            began = True
            row["client"] = _address(response.connection) or row["client"]
            return row | answered(response.status, await response.read())
    except asyncio.CancelledError:
        return row | failed("cancelled", began)
    except TimeoutError:
        return row | failed("timeout", began)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError):
        return row | failed("closed", began)
    except (aiohttp.ClientOSError, ConnectionResetError):
        return row | failed("reset", began)
    except aiohttp.ClientError:
        return row | failed("unreadable", began)


def _address(connection: Any) -> str | None:
    if connection is None or connection.transport is None:
        return None
    host, port = connection.transport.get_extra_info("sockname")[:2]
    return f"{host}:{port}"


class Connector(aiohttp.TCPConnector):  # type: ignore[misc]
    """The library's own pool, which also tells which connection a request was given."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        for trace in traces:
            row = trace._trace_config_ctx.trace_request_ctx["row"]
            row["client"] = _address(connection) or row["client"]
            row["sent"] = time.time()
        return connection


async def work(
    session: Any, plan: dict[str, Any], worker: dict[str, Any], log: Journal, last: dict[str, Any]
) -> None:
    """One worker's steps, in order; `last` is told the last request of each connection."""
    for step in worker["steps"]:
        await asyncio.sleep(delay(plan, step))
        task = asyncio.ensure_future(exchange(session, plan, step))
        if step.get("cancel"):
            await asyncio.sleep(step["cancel"])
            task.cancel()
        row = await task
        last[row["client"]] = row
        log.write(row)


async def surplus(connector: Any, last: dict[str, Any], log: Journal) -> None:
    """Answers that lie unread in the pool, as rows of the last request on their connection."""
    await asyncio.sleep(0.3)  # they may be on their way
    for kept in connector._conns.values():
        for protocol, *_ in kept:
            row = last.get(_address(protocol) or "", {})
            for (message, payload), _ in list(protocol._buffer) if row else ():
                read = answered(message.code, await payload.read())
                log.write(row | read | {"outcome": "surplus"})


async def main() -> None:
    """Carry out the plan."""
    plan = read_plan()
    log = Journal(plan)
    trace = aiohttp.TraceConfig()
    trace.freeze()
    connector = Connector(limit=plan.get("limit", 8), keepalive_timeout=15)
    async with aiohttp.ClientSession(
        connector=connector, auto_decompress=False, trace_configs=[trace]
    ) as session:
        last: dict[str, Any] = {}
        await asyncio.gather(*(work(session, plan, one, log, last) for one in plan["workers"]))
        await surplus(connector, last, log)


if __name__ == "__main__":
    asyncio.run(main())
