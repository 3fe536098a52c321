"""The formal definitions, read as jnp, against the code that ships.

Samples are columns in the development and rows in the library: Z = W X + b there is the transpose of
z = x Wᵀ + b here. What the proofs say of the definitions, they say of this code as far as these agree.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backproof as bp
import mirror
from agreement import assert_agrees
from backproof import losses, rules
from backproof.numerics.comparison import distance
from backproof.numerics.noise import measure
from backproof.numerics.tolerance import AGREES_WITHIN
from backproof.numerics.tracing import float64
from backproof.rule import descend
from backproof.verification.diagnosis.balances import inner
from drawn import (
    FORMAL,
    Drawn,
    batches,
    few,
    names,
    nets,
    seeds,
    shipped_grads,
    to_formal,
    to_shipped,
    two_classes,
)


@few
@given(nets)
def test_forward_and_its_parts(net):
    def formal(th, X):
        z = mirror.z1(th, X)
        return mirror.forward(net.A, th, X), mirror.from_z(net.A, th, z), z

    def shipped(th, X):
        a = net.shipped(th, X)[0].T
        z = rules.affine(net.sizes[1]).forward({"W": mirror.W1(th), "b": mirror.b1(th)[:, 0]}, X.T)[0].T
        return a, a, z

    assert_agrees(formal, shipped, net.th, net.X)


@few
@given(nets)
def test_delta_at_every_layer(net):
    def formal(th, X, G):
        found, a = [], X
        for l in range(len(th)):  # noqa: E741 - the documents' letter
            z = mirror.z1(th[l:], a)
            found.append(mirror.delta(net.A[l:], th[l:], z, G))
            a = net.A[l].act(z)
        return found

    def shipped(th, X, G):
        _, residuals, params = net.shipped(th, X)
        return [delta.T for delta in bp.deltas(params, residuals, G.T)]

    assert_agrees(formal, shipped, net.th, net.X, net.G)


@few
@given(nets)
def test_grads_and_grad_in(net):
    def formal(th, X, G):
        return mirror.grads(net.A, th, X, G), mirror.grad_in(net.A, th, X, G)

    assert_agrees(formal, lambda *args: shipped_grads(net, *args), net.th, net.X, net.G)


@few
@given(nets)
def test_the_differential_of_the_loss_pairs_dot_with_the_input_and_pdot_with_the_parameters(net):
    rng = np.random.default_rng(0)
    dX, dth = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), (net.X, net.th))

    def loss(th, X):
        return inner(net.shipped(th, X)[0].T, net.G)

    def formal(th, X, dth, dX):
        grads, grad_in = shipped_grads(net, th, X, net.G)
        return mirror.dot(grad_in, dX) + mirror.pdot(grads, dth)

    assert_agrees(formal, lambda th, X, dth, dX: jax.jvp(loss, (th, X), (dth, dX))[1], net.th, net.X, dth, dX)


@few
@given(nets)
def test_is_grad_is_what_autodiff_finds(net):
    def sides(th, X, side):
        J = lambda X: inner(mirror.forward(net.A, th, X), net.G)
        return mirror.is_grad(J, X, shipped_grads(net, th, X, net.G)[1])[side]

    assert_agrees(lambda th, X: sides(th, X, 0), lambda th, X: sides(th, X, 1), net.th, net.X)


@few
@given(st.builds(Drawn, st.sampled_from([(2, 1, 3), (4, 3, 2)]), batches, names, names, seeds))
def test_a_network_cut_in_front_of_its_last_layer(net):
    A, C = net.A[:1], net.A[1:]

    def formal(th, X, G):
        first, last = th[:1], th[1:]
        J = lambda W, b: inner(
            mirror.forward(mirror.cat(A, C), mirror.join(first, mirror.set1(W, b, last)), X), G
        )
        return jax.grad(J, argnums=(0, 1))(mirror.W1(last), mirror.b1(last))

    assert_agrees(formal, lambda *args: shipped_grads(net, *args)[0][1], net.th, net.X, net.G)


@pytest.mark.parametrize("name", sorted(FORMAL))
@few
@given(seed=seeds)
def test_an_activation_and_its_slope(name, seed):
    rng = np.random.default_rng(seed)
    z, g = rng.normal(size=(2, 3, 4))
    formal, shipped = FORMAL[name], getattr(rules, name)

    def ships(z, g):
        a, kept = shipped.forward((), z)
        return a, shipped.backward((), kept, g)[1]

    assert isinstance(formal, mirror.activation)
    assert_agrees(lambda z, g: (formal.act(z), mirror.had(g, formal.slope(z))), ships, z, g)
    assert_agrees(
        lambda z: mirror.regular_at(formal, z)[0], lambda z: mirror.regular_at(formal, z)[1], z
    )  # no entry is 0


@few
@given(nets)
def test_regular_holds_at_every_layer_of_a_drawn_network(net):
    W, b = net.th[0]
    z = W @ net.X + b
    assert mirror.off_kinks(net.A, net.th, z)
    sides = lambda side: lambda th, z: [pair[side] for pair in mirror.regular(net.A, th, z)]
    assert_agrees(sides(0), sides(1), net.th, z)


def test_the_values_that_activations_are_named_for():
    x = np.linspace(-3.0, 3.0, 7)
    assert_agrees(mirror.sigmoid_value, jax.nn.sigmoid, x)
    assert_agrees(mirror.tanh_value, jnp.tanh, x)
    assert (mirror.sigmoid.act, mirror.tanh.act) == (mirror.sigmoid_value, mirror.tanh_value)
    assert mirror.softplus.slope == mirror.sigmoid_value
    assert_agrees(mirror.identity.act, lambda x: x, x)


def test_the_gates_are_those_of_relu_and_of_relu_with_slope_1_at_0():
    z = np.array([-1.0, -0.0, 0.0, 2.0])
    for gate, rule in ((mirror.strict_gate, rules.relu), (mirror.weak_gate, rules.relu_with(1))):
        slope = lambda z, rule=rule: rule.backward((), rule.forward((), z)[1], jnp.ones_like(z))[1]
        assert np.array_equal(measure(gate, z).value, measure(slope, z).value)
    assert mirror.relu.slope == mirror.strict_gate


@few
@given(n=st.sampled_from([2, 5]), batch=batches, seed=seeds)
def test_half_squared_error_and_its_mean_over_the_batch(n, batch, seed):
    A, Y = np.random.default_rng(seed).normal(size=(2, n, batch))
    columns = lambda Y: [lambda a, i=i: mirror.half_squared_error(Y[:, [i]], a) for i in range(batch)]
    value = lambda loss: lambda A, Y: loss.forward(A.T, Y.T)[0]
    assert_agrees(lambda A, Y: mirror.half_squared_error(Y, A), value(losses.half_squared_error), A, Y)
    assert_agrees(lambda A, Y: mirror.sum_loss(columns(Y), A), value(losses.half_squared_error), A, Y)
    mean = losses.mean(losses.half_squared_error)
    assert_agrees(lambda A, Y: mirror.mean_loss(columns(Y), A), value(mean), A, Y)


@few
@given(n=st.sampled_from([2, 5]), batch=batches, seed=seeds)
def test_softmax_and_cross_entropy_for_any_targets(n, batch, seed):
    Z, T = np.random.default_rng(seed).normal(size=(2, n, batch))
    loss = losses.softmax_cross_entropy_dense

    def formal(Z, T):
        value = mirror.sum_loss([lambda z, i=i: mirror.cross_entropy(T[:, [i]], z) for i in range(batch)], Z)
        p = [mirror.softmax(Z[:, [i]]) for i in range(batch)]
        return value, jnp.concatenate([p[i] * T[:, i].sum() - T[:, [i]] for i in range(batch)], axis=1)

    def shipped(Z, T):
        value, residuals = loss.forward(Z.T, T.T)
        return value, loss.backward(residuals).T

    assert_agrees(formal, shipped, Z, T)


@few
@given(k=st.integers(0, 3), seed=seeds)
def test_cross_entropy_of_a_class(k, seed):
    z = np.random.default_rng(seed).normal(size=(4, 1))
    shipped = lambda z: losses.softmax_cross_entropy.forward(z[:, 0], jnp.asarray(k))[0]
    assert_agrees(lambda z: mirror.cross_entropy(mirror.one_hot(k, 4), z), shipped, z)


@few
@given(batch=batches, seed=seeds)
def test_the_augmented_layer_is_the_shipped_affine_map_and_its_gradients(batch, seed):
    rng = np.random.default_rng(seed)
    W, b, X, D = (rng.normal(size=size) for size in ((2, 3), (2, 1), (3, batch), (2, batch)))
    rule = rules.affine(2)

    def formal(W, b, X, D):
        dW = D @ mirror.augmented_a(X).T
        return mirror.augmented_W(W, b) @ mirror.augmented_a(X), dW[:, :-1], dW[:, -1:]

    def shipped(W, b, X, D):
        params = {"W": W, "b": b[:, 0]}
        z, kept = rule.forward(params, X.T)
        grads, _ = rule.backward(params, kept, D.T)
        return z.T, grads["W"], grads["b"][:, None]

    def apart(W, b, X, D):
        return W @ X + mirror.spread(batch, b), D @ X.T, mirror.sum_samples(D)

    assert_agrees(formal, shipped, W, b, X, D)
    assert_agrees(apart, shipped, W, b, X, D)


@few
@given(nets)
def test_the_update_inside_the_sweep_and_after_it(net):
    eta = 0.25

    def shipped(th, X, G):
        _, residuals, params = net.shipped(th, X)
        update = lambda param, grad: param - eta * grad
        updated, delta_x = descend(net.rule, params, residuals, G.T, update)
        return to_formal(updated), delta_x.T

    args = (net.th, net.X, net.G)
    assert_agrees(lambda *args: mirror.in_sweep(eta, net.A, *args), shipped, *args)
    assert_agrees(lambda *args: mirror.two_phase(eta, net.A, *args), lambda *a: shipped(*a)[0], *args)


def test_updating_first_gives_another_error_below():
    net = Drawn((4, 3, 2), 3, "tanh", "sigmoid", seed=0)
    wrong = lambda *args: mirror.update_first(0.25, net.A, *args)[1]
    right = lambda *args: mirror.in_sweep(0.25, net.A, *args)[1]
    assert distance(wrong, right, net.th, net.X, net.G) > AGREES_WITHIN


def test_the_smallest_network_on_which_updating_first_differs():
    with float64():
        th, x = mirror.ones(), jnp.ones((1, 1))
        g = mirror.forward(mirror.smallest, th, x)  # the target is 0
        after = [
            step(0.5, mirror.smallest, th, x, g)
            for step in (mirror.two_phase, lambda *a: mirror.update_first(*a)[0])
        ]
        assert [mirror.W1(th).item() for th in after] == [0.5, 0.75]


def test_testnet_has_the_26_parameters_of_the_document():
    net = bp.mlp((3, 4, 2), rules.relu)
    params, _ = net.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), "float32"))
    assert sum(leaf.size for leaf in jax.tree.leaves(to_formal(params))) == 26
    assert len(params) == len(mirror.testnet)
    assert mirror.relu_net(mirror.testnet)
    assert not mirror.relu_net(mirror.smallest)
    assert mirror.smooth(mirror.smallest)
    assert not mirror.smooth(mirror.testnet)


@few
@given(sizes=two_classes, c=st.sampled_from([2.0, 1000.0]), y=st.integers(0, 1), seed=seeds)
def test_the_scaling_law_holds_of_the_shipped_gradients(sizes, c, y, seed):
    net = Drawn(sizes, 1, "relu", "identity", seed)
    th = tuple((W, np.zeros_like(b)) for W, b in net.th)
    assert mirror.no_bias(th)
    gradient = bp.value_and_grad(net.rule, losses.softmax_cross_entropy)

    def shipped(th, X):
        return to_formal(gradient(to_shipped(th), c * X.T, jnp.asarray([y]))[1])

    def formal(th, X):
        lead = mirror.lead(net.A, th, X, y, 1 - y)
        k = mirror.sigmoid_value(c * lead) / mirror.sigmoid_value(lead)
        grads = mirror.grads(net.A, th, X, mirror.label_error(net.A, th, y, X))
        return mirror.rescale(k * c, k, grads)

    assert_agrees(formal, shipped, th, net.X)


def test_the_claim_of_document_003_fails_for_the_network_of_its_refutation():
    with float64():
        th = ((jnp.array([[1.0], [0.0]]), jnp.zeros((2, 1))),)
        x = jnp.full((1, 1), 0.001)  # not 1, as in the proof: the literal softmax overflows at z = 1000
        holds = [bool(mirror.claim_of_document_003(mirror.arch(mirror.identity), th, x, y)) for y in (0, 1)]
    assert holds == [False, True]  # classified rightly, and wrongly
