from hypothesis import given
from laws_of_rules import EXTREMES, ORDINARY, assert_caught_by_reference_alone, assert_is, consistent, points

from backproof.rules import identity


@given(points())
def test_identity_hands_on_value_and_error(point):
    assert_is(identity, lambda z: z, *point)


def test_identity_keeps_nothing():
    z = EXTREMES[0]
    assert identity.forward((), z) == (z, ())


def test_a_negated_identity_is_caught():
    assert_caught_by_reference_alone(consistent("negated", lambda z: -z), lambda z: z, ORDINARY)
