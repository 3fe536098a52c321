"""One experiment on many devices: the same compiled segments on a mesh, divided by JAX's own sharding.

Data parallel: each device takes some rows of every batch, and XLA adds up the devices' contributions to ∂L/∂W
and ∂L/∂b, which are sums over the batch. Tensor parallel: each device holds some rows of every W and the same
rows of b; where the rows cannot be divided evenly, it holds some columns of W. The program says what to
compute and never which device computes it. Every layout therefore computes the same sums, in another order:
trajectories agree within rounding, and on the same mesh bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from backproof.errors import UsageError, message
from backproof.rule import PyTree, require_whole_number
from backproof.training.data import digest
from backproof.training.segment import Experiment
from backproof.training.step import State


@dataclass(frozen=True)
class Layout:
    """Says on which devices an experiment runs, and how it is divided among them.

    Attributes:
        mesh: the devices, with axes of type `Auto`, because hand-written gradients name no axis of a mesh.
        batch_axis: the axis of the mesh along which the rows of a batch are divided.
        model_axis: the axis along which every W and b is divided; None if each device holds them whole.
    """

    mesh: Mesh
    batch_axis: str = "data"
    model_axis: str | None = None


def data_parallel(devices: int | None = None) -> Layout:
    """Return the layout in which every device holds all parameters and takes some rows of each batch.

    The number of devices need not divide the batch: XLA pads the rows of the last device and leaves the
    padding out of every sum. Every device holds all samples.

    Args:
        devices: the number of devices to use in each process; all if None.

    Raises:
        UsageError: there are fewer devices, or `devices` is not a positive whole number.
    """
    chosen = _chosen(devices, "data_parallel")
    return Layout(_mesh(chosen, (len(chosen),), ("data",)))


def tensor_parallel(model: int, devices: int | None = None) -> Layout:
    """Return the layout in which groups of `model` devices share every layer and divide each batch.

    W and b are divided along the outputs of a layer if `model` divides the number of outputs; otherwise W is
    divided along the inputs if `model` divides their number; otherwise every device holds W and b whole.
    Parameters of any other name are whole on every device. If `model` does not divide the number of devices,
    the last devices stay idle.

    Args:
        model: the number of devices that share a layer.
        devices: the number of devices to use in each process; all if None.

    Raises:
        UsageError: there are fewer devices, a number is not a positive whole number, or a process would have
            no part in the mesh.
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
    """Return each leaf's sharding: W and b as the layout divides them, the rest whole on every device."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(layout.mesh, _division(layout, path, leaf.shape)), tree
    )


def placed(layout: Layout | None, tree: PyTree) -> PyTree:
    """Return `tree` placed on the devices of `layout`; unchanged if `layout` is None.

    Raises:
        UsageError: there are several processes, and their values differ.
    """
    if layout is None:
        return tree
    if jax.process_count() > 1:
        _require_same_everywhere(tree)
    return jax.tree.map(_put, tree, placement(layout, tree))


def results(layout: Layout | None, carry: PyTree) -> PyTree:
    """Return the shardings of a segment's output: the carry as before, the result whole on every device."""
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


def decided(choice: bool) -> bool:
    """Return the choice of process 0, because clocks differ; every process must call this function."""
    return bool(multihost_utils.broadcast_one_to_all(np.bool_(choice))) if jax.process_count() > 1 else choice


def everywhere(holds: bool) -> bool:
    """Return whether `holds` is true in every process; every process must call this function."""
    return (
        bool(multihost_utils.process_allgather(np.bool_(holds)).all()) if jax.process_count() > 1 else holds
    )


def gathered(tree: PyTree) -> PyTree:
    """Return `tree` with leaves that this process can read whole; every process must call this function.

    Leaves that the process can read already are left as they are.
    """

    def whole(leaf: jax.Array) -> jax.Array:
        if leaf.is_fully_addressable or not isinstance(leaf.sharding, NamedSharding):
            return leaf
        return jax.device_put(leaf, NamedSharding(leaf.sharding.mesh, P()))

    return jax.tree.map(whole, tree)


def _division(layout: Layout, path: jax.tree_util.KeyPath, shape: tuple[int, ...]) -> P:
    """Return how a leaf is divided; axes count from the last, because `repeat` adds leading axes."""
    name = path[-1].key if path and isinstance(path[-1], jax.tree_util.DictKey) else None
    if layout.model_axis is None or name not in ("W", "b") or len(shape) < len(_AXES[name]):
        return P()
    devices = layout.mesh.shape[layout.model_axis]
    for axis in _AXES[name]:
        if shape[axis] % devices == 0:
            return P(*(layout.model_axis if i == axis % len(shape) else None for i in range(len(shape))))
    return P()


def _put(leaf: jax.Array, where: NamedSharding) -> jax.Array:
    """Return `leaf` placed as `where` says; each process fills its own devices from its own copy."""
    if where.is_fully_addressable or not leaf.is_fully_addressable:
        return jax.device_put(leaf, where)
    if is_key(leaf):
        return jax.random.wrap_key_data(
            _put(jax.random.key_data(leaf), where), impl=jax.random.key_impl(leaf)
        )
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, where, lambda index: whole[index])


def _require_same_everywhere(tree: PyTree) -> None:
    here = digest(without_keys(gathered(tree)))
    there = multihost_utils.process_allgather(np.frombuffer(bytes.fromhex(here), np.uint8))
    others = [process for process, one in enumerate(there) if one.tobytes().hex() != here]
    if others:
        raise UsageError(
            message(
                must="every process must begin with the same data, parameters and seed",
                found=f"values that differ from those of process {jax.process_index()} in processes {others}",
                where="fit",
                do="let every process make the same call",
            )
        )


def without_keys(tree: PyTree) -> PyTree:
    """Return `tree` with PRNG keys replaced by their data, plain numbers that a file can hold."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


def is_key(leaf: jax.Array) -> bool:
    """Return whether `leaf` holds PRNG keys, which cannot be written to a file or read as numbers."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


_AXES = {"W": (-2, -1), "b": (-1,)}  # outputs first, then inputs


def _chosen(devices: int | None, where: str) -> list[Any]:
    """Return the first `devices` devices of each process; all if None."""
    own: dict[int, list[Any]] = {}
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
                do="ask for fewer, or set JAX_NUM_CPU_DEVICES=N before JAX starts to use a CPU as N devices",
            )
        )
    return [device for ours in own.values() for device in ours[:devices]]


def _mesh(devices: Sequence[Any], shape: tuple[int, ...], names: tuple[str, ...]) -> Mesh:
    return jax.make_mesh(shape, names, (AxisType.Auto,) * len(shape), devices=devices)
