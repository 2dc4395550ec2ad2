"""The report as one HTML page: REPORT, SUMMARIES and STORIES in, a file out that needs no network.

Law: what is on the page is decided in pure functions that make plain data (`view.py`, `ladder.py`,
`timeline.py`); the templates lay it out and decide nothing. Everything that a template puts out
goes through one function that makes it harmless (`render.py`). Without the script all of the text
is there.
"""
