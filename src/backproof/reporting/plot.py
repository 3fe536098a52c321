"""A benchmark as one figure; no other module imports matplotlib, which is an optional dependency.

Each point is one size, placed by the operations of a step: its colour is the depth, its shape the batch.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from backproof.benchmark import Benchmark, Comparison, Peer, Size, Spread
from backproof.reporting.benchmark import where

# Colours that colour-blind readers can distinguish too (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Ratios beyond these are drawn at the edge: a memory ratio may be a thousand if one side needs almost none.
LEAST, MOST = 2**-6, 2**6

Look = Callable[[Size], tuple[str, str]]


def plot(found: Benchmark, path: Path) -> None:
    """Draw `found` into `path`: a column of ratios for each dtype, and below them the peers that ran."""
    dtypes = list(dict.fromkeys(one.size.dtype for one in found.comparisons))
    ran = [peer for peer in found.peers[1:] if peer.speedup and peer.accuracy is not None]  # and that trained
    panels = (_time, _limit, _counted)
    rows, columns = len(panels) * bool(dtypes) + bool(ran), max(len(dtypes), 1)
    figure = Figure(figsize=(2.4 + 4.6 * columns, 1.0 + 3.0 * max(rows, 1)), layout="constrained")
    figure.suptitle(where(found.environment), fontsize=10)
    grid = figure.add_gridspec(max(rows, 1), columns)
    depths = _assigned((one.size.depth for one in found.comparisons), COLOURS)
    batches = _assigned((one.size.batch for one in found.comparisons), MARKERS)
    for column, dtype in enumerate(dtypes):
        mine = [one for one in found.comparisons if one.size.dtype == dtype]
        for row, panel in enumerate(panels):
            axes = figure.add_subplot(grid[row, column])
            panel(axes, mine, lambda size: (depths[size.depth], batches[size.batch]))
            axes.set_title(dtype if row == 0 else "", fontsize=11)
            axes.set_xlabel("operations in the products of a step" if row == len(panels) - 1 else "")
    if ran:
        _race(figure.add_subplot(grid[-1, :]), ran)
    figure.legend(handles=_legend(depths, batches), loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=150)


def _time(axes: Axes, mine: Sequence[Comparison], look: Look) -> None:
    for one in mine:
        colour, marker = look(one.size)
        x, measured = one.size.operations, one.time
        axes.plot([x, x], [measured.low, measured.high], color=colour, linewidth=1.5)
        axes.plot(x, measured.median, color=colour, marker=marker)
    _ratios(axes, [end for one in mine for end in (one.time.low, one.time.high)])
    axes.set_ylabel("time, by hand / autodiff\n(bars: quartiles)")


def _limit(axes: Axes, mine: Sequence[Comparison], look: Look) -> None:
    for one in mine:
        colour, marker = look(one.size)
        x, hand, autodiff = one.size.operations, one.hand_of_limit.median, one.autodiff_of_limit.median
        axes.plot([x, x], [autodiff, hand], color=colour, linewidth=1, alpha=0.5)
        axes.plot(x, autodiff, color=colour, marker=marker, markerfacecolor="white")
        axes.plot(x, hand, color=colour, marker=marker)
    _ratios(axes, [side.median for one in mine for side in (one.hand_of_limit, one.autodiff_of_limit)])
    axes.set_ylabel("fraction of the matmul limit\n(filled: by hand, hollow: autodiff)")


def _counted(axes: Axes, mine: Sequence[Comparison], look: Look) -> None:
    kinds: dict[str, Callable[[Comparison], float | None]] = {
        "temporary memory": lambda one: one.memory,
        "compile time": lambda one: one.compile.median,
        "operations": lambda one: one.flops,
    }
    drawn = []
    for (name, read), colour, marker in zip(kinds.items(), COLOURS[3:6], "vxo", strict=True):
        pairs = [(one.size.operations, value) for one in mine if (value := read(one)) is not None]
        shown = [min(max(value, LEAST), MOST) for _, value in pairs]
        axes.plot([x for x, _ in pairs], shown, marker, color=colour, label=name, markersize=5)
        drawn += shown
    _ratios(axes, drawn)
    axes.set_ylabel("by hand / autodiff\n(memory, operations: XLA's analysis)")
    axes.legend(fontsize=8)


def _race(axes: Axes, ran: Sequence[Peer]) -> None:
    """Draw how many times as fast backproof is, two bars for each library."""
    kinds: dict[str, Callable[[Peer], Spread | None]] = {
        "steps per second, once compiled": lambda peer: peer.speedup,
        "whole process": lambda peer: peer.process_ratio,
    }
    for i, (name, read) in enumerate(kinds.items()):
        for y, measured in enumerate(map(read, ran)):
            assert measured is not None  # only peers that ran are drawn
            place = y + 0.4 * i
            label = name if y == 0 else None
            axes.barh(place, measured.median - 1, 0.38, left=1, color=COLOURS[i], alpha=0.8, label=label)
            axes.plot([measured.low, measured.high], [place, place], color="black", linewidth=1.5)
            said = f"{measured.median:.2g}×"
            end = max(measured.high, 1)
            axes.annotate(said, (end, place), (5, 0), textcoords="offset points", va="center")
    axes.set_xscale("log", base=2)
    least = min(measured.low for read in kinds.values() for measured in map(read, ran) if measured)
    axes.set_xlim(min(0.75, least / 1.1), axes.get_xlim()[1] * 1.3)
    axes.axvline(1, color="black", linewidth=1)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    axes.set_yticks([y + 0.2 for y in range(len(ran))], [f"{peer.name} {peer.status}" for peer in ran])
    axes.invert_yaxis()
    axes.set_xlabel("speed of backproof relative to the library: the digits, 64-128-128-10, batches of 64")
    axes.legend(fontsize=8, loc="lower right")


def _ratios(axes: Axes, values: Sequence[float]) -> None:
    """Set logarithmic axes that hold `values` and 1, with a line at 1 and ticks at powers of 2."""
    low, high = min([*values, 0.75]) / 1.2, max([*values, 1.33]) * 1.2
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)
    axes.set_ylim(low, high)
    axes.axhline(1, color="black", linewidth=1)
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}")
    )
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, color="0.9")
    axes.set_axisbelow(True)


def _legend(depths: dict[int, str], batches: dict[int, str]) -> list[Line2D]:
    lines = [Line2D([], [], color=colour, linewidth=3, label=f"depth {n}") for n, colour in depths.items()]
    return lines + [
        Line2D([], [], color="0.3", marker=marker, linestyle="", label=f"batch {n}")
        for n, marker in batches.items()
    ]


def _assigned(values: Iterable[int], looks: Sequence[str]) -> dict[int, str]:
    """Return a look for each of the values, from the least on; looks repeat if there are too few."""
    return {value: looks[i % len(looks)] for i, value in enumerate(sorted(set(values)))}
