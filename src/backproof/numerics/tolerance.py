"""Every number that decides a verdict, once, with its derivation or its measurement.

No user states a tolerance: the unit is the rounding noise measured at the point (`noise`). The numbers in
this file say how many of those units still count as equal, and which other units apply next to a kink, in low
precision and to finite differences. A right formula stays within a few units; the slips that people make are
10^6 to 10^14 units away, and every bound lies in that gap.
"""

import numpy as np

# --- equality within measured noise ------------------------------------------------------------------------

# Two values agree if they differ by at most this many units of the noise of both. The noise is the largest of
# four spreads, which by chance is below a third of its median in about one entry out of sixty.
# Measured on 128 right derivatives (the self-test's and the catalogue, seed 0): their entries are at most 7.0
# units away, and 124 of the derivatives below 2; the nearest of the wrong ones is 5 · 10^6 units away.
AGREES_WITHIN = 8.0
# XLA flushes numbers below the smallest normal one to zero, so a value is known at best to within a few of
# these numbers: two for a term that was flushed, two for one that was flushed and then subtracted.
FLUSHED = 4.0
# Values that differ by no more than this part of themselves differ by a few roundings (45 units in the last
# place of float64); their noise is not measured.
FEW_ROUNDINGS = 1e-14

# --- the rounding of one operation -------------------------------------------------------------------------

# Units in the last place by which XLA's and NumPy's transcendental functions differ. Measured in float64 at
# 60,000 numbers of every order: 16 of 23 functions differ by at most 3.5; sinh and cosh differ by 9, exp2
# by 42, atanh by 72 and log1p by 118 in a part of their range, and erf_inv and the tail of erfc by far more.
# There the noise is too small for a compiled value; interpreted values of both sides come from one library.
LIBRARY_ULPS = 4.0
# NumPy's and XLA's evaluation of one program may differ by this part of the largest entry, in addition to
# its noise. Measured on autodiff of 300 functions of JAX at an ordinary point: none differs by 8 units of its
# noise. This leaves room for library functions that differ by far more than LIBRARY_ULPS, in their fourteenth
# digit, while a parameter that is ignored changes an entry by about its own size.
MACHINERY = 2.0**-20
# A backward-stable factorisation errs like inputs moved by a small multiple of the unit in the last place
# (Higham 2002, Accuracy and Stability of Numerical Algorithms, chapters 9, 10 and 19). The proved multiples
# grow with the size; in practice they stay near 1, and 8 covers the sizes of the menu.
SOLVER_ULPS = 8.0

# --- formula against arithmetic, in float64 ----------------------------------------------------------------

# x86's long double has 11 bits more than float64, so two evaluations of one formula end up within a unit of
# float64 there, or within a few where the noise is underestimated. Two values that are still this many units
# apart come from two formulas.
FAR = 1e3
# In long double a gap due to rounding shrinks to about 2^-11 of its size; one due to a wrong formula keeps
# its size. A tenth separates the two, whatever the noise does to either.
SHRINKS_TO = 0.1
# A gap that keeps more than half of its size in long double lies between two formulas.
KEEPS = 0.5

# --- kinks -------------------------------------------------------------------------------------------------

# Distance from the point, relative to its entries, at which one-sided gradients are taken: 10^4 times the
# rounding of a computed tie (1e-15), and near enough that any kink found is one at this point.
RADIUS = 1e-11
# A value counts as inside the hull of the one-sided gradients if it is this near to it, relative to the jump
# across the kink: 10^5 times the change that curvature makes over RADIUS, and 10^4 times less than the
# smallest slopes that people confuse.
RESOLUTION = 1e-6
# Every entry moves by at least this part of the furthest, so that its own tie is broken: at RADIUS a step of
# 3e-13 of an entry is a thousand roundings. A step from 0 is never rounded away, so it may be as short
# as 10^-8 of the furthest: a weight of a million may stand next to it.
LEAST_STEP, LEAST_STEP_FROM_ZERO = 3e-2, 1e-8
# The smallest unit in which the hull is searched, so that nothing is divided by 0: above every subnormal.
LEAST_UNIT = 1e-300
# The factor of the least-squares row that makes the weights of a convex combination sum to 1. The entries of
# the other rows are jumps of size 1; with this factor the sum errs by 10^-6 of what they do.
SUM_OF_WEIGHTS = 1e3

# --- finite differences ------------------------------------------------------------------------------------

# The first step of the ladder, relative to the entry: 2^-10 halved six times is 2^-16, at which the error of
# the extrapolated difference in long double is near its least (Ridders 1982).
FIRST_STEP = 2.0**-10
# Where the truth itself is a difference, ladders that begin at these parts of an entry are tried in turn,
# until one approaches a limit: a wave, or a kink nearby, needs short steps, which cost digits. In float64 the
# first is longer, for its rounding is 2000 times as coarse.
FIRST_STEPS = (2.0**-10, 2.0**-18, 2.0**-26)
FIRST_NARROW_STEPS = (2.0**-6, 2.0**-13, 2.0**-20, 2.0**-27)
# A ladder approaches its limit if each move is smaller than the one before by at least this part of the
# factor of its order: 2.4 of 4 for central differences, 1.2 of 2 for one-sided ones.
LEAST_SHRINKING = 0.6
# What a ladder finds is seen again at this part of its last step, and within this part of itself: a step that
# is a multiple of a wave's length, halved again and again, finds a slope that is not there.
CHECKED_AT = 1e-3
# By what parts of its entries a point is moved to see how coarsely a function rounds: below, at and above the
# roundings of float32, and where iterations stop.
GRAINS = (2.0**-40, 2.0**-30, 2.0**-20, 2.0**-12)
# What is coarser than this part of the value is no rounding, of float32 neither: it is a wave, or a jump.
NOT_GRAIN = 1e-5
# At half the step the fourth difference of a smooth function is a sixteenth; of noise it is the same.
OF_SMOOTH = 8.0
# The fourth difference of rounding noise is about so many times the noise: the root of 1 + 16 + 36 + 16 + 1.
OF_FOURTH = 70**0.5
# No derivative by differences is taken to be known better than this part of itself: in long double, and in
# float64, where an iteration that stops near enough moves its value in steps that are no noise.
KNOWN_TO, KNOWN_NARROWLY_TO = 1e-13, 1e-10
# At an entry that is 0 nothing says how far the function is smooth, so ladders of two sizes are tried, and
# the one with the smaller error counts.
FROM_ZERO = (1.0, 2.0**-20)
# Finite differences may contradict autodiff only if their own error estimate is at most TRUSTED times the
# summed terms and the disagreement is more than ACCUSED times those: a thousand times the estimate, which may
# itself be off.
TRUSTED = 1e-7
ACCUSED = 1e-4

# A claimed bound is searched among numbers of at least this size, and up to twice those of the drawn point:
# slopes saturate and maxima are reached there, and a bound that is only approached far away is not met.
SEARCHED = 3.0
# How far inside of the bounds that are assumed a point is moved, at most; and the grid to which its numbers
# are rounded, on which sums of numbers of moderate size are exact.
INSIDE = 1.0
GRID = 2.0**-20
# A strict bound counts as violated by a search if left exceeds right by this part of both: 10^6 times the
# rounding, by which a bound that is approached may be met.
EXCESS = 1e-9

# --- accuracy, in every precision --------------------------------------------------------------------------

# An entry may err this many times as much as autodiff does in the same precision. Two stable ways to write
# one gradient differ by a few times; sums that saturate, overflow and cancellation by hundreds.
ACCURATE_WITHIN = 64.0
# An entry may also err by this many times the distance between the two sides of a kink: in low precision
# either side of the comparison may fall on either side of the kink.
CROSSINGS = 2.0
# A long sum of numbers near 1 that errs by more than this part of itself has saturated, if a short one errs
# by a quarter of that at most. In bfloat16 a sum of ones stops at 256: of 16,384 terms 98 % are lost.
SATURATED = 0.25
SHORT_IS_KEPT = SATURATED / 4
# A value is a sum over the long axis if it grew by at least this part of the factor by which the axis grew.
GROWS = 0.25
# If a sum is off by at most this many times the spread of autodiff under varied roundings, its terms cancel
# and it has not saturated. Measured: sums that saturate are off by 8 spreads or more, those that cancel by
# half a spread at most.
BEYOND_SPREAD = 2.0

# --- laws --------------------------------------------------------------------------------------------------

# v(a·g + c·h) is compared with a·v(g) + c·v(h) for these a and c: a is negative and no whole number, and c is
# large, since a clip of large cotangents would otherwise be met only by luck.
SCALES = (-3.7, 1e6)

# What is added to a buffer that holds other numbers is rounded to the larger of the two; a sum of many terms
# is rounded as often.
OF_A_BUFFER = 64.0

# --- causes ------------------------------------------------------------------------------------------------

# A line of a derivation that is off by at most this part of itself may be so by a constant in float32, whose
# rounding is half of 1.2e-7 and adds up in a few operations.
ROUNDED = 1e-6
# Numbers next to a constant are this part of it away: far above rounding, yet with nothing else in between.
BESIDE = 2.0**-20
# A ratio is taken from one entry, so that it is known to the noise of two values there; applied to another
# entry it adds so many times that entry's noise, times the ratio, to the noise of the two values compared.
OF_A_RATIO = 4.0
# At least this many different values must be seen to have moved; fewer may be a coincidence.
MOVED = 3
# A slip planted in an expression counts only if it changes the line by more than this part: half the digits
# of float64.
HALF_THE_DIGITS = 2.0**-26

# --- the line that is wrong --------------------------------------------------------------------------------

# Looking for a mend, a result counts as right within this part of the largest entry; only what is then right
# within noise at every judged point is a mend.
NEAR = 1e-9
# A change of the result counts as none below this part of that.
UNMOVED = 1e-3
# What a value can make right is made right up to this part of what is wrong, in a system of equations that
# may be nearly singular.
SOLVED = 1e-6
# Two values this close, for their size, need no second look.
CLOSE = 1e-12

# --- constants of the code ---------------------------------------------------------------------------------

# A smaller constant only guards a division by 0: even its square root, 10^-15, is next to no number drawn.
LEAST_GUARD = 1e-30
# A larger constant stands for infinity, as in the masks of attention; numbers twice as large are drawn too,
# and must be far from an overflow in float32.
LARGEST_CONSTANT = float(np.finfo(np.float32).max) / 4

# --- structures of arguments -------------------------------------------------------------------------------

# Probabilities rounded to a dtype sum to 1 within half a unit in its last place, and the columns of an
# orthogonal matrix have products within one (Cauchy and Schwarz), whatever the number of terms. An array that
# is off by more than four units is no member.
MEMBER_ULPS = 4.0
