"""The embedded digits: present in the package, complete, and what their attribution says."""

from importlib.resources import files

import numpy as np
import pytest

from backproof.datasets import digits

pytestmark = pytest.mark.smoke


def test_digits_are_1797_images_of_64_pixels_from_0_to_16():
    x, y = digits()
    assert x.shape == (1797, 64)
    assert y.shape == (1797,)
    assert x.dtype == y.dtype == np.uint8
    assert (x.min(), x.max()) == (0, 16)


def test_every_digit_occurs_as_often_as_in_the_uci_set():
    _, y = digits()
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_first_image_is_the_zero_that_scikit_learn_shows():
    x, y = digits()
    assert y[0] == 0
    assert x[0, :16].tolist() == [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]
    assert int(x.sum()) == 561718


def test_the_attribution_travels_with_the_data():
    text = (files("backproof.datasets") / "README.md").read_text(encoding="utf-8")
    for said in ("Optical Recognition of Handwritten Digits", "E. Alpaydin and C. Kaynak", "CC BY 4.0"):
        assert said in text
