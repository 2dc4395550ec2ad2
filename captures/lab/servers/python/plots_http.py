"""The garden on Python's own http.server.

It refuses a POST before it has read the body (colibri#610), and keeps the connection. The body is
then where the next request line should be, and the next request is answered with 400.
"""

import hashlib
import html
import time
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from captures.lab.servers.python import plots
from captures.lab.servers.python.common import CONFIG, Request


class Handler(BaseHTTPRequestHandler):
    """One connection, for as long as it is kept."""

    protocol_version = "HTTP/1.1"
    refused: tuple[Request, float] | None = None  # and when it came

    def serve(self) -> None:
        """A request whose line and header fields were read."""
        headers = {key.lower(): value for key, value in self.headers.items()}
        at = urllib.parse.urlsplit(self.path)
        early = self.command == "POST" and "authorization" not in headers
        length = int(headers.get("content-length", 0))
        fixed = plots.FAULT.get("name") != "body-unread"
        body = b"" if early and not fixed else self.rfile.read(length)
        query = dict(urllib.parse.parse_qsl(at.query))
        request = Request(self.command, at.path, query, body, headers)
        peer = "{}:{}".format(*self.client_address[:2])
        unread = early and not fixed
        made = plots.tell(request, self.path, peer, unread)
        if unread:
            self.refused = (request, time.time())
            plots.LOG.write(fault="body-unread", request=f"POST {self.path}", at=time.time())
        self.send_response(made.status)
        self.send_header("Content-Type", made.media_type)
        self.send_header("Content-Length", str(len(made.encoded())))
        self.end_headers()
        self.wfile.write(made.encoded())

    do_GET = serve
    do_POST = serve

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The server's own page; logged as the answer to the body that was not read."""
        if self.refused is not None:
            short, long = self.responses[HTTPStatus(code)]
            text = html.escape(message or short, quote=False)
            told = {"code": code, "message": text, "explain": explain or long}
            body = (self.error_message_format % told).encode("utf-8", "replace")
            plots.LOG.write(
                peer="{}:{}".format(*self.client_address[:2]),
                method="POST",
                target=self.refused[0].path,
                received=self.refused[1],
                status=code,
                length=len(body),
                sha256=hashlib.sha256(body).hexdigest(),
            )
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("0.0.0.0", CONFIG["port"]), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()
