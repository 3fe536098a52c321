"""Depth as a loop: the same numbers as layer by layer, and the memory that is claimed for it."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import backproof as bp
from agreement import assert_agrees
from backproof.rule import descend

LAYER = bp.chain(bp.rules.affine(3), bp.rules.tanh)
SHAPE = jax.ShapeDtypeStruct((2, 3), "float32")
KEY = jax.random.key(0)


def sgd(param, grad):
    return param - 0.1 * grad


def sweep(rule):
    """Return (params, x, delta_y) -> (y, backward, descend)."""

    def run(params, x, delta_y):
        y, residuals = rule.forward(params, x)
        down = descend(rule, params, residuals, delta_y, sgd)
        return y, rule.backward(params, residuals, delta_y), down

    return run


def by_autodiff(rule):
    def run(params, x, delta_y):
        y, pull = jax.vjp(lambda p, x: rule.forward(p, x)[0], params, x)
        grads, delta_x = pull(delta_y)
        return y, (grads, delta_x), (jax.tree.map(sgd, params, grads), delta_x)

    return run


def point(rule, seed):
    params, _ = rule.init(jax.random.key(seed % 1000), SHAPE)
    rng = np.random.default_rng(seed)
    x, delta_y = rng.standard_normal((2, 2, 3))
    nowhere_zero = lambda leaf: np.asarray(
        leaf + 0.1 * rng.standard_normal(leaf.shape)
    )  # no dead relu: z ≠ 0
    return jax.tree.map(nowhere_zero, params), x, delta_y


HEIGHTS = [(1, 1), (6, 3), (7, 3), (3, 9), (5, None)]


@pytest.mark.parametrize(("depth", "segment"), HEIGHTS)
def test_remat_repeat_is_repeat(depth, segment):
    rule, plain = bp.remat_repeat(LAYER, depth, segment), bp.repeat(LAYER, depth)
    assert_agrees(sweep(rule), sweep(plain), *point(plain, depth))


@pytest.mark.parametrize(
    "sigma", [bp.rules.relu, bp.rules.sigmoid, bp.rules.gelu], ids=lambda rule: rule.name
)
def test_repeat_and_its_descent_follow_autodiff(sigma):
    layer = bp.chain(bp.rules.affine(3), sigma)
    for rule in (
        bp.repeat(bp.chain(layer, layer), 3),
        bp.repeat(bp.repeat(layer, 3), 2),
        bp.repeat(bp.chain(layer, bp.repeat(LAYER, 2)), 2),
        bp.repeat(bp.remat(bp.repeat(layer, 2)), 2),
        bp.remat_repeat(bp.remat_repeat(layer, 3), 2),
    ):
        assert_agrees(sweep(rule), by_autodiff(rule), *point(rule, 5))


def test_a_rule_without_parameters_can_be_repeated():
    for rule in (bp.repeat(bp.rules.sin, 3), bp.remat_repeat(bp.rules.sin, 3)):
        assert_agrees(sweep(rule), by_autodiff(rule), *point(rule, 0))


def test_leaves_that_are_not_floating_pass_through_the_loop():
    def gather(params, x):
        state, ids, key = x
        noise = jax.random.uniform(key, state.shape, state.dtype)
        return (state[ids] * jnp.broadcast_to(params, state.shape) + noise, ids, key), (state, ids)

    def scatter(params, kept, delta):
        state, ids = kept
        return (delta[0] * state[ids]).sum(0), (
            jnp.zeros_like(state).at[ids].add(delta[0] * jnp.broadcast_to(params, state.shape)),
            None,
            None,
        )

    init = lambda key, x: (jax.random.normal(key, (3,)), x)
    layer = bp.Rule("gather", init, gather, scatter)
    x = jnp.arange(6.0).reshape(2, 3), jnp.array([1, 1]), KEY
    params = jax.random.normal(KEY, (5, 3))
    delta = jnp.ones((2, 3)), None, None
    grads = []
    for rule in (bp.repeat(layer, 5), bp.remat_repeat(layer, 5)):
        _, kept = rule.forward(params, x)
        grads.append(rule.backward(params, kept, delta)[0])
    wanted = jax.grad(lambda p: bp.repeat(layer, 5).forward(p, x)[0][0].sum())(params)
    for found in grads:
        assert_agrees(lambda a: a, lambda _: wanted, found)


def by_scan(rule, depth):
    """Return the descent as one scan that reads and writes the stack side by side."""

    def down(params, kept, delta, update):
        def step(delta, layer):
            updated, delta = descend(rule, *layer, delta, update)
            return delta, updated

        slices = [kept.residuals(*entry) for entry in kept_by_layer(kept, depth)]
        residuals = jax.tree.map(lambda *leaves: jnp.stack(leaves), *slices)
        delta, updated = lax.scan(step, delta, (params, residuals), length=depth, reverse=True)
        return updated, delta

    return bp.repeat(rule, depth)._replace(descend=down)


def kept_by_layer(kept, depth):
    inputs = [[leaf[i] for leaf in kept.inputs] for i in range(depth)] + [kept.last]
    return [(inputs[i], inputs[i + 1], [leaf[i] for leaf in kept.rest]) for i in range(depth)]


def test_descending_in_place_gives_the_bits_of_a_scan():
    layer = bp.chain(bp.rules.affine(16), bp.rules.tanh)
    rule, scanned = bp.repeat(layer, 3), by_scan(layer, 3)
    params, _ = rule.init(KEY, jax.ShapeDtypeStruct((4, 16), "float32"))
    x, target = jax.random.normal(KEY, (2, 4, 16))
    ours, theirs = (jax.jit(in_sweep(one))(params, x, target) for one in (rule, scanned))
    same = jax.tree.map(lambda a, b: bool((a == b).all()), ours, theirs)
    assert all(jax.tree.leaves(same))


# What is held in memory, as the compiler says it.


def in_sweep(rule):
    """Return (params, x, target) -> the params after one step of `in_sweep_sgd`."""
    step = bp.training.step.training_step(rule, bp.losses.half_squared_error, bp.in_sweep_sgd(0.1))
    return lambda params, x, target: step.take(step.start(params), x, target)[0].params


def by_optax(forward):
    """Return the same by autodiff of `forward` and optax."""
    optimizer, loss = optax.sgd(0.1), bp.losses.half_squared_error

    def step(params, x, target):
        grads = jax.grad(lambda p: loss.forward(forward(p, x), target)[0])(params)
        return optax.apply_updates(params, optimizer.update(grads, optimizer.init(params))[0])

    return step


def temporary(f, *args, donate=()):
    return jax.jit(f, donate_argnums=donate).lower(*args).compile().memory_analysis().temp_size_in_bytes


def like(rule, x):
    return jax.eval_shape(lambda key: rule.init(key, x)[0], KEY)


DEPTH, WIDTH, BATCH = 64, 512, 32
BIG = bp.chain(bp.rules.affine(WIDTH), bp.rules.relu)
INPUT = jax.ShapeDtypeStruct((BATCH, WIDTH), "float32")
STACK = bp.repeat(BIG, DEPTH)


def scanned(params, x):
    return lax.scan(lambda a, layer: (BIG.forward(layer, a)[0], None), x, params)[0]


def unrolled(params, x):
    for layer in params:
        x = BIG.forward(layer, x)[0]
    return x


def pair(shape):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape), leaf.dtype), shape)


@pytest.fixture(scope="module")
def scan_of_autodiff():
    """Return the memory of one step by autodiff of a scan, with optax and a donated state."""
    return temporary(by_optax(scanned), like(STACK, INPUT), INPUT, INPUT, donate=0)


def test_a_donated_stack_descends_in_a_tenth_of_the_memory_of_autodiff(scan_of_autodiff):
    ours = temporary(in_sweep(STACK), like(STACK, INPUT), INPUT, INPUT, donate=0)
    assert ours <= 0.10 * scan_of_autodiff
    layers = [jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), like(STACK, INPUT))]
    assert ours <= 0.75 * temporary(by_optax(unrolled), layers * DEPTH, INPUT, INPUT, donate=0)
    assert (
        temporary(in_sweep(by_scan(BIG, DEPTH)), like(STACK, INPUT), INPUT, INPUT, donate=0)
        > 0.4 * scan_of_autodiff
    )


@pytest.mark.parametrize(
    "rule",
    [
        bp.repeat(bp.repeat(BIG, 8), 8),
        bp.chain(bp.rules.affine(WIDTH), STACK, bp.rules.affine(WIDTH)),
        bp.remat_repeat(BIG, DEPTH),
        bp.remat_repeat(BIG, DEPTH, 7),
    ],
    ids=["nested", "in a chain", "remat", "remat, segments of 7"],
)
def test_so_it_does_inside_other_rules(rule, scan_of_autodiff):
    assert temporary(in_sweep(rule), like(rule, INPUT), INPUT, INPUT, donate=0) <= 0.10 * scan_of_autodiff


def test_so_it_does_under_vmap(scan_of_autodiff):
    args = pair(like(STACK, INPUT)), pair(INPUT), pair(INPUT)
    assert temporary(jax.vmap(in_sweep(STACK)), *args, donate=0) <= 0.10 * 2 * scan_of_autodiff


def test_so_it_does_in_a_loop_of_steps(scan_of_autodiff):
    def epoch(params, x, target):
        return lax.fori_loop(0, 5, lambda _, params: in_sweep(STACK)(params, x, target), params)

    assert temporary(epoch, like(STACK, INPUT), INPUT, INPUT, donate=0) <= 0.10 * scan_of_autodiff


def both_passes(rule):
    def run(params, x, delta):
        y, residuals = rule.forward(params, x)
        return y, rule.backward(params, residuals, delta)

    return run


@pytest.mark.parametrize("sigma", [bp.rules.relu, bp.rules.gelu], ids=lambda rule: rule.name)
def test_remat_repeat_holds_a_fifth_of_the_activations(sigma):
    layer, x = bp.chain(bp.rules.affine(64), sigma), jax.ShapeDtypeStruct((256, 64), "float32")
    plain, less = bp.repeat(layer, 256), bp.remat_repeat(layer, 256)
    stored, held = (temporary(both_passes(rule), like(plain, x), x, x) for rule in (plain, less))
    assert held <= 0.2 * stored


def test_the_program_grows_with_neither_depth_nor_segments():
    def size(make, depth):
        rule = make(depth)
        program = jax.make_jaxpr(sweep(rule))(like(rule, SHAPE), SHAPE, SHAPE)
        return str(program).count(" = ")

    for make in (lambda depth: bp.repeat(LAYER, depth), lambda depth: bp.remat_repeat(LAYER, depth)):
        assert size(make, 4) == size(make, 400)


def test_autodiff_of_a_repeat_writes_each_layer_once():
    """Read by index, the stack would get a gradient of its whole size from every layer."""
    rule = bp.repeat(LAYER, 5)
    gradient = jax.grad(lambda params, x: rule.forward(params, x)[0].sum())
    program = str(jax.make_jaxpr(gradient)(like(rule, SHAPE), SHAPE))
    assert "scan" in program
    assert "dynamic_update_slice" not in program


# What a rule keeps.


def buffers(residuals):
    """Return the bytes of the different buffers among the residuals."""
    return sum({id(leaf): leaf.nbytes for leaf in jax.tree.leaves(residuals)}.values())


@pytest.mark.parametrize("sigma", bp.rules.ACTIVATIONS, ids=lambda rule: rule.name)
def test_an_activation_keeps_one_array_of_its_size(sigma):
    z = jnp.ones((2, 3))
    assert buffers(sigma.forward((), z)[1]) <= z.nbytes


@pytest.mark.parametrize(
    "sigma", [bp.rules.relu, bp.rules.sigmoid, bp.rules.tanh], ids=lambda rule: rule.name
)
def test_a_network_keeps_each_activation_once(sigma):
    """The residual a of one layer is the input of the next, the same buffer."""
    x, hidden = jnp.ones((4, 3)), (5, 7, 6)
    for rule in (bp.mlp([3, *hidden, 2], sigma), bp.chain(*bp.mlp([3, *hidden, 2], sigma).parts)):
        params, _ = rule.init(KEY, jax.ShapeDtypeStruct(x.shape, x.dtype))
        assert buffers(rule.forward(params, x)[1]) == x.nbytes + 4 * 4 * sum(hidden)


@pytest.mark.parametrize(
    "sigma", [bp.rules.relu, bp.rules.sigmoid, bp.rules.tanh], ids=lambda rule: rule.name
)
def test_a_repeat_keeps_each_activation_once(sigma):
    rule = bp.repeat(bp.chain(bp.rules.affine(3), sigma), 5)
    kept = jax.eval_shape(rule.forward, like(rule, SHAPE), SHAPE)[1]
    assert sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(kept)) == (5 + 1) * 2 * 3


def test_what_a_rule_keeps_neither_of_its_input_nor_of_its_output_is_kept_alone():
    for sigma, stacks in ((bp.rules.sin, 1), (bp.rules.sigmoid, 1), (bp.rules.identity, 0)):
        kept = jax.eval_shape(bp.repeat(sigma, 5).forward, (), SHAPE)[1]
        assert sum(leaf.shape == (5, 2, 3) for leaf in jax.tree.leaves(kept)) == stacks


def test_the_memory_of_a_deep_mlp_is_at_most_that_of_autodiff():
    net, x = bp.mlp([256] * 9, bp.rules.relu), jax.ShapeDtypeStruct((128, 256), "float32")
    labels, loss = jax.ShapeDtypeStruct((128,), "int32"), bp.losses.softmax_cross_entropy
    by_jax = jax.value_and_grad(lambda p, x, t: loss.forward(net.forward(p, x)[0], t)[0])
    hand = temporary(bp.value_and_grad(net, loss), like(net, x), x, labels)
    assert hand <= temporary(by_jax, like(net, x), x, labels)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bp.remat_repeat(3, 3), "remat_repeat: rule must be a Rule, but found 3; pass"),
        (lambda: bp.remat_repeat(LAYER, 0), "depth must be a whole number of at least 1, but found depth=0"),
        (lambda: bp.remat_repeat(LAYER, 4, 0), "segment must be a whole number of at least 1"),
        (lambda: bp.remat_repeat(bp.rules.affine(4), 2).init(KEY, SHAPE), "must keep the shape and dtype"),
        (
            lambda: bp.repeat(LAYER, 4).forward(bp.repeat(LAYER, 3).init(KEY, SHAPE)[0], jnp.ones((2, 3))),
            r"must be \(4,\), one layer for each entry, but found params\[0\]\['W'\].shape=\(3, 3, 3\)",
        ),
        (
            lambda: bp.remat_repeat(LAYER, 4).forward(LAYER.init(KEY, SHAPE)[0], jnp.ones((2, 3))),
            r"remat_repeat\(.*, 4, 2\): the first axes of every parameter must be \(4,\)",
        ),
    ],
)
def test_bad_input_gets_one_clear_error(make, text):
    with pytest.raises(bp.UsageError, match=text):
        make()
