"""Strict JAX for every test: no silent promotion of dtypes or ranks, and no warning."""

import os

import jax
import pytest
from hypothesis import settings

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=25, database=None)
settings.register_profile("wide", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("BACKPROOF_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def strict_jax(request):
    """Run under strict promotion, except where a test is marked as a user's."""
    if "as_user" in request.keywords:
        yield
        return
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
