"""Changes that must not matter: recordings rewritten so that their findings must stay the same.

Law: a variant holds the same exchanges, faults and losses as its recording, at the same places of
the same connections. Only what no verdict may hang on is different: names, ids, layout, sizes of
segments, addresses, or the pace. It shares no code with the analyzer.
"""
