"""A program run twice at once in JAX: as it is, and with every rounding varied.

It is the ensemble of `interpreter` with one replica, written with JAX's own operations so that XLA can fuse
them. The unperturbed run takes all decisions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from backproof.numerics import coverage, whole_operations
from backproof.numerics.decisions import CHOOSES_BY, COMPARISONS
from backproof.numerics.leaves import is_complex, is_inexact
from backproof.numerics.primitives import EXACT, LOOSE, ROUGH, STEPS, SUMS
from backproof.numerics.rounding import epsilon, smallest_normal, walk_of_sum
from backproof.numerics.tolerance import LIBRARY_ULPS
from backproof.numerics.tracing import narrows

# A value that is the same in both runs, or the unperturbed one and that of the replica.
Values = tuple[Any, ...]
Seed = Any


class PairedRun:
    """Evaluates a program in both runs; it is a class to number the roundings, so that no two are alike."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._number = 0
        self.met: list[tuple[Any, Any]] = []

    def evaluate(self, jaxpr: Jaxpr, consts: Sequence[Values], args: Sequence[Values]) -> list[Values]:
        """Return the results of a program in both runs."""
        env: dict[Any, Values] = dict(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, args, strict=True))

        def read(atom: Any) -> Values:
            return (np.asarray(atom.val, _dtype(atom)),) if isinstance(atom, Literal) else env[atom]

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
        """Return the results of the branch that the unperturbed run takes."""
        index, *rest = operands
        flat, shape = _flat(rest)
        number, shapes = self._number, []

        def branch(one: Any) -> Callable[..., Any]:
            def run(*values: Any) -> Any:
                inner = PairedRun(self._seed)
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
        """Return the results of a `while`, which ends as it does in the unperturbed run."""
        params = eqn.params
        nc, nb = params["cond_nconsts"], params["body_nconsts"]
        test, body, carry = operands[:nc], operands[nc : nc + nb], operands[nc + nb :]

        def going(state: Any) -> Any:
            firsts = [(v,) for v in state[1][::2]]
            (out,) = PairedRun(self._seed).evaluate(
                params["cond_jaxpr"].jaxpr,
                consts_of(params["cond_jaxpr"]),
                [*[(v[0],) for v in test], *firsts],
            )
            return out[0]

        def step(state: Any) -> Any:
            count, values = state
            inner = PairedRun(_mixed(self._seed, count))
            outs = inner._call(params["body_jaxpr"], [*body, *_paired(values)])
            return count + 1, [v for out in outs for v in _both(out)]

        _, outs = lax.while_loop(going, step, (jnp.uint32(0), [v for one in carry for v in _both(one)]))
        self._number += 1
        return _paired(outs)

    def scan(self, eqn: Any, operands: list[Values]) -> list[Values]:
        """Return the results of a `scan`, each of whose steps has roundings of its own."""
        body = eqn.params["jaxpr"]
        inner = body.jaxpr if isinstance(body, ClosedJaxpr) else body
        n_rows = sum(a.aval.shape != b.aval.shape for a, b in zip(eqn.invars, inner.invars, strict=True))
        n_carry = sum(a.aval.shape == b.aval.shape for a, b in zip(eqn.outvars, inner.outvars, strict=True))
        first_row = len(inner.invars) - n_rows
        consts = operands[: first_row - n_carry]
        carry, rows = operands[first_row - n_carry : first_row], operands[first_row:]

        def step(state: Any, values: Any) -> Any:
            count, held = state
            run = PairedRun(_mixed(self._seed, count))
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
        """Return the results of the program that solves; the others say what is solved, for derivatives."""
        lengths = eqn.params["const_lengths"]
        first = lengths.matvec + lengths.vecmat
        consts, right_sides = operands[first : first + lengths.solve], operands[sum(lengths) :]
        return self._call(eqn.params["jaxprs"].solve, [*consts, *right_sides])


CONTROL: dict[str, Callable[[PairedRun, Any, list[Values]], list[Values]]] = {
    "cond": PairedRun.cond,
    "while": PairedRun.loop,
    "scan": PairedRun.scan,
    "custom_linear_solve": PairedRun.solve,
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


def _dtype(atom: Any) -> Any:
    return atom.aval.dtype


def consts_of(program: ClosedJaxpr) -> list[Values]:
    """Return the constants of a program, the same in both runs."""
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
