"""A recorder that waits beside the wire: it keeps a ring of packets, judges it as it grows, asks
the kernel who holds the sockets of what looks wrong, and keeps the evidence.
"""
