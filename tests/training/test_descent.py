"""The batch algorithm of document 000: its step, its stop rule, and what it says of its end."""

import jax
import numpy as np
import pytest
from samples import draw, draw_params, targets

import backproof as bp
from agreement import assert_value
from backproof.errors import DataError, DivergedError, UsageError
from backproof.training import batch_descent

NETWORK = bp.mlp((3, 4, 2), bp.rules.sigmoid, bp.rules.sigmoid)
LOSS = bp.losses.half_squared_error


def halving(**settings):
    """Descend where W stays and b halves: x = 0, y = 0, α = ½, so that update k changes b by 2⁻ᵏ."""
    params = {"W": np.ones((1, 1), np.float32), "b": np.ones(1, np.float32)}
    settings = {"learning_rate": 0.5, "max_iterations": 100, "epsilon": 0.125, **settings}
    return batch_descent(
        bp.rules.affine(1),
        LOSS,
        np.zeros((1, 1), np.float32),
        np.zeros((1, 1), np.float32),
        params=params,
        **settings,
    )


@pytest.mark.spec("S0.13")
def test_one_iteration_is_p_minus_alpha_times_the_gradient_of_the_sum():
    x, labels = draw()
    x, y, params = x.astype(np.float64), targets(labels), draw_params((3, 4, 2))
    with jax.enable_x64(True):
        end = batch_descent(
            NETWORK, LOSS, x, y, learning_rate=0.3, max_iterations=1, epsilon=0, params=params
        )
        end = jax.tree.map(np.asarray, end.params)

    def reference(params):
        def total(p):  # Σ_i J_i, sample by sample
            return sum(LOSS.forward(NETWORK.forward(p, x[i])[0], y[i])[0] for i in range(len(x)))

        return jax.tree.map(lambda p, g: p - 0.3 * g, params, jax.grad(total)(params))

    assert_value(reference, (params,), end)


@pytest.mark.spec("S0.13")
def test_descent_stops_after_the_first_update_with_every_change_below_epsilon():
    """The changes of b are ½, ¼, ⅛, 1⁄16 while W never changes: ⅛ is not below ε = ⅛, 1⁄16 is."""
    end = halving()
    assert (end.iterations, end.converged) == (4, True)
    assert float(end.params["b"][0]) == 2.0**-4
    assert end.loss == 0.5 * 2.0**-8


@pytest.mark.spec("S0.13")
@pytest.mark.parametrize(("most", "converged"), [(3, False), (4, True)])
def test_reaching_the_maximum_is_reported_as_not_converged(most, converged):
    end = halving(max_iterations=most)
    assert (end.iterations, end.converged) == (most, converged)


def test_epsilon_zero_never_converges():
    assert not halving(epsilon=0, max_iterations=300).converged


def test_the_seed_gives_the_first_parameters():
    x, labels = draw()
    y = targets(labels).astype(np.float32)
    ends = [
        batch_descent(NETWORK, LOSS, x, y, learning_rate=0.3, max_iterations=2, epsilon=0, seed=seed).loss
        for seed in (0, 0, 1)
    ]
    assert ends[0] == ends[1] != ends[2]


def test_a_rate_that_diverges_stops_and_says_where():
    with pytest.raises(
        DivergedError, match=r"batch_descent, iteration \d+: .* must stay finite.*lower the learning"
    ):
        halving(learning_rate=1e15)


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        (
            {"max_iterations": 0},
            "max_iterations must be a whole number from 1 to 2147483647, but found max_iterations=0",
        ),
        ({"max_iterations": 2**40}, "found max_iterations=1099511627776; pass such a number"),
        ({"epsilon": "small"}, "epsilon must be a finite number of at least 0, but found epsilon='small'"),
        ({"seed": 10**20}, "seed must be a whole number from 0 to 4294967295, but found seed=1000"),
        ({"epsilon": -1e-3}, "epsilon must be a finite number of at least 0, but found epsilon=-0.001"),
        ({"epsilon": float("nan")}, "found epsilon=nan"),
    ],
)
def test_numbers_out_of_range_are_refused(setting, text):
    with pytest.raises(UsageError, match=text):
        halving(**setting)


def test_samples_that_are_not_finite_are_refused():
    x, labels = draw()
    x[1, 2] = np.nan
    with pytest.raises(DataError, match=r"found x\[1, 2\]=nan"):
        batch_descent(NETWORK, LOSS, x, targets(labels), learning_rate=0.1, max_iterations=1, epsilon=0)
