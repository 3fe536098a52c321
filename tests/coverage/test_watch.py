"""Which backward passes ran; the verifier never meets what notes it."""

import jax
import jax.numpy as jnp
import pytest

import backproof as bp
from backproof import session
from backproof.coverage.found import find, judged_by
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


def test_the_verifier_sees_the_users_own_function_also_in_a_run_within_a_run(found):
    cube = found["cube"].value
    own, watches = cube.bwd, [Watch(found.values()) for _ in range(2)]
    stops = [session.stand_around(watch.aside) for watch in watches]
    for watch in watches:
        watch.begin()
    noting = cube.bwd
    for _ in range(2):
        with session.verifying():
            assert cube.bwd is own
        assert cube.bwd is noting
    jax.grad(lambda x: cube(x).sum())(jnp.ones(3))
    assert [watch.ran for watch in watches] == [{"my_package.kernels:cube"}] * 2
    for stop, watch in zip(stops[::-1], watches[::-1], strict=True):
        watch.end()
        stop()
    assert cube.bwd is own


def test_a_derivative_that_two_runs_watch_counts_for_its_rule(found):
    cube = found["cube"]
    heard = session.Heard(
        "gradient", "f", "AGREES", None, True, subjects=session.references([cube.value.bwd])
    )
    watches = [Watch([cube]) for _ in range(2)]
    for watch in watches:
        watch.begin()
    assert judged_by(heard, [cube]) == (["my_package.kernels:cube"], [])
    for watch in watches[::-1]:
        watch.end()
