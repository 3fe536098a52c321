"""Strict JAX for every test: no silent promotion of dtypes or ranks, and no warning."""

import os
import tempfile

import jax
import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=25, database=None)
settings.register_profile("wide", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("BACKPROOF_PROFILE", "ci"))


def pytest_configure(config):
    """Share what is compiled among the workers and subprocesses of this run, and with no other run.

    The environment carries it, since they start later and read it when they import jax.
    """
    if hasattr(config, "workerinput"):
        return
    folder = tempfile.TemporaryDirectory(prefix="backproof-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    worth_it = {"persistent_cache_min_compile_time_secs": 0.05, "persistent_cache_min_entry_size_bytes": -1}
    for name, value in {"compilation_cache_dir": folder.name, **worth_it}.items():
        os.environ[f"JAX_{name.upper()}"] = str(value)
        jax.config.update(f"jax_{name}", value)


def pytest_addoption(parser):
    said = "of the cases of each parametrised test, run one of every N (default 1: all of them)"
    parser.addoption("--one-in", type=int, default=1, metavar="N", help=said)


def pytest_collection_modifyitems(config, items):
    """Leave every test in, and of its cases one in N."""
    seen, left_out = {}, []
    for item in list(items):
        place = item.nodeid.split("[")[0]
        seen[place] = seen.get(place, -1) + 1
        if seen[place] % config.getoption("--one-in"):
            items.remove(item)
            left_out.append(item)
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def strict_jax(request):
    """Run under strict promotion, except where a test is marked as a user's."""
    if "as_user" in request.keywords:
        yield
        return
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture
def without_a_folder():
    """Run without a folder in which JAX keeps what it compiles."""
    own = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", own)
