"""Every cap on cost, in one record: how many points, runs, tries and entries are worth their seconds.

A larger cap makes the search wider and slower. None is a tolerance, but a search that ends may miss a wrong
entry, or a side of a kink. Entries are the numbers that the interpreter computes, about 20 million a second
on one core.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Holds the caps.

    Attributes:
        replicas: perturbed runs in one measurement of noise. Each rounding moves by at least half a unit, so
            the noise of a single operation is always seen; where many roundings add up, all four runs are
            rarely near the unperturbed one.
        more_replicas: the same number for two values that differ by more than the noise of the first runs:
            among thousands of entries all four spreads of one may be small by chance.
        tie_replicas: perturbed runs that tell a tie from two numbers that differ, beside one-sided runs.
        campaigns: claims whose programs are kept from one call of `verify` to the next.
        fingerprint: parts of a call that are compared with an earlier one; a call with more is not kept.
        batches: how many points of one shape are run as one.
        batched: entries of the points that are filled up to such a number.
        remembered: measurements that an evaluator keeps, since one point is evaluated again and again.
        large_remembered: the same for large points.
        kernels: kernels that are kept compiled; each runs for every replica of every point.
        interpreted: entries that the interpreter may compute where arrays are large: one to two seconds.
        large: a point with more entries than this is large; it is evaluated once where others are
            evaluated repeatedly.
        entries: entries judged in float64 at one shape; large arrays get fewer points, never none.
        native_entries, native_points: entries and points judged in one low precision, in which NumPy is slow.
        native_replicas: perturbed runs of autodiff in low precision.
        native_sides: runs that take their own decisions; at a kink half of them fall on the other side.
        cancelling: perturbed runs that distinguish a sum that cancels from one that saturates.
        wrong_points: wrong points judged in full. One decides the verdict; the others guard against a cause
            that fits by luck.
        rows: output entries that are judged one by one at a kink; larger outputs are judged as a whole.
        sides: sides of a kink tried in each round; with fewer, faces are missed where a dozen units are at
            their kinks together.
        sides_at_large: sides tried in each round at a large point.
        quick_sides: sides tried, each with its opposite, to see only whether there is a jump; one at a large
            point.
        quiet_rounds: rounds without a new gradient after which all gradients count as known.
        orders: orders of magnitude by which a leaf moves further, or less far, in half of the sides.
        rungs, rungs_at_large: steps of the ladder of finite differences: in long double, and at large points
            in float64, because long double is ten times slower.
        doubtful: entries with a non-finite autodiff value that are checked by finite differences.
        generic: ordinary points at which finite differences are taken; laws are checked at the last of them.
        constants: constants of the code next to which numbers are drawn.
        guards: sizes at which a norm may be guarded, two from each small constant, that get draws.
        rounds: draws at each size next to constants; at most one in `share` of all draws is of this kind.
        share: see `rounds`.
        work: entries that may be computed for one point with an axis of each length: a fifth of a second
            for lengths that a loop must reach to meet a second block, a twentieth for the longest.
        operation: the cost of an operation apart from its entries, expressed in entries (50 µs).
        compiled: the cost of compiling an operation, expressed in entries (¼ ms).
        saturating: entries that may be computed for a sum that saturates (half a second).
        arguments: entries that the arguments of such a sum may have.
        small: sizes tried for the smallest example.
        small_draws: draws tried at those sizes.
        explained: entries that may be interpreted again and again, at points of one shape, to explain a
            failure; for longer programs fewer points are looked at, and numbers are made plain by compiled
            code.
        careful: points judged in full while numbers are made plain.
        plain_rows: points tried while the numbers of a row of low precision are made plain.
        by_entry: a leaf with more entries than this is made plain as a whole.
        witnesses: right points that may refute a cause.
        also_wrong: further wrong points that may refute it.
        slips: slips tried in autodiff's own program.
        collectives: sums over devices tried in the programs of one device.
        differenced: calls, at points of one shape, of a function that is differentiated by differences.
        projected: points of a shape that the assumptions of a derivation should admit, or points are moved.
        projected_entries: entries of a point up to which it is moved.
        projecting: steps of each move.
        nudges: units in the last place by which the numbers are varied that take up the rest.
        lemma_points: points of a shape at which it is looked whether the assumptions of lemmas hold.
        searched_shapes: shapes at which a claimed bound is pushed towards its violation.
        searched_points: points of each from which it is pushed.
        climbs: steps of each push.
        slip_witnesses: right points that may refute a slip.
        draws: times a draw that `where=` refuses is made again.
        points_at_each_shape: points drawn for a derivation at each shape, in addition to one of plain
            numbers.
        smaller_shapes: shapes smaller than the one that failed at which a line of a derivation is tried.
        asked: failing points of a line that are tested for a cause; every one must show it.
        mends: changes of a line that are tried; each is traced once, and again only where it works.
        callees: how deep in the functions that a function calls its names are read.
        asked_on_host: shapes at which NumPy code is called for the form of its result.
        slips_of_a_kind: slips of one kind that are planted in one line.
        blamed: entries of a point at which the line that is wrong is looked for.
        endless: steps that loops of code with an edit may take, besides ten times as many as without it.
        blamed_work: expressions times operations of a program in which the wrong line is looked for.
        rewritten: operations of a program times rewrites of it that are run.
        effects: entries of an expression up to which its effect on the result is written as a matrix.
        forward_parts: parts of an expression of the function that is offered to the code by hand.
        lanes: values of an expression that are tried at a time.
        tiers: groups of expressions among which it is looked for, by how many right entries they feed.
        rewrites: ways to write an expression that are run because their values are not known before.
        newton: steps of Newton's method towards a value of an expression that makes the result right.
        trials: mends that are run at every point looked at.
        doubtful_mends: points at which a mend differs from autodiff at first sight, and which are judged.
    """

    replicas: int = 4
    more_replicas: int = 16
    tie_replicas: int = 2
    campaigns: int = 32
    fingerprint: int = 20_000
    batches: tuple[int, ...] = (32, 256)
    batched: int = 2**16
    remembered: int = 64
    large_remembered: int = 3
    kernels: int = 256
    interpreted: int = 2**25
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
    compiled: int = 5000
    saturating: int = 2**23
    arguments: int = 2**18
    small: int = 81
    small_draws: int = 40
    explained: int = 2**24
    careful: int = 150
    plain_rows: int = 100
    by_entry: int = 64
    witnesses: int = 40
    also_wrong: int = 20
    slips: int = 400
    collectives: int = 48
    projected: int = 4
    projected_entries: int = 256
    projecting: int = 12
    nudges: int = 3
    lemma_points: int = 8
    differenced: int = 1024
    searched_shapes: int = 2
    searched_points: int = 3
    climbs: int = 60
    slip_witnesses: int = 8
    draws: int = 8
    points_at_each_shape: int = 10
    smaller_shapes: int = 24
    asked: int = 8
    mends: int = 40
    callees: int = 4
    asked_on_host: int = 20
    slips_of_a_kind: int = 2
    blamed: int = 400
    blamed_work: int = 2**18
    endless: int = 1000
    rewritten: int = 2**14
    effects: int = 64
    forward_parts: int = 40
    lanes: int = 128
    tiers: int = 2
    rewrites: int = 120
    newton: int = 16
    trials: int = 6
    doubtful_mends: int = 24


EFFORT = Effort()
