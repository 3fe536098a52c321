"""Points chosen for the code: sizes that hide a block, constants it names, ones that come from where=."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backproof as bp
from backproof.verification import Verdict
from backproof.verification.aiming.lengths import affordable, longest
from backproof.verification.campaign import Campaign
from backproof.verification.claims.of_functions import of_vjp
from backproof.verification.claims.static_arguments import StaticArguments

pytestmark = pytest.mark.as_user
QUICK = {"dtypes": (), "second_order": False}


def campaign(of, vjp, args):
    return Campaign(of_vjp(of, vjp, StaticArguments.among(args), None))


def sine(args, ct):
    return (jnp.cos(args[0]) * ct,)


def last_block_dropped(block):
    """Return the pullback of sin by whole blocks, with the rest left out once there is a whole one."""

    def vjp(args, ct):
        whole = len(ct) // block * block
        kept = (jnp.arange(len(ct)) < whole) | (whole == 0)
        return (jnp.where(kept, jnp.cos(args[0]) * ct, 0),)

    return vjp


@pytest.mark.parametrize(("block", "shortest"), [(4, 7), (32, 33), (128, 129), (1024, 1025)])
def test_what_a_block_loses_is_seen_at_the_shortest_axis_that_exceeds_it(block, shortest):
    """Between 3 and 7 no other length is tried."""
    report = bp.verify(of=jnp.sin, vjp=last_block_dropped(block), args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.WRONG
    assert report.counterexample.args[0].size == shortest


def branched_beyond(block):
    """Return the pullback of a sum that a second stage computes, without the rest, beyond one block."""

    def vjp(args, ct):
        x, scale = args
        whole = len(x) if len(x) <= block else len(x) // block * block
        return ct * scale, (ct * x)[:whole].sum(0)

    return vjp


@pytest.mark.parametrize("block", [32, 128, 1024])
def test_a_branch_that_is_taken_beyond_a_block_alone_is_followed(block):
    """Beyond the block the program has more operations, by its slice."""
    arguments = [bp.array("b n"), bp.array("n")]
    report = bp.verify(of=jnp.multiply, vjp=branched_beyond(block), args=arguments, **QUICK)
    assert (report.verdict, report.counterexample.leaf) == (Verdict.WRONG, "[1]")
    assert len(report.counterexample.args[0]) == block + 1


@pytest.mark.parametrize("block", [32, 128, 1024])
def test_what_happens_only_where_blocks_are_filled_is_seen(block):
    def none_left_over(args, ct):
        return (jnp.cos(args[0]) * ct * (2 if len(ct) and len(ct) % block == 0 else 1),)

    report = bp.verify(of=jnp.sin, vjp=none_left_over, args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.WRONG
    assert report.counterexample.args[0].size % block == 0


@pytest.mark.parametrize("raises", [True, False])
def test_code_that_does_not_exist_at_a_length_is_shrunk_past_it(raises):
    def wrong_beyond_eight(args, ct):
        (x,) = args
        if len(x) == 16 and raises:
            raise ValueError("16 is not supported")
        dx = jnp.where(jnp.arange(len(x)) < 8, jnp.cos(x), 0) * ct
        return (dx[:8] if len(x) == 16 else dx,)

    report = bp.verify(of=jnp.sin, vjp=wrong_beyond_eight, args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.WRONG
    assert report.counterexample.args[0].size == 17


def test_a_batch_is_once_as_large_as_every_other_axis():
    def told_by_size(args, ct):
        x, W = args
        return ct @ (W if len(W) == W.shape[1] else W.T), jnp.tensordot(x, ct, (range(x.ndim - 1),) * 2)

    arguments = [bp.array("*batch n"), bp.array("n m")]
    report = bp.verify(of=jnp.matmul, vjp=told_by_size, args=arguments, **QUICK)
    assert report.verdict is Verdict.WRONG

    def batch_told_by_size(args, ct):
        x, scale = args
        axis = -1 if x.ndim == 2 and len(x) == len(scale) > 1 else tuple(range(x.ndim - 1))
        return ct * scale, (ct * x).sum(axis)

    arguments = [bp.array("*batch n"), bp.array("n")]
    report = bp.verify(of=jnp.multiply, vjp=batch_told_by_size, args=arguments, **QUICK)
    assert report.verdict is Verdict.WRONG


def test_a_mask_of_the_most_negative_number_is_no_constant_to_draw():
    def masked(x):
        return jax.nn.softmax(jnp.where(x < 0.3, jnp.finfo(x.dtype).min, x))

    found = campaign(masked, lambda args, ct: jax.vjp(masked, *args)[1](ct), [bp.array("n")]).constants
    assert [round(number, 6) for number in found] == [0.3]


def test_of_many_constants_small_and_large_ones_are_drawn():
    limits = [2.5 + i for i in range(40)]
    many = lambda x: sum(jnp.maximum(x, limit) for limit in limits)
    found = campaign(many, lambda args, ct: (ct,), [bp.array("n")]).constants
    assert (len(found), found[0], found[-1]) == (16, limits[0], limits[-1])


def test_an_axis_told_by_its_size_is_told_wrongly_where_two_are_alike():
    def guessing(args, ct):
        x, scale = args
        return ct * scale, (ct * x).sum(1 if len(x) == len(scale) else 0)

    arguments = [bp.array("n c"), bp.array("c")]
    report = bp.verify(of=jnp.multiply, vjp=guessing, args=arguments, **QUICK)
    assert report.verdict is Verdict.WRONG
    assert report.counterexample.args[0].shape == (2, 2)


def loop_over_entries(args, ct):
    return (jnp.stack([jnp.cos(args[0][i]) * ct[i] for i in range(len(ct))]) if len(ct) else ct,)


def test_code_that_unrolls_a_loop_is_tried_a_little_longer_only():
    rolled, unrolled = (campaign(jnp.sin, vjp, [bp.array("n")]) for vjp in (sine, loop_over_entries))
    assert (longest(rolled.costs, "n"), longest(unrolled.costs, "n")) == (1031, 37)
    assert affordable(rolled.costs, "n", 16_384)
    assert not affordable(unrolled.costs, "n", 1024)


def in_blocks(args, ct):
    parts = [slice(i, i + 32) for i in range(0, len(ct), 32)]
    return (jnp.concatenate([jnp.cos(args[0][part]) * ct[part] for part in parts] or [ct]),)


def test_a_branch_is_no_unrolled_loop_and_blocks_are_a_short_one():
    arguments = [bp.array("b n"), bp.array("n")]
    branched = campaign(jnp.multiply, branched_beyond(128), arguments).costs
    blocked = campaign(jnp.sin, in_blocks, [bp.array("n")]).costs
    assert (longest(branched, "b"), longest(blocked, "n")) == (1031, 1031)
    unrolled = campaign(jnp.sin, loop_over_entries, [bp.array("n")]).costs
    assert affordable(branched, "b", 16384)
    assert not affordable(unrolled, "n", 16384)


def recurrence(a, x):
    """Return h with h_t = a_t h_{t-1} + x_t."""

    def step(h, row):
        h = row[0] * h + row[1]
        return h, h

    return jax.lax.scan(step, jnp.zeros_like(x[0]), (a, x))[1]


def in_chunks(chunk):
    """Return the pullback of the recurrence, computed in chunks that do not hand on their adjoint."""

    def back(following, row):
        ct, a_after, h_before = row
        g = ct + a_after * following
        return g, (g * h_before, g)

    def pullback(args, ct):
        a, x = args
        h, none = recurrence(a, x), jnp.zeros_like(x[:1])
        rows = ct, jnp.concatenate([a[1:], none]), jnp.concatenate([none, h[:-1]])
        blocks = [tuple(row[i : i + chunk] for row in rows) for i in range(0, len(x), chunk)]
        parts = [jax.lax.scan(back, none[0], block, reverse=True)[1] for block in blocks]
        return tuple(jnp.concatenate(part) for part in zip(*parts, strict=True))

    return pullback


def test_a_loop_over_time_is_run_beyond_a_chunk_of_64():
    arguments = [bp.array("t+1 d", low=0, high=1), bp.array("t+1 d")]
    report = bp.verify(of=recurrence, vjp=in_chunks(64), args=arguments, **QUICK)
    assert report.verdict is Verdict.WRONG
    assert len(report.counterexample.args[0]) == 65
    right = bp.verify(of=recurrence, vjp=in_chunks(10**6), args=arguments, **QUICK)
    assert (right.verdict, right.notes) == (Verdict.AGREES, ())


def test_an_axis_that_is_cut_short_is_said_to_be():
    report = bp.verify(of=jnp.sin, vjp=loop_over_entries, args=[bp.array("n")], **QUICK)
    assert report.verdict is Verdict.AGREES
    said = (
        "axis n was tried only up to length 37: longer ones cost too much; to reach further, write a number"
    )
    assert report.notes == (f"{said} in its place, e.g. 1031",)


def test_for_a_small_example_no_predicate_is_asked_at_a_length():
    """It may be slow there: a condition number of 1,031 rows."""

    def asked(vjp):
        lengths = []
        where = lambda a: lengths.append(len(a)) or True
        bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n", where=where)], **QUICK)
        return lengths

    right, wrong = asked(sine), asked(lambda args, ct: (ct,))
    assert 1031 in right
    assert wrong.count(1031) <= right.count(1031)
    assert wrong.count(133) <= right.count(133)


def test_an_axis_whose_square_is_computed_is_not_made_long():
    gram = campaign(lambda x: x @ x.T, lambda args, ct: ((ct + ct.T) @ args[0],), [bp.array("b n")])
    assert affordable(gram.costs, "n", 16_384)
    assert not affordable(gram.costs, "b", 16_384)
    assert affordable(gram.costs, "b", 1024)


def test_constants_are_read_from_both_sides_and_factors_are_not():
    def hand(args, ct):
        return (jnp.where(jnp.abs(args[0]) < 1e-7, 0.25, jnp.clip(args[0], -6.5, 20.0) * 0.044715) * ct,)

    found = campaign(lambda x: jnp.maximum(x - 3.0, 0), hand, [bp.array("n")]).constants
    assert {3.0, 6.5, 20.0, 1e-7} <= {round(number, 12) for number in found}
    assert 0.044715 not in found


def hard_swish(x):
    return x * jnp.clip(x + 3, 0, 6) / 6


def hard_swish_pullback(at_three):
    def vjp(args, ct):
        (x,) = args
        between = (2 * x + 3) / 6
        return (ct * jnp.where(x < -3, 0, jnp.where(x > 3, 1, jnp.where(x == 3, at_three, between))),)

    return vjp


def test_a_slope_that_is_wrong_at_a_constant_of_the_code_alone_is_found():
    """At 3 the slopes are 3/2 and 1: what lies between is a subgradient, 0 is none."""
    n = [bp.array("n")]
    assert (
        bp.verify(of=hard_swish, vjp=hard_swish_pullback(1.25), args=n, **QUICK).verdict
        is Verdict.SUBGRADIENT
    )
    assert bp.verify(of=hard_swish, vjp=hard_swish_pullback(0.0), args=n, **QUICK).verdict is Verdict.WRONG


def test_a_guard_of_a_hundred_millionth_is_met():
    """Below it the vector is scaled by a constant, and nothing is projected."""

    def normalised(x):
        return x / jnp.maximum(jnp.sqrt((x**2).sum() + 1e-300), 1e-8)

    def projected_always(args, ct):
        (x,) = args
        length = jnp.sqrt((x**2).sum() + 1e-300)
        unit = x / length
        return ((ct - unit * (unit * ct).sum()) / jnp.maximum(length, 1e-8),)

    nonempty = [bp.array("n", where=lambda x: x.size > 1)]
    report = bp.verify(of=normalised, vjp=projected_always, args=nonempty, **QUICK)
    assert report.verdict is Verdict.WRONG


def test_an_integer_count_that_wraps_is_wrong_and_not_merely_unstable():
    def mean_of_kept(x, kept):
        return (x * kept).sum() / jnp.maximum(kept.sum(), 1)

    def counted_in_int8(args, ct):
        count = args[1].astype(jnp.int8).sum(dtype=jnp.int8)
        return ct * args[1] / jnp.where(count == 0, 1, count), None

    report = bp.verify(
        of=mean_of_kept, vjp=counted_in_int8, args=[bp.array("n"), bp.integers("n", 0, 1)], **QUICK
    )
    assert report.verdict is Verdict.WRONG


def test_sentinels_at_the_bound_are_drawn_beside_the_rest():
    def picked(scores, labels):
        return jnp.where(labels == -100, 0, scores[labels]).sum()

    def sentinel_forgotten(args, ct):
        scores, labels = args
        return jnp.zeros_like(scores).at[jnp.maximum(labels, 0)].add(ct), None

    arguments = [bp.array("c"), bp.integers("b", -100, "c-1")]
    wanted = lambda labels: bool(np.all((labels == -100) | (labels >= 0)))
    arguments[1] = bp.array("b", "int32", -100, "c-1", where=wanted)
    report = bp.verify(of=picked, vjp=sentinel_forgotten, args=arguments, **QUICK)
    assert report.verdict is Verdict.WRONG


def one(a):
    return jnp.eye(len(a), dtype=a.dtype)


def test_a_precision_for_which_there_is_no_factorisation_is_not_judged_and_said():
    def log_det(a):
        return 2 * jnp.log(jnp.diag(jnp.linalg.cholesky(a @ a.T + one(a)))).sum()

    def pullback(args, ct):
        (a,) = args
        return (2 * ct * jnp.linalg.inv(a @ a.T + one(a)) @ a,)

    report = bp.verify(
        of=log_det, vjp=pullback, args=[np.eye(3, dtype=np.float32)], examples=20, second_order=False
    )
    assert report.ok, report
    said = [note.split(":")[0] for note in report.notes]
    assert said == ["the code was not judged in bfloat16", "the code was not judged in float16"]


@pytest.mark.parametrize(
    "arguments",
    [
        [bp.array("n", low=-5e-4, high=5e-4)],
        [bp.array("n+2")],
        [bp.array("n-1")],
        [bp.array("2*n", low=0, high="n")],
        [bp.array("n", low=0, high="n-2")],
        [bp.array("12//n")],
        [bp.array("n", low=0, high="100//n")],
    ],
)
def test_every_way_to_say_a_size_or_a_bound_is_judged_and_shrunk(arguments):
    assert bp.verify(of=jnp.sin, vjp=sine, args=arguments, examples=40, **QUICK).ok
    report = bp.verify(of=jnp.sin, vjp=lambda args, ct: (ct * 2,), args=arguments, examples=40, **QUICK)
    assert report.verdict is Verdict.WRONG


def test_an_expression_may_stand_before_its_name():
    of = lambda pairs, x: pairs.reshape(-1, 2).sum(1) * x
    wrong = lambda args, ct: (jnp.repeat(ct * args[1], 2), ct)
    report = bp.verify(of=of, vjp=wrong, args=[bp.array("2*n"), bp.array("n")], examples=40, **QUICK)
    assert report.verdict is Verdict.WRONG


def test_a_kink_of_a_complex_number_is_judged_part_by_part():
    of = lambda z: jnp.maximum(z.real, 0).sum()
    vjp = lambda args, ct: (jnp.where(args[0].real > 0, ct, 0).astype(args[0].dtype),)
    report = bp.verify(of=of, vjp=vjp, args=[bp.array("n", dtype="complex64")], examples=60)
    assert report.verdict is Verdict.SUBGRADIENT
    assert not report.notes


def test_a_second_derivative_that_is_wrong_for_negative_numbers_is_seen():
    def detached_below_zero(args, ct):
        (x,) = args
        return (jnp.where(x < 0, jax.lax.stop_gradient(jnp.cos(x)), jnp.cos(x)) * ct,)

    report = bp.verify(of=jnp.sin, vjp=detached_below_zero, args=[bp.array("n")], dtypes=())
    assert (report.verdict, report.cause) == (Verdict.WRONG, "second-order")


def test_a_second_derivative_that_is_wrong_at_zero_alone_is_a_note():
    """A guard at 0 that gives the right slope there has none of its own."""
    guarded = lambda args, ct: (jnp.where(args[0] == 0, 0.0, args[0] ** 2 * 3) * ct + 0 * ct,)
    right = lambda args, ct: (jnp.where(args[0] == 0, 1.0, jnp.cos(args[0])) * ct,)
    assert bp.verify(of=lambda x: x**3, vjp=guarded, args=[bp.array("n")], dtypes=()).ok
    exponential = lambda args, ct: (jnp.where(args[0] == 0, 1.0, jnp.exp(args[0])) * ct,)
    report = bp.verify(of=jnp.exp, vjp=exponential, args=[bp.array("n")], dtypes=())
    assert report.ok
    assert "wrong second derivative where inputs are 0" in " ".join(report.notes)
    assert bp.verify(of=jnp.sin, vjp=right, args=[bp.array("n")], dtypes=()).ok


def test_a_batching_rule_that_is_wrong_for_one_mapped_side_is_named():
    @jax.custom_batching.custom_vmap
    def scaled(ct, slope):
        return ct * slope

    @scaled.def_vmap
    def _rule(size, mapped, ct, slope):
        if not mapped[1]:
            slope = jnp.repeat(slope, size).reshape(size, -1)  # rows and columns exchanged
        return (ct if mapped[0] else jnp.broadcast_to(ct, slope.shape)) * slope, True

    vjp = lambda args, ct: (scaled(ct, jnp.cos(args[0])),)
    report = bp.verify(of=jnp.sin, vjp=vjp, args=[bp.array("n")], examples=40, **QUICK)
    assert (report.verdict, report.cause) == (Verdict.WRONG, "transform-vmap")
    assert "directions at one point" in report.explanation
