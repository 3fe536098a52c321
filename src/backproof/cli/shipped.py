"""The shipped catalogue verified by several processes, one rule at a time in each.

A rule cannot be sent to a process, because it is made of functions; its position in the catalogue is sent.
"""

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import platformdirs

from backproof.catalogue import PRECISIONS, SHIPPED
from backproof.cli.options import Draws, Options, of_many_seeds
from backproof.cli.workers import in_background, in_processes
from backproof.verification import Report, verify, verify_seeds

# The most processes by default; each holds its compiled programs, a few hundred MB.
MOST = 8


def default_jobs() -> int:
    """Return how many processes share the work: one per CPU core, at most MOST; 1 on a GPU or TPU."""
    return min(os.cpu_count() or 1, MOST) if jax.default_backend() == "cpu" else 1


def reports(
    places: Sequence[int], settings: Options, jobs: int, cache: Path | None = None
) -> Iterator[Report]:
    """Yield the report on each rule at `places` of the catalogue, in their order, from `jobs` processes.

    Args:
        places: positions in `SHIPPED`.
        settings: arguments of `verify`.
        jobs: how many processes; 1 is this one.
        cache: where compiled programs are kept.
    """
    if jobs == 1:
        return in_background(_verified(place, settings) for place in places)
    begin = functools.partial(keep_compiled, cache)
    return in_processes(_verified, places, itertools.repeat(settings), jobs=jobs, begin=begin)


def reports_by_seed(
    places: Sequence[int], seeds: range, settings: Draws, jobs: int, cache: Path | None = None
) -> Iterator[Report]:
    """Yield the report on each rule at `places` at each of `seeds`, from `jobs` processes; 1 is this one."""
    if jobs == 1:
        return in_background(one for place in places for one in _verified_at(place, seeds, settings))
    begin = functools.partial(keep_compiled, cache)
    rows = itertools.repeat(seeds), itertools.repeat(settings)
    found = in_processes(_verified_at, places, *rows, jobs=jobs, begin=begin)
    return itertools.chain.from_iterable(found)


def keep_compiled(folder: Path | None) -> None:
    """Switch on JAX's persistent compilation cache, for small programs too; None leaves it as it is."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def default_cache() -> Path | None:
    """Return the folder in the user's cache in which compiled programs are kept.

    None where JAX's own settings name a folder already.
    """
    chosen = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return None if chosen else platformdirs.user_cache_path("backproof") / "compiled"


def _verified(place: int, settings: Options) -> Report:
    return verify(SHIPPED[place], dtypes=PRECISIONS, **settings)


def _verified_at(place: int, seeds: range, settings: Draws) -> list[Report]:
    return list(verify_seeds(SHIPPED[place], seeds, dtypes=PRECISIONS, **of_many_seeds(settings)))
