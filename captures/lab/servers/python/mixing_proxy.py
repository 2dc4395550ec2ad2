"""A small proxy with a pool of back connections, and one of two bugs for the chosen requests.

`mix`: an answer from any back connection goes to the client that has waited longest (P1).
`lose`: an answer that comes on a reused back connection is read and thrown away (P3).
With `framing = "length"` it believes a request's Content-Length even beside chunked (P2).
"""

import asyncio
import time
from dataclasses import dataclass

from captures.lab.servers.python.common import CONFIG, Log, matches

FAULT = CONFIG.get("fault") or {}
LOG = Log()
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
IDLE: list[Stream] = []
WAITING: list[asyncio.StreamWriter] = []


@dataclass(frozen=True)
class Message:
    """One request or response as it came."""

    first: str
    data: bytes


async def read(reader: asyncio.StreamReader, by_length: bool = False) -> Message | None:
    """One message with a Content-Length or no body; chunked ones are passed on as they are."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
    fields = {
        line.split(b":", 1)[0].strip().lower(): line.split(b":", 1)[1].strip()
        for line in head.split(b"\r\n")[1:]
        if b":" in line
    }
    body = b""
    believed = by_length and b"content-length" in fields
    if b"chunked" in fields.get(b"transfer-encoding", b"") and not believed:
        while not body.endswith(b"\r\n0\r\n\r\n"):
            body += await reader.readuntil(b"\r\n")
    elif b"content-length" in fields:
        body = await reader.readexactly(int(fields[b"content-length"]))
    return Message(head.split(b"\r\n", 1)[0].decode(), head + body)


async def back() -> tuple[Stream, bool]:
    """A back connection, and whether it was used before."""
    while IDLE:
        stream = IDLE.pop()
        if not stream[0].at_eof():
            return stream, True
    host, port = CONFIG["upstream"]
    return await asyncio.open_connection(host, port), False


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client's connection."""
    by_length = CONFIG.get("framing") == "length"
    while (request := await read(reader, by_length)) is not None:
        name = request.first.rpartition(" ")[0]
        chosen = matches(FAULT.get("on"), name)
        if chosen:
            WAITING.append(writer)
        stream, reused = await back()
        stream[1].write(request.data)
        response = await read(stream[0])
        if response is None:
            break
        if b"connection: close" in (request.data + response.data).lower():
            stream[1].close()
        else:
            IDLE.append(stream)
        to = writer
        if chosen and FAULT["name"] == "mix":
            to = WAITING.pop(0)
            if to is not writer:
                LOG.write(fault="mix", request=name, at=time.time())
        if chosen and FAULT["name"] == "lose" and reused:
            LOG.write(fault="lose", request=name, at=time.time())
            continue
        to.write(response.data)
        await to.drain()
        if b"connection: close" in request.data.lower():
            break
    writer.close()


async def main() -> None:
    """Listen until the lab ends the process."""
    server = await asyncio.start_server(serve, "0.0.0.0", CONFIG["port"])
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
