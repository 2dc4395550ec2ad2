"""Tests of analyzer/http."""
