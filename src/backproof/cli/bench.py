"""`backproof bench`: hand sweep, autodiff and the matrix-multiplication limit on this device."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import jax
from rich.console import Console

from backproof import benchmark
from backproof.benchmark import Benchmark, Comparison, Grid, LeftOut, Peer, Settings, Size
from backproof.cli.extras import require_plot
from backproof.reporting import benchmark as pages
from backproof.reporting.to_json import write_text

# Sizes whose step takes longer than this many seconds are left out: by default, and with --full.
LONGEST_STEP, LONGEST_STEP_FULL = 0.2, 10.0
TABLES = (
    benchmark.in_sweep,
    benchmark.recomputed,
    benchmark.compiled_deep,
    benchmark.transformer,
    benchmark.attention,
)

T = TypeVar("T")


def run(arguments: argparse.Namespace) -> int:
    """Measure the sizes in `arguments`, print each result as it comes in, write the files, and return 0.

    Raises:
        UsageError: a dtype is unknown, or the plot cannot be drawn.
    """
    if arguments.verify:
        return _verdicts(arguments, Console(highlight=False, soft_wrap=True, markup=False))
    grid = _grid(arguments)
    asked = benchmark.sizes(grid)
    if arguments.plot:
        require_plot(arguments.plot)
    longest = arguments.longest_step or (LONGEST_STEP_FULL if arguments.full else LONGEST_STEP)
    settings = benchmark.Settings(grid, arguments.seconds, longest, arguments.peers)
    with _compiling_anew():
        found = _measured(asked, settings, Console(highlight=False, soft_wrap=True, markup=False))
    if arguments.json:
        write_text(found.to_json(), arguments.json)
    if arguments.plot:
        # matplotlib is an extra that no other command needs
        from backproof.reporting.plot import plot

        plot(found, arguments.plot)
    return 0


def _verdicts(arguments: argparse.Namespace, console: Console) -> int:
    """Measure what a verdict costs, print it, write the file, and return 0."""
    console.print(f"{pages.where(benchmark.environment())}\n\n{pages.VERDICT_HEADING}")
    with _compiling_anew():
        found = [*_shown(benchmark.verdict_costs(), pages.verdict_line, "verifying", console)]
    if arguments.json:
        write_text(json.dumps([one.to_json() for one in found], indent=2), arguments.json)
    return 0


def _grid(arguments: argparse.Namespace) -> Grid:
    """Return the quick or the full grid, with the values that `arguments` give for an axis."""
    given = {name: getattr(arguments, name) for name in ("widths", "depths", "batches", "dtypes")}
    base = benchmark.FULL if arguments.full else benchmark.QUICK
    return replace(base, **{name: values for name, values in given.items() if values})


@contextmanager
def _compiling_anew() -> Iterator[None]:
    """Switch off JAX's persistent compilation cache, because compile times are measured."""
    name = "jax_enable_compilation_cache"
    before = getattr(jax.config, name)
    jax.config.update(name, False)
    try:
        yield
    finally:
        jax.config.update(name, before)


def _measured(asked: Sequence[Size], settings: Settings, console: Console) -> Benchmark:
    environment = benchmark.environment()
    console.print(pages.where(environment))
    with console.status("measuring this device …"):
        speeds = {dtype: benchmark.speed(dtype) for dtype in settings.grid.dtypes}
    kept, left_out = benchmark.feasible(asked, speeds, settings.longest_step, benchmark.free_memory())
    console.print(f"{len(kept)} of {len(asked)} sizes are measured\n\n{pages.EXPLANATION}\n\n{pages.HEADING}")
    found = [*_shown(benchmark.compare_each(kept, settings.seconds), pages.line, "comparing", console)]
    console.print("\n".join(["", *map(pages.line, left_out)]))
    comparisons = tuple(one for one in found if isinstance(one, Comparison))
    left_out += [one for one in found if isinstance(one, LeftOut)]
    if comparisons:
        console.print(pages.summary(comparisons))
    tables = tuple(_shown((make(settings.seconds) for make in TABLES), pages.table, "tables", console))
    peers: tuple[Peer, ...] = ()
    if settings.peers:
        with console.status("training on the digits with each library …"):
            peers = _raced()
        console.print(f"\n{pages.peers(peers, environment.omp_num_threads)}")
    return Benchmark(environment, settings, speeds, comparisons, tuple(left_out), tables, peers)


def _raced() -> tuple[Peer, ...]:
    """Return the libraries' figures, or only backproof's failure, so that earlier results are not lost."""
    try:
        return benchmark.race()
    except benchmark.FailedError as error:
        return (Peer("backproof", f"failed: {error}"),)


def _shown(each: Iterable[T], page: Callable[[T], str], doing: str, console: Console) -> Iterator[T]:
    """Yield each result as it comes in, after printing its page."""
    with console.status(f"{doing} …"):
        for one in each:
            console.print(page(one))
            yield one
