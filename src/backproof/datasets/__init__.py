"""The data that travels with the package."""

from backproof.datasets._digits import digits

__all__ = ["digits"]
