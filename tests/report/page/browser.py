"""Drives a headless Chromium over its debugging pipe: no driver, no port, nothing to download.

The protocol is JSON messages that end with a zero byte (Chrome DevTools Protocol, file descriptors
3 and 4 of the browser); a test needs few of its commands.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 20.0  # seconds for an answer
Message = dict[str, Any]


def program() -> str | None:
    """Where Chromium is installed, if it is."""
    return shutil.which("chromium")


class Browser:
    """A browser with one tab. `events` are what it reported since the last `open`."""

    def __init__(self) -> None:
        path = program()
        assert path is not None
        self._home = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        (theirs, self._to), (self._from, ours) = os.pipe(), os.pipe()
        # Away from the numbers that they get in the browser.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs, ours)]
        nowhere = os.open(os.devnull, os.O_RDWR)
        actions = [(os.POSIX_SPAWN_DUP2, nowhere, n) for n in range(3)]
        actions += [(os.POSIX_SPAWN_DUP2, end, n) for n, end in enumerate(ends, 3)]
        self._process = os.posix_spawn(
            path,
            [path, *FLAGS, f"--user-data-dir={self._home.name}", "about:blank"],
            {**os.environ, "HOME": self._home.name},
            file_actions=actions,
            setsid=True,
        )
        for end in (theirs, ours, nowhere, *ends):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self.events: list[Message] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        answer = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.do(f"{domain}.enable")
        self.do("Page.setLifecycleEventsEnabled", enabled=True)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._to)
        os.close(self._from)
        self._home.cleanup()

    def do(self, method: str, **parameters: Any) -> Message:
        """Give a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: Message = answer["result"]
                return result
            self.events.append(answer)

    def _next(self) -> Message:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser has ended"
            self._buffer += piece
        whole, _, self._buffer = self._buffer.partition(b"\0")
        message: Message = json.loads(whole)
        return message

    def open(self, path: Path, anchor: str = "") -> None:
        """Load a file, and wait until it is there."""
        # From elsewhere, so that it is loaded even if it is there already.
        self._go("about:blank")
        self.events.clear()
        self._go(path.as_uri() + anchor)

    def _go(self, address: str) -> None:
        loader = self.do("Page.navigate", url=address)["loaderId"]
        while not any(
            e.get("method") == "Page.lifecycleEvent"
            and (e["params"]["loaderId"], e["params"]["name"]) == (loader, "load")
            for e in self.events
        ):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """What an expression comes to; a promise is waited for. It runs also without scripts."""
        answer = self.do(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[Message]:
        """What the browser had to say: console, errors, violations of the policy."""
        kinds = (
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
            "Audits.issueAdded",
        )
        time.sleep(0.05)
        self.run("0")  # what was reported meanwhile comes before the answer
        return [e for e in self.events if e.get("method") in kinds]

    def asked_for(self) -> set[str]:
        """The addresses of everything that the page has asked for."""
        return {
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        }

    def shape(self, width: int, height: int = 900, *, dark: bool = False, media: str = "") -> None:
        """The size of the window in CSS pixels, the scheme, and the medium."""
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def scripts(self, *, on: bool) -> None:
        """Whether pages may run scripts, from the next one on."""
        self.do("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of the window, or of the whole page."""
        answer = self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        return base64.b64decode(answer["data"])

    def printed(self) -> bytes:
        """The page as a PDF."""
        answer = self.do("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])
