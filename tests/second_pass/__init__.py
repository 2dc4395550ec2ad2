"""The second look at a few connections."""
