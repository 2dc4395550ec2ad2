"""The compiled kernels, or None where they could not be built: then all goes the general way."""

try:
    from analyzer import kernels
except ImportError:
    kernels = None  # type: ignore[assignment]

__all__ = ["kernels"]
