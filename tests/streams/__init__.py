"""Tests of analyzer/streams.py."""
