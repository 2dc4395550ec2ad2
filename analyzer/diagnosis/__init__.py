"""SWAPS, and requests left without a response -> FINDINGS: how it came about, and what proves it.

Causes are supported, possible or ruled out by packets (`causes`, `evidence`, `where`), and findings
that are one event are one incident (`incidents`, `starvation`).
"""
