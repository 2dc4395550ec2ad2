"""The garden on FastAPI, with fastapi-cache2 on what is asked often.

Its key is made of the path and the parameters that the handler names, not of who asks
(fastapi-cache#103, flask-caching#104): for a second all who ask are told the same of themselves.
"""

# mypy: disable-error-code="import-not-found, untyped-decorator"
import asyncio
from typing import Any

import fastapi
import uvicorn
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.decorator import cache

from captures.lab.servers.python import plots
from captures.lab.servers.python.common import CONFIG, Answer, Request

app = fastapi.FastAPI()
FastAPICache.init(InMemoryBackend())


async def told(got: fastapi.Request) -> Answer:
    """Log what is right."""
    headers = {key.lower(): value for key, value in got.headers.items()}
    request = Request(got.method, got.url.path, got.query_params, await got.body(), headers)
    target = got.url.path + (f"?{got.url.query}" if got.url.query else "")
    client = got.client
    return plots.tell(request, target, f"{client.host}:{client.port}" if client else "")


@app.middleware("http")
async def journal(got: fastapi.Request, call: Any) -> Any:
    """Every request is logged, whether its handler is called or not."""
    got.state.made = await told(got)
    return await call(got)


@app.get("/me")
@cache(expire=1)
async def me(request: fastapi.Request) -> Any:
    """Who asks is in the header only."""
    await asyncio.sleep(0.01)
    return request.state.made.body


@app.api_route("/{path:path}", methods=["GET", "POST"])
async def other(request: fastapi.Request) -> Any:
    """Everything else, uncached."""
    made: Answer = request.state.made
    return fastapi.Response(made.encoded(), made.status, media_type=made.media_type)


async def serve() -> None:
    """Listen; the line that says so is what the lab waits for."""
    config = uvicorn.Config(app, host="0.0.0.0", port=CONFIG["port"], log_level="warning")
    server = uvicorn.Server(config)
    waiting = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await waiting


if __name__ == "__main__":
    asyncio.run(serve())
