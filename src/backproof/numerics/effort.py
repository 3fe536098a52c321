"""Every cap on cost, in one record: how many points, runs, tries and entries are worth their seconds.

A larger number looks further and takes longer; none decides what is right. Entries are the numbers that the
interpreter computes: about 20 million a second on one core.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Holds the caps.

    Attributes:
        replicas: perturbed runs of a measurement of noise. Each rounding moves by at least half a unit, so
            that one operation is never missed; of a sum of many, four spreads are rarely all small.
        more_replicas: the same where two values differ by more than that noise: among thousands of entries
            four spreads may be small by chance.
        remembered: measurements that an evaluator keeps: one point is looked at again and again.
        kernels: kernels that are kept compiled; each is asked for every replica of every point.
        large: a point with more entries is large, and is looked at once where others are looked at often.
        entries: entries judged in float64 at one shape; large arrays get fewer points, never none.
        native_entries, native_points: the same in one low precision, which NumPy computes slowly.
        native_replicas: perturbed runs of autodiff in low precision.
        native_sides: runs that take their own decisions; at a kink one in two stands on the other side.
        cancelling: perturbed runs by which a sum that cancels is told from one that saturates.
        wrong_points: wrong points judged in full: one gives the verdict, others keep a cause from being luck.
        rows: output entries that are judged one by one at a kink; larger outputs are judged as a whole.
        sides: sides of a kink looked at in each round; fewer miss faces where a dozen units stand at theirs.
        sides_at_large: the same at a large point.
        quick_sides: sides, each with its opposite, where only a jump is looked for; at a large point one.
        quiet_rounds: rounds without a new gradient after which all are known.
        orders: orders of magnitude by which a leaf moves further, or less far, in half of the sides.
        rungs, rungs_at_large: steps of the ladder of differences: in long double, and in float64 where that
            is ten times too slow.
        doubtful: entries at which differences are asked where autodiff is not finite.
        generic: ordinary points at which differences and laws are asked.
        constants: constants of the code next to which numbers are drawn.
        guards: guards of a norm among them.
        rounds: draws at each size next to constants; they are at most one in `share` of all draws.
        share: see `rounds`.
        work: entries that may be computed for one point with an axis of each length: a fifth of a second
            for lengths that a loop must reach to meet a second block, a twentieth for the longest.
        operation: what an operation costs apart from its entries, in entries (50 µs).
        branch: operations that a branch, or a few blocks, add; a loop unrolled entry by entry adds more.
        saturating: entries that may be computed for a sum that saturates (half a second).
        arguments: entries of the arguments of such a sum.
        small: sizes tried for the smallest example, and how many draws of them.
        small_draws: see `small`.
        careful: points judged in full while numbers are made plain.
        plain_rows: the same for a row of low precision.
        by_entry: a leaf with more entries is made plain as a whole.
        witnesses: right points that may refute a cause.
        slips: slips tried in autodiff's own program.
        slip_witnesses: right points that may refute a slip.
        draws: times a draw that `where=` refuses is made again.
        points_at_each_shape: points drawn of a derivation at each shape, next to one of plain numbers.
        smaller_shapes: shapes smaller than the one that failed at which a line of a derivation is tried.
        asked: failing points of a line that are asked for a cause; every one must show it.
        mends: changes of a line that are tried; each is traced once, and again only where it works.
        slips_of_a_kind: slips of one kind that are planted in one line.
    """

    replicas: int = 4
    more_replicas: int = 16
    remembered: int = 64
    kernels: int = 256
    large: int = 2**16
    entries: int = 2**20
    native_entries: int = 2**17
    native_points: int = 32
    native_replicas: int = 3
    native_sides: int = 16
    cancelling: int = 8
    wrong_points: int = 5
    rows: int = 256
    sides: tuple[int, ...] = (32, *[64] * 11)
    sides_at_large: int = 12
    quick_sides: int = 3
    quiet_rounds: int = 5
    orders: int = 6
    rungs: int = 7
    rungs_at_large: int = 3
    doubtful: int = 16
    generic: int = 2
    constants: int = 16
    guards: int = 4
    rounds: int = 3
    share: int = 4
    work: tuple[tuple[int, int], ...] = ((37, 2**22), (133, 2**22), (1031, 2**20))
    operation: int = 1000
    branch: int = 64
    saturating: int = 2**23
    arguments: int = 2**18
    small: int = 81
    small_draws: int = 40
    careful: int = 150
    plain_rows: int = 100
    by_entry: int = 64
    witnesses: int = 40
    slips: int = 400
    slip_witnesses: int = 8
    draws: int = 8
    points_at_each_shape: int = 10
    smaller_shapes: int = 24
    asked: int = 8
    mends: int = 40
    slips_of_a_kind: int = 2


EFFORT = Effort()
