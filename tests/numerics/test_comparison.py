"""A ratio is written so that it never reads as 1 where it is not 1."""

import pytest

from backproof.numerics.comparison import ratio_text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (2 / 3, "0.666667"),
        (1.0, "1"),
        (-1.0, "-1"),
        (0.99999997, "0.99999997"),
        (1.0000001, "1.0000001"),
        (-1.0000001, "-1.0000001"),
        (1e-9, "1e-09"),
        (1 + 1e-9j, "1+1e-09j"),
    ],
)
def test_a_ratio_reads_as_one_only_where_it_is(ratio, text):
    assert ratio_text(ratio) == text
