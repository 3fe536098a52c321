"""What one search for the wrong line works on."""

from collections.abc import Sequence
from typing import NamedTuple

from backproof.verification.blame.seen import Seen
from backproof.verification.blame.watched import Watching
from backproof.verification.running.clock import Clock
from backproof.verification.running.evaluators import Evaluators
from backproof.verification.running.looks import Look


class Case(NamedTuple):
    """Holds a wrong derivative, taken apart.

    Attributes:
        evaluators: the evaluators of the claim.
        watching: the expressions of the code by hand.
        points: that code at the failing points at which a mend is looked for.
        looks: both sides at every point that was looked at, at which it must hold.
        clock: the time that is left.
    """

    evaluators: Evaluators
    watching: Watching
    points: Sequence[Seen]
    looks: Sequence[Look]
    clock: Clock
