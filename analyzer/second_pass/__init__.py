"""The second look: a few connections read again, packet by packet and with their messages.

The first pass keeps tables. What judging, `explain` and the evidence files need beyond them (every
packet of the connections of an incident, the heads and bodies of their messages) is read here, from
the same captures, by the same stages, for those connections alone:

    wanted = look.wanted(tables.connections, tables.addresses, numbers)
    rereads = pipeline.look(captures, interfaces, wanted)       # {number: Reread}

`numbers` are those of CONNECTIONS; each vantage of a connection is one of its own, so pass the
members of its group (`Joined.members`) for all of them. A `Wanted` may have a time window: packets
and messages outside of it are read (sequence numbers depend on them) and not kept.

Law: bounded. Of `limits` a connection gets its share; what exceeds it is left out from the middle,
since how a connection began and how it ended tells most, and counted in the `Reread`. Numbers of
captures, interfaces and connections are those of the first pass. A connection of which no packet is
found (the captures changed meanwhile, or standard input could not be kept) is not in the result.
An ordinary scan needs the model alone (`model.py`), so nothing is imported here.
"""
