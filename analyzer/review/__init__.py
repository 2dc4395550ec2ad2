"""Incidents gone through in a terminal, and marked; the one part that needs textual."""
