"""One slip, planted in one rule for one run of the test."""

import threading
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from backproof.auditing.call import JVP, Call, is_numbers, planted
from backproof.auditing.slips import RARE, RARELY, Slip


class Planting:
    """Plants a slip: `handler` is given to `intercepted`, and `times` says how often it was planted."""

    def __init__(self, rule: str, slip: Slip) -> None:
        """Make a planting.

        Args:
            rule: the name of the rule.
            slip: what is planted; a rare one with a factor of 1 changes nothing, which is its control.
        """
        self.times: int = 0
        self._rule, self._slip = rule, slip
        self._executed = 0
        self._lock = threading.Lock()

    def handler(self, call: Call) -> Any:
        """Return the result of a call, with the slip in it if it is a call of the rule."""
        if call.rule != self._rule:
            return call.result()
        self.times += 1
        if self._slip.kind != RARE:
            return planted(call, self._slip)
        return planted(call, self._slip._replace(factor=self._factor(call)))

    def _factor(self, call: Call) -> Any:
        """Return what this execution is multiplied by; one that is traced asks each time that it runs."""
        given = call.args[:-1] if call.kind == JVP else (call.args, dict(call.named))
        traced = [leaf for leaf in jax.tree.leaves(given) if isinstance(leaf, Tracer) and is_numbers(leaf)]
        if not traced:
            return float(self._next(None))
        # What it depends on keeps the compiler from asking once for several executions.
        on = jax.lax.stop_gradient(traced[-1]).reshape(-1)[:1]
        form = jax.ShapeDtypeStruct((), np.float32)
        factor = jax.pure_callback(self._next, form, on, vmap_method="sequential")
        return _Weak(factor)

    def _next(self, _: Any) -> np.ndarray:
        with self._lock:
            self._executed += 1
            return np.asarray(self._slip.factor if self._executed % RARELY == 0 else 1, np.float32)


class _Weak:
    """A number that takes the dtype of what it multiplies."""

    def __init__(self, number: Any) -> None:
        self._number = number

    def __mul__(self, leaf: Any) -> Any:
        return self._number.astype(leaf.dtype) * leaf
