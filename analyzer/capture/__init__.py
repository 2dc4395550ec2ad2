"""Stage 1: file bytes in, FRAMES out, a block at a time.

Law: a damaged tail ends the file with an anomaly, never the program. Only an input that is no
capture at all is an error, because that is a person's mistake.
"""
