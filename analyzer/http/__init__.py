"""Stage 4: the bytes of a connection in, EXCHANGES out.

Law: framing is decided in one pure function that follows RFC 9112 §6.3 in order (`framing.py`);
responses answer requests in order, and the acknowledgement numbers have to agree (`exchanges.py`).
A gap is data: it is counted where a length is known, and ends what it makes unreadable.
"""
