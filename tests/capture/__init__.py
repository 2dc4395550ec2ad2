"""Tests of analyzer/capture."""
