"""Recorded captures with their truth, and the lab that records them."""
