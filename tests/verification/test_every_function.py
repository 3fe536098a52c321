"""The oracle is right for every function in the table: autodiff, handed in as hand-written, is accepted.

A red line here is a fault of backproof: of its NumPy table, of its noise, or of its judgement.
"""

import os

import jax
import pytest
from every_function import DOUBTFUL, SLOW, TABLE, WIDE_ONLY

import backproof as bp

pytestmark = pytest.mark.as_user


def autodiff(f):
    """Return the pullback of `f` by autodiff, with None for integers, as a person writes it."""

    def vjp(args, ct):
        pulled = jax.vjp(f, *args)[1](ct)
        return tuple(None if getattr(one, "dtype", None) == jax.dtypes.float0 else one for one in pulled)

    return vjp


WIDE = os.environ.get("BACKPROOF_PROFILE") == "wide"


@pytest.mark.parametrize(
    ("name", "f", "args"),
    [pytest.param(*row, id=row[0]) for row in TABLE if WIDE or row[0] not in WIDE_ONLY],
)
def test_autodiff_handed_in_is_accepted(name, f, args):
    examples = 3 if name in SLOW else 12
    report = bp.verify(of=f, vjp=autodiff(f), args=args, examples=examples, dtypes=(), second_order=False)
    if name in DOUBTFUL:
        assert report.verdict.name in ("REFERENCE_SUSPECT", "AGREES", "SUBGRADIENT"), str(report)
    else:
        assert report.ok, str(report)


def test_the_table_names_each_function_once_and_gives_reasons_for_its_exceptions():
    names = [name for name, *_ in TABLE]
    assert len(names) >= 150
    assert len(set(names)) == len(names)
    assert {*DOUBTFUL, *SLOW, *WIDE_ONLY} <= set(names)


@pytest.mark.parametrize(
    "name", ["jnp.tanh", "conv groups", "x.at.add", "lax.scan", "fft.rfft", "sp.digamma"]
)
def test_a_slip_of_one_part_in_a_million_is_not_accepted(name):
    """The table shows nothing if everything is accepted."""
    f, args = next((f, args) for one, f, args in TABLE if one == name)
    slipped = lambda a, ct: tuple(g * (1 + 1e-6) for g in autodiff(f)(a, ct))
    report = bp.verify(of=f, vjp=slipped, args=args, examples=12, dtypes=(), second_order=False)
    assert not report.ok
