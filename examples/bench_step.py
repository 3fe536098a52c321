"""Compares the hand-written sweep with `jax.value_and_grad` of the same network, compiled.

Operations and temporary memory are XLA's own figures. Times are ratios of interleaved runs, so that a busy
machine slows both sides alike.

    python examples/bench_step.py
"""

import statistics
import time

import jax
import jax.numpy as jnp

import backproof as bp

WIDTHS = (128, 512, 1024)
BATCH = 64
ROUNDS = 30


def compiled_pair(width):
    """Return the hand-written and the automatic step, compiled, and their arguments."""
    net = bp.mlp([width] * 4 + [10], bp.rules.relu)
    loss = bp.losses.softmax_cross_entropy
    x = jax.random.normal(jax.random.key(1), (BATCH, width))
    labels = jnp.arange(BATCH) % 10
    params, _ = net.init(jax.random.key(0), jax.ShapeDtypeStruct(x.shape, x.dtype))

    def value(params, x, labels):
        return loss.forward(net.forward(params, x)[0], labels)[0]

    args = (params, x, labels)
    steps = (bp.value_and_grad(net, loss), jax.value_and_grad(value))
    return [jax.jit(step).lower(*args).compile() for step in steps], args


def time_ratio(hand, auto, args):
    """Return the time by hand divided by the time by autodiff: the median over the rounds."""
    ratios = []
    for _ in range(ROUNDS):
        seconds = []
        for step in (hand, auto, auto, hand):
            began = time.perf_counter()
            jax.block_until_ready(step(*args))
            seconds.append(time.perf_counter() - began)
        ratios.append((seconds[0] + seconds[3]) / (seconds[1] + seconds[2]))
    return statistics.median(ratios)


def deep_compile_seconds(depth):
    """Return the seconds to trace and compile forward and backward through `repeat` at `depth`."""
    rule = bp.repeat(bp.chain(bp.rules.affine(16), bp.rules.tanh), depth)
    x = jax.ShapeDtypeStruct((8, 16), "float32")
    params = jax.eval_shape(lambda key: rule.init(key, x)[0], jax.random.key(0))

    def sweep(params, x, delta_y):
        return rule.backward(params, rule.forward(params, x)[1], delta_y)

    began = time.perf_counter()
    jax.jit(sweep).lower(params, x, x).compile()
    return time.perf_counter() - began


def main():
    print(f"hand-written / jax.value_and_grad on {jax.devices()[0].device_kind}, jax {jax.__version__}")
    print("width   operations   temporary memory   time")
    for width in WIDTHS:
        (hand, auto), args = compiled_pair(width)
        operations = hand.cost_analysis()["flops"] / auto.cost_analysis()["flops"]
        memory = [step.memory_analysis().temp_size_in_bytes for step in (hand, auto)]
        seconds = time_ratio(hand, auto, args)
        print(f"{width:5}   {operations:10.4f}   {memory[0] / memory[1]:16.4f}   {seconds:.3f}")
    for depth in (10, 1000):
        print(f"repeat, depth {depth}: trace and compile in {deep_compile_seconds(depth):.2f} s")


if __name__ == "__main__":
    main()
