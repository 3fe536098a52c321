"""The rounding of a backward pass at the points of the test: the unit in which a slip changes something.

It is measured as the verifier measures it (`numerics/noise.py`), in float64, and scaled to the dtype in which
the test runs. Code that JAX cannot trace is run on inputs that are moved by one rounding instead.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from backproof.auditing.call import Call, is_numbers
from backproof.numerics.effort import EFFORT
from backproof.numerics.leaves import widen
from backproof.numerics.noise import measure_program
from backproof.numerics.rounding import epsilon
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import trace

Arrays = Mapping[str, np.ndarray]


def gradient_at(call: Call) -> dict[str, np.ndarray]:
    """Return the leaves of the result of a call, as arrays."""
    with np.errstate(all="ignore"), _as_wide(call):
        return {path: np.asarray(leaf) for path, leaf in call.leaves(call.result()).items()}


def _as_wide(call: Call) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which JAX holds float64 if the call has such numbers; a test may switch it on."""
    wide = any(
        getattr(leaf, "dtype", None) in (np.float64, np.complex128) for leaf in jax.tree.leaves(call.args)
    )
    return jax.enable_x64(True) if wide else contextlib.nullcontext()


def rounding_at(call: Call) -> dict[str, np.ndarray]:
    """Return the rounding error of each entry of the leaves, in the dtype in which the test runs."""
    narrow = gradient_at(call)
    run, numbers = _of_numbers(call)
    try:
        program = trace(lambda *given: call.leaves(run(*given)), *numbers)
        noise = measure_program(program, numbers).noise
        units = program.tree.unflatten(program.units)
    except Exception:
        # The code is the user's; where JAX cannot trace it, it may raise anything.
        noise = _moved(call, run, numbers)
        units = dict.fromkeys(noise, float(epsilon(np.float64)))
    # What the code itself rounds to fewer digits is rounded so in float64 already.
    return {
        path: max(1.0, float(epsilon(leaf.dtype)) / units[path]) * np.asarray(noise[path])
        for path, leaf in narrow.items()
        if path in noise
    }


def _moved(call: Call, run: Callable[..., Any], numbers: list[Any]) -> dict[str, np.ndarray]:
    """Return the spread of the result in float64 where every input is moved by a rounding."""
    rng, unit = np.random.default_rng(0), float(epsilon(np.float64))

    def at(given: list[Any]) -> dict[str, np.ndarray]:
        with np.errstate(all="ignore"):
            return {path: np.asarray(leaf) for path, leaf in call.leaves(run(*given)).items()}

    value = at(numbers)
    varied = [
        at([one * (1 + unit * rng.choice((-1.0, 1.0), np.shape(one))) for one in numbers])
        for _ in range(EFFORT.replicas)
    ]
    return {
        path: np.max([np.abs(one[path] - leaf) for one in varied], 0) + unit * np.abs(leaf)
        for path, leaf in value.items()
    }


def _of_numbers(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    """Return the call as a function of its floating arrays, and these in float64."""
    leaves, form = jax.tree.flatten((call.args, dict(call.named)))
    places = [
        i for i, leaf in enumerate(leaves) if is_numbers(leaf) and not isinstance(leaf, float | complex)
    ]

    def run(*given: Any) -> Any:
        inside = dict(zip(places, given, strict=True))
        args, named = form.unflatten([inside.get(i, leaf) for i, leaf in enumerate(leaves)])
        return replace(call, args=args, named=named).result()

    return run, [widen(leaves[i]) for i in places]


def differ(one: Arrays, other: Arrays, rounding: Arrays) -> bool:
    """Return whether two results differ by more than their rounding, in any entry of any leaf."""
    if one.keys() != other.keys():
        return True
    for path, leaf in one.items():
        if np.shape(leaf) != np.shape(other[path]):
            return True
        unit = rounding.get(path, float(epsilon(leaf.dtype)) * np.abs(leaf))
        with np.errstate(all="ignore"):
            apart = np.abs(leaf.astype(np.complex128) - other[path])
            if np.any((apart > AGREES_WITHIN * unit) | (np.isnan(leaf) != np.isnan(other[path]))):
                return True
    return False


def relative(call: Call, leaf: str) -> float | None:
    """Return the rounding of the largest entry of a leaf as a part of that entry; None where it is zero."""
    value, unit = gradient_at(call).get(leaf), rounding_at(call).get(leaf)
    if value is None or unit is None or not value.size:
        return None
    place = np.unravel_index(int(np.argmax(np.abs(value))), value.shape)
    size, part = float(np.abs(value[place])), float(unit[place])
    return part / size if np.isfinite(size) and size > AGREES_WITHIN * part else None
