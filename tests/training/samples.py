"""What the training tests train: small networks on a few samples, and losses that show what happened."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import backproof as bp
from backproof.training import training_step

M, N_IN, N_OUT = 7, 3, 2
MEAN_CROSS_ENTROPY = bp.losses.mean(bp.losses.softmax_cross_entropy)


def draw(seed=0, count=M):
    """Return (x, labels), float32 and int32."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, N_IN)).astype(np.float32), rng.integers(0, N_OUT, count).astype(np.int32)


def draw_params(sizes, seed=0):
    """Return float64 parameters of an `mlp` of these sizes."""
    rng = np.random.default_rng(seed)
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    return tuple({"W": rng.normal(size=(n, m)), "b": rng.normal(size=n)} for n, m in shapes)


def targets(labels):
    """Return the labels as one-hot rows, for losses that take dense targets."""
    return np.eye(N_OUT)[labels]


def steps(network, loss, optimizer):
    """Return `(params, *batches) -> params` after one step on each batch `(x, y)`, in that order."""
    step = training_step(network, loss, optimizer)

    def trajectory(params, *batches):
        state = step.start(params)
        for x, y in batches:
            state, _ = step.take(state, x, y)
        return state.params

    return trajectory


def reference_steps(network, loss, optimizer):
    """Return the same by `jax.grad` and optax alone."""

    def value(params, x, y):
        return loss.forward(network.forward(params, x)[0], y)[0]

    def trajectory(params, *batches):
        with jax.numpy_dtype_promotion("standard"):
            memory = optimizer.init(params)
            for x, y in batches:
                updates, memory = optimizer.update(jax.grad(value)(params, x, y), memory, params)
                params = optax.apply_updates(params, updates)
        return params

    return trajectory


def same_bits(tree, other):
    """Return whether both trees hold the same numbers, bit for bit."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


# J = Σ ⟨y, t⟩: its gradient t does not depend on y, so that steps commute and add up.
linear_loss = bp.Loss(
    "linear",
    forward=lambda prediction, target: (jnp.sum(prediction * target), target),
    backward=lambda target: target,
)


def recorder(length):
    """Return an optimizer that changes nothing and remembers the gradient of `b` at each step."""

    def start(params):
        return jnp.zeros((length, *params["b"].shape), params["b"].dtype), jnp.int32(0)

    def update(grads, memory, params=None):
        seen, at = memory
        return jax.tree.map(jnp.zeros_like, grads), (seen.at[at].set(grads["b"]), at + 1)

    return optax.GradientTransformation(start, update)
