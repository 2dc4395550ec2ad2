"""EXCHANGES -> SWAPS: whose each odd response is, in bits, and which reason explains it best.

In this order: what is odd (`triage`), who could have asked (`candidates`), what speaks for each
(`weights`, `links`), the best linking of all (`assignment`), and why, of a closed list
(`explanations`, `deciding`).
"""
