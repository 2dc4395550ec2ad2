"""A client with one read buffer for each connection, as Go's, Chromium's and Node's have.

What stands in it behind a response is logged as a surplus, and is in the way of the next response:
its client cannot read that, closes, and goes on with another connection.
"""

import hashlib
import select
import threading
import time
from typing import Any

from captures.lab.clients.journal import Journal, delay, failed, opening, read_plan
from captures.lab.clients.raw_client import Reader, address, connect, encode, read_into

LOOK = 0.02  # seconds in which bytes behind a response are waited for


def behind(reader: Reader) -> bytes:
    """What has come behind the response that was read; it stays in the buffer."""
    if select.select([reader.sock], [], [], LOOK)[0]:
        reader.buffer += reader.sock.recv(65536)
    return reader.buffer


def work(plan: dict[str, Any], worker: dict[str, Any], journal: Journal) -> None:
    """One worker's steps, in order."""
    reader: Reader | None = None
    for step in worker["steps"]:
        time.sleep(delay(plan, step))
        reader = reader or Reader(connect(plan, step))
        row = opening(step, address(reader.sock))
        reader.sock.settimeout(step["timeout"])
        try:
            reader.sock.sendall(encode(plan, step))
            row = read_into(row, reader)
        except (ValueError, IndexError):  # no status line where one should be
            row |= failed("unreadable", began=True)
        except OSError:
            row |= failed("reset")
        journal.write(row)
        if row["outcome"] != "answered":
            reader.sock.close()
            reader = None
        elif left := behind(reader):
            digest = hashlib.sha256(left).hexdigest()
            told = {"outcome": "surplus", "length": len(left), "sha256": digest}
            journal.write({**row, **told, "ended": time.time()})
    if reader is not None:
        reader.sock.close()


def main() -> None:
    """Carry out the plan."""
    plan = read_plan()
    journal = Journal(plan)
    threads = [threading.Thread(target=work, args=(plan, one, journal)) for one in plan["workers"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
