"""Tests of analyzer/packets."""
