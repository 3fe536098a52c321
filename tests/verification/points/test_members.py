"""Every argument drawn lies in its domain: least sizes, further values, complex bounds, structures."""

import math
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.arguments import STRUCTURES as NAMES
from backproof.verification import Verdict
from backproof.verification.points.from_arguments import FromArguments
from backproof.verification.points.hypothesis_draws import draw
from backproof.verification.points.members import within
from backproof.verification.points.structures import STRUCTURES

pytestmark = pytest.mark.as_user

inf = math.inf


def every_draw(points, examples=200):
    """Return all that a campaign would draw: the menu, plain numbers, small sizes and long axes."""
    long = [points.longer(axis, n, 1) for axis in points.axes for n in (37, 133)]
    large = [one for pair in points.large(lambda axis, n: n <= 1024) for one in (pair.long, pair.short)]
    draws = [*draw(points, examples, 0, "f"), *points.plain(), *points.small(), *large]
    return [one.build() for one in [*draws, *filter(None, long)]]


DOMAINS = {
    "partition": bp.partition("g+1", of="m"),
    "partition, rows": bp.partition("b g", of="2*m-1"),
    "permutation": bp.permutation("*batch n"),
    "increasing": bp.increasing("b n"),
    "increasing, bounded": bp.increasing("n", low=-1, high=2),
    "increasing, from below": bp.increasing("n", low=0, dtype="float16"),
    "increasing, from above": bp.increasing("n", high="n", dtype="bfloat16"),
    "increasing, open": bp.parse("f32[n]>0<1:increasing"),
    "simplex": bp.simplex("b n"),
    "simplex, half": bp.simplex("n", "bfloat16"),
    "spd": bp.spd("b n"),
    "spd, half": bp.spd("n", "bfloat16"),
    "orthogonal": bp.orthogonal("*batch n"),
    "orthogonal, half": bp.orthogonal("n", "float16"),
    "one_hot": bp.one_hot("b v"),
    "one_hot, bool": bp.one_hot("v", "bool"),
    "complex": bp.array("b n", "complex64", low=-0.7, high=0.7),
    "complex, open": bp.parse("c64[n]>0<=2"),
    "labels": bp.integers("b", 0, "v-1", also=(-100, "v")),
    "masks": bp.array("b n", low=0, high=1, also=(-inf, inf)),
    "bytes": bp.array("n", "uint8"),
    "below": bp.array("n", "int32", high=-10),
}


@pytest.mark.parametrize("spec", DOMAINS.values(), ids=DOMAINS.keys())
def test_every_draw_is_a_member_of_its_declared_dtype(spec):
    points = FromArguments((spec,))
    tuples = every_draw(points)
    assert all(points.admits(args) for args in tuples)
    assert {str(x.dtype) for (x,) in tuples} == {spec.dtype}
    sizes = {x.size for (x,) in tuples}
    assert 1 in sizes
    assert max(sizes) > 128


def test_the_tables_of_structures_have_the_same_names():
    assert set(STRUCTURES) == set(NAMES)
    assert {spec.structure for spec in DOMAINS.values()} - {None} == set(NAMES)


NO_MEMBERS = [
    (bp.partition("g", of=4), [2, 3]),
    (bp.partition("g", of=4), [5, -1]),
    (bp.permutation("n"), [0, 0, 1]),
    (bp.permutation("n"), [1, 2, 3]),
    (bp.increasing("n"), [0.0, 1.0, 1.0]),
    (bp.increasing("n", low=0), [-1.0, 1.0]),
    (bp.simplex("n"), [0.5, 0.6]),
    (bp.simplex("n"), [1.5, -0.5]),
    (bp.simplex("n"), [0.5, 0.5 + 1e-5]),
    (bp.spd("n"), [[1.0, 0.5], [0.4, 1.0]]),
    (bp.spd("n"), [[1.0, 2.0], [2.0, 1.0]]),
    (bp.orthogonal("n"), [[1.0, 0.0], [0.0, 1.001]]),
    (bp.one_hot("n"), [1.0, 1.0, 0.0]),
    (bp.one_hot("n"), [0.0, 0.5, 0.5]),
    (bp.integers("n", 0, 3, also=(-100,)), [0, -99]),
    (bp.array("n", low=0, also=(-inf,)), [0.5, -1.0]),
    (bp.array("n", "complex64", low=0, high=1), [0.5 + 2j]),
    (bp.array("n>=3"), [1.0, 2.0]),
]


@pytest.mark.parametrize(("spec", "value"), NO_MEMBERS, ids=[f"{spec} {value}" for spec, value in NO_MEMBERS])
def test_what_is_no_member_is_not_admitted(spec, value):
    assert not FromArguments((spec,)).admits((np.asarray(value),))


def test_members_in_float64_are_admitted_to_the_precision_of_the_declared_dtype():
    turned = np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 1.5)[0]
    for spec, value in ((bp.orthogonal("n"), turned), (bp.simplex("n"), [0.1, 0.2, 0.7])):
        points, wide = FromArguments((spec,)), np.asarray(value, np.float64)
        assert points.admits((wide,))
        assert points.admits((wide.astype(np.float32).astype(np.float64),))
    assert not within(bp.orthogonal("n", "float64"), turned.astype(np.float32).astype(np.float64), {"n": 3})


@pytest.mark.parametrize("spec", DOMAINS.values(), ids=DOMAINS.keys())
def test_the_same_seed_draws_the_same_member(spec):
    one, same = ([x for (x,) in every_draw(FromArguments((spec,)), 30)] for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, same, strict=True))


def test_a_structure_that_cannot_exist_is_not_drawn_there():
    sizes = {x.shape for (x,) in every_draw(FromArguments((bp.simplex("b n"),)))}
    assert (2, 0) not in sizes
    assert any(0 in shape for shape in sizes)  # no rows, which need no entry
    groups = {
        (g.shape, m.shape[0])
        for g, m in every_draw(FromArguments((bp.partition("g", of="m"), bp.array("m"))))
    }
    assert all(m == 0 for shape, m in groups if shape == (0,))
    with pytest.raises(bp.UsageError, match="some argument must satisfy the specification"):
        draw(FromArguments((bp.partition("2", of=-1),)), 10, 0, "f")


def test_what_a_dtype_cannot_hold_is_not_drawn():
    crowded = FromArguments((bp.increasing("n", low=1, high=1 + 2**-9, dtype="float16"),))
    lengths = {x.size for (x,) in every_draw(crowded)}
    assert 3 in lengths
    assert max(lengths) == 3  # float16 has three numbers between 1 and 1 + 2⁻⁹


def seen(spec, what):
    tuples = every_draw(FromArguments((spec,) if isinstance(spec, bp.arguments.Specification) else spec))
    return Counter(name for args in tuples for name in what(*args))


def test_groups_are_often_empty_at_every_size():
    def what(sizes):
        some = bool((sizes == 0).any() and (sizes > 0).sum() > min(1, sizes.size - 2))
        return [(sizes.size, some), "one" if sizes.max() == sizes.sum() > 2 else "more"]

    found = seen(bp.partition("g+1", of="m+99"), what)
    assert all(found[size, True] >= 3 and found[size, False] >= 1 for size in (2, 4, 5)), found
    assert found["one"]


def test_probabilities_are_met_inside_and_on_the_edges():
    def what(p):
        return ["vertex" if (p == 1).any() else "face" if (p == 0).any() else "inside"] if p.size > 2 else []

    found = seen(bp.simplex("n"), what)
    assert min(found["vertex"], found["face"]) > 10
    assert found["inside"] > found["vertex"] + found["face"]


def test_matrices_are_met_well_and_badly_conditioned_and_orthogonal_ones_of_both_signs():
    def condition(a):
        return ["bad" if np.linalg.cond(a) > 100 else "good"] if len(a) > 1 else []

    found = seen(bp.spd("n"), condition)
    assert found["good"] > found["bad"] > 10
    signs = seen(bp.orthogonal("n"), lambda q: [round(float(np.linalg.det(q)))] if len(q) else [])
    assert min(signs[1], signs[-1]) > 20


def test_increasing_numbers_touch_their_bounds():
    found = seen(bp.increasing("n", -1, 2), lambda x: ["low"] * bool(-1 in x) + ["high"] * bool(2 in x))
    assert min(found["low"], found["high"]) > 5


@pytest.mark.parametrize(
    "spec", [bp.integers("b+1", 0, "v", also=(-100, 255)), bp.array("b+1 v", low=0, high=1, also=(-1, 7))]
)
def test_each_further_value_is_met_alone_and_among_the_others_at_every_size(spec):
    also = spec.also
    tuples = [x for (x,) in every_draw(FromArguments((spec,)), 400) if 0 < x.size < 100]
    for size in {x.size for x in tuples}:
        here = [x for x in tuples if x.size == size]
        if len(here) < 30:
            continue  # only among the smallest examples
        for value in also:
            among = [x for x in here if (x == value).any() and (~np.isin(x, also)).any()]
            assert size == 1 or len(among) >= 2, (size, value)
            assert any((x == value).any() for x in here), (size, value)
        assert any(np.isin(x, also).all() for x in here), size
        assert any(not np.isin(x, also).any() for x in here), size


def test_infinities_are_drawn_in_some_draws_and_in_whole_rows():
    spec = bp.array("b n", also=(-inf, -1e9))
    tuples = [x for (x,) in every_draw(FromArguments((spec,))) if x.size > 1]
    infinite = [x for x in tuples if np.isinf(x).any()]
    assert len(tuples) / 10 < len(infinite) < len(tuples) / 3
    wide = [np.isinf(x) for x in infinite if min(x.shape) > 2]
    assert sum((x.all(-1) | ~x.any(-1)).all() and not x.all() for x in wide) > len(wide) / 8
    assert any((np.isinf(x).any(-1) & ~np.isinf(x).all(-1)).any() for x in infinite)
    assert not any(np.isinf(one.build()[0]).any() for one in FromArguments((spec,)).plain())


def test_nan_may_be_a_further_value():
    points = FromArguments((bp.array("n", low=0, also=(math.nan,)),))
    assert any(np.isnan(x).any() for (x,) in every_draw(points))
    assert points.admits((np.array([1.0, np.nan]),))
    assert not FromArguments((bp.array("n", low=0),)).admits((np.array([1.0, np.nan]),))


def test_both_bounds_of_integers_are_met_often_alone_and_mixed():
    found = seen(
        bp.integers("n", 0, 20),
        lambda i: [
            name
            for name, there in {
                "low": (i == 0).any(),
                "high": (i == 20).any(),
                "both": (i == 0).any() and (i == 20).any(),
                "all": len({*i.tolist()}) == 1 and i.size > 2,
            }.items()
            if there
        ],
    )
    assert min(found["low"], found["high"]) > 30
    assert found["both"] > 15
    assert found["all"] > 5


def test_integers_without_a_bound_do_not_wrap_around():
    assert all(x.max(initial=0) <= 8 for (x,) in every_draw(FromArguments((bp.array("n", "uint8"),))))


def test_complex_numbers_reach_the_edges_of_their_bounds():
    tuples = every_draw(FromArguments((bp.array("n", "complex64", low=-0.7, high=0.7),)))
    parts = [np.concatenate([part(x).ravel() for (x,) in tuples]) for part in (np.real, np.imag)]
    for part in parts:
        assert part.min() == np.float32(-0.7)
        assert part.max() == np.float32(0.7)
        assert (part == 0).any()


@pytest.mark.parametrize(
    ("specs", "least"),
    [
        ([bp.array("b>=2 n")], {0: 2}),
        ([bp.array("b n"), bp.array("b>=3"), bp.array("b>=2")], {0: 3}),
        ([bp.array("b>=9 n>=9 m")], {0: 9, 1: 9}),
        ([bp.array("*batch>=2 n")], {0: 1}),
    ],
    ids=str,
)
def test_an_axis_is_never_shorter_than_its_least_size(specs, least):
    points = FromArguments(tuple(specs))
    shapes = {args[0].shape for args in every_draw(points)}
    starred = specs[0].batch_name
    for axis, size in least.items():
        lengths = {shape[axis] for shape in shapes}
        assert starred or min(lengths) == size
        assert len(lengths) > 3
    if starred:
        assert min(n for shape in shapes for n in shape[:-1]) == 2
        assert () in {shape[:-1] for shape in shapes}
    else:  # axes of different sizes are told apart
        assert any(len({*shape}) == len(shape) for shape in shapes)
        assert all(min(shape[axis] for axis in least) > 0 for shape in shapes)
    assert points.longer(points.axes[0], 1, 1) is None


def test_a_derivation_meets_least_sizes_and_structures():
    sizes = set()

    @bp.derivation("x", args=[bp.array("b>=3 n"), bp.spd("n"), bp.partition("k+1", of="b")])
    def turned(x, a, sizes_of_groups):
        sizes.add(x.shape)
        yield bp.line("", jnp.sum((x @ a) * x), "definition")
        yield bp.line("", jnp.sum((x @ a.T) * x), "a is symmetric")

    assert turned.verify().ok
    assert min(shape[0] for shape in sizes) == 3


def test_the_smallest_example_is_a_plain_member():
    report = bp.verify(
        of=lambda a, q, x: x @ q @ a @ x,
        vjp=lambda args, ct: (
            ct * jnp.outer(args[2] @ args[1], args[2]),
            ct * jnp.outer(args[2], args[0] @ args[2]),
            ct * (args[1] @ args[0] @ args[2]),
        ),
        args=[bp.spd("n>=2"), bp.orthogonal("n"), bp.array("n")],
        examples=60,
    )
    assert not report.ok
    a, q, _ = report.counterexample.args
    assert np.array_equal(a, np.eye(2))
    assert np.array_equal(q, np.eye(2))


def test_the_domain_of_a_rule_may_have_a_least_size_and_a_structure():
    shapes = set()

    def forward(params, p):
        shapes.add(p.shape)
        return params["w"] * p, (params["w"], p)

    def backward(params, residuals, delta):
        w, p = residuals
        return {"w": jnp.sum(p * delta, tuple(range(delta.ndim - 1)))}, w * delta

    def init(key, p):
        return {"w": jnp.ones(p.shape[-1], p.dtype)}, p

    rule = bp.Rule("weighted", init, forward, backward, bp.simplex("*batch n>=2"))
    assert bp.verify(rule).verdict is Verdict.AGREES
    assert min(shape[-1] for shape in shapes) == 2


def test_the_second_derivative_is_not_judged_where_it_leaves_the_domain():
    def back(args, ct):
        z, y = args
        return ct * (jax.nn.softmax(z) - y), -ct * jax.nn.log_softmax(z)  # right where each y sums to 1

    def loss(z, y):
        return -jnp.sum(y * jax.nn.log_softmax(z))

    for labels in (bp.one_hot("b v>=1"), bp.simplex("b v>=1")):
        assert bp.verify(of=loss, vjp=back, args=[bp.array("b v>=1"), labels], examples=30).ok
    report = bp.verify(
        of=loss,
        vjp=lambda a, ct: (ct * (jax.nn.softmax(jax.lax.stop_gradient(a[0])) - a[1]), back(a, ct)[1]),
        args=[bp.array("b v>=1"), bp.one_hot("b v>=1")],
        examples=30,
    )
    assert report.cause == "second-order"


def test_numbers_may_move_freely_unless_an_equation_ties_them():
    points = FromArguments((bp.array("n"), bp.spd("n"), bp.increasing("n"), {"p": bp.simplex("n")}))
    assert points.free(points.plain()[-1].build()) == (0, 2)
    assert FromArguments((bp.array("n"), bp.increasing("n"))).free(()) is None


@pytest.mark.parametrize(("dtype", "places"), [("float32", 24), ("bfloat16", 8), ("float16", 11)])
def test_probabilities_sum_to_1_and_not_nearly_1_in_every_dtype(dtype, places):
    points = FromArguments((bp.simplex("b n", dtype),))
    for one in [*draw(points, 100, 0, "f"), *points.small()]:
        for (p,), units in ((one.build(), 2.0**places), (one.widened(), 2.0**53)):
            counts = units * p.astype(np.float64)
            assert (counts == np.round(counts)).all()
            assert (counts.sum(-1) == units).all()


def test_a_formula_that_holds_for_members_only_is_right():
    """Rounded to float32, an orthogonal matrix would make it wrong by 10⁸ units of float64."""

    def turned(q, x):
        return jnp.tanh(jnp.sum((q.T @ x) ** 2))

    def back(args, ct):
        q, x = args
        slope = 2 * ct * (1 - jnp.tanh(jnp.sum(x * x)) ** 2)  # a turn keeps the length
        return slope * jnp.outer(x, q.T @ x), slope * x

    assert bp.verify(of=turned, vjp=back, args=[bp.orthogonal("n"), bp.array("n")], examples=60).ok
