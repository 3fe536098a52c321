"""Windows along an axis against those of `jax.lax`, and against a loop that counts them."""

import numpy as np
import pytest
from jax import lax

from backproof.errors import UsageError
from backproof.rules import conv1d, conv2d, max_pool
from backproof.rules._windows import as_batch, require_images, windows

SIZES = range(7)
CASES = [(side, stride, step) for side in (1, 2, 3) for stride in (1, 2, 3) for step in (1, 2)]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("side", "stride", "step"), CASES)
def test_padding_is_that_of_jax(side, stride, step, padding):
    seen = windows(1, side, stride, padding, step, "here")
    for n in SIZES:
        assert [*seen.pads((n,))] == lax.padtype_to_pads((n,), seen.spans, (stride,), padding)


@pytest.mark.parametrize("padding", ["SAME", "VALID", ((0, 1),), ((3, 2),)])
@pytest.mark.parametrize(("side", "stride", "step"), CASES)
def test_windows_are_counted_as_they_fit(side, stride, step, padding):
    seen = windows(1, side, stride, padding, step, "here")
    for n in SIZES:
        ((low, high),) = seen.pads((n,))
        last = range(side)[-1] * step
        starts = [start for start in range(n + low + high) if start + last < n + low + high]
        assert seen.counts((n,)) == (len(starts[::stride]),)
        assert n < seen.least()[0] or seen.counts((n,))[0] > 0 or n == 0


def test_the_least_size_is_the_least_at_which_a_window_fits():
    for side, stride, step in CASES:
        for padding in ("SAME", "VALID", ((0, 1),)):
            seen = windows(1, side, stride, padding, step, "here")
            fitting = [n for n in range(1, 9) if seen.counts((n,))[0] > 0]
            assert seen.least() == (fitting[0],)


def test_a_name_says_what_the_call_says():
    assert conv1d(2, 3).name == "conv1d(2, 3, padding='SAME')"
    assert conv2d(4, (2, 3), 2, "VALID", (1, 2), 2).name == (
        "conv2d(4, (2, 3), stride=2, padding='VALID', dilation=(1, 2), groups=2)"
    )
    assert max_pool(2).name == "max_pool(2, stride=2, padding='VALID')"


def test_images_have_one_batch_axis_inside():
    assert as_batch(np.ones((3, 2, 5, 4, 1)), 2).shape == (6, 5, 4, 1)
    assert as_batch(np.ones((5, 4, 1)), 2).shape == (1, 5, 4, 1)
    assert as_batch(np.ones((2, 0, 4, 1)), 2).shape == (2, 0, 4, 1)
    assert as_batch(np.ones((0, 5, 1)), 1).shape == (0, 5, 1)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ((2, (2, 2, 2), 1, "SAME", 1), r"here: the window must be a whole number, or one for each of 2 axes"),
        ((2, 0, 1, "SAME", 1), "here: the window must be a whole number of at least 1"),
        ((2, 2, (1, 0), "SAME", 1), "here: stride must be a whole number of at least 1"),
        ((2, 2, 1, "SAME", 1.5), "here: dilation must be a whole number of at least 1"),
        ((1, 2, 1, "same", 1), r'padding must be "SAME", "VALID" or a pair of numbers for each of 1 axes'),
        ((1, 2, 1, 1, 1), r"found padding=1 .*write it as in padding=\(\(1, 1\),\)|found padding=1;"),
        ((2, 2, 1, ((1, 1),), 1), r"write it as in padding=\(\(1, 1\), \(1, 1\)\)"),
        ((1, 2, 1, ((1, -1),), 1), "padding must be a whole number of at least 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, text):
    with pytest.raises(UsageError, match=text):
        windows(*settings, "here")


def test_what_is_no_image_is_refused():
    with pytest.raises(UsageError, match=r"here: the input must be one array of shape \(\*batch, h, w, c\)"):
        require_images(np.ones((3, 4), "f4"), 2, "here")
    with pytest.raises(UsageError, match=r"the input must be one array of shape \(\*batch, n, c\)"):
        require_images((np.ones((3, 4), "f4"),), 1, "here")
    with pytest.raises(UsageError, match="the input must be floating"):
        require_images(np.ones((3, 4), "i4"), 1, "here")
