"""A pool of connections as applications write one, with the usual mistake (K1).

A request that its caller cancels goes back into the pool with its connection, on which the answer
is still owed; redis-py did the same (redis-py#2624). A step's `cancel` is the caller's patience in
seconds; before a `fresh` step all of the pool is closed.
"""

import asyncio
from typing import Any

from captures.lab.clients.journal import Journal, answered, delay, failed, opening, read_plan
from captures.lab.clients.raw_client import WITHOUT_BODY, encode

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def read(reader: asyncio.StreamReader, method: str) -> tuple[int, bytes]:
    """The next response: its status and body, which has a length or is chunked."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if method == "HEAD" or status in WITHOUT_BODY:
        return status, b""
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return status, body
    return status, await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def exchange(
    idle: list[Stream], plan: dict[str, Any], step: dict[str, Any]
) -> dict[str, Any]:
    """Send one request on a connection of the pool and read what comes."""
    if step.get("fresh"):
        for _, old in idle:
            old.close()
        idle.clear()
    stream = idle.pop() if idle else await asyncio.open_connection(*plan["to"])
    reader, writer = stream
    row = opening(step, "{}:{}".format(*writer.get_extra_info("sockname")[:2]))
    try:
        writer.write(encode(plan, step))
        return row | answered(*await read(reader, step["method"]))
    except asyncio.CancelledError:
        return row | failed("cancelled")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return row | failed("closed")
    finally:
        idle.append(stream)  # the mistake: also when its answer has not been read


async def work(
    idle: list[Stream], plan: dict[str, Any], worker: dict[str, Any], log: Journal
) -> None:
    """One worker's steps, in order."""
    for step in worker["steps"]:
        await asyncio.sleep(delay(plan, step))
        task = asyncio.ensure_future(exchange(idle, plan, step))
        if step.get("cancel"):
            await asyncio.sleep(step["cancel"])
            task.cancel()
        log.write(await task)


async def main() -> None:
    """Carry out the plan; each worker has a pool of its own."""
    plan = read_plan()
    log = Journal(plan)
    pools: list[list[Stream]] = [[] for _ in plan["workers"]]
    workers = zip(pools, plan["workers"], strict=True)
    await asyncio.gather(*(work(idle, plan, one, log) for idle, one in workers))
    for _, writer in (stream for idle in pools for stream in idle):
        writer.close()


if __name__ == "__main__":
    asyncio.run(main())
