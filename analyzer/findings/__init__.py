"""Stage 6: EXCHANGES in, FINDINGS out.

Law: no finding without the frames that prove it, and without having excluded the capture itself as
its cause; what the capture's limits touch is `undecided`, with the reason.
"""
