"""Captures made to do harm, and what they do: `python -m tests.hostile` measures them."""
