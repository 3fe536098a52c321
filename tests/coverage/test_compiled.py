"""Compiled programs are kept for a verification alone, and JAX's settings are as they were afterwards."""

import jax
import jax.numpy as jnp

from backproof.coverage.compiled import SETTINGS, kept_in

NAMES = ("jax_compilation_cache_dir", *SETTINGS)


def test_only_what_is_compiled_inside_is_kept(tmp_path, without_a_folder):
    before = {name: getattr(jax.config, name) for name in NAMES}
    with kept_in(tmp_path):
        jax.jit(lambda x: jnp.sin(x) * 3)(jnp.ones(7)).block_until_ready()
    kept = len(list(tmp_path.iterdir()))
    jax.jit(lambda x: jnp.cos(x) * 5)(jnp.ones(7)).block_until_ready()
    assert kept
    assert len(list(tmp_path.iterdir())) == kept
    assert {name: getattr(jax.config, name) for name in NAMES} == before


def test_a_folder_of_the_users_own_is_left_alone(tmp_path, without_a_folder):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    with kept_in(tmp_path / "other"):
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")
