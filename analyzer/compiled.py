"""The compiled kernels, or None where they could not be built: then all goes the general way."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

try:
    from analyzer import kernels
except ImportError:
    kernels = None  # type: ignore[assignment]

__all__ = ["kernels", "name_table"]


def name_table(
    names: Iterable[tuple[bytes, int, bool]],
) -> tuple[bytes, npt.NDArray[np.int64]]:
    """Names of fields as the kernels take them: all in one text, and the table of `head_keys`.

    Each is given in small letters, with how it counts, and whether it is the end of further names.
    """
    text, rows = b"", []
    for name, kind, is_end in names:
        rows.append((len(text), len(name), kind, is_end))
        text += name
    return text, np.array(rows, dtype=np.int64)
