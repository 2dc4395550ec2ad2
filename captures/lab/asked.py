"""What tells two requests for one method and target apart: their request id and their body."""

import hashlib


def about(request_id: str | None, body: bytes) -> str | None:
    """A short hash of both, or None when there is neither; written beside method and target.

    `lab/servers/node/server.js` and `lab/clients/node_client.js` have the same in JavaScript.
    """
    if not request_id and not body:
        return None
    return hashlib.sha256((request_id or "").encode() + b"\n" + body).hexdigest()[:12]
