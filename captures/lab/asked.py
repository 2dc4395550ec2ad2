"""What tells two requests for one method and target apart: their id, their body, who asks."""

import hashlib
from collections.abc import Mapping


def about(request_id: str | None, body: bytes) -> str | None:
    """A short hash of both, or None when there is neither; written beside method and target.

    `lab/servers/node/server.js` and `lab/clients/node_client.js` have the same in JavaScript.
    """
    if not request_id and not body:
        return None
    return hashlib.sha256((request_id or "").encode() + b"\n" + body).hexdigest()[:12]


def who(headers: Mapping[str, str]) -> str | None:
    """A short hash of the credentials in a request's headers (names in lower case), or None.

    Only servers that answer differently by who asks log it; each has it in its own language.
    """
    token, cookie = headers.get("authorization", ""), headers.get("cookie", "")
    if not token and not cookie:
        return None
    return hashlib.sha256(f"{token}\n{cookie}".encode()).hexdigest()[:12]
