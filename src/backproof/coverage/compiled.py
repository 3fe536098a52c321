"""Compiled programs kept in a folder: from one run of the tests to the next, or for the time of an audit.

JAX's persistent compilation cache is switched on around each verification, and off again: what a project's
tests compile themselves is not touched. A verdict is never kept: a fingerprint says whether two calls of one
process are about the same claim, and neither knows the libraries of the next run nor its device.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


@contextlib.contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Keep what is compiled in a folder; without effect where JAX has one already."""
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue] - made at run time
        yield
        return
    settings = {"jax_compilation_cache_dir": str(folder), **SETTINGS}
    before = {name: getattr(jax.config, name) for name in settings}
    _use(settings)
    try:
        with warnings.catch_warnings():
            # another process may be writing the entry; JAX then compiles the program anew
            warnings.filterwarnings("ignore", "Error reading persistent compilation cache entry")
            warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry")
            yield
    finally:
        _use(before)


def _use(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # it reads the settings once
