"""The tests, arranged as the analyzer is; `builder` crafts captures."""
