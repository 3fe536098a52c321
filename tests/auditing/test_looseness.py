"""The tolerance that is found is the one that the test has."""

import math

import numpy as np
import pytest

from backproof.auditing.call import VJP, Call
from backproof.auditing.looseness import tolerance_of
from backproof.auditing.report import Outcome

G = np.array([[1.0, -2.0], [4.0, 0.5]], np.float32)
POINT = Call("a rule", VJP, lambda x, ct: (x * ct,), (G, np.ones_like(G)), {}, 1, ("x",))


def found(part, planted=("times 1.01", "twice")):
    """Return the tolerance of a test that fails where the leaf is off by more than a part of itself.

    Args:
        part: that part.
        planted: the kinds of slips that were planted before.
    """
    off, asked = {"times 1.01": 0.01, "twice": 1.0, "zero": 1.0}, []
    outcomes = {kind: Outcome.CAUGHT if off[kind] > part else Outcome.PASSED for kind in planted}

    def passes(slip):
        asked.append(slip.factor)
        return slip.factor - 1 <= part

    return tolerance_of([POINT], "x", outcomes, passes), asked


@pytest.mark.parametrize("part", [1e-5, 1e-4, 0.003, 0.02, 0.3, 5.0, 1e5])
def test_it_is_found_to_within_a_factor_of_two(part):
    tolerance, asked = found(part)
    assert tolerance.passes <= part < tolerance.caught == 2 * tolerance.passes
    assert len(asked) <= 5
    # The product of two numbers is off by half a unit in its last place, at most.
    assert 2.0**-25 < tolerance.rounding < 2.0**-20
    assert tolerance.factor == tolerance.caught / (8 * tolerance.rounding)


@pytest.mark.parametrize("planted", [(), ("zero",), ("twice",), ("times 1.01",)])
@pytest.mark.parametrize("part", [1e-9, 1e-4, 0.02, 0.3, 5.0, math.inf])
def test_it_is_the_same_whichever_slips_were_planted_before(part, planted):
    assert found(part, planted)[0] == found(part)[0]


def test_a_slip_that_was_left_out_says_nothing():
    def passes(slip):
        return slip.factor - 1 <= 1e-4

    outcomes = dict.fromkeys(["times 1.01", "twice"], Outcome.LEFT_OUT)
    assert tolerance_of([POINT], "x", outcomes, passes) == found(1e-4)[0]


def test_a_test_that_fails_as_soon_as_rounding_allows_is_as_tight_as_can_be():
    tolerance, _ = found(1e-9)
    assert tolerance.passes == 0
    assert tolerance.factor < 2
    assert str(tolerance).endswith("rounding asks for no less")


def test_a_test_that_never_fails_is_said_to():
    tolerance, _ = found(math.inf)
    assert math.isinf(tolerance.caught)
    assert "no factor up to 1e+06 is caught" in str(tolerance)


def test_a_leaf_that_is_zero_has_no_tolerance():
    zero = Call("a rule", VJP, lambda x, ct: (0 * x * ct,), (G, G), {}, 1, ("x",))
    assert tolerance_of([zero], "x", {}, lambda slip: True) is None
