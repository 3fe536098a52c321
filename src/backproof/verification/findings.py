"""The settings and findings of one verification: the records that its stages pass on."""

from dataclasses import dataclass

from backproof.verification.claims.contract import Broken
from backproof.verification.judging.accuracy import Row
from backproof.verification.judging.blindness import Unseen
from backproof.verification.judging.judge import Judgement
from backproof.verification.running.low_precision import DTYPES
from backproof.verification.running.point import Point


@dataclass(frozen=True)
class Settings:
    """Holds the few settings of a verification.

    Attributes:
        examples: how many points are drawn.
        seed: the seed of every draw; the same seed gives the same points.
        dtypes: the precisions in which the implementation itself is judged, where it runs in them.
        second_order: whether the derivative of the derivative is probed.
    """

    examples: int = 200
    seed: int = 0
    dtypes: tuple[str, ...] = DTYPES
    second_order: bool = True


@dataclass(frozen=True)
class Unlawful:
    """Holds a law of conduct that is broken: the cause, the sentence that says how, and where."""

    cause: str
    sentence: str
    point: Point


@dataclass(frozen=True)
class Findings:
    """Holds the findings of one verification; the later fields keep their defaults if the run ends early.

    Attributes:
        drawn: how many points were drawn, including those that were added.
        left_out: how many of them were left out, because their arrays are large.
        looked: how many points could be judged.
        shapes: the argument shapes that were tried.
        judged: the judgement of each point.
        broken: the cause and the sentence where the result has the wrong form.
        unlawful: the first law of conduct that is broken.
        rows: rows that lose their digits in low precision, the plainest example first.
        second: the judgement of the second derivative, where it is wrong.
        doubt: the sentence that says how finite differences disagree with autodiff.
        vindicated: whether the finite differences agree with the hand-written side.
        unseen: the leaves in which a slip would not have been seen.
        leaves: how many leaves the gradient has.
        notes: what else a reader should know.
    """

    drawn: int = 0
    left_out: int = 0
    looked: int = 0
    shapes: tuple[str, ...] = ()
    judged: tuple[Judgement, ...] = ()
    broken: Broken | None = None
    unlawful: Unlawful | None = None
    rows: tuple[Row, ...] = ()
    second: Judgement | None = None
    doubt: str | None = None
    vindicated: bool = False
    unseen: tuple[Unseen, ...] = ()
    leaves: int = 0
    notes: tuple[str, ...] = ()

    @property
    def all_zero(self) -> bool:
        """Return whether every leaf is zero within noise at every point: any result near zero would pass."""
        return 0 < self.leaves == sum(one.is_zero for one in self.unseen)
