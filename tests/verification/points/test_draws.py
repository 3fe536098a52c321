"""Where a claim is tried: inside the declared domain, at sizes that tell axes apart, the same each time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import backproof as bp
from backproof.errors import UsageError
from backproof.verification import Verdict
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments
from backproof.verification.points.domain import domain_of
from backproof.verification.points.from_arguments import FromArguments
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.points.members import Holder, made
from backproof.verification.points.sizes import menu
from backproof.verification.points.values import STYLES
from backproof.verification.running.point import point_of

pytestmark = pytest.mark.as_user


def claim(args, of=jnp.sin):
    return of_vjp(of, lambda a, ct: a, StaticArguments.among(args), None)


def drawn(args, of=jnp.sin, **settings):
    return [
        one.build()
        for one in draw(claim(args, of).points, **{"examples": 60, "seed": 0, "name": "f", **settings})
    ]


def entries(args, **settings):
    return np.concatenate([np.ravel(values[0]) for values in drawn(args, **settings)])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-2, 3), (5, None), (None, -1), (0, 1e-3), (2, 2)])
def test_draws_respect_closed_bounds_and_touch_them(low, high):
    values = entries([bp.array("n", low=low, high=high)], examples=200)
    for edge, extreme in ((low, values.min()), (high, values.max())):
        assert edge is None or extreme == np.float32(edge)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "f64"])
def test_draws_respect_open_bounds(dtype):
    with jax.enable_x64(True):
        values = np.concatenate([np.ravel(v[0]) for v in drawn([bp.parse(f"{dtype}[n]>0<1")])])
    assert (values > 0).all()
    assert (values < 1).all()


def test_integers_respect_bounds_that_name_a_size():
    for table, ids in drawn([bp.array("v n"), bp.integers("b", 0, "v-1")], of=lambda x, i: x[i]):
        assert ids.size == 0 or (ids.min() >= 0 and ids.max() < table.shape[0])


def test_draws_respect_where():
    assert all(x.sum() > 1 for (x,) in drawn([bp.array("n", where=lambda x: x.sum() > 1)]))


@pytest.mark.parametrize(
    "args",
    [
        [bp.array("n", where=lambda x: False)],
        st.nothing(),
        [bp.array("3"), bp.integers("2", 5, 4)],
    ],
)
def test_what_nothing_satisfies_is_a_usage_error(args):
    with pytest.raises(bp.UsageError, match="some argument must satisfy the specification"):
        drawn(args)


def test_bounds_in_the_wrong_order_are_a_usage_error():
    with pytest.raises(bp.UsageError, match=r"low must not exceed high.*low=2, high=1.*exchange the bounds"):
        drawn([bp.array("n", low=2, high=1)])


def test_the_same_seed_draws_the_same_and_another_seed_another():
    args = [bp.array("b n"), bp.array("n")]
    one, same, other = (drawn(args, of=lambda x, w: x @ w, seed=seed) for seed in (3, 3, 4))
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(same), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert not all(np.array_equal(a, b) for a, b in zip(entries(args), entries(args, seed=4), strict=False))
    assert len(other) == len(one)


def test_settings_say_how_many_are_drawn():
    assert [len(drawn([bp.array("b n")], examples=n)) for n in (1, 7, 60)] == [1, 7, 60]


def test_some_entry_of_the_menu_tells_every_axis_apart():
    specs = [bp.array("a b"), bp.array("b c"), bp.array("c d")]
    distinct = [sizes for sizes in menu(specs) if len(set(sizes.values())) == 4 and 1 not in sizes.values()]
    assert len(distinct) >= 2
    assert 0 not in distinct[0].values()


def test_the_menu_holds_every_axis_at_one_and_at_zero():
    sizes = menu([bp.array("a b")])
    for name in "ab":
        for special in (0, 1):
            assert any(one[name] == special for one in sizes)
    assert {"a": 1, "b": 1} in sizes


def test_a_star_stands_for_no_axis_one_two_and_an_empty_one():
    batches = {one["*batch"] for one in menu([bp.array("*batch n")])}
    assert {0, 1, 2} <= {len(batch) for batch in batches}
    assert any(0 in batch for batch in batches)
    assert any(batch and 0 not in batch and 1 not in batch for batch in batches)
    for batch in ((), (1,)):  # code may tell them by their rank or size, whatever the other axes are
        assert any(one["*batch"] == batch and one["n"] > 1 for one in menu([bp.array("*batch n")]))


def test_fixed_shapes_have_one_entry():
    assert menu([bp.array("3 4")]) == [{}]


def test_every_kind_of_number_is_met():
    values = entries([bp.array("n")], examples=200)
    magnitudes = np.abs(values[values != 0])
    assert magnitudes.min() < 1e-5
    assert magnitudes.max() > 1e5
    assert (values == 0).any()
    assert np.signbit(values[values == 0]).any()
    assert len(np.unique(values)) < len(values)
    assert any(style.twins for style in STYLES)


def test_examples_keep_their_shape_and_integers_stay_in_range():
    given = (np.ones((2, 3), np.float32), np.array([1, 0], np.int32))
    tuples = drawn(given, of=lambda x, i: x[i])
    assert all(x.shape == (2, 3) and i.tolist() in ([1, 0], [0, 1]) for x, i in tuples)
    assert sum(i.tolist() == [1, 0] for _, i in tuples) > len(tuples) / 2
    assert any(i.tolist() == [0, 1] for _, i in tuples)
    assert len({x.tobytes() for x, _ in tuples}) > 10
    assert any(np.array_equal(x, given[0]) for x, _ in drawn(given, of=lambda x, i: x[i], examples=200))


def test_a_strategy_of_the_user_meets_varying_cotangents():
    x = np.array([0.5, -1.0, 2.0], np.float32)
    fixed = claim(st.just((x,)))
    points = [point_of(fixed, one) for one in draw(fixed.points, 30, 0, "f")]
    assert all(np.array_equal(point.args[0], x) for point in points)
    assert len({np.asarray(point.direction).tobytes() for point in points}) > 10


def test_small_points_come_smallest_first_and_large_ones_have_one_long_axis():
    points = FromArguments([bp.array("b n")])
    sizes = [one.size for one in points.small()]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    large = points.large(lambda axis, length: True)
    assert large
    for one in large:
        (long,), (short,) = one.long.build(), one.short.build()
        assert one.size in long.shape
        assert one.short_size in short.shape
        assert one.size > 8 * one.short_size > 8 * min(long.shape)


def test_draws_of_one_shape_and_two_trees_are_judged_apart():
    def total(x):
        return sum(jax.tree.leaves(x))

    either = st.sampled_from(["a", "b"]).map(lambda name: ({name: np.ones(2, np.float32)},))
    assert bp.verify(of=total, vjp=lambda args, ct: (jax.tree.map(lambda _: ct, args[0]),), args=either).ok


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_draws_within_bounds_have_the_dtype_that_is_declared(dtype):
    for bounds in ({"low": 0, "high": 1}, {"low": 0}, {"high": 0}, {"low": -np.inf, "high": 2}):
        holders = [Holder(bp.array("n", dtype, **bounds), {"n": n}) for n in (4, 0)]
        drawn = [made(holder, style, 3, 0) for holder in holders for style in STYLES]
        assert {values.dtype for values in drawn} == {jnp.dtype(dtype)}


def test_a_right_rule_of_bounded_bfloat16_keeps_its_contract():
    report = bp.verify(
        of=lambda x, y: x * y,
        vjp=lambda a, ct: (ct * a[1], ct * a[0]),
        args=[bp.array("n", "bfloat16"), bp.array("n", "bfloat16", low=0)],
        examples=60,
    )
    assert report.verdict is Verdict.AGREES


def test_a_name_in_a_bound_must_be_that_of_an_axis():
    for wrong in (
        [bp.array("n", low="m")],
        [bp.array("", low="zz")],
        [bp.integers("b", 0, "v-1")],
        [bp.array("b n"), bp.integers("b", 0, "k-1")],
    ):
        with pytest.raises(UsageError, match="a name in a bound must be that of an axis of some argument"):
            domain_of(wrong, jnp.sum)
    domain_of([bp.array("v n"), bp.integers("b", 0, "v-1"), bp.array("4*b", low="n")], jnp.sum)
