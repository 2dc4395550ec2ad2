"""Tests of analyzer/openapi."""
