"""The parameters of any rule come back from a file with the same bits, in another process too."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import same_bits

import backproof as bp
from backproof.errors import DataError, UsageError
from backproof.training import load_parameters, predict, save_parameters

pytestmark = pytest.mark.as_user
INPUT = jax.ShapeDtypeStruct((1, 3), jnp.float32)
X = np.arange(15, dtype=np.float32).reshape(5, 3) / 10


def scaled(width=3):
    """Return a rule of one's own: y = g x + s, with its parameters in a dict of its own."""

    def init(key, x):
        params = {"gain": jax.random.normal(key, (width,)), "parts": [jnp.ones((width,)), jnp.zeros(())]}
        return params, x

    def forward(params, x):
        return params["gain"] * x + params["parts"][0], x

    def backward(params, x, d):
        batch = tuple(range(d.ndim - 1))
        parts = [d.sum(batch), jnp.zeros(())]
        return {"gain": (d * x).sum(batch), "parts": parts}, d * params["gain"]

    return bp.Rule("scaled", init, forward, backward, bp.array(f"*batch {width}"))


def network():
    return bp.chain(scaled(), bp.mlp([3, 4, 2], bp.rules.tanh))


@pytest.fixture
def saved(tmp_path):
    params, _ = network().init(jax.random.key(0), INPUT)
    save_parameters(tmp_path / "own.npz", network(), params, INPUT)
    return tmp_path / "own.npz", params


def test_the_rule_is_right():
    assert bp.verify(scaled(), examples=40, dtypes=(), second_order=False).ok


def test_the_parameters_come_back_with_the_same_bits(saved):
    path, params = saved
    assert same_bits(load_parameters(path, network(), X), params)


def test_a_narrow_dtype_comes_back(tmp_path):
    params, _ = network().init(jax.random.key(0), INPUT)
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    save_parameters(tmp_path / "own.npz", network(), narrow, INPUT)
    assert same_bits(load_parameters(tmp_path / "own.npz", network(), INPUT), narrow)


FRESH = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from backproof.training import load_parameters, predict
from test_parameters import X, network
params = load_parameters(sys.argv[2], network(), X)
np.save(sys.argv[3], predict(network(), params, X))
"""


def test_a_fresh_process_predicts_the_same_bits(saved, tmp_path, request):
    path, params = saved
    where = str(request.path.parent)
    subprocess.run(
        [sys.executable, "-c", FRESH, where, path, tmp_path / "y.npy"], check=True, capture_output=True
    )
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), predict(network(), params, X))


def test_predictions_are_those_of_the_forward_pass_for_any_number_of_rows(saved):
    _, params = saved
    rows = np.resize(X, (5000, 3))
    many = predict(network(), params, rows)
    assert many.shape == (5000, 2)
    assert predict(network(), params, rows[:0]).shape == (0, 2)
    with pytest.raises(UsageError, match="first axis"):
        predict(network(), params, np.float32(1))


def test_the_parameters_of_another_network_are_refused(saved, tmp_path):
    path, _ = saved
    with pytest.raises(DataError, match="must hold parameters of scaled, but found those of chain"):
        load_parameters(path, scaled(), X)
    small, _ = scaled().init(jax.random.key(0), INPUT)
    save_parameters(tmp_path / "small.npz", scaled(), small, INPUT)
    with pytest.raises(DataError, match=r"leaf \['gain'\] of shape \(3,\), not \(4,\)"):
        load_parameters(tmp_path / "small.npz", scaled(4), jnp.ones((1, 4)))


def test_parameters_that_do_not_fit_are_not_written(tmp_path):
    params, _ = scaled().init(jax.random.key(0), INPUT)
    with pytest.raises(UsageError, match="must be those of chain"):
        save_parameters(tmp_path / "own.npz", network(), params, INPUT)
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_and_a_model_are_refused(saved, tmp_path):
    path, _ = saved
    (tmp_path / "half.npz").write_bytes(path.read_bytes()[:200])
    for name in ("half.npz", "none.npz"):
        with pytest.raises(DataError, match="whole file that backproof wrote"):
            load_parameters(tmp_path / name, network(), X)


def test_what_jax_would_narrow_comes_back_as_it_was_saved(tmp_path):
    params, _ = scaled().init(jax.random.key(0), INPUT)
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64) / 3, params)
    save_parameters(tmp_path / "wide.npz", scaled(), wide, INPUT)
    assert same_bits(load_parameters(tmp_path / "wide.npz", scaled(), INPUT), wide)
