"""FINDINGS, the last table: what judging puts out (`model`), and words for it that many need.

Law: no finding without the frames that prove it, and without having excluded the capture itself as
its cause; what the capture's limits touch is `undecided`, with the reason.
"""
