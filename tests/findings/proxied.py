"""A proxy with ordinary traffic on both of its sides."""

from tests.builder import SECOND, Conversation, Frame, request, response
from tests.findings.stable import LATER, occupancy, vet_report

PROXY_AT, APP = ("10.0.0.80", 80), ("10.0.0.2", 8080)


class Proxy:
    """A proxy with a connection for each request behind it; `front` and `back` are captures."""

    def __init__(self, back_address: str = PROXY_AT[0]) -> None:
        self.front: list[Frame] = []
        self.back: list[Frame] = []
        self.made = 0
        self.address = back_address

    def asked(self, target: str, at: int) -> tuple[Conversation, Conversation]:
        """A client asks, and the proxy asks for it."""
        self.made += 1
        n = self.made
        front = Conversation(
            (f"10.0.1.{n % 200}", 40_000 + n), PROXY_AT, isns=(n * 31_337, n * 7_777_777), start=at
        )
        front.open().ask(request(target))
        back = Conversation(
            (self.address, 50_000 + n), APP, isns=(n * 99_991, n * 5_555_557), start=front.time
        )
        return front, back.open().ask(request(target))

    def done(self, front: Conversation, back: Conversation) -> None:
        """Both are over."""
        self.front += front.frames
        self.back += back.frames

    def ordinary(self, count: int, start: int, gap: int = SECOND) -> None:
        """Honest exchanges."""
        for n in range(count):
            for m, (target, body) in enumerate(
                (
                    (f"/horses/{n}/vet-report", vet_report(n)),
                    (f"/paddocks/{n}/occupancy", occupancy(n)),
                )
            ):
                front, back = self.asked(target, start + n * gap + m * gap // 2)
                back.answer(response(body)).close()
                front.time = back.time
                self.done(front.answer(response(body)).close(), back)


def busy(address: str = PROXY_AT[0]) -> Proxy:
    """A proxy with ordinary traffic before and after LATER."""
    proxy = Proxy(address)
    proxy.ordinary(12, LATER - 20 * SECOND)
    proxy.ordinary(6, LATER + 20 * SECOND)
    return proxy
