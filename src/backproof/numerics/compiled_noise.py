"""The value of a program on large arrays, with its rounding noise: the ensemble of `interpreter`, compiled.

NumPy passes over memory once for each operation and each run, which takes minutes where arrays have millions
of entries. Here the unperturbed run and one perturbed replica become one program, which XLA fuses. The seed
of the perturbations is an argument, so that further replicas need no other program and no more memory.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics import coverage, whole_operations
from backproof.numerics.decisions import CHOOSES_BY, COMPARISONS
from backproof.numerics.effort import EFFORT
from backproof.numerics.lanes import Witness
from backproof.numerics.leaves import is_complex, is_inexact
from backproof.numerics.noise import Measured, with_floor
from backproof.numerics.primitives import EXACT, LOOSE, ROUGH, STEPS, SUMS
from backproof.numerics.rounding import epsilon, smallest_normal, walk_of_sum
from backproof.numerics.tolerance import LIBRARY_ULPS
from backproof.numerics.tracing import Program, float64, narrows

# A value that is the same in both runs, or the unperturbed one and that of the replica.
Values = tuple[Any, ...]
Seed = Any


class CompiledNoise:
    """Measures a program on large arrays; it is a class to keep what is compiled."""

    def __init__(self, program: Program) -> None:
        """Prepare to measure `program`; nothing is compiled yet."""
        self._program = program
        self._comparisons: list[Any] = []
        self._pair, self._asked = jax.jit(self._both_runs), jax.jit(self._answers)

    def __call__(self, args: Any, replicas: int = EFFORT.replicas, seed: int = 0) -> Measured:
        """Return the result at large arguments, with its noise.

        Args:
            args: the arguments.
            replicas: how many perturbed runs are made.
            seed: the seed of the perturbations.
        """
        with float64():
            value, apart = jax.device_get(functools.reduce(_further, self._pairs(args, replicas, seed)))
        tree = self._program.tree
        return with_floor(self._program, tree.unflatten(value), tree.unflatten(apart))

    def runs(self, args: Any, replicas: int) -> list[Any]:
        """Return the result at large arguments, and results that lie as far from it as perturbed replicas."""
        with float64():
            pairs = jax.device_get(list(self._pairs(args, max(replicas, 1), 0)))
        values = [pairs[0][0], *([v + gap for v, gap in zip(*pair, strict=True)] for pair in pairs)]
        return [self._program.tree.unflatten(one) for one in values[: 1 + replicas]]

    def _pairs(self, args: Any, replicas: int, seed: int) -> Iterator[tuple[Any, Any]]:
        leaves = jax.tree.leaves(tuple(args))
        return (self._pair(np.uint32(1000 * seed + one + 1), *leaves) for one in range(replicas))

    def watch(self, args: Any, witness: Witness) -> None:
        """Write down which answers comparisons give at large arguments; those inside loops are left out."""
        with float64():
            found = jax.device_get(self._asked(*jax.tree.leaves(tuple(args))))
        for eqn, both in zip(self._comparisons, found, strict=True):
            met = {answer for answer, seen in zip((True, False), both, strict=True) if seen}
            witness.met.setdefault(id(eqn), (eqn, set()))[1].update(met)

    def _both_runs(self, seed: Any, *leaves: Any) -> tuple[Any, Any]:
        outs = self._run(seed, leaves)[1]
        return [out[0] for out in outs], [_apart(out) for out in outs]

    def _answers(self, *leaves: Any) -> Any:
        run, _ = self._run(np.uint32(0), leaves)
        self._comparisons = [eqn for eqn, _ in run.met]
        return [answers for _, answers in run.met]

    def _run(self, seed: Any, leaves: Sequence[Any]) -> tuple["_Run", list[Values]]:
        run, jaxpr = _Run(seed), self._program.jaxpr
        return run, run.evaluate(jaxpr.jaxpr, _consts(jaxpr), [(leaf,) for leaf in leaves])


def _further(before: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the value with the larger of two distances from a replica."""
    return before[0], [jnp.maximum(*both) for both in zip(before[1], now[1], strict=True)]


def _apart(out: Values) -> Any:
    if len(out) == 1 or not is_inexact(out[0]):
        return jnp.zeros(jnp.shape(out[0]))
    apart = jnp.abs(out[1] - out[0])
    return jnp.where(jnp.isfinite(apart), apart, 0)


class _Run:
    """Evaluates a program in both runs; it is a class to number the roundings, so that no two are alike."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._number = 0
        self.met: list[tuple[Any, Any]] = []

    def evaluate(self, jaxpr: Jaxpr, consts: Sequence[Values], args: Sequence[Values]) -> list[Values]:
        """Return the results of a program in both runs."""
        env: dict[Any, Values] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))
        read = lambda atom: (atom.val,) if isinstance(atom, Literal) else env[atom]  # noqa: E731
        for eqn in jaxpr.eqns:
            env.update(zip(eqn.outvars, self._apply(eqn, [read(atom) for atom in eqn.invars]), strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _apply(self, eqn: Any, operands: list[Values]) -> list[Values]:
        name = eqn.primitive.name
        if name in COMPARISONS:
            self.met.append((eqn, _answers(eqn, [v[0] for v in operands])))
        if all(len(v) == 1 for v in operands) and _rounds_nothing(eqn):
            return [(out,) for out in _bound(eqn, [v[0] for v in operands])]
        if name in CONTROL:
            return CONTROL[name](self, eqn, operands)
        inner = coverage.called(eqn)
        if inner is not None:
            return self._call(inner, operands)
        return self._computed(eqn, operands)

    def _call(self, inner: ClosedJaxpr | Jaxpr, operands: Sequence[Values]) -> list[Values]:
        if isinstance(inner, ClosedJaxpr):
            return self.evaluate(inner.jaxpr, [(one,) for one in inner.consts], operands)
        return self.evaluate(inner, [], operands)

    def _computed(self, eqn: Any, operands: list[Values]) -> list[Values]:
        """Return the results of an operation; decisions are taken by the unperturbed run."""
        name = eqn.primitive.name
        firsts = [v[0] for v in operands]
        first = _bound(eqn, firsts)
        if name in STEPS or not any(is_inexact(var.aval) for var in eqn.outvars):
            return [(one,) for one in first]
        if (name == "sort" and eqn.params["num_keys"] == 1) or name == "top_k":
            return _ordered(eqn, operands, first)
        seconds = [v[-1] for v in operands]
        if name in CHOOSES_BY:
            seconds[CHOOSES_BY[name]] = firsts[CHOOSES_BY[name]]
        if whole_operations.is_whole(eqn):
            ulps = whole_operations.ulps_of(eqn)
            seconds = [self._moved(v, v, ulps) for v in seconds]
        alike = all(a is b for a, b in zip(firsts, seconds, strict=True))
        second = first if alike else _bound(eqn, seconds)
        if name not in EXACT:
            sizes = _sizes(eqn, firsts, first)
            ulps = LIBRARY_ULPS if name in LOOSE or name in ROUGH else 1.0
            second = [self._moved(v, size, ulps) for v, size in zip(second, sizes, strict=True)]
        elif name == "convert_element_type" and narrows(eqn):
            size = jnp.where(seconds[0] == second[0].astype(seconds[0].dtype), 0, jnp.abs(second[0]))
            second = [self._moved(second[0], size, 1.0)]
        return [(a,) if a is b or not is_inexact(a) else (a, b) for a, b in zip(first, second, strict=True)]

    def _moved(self, value: Any, size: Any, ulps: float) -> Any:
        """Return `value` moved by ½ to 1 times `ulps` units in the last place of `size`, up or down."""
        if not is_inexact(value):
            return value
        self._number += 1
        unit = ulps * epsilon(value.dtype) * jnp.abs(size)
        unit = jnp.where(jnp.isfinite(unit), unit, 0)
        least = float(smallest_normal(value.dtype))
        unit = jnp.where(jnp.abs(value) < least, jnp.maximum(unit, least), unit)
        step = _steps(value.shape, self._seed + jnp.uint32(self._number)).astype(unit.dtype)
        if is_complex(value):
            turn = _steps(value.shape, self._seed + jnp.uint32(self._number + 2**30)).astype(unit.dtype)
            angle = 2 * np.pi * turn
            return value + lax.complex(step * unit * jnp.cos(angle), step * unit * jnp.sin(angle))
        return (value + step * unit).astype(value.dtype)

    def cond(self, eqn: Any, operands: list[Values]) -> list[Values]:
        index, *rest = operands
        flat, shape = _flat(rest)
        number, shapes = self._number, []

        def branch(one: Any) -> Callable[..., Any]:
            def run(*values: Any) -> Any:
                inner = _Run(self._seed)
                inner._number = number
                outs = inner._call(one, _unflat(values, shape))
                shapes.append(inner._number)
                return [v for out in outs for v in _both(out)]

            return run

        outs = lax.switch(
            jnp.clip(index[0], 0, len(eqn.params["branches"]) - 1).astype(jnp.int32),
            [branch(one) for one in eqn.params["branches"]],
            *flat,
        )
        self._number = max(shapes, default=number)
        return _paired(outs)

    def loop(self, eqn: Any, operands: list[Values]) -> list[Values]:
        params = eqn.params
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        test, body, carry = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]

        def going(state: Any) -> Any:
            firsts = [(v,) for v in state[1][::2]]
            (out,) = _Run(self._seed).evaluate(
                params["cond_jaxpr"].jaxpr, _consts(params["cond_jaxpr"]), [*[(v[0],) for v in test], *firsts]
            )
            return out[0]

        def step(state: Any) -> Any:
            count, values = state
            inner = _Run(_mixed(self._seed, count))
            outs = inner._call(params["body_jaxpr"], [*body, *_paired(values)])
            return count + 1, [v for out in outs for v in _both(out)]

        _, outs = lax.while_loop(going, step, (jnp.uint32(0), [v for one in carry for v in _both(one)]))
        self._number += 1
        return _paired(outs)

    def scan(self, eqn: Any, operands: list[Values]) -> list[Values]:
        body = eqn.params["jaxpr"]
        inner = body.jaxpr if isinstance(body, ClosedJaxpr) else body
        n_rows = sum(a.aval.shape != b.aval.shape for a, b in zip(eqn.invars, inner.invars, strict=True))
        n_carry = sum(a.aval.shape == b.aval.shape for a, b in zip(eqn.outvars, inner.outvars, strict=True))
        first_row = len(inner.invars) - n_rows
        consts = operands[: first_row - n_carry]
        carry, rows = operands[first_row - n_carry : first_row], operands[first_row:]

        def step(state: Any, values: Any) -> Any:
            count, held = state
            run = _Run(_mixed(self._seed, count))
            outs = run._call(body, [*consts, *_paired(held), *_paired(values)])
            flat = [v for out in outs for v in _both(out)]
            return (count + 1, flat[: 2 * n_carry]), flat[2 * n_carry :]

        (_, ends), ys = lax.scan(
            step,
            (jnp.uint32(0), [v for one in carry for v in _both(one)]),
            [v for one in rows for v in _both(one)],
            length=eqn.params["length"],
            reverse=eqn.params["reverse"],
        )
        self._number += 1
        return _paired([*ends, *ys])

    def solve(self, eqn: Any, operands: list[Values]) -> list[Values]:
        lengths = eqn.params["const_lengths"]
        first = lengths.matvec + lengths.vecmat
        consts, right_sides = operands[first : first + lengths.solve], operands[sum(lengths) :]
        return self._call(eqn.params["jaxprs"].solve, [*consts, *right_sides])


CONTROL: dict[str, Callable[[_Run, Any, list[Values]], list[Values]]] = {
    "cond": _Run.cond,
    "while": _Run.loop,
    "scan": _Run.scan,
    "custom_linear_solve": _Run.solve,
}


def _answers(eqn: Any, operands: Sequence[Any]) -> tuple[Any, Any]:
    """Return whether a comparison of finite numbers is true somewhere, and whether it is false somewhere."""
    (answers,) = _bound(eqn, operands)
    finite = jnp.isfinite(operands[0]) & jnp.isfinite(operands[1]) if is_inexact(operands[0]) else True
    return jnp.any(answers & finite), jnp.any(~answers & finite)


def _rounds_nothing(eqn: Any) -> bool:
    """Return whether an operation whose operands are alike in both runs has one result."""
    name = eqn.primitive.name
    if name in CONTROL or coverage.called(eqn) is not None or whole_operations.is_whole(eqn):
        return False
    exact = name in EXACT and not (name == "convert_element_type" and narrows(eqn))
    return exact or name in STEPS or not any(is_inexact(var.aval) for var in eqn.outvars)


def _bound(eqn: Any, operands: Sequence[Any]) -> list[Any]:
    with eqn.ctx.manager:
        out = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


def _sizes(eqn: Any, operands: Sequence[Any], out: Sequence[Any]) -> list[Any]:
    """Return, for each result, the number whose last place is rounded: for a sum, that of its terms."""
    name = eqn.primitive.name
    if name not in SUMS:
        return [jnp.abs(one) + 1 if name in ROUGH else jnp.abs(one) for one in out]
    sized = [jnp.abs(v) if is_inexact(v) else v for v in operands]
    if name == "scatter-sub":
        sized[-1] = -sized[-1]
    sums = _bound(eqn, sized)
    return [one * walk_of_sum(name, operands, one, eqn.params) for one in sums]


def _ordered(eqn: Any, operands: list[Values], first: list[Any]) -> list[Values]:
    """Return the result of an operation that orders by one key: the first run gives the order of both."""
    is_sort = eqn.primitive.name == "sort"
    axis = eqn.params["dimension" if is_sort else "axis"]
    if is_sort:
        places = lax.broadcasted_iota(np.int32, operands[0][0].shape, axis)
        *_, order = lax.sort([*(v[0] for v in operands), places], dimension=axis, num_keys=1)
    else:
        order = first[1]
    seconds = [jnp.take_along_axis(v[-1], order, axis) for v in operands]
    pairs = list(zip(first, seconds, strict=False))
    return [*((a, b) if is_inexact(a) else (a,) for a, b in pairs), *((one,) for one in first[len(pairs) :])]


def _consts(program: ClosedJaxpr) -> list[Values]:
    return [(one,) for one in program.consts]


def _both(value: Values) -> tuple[Any, Any]:
    return value[0], value[-1]


def _paired(values: Sequence[Any]) -> list[Values]:
    return [(a, b) if is_inexact(a) else (a,) for a, b in zip(values[::2], values[1::2], strict=True)]


def _flat(operands: Sequence[Values]) -> tuple[list[Any], list[int]]:
    return [v for one in operands for v in one], [len(one) for one in operands]


def _unflat(values: Sequence[Any], lengths: Sequence[int]) -> list[Values]:
    found, start = [], 0
    for length in lengths:
        found.append(tuple(values[start : start + length]))
        start += length
    return found


def _mixed(seed: Seed, count: Any) -> Seed:
    return seed + count * jnp.uint32(2654435769)


def _steps(shape: tuple[int, ...], seed: Seed) -> Any:
    """Return numbers from ½ to 1 with random signs, the same for the same seed.

    A hash of the entry's number is enough, and is fused with what follows; a generator would fill memory.
    """
    mixed = lax.iota(np.uint32, int(np.prod(shape, dtype=int))).reshape(shape)
    mixed = (mixed ^ (seed * jnp.uint32(0x9E3779B9))) * jnp.uint32(0x85EBCA6B)
    mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x2C1B3C6D)
    mixed = (mixed ^ (mixed >> 12)) * jnp.uint32(0x297A2D39)
    mixed ^= mixed >> 15
    size = ((mixed & 127) + 128).astype(np.float32) / 256
    return jnp.where(mixed >> 31, size, -size)
