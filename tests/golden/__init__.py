"""Real recordings: what is found in them, and what stays unfound when they are damaged."""
