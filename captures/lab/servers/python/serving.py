"""How the lab's applications listen: by uvicorn, aiohttp or gunicorn, each without a command line.

Each prints the line that the lab waits for when it listens, and then serves until it is ended.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
import asyncio
from typing import Any

from captures.lab.servers.python.common import CONFIG

_ANYWHERE = "0.0.0.0"


def _ready() -> None:
    print("ready", flush=True)


def by_uvicorn(app: Any) -> None:
    """Serve an ASGI application."""
    import uvicorn

    async def serve() -> None:
        config = uvicorn.Config(app, host=_ANYWHERE, port=CONFIG["port"], log_level="warning")
        server = uvicorn.Server(config)
        waiting = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        _ready()
        await waiting

    asyncio.run(serve())


def by_aiohttp(handle: Any, **options: Any) -> None:
    """Have one handler answer all that is asked; `options` are those of aiohttp's runner."""
    from aiohttp import web

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, **options)
        await runner.setup()
        await web.TCPSite(runner, _ANYWHERE, CONFIG["port"]).start()
        _ready()
        await asyncio.Event().wait()

    asyncio.run(serve())


def by_gunicorn(app: Any, **settings: Any) -> None:
    """Serve a WSGI application; `settings` are gunicorn's, beside those that all have."""
    from gunicorn.app.base import BaseApplication

    every = {
        "bind": f"{_ANYWHERE}:{CONFIG['port']}",
        "keepalive": 15,
        "loglevel": "error",
        "post_worker_init": lambda worker: _ready(),  # gunicorn counts its parameters
        **settings,
    }

    class Served(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for key, value in every.items():
                self.cfg.set(key, value)

        def load(self) -> Any:
            return app

    Served().run()
