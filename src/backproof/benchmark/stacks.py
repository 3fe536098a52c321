"""The savings on deep stacks by updates inside the sweep, by recomputing, and by a loop over the layers."""

from collections.abc import Sequence
from functools import partial

import jax

from backproof import rules
from backproof.benchmark.autodiff import checkpointed, loss_by_autodiff, rule_by_autodiff
from backproof.benchmark.grid import Size
from backproof.benchmark.problem import by_autodiff, by_hand, problem
from backproof.benchmark.program import Function
from backproof.benchmark.tables import Table, Way, table
from backproof.benchmark.timing import Run
from backproof.compose import chain
from backproof.depth import remat_repeat, repeat
from backproof.network import mlp
from backproof.rule import Loss, PyTree, Rule
from backproof.training import OPTIMIZERS, State, training_step
from backproof.training.step import Optimizer

LEARNING_RATE = 1e-3


def in_sweep(seconds: float, depth: int = 64, width: int = 512, batch: int = 32) -> Table:
    """Return the table of a training step: updated inside the sweep, or in two phases through autodiff.

    The parameters are donated, so that a program may update them in place.
    """
    size = Size(width, depth, batch, "float32")
    sgd, sweep = (OPTIMIZERS[name].make(LEARNING_RATE) for name in ("sgd", "in-sweep-sgd"))
    ways = []
    for form, network in (
        ("loop", repeat(_layer(width), depth)),
        ("unrolled", mlp([width] * (depth + 1), rules.relu)),
    ):
        shared = problem(size, network)
        automatic = rule_by_autodiff(network), loss_by_autodiff(shared.loss)
        for name, sides, optimizer in (
            (f"autodiff, optax.sgd, {form}", automatic, sgd),
            (f"in-sweep update, {form}", (network, shared.loss), sweep),
        ):
            state = training_step(*sides, optimizer).start(shared.params)
            make = partial(_taking, *sides, optimizer)
            ways.append(Way(name, make, (state, shared.x, shared.labels)))
    title = f"a training step at depth {depth}, width {width}, batch {batch}, float32"
    return table(title, ways, seconds, bound=_training, donate_argnums=0)


def recomputed(seconds: float, depth: int = 256, width: int = 256, batch: int = 64) -> Table:
    """Return the table of a gradient: all residuals kept, or recomputed in segments of about √depth layers.

    `remat_repeat` by hand and `jax.checkpoint` for autodiff recompute the same segments.
    """
    segment = max(n for n in range(1, int(depth**0.5) + 1) if depth % n == 0)
    inner, outer = repeat(_layer(width), segment), depth // segment
    ways = []
    for name, side, network in (
        ("autodiff", by_autodiff, repeat(_layer(width), depth)),
        ("by hand", by_hand, repeat(_layer(width), depth)),
        ("autodiff, jax.checkpoint", by_autodiff, repeat(checkpointed(inner), outer)),
        ("by hand, remat_repeat", by_hand, remat_repeat(_layer(width), depth, segment)),
    ):
        shared = problem(Size(width, depth, batch, "float32"), network)
        ways.append(Way(name, partial(side, network, shared.loss), shared.args))
    title = f"a gradient at depth {depth} in segments of {segment}, width {width}, batch {batch}, float32"
    return table(title, ways, seconds)


def compiled_deep(
    seconds: float, depths: Sequence[int] = (1000, 10), width: int = 16, batch: int = 8
) -> Table:
    """Return the table of gradients through `repeat`, whose compile time does not grow with depth."""
    ways = []
    for depth in depths:
        network = repeat(_layer(width), depth)
        shared = problem(Size(width, depth, batch, "float32"), network)
        for name, side in (("autodiff", by_autodiff), ("by hand", by_hand)):
            make = partial(side, network, shared.loss)
            ways.append(Way(f"{name}, depth {depth}", make, shared.args))
    title = f"a gradient through one loop over the layers, width {width}, batch {batch}, float32"
    return table(title, ways, seconds, times=2)


def _layer(width: int) -> Rule:
    return chain(rules.affine(width), rules.relu)


def _taking(network: Rule, loss: Loss, optimizer: Optimizer) -> Function:
    return training_step(network, loss, optimizer).take


def _training(step: Function, state: State, x: PyTree, target: PyTree) -> Run:
    """Return a run that takes one step after another, from a copy of `state`: steps donate their buffers."""
    held = jax.tree.map(lambda leaf: leaf.copy(), state)

    def run() -> PyTree:
        nonlocal held
        held, value = step(held, x, target)
        return held, value

    return run
