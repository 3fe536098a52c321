"""Distances stand in their order on the axis, the bound of the verifier among them."""

import math

import pytest

from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.page.axis import axis, in_words, place

pytestmark = pytest.mark.smoke


def test_what_agrees_stands_before_the_bound_and_what_differs_behind_it():
    drawn = axis([("right", AGREES_WITHIN * 0.9, True), ("wrong", AGREES_WITHIN * 1.1, False)])
    right, wrong = drawn.dots
    assert right.x < drawn.bound < wrong.x
    assert (right.within, wrong.within) == (True, False)


def test_every_distance_has_a_place_and_they_stand_in_order():
    given = [0.0, 1e-9, 1e-3, 0.5, 8.0, 1e6, 1e14, 1e17, 1e30, math.inf]
    places = [place(units) for units in given]
    assert places == sorted(places)
    assert all(0 < x < 100 for x in places)
    assert place(math.nan) == place(math.inf)
    assert round(place(1e6) - place(1e4), 6) == round(place(1e4) - place(1e2), 6)


def test_the_axis_says_what_it_shows():
    said = axis([("line 1", 0.5, True), ("line 2", 3e14, False), ("line 3", math.inf, False)]).label
    assert f"agreement ends at {AGREES_WITHIN:g}" in said
    for words in ("line 1: 0.5 noise units", "line 2: 3e+14 noise units", "line 3: beyond all units"):
        assert words in said
    assert "no distance" in axis([]).label
    assert in_words(1.0) == "1 noise unit"
