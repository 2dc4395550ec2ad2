"""A forwarder of TCP connections, as docker-proxy is one, maybe with a mistake about half-closes.

`forgets-fin`: what one side has ended is not ended on the other; both wait (P5).
`closes-both`: a client that closes its sending side is taken to be gone, and the answer is not
passed on; so did docker-proxy (moby#27539) until libnetwork#1598.
"""

import asyncio
import time

from captures.lab.servers.python.common import CONFIG, Log

FAULT = (CONFIG.get("fault") or {}).get("name")
LOG = Log()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client's connection and the one that is made for it."""
    host, port = CONFIG["to"]
    back_reader, back_writer = await asyncio.open_connection(host, port)
    peer = "{}:{}".format(*writer.get_extra_info("peername")[:2])

    async def inward() -> None:
        await copy(reader, back_writer)
        if FAULT == "closes-both":
            LOG.write(fault=FAULT, client=peer, at=time.time())
            outward.cancel()
        elif FAULT != "forgets-fin":
            back_writer.write_eof()

    async def outward_copy() -> None:
        await copy(back_reader, writer)
        if FAULT == "forgets-fin":
            LOG.write(fault=FAULT, client=peer, at=time.time())
            await asyncio.Event().wait()
        writer.write_eof()

    outward = asyncio.ensure_future(outward_copy())
    await asyncio.gather(inward(), outward, return_exceptions=True)
    back_writer.close()
    writer.close()


async def main() -> None:
    """Listen until the lab ends the process."""
    server = await asyncio.start_server(serve, CONFIG.get("listen", "0.0.0.0"), CONFIG["port"])
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
