"""The gradients by the values inside a function are judged one by one, and the first wrong one is explained.

The function is the exercise that Andrej Karpathy's course "Zero to Hero" sets (makemore, part 4): the
intermediate values of a character model with batch normalisation, whose gradients are written by hand.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof import tap

pytestmark = pytest.mark.as_user
A = bp.array
EPS = 1e-5


def forward(C, W1, b1, gain, bias, W2, b2, x):
    emb = tap("emb", C[x])
    embcat = tap("embcat", emb.reshape(x.shape[0], -1))
    hprebn = tap("hprebn", embcat @ W1 + b1)
    mean = tap("bnmeani", hprebn.sum(0, keepdims=True) / x.shape[0])
    diff = tap("bndiff", hprebn - mean)
    squared = tap("bndiff2", diff**2)
    var = tap("bnvar", squared.sum(0, keepdims=True) / (x.shape[0] - 1))
    inverse = tap("bnvar_inv", (var + EPS) ** -0.5)
    raw = tap("bnraw", diff * inverse)
    hpreact = tap("hpreact", gain * raw + bias)
    h = tap("h", jnp.tanh(hpreact))
    return diff, var, inverse, raw, h, tap("logits", h @ W2 + b2), embcat


def loss(C, W1, b1, gain, bias, W2, b2, x, y):
    names = ("C", "W1", "b1", "bngain", "bnbias", "W2", "b2")
    params = [tap(name, value) for name, value in zip(names, (C, W1, b1, gain, bias, W2, b2), strict=True)]
    logits = forward(*params, x)[-2]
    largest = tap("logit_maxes", logits.max(1, keepdims=True))
    shifted = tap("norm_logits", logits - largest)
    counts = tap("counts", jnp.exp(shifted))
    total = tap("counts_sum", counts.sum(1, keepdims=True))
    inverse = tap("counts_sum_inv", total**-1)
    probs = tap("probs", counts * inverse)
    logprobs = tap("logprobs", jnp.log(probs))
    return -logprobs[jnp.arange(len(y)), y].mean()


def by_hand(C, W1, b1, gain, bias, W2, b2, x, y):
    """Return the 26 gradients; the one by bndiff2 divides by n, where the variance divides by n - 1."""
    n = x.shape[0]
    diff, var, inverse, raw, h, logits, embcat = forward(C, W1, b1, gain, bias, W2, b2, x)
    counts = jnp.exp(logits - logits.max(1, keepdims=True))
    total = counts.sum(1, keepdims=True)
    g = {"logprobs": jnp.zeros_like(counts).at[jnp.arange(n), y].set(-1.0 / n)}
    g["probs"] = g["logprobs"] * total / counts
    g["counts_sum_inv"] = (counts * g["probs"]).sum(1, keepdims=True)
    g["counts_sum"] = -(total**-2) * g["counts_sum_inv"]
    g["counts"] = g["probs"] / total + g["counts_sum"]
    g["norm_logits"] = counts * g["counts"]
    g["logit_maxes"] = -g["norm_logits"].sum(1, keepdims=True)
    top = jax.nn.one_hot(logits.argmax(1), logits.shape[1])
    g["logits"] = g["norm_logits"] + top * g["logit_maxes"]
    g["h"], g["W2"], g["b2"] = g["logits"] @ W2.T, h.T @ g["logits"], g["logits"].sum(0)
    g["hpreact"] = (1 - h**2) * g["h"]
    g["bngain"] = (raw * g["hpreact"]).sum(0, keepdims=True)
    g["bnbias"] = g["hpreact"].sum(0, keepdims=True)
    g["bnraw"] = gain * g["hpreact"]
    g["bnvar_inv"] = (diff * g["bnraw"]).sum(0, keepdims=True)
    g["bnvar"] = -0.5 * (var + EPS) ** -1.5 * g["bnvar_inv"]
    g["bndiff2"] = g["bnvar"] / n * jnp.ones_like(diff)
    g["bndiff"] = inverse * g["bnraw"] + 2 * diff * g["bndiff2"]
    g["bnmeani"] = -g["bndiff"].sum(0, keepdims=True)
    g["hprebn"] = g["bndiff"] + g["bnmeani"] / n
    g["embcat"], g["W1"], g["b1"] = g["hprebn"] @ W1.T, embcat.T @ g["hprebn"], g["hprebn"].sum(0)
    g["emb"] = g["embcat"].reshape(*x.shape, -1)
    g["C"] = jnp.zeros_like(C).at[x].add(g["emb"])
    return g


def mended(*args):
    g, n, diff = by_hand(*args), args[-1].shape[0], forward(*args[:-1])[0]
    g["bndiff2"] = g["bndiff2"] * n / (n - 1)
    g["bndiff"] = forward(*args[:-1])[2] * g["bnraw"] + 2 * diff * g["bndiff2"]
    g["bnmeani"] = -g["bndiff"].sum(0, keepdims=True)
    g["hprebn"] = g["bndiff"] + g["bnmeani"] / n
    g["embcat"], g["b1"] = g["hprebn"] @ args[1].T, g["hprebn"].sum(0)
    g["W1"] = forward(*args[:-1])[-1].T @ g["hprebn"]
    g["emb"] = g["embcat"].reshape(*args[-2].shape, -1)
    g["C"] = jnp.zeros_like(args[0]).at[args[-2]].add(g["emb"])
    return g


ARGS = [
    A("v+1 e"), A("3*e h"), A("h"), A("1 h"), A("1 h"), A("h v+1"), A("v+1"),
    bp.integers("n+2 3", 0, "v"), bp.integers("n+2", 0, "v"),
]  # fmt: skip


def test_the_26_gradients_of_the_exercise_are_accepted():
    report = bp.check_intermediates(loss, ARGS, mended)
    assert report.ok
    assert len(report.values) == 26
    assert [one.name for one in report.values[:2]] == ["logprobs", "probs"]


@pytest.mark.long
def test_the_first_wrong_one_is_named_with_its_cause_and_line():
    report = bp.verify_intermediates(loss, ARGS, by_hand)
    assert (report.first_wrong, report.cause) == ("bndiff2", "factor")
    assert "Bessel" in report.explanation
    assert 'g["bndiff2"] = g["bnvar"]' in report.blame.text
    wrong = [one.name for one in report.values if one.verdict == "WRONG"]
    assert {"bndiff2", "bndiff", "hprebn"} <= set(wrong) <= {
        "bndiff2", "bndiff", "bnmeani", "hprebn", "embcat", "W1", "b1", "emb", "C"
    }  # fmt: skip
    assert "the first wrong one on the way back is bndiff2 (factor)" in str(report)
    found = json.loads(report.to_json())
    assert (found["ok"], found["first"]["name"]) == (False, "bndiff2")


def numbers(dtype):
    rng = np.random.default_rng(0)
    shapes = ((5, 2), (6, 4), (4,), (1, 4), (1, 4), (4, 5), (5,))
    floats = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return [*floats, rng.integers(0, 5, (7, 3)), rng.integers(0, 5, 7)]


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_judged_in_the_precision_in_which_they_were_computed(dtype):
    args = numbers(dtype)
    with jax.enable_x64(dtype == "float64"):
        right, wrong = (write(*map(jnp.asarray, args)) for write in (mended, by_hand))
        right, wrong = ({name: np.asarray(v) for name, v in found.items()} for found in (right, wrong))
    assert bp.verify_intermediates(loss, args, right).ok
    assert bp.verify_intermediates(loss, args, wrong).first_wrong == "bndiff2"


def curve(x):
    z = tap("z", np.sin(x))
    return np.sum(tap("a", z**2))


def test_numpy_code_is_judged_too():
    right = lambda x: {"a": np.ones_like(x), "z": 2 * np.sin(x)}
    assert bp.check_intermediates(curve, [A("n")], right).ok
    report = bp.verify_intermediates(curve, [A("n")], lambda x: {"a": np.ones_like(x), "z": np.sin(x)})
    assert (report.first_wrong, report.cause) == ("z", "factor")


def test_a_value_that_is_not_given_is_not_passed_over():
    with pytest.raises(bp.GradientError, match="z  not given"):
        bp.check_intermediates(curve, [A("n")], lambda x: {"a": np.ones_like(x)})


def test_a_gradient_of_another_shape_is_told():
    report = bp.verify_intermediates(curve, [A("n+1")], lambda x: {"a": np.ones(()), "z": 2 * np.sin(x)})
    assert (report.first_wrong, report.cause) == ("a", "contract-shape")
    assert "has shape ()" in str(report)


def twice(x):
    return np.sum(tap("z", x) * tap("z", x))


def test_what_cannot_be_compared_is_an_error():
    with pytest.raises(bp.UsageError, match="no tap in it"):
        bp.verify_intermediates(lambda x: jnp.sum(x), [A("n")], lambda x: {})
    with pytest.raises(bp.UsageError, match="'y', where the taps are z, a"):
        bp.verify_intermediates(curve, [A("n")], lambda x: {"y": x})
    with pytest.raises(bp.UsageError, match="a second time"):
        bp.verify_intermediates(twice, [A("n")], lambda x: {"z": 2 * x})


def test_outside_a_check_a_tap_does_nothing():
    x = np.ones(2)
    assert tap("x", x) is x


def relu_net(x, W, V, y):
    h = tap("h", jnp.maximum(tap("z", x @ W), 0))
    return jnp.sum((tap("o", h @ V) - y) ** 2) / 2


def by_hand_of_relu(gate):
    def written(x, W, V, y):
        z = x @ W
        do = jnp.maximum(z, 0) @ V - y
        return {"o": do, "h": do @ V.T, "z": do @ V.T * gate(z)}

    return written


NET = [A("b n"), A("n m"), A("m k"), A("b k")]


@pytest.mark.parametrize("gate", [lambda z: z > 0, lambda z: z >= 0], ids=["open above", "open at"])
def test_another_choice_at_a_kink_is_right_and_told(gate):
    report = bp.check_intermediates(relu_net, NET, by_hand_of_relu(gate))
    assert "another choice at kinks" in str(report)


def test_what_is_wrong_beyond_a_kink_is_wrong():
    report = bp.verify_intermediates(relu_net, NET, by_hand_of_relu(lambda z: jnp.where(z == 0, 2.0, z > 0)))
    assert report.first_wrong == "z"


def test_complex_values_are_compared_whole():
    turned = lambda x: jnp.sum(jnp.abs(tap("z", x * 1j)) ** 2)
    assert bp.verify_intermediates(turned, [A("n")], lambda x: {"z": -2j * x}).ok
    assert not bp.verify_intermediates(turned, [A("n")], lambda x: {"z": 100j * x}).ok
    assert not bp.verify_intermediates(turned, [np.ones(2)], {"z": np.full(2, 2j)}).ok


def in_vmap(x):
    return jnp.sum(jax.vmap(lambda row: tap("s", jnp.sum(row)) ** 2)(x))


def in_scan(x):
    def step(h, _):
        return tap("h", jnp.tanh(h)), None

    return jnp.sum(jax.lax.scan(step, x, None, length=3)[0])


def in_jit(x, W):
    return jnp.sum(jnp.tanh(jax.jit(lambda x, W: tap("z", x @ W))(x, W)))


def test_a_tap_sees_one_whole_value_or_an_error_says_so():
    with pytest.raises(bp.UsageError, match="inside vmap, where it sees one row"):
        bp.verify_intermediates(in_vmap, [A("b n")], lambda x: {"s": 2 * x.sum(1)})
    with pytest.raises(bp.UsageError, match="a second time"):
        bp.verify_intermediates(in_scan, [A("n")], lambda x: {"h": x})
    with pytest.raises(bp.UsageError, match="dict at tap"):
        bp.verify_intermediates(lambda x: jnp.sum(tap("z", {"a": x})["a"]), [A("n")], lambda x: {"z": x})
    right = lambda x, W: {"z": 1 - jnp.tanh(x @ W) ** 2}
    assert bp.verify_intermediates(in_jit, [A("b n"), A("n m")], right).ok


def test_a_static_argument_is_passed_on():
    of = lambda x, f: jnp.sum(tap("z", f(x)))
    assert bp.verify_intermediates(of, [A("n"), jnp.tanh], lambda x, f: {"z": jnp.ones_like(x)}).ok


def test_values_in_float32_at_arguments_in_float64_are_judged_in_float32():
    args = numbers("float64")
    right = mended(*(jnp.asarray(arg) for arg in args))
    assert bp.verify_intermediates(loss, args, right).ok


def test_one_wrong_point_among_many_kinks_is_found():
    """Wrong only at large numbers, and another choice wherever an entry is 0."""
    gate = lambda z: jnp.where(jnp.abs(z) > 3, 0.5, z >= 0)
    report = bp.verify_intermediates(relu_net, NET, by_hand_of_relu(gate), examples=120)
    assert report.first_wrong == "z"
