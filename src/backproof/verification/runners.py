"""What runs one claim: in float64, differentiated once more, and in each low precision.

They are kept together for as long as the claim is looked at, so that a second seed traces and compiles
nothing that the first did.
"""

import functools

from backproof.verification.accuracy import Row, row_at, saturated_sums
from backproof.verification.claim import Claim
from backproof.verification.constants import constants_of
from backproof.verification.lengths import affordable, cut_short, longest
from backproof.verification.native import NativeRunner
from backproof.verification.oracles import Point, Runner
from backproof.verification.points import Long
from backproof.verification.second_order import second_order


class Runners:
    """Holds what runs one claim; a class because most of it is made only where it is asked for."""

    def __init__(self, claim: Claim) -> None:
        """Prepare to run `claim`; nothing is traced yet."""
        self.claim = claim
        self.float64 = Runner(claim, lambda point: row_at(self.native("float32"), point))
        self._natives: dict[str, NativeRunner] = {}
        self._saturated: dict[str, list[Row]] = {}

    @functools.cached_property
    def lengths(self) -> dict[str, int | None]:
        """How long each named axis is made, None where not; the same for every seed."""
        return {axis: longest(self.float64, axis) for axis in self.claim.points.axes}

    def remarks(self, point: Point) -> list[str]:
        """Return what is said of axes that are cut short, and of code that leaves float64 at a point."""
        single = "computed in float32 inside, the formula was judged to the digits that this leaves"
        return cut_short(self.float64, self.lengths) + [single] * self.float64.in_float32(point)

    @functools.cached_property
    def constants(self) -> tuple[float, ...]:
        """The constants in the code of both sides; the same for every seed."""
        return constants_of(self.float64)

    @functools.cached_property
    def large(self) -> list[Long]:
        """Draws with an axis so long that sums over it saturate, as far as that is affordable."""
        return self.claim.points.large(lambda axis, length: affordable(self.float64, axis, length))

    @functools.cached_property
    def second(self) -> Runner:
        """What runs the derivative of the derivative."""
        return Runner(second_order(self.claim))

    def native(self, dtype: str) -> NativeRunner:
        """Return what runs the claim in `dtype`."""
        if dtype not in self._natives:
            self._natives[dtype] = NativeRunner(self.claim, dtype)
        return self._natives[dtype]

    def saturated(self, dtype: str) -> list[Row]:
        """Return the sums that saturate in `dtype`: of fixed numbers, the same for every seed."""
        if dtype not in self._saturated:
            self._saturated[dtype] = saturated_sums(self.native(dtype), self.large)
        return self._saturated[dtype]
