"""The fault lab: real servers, kernels and clients in network namespaces, and a planted bug.

Read `recording.py` first: it runs one scenario from the declarative file to `truth.json`.
"""
