"""Trains on meshes of eight simulated devices, in float64, and prints in JSON what came of it.

It is a process of its own, for the number of devices is settled before JAX starts:

    JAX_NUM_CPU_DEVICES=8 JAX_ENABLE_X64=1 python tests/training/meshes.py FOLDER

`apart` are distances, in units of measured rounding noise, from steps taken by `jax.grad` and optax on one
device; `planted` are those of steps that are wrong by one thing, written with `shard_map`.
"""

import json
import shutil
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from on_meshes import BATCH, DATA, EPOCHS, LAYOUTS, MOMENTUM, NETWORKS, M, first, trained
from samples import MEAN_CROSS_ENTROPY, reference_steps, same_bits

import backproof as bp
from backproof import training
from backproof.numerics.comparison import units
from backproof.numerics.noise import measure
from backproof.training import Checkpoints, devices, loop
from backproof.training.segment import order_of


def reference(name, optimizer=MOMENTUM):
    """Return what `jax.grad` and optax make of the same batches on one device, with its noise."""
    key = jax.random.split(jax.random.key(0))[1]
    orders = [np.asarray(order_of(key, np.int32(epoch), M)) for epoch in range(1, EPOCHS + 1)]
    chosen = [order[at : at + BATCH] for order in orders for at in range(0, M, BATCH)]
    batches = [(DATA.x_train[rows], DATA.y_train[rows]) for rows in chosen]
    network = NETWORKS[name]
    return measure(reference_steps(network, MEAN_CROSS_ENTROPY, optimizer), first(network), *batches)


def distance(params, measured):
    leaves = (jax.tree.leaves(tree) for tree in (params, measured.value, measured.noise))
    return max(float(np.max(units(np.asarray(p), v, n))) for p, v, n in zip(*leaves, strict=True))


PLANTED = {
    "none": lambda grad: jax.lax.psum(grad, "data"),
    "a sum forgotten": lambda grad: grad,
    "a mean for the sum": lambda grad: jax.lax.pmean(grad, "data"),
    "as many times too big": lambda grad: 5 * jax.lax.psum(grad, "data"),
}


def planted():
    """Return how far a step on 5 devices is, its sums written by hand: rightly, and wrong by one thing.

    `check_vma=False` is how such errors stay silent.
    """
    network, loss, mesh = NETWORKS["mlp"], bp.losses.softmax_cross_entropy, training.data_parallel(5).mesh
    batch = DATA.x_train[:10], DATA.y_train[:10]
    measured = measure(reference_steps(network, loss, optax.sgd(0.1)), first(network), batch)

    def step(together, params, x, target):
        _, grads = bp.value_and_grad(network, loss)(params, x, target)
        return jax.tree.map(lambda p, g: p - 0.1 * together(g), params, grads)

    def taken(together):
        each = {"in_specs": (P(), P("data"), P("data")), "out_specs": P(), "check_vma": False}
        return jax.jit(jax.shard_map(partial(step, together), mesh=mesh, **each))(first(network), *batch)

    return {name: distance(taken(together), measured) for name, together in PLANTED.items()}


def operations(layout, dividing=devices.divided):
    """Return how many operations one device has in a step."""
    network = bp.mlp([64, 32, 16], bp.rules.tanh)
    step = training.training_step(network, MEAN_CROSS_ENTROPY, optax.sgd(0.1))
    experiment = loop.Experiment(network, step, None, training.never(), 64, 64)
    x, y = jnp.ones((64, 64)), jnp.zeros(64, jnp.int32)
    state = step.start(network.init(jax.random.key(0), jax.eval_shape(lambda: x))[0])
    state, x, y = devices.placed(layout, (state, x, y))
    taken = jax.jit(dividing(layout, experiment).step.take).lower(state, x, y).compile()
    return taken.cost_analysis()["flops"]


def whole_on_every_device(layout, experiment):
    """Is `divided`, with the division of the rows forgotten."""
    rows = NamedSharding(layout.mesh, P())
    take = lambda state, x, y: experiment.step.take(state, *jax.lax.with_sharding_constraint((x, y), rows))
    return experiment._replace(step=experiment.step._replace(take=take))


def parts(layout):
    """Return the shape that each W and b has on one device."""
    params = devices.placed(layout, jax.tree.map(jnp.asarray, first(NETWORKS["mlp"])))
    return [{name: leaf.addressable_shards[0].data.shape for name, leaf in layer.items()} for layer in params]


def main(folder):
    measured = {name: reference(name) for name in NETWORKS}
    cut = trained("mlp", LAYOUTS["4"](), 1, checkpoints=Checkpoints(f"{folder}/same"))
    shutil.copytree(f"{folder}/same", f"{folder}/other")
    resumed = {
        mesh: trained("mlp", LAYOUTS[mesh](), checkpoints=Checkpoints(f"{folder}/{kept}"))
        for mesh, kept in (("4", "same"), ("2x4", "other"))
    }
    results = {f"mlp on {mesh}": trained("mlp", make()) for mesh, make in LAYOUTS.items()}
    results["repeat on 2x4"] = trained("repeat", LAYOUTS["2x4"]())
    results["mlp saved on 4, resumed on 2x4"] = resumed["2x4"]
    apart = {name: distance(result.params, measured[name.split()[0]]) for name, result in results.items()}
    in_sweep = trained("repeat", LAYOUTS["2x4"](), optimizer=bp.in_sweep_sgd(0.1))
    apart["repeat in the sweep"] = distance(in_sweep.params, reference("repeat", optax.sgd(0.1)))
    report = {
        "apart": apart,
        "same bits": {
            "mlp on 2x4": same_bits(results["mlp on 2x4"].params, trained("mlp", LAYOUTS["2x4"]()).params),
            "mlp saved and resumed on 4": same_bits(results["mlp on 4"].params, resumed["4"].params),
        },
        "epochs resumed": len(resumed["2x4"].history) - len(cut.history),
        "metrics": {name: result.history[-1].metric for name, result in results.items() if "mlp" in name},
        "planted": planted(),
        "operations": {
            **{mesh: operations(LAYOUTS[mesh]()) for mesh in ("1", "8", "2x4")},
            "forgotten": operations(LAYOUTS["8"](), whole_on_every_device),
        },
        "parts": {mesh: parts(LAYOUTS[mesh]()) for mesh in ("8", "2x4", "2x3")},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
