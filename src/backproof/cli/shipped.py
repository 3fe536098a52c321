"""The shipped catalogue verified by several processes, one rule at a time in each.

A rule cannot be sent to a process, because it is made of functions; its position in the catalogue is sent.
"""

import contextlib
import itertools
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import jax

from backproof.catalogue import PRECISIONS, SHIPPED
from backproof.cli.options import Options, without_seed
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
        jobs: how many processes.
        cache: where compiled programs are kept.
    """
    with _pool(jobs, cache) as pool:
        yield from pool.map(_verified, places, itertools.repeat(settings))


def reports_by_seed(places: Sequence[int], seeds: range, settings: Options, jobs: int) -> Iterator[Report]:
    """Yield the report on each rule at `places` at each of `seeds`, from `jobs` processes."""
    with _pool(jobs, None) as pool:
        for found in pool.map(_verified_at, places, itertools.repeat(seeds), itertools.repeat(settings)):
            yield from found


def keep_compiled(folder: Path) -> None:
    """Switch on JAX's persistent compilation cache in this process, for small programs too."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@contextlib.contextmanager
def _pool(jobs: int, cache: Path | None) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes; a forked one would share the locks of JAX's threads."""
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawned, initializer=_begin, initargs=(cache,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(cache: Path | None) -> None:
    if cache:
        keep_compiled(cache)


def _verified(place: int, settings: Options) -> Report:
    return verify(SHIPPED[place], dtypes=PRECISIONS, **settings)


def _verified_at(place: int, seeds: range, settings: Options) -> list[Report]:
    return list(verify_seeds(SHIPPED[place], seeds, dtypes=PRECISIONS, **without_seed(settings)))
