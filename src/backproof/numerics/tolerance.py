"""Every number that decides a verdict, once, with its derivation or its measurement.

No user states a tolerance: the unit is the rounding noise measured at the point (`noise`). What stands here
says how many of those units are equality, and where other units begin: beside a kink, in low precision, of
finite differences. A right formula stays within a few units; the slips that people make stand 10^6 to 10^14
units away, and every bound lies in that gap.
"""

import numpy as np

# --- equality within measured noise ------------------------------------------------------------------------

# Two values agree within so many units of the noise of both. The noise is the largest of four spreads; the
# largest of four is below a third of its median in about one entry of sixty, and two operands double that.
# Measured on the shipped catalogue at 10,030 pairs of a rule and a seed: right entries reach 6 units at most.
AGREES_WITHIN = 8.0
# Below the smallest normal number XLA flushes to zero: there, a value is known to a few of these numbers
# only. Each side may flush once, and each may round the flushed term once: 2 + 2.
FLUSHED = 4.0
# Values nearer to one another than this part of themselves differ by a few roundings (45 units in the last
# place of float64); they are not measured in noise units at all.
FEW_ROUNDINGS = 1e-14

# --- the rounding of one operation -------------------------------------------------------------------------

# Units in the last place by which two good libraries differ in a transcendental function: XLA's and NumPy's
# differ by at most 3 over the ranges of the tests of `primitives`.
LIBRARY_ULPS = 4.0
# A backward-stable factorisation errs like inputs moved by a small multiple of the unit in the last place
# (Higham 2002, Accuracy and Stability of Numerical Algorithms, chapters 9, 10 and 19): for the sizes of the
# menu, up to 9, the factor is below 8.
SOLVER_ULPS = 8.0

# --- formula against arithmetic, in float64 ----------------------------------------------------------------

# Another formula for the same value may be noisier than autodiff; σ(z)σ(−z) and 1 − σ(z)² differ by 10 to
# 100 times. Beyond 10^3 times the noise, and with fewer than nine digits left of the sixteen, agreement
# within the noise shows nothing: a slip of 10^-9 would pass.
NOISIER = 1e3
LOST_DIGITS = 1e-9
# The same for code that computes in float32 throughout: seven digits, of which three are to remain.
LOST_IN_SINGLE = 1e-3
# Long double has 11 bits more than float64 (2048 times finer). Two evaluations of one formula therefore come
# closer by about 10^3; two that are still this many units of float64 apart are two formulas.
FAR = 1e3
# In long double a gap that is rounding shrinks by about 2^-11; one that is a wrong formula keeps its size.
# A tenth separates the two, whatever the noise does to either.
SHRINKS_TO = 0.1
# A gap that keeps more than half of its size in long double is a gap between formulas.
KEEPS = 0.5

# --- kinks -------------------------------------------------------------------------------------------------

# Distance from the point, relative to its entries, at which one-sided gradients are taken: 10^4 times the
# rounding of a computed tie (1e-15), and near enough that what is found is a kink of this point.
RADIUS = 1e-11
# A gradient that changes over RADIUS by less than this part of itself is curved, not kinked: a slope that
# doubles over 1 changes by 1e-11, and a scale of 1e-5 beside it multiplies that by 1e5.
CURVED = 1e-6
# A value this near to the hull of the one-sided gradients, relative to the jump across the kink, lies in it:
# 10^5 times what curvature adds over RADIUS, and 10^4 times less than the smallest slope people confuse.
RESOLUTION = 1e-6
# Every entry moves by at least this part of the furthest, so that its own tie is broken: at RADIUS a step of
# 3e-13 of an entry is a thousand roundings. A step from 0 is never rounded away, and may be 10^-8 of the
# furthest, since a weight of a million may stand next to it.
LEAST_STEP, LEAST_STEP_FROM_ZERO = 3e-2, 1e-8
# The smallest unit in which the hull is searched, so that nothing is divided by 0: above every subnormal.
LEAST_UNIT = 1e-300
# How much heavier the row that makes the weights of a convex combination sum to 1 counts in the least-squares
# problem than the others, whose entries are jumps of size 1: the sum then errs by 10^-6 of what they do.
SUM_OF_WEIGHTS = 1e3

# --- finite differences ------------------------------------------------------------------------------------

# The first step of the ladder, relative to the entry: 2^-10 halved six times is 2^-16, at which the error of
# the extrapolated difference in long double is near its least (Ridders 1982).
FIRST_STEP = 2.0**-10
# Differences may accuse autodiff where their own error estimate is at most TRUSTED of the summed terms, and
# only of a disagreement of more than ACCUSED: a thousand times the estimate, because it is an estimate.
TRUSTED = 1e-7
ACCUSED = 1e-4

# --- low precision -----------------------------------------------------------------------------------------

# How many times the error of autodiff in the same precision a row may err. Two stable ways to write one
# gradient differ by a few; sums that saturate, overflow or cancellation by hundreds.
ACCURATE_WITHIN = 64.0
# By how many times the spread of autodiff across a kink a row may err: both cross it equally often.
CROSSINGS = 2.0
# How many units in the last place of the direction an entry may err: a slope near 0 is a sum of such terms.
TERMS = 16.0
# By how many units in the last place of its inputs the exact result may move: among numbers that are nearly
# equal no code does better.
INPUT_ULPS = 16.0
# A row of zeros has vanished where autodiff keeps nine tenths of it.
VANISHED = 0.1
# A long sum of numbers near 1 that errs by more than this part of itself has saturated, if a short one errs
# by a quarter of that at most. In bfloat16 a sum of ones stops at 256: of 16,384 terms 98 % are lost.
SATURATED = 0.25
SHORT_IS_KEPT = SATURATED / 4
# It is a sum over the long axis if it grew by at least this part of what the length grew by.
GROWS = 0.25
# Where autodiff, each rounding varied, spreads as far, the terms cancel, and nothing has saturated. Measured:
# sums that saturate lie 8 times as far off and more, those that cancel half as far at most.
BEYOND_SPREAD = 2.0

# --- laws --------------------------------------------------------------------------------------------------

# v(a·g + c·h) is compared with a·v(g) + c·v(h) for these a and c: a sign and no whole number, and large, or a
# clip of large cotangents would be met by luck only.
SCALES = (-3.7, 1e6)

# --- causes ------------------------------------------------------------------------------------------------

# An entry is wrong at its place if it stays wrong when every number moves by at most this part of itself: far
# above rounding, too little to leave the place.
NUDGE = 2.0**-8
# So many different entries must have moved before it is no coincidence.
MOVED = 3
# In a leaf of more than MANY entries, less than one in FEW of them are few: a cause of the whole leaf does
# not hold there.
MANY, FEW = 4096, 64
# A slip of an expression counts where it changes the line by more than half the digits of float64.
HALF_THE_DIGITS = 2.0**-26

# --- constants of the code ---------------------------------------------------------------------------------

# A smaller constant guards a division by 0 and no norm: its square root is below every norm that is drawn.
LEAST_GUARD = 1e-30
# A larger one stands for an infinity, as masks of attention do: twice as large, it has no float32.
LARGEST_CONSTANT = float(np.finfo(np.float32).max) / 4
