"""FINDINGS -> STORIES: what happened in one incident, told so that one need not know TCP.

Law: a story is plain data, whole sentences and events in order, built from the tables and the
second look alone; renderers (`report/ladder.py`, the evidence files) only lay it out. Nothing in a
story is a value from a body.
"""
