"""The settings and findings of one verification: the records that its stages pass on."""

from dataclasses import dataclass, field
from typing import NamedTuple

from backproof.verification.blindness import Unseen
from backproof.verification.claims.contract import Broken
from backproof.verification.judging.accuracy import Row
from backproof.verification.judging.judge import Judgement
from backproof.verification.reach import NoEvidence, Reach
from backproof.verification.running.looks import Look, Refused
from backproof.verification.running.point import Point


@dataclass(frozen=True)
class Settings:
    """Holds the few settings of a verification.

    Attributes:
        examples: how many points are drawn.
        seed: the seed of every draw; the same seed gives the same points.
        dtypes: the precisions in which the implementation itself is judged; None: those that the arguments
            are declared in, while the others are advice.
        second_order: whether the derivative of the derivative is probed.
        repeats: how often the compiled code runs on one input.
    """

    examples: int = 200
    seed: int = 0
    dtypes: tuple[str, ...] | None = None
    second_order: bool = True
    repeats: int = 8


class Unlawful(NamedTuple):
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
        shapes: the argument shapes that were tried.
        looks: both sides at every point that was looked at.
        judged: the judgement of each point that was examined.
        unjudged: the points that were not, by reason.
        refused: shapes with an empty axis that the hand-written side alone refuses.
        reach: what was looked at.
        unreached: sentences on what is declared and no judged point shows.
        broken: the cause and the sentence where the result has the wrong form.
        unlawful: the first law of conduct that is broken.
        rows: rows that lose their digits in low precision, the plainest example first.
        second: the judgement of the second derivative, where it is wrong.
        doubt: the sentence that says how finite differences disagree with autodiff.
        flat: whether finite differences were asked, and disagree with autodiff nowhere.
        vindicated: whether the finite differences agree with the hand-written side.
        unseen: the leaves in which a slip would not have been seen.
        symbolic: the leaves that autodiff knows to be zero, whatever the direction.
        leaves: how many leaves the gradient has.
        notes: what else a reader should know.
    """

    drawn: int = 0
    left_out: int = 0
    shapes: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()
    judged: tuple[Judgement, ...] = ()
    unjudged: tuple[NoEvidence, ...] = ()
    refused: tuple[Refused, ...] = ()
    reach: Reach = field(default_factory=Reach)
    unreached: tuple[str, ...] = ()
    broken: Broken | None = None
    unlawful: Unlawful | None = None
    rows: tuple[Row, ...] = ()
    second: Judgement | None = None
    doubt: str | None = None
    flat: bool = False
    vindicated: bool = False
    unseen: tuple[Unseen, ...] = ()
    symbolic: tuple[str, ...] = ()
    leaves: int = 0
    notes: tuple[str, ...] = ()

    @property
    def all_zero(self) -> bool:
        """Return whether every leaf is zero within noise at every point, and nothing shows that it must be.

        What shows it: autodiff knows it whatever the direction, or finite differences see that the function
        is flat.
        """
        zero = [one for one in self.unseen if one.is_zero]
        known = self.flat or all(one.leaf in self.symbolic for one in zero)
        return 0 < self.leaves == len(zero) and not known
