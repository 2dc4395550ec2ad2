"""Coverage-guided fuzzing: targets, a small corpus, and the inputs that once broke something."""
