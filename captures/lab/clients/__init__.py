"""Client programs: each carries out a plan with one library and logs what it really got."""
