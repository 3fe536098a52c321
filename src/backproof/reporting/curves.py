"""What training reached, epoch by epoch, as a figure; `plot.py` draws benchmarks."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from backproof.reporting.plot import COLOURS
from backproof.training import Epoch, Sweep


def plot_fit(history: Sequence[Epoch], path: Path, title: str, metric: str) -> None:
    """Draw loss and metric of one training over its epochs.

    Args:
        history: the records of the epochs.
        path: where the figure is written; its suffix says in which format.
        title: what was trained.
        metric: what is measured on the samples that are held out.
    """
    epochs = [epoch.number for epoch in history]
    measured = [epoch.metric for epoch in history if epoch.metric is not None]
    figure, panels = _panels(title, metric if measured else None)
    rows = [[epoch.loss for epoch in history], measured]
    for axes, row in zip(panels, rows, strict=False):
        axes.plot(epochs, row, color=COLOURS[0], marker="." if len(epochs) < 60 else "")
    figure.savefig(path, dpi=150)


def plot_sweep(outcome: Sweep, path: Path, title: str, metric: str) -> None:
    """Draw, for each point of a grid, the median of loss and metric over the seeds, and their range."""
    curves, has_metric = outcome.curves, outcome.curves.metric is not None
    figure, panels = _panels(title, metric if has_metric else None)
    for axes, several in zip(panels, (curves.loss, curves.metric), strict=False):
        for point, row in zip(outcome.points, np.asarray(several, np.float64), strict=True):
            kept = row[np.isfinite(row).all(axis=-1)]
            label = ", ".join(f"{name} {value:g}" for name, value in zip(outcome.names, point, strict=True))
            label += f" ({len(row) - len(kept)} of {len(row)} diverged)" if len(kept) < len(row) else ""
            (line,) = axes.plot(
                [], [], color=COLOURS[outcome.points.index(point) % len(COLOURS)], label=label
            )
            if len(kept):
                epochs = np.arange(1, row.shape[-1] + 1)
                line.set_data(epochs, np.median(kept, axis=0))
                axes.fill_between(
                    epochs, kept.min(axis=0), kept.max(axis=0), color=line.get_color(), alpha=0.2
                )
        axes.relim()
        axes.autoscale_view()
    panels[0].legend(fontsize=8, frameon=False, title=f"median and range of {len(outcome.seeds)} seeds")
    figure.savefig(path, dpi=150)


def _panels(title: str, metric: str | None) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for the loss, and one for the metric if there is one."""
    names = ["loss", *([metric] if metric else [])]
    figure = Figure(figsize=(0.6 + 4.4 * len(names), 3.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = [*_named(figure, names)]
    return figure, panels


def _named(figure: Figure, names: Sequence[str]) -> Iterator[Axes]:
    for i, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), i + 1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, color="0.9")
        axes.set_axisbelow(True)
        yield axes
