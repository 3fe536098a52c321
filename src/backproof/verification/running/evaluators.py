"""The evaluators of one claim: both its sides, its primal, and the hand-written side in low precision."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from backproof.numerics.leaves import dtype_of, is_inexact
from backproof.verification.claims.claim import Claim
from backproof.verification.running.evaluator import Compiled, Evaluator, OnHost
from backproof.verification.running.low_precision import LowPrecision
from backproof.verification.running.point import Point


class Evaluators:
    """Holds the evaluators of one claim; it is a class because those in low precision are made on demand.

    Attributes:
        claim: the claim.
        hand, truth: the hand-written derivative, and autodiff of the primal.
        primal, forward: the value of the primal, and of the rule's own forward, if it has one.
        compiled: the hand-written derivative as its users run it.
    """

    def __init__(self, claim: Claim) -> None:
        """Prepare to evaluate `claim`; nothing is traced yet."""
        own = claim.value or claim.primal
        self.claim = claim
        self.hand, self.truth = Evaluator(claim.hand), Evaluator(claim.truth)
        self.primal = Evaluator(lambda args, _: claim.primal(*args))
        self.forward = Evaluator(lambda args, _: own(*args))
        self.compiled = OnHost(claim.host) if claim.host else Compiled(claim.hand)
        self._low: dict[str, LowPrecision] = {}

    def low_precision(self, dtype: str) -> LowPrecision:
        """Return the evaluator of both sides in float32, bfloat16 or float16."""
        if dtype not in self._low:
            self._low[dtype] = LowPrecision(self.claim, dtype)
        return self._low[dtype]

    def finite(self, points: Sequence[Point]) -> list[bool]:
        """Return whether the primal is finite at each point of one shape; elsewhere nothing can be judged."""
        real = [leaf for leaf in jax.tree.leaves(self.primal.values(points)) if is_inexact(leaf)]
        return [all(bool(np.all(np.isfinite(leaf[i]))) for leaf in real) for i in range(len(points))]

    def is_finite_at(self, point: Point) -> bool:
        """Return whether the primal is finite at one point."""
        return self.finite([point])[0]

    def in_float32(self, point: Point) -> bool:
        """Return whether the hand-written side computes in float32 though no argument is declared wider."""
        return not self._declared_wide and self.hand.program(point).in_float32

    def noise_of_both(self, point: Point) -> Any:
        """Return the noise of each entry of the difference of the two sides at one point."""
        return self.truth(point).with_noise_of(self.hand(point)).noise

    def noise_again(self, point: Point) -> Any:
        """Return the same noise, measured with more perturbed runs and another seed."""
        again = (one.noise_again(point) for one in (self.hand, self.truth))
        return jax.tree.map(np.add, *again)

    @functools.cached_property
    def _declared_wide(self) -> bool:
        built = [one.build() for one in self.claim.points.plain()[:1]]
        return any(dtype_of(leaf) in (np.float64, np.complex128) for leaf in jax.tree.leaves(built))
