"""Logs of clients and servers: read to rows, put beside the exchanges of the wire, and held
against them.

Law: a log says what a program believed. A line is joined to one exchange or to none; where two fit
it stays ambiguous, and nothing follows from it.
"""
