"""Composition gives rules again: the same numbers, and a program that does not grow with depth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backproof as bp
from agreement import assert_agrees
from backproof.rule import descend

LAYER = bp.chain(bp.rules.affine(3), bp.rules.tanh)
BATCH_STATE = {"mean": bp.array("2"), "variance": bp.array("2", low=0)}
SHAPE = jax.ShapeDtypeStruct((2, 3), "float32")


def start(rule, x=SHAPE, seed=0):
    params, _ = rule.init(jax.random.key(seed), x)
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)


def data(seed, shape=(2, 3)):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape)


def run(rule):
    def forward_and_backward(params, x, delta_y):
        y, residuals = rule.forward(params, x)
        return y, rule.backward(params, residuals, delta_y)

    return forward_and_backward


def autodiff(rule):
    def forward_and_vjp(params, x, delta_y):
        y, pull = jax.vjp(lambda p, x: rule.forward(p, x)[0], params, x)
        return y, pull(delta_y)

    return forward_and_vjp


def unstack(params, depth):
    return tuple(jax.tree.map(lambda leaf, i=i: leaf[i], params) for i in range(depth))


def stack(params):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)


POINTS = 8  # of one example, under one trace
seeds = st.integers(0, 2**32 - 1 - POINTS)
by_eights = settings(max_examples=settings.default.max_examples // POINTS)


def points(draw, seed):
    """Return what `draw` gives at the seeds from `seed` on, stacked along a first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(draw, range(seed, seed + POINTS)))


def assert_agrees_everywhere(f, g, args):
    """Assert f == g at every point of `args`, which are stacked along the first axis."""
    assert_agrees(jax.vmap(f), jax.vmap(g), *args)


def test_a_slip_at_one_point_of_many_is_seen():
    wrong_at_three = lambda x: jnp.where(x == 3, x + 1e-9, x)
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees_everywhere(wrong_at_three, lambda x: x, (np.arange(8.0),))


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@by_eights
@given(seed=seeds)
def test_repeat_is_the_chain_of_its_copies(seed, depth):
    rule = bp.repeat(LAYER, depth)
    args = points(lambda seed: (start(rule, seed=seed % 1000), *data(seed)), seed)

    def by_chain(params, x, delta_y):
        y, (grads, delta_x) = run(bp.chain(*[LAYER] * depth))(unstack(params, depth), x, delta_y)
        return y, (stack(grads), delta_x)

    assert_agrees_everywhere(run(rule), by_chain, args)
    assert_agrees_everywhere(run(rule), autodiff(rule), args)


def test_a_thousand_copies_equal_a_chain_of_a_thousand():
    depth = 1000
    rule = bp.repeat(LAYER, depth)
    params, (x, delta_y) = start(rule), data(7)
    params = jax.tree.map(lambda leaf: leaf * 0.8, params)

    def by_chain(params, x, delta_y):
        y, (grads, delta_x) = run(bp.chain(*[LAYER] * depth))(unstack(params, depth), x, delta_y)
        return y, (stack(grads), delta_x)

    assert_agrees(run(rule), by_chain, params, x, delta_y)


def test_the_program_of_repeat_does_not_grow_with_depth():
    def size(depth):
        rule = bp.repeat(LAYER, depth)
        params, _ = jax.eval_shape(lambda key: rule.init(key, SHAPE), jax.random.key(0))
        x = jax.ShapeDtypeStruct((2, 3), "float32")
        return len(str(jax.make_jaxpr(run(rule))(params, x, x)).splitlines())

    assert size(3) == size(300)


@by_eights
@given(seed=seeds)
def test_remat_changes_no_gradient(seed):
    for rule in (LAYER, bp.mlp([3, 4, 3], bp.rules.silu), bp.repeat(bp.remat(bp.repeat(LAYER, 2)), 3)):
        args = points(lambda seed, rule=rule: (start(rule, seed=seed % 1000), *data(seed)), seed)
        assert_agrees_everywhere(run(bp.remat(rule)), autodiff(rule), args)


def cost(f, *args):
    compiled = jax.jit(f).lower(*args).compile()
    return compiled.memory_analysis().temp_size_in_bytes, compiled.cost_analysis()["flops"]


def test_remat_by_segments_needs_less_memory():
    """Measured, not believed: without recomputation the residuals of every layer are held at once."""
    layer, depth, segment = bp.chain(bp.rules.affine(64), bp.rules.gelu), 64, 8
    plain = bp.repeat(layer, depth)
    segmented = bp.repeat(bp.remat(bp.repeat(layer, segment)), depth // segment)
    x = jax.ShapeDtypeStruct((256, 64), "float32")
    key = jax.random.key(0)

    def step(rule):
        params, _ = jax.eval_shape(lambda k: rule.init(k, x), key)
        return cost(run(rule), params, x, x)

    (memory, _), (less, _) = step(plain), step(segmented)
    assert less < 0.5 * memory


@by_eights
@given(seed=seeds)
def test_a_residual_adds_its_input(seed):
    rule = bp.residual(LAYER)
    args = points(lambda seed: (start(rule, seed=seed % 1000), *data(seed)), seed)

    def written(params, x, delta_y):
        y, pull = jax.vjp(lambda p, x: x + LAYER.forward(p, x)[0], params, x)
        return y, pull(delta_y)

    assert_agrees_everywhere(run(rule), written, args)
    wrong = rule._replace(backward=lambda p, kept, delta: LAYER.backward(p, kept, delta))
    with pytest.raises(AssertionError, match="noise units apart"):
        assert_agrees_everywhere(run(wrong), written, args)


@by_eights
@given(seed=seeds)
def test_descend_is_backward_then_update(seed):
    """The documents' update inside the sweep (S4.3), layer by layer, in every kind of composition."""
    update = lambda p, g: p - 0.1 * g
    for rule in (
        LAYER,
        bp.repeat(LAYER, 3),
        bp.mlp([3, 4, 3], bp.rules.tanh),
        bp.remat(LAYER),
        bp.residual(LAYER),
        bp.rules.affine(3),
    ):
        args = points(lambda seed, rule=rule: (start(rule, seed=seed % 1000), *data(seed)), seed)

        def in_sweep(params, x, delta_y, rule=rule):
            _, residuals = rule.forward(params, x)
            return descend(rule, params, residuals, delta_y, update)

        def two_phase(params, x, delta_y, rule=rule):
            _, (grads, delta_x) = run(rule)(params, x, delta_y)
            return jax.tree.map(update, params, grads), delta_x

        assert_agrees_everywhere(in_sweep, two_phase, args)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_hand_sweep_needs_no_more_than_autodiff_for_a_single_sample(dtype):
    """Written as δz W, the step back would hold a float32 copy of each bfloat16 W: a hundred times more."""
    net, loss = bp.mlp([64, 64, 64, 8], bp.rules.relu), bp.losses.half_squared_error
    x, y = jax.ShapeDtypeStruct((1, 64), dtype), jax.ShapeDtypeStruct((1, 8), dtype)
    params, _ = jax.eval_shape(lambda key: net.init(key, x), jax.random.key(0))
    auto = jax.value_and_grad(lambda params, x, y: loss.forward(net.forward(params, x)[0], y)[0])

    memory, flops = cost(bp.value_and_grad(net, loss), params, x, y)
    memory_of_autodiff, flops_of_autodiff = cost(auto, params, x, y)
    assert memory <= memory_of_autodiff
    assert flops <= flops_of_autodiff


@pytest.mark.smoke
def test_mlp_and_the_chain_of_its_parts_agree():
    net = bp.mlp([3, 4, 2], bp.rules.relu)
    parts = bp.chain(*net.parts)
    params, (x, _) = start(net), data(3)

    def by_chain(params, x, delta_y):
        y, (grads, delta_x) = run(parts)((params[0], (), params[1], ()), x, delta_y)
        return y, ((grads[0], grads[2]), delta_x)

    assert_agrees(run(net), by_chain, params, x, np.ones((2, 2)))


def test_parts_are_reachable_and_kinks_are_named():
    rule = bp.chain(bp.rules.affine(2), bp.rules.relu)
    assert [part.name for part in rule.parts] == ["affine(2)", "relu"]
    assert rule.at_kinks == "relu: slope 0 at z = 0"
    assert bp.repeat(rule, 2).parts == (rule,)
    net = bp.mlp([3, 4, 2], bp.rules.relu)
    assert [part.name for part in net.parts] == ["affine(4)", "relu", "affine(2)", "identity"]


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3), (1, 2, 2)])
@pytest.mark.parametrize("jit", [False, True])
def test_a_cotangent_of_another_shape_than_the_output_is_refused(shape, jit):
    net = bp.mlp([3, 4, 2], bp.rules.relu)
    params, _ = net.init(KEY, SHAPE)
    residuals, delta = net.forward(params, ROWS)[1], jnp.ones(shape)
    keep = lambda param, grad: param
    top = lambda params, residuals, delta: bp.layer_step(params[-1], residuals[-1], delta)
    sweeps = (bp.deltas, net.backward, lambda *args: net.descend(*args, keep), top)
    for sweep in sweeps:
        with pytest.raises(bp.UsageError, match=r"delta_[ya] must have shape \(2, 2\), but found delta_"):
            (jax.jit(sweep) if jit else sweep)(params, residuals, delta)


def test_widths_and_depth_may_be_whole_numbers_of_numpy():
    assert bp.mlp(np.array([3, 2]), bp.rules.relu).name == "mlp(3-2, relu, identity)"
    assert bp.repeat(LAYER, np.int32(2)).name == "repeat(chain(affine(3), tanh), 2)"


ROWS = jnp.ones((2, 3))
INTEGERS = jax.ShapeDtypeStruct((2, 3), "int32")
NET, NARROW = bp.mlp([3, 2], bp.rules.relu), {"W": jnp.ones((2, 4)), "b": jnp.ones(2)}
FITTING = {"W": jnp.ones((2, 3)), "b": jnp.ones(2)}
WHOLE, LOSS = {"W": jnp.ones((2, 3), int), "b": jnp.ones(2)}, bp.losses.hinge
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bp.chain(), "a chain needs at least one rule"),
        (lambda: bp.chain(bp.rules.relu, 3), "chain: each part must be a Rule, but found 3; pass"),
        (lambda: bp.repeat(3, 3), "repeat: rule must be a Rule, but found 3; pass"),
        (lambda: bp.residual("x"), "residual: rule must be a Rule, but found 'x'; pass"),
        (lambda: bp.residual(bp.rules.affine(4)).init(KEY, SHAPE), r"float32\[2,3\] to float32\[2,4\]"),
        (lambda: bp.residual(LAYER).init(KEY, INTEGERS), "residual.*the input must be floating"),
        (
            lambda: bp.residual(bp.rules.affine(2)).forward(FITTING, ROWS),
            "the rule inside must keep the shape",
        ),
        (lambda: bp.remat("x"), "remat: rule must be a Rule, but found 'x'; pass"),
        (lambda: bp.value_and_grad(LOSS, LOSS), "value_and_grad: rule must be a Rule, but found Loss"),
        (lambda: bp.value_and_grad(LAYER, LAYER), "value_and_grad: loss must be a Loss, but found Rule"),
        (lambda: bp.repeat(LAYER, 0), "depth must be a whole number of at least 1, but found depth=0"),
        (lambda: bp.repeat(bp.rules.affine(4), 2).init(KEY, SHAPE), "must keep the shape and dtype"),
        (lambda: LAYER.forward(({},), ROWS), "params must be a tuple with 2 entries"),
        (lambda: bp.mlp([3], bp.rules.relu), "at least two whole numbers"),
        (lambda: bp.mlp([3, 0], bp.rules.relu), r"sizes\[1\] must be a whole number of at least 1"),
        (lambda: bp.mlp([3.0, 2], bp.rules.relu), r"sizes\[0\] must be .*, but found sizes\[0\]=3.0"),
        (lambda: bp.mlp([3, 2], "relu"), "an activation must be a Rule, but found 'relu'"),
        (lambda: bp.mlp([3, 2], bp.rules.affine(2)), "an activation must have no parameters"),
        (lambda: bp.mlp([4, 2], bp.rules.relu).init(KEY, SHAPE), r"x must have shape \(2, 4\)"),
        (lambda: NET.forward((FITTING,), ROWS[:, :2]), r"relu, identity\): x must have shape \(2, 3\)"),
        (lambda: NET.forward(({"W": ROWS},), ROWS), "layer 1: .* but found no b"),
        (lambda: NET.forward((WHOLE,), ROWS), "layer 1: W must be floating, but found W of dtype int32"),
        (
            lambda: NET.forward((NARROW,), ROWS),
            r"layer 1: W must have shape \(2, 3\), but found W.shape=\(2, 4\)",
        ),
        (lambda: bp.rules.affine(2).init(KEY, INTEGERS), "must be floating, but found x of dtype int32"),
        (lambda: bp.rules.affine(0), "n_out must be a whole number of at least 1"),
        (lambda: bp.rules.relu.forward((), jnp.arange(3)), "must be floating"),
    ],
)
def test_bad_input_gets_one_clear_error(make, text):
    with pytest.raises(bp.UsageError, match=text):
        make()


def test_carrying_a_state_past_a_rule_changes_neither_and_hands_its_cotangent_back():
    rule, state = bp.carrying(LAYER), {"mean": np.ones(2)}
    x, delta = data(0)
    params = start(LAYER)
    assert jax.tree.structure(rule.init(jax.random.key(0), (SHAPE, state))[1][1]) == jax.tree.structure(state)

    def past(params, x, delta):
        y, (grads, (delta_x, delta_state)) = run(rule)(params, (x, state), (delta, {"mean": 3 * x[0]}))
        return y, grads, delta_x, delta_state

    def alone(params, x, delta):
        y, (grads, delta_x) = run(LAYER)(params, x, delta)
        return (y, state), grads, delta_x, {"mean": 3 * x[0]}

    assert_agrees(past, alone, params, x, delta)
    with pytest.raises(bp.UsageError, match="carrying: rule must be a Rule"):
        bp.carrying(jnp.tanh)


@pytest.mark.as_user
def test_a_loss_follows_a_network_whose_key_or_state_is_dropped():
    net = bp.values_of(bp.chain(bp.carrying(bp.rules.affine(2)), bp.rules.dropout(0.5)))
    assert bp.verify(net, examples=20).ok
    by_batch = bp.chain(bp.carrying(bp.rules.affine(2), BATCH_STATE), bp.rules.batch_norm)
    by_batch = by_batch._replace(domain=(bp.array("b>=2 3"), BATCH_STATE))
    assert bp.verify(bp.values_of(by_batch), examples=20, dtypes=()).ok
    x = ROWS, jax.random.key(3)
    params, _ = net.init(KEY, jax.eval_shape(lambda: x))
    loss, target = bp.losses.half_squared_error, jnp.ones((2, 2))
    _, grads = bp.value_and_grad(net, loss)(params, x, target)
    plain = jax.grad(lambda p: loss.forward(net.forward(p, x)[0], target)[0])
    assert grads[0]["W"].tolist() == plain(params)[0]["W"].tolist()
    with pytest.raises(bp.UsageError, match="values_of: rule must be a Rule"):
        bp.values_of(3)


def test_carrying_a_key_past_a_rule_agrees_and_updates_inside_the_sweep():
    report = bp.verify(bp.carrying(LAYER), examples=20)
    assert report.ok, str(report)
