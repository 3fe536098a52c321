"""Which backward passes ran; the verifier never meets what notes it."""

import jax
import jax.numpy as jnp
import pytest

import backproof as bp
from backproof import session
from backproof.coverage.found import find
from backproof.coverage.watch import Watch

pytestmark = pytest.mark.as_user


@pytest.fixture
def found(project):
    return {one.name.rpartition(":")[2]: one for one in find(["my_package"], project())}


def test_what_runs_is_noted_and_what_is_only_called_is_not(found):
    watch = Watch(found.values())
    watch.begin()
    jax.grad(lambda x: found["quiet"].value(x).sum())(jnp.ones(3))
    jax.jit(jax.grad(lambda x: found["within"].value(x).sum()))(jnp.ones(3))
    found["sine"].value(jnp.ones(3))
    watch.end()
    assert watch.ran == {"my_package.kernels:quiet", "my_package.kernels:within"}


def test_everything_is_as_it_was_afterwards_also_what_was_defined_anew(found):
    cube = found["cube"].value
    own, watch = cube.bwd, Watch(found.values())
    watch.begin()
    assert cube.bwd is not own
    watch.end()
    assert cube.bwd is own
    watch.begin()
    cube.defvjp(cube.fwd, other := lambda x, ct: (ct,))
    watch.end()
    assert cube.bwd is other


def test_the_verifier_sees_the_users_own_function_and_is_not_noted(found):
    seen, cube = [], found["cube"].value
    own, watch = cube.bwd, Watch(found.values())
    stop = session.stand_around(watch.aside)
    watch.begin()

    def looked(x):
        seen.append(cube.bwd)
        return cube(x)

    report = bp.verify(looked, args=[bp.array("n")], examples=3)
    assert set(seen) == {own}
    assert (report.verdict, report.cause) == ("WRONG", "sign")
    assert watch.ran == set()
    assert cube.bwd is not own
    watch.end()
    stop()
