"""What a run of tests verified, gathered from its processes; it imports neither jax nor the verifier.

Everything here is made of texts and numbers, since the processes of pytest-xdist send it to one another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backproof.session import Heard

LEFT_OUT = "left out"
NEVER_RAN = "its backward pass never ran"
RAN = "its backward pass ran, but nothing judged it"


def plain(heard: Heard, covered: Sequence[str], inside: Sequence[str]) -> dict[str, Any]:
    """Return an outcome as JSON can hold it.

    Args:
        heard: the outcome.
        covered: the names of the listed gradients that it judged.
        inside: the names of those that the judged function calls.
    """
    fields = ("kind", "name", "verdict", "cause", "ok", "points", "worst", "seconds")
    told = {name: getattr(heard, name) for name in fields}
    return {**told, "covered": list(covered), "inside": list(inside)}


@dataclass
class Tally:
    """Holds what was found and what was heard so far.

    Attributes:
        listed: the gradients by hand of the listed modules: `name`, `place` and `why_not` of each.
        heard: the outcomes, as `plain` returns them.
        ran: the names of those whose backward pass ran in a test.
    """

    listed: dict[str, Mapping[str, str]] = field(default_factory=dict)
    heard: list[Mapping[str, Any]] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)

    def expect(self, found: Iterable[Mapping[str, str]]) -> None:
        """Add gradients of the listed modules; each process finds the same."""
        self.listed.update({one["name"]: one for one in found})

    def add(self, heard: Iterable[Mapping[str, Any]], ran: Iterable[str]) -> None:
        """Add what one test gave."""
        self.heard += heard
        self.ran |= set(ran)

    @property
    def judged(self) -> dict[str, bool]:
        """Whether every verification of a listed gradient was good, by its name."""
        found: dict[str, bool] = {}
        for one in self.heard:
            for name in one["covered"]:
                found[name] = found.get(name, True) and one["ok"]
        return found

    @property
    def within(self) -> dict[str, str]:
        """The function, shown to be right, inside which a listed gradient was judged, by its name."""
        return {name: one["name"] for one in self.heard if one["ok"] for name in one["inside"]}

    @property
    def uncovered(self) -> dict[str, str]:
        """The listed gradients that nothing judged, each with what is known of it."""
        covered = {*self.judged, *self.within}
        rest = [one for name, one in self.listed.items() if name not in covered]
        return {one["name"]: self._said(one) for one in rest}

    @property
    def required(self) -> list[str]:
        """The names of the gradients that a project must verify and did not: all that are not left out."""
        return [name for name, said in self.uncovered.items() if not said.startswith(LEFT_OUT)]

    def _said(self, one: Mapping[str, str]) -> str:
        if one["why_not"].startswith(LEFT_OUT):
            return one["why_not"]
        seen = RAN if one["name"] in self.ran else NEVER_RAN if one["watched"] else "nothing judged it"
        return f"{seen}; {one['why_not']}" if one["why_not"] else seen

    def closing(self) -> str:
        """Return the closing line: what was verified, at how many points, how far apart, how long."""
        counted = [
            _counted(len(names), noun)
            for kind, noun in KINDS.items()
            if (names := {one["name"] for one in self.heard if one["kind"] == kind})
        ]
        bad = sum(not one["ok"] for one in self.heard)
        worst = max((one["worst"] for one in self.heard), default=0.0)
        points, seconds = (sum(one[key] for one in self.heard) for key in ("points", "seconds"))
        return (
            f"{' and '.join(counted)} verified{f', {bad} not good' if bad else ''}; {points:,} points, "
            f"right entries within {worst:.2g} noise units, {seconds:.1f} s"
        )

    def coverage(self) -> list[str]:
        """Return the lines that say which listed gradients were verified, and which were not."""
        uncovered, judged = self.uncovered, self.judged
        only_within = {name: by for name, by in self.within.items() if name not in judged}
        good = sum(judged.values())
        lines = [f"{good} of {_counted(len(self.listed), 'gradient')} by hand shown to be right"]
        lines[0] += f", {len(only_within)} more inside other functions" if only_within else ""
        lines[0] += f", {len(judged) - good} not" if len(judged) > good else ""
        shown = [(name, self.listed[name]["place"], said) for name, said in uncovered.items()]
        lines += [f"  never verified: {name}  ({place})  {said}" for name, place, said in shown]
        return lines


KINDS = {"gradient": "rule", "intermediates": "set of intermediate gradients", "derivation": "derivation"}


def _counted(number: int, noun: str) -> str:
    plural = noun.replace("set of", "sets of") if noun.startswith("set of") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def in_short(report: Any) -> str:
    """Return the verdict of a report, its cause and its name, in this order."""
    wrong = getattr(report, "wrong", None)
    at = "" if wrong is None else f" at line {wrong}"
    cause = f" ({report.cause})" if report.cause else ""
    first = getattr(report, "first_wrong", None)
    name = getattr(report, "name", None) or report.function
    return f"{report.verdict}{at}{cause}: {name}{f', the gradient by {first}' if first else ''}"
