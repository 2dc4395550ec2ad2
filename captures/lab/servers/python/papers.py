"""A library of papers as a WSGI application on cheroot, which sends whatever body it is handed.

Fault `head-body` (wsgidav#123): the application makes the whole page for a HEAD as well. Fault
`late-text` (jetty#2311): it puts a text behind a 204. Neither may have a body (RFC 9110 §9.3.2,
§15.3.5), so their clients find those bytes where the next status line should be.
"""

# mypy: disable-error-code="import-not-found"
import time
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi

from captures.lab.servers.python.common import (
    CONFIG,
    Answer,
    Log,
    Request,
    code,
    matches,
    number,
    pick,
)

LOG = Log()
FAULT: dict[str, Any] = CONFIG.get("fault") or {}
FIELDS = ["hydrology", "soil", "range ecology", "veterinary"]


def paper(name: str) -> bytes:
    """A paper's page."""
    key = f"paper{name}"
    cited = "".join(f"<li>{1900 + number(key + str(n), 126)}</li>" for n in range(number(key, 5)))
    return (
        f"<html><head><title>Paper {name}</title></head><body><h1>{pick(key, FIELDS)}</h1>"
        f"<p class=pages>{number(key + 'p', 40)}</p><ol>{cited}</ol></body></html>\n"
    ).encode()


def answer(request: Request) -> Answer:
    """What is answered; a HEAD is answered like a GET."""
    at = request.path.strip("/").split("/")
    match [request.method, *at]:
        case ["GET" | "HEAD", "papers", name] if int(name) < 9000:
            return Answer(200, paper(name), media_type="text/html")
        case ["GET", "drafts", name]:
            words = number(name, 9000)
            return Answer(200, {"draft": int(name), "words": words, "rev": code(name, 6)})
        case ["DELETE", "drafts", name]:
            return Answer(204, None)
        case ["GET", "authors", name, "papers"]:
            listed = [number(name + str(n), 900) for n in range(number(name, 6))]
            return Answer(200, {"author": name, "papers": listed})
    return Answer(404, {"error": "no such paper"})


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """One request."""
    received = time.time()
    request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], {}, b"")
    name = f"{request.method} {request.path}"
    peer = f"{environ['REMOTE_ADDR']}:{environ['REMOTE_PORT']}"
    made = answer(request)
    body = made.encoded()
    LOG.answer(peer, request, request.path, received, made.status, body)
    headers = [] if made.status == 204 else [("Content-Length", str(len(body)))]
    headers += [("Content-Type", made.media_type)] if body else []
    wrong = matches(FAULT.get("on"), name)
    if wrong:
        LOG.write(fault=FAULT["name"], request=name, at=time.time())
    start(f"{made.status} {'No Content' if made.status == 204 else 'Said'}", headers)
    if request.method == "HEAD":
        return [body] if wrong and FAULT["name"] == "head-body" else []
    return [b"No Content"] if wrong and made.status == 204 else [body] if body else []


if __name__ == "__main__":
    server = wsgi.Server(("0.0.0.0", CONFIG["port"]), app, numthreads=16)
    server.prepare()
    print("ready", flush=True)
    server.serve()
