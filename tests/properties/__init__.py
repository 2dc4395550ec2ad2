"""Laws that hold for any traffic."""
