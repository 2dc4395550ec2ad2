"""Tests of analyzer/findings."""
