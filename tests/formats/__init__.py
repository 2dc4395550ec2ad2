"""Small captures of every format and encapsulation, and the scripts that record and make them."""
