"""Stage 5: EXCHANGES of several places in, one view of them out.

Law: what was seen at several places is one connection (`vantages.py`), by one clock (`clocks.py`),
with what passed through a proxy joined (`proxies.py`), before anything is judged. `view.py` is all
that judging sees.
"""
