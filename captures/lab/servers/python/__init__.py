"""Python servers; they run in a virtual environment of their own, found by PYTHONPATH."""
