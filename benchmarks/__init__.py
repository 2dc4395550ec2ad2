"""Benchmarks: speed and memory of the program, side by side with the usual tools."""
