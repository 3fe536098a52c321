"""Curves of training: the numbers that were reached are those that are drawn."""

import matplotlib.figure
import numpy as np
import pytest

from backproof.reporting.curves import plot_fit, plot_sweep
from backproof.training import Curves, Epoch, Sweep


@pytest.fixture
def drawn(monkeypatch):
    """Keep the figures that are saved."""
    kept = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, path, **how: kept.append(self))
    return kept


def test_loss_and_metric_stand_over_their_epochs(drawn, tmp_path):
    history = [Epoch(3, 0.9, 0.5), Epoch(4, 0.4, 0.75)]
    plot_fit(history, tmp_path / "x.png", "mlp", "test accuracy")
    loss, metric = drawn[0].axes
    assert loss.lines[0].get_xydata().tolist() == [[3, 0.9], [4, 0.4]]
    assert metric.lines[0].get_xydata().tolist() == [[3, 0.5], [4, 0.75]]
    assert (loss.get_ylabel(), metric.get_ylabel()) == ("loss", "test accuracy")


def test_without_a_test_part_there_is_one_panel(drawn, tmp_path):
    plot_fit([Epoch(1, 0.9, None)], tmp_path / "x.png", "mlp", "test accuracy")
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["loss"]


def test_a_sweep_shows_the_median_and_what_diverged(drawn, tmp_path):
    loss = np.array([[[3.0, 1.0], [4.0, 2.0], [5.0, 6.0]], [[1.0, np.nan], [1.0, 1.0], [3.0, 3.0]]])
    curves = Curves(loss, None, None, np.ones((2, 3), bool))
    plot_sweep(Sweep(("rate",), ((0.1,), (9.0,)), (0, 1, 2), curves, True), tmp_path / "x.png", "mlp", "loss")
    (axes,) = drawn[0].axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[4.0, 2.0], [2.0, 2.0]]
    assert [line.get_label() for line in axes.lines] == ["rate 0.1", "rate 9 (1 of 3 diverged)"]
