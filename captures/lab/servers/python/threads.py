"""The clinic or the warehouse behind Python's own ThreadingHTTPServer.

It answers whatever happens: also a client that has long closed its side. The bodies of
`until_close` end with their connection.
"""

import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from captures.lab.servers.python import clinic, warehouse
from captures.lab.servers.python.common import CONFIG, Log, Request, matches, slowness

HANDLE = {"warehouse": warehouse.handle, "clinic": clinic.handle}[CONFIG["api"]]
LOG = Log()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = CONFIG.get("protocol", "HTTP/1.1")

    def serve(self) -> None:
        """One request."""
        received = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        headers = {key.lower(): value for key, value in self.headers.items()}
        request = Request(self.command, parts.path, query, body, headers)
        time.sleep(slowness(f"{self.command} {self.path}", request))
        answer = HANDLE(request)
        encoded = answer.encoded()
        peer = f"{self.client_address[0]}:{self.client_address[1]}"
        LOG.answer(peer, request, self.path, received, answer.status, encoded)
        self.send_response(answer.status)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        if answer.status != 204:
            self.send_header("Content-Type", answer.media_type)
            if matches(CONFIG.get("until_close"), f"{self.command} {self.path}"):
                self.send_header("Connection", "close")
            elif self.protocol_version != "HTTP/1.0":
                self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(encoded)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """With room for clients that come at the same moment."""

    request_queue_size = 64


if __name__ == "__main__":
    server = Server(("0.0.0.0", CONFIG["port"]), Handler)
    print("ready", flush=True)
    server.serve_forever()
