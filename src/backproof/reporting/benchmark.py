"""A benchmark in the terminal: one line for each size as it is measured, then tables and medians."""

import statistics
from collections.abc import Callable, Sequence

from backproof.benchmark import Comparison, Environment, LeftOut, Peer, Spread, Table, VerdictCost

HEADING = (
    f"{'width':>5} {'depth':>5} {'batch':>5} {'dtype':8} {'by hand':>8}   {'time':>5} {'quartiles':11} "
    f"{'compile':>7} {'memory':>7} {'operations':>10}   {'limit: hand':>11} {'autodiff':>8}"
)
EXPLANATION = (
    "time, compile, memory, operations: by hand divided by autodiff, so below 1 means less by hand;\n"
    "limit: the reached fraction of this device's matrix-multiplication limit; 1 means the products alone"
)
VERDICT_HEADING = (
    "seconds of CPU, and in brackets how many times check_grads they are; nothing is compiled before\n"
    f"{'rule':26} {'check_grads':>11} {'first verdict':>15} {'the same again':>15} {'with a slip':>15}"
)


def where(environment: Environment) -> str:
    """Return the line that names the device and the versions."""
    return (
        f"backproof {environment.backproof} on {environment.device} ({environment.backend}), "
        f"{environment.cores} CPU cores, jax {environment.jax}, Python {environment.python}"
    )


def line(found: Comparison | LeftOut) -> str:
    """Return the line of one size, in the columns of `HEADING`."""
    if isinstance(found, LeftOut):
        return f"left out: {found.size}: {found.reason}"
    size, seconds = found.size, duration(found.hand_seconds.median)
    return (
        f"{size.width:5} {size.depth:5} {size.batch:5} {size.dtype:8} {seconds:>8}   "
        f"{found.time.median:5.2f} {quartiles(found.time):11} {found.compile.median:7.2f} "
        f"{number(found.memory):>7} {number(found.flops):>10}   "
        f"{found.hand_of_limit.median:11.2f} {found.autodiff_of_limit.median:8.2f}"
    )


def verdict_line(found: VerdictCost) -> str:
    """Return the line of one rule of the basket, in the columns of `VERDICT_HEADING`."""
    shown = (found.first, found.second, found.wrong)
    figures = " ".join(f"{one:7.2f} ({one / found.check_grads:4.1f})" + " " for one in shown)
    return f"{found.name:26} {found.check_grads:11.2f}  {figures} {' / '.join(found.verdicts)}"


def table(shown: Table) -> str:
    """Return a table of several ways to do the same."""
    lines = ["", shown.title, f"  {'':32} {'temporary':>10} {'compile':>8} {'time':>5} quartiles"]
    for row in shown.rows:
        held = row.program.temporary_bytes
        memory = "–" if held is None else f"{held / 1e6:.2f} MB"
        compiled = duration(statistics.mean(row.program.compile_seconds))
        time = f"{row.time.median:5.2f} {quartiles(row.time)}"
        lines.append(f"  {row.name:32} {memory:>10} {compiled:>8} {time}")
    return "\n".join(lines)


def peers(shown: Sequence[Peer], omp_num_threads: str) -> str:
    """Return the table of libraries."""
    lines = [
        "the digits, 64-128-128-10, batches of 64, each library in its own process with "
        f"OMP_NUM_THREADS={omp_num_threads}",
        f"  {'':18} {'version':>9} {'steps/s':>8} {'backproof is':>12} {'quartiles':11} "
        f"{'process':>8} {'over `train`':>12} {'accuracy':>8}",
    ]
    for peer in shown:
        if peer.steps_per_second is None or peer.speedup is None:
            lines.append(f"  {peer.name:18} {peer.status}")
            continue
        assert peer.process_seconds is not None  # a peer that ran has every figure
        assert peer.process_ratio is not None
        loop = (
            f"  {peer.name:18} {peer.status:>9} {peer.steps_per_second.median:8,.0f} "
            f"{peer.speedup.median:11.2f}× {quartiles(peer.speedup):11} "
        )
        trained = (
            f"{duration(peer.process_seconds.median):>8} {peer.process_ratio.median:11.2f}× "
            f"{peer.accuracy:8.2%}"
            if peer.accuracy is not None
            else f"{'–':>8} {'–':>12} {'–':>8}"  # a script that trains nothing has no process time to compare
        )
        lines.append(loop + trained)
    return "\n".join(lines)


def summary(comparisons: Sequence[Comparison]) -> str:
    """Return the median of each ratio over the sizes, and the sizes at both ends."""
    ratios: dict[str, Callable[[Comparison], float | None]] = {
        "time": lambda one: one.time.median,
        "compile time": lambda one: one.compile.median,
        "temporary memory": lambda one: one.memory,
        "operations": lambda one: one.flops,
        "fraction of the limit, by hand": lambda one: one.hand_of_limit.median,
        "fraction of the limit, autodiff": lambda one: one.autodiff_of_limit.median,
    }
    return "\n".join(_range(name, read, comparisons) for name, read in ratios.items())


def _range(name: str, read: Callable[[Comparison], float | None], comparisons: Sequence[Comparison]) -> str:
    values = {one.size: value for one in comparisons if (value := read(one)) is not None}
    if not values:
        return f"{name}: no figure"
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    return (
        f"{name}: median {number(statistics.median(values.values()))} over {len(values)} sizes, from "
        f"{number(values[least])} ({least}) to {number(values[most])} ({most})"
    )


def quartiles(measured: Spread) -> str:
    """Return the quartiles in brackets."""
    return f"[{measured.low:.2f} {measured.high:.2f}]"


def number(value: float | None) -> str:
    """Return a ratio as text; a dash if there is none, e.g. when autodiff needs no memory."""
    return "–" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return seconds in a unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
