"""Tests of analyzer/report and the command line."""
