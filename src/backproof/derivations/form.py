"""A derivation: a generator of lines, each of which must equal the line before it."""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from backproof.derivations.report import About, DerivationReport, DerivationVerdict, Refutes
from backproof.derivations.verify import UNYIELDED, report_on
from backproof.errors import GradientError, UsageError
from backproof.numerics.effort import EFFORT


class Derivation:
    """Holds one derivation: a generator function and what it is about. Made by `derivation`.

    Attributes:
        function: the generator function.
        latex: what is derived.
        items: the items of a specification that it shows.
        uses: the derivations it rests on.
        refutes: how it is expected to fail, or None.
        args: the specifications of its arguments, or None to read its annotations.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        latex: str,
        items: tuple[str, ...],
        uses: "tuple[Derivation, ...]",
        refutes: Refutes | None,
        args: Any,
    ) -> None:
        """Store the arguments; nothing is run."""
        self.function, self.latex, self.items = function, latex, items
        self.uses, self.refutes, self.args = uses, refutes, args
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__name__", repr(self.function))

    @property
    def path(self) -> str:
        """The file that defines it."""
        code = getattr(self.function, "__code__", None)
        return code.co_filename if code else "?"

    @property
    def file(self) -> str:
        """The file that defines it, relative to the current folder where it lies inside."""
        inside = os.path.abspath(self.path).startswith(os.getcwd() + os.sep)
        return os.path.relpath(self.path) if inside else self.path

    @property
    def row(self) -> int:
        """The line of the file on which it begins."""
        code = getattr(self.function, "__code__", None)
        return code.co_firstlineno if code else 0

    @property
    def prose(self) -> str:
        """The text of its docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def about(self) -> About:
        """The part of its report that is known before anything is run."""
        uses = tuple(one.name for one in self.uses)
        return About(self.name, self.latex, self.file, self.row, self.prose, self.items, uses, self.refutes)

    def __call__(self, *args: Any) -> Any:
        """Return the generator of its lines at `args`."""
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<derivation {self.name} in {self.file}:{self.row}>"

    def verify(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> DerivationReport:
        """Return the report: the first line that does not follow, why, and the smallest example.

        Args:
            examples: how many points are drawn at each shape, next to one with plain numbers.
            seed: the seed of every draw.
            shapes: how many shapes of the menu are tried, the largest ones; None for all.

        Raises:
            UsageError: an assumption or a claim is made and not yielded, so that it would have no effect.
        """
        report = Verifications(examples=examples, seed=seed, shapes=shapes).report_on(self)
        if report.cause == UNYIELDED:
            raise UsageError(f"{self.name}: {report.explanation}")
        return report

    def check(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> DerivationReport:
        """Return what `verify` returns, and raise `GradientError` unless the report is good."""
        report = self.verify(examples=examples, seed=seed, shapes=shapes)
        if not report.ok:
            raise GradientError(str(report))
        return report


class Verifications:
    """The reports on several derivations, kept so that one that others rest on is verified only once."""

    def __init__(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> None:
        """Store the settings, as `Derivation.verify` takes them; nothing is run."""
        self._examples, self._seed, self._shapes = examples, seed, shapes
        self._reports: dict[Derivation, DerivationReport] = {}

    def report_on(self, derivation: Derivation) -> DerivationReport:
        """Return the report on one derivation; those it rests on are verified first."""
        if derivation not in self._reports:
            lemmas = [self.report_on(lemma) for lemma in derivation.uses]
            began = time.perf_counter()
            own = report_on(
                derivation.function,
                derivation.args,
                derivation.about,
                examples=self._examples,
                seed=self._seed,
                shapes=self._shapes,
            )
            report = replace(_resting_on(own, lemmas), seconds=time.perf_counter() - began)
            self._reports[derivation] = report
        return self._reports[derivation]


def verify_each(
    derivations: Iterable[Derivation],
    *,
    examples: int = EFFORT.points_at_each_shape,
    seed: int = 0,
    shapes: int | None = None,
) -> Iterator[DerivationReport]:
    """Yield the report on each derivation, settings as in `Derivation.verify`; lemmas are verified once."""
    yield from map(Verifications(examples=examples, seed=seed, shapes=shapes).report_on, derivations)


def _resting_on(report: DerivationReport, lemmas: Sequence[DerivationReport]) -> DerivationReport:
    """Return the report, made INCONCLUSIVE if a derivation that it rests on does not hold."""
    fallen = next((one for one in lemmas if not one.ok), None)
    if fallen is None or not report.ok:
        return report
    text = f"it rests on {fallen.name}, which is {fallen.verdict}: {fallen.explanation}"
    return replace(report, verdict=DerivationVerdict.INCONCLUSIVE, explanation=text)


def derivation(
    latex: str,
    *,
    items: Sequence[str] = (),
    uses: Sequence[Derivation] = (),
    refutes: Refutes | None = None,
    args: Any = None,
) -> Callable[[Callable[..., Any]], Derivation]:
    r"""Return a decorator that turns a generator of lines into a derivation.

    Each line is `(value, latex, reason)` and must equal the line before it, at every drawn point, in
    float64, within the rounding noise measured there. Line 0 is the definition.

        @bp.derivation(r"\delta^L")
        def output_delta(z: Float[Array, " n"], y: Float[Array, " n"]):
            J = lambda z: jnp.sum((jnp.tanh(z) - y) ** 2) / 2
            yield jax.grad(J)(z), r"\frac{\partial J}{\partial z}", "definition"
            a = jnp.tanh(z)
            yield (a - y) * (1 - a**2), r"(a - y) \odot \sigma'(z)", "σ acts elementwise"

    Args:
        latex: what is derived.
        items: the items of a specification that it shows.
        uses: the derivations that this one rests on; they are checked first, and must hold.
        refutes: how it is expected to fail; then it is good if and only if it fails in that way.
        args: the specifications of the arguments, as in `backproof.verify`; None reads the annotations.
    """

    def decorate(function: Callable[..., Any]) -> Derivation:
        return Derivation(function, latex, tuple(items), tuple(uses), refutes, args)

    return decorate
