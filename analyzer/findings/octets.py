"""What bytes are that are no HTTP message, in words: their beginning tells.

Law: what may be a body's content is named and not shown; a body's values are nobody's business.
"""

from analyzer.second_pass.model import Message

MOST_SHOWN = 40  # bytes of a beginning that are shown

_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"0\r\n\r\n", "the end of a chunked body (`0`, CRLF, CRLF)"),
    (b"\x15\x03", "a TLS alert"),
    (b"\x16\x03", "a TLS handshake"),
    (b"SSH-", "the greeting of an SSH server"),
    (b"PRI * HTTP/2", "the preface of HTTP/2"),
    (b"RFB ", "the greeting of a VNC server"),
    (b"-ERR", "an error of a Redis or POP3 server"),
    (b"220 ", "the greeting of an SMTP or FTP server"),
)
_SETTINGS = b"\x04\x00\x00\x00\x00\x00"  # type, flags and stream of HTTP/2's first frame
_SPACE = b" \t\r\n"


def named(begins: bytes) -> str:
    """What bytes are, by their first ones."""
    for prefix, name in _KNOWN:
        if begins.startswith(prefix):
            return name
    if begins[3:9] == _SETTINGS:
        return "an HTTP/2 frame"
    text = begins.lstrip(_SPACE)
    if text[:1] in (b"{", b"["):
        return "what looks like JSON"
    if text[:1] == b"<":
        return "what looks like HTML or XML"
    if begins and all(byte >= 0x20 or byte in _SPACE for byte in begins):
        return "text"
    return "binary data" if begins else "unknown bytes"


def shown(begins: bytes) -> str:
    """The beginning of bytes that are no HTTP at all, made visible; its first line at most."""
    line = begins.split(b"\n", 1)[0].rstrip(b"\r")[:MOST_SHOWN]
    text = "".join(chr(b) if 0x20 <= b < 0x7F and b != 0x5C else f"\\x{b:02x}" for b in line)
    return f"`{text}`{'…' if len(begins) > len(line) else ''}"


def status_line(message: Message | None) -> str:
    """What came of a status line, made visible; "" where it was not seen."""
    return shown(message.begins) if message is not None and message.begins else ""
