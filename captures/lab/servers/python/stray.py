"""A server that answers, and then sends a 400 that nobody asked for (projectdiscovery/nuclei#7671).

As nginx and others do where they take something behind a request for a second one. If the client
sends its next request before it has seen the 400, it takes that for the answer.
"""

import hashlib
import socketserver
import time

from captures.lab.servers.python import plots
from captures.lab.servers.python.common import CONFIG, Request, matches

PAGE = b"<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n"
PAGE += b"<center><h1>400 Bad Request</h1></center>\r\n</body>\r\n</html>\r\n"


class Connection(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer request by request."""
        while head := self.head():
            method, target = head.pop("").split(" ")[:2]
            query = dict(one.split("=") for one in target.partition("?")[2].split("&") if one)
            body = self.rfile.read(int(head.get("content-length", 0)))
            request = Request(method, target.partition("?")[0], query, body, head)
            peer = "{}:{}".format(*self.client_address[:2])
            made = plots.tell(request, target, peer)
            self.reply(made.status, made.media_type, made.encoded())
            if matches(plots.FAULT.get("on"), f"{method} {target}"):
                time.sleep(plots.FAULT["after"] / 1000)
                plots.LOG.write(fault="stray-400", request=f"{method} {target}", at=time.time())
                digest = hashlib.sha256(PAGE).hexdigest()
                row = {"peer": peer, "method": method, "target": target, "about": request.about}
                plots.LOG.write(**row, received=time.time(), status=400, sha256=digest)
                self.reply(400, "text/html", PAGE, "Connection: close\r\n")
                return

    def head(self) -> dict[str, str]:
        """The next request's line (under an empty name) and fields, or nothing at the end."""
        line = self.rfile.readline().decode("latin-1").strip()
        found = {"": line}
        while line and (field := self.rfile.readline().decode("latin-1").strip()):
            name, _, value = field.partition(":")
            found[name.lower()] = value.strip()
        return found if line else {}

    def reply(self, status: int, media: str, body: bytes, more: str = "") -> None:
        """One response."""
        head = f"HTTP/1.1 {status} Said\r\nServer: nginx\r\nContent-Type: {media}\r\n{more}"
        self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


class Server(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("0.0.0.0", CONFIG["port"]), Connection) as server:
        print("ready", flush=True)
        server.serve_forever()
