"""Stage 7: FINDINGS in, what a person or a program reads out.

Law: one result (`result.Report`), many renderers; a renderer computes nothing. Text from packets
goes through `escape` before it reaches a terminal or a CSV.
"""
