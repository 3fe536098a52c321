"""The data sets that come with the package."""

from backproof.datasets._digits import digits

__all__ = ["digits"]
