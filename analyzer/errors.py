"""What a person did wrong, as opposed to what is wrong with the traffic.

Law: an `InputError` is one clear line for the person at the keyboard (the command line prints it
and exits with status 2). Damaged traffic is an anomaly (`anomalies.py`), never an exception, and
anything else that escapes is our bug and keeps its traceback.
"""


class InputError(Exception):
    """An input that cannot be read or a request that cannot be met; each argument is one line."""
