"""What can go wrong in the lab, and whose affair it is."""


class LabError(Exception):
    """Something a person can put right (a missing tool, an unknown scenario): one line, exit 2."""


class RecordingFailed(Exception):
    """The run did not show what the scenario promises: nothing of it is kept."""
