"""Derivations and the gradients of modules as items of pytest; a failure is the report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from backproof import session
from backproof.coverage.plan import Plan
from backproof.coverage.tally import in_short
from backproof.derivations import Derivation, Verifications
from backproof.derivations.files import derivations_in
from backproof.derivations.form import note
from backproof.errors import GradientError, UsageError

# The seconds after which nothing new is begun for a rule of a module, as on the command line.
BUDGET = 120.0


class RulesFile(pytest.File):
    """Collects the gradients of a project's modules that can be verified without a test."""

    def __init__(self, *, plans: Callable[[], Sequence[Plan]], **named: Any) -> None:
        """Store the function that finds them."""
        super().__init__(**named)
        self.plans = plans

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each; it is named as on the command line of backproof, `module:name`."""
        try:
            made = self.plans()
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        for plan in made:
            if not plan.why_not:
                yield RuleItem.from_parent(self, name=plan.found.name, plan=plan)


class DerivationsFile(pytest.File):
    """Collects the derivations of a file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item for each derivation, in the order of the source."""
        try:
            found = derivations_in(self.path)
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        for one in found:
            yield DerivationItem.from_parent(self, name=one.name, derivation=one)


class Nothing(pytest.File):
    """Stands where pytest would import a file with derivations as a module of tests."""

    def collect(self) -> Sequence[pytest.Item]:
        """Return no items."""
        return []


class GradientItem(pytest.Item):
    """Holds what the two kinds of items share."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the report in place of a traceback, unless the code itself raised."""
        if not isinstance(excinfo.value, GradientError | UsageError):
            return super().repr_failure(excinfo, style)
        shown: Any = excinfo.getrepr(style="native")
        text = str(excinfo.value)
        shown.reprtraceback.reprentries[-1].lines[:] = [f"{line}\n" for line in text.splitlines()]
        path, row, _ = self.reportinfo()
        crash = shown.reprcrash
        crash.path, crash.lineno, crash.message = str(path), (row or 0) + 1, text
        return shown


class RuleItem(GradientItem):
    """Verifies one gradient of a module."""

    def __init__(self, *, plan: Plan, **named: Any) -> None:
        """Store how it is verified."""
        super().__init__(**named)
        self.plan = plan

    def runtest(self) -> None:
        """Verify it.

        Raises:
            GradientError: it was not shown to be right.
        """
        report = self.plan.verify(budget=BUDGET)
        if not report.ok:
            raise GradientError(str(report), report)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where it is defined."""
        return Path(self.plan.found.file), self.plan.found.line - 1, f"gradient {self.name}"


class DerivationItem(GradientItem):
    """Verifies one derivation."""

    def __init__(self, *, derivation: Derivation, **named: Any) -> None:
        """Store the derivation."""
        super().__init__(**named)
        self.derivation = derivation

    def runtest(self) -> None:
        """Verify it; a derivation that several rest on is verified once in a run.

        Raises:
            GradientError: a line does not follow.
        """
        made = self.session.stash.setdefault(VERIFICATIONS, None) or _verifications()
        self.session.stash[VERIFICATIONS] = made
        report = made.report_on(self.derivation)
        note(report)
        if not report.ok:
            raise GradientError(str(report), report)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where it is defined."""
        return self.path, self.derivation.row - 1, f"derivation {self.name}"


VERIFICATIONS = pytest.StashKey[Verifications | None]()


def _verifications() -> Verifications:
    asked = session.asked()._asdict()
    return Verifications(**{name: asked[name] for name in ("examples", "seed") if asked[name] is not None})


def properties(told: Sequence[Mapping[str, Any]]) -> list[tuple[str, object]]:
    """Return what is written into a junit file, for each verification of a test."""
    keys = ("name", "verdict", "cause", "points", "worst")
    return [(f"backproof_{key}", "" if one[key] is None else one[key]) for one in told for key in keys]


def show_verdict(shown: Any, error: GradientError) -> None:
    """Put the verdict and the cause into the summary line, and drop the name of the error from the report.

    Args:
        shown: what pytest made of the error.
        error: the error.
    """
    crash = getattr(shown, "reprcrash", None)
    if crash is not None and error.report is not None:
        crash.message = in_short(error.report)
    for entry in getattr(getattr(shown, "reprtraceback", None), "reprentries", ()):
        entry.lines[:] = [line.replace("backproof.errors.GradientError: ", "", 1) for line in entry.lines]
