"""Many devices, one experiment: the same compiled segments on a mesh, divided by JAX's own sharding.

Data parallel: each device takes some rows of every batch, and XLA adds up what they give to ∂L/∂W and ∂L/∂b,
which are sums over the batch. Tensor parallel: each device holds some rows of every W, and of b alike; where
they do not divide, some columns. The program says what to compute and never who computes it, so that every
layout computes the same sums, in another order: trajectories agree within rounding, on one mesh bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from backproof.errors import UsageError, message
from backproof.rule import PyTree, require_whole_number
from backproof.training.segment import Experiment
from backproof.training.step import State


@dataclass(frozen=True)
class Layout:
    """Says on which devices an experiment runs, and what is divided among them.

    Attributes:
        mesh: the devices, with axes of type `Auto`: a hand-written sweep names no axis of a mesh.
        batch_axis: the axis of the mesh along which the rows of a batch are divided.
        model_axis: the axis along which every W and b is divided; None where each device holds all of them.
    """

    mesh: Mesh
    batch_axis: str = "data"
    model_axis: str | None = None


def data_parallel(devices: int | None = None) -> Layout:
    """Return the layout in which every device holds all parameters and takes some rows of each batch.

    A batch need not divide: XLA fills the last device's rows up and leaves them out of every sum.
    The samples lie whole on every device.

    Args:
        devices: how many of each process; all if None.

    Raises:
        UsageError: there are fewer, or it is no positive whole number.
    """
    chosen = _chosen(devices, "data_parallel")
    return Layout(_mesh(chosen, (len(chosen),), ("data",)))


def tensor_parallel(model: int, devices: int | None = None) -> Layout:
    """Return the layout in which `model` devices share every layer, and batches are divided among such groups.

    W and b are divided along the outputs of a layer, where `model` divides their number; else W along the
    inputs; else every device holds them whole, and so it does with parameters of any other name. Where
    `model` does not divide the number of devices, the last ones stay idle.

    Args:
        model: how many devices share a layer.
        devices: how many of each process are there for use; all if None.

    Raises:
        UsageError: there are fewer, a number is no positive whole one, or a process would have no part.
    """
    model = require_whole_number(model, "model", "tensor_parallel")
    chosen = _chosen(devices, "tensor_parallel")
    groups = len(chosen) // model
    used = chosen[: groups * model]
    if {one.process_index for one in used} != {one.process_index for one in chosen}:
        raise UsageError(
            message(
                must="every process must have a part in the mesh",
                found=f"model={model}, {len(chosen)} devices of {jax.process_count()} processes",
                where="tensor_parallel",
                do="let fewer devices share a layer",
            )
        )
    return Layout(_mesh(used, (groups, model), ("data", "model")), model_axis="model")


def placement(layout: Layout, tree: PyTree) -> PyTree:
    """Return where each leaf of `tree` lies: W and b as the layout divides them, the rest on every device."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(layout.mesh, _division(layout, path, leaf.shape)), tree
    )


def placed(layout: Layout | None, tree: PyTree) -> PyTree:
    """Return `tree` where the layout says; as it is under None.

    Every process gives the same values, and JAX raises where it finds that they do not.
    """
    return tree if layout is None else jax.device_put(tree, placement(layout, tree))


def results(layout: Layout | None, carry: PyTree) -> PyTree:
    """Return where a segment leaves the carry, as it was, and what the host reads, on every device."""
    return None if layout is None else (placement(layout, carry), NamedSharding(layout.mesh, P()))


def divided(layout: Layout | None, experiment: Experiment) -> Experiment:
    """Return `experiment` with the rows of every batch, and of the test part, divided as the layout says."""
    if layout is None:
        return experiment
    rows = NamedSharding(layout.mesh, P(layout.batch_axis))

    def take(state: State, x: PyTree, target: PyTree) -> tuple[State, jax.Array]:
        return experiment.step.take(state, *lax.with_sharding_constraint((x, target), rows))

    def forward(params: PyTree, x: PyTree) -> tuple[PyTree, PyTree]:
        return experiment.network.forward(params, lax.with_sharding_constraint(x, rows))

    return experiment._replace(
        network=experiment.network._replace(forward=forward), step=experiment.step._replace(take=take)
    )


def gathered(tree: PyTree) -> PyTree:
    """Return `tree` with every leaf whole within reach of this process; every process must call it.

    What one process can read as it is stays as it is.
    """

    def whole(leaf: jax.Array) -> jax.Array:
        if leaf.is_fully_addressable or leaf.is_fully_replicated:
            return leaf
        return jax.jit(lambda x: x, out_shardings=NamedSharding(leaf.sharding.mesh, P()))(leaf)

    return jax.tree.map(whole, tree)


def _division(layout: Layout, path: tuple[object, ...], shape: tuple[int, ...]) -> P:
    """Return which axis of a leaf is divided; `repeat` stacks W and b along axes in front of theirs."""
    name = path[-1].key if path and isinstance(path[-1], jax.tree_util.DictKey) else None
    if layout.model_axis is None or name not in ("W", "b") or len(shape) < len(_AXES[name]):
        return P()
    devices = layout.mesh.shape[layout.model_axis]
    for axis in _AXES[name]:
        if shape[axis] % devices == 0:
            return P(*(layout.model_axis if i == axis % len(shape) else None for i in range(len(shape))))
    return P()


_AXES = {"W": (-2, -1), "b": (-1,)}  # outputs first, then inputs


def _chosen(devices: int | None, where: str) -> list[jax.Device]:
    """Return the first `devices` of each process, all if None."""
    own: dict[int, list[jax.Device]] = {}
    for device in jax.devices():
        own.setdefault(device.process_index, []).append(device)
    if devices is None:
        return jax.devices()
    devices = require_whole_number(devices, "devices", where)
    fewest = min(map(len, own.values()))
    if devices > fewest:
        raise UsageError(
            message(
                must=f"there must be {devices} devices in each process",
                found=f"{fewest} ({jax.devices()[0].platform})",
                where=where,
                do="ask for fewer; a CPU is taken for N if JAX_NUM_CPU_DEVICES=N is set before JAX starts",
            )
        )
    return [device for ours in own.values() for device in ours[:devices]]


def _mesh(devices: Sequence[jax.Device], shape: tuple[int, ...], names: tuple[str, ...]) -> Mesh:
    return jax.make_mesh(shape, names, (AxisType.Auto,) * len(shape), devices=devices)
