"""Stage 2: FRAMES in, SEGMENTS out.

Law: headers are decoded a block at a time with numpy (`block.py`); a frame that the block decoder
declines goes one by one through dpkt (`single.py`). Both put out the same columns, and whatever
is no TCP segment is counted by name.
"""
