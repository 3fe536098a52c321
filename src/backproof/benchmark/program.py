"""XLA's figures for a compiled program, and the time that it takes to compile.

Compile times are interleaved as run times are, A B B A, and each compilation starts from a new function,
because JAX keeps the programs that it has traced.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from backproof.benchmark.timing import Spread, ratio
from backproof.rule import PyTree

Function = Callable[..., Any]
Maker = Callable[[], Function]


@dataclass(frozen=True)
class Program:
    """Holds the figures of one compiled program.

    Attributes:
        compile_seconds: the time of tracing, lowering and compilation, each time it was compiled.
        flops: floating-point operations by XLA's cost analysis, which counts the body of a loop once;
            None if the device's compiler does not say.
        temporary_bytes: temporary memory by XLA's memory analysis; None likewise.
    """

    compile_seconds: tuple[float, ...]
    flops: float | None
    temporary_bytes: int | None


@dataclass(frozen=True)
class Compiled:
    """Holds a jitted function and the figures of its program."""

    run: Function
    program: Program


def compile_interleaved(
    makers: Sequence[Maker], args: Sequence[Sequence[PyTree]], *, times: int = 2, **jit: Any
) -> list[Compiled]:
    """Return the function that each of `makers` makes, compiled for its `args`; calls compile nothing again.

    Args:
        makers: each returns a new function whenever it is called.
        args: for each of them the arguments, or their shapes; nothing is run, so no buffer is donated.
        times: how often each is compiled; every second time in reverse order.
        jit: arguments of `jax.jit`, e.g. `donate_argnums`.
    """
    for make, its_args in zip(makers, args, strict=True):
        jax.eval_shape(make(), *its_args)  # functions that both sides call are traced before the clock starts
    seconds: list[list[float]] = [[] for _ in makers]
    runs: dict[int, tuple[Function, Any]] = {}
    order = range(len(makers))
    for i in (i for turn in range(times) for i in (order if turn % 2 == 0 else reversed(order))):
        run = jax.jit(makers[i](), **jit)
        begun = time.perf_counter()
        executable = run.lower(*args[i]).compile()
        seconds[i].append(time.perf_counter() - begun)
        runs[i] = run, executable
    return [Compiled(runs[i][0], _program(runs[i][1], tuple(seconds[i]))) for i in order]


def compile_ratio(above: Program, below: Program) -> Spread:
    """Return the compile time of `above` divided by that of `below`, over all their compilations."""
    return ratio(above.compile_seconds, below.compile_seconds)


def quotient(above: float | None, below: float | None) -> float | None:
    """Return above / below; 1 if both are 0, and None if there is no such number."""
    if above is None or below is None or (below == 0 and above != 0):
        return None
    return above / below if below else 1.0


def _program(executable: Any, seconds: tuple[float, ...]) -> Program:
    cost, memory = executable.cost_analysis(), executable.memory_analysis()
    flops = None if cost is None else cost.get("flops")
    return Program(seconds, flops, None if memory is None else int(memory.temp_size_in_bytes))
