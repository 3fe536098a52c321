"""The start of training: the first parameters, and the check that the data fit the network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from backproof.arguments import Specification
from backproof.rule import Loss, PyTree, Rule, require_whole_number
from backproof.training.data import Data, require_classes, require_fitting, require_usable


class Start(NamedTuple):
    """Holds the values with which training begins.

    Attributes:
        params: the first parameters.
        data: the samples as JAX arrays.
        labelled: whether the targets are class labels: one whole number for each row predicted, none ignored.
    """

    params: PyTree
    data: Data
    labelled: bool


def start(network: Rule, loss: Loss, data: Data, key: jax.Array, params: PyTree) -> Start:
    """Return the checked samples and the first parameters, from `network.init(key, …)` if `params` is None.

    The loss is traced on all samples at once, so that what does not fit is said in the caller's own sizes.

    Raises:
        DataError: the samples are empty, not finite, too large for JAX's dtypes, or their labels do not fit.
        UsageError: shapes or dtypes do not fit the network.
    """
    require_usable(data)
    for name, part in data._asdict().items():
        require_fitting(name, part, "data")
    on_device = Data(*map(_owned, data))
    x = jax.eval_shape(lambda: on_device.x_train)
    if params is None:
        params, prediction = network.init(key, x)
    else:
        params = jax.tree.map(jnp.asarray, params)
        prediction = jax.eval_shape(network.forward, params, x)[0]
    are_labels = _are_labels(on_device.y_train, prediction)
    if are_labels:
        require_classes(data, prediction.shape[-1], _ignored(loss))
    jax.eval_shape(loss.forward, prediction, on_device.y_train)
    return Start(params, on_device, are_labels and not _ignored(loss))


def _owned(part: PyTree) -> PyTree:
    """Return `part` in JAX's own memory, because the caller may change a NumPy array during training."""
    return jax.tree.map(
        lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.array(leaf, copy=True), part
    )


def require_seed(seed: int, where: str) -> int:
    """Return `seed`, or raise `UsageError` unless it is a whole number of 32 bits, as a key needs."""
    return require_whole_number(seed, "seed", where, least=0, most=2**32 - 1)


def _are_labels(y: PyTree, prediction: PyTree) -> bool:
    return (
        isinstance(prediction, jax.ShapeDtypeStruct)
        and isinstance(y, jax.Array)
        and jnp.issubdtype(y.dtype, jnp.integer)
        and y.shape == prediction.shape[:-1]
    )


def _ignored(loss: Loss) -> tuple[int, ...]:
    """Return the labels that `loss` takes although no class has them."""
    target = loss.domain[1]
    also = target.also if isinstance(target, Specification) else ()
    return tuple(label for label in also if isinstance(label, int))
