"""The garden on Flask behind gunicorn, preloaded: one worker, of threads or without.

Faults: `query-ignored` caches the list of plots with Flask-Caching, whose key is the path without
its query (flask-cache#104, drf-extensions#169). `forked-memcache` makes the client of memcached,
and its connection, before gunicorn forks its worker. A worker that is killed between its command
and the answer leaves that to its successor, which has the same socket: every command is then given
the answer to the one before (python-memcached#166).
"""

# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator,misc"
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import flask
from gunicorn.app.base import BaseApplication

from captures.lab.servers.python import plots
from captures.lab.servers.python.common import CONFIG, Answer, Request

FORKED = plots.FAULT.get("name") == "forked-memcache"
SOCKET = Path(CONFIG["directory"]) / "memcached.sock"
app = flask.Flask(__name__)


@app.before_request
def journal() -> None:
    """Log what is right."""
    got = flask.request
    headers = {key.lower(): value for key, value in got.headers.items()}
    request = Request(got.method, got.path, got.args, got.get_data(), headers)
    target = got.full_path.rstrip("?") if got.query_string else got.path
    peer = f"{got.environ['REMOTE_ADDR']}:{got.environ['REMOTE_PORT']}"
    flask.g.made = plots.tell(request, target, peer)


def response(made: Answer) -> flask.Response:
    """An answer as Flask has it."""
    return flask.Response(made.encoded(), made.status, mimetype=made.media_type)


def listing() -> flask.Response:
    """The list of plots, which takes a moment."""
    time.sleep(0.01)
    return response(flask.g.made)


def shelf(name: str) -> flask.Response:
    """What the shed has, from memcached."""
    if STORE is None:
        return response(flask.g.made)
    if f"GET /stock/{name}" == plots.FAULT["on"]:
        plots.LOG.write(fault="forked-memcache", request=f"GET /stock/{name}", at=time.time())
        STORE.servers[0].send_cmd(f"get stock{name}")
        os.kill(os.getpid(), signal.SIGKILL)
    found = STORE.get(f"stock{name}")
    if found is None:
        return response(flask.g.made)
    return flask.Response(found, 200, mimetype="application/json")


@app.route("/<path:path>", methods=["GET", "POST"])
def other(path: str) -> flask.Response:
    """Everything else, uncached."""
    return response(flask.g.made)


if plots.FAULT.get("name") == "query-ignored":
    import flask_caching

    cache = flask_caching.Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    app.route("/plots")(cache.cached(timeout=2)(listing))
else:
    app.route("/plots")(listing)
app.route("/stock/<name>")(shelf)


def store() -> Any:
    """memcached, filled, and a client whose connection is open."""
    import memcache

    argv = ["memcached", "-s", str(SOCKET), "-u", "root", "-t", "1"]
    subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    while not SOCKET.exists():
        time.sleep(0.02)
    client = memcache.Client([f"unix:{SOCKET}"])
    for n in range(1, 201):
        client.set(f"stock{n}", json.dumps(plots.stock(str(n)), separators=(",", ":")))
    return client


STORE: Any = store() if FORKED else None


class Served(BaseApplication):
    """gunicorn without its command line."""

    def load_config(self) -> None:
        """The line that says that a worker is there is what the lab waits for."""
        settings = {
            "bind": f"0.0.0.0:{CONFIG['port']}",
            "worker_class": "sync" if FORKED else "gthread",
            "workers": 1,
            "threads": 1 if FORKED else 6,  # more than one would not be `sync`
            "keepalive": 15,
            "preload_app": True,
            "loglevel": "error",
            "post_worker_init": lambda worker: print("ready", flush=True),
        }
        for key, value in settings.items():
            self.cfg.set(key, value)

    def load(self) -> flask.Flask:
        """The application."""
        return app


if __name__ == "__main__":
    Served().run()
