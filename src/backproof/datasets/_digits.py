"""1,797 handwritten digits of 8 × 8 pixels, the data that `backproof train` uses by default.

Source: Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine
Learning Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0. This is the test part of
that set (digits of 13 people) as scikit-learn distributes it (`sklearn.datasets.load_digits`), with
pixels stored as whole numbers instead of floats; no value is changed.
"""

from importlib.resources import files

import numpy as np
from jaxtyping import UInt8


def digits() -> tuple[UInt8[np.ndarray, "1797 64"], UInt8[np.ndarray, " 1797"]]:
    """Return the images, each pixel from 0 to 16, and the digits 0 to 9 that they show."""
    with (files("backproof.datasets") / "digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["x"], arrays["y"]
