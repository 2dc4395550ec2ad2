"""Other readers of captures, and ours, held against what the lab's own clients logged."""
