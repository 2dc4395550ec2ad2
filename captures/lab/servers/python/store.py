"""The help desk's store: a line of JSON is asked, a line comes back, in order on each connection.

It repeats what was asked, so that who asks could compare. Connections that idle are closed.
"""

import json
import socketserver
import time
from pathlib import Path

from captures.lab.servers.python.common import CONFIG, number, pick

IDLE = 2.5  # seconds


class Connection(socketserver.StreamRequestHandler):
    """One connection of a php-fpm worker."""

    timeout = IDLE

    def handle(self) -> None:
        """Answer line by line."""
        try:
            while line := self.rfile.readline():
                asked = json.loads(line)
                time.sleep(CONFIG.get("slow", {}).get(asked["ticket"], 5) / 1000)
                self.wfile.write(
                    json.dumps({**asked, "agreement": agreement(asked["ticket"])}).encode()
                )
                self.wfile.write(b"\n")
        except (TimeoutError, ConnectionError):
            return


def agreement(ticket: str) -> dict[str, object]:
    """What was agreed for a ticket."""
    return {
        "due_in_minutes": number(f"due{ticket}", 4000) - 600,
        "level": pick(f"level{ticket}", ["bronze", "silver", "gold"]),
        "clock": {
            "paused": number(f"paused{ticket}", 3) == 0,
            "calendar": pick(ticket, ["8x5", "24x7"]),
        },
        "breaches": number(f"breach{ticket}", 3),
    }


class Store(socketserver.ThreadingUnixStreamServer):
    """A thread for each connection."""

    daemon_threads = True


if __name__ == "__main__":
    with Store(str(Path(CONFIG["directory"]) / "store.sock"), Connection) as server:
        print("ready", flush=True)
        server.serve_forever()
