"""What APIs say of a failure, whatever was asked for: a form that is no endpoint's own.

Law: told by the names of its fields alone; many APIs answer so with status 200.
"""

import re
from functools import lru_cache

from analyzer.features.shapes import Form, Object

# Names of fields, letters alone, in which APIs tell of a failure (JSON-RPC, GraphQL and the
# envelopes of many others), with what stands beside them.
_FAILURE = re.compile(
    "err|errors?|err(or)?(code|msg|no)|error(message|description)|exception|fault|failures?"
)
_MESSAGE = re.compile("message|msg|details?|reason")
_ENVELOPE = re.compile(f"{_MESSAGE.pattern}|success|ok|code|status|statuscode|result|data")
_BESIDE = re.compile(
    "id|jsonrpc|path|timestamp|time|requestid|traceid|correlationid|extensions|hint|help"
    "|documentationurl|retryafter|type|title|instance"
)


@lru_cache(4096)
def tells_failure(form: Form) -> bool:
    """Whether a form is what APIs say of a failure, or of any success, whatever was asked for.

    Many answer so with status 200, and then it says nothing about the endpoint.
    """
    if form.media_type.endswith("problem+json"):
        return True  # RFC 9457
    if not isinstance(form.shape, Object):
        return False
    names = {re.sub(r"[^a-z]", "", name.lower()) for name, _, _ in form.shape.fields}
    told = {name for name in names if _FAILURE.fullmatch(name)}
    kept = {name for name in names - told if not _ENVELOPE.fullmatch(name)}
    if told:
        return all(_BESIDE.fullmatch(name) for name in kept)
    return not kept and any(_MESSAGE.fullmatch(name) for name in names)
