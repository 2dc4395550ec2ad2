"""Stage 3: SEGMENTS in, the bytes of connections out, in causal order.

Law: no word of HTTP. Segments are brought together by connection a block at a time (`blocks.py`);
`streams.py` says what is one connection, and gives its bytes once, with every gap where it is.
"""
