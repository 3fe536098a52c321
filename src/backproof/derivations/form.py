"""A derivation: a generator of lines, each of which must equal the line before it."""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, cast

from backproof import session
from backproof.derivations.ends import Ended, Ends
from backproof.derivations.lines import LineError
from backproof.derivations.report import About, DerivationReport, DerivationVerdict, Refutes
from backproof.derivations.verify import UNYIELDED, report_on
from backproof.derivations.walk import assumed, last_value, walk
from backproof.derivations.watching import Lemma, cite, note_truth
from backproof.errors import GradientError, UsageError, message
from backproof.numerics.effort import EFFORT


class Derivation(Lemma):
    """Holds one derivation: a generator function and what it is about. Made by `derivation`.

    Attributes:
        function: the generator function of all its lines.
        latex: what is derived.
        items: the items of a specification that it shows.
        uses: the derivations that it is said to rest on.
        refutes: how it is expected to fail, or None.
        args: the specifications of its arguments, or None to read its annotations.
        definition: the function given as `of=`, of which it is a derivative; or None.
        ships: the name of the shipped code that the function given as `ships=` runs; empty if there is none.
    """

    function: Callable[..., Any]
    latex: str
    items: tuple[str, ...]
    uses: "tuple[Derivation, ...]"
    refutes: Refutes | None
    args: Any
    definition: Callable[..., Any] | None
    ships: str

    def __init__(
        self,
        function: Callable[..., Any],
        latex: str,
        items: tuple[str, ...],
        uses: "tuple[Derivation, ...]",
        refutes: Refutes | None,
        args: Any,
        definition: Callable[..., Any] | None = None,
        ships: str = "",
    ) -> None:
        """Store the arguments; nothing is run."""
        self.function, self.latex, self.items = function, latex, items
        self.definition, self.ships = definition, ships
        self.uses, self.refutes, self.args = uses, refutes, args
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """The name of the function."""
        return getattr(self.function, "__name__", repr(self.function))

    @property
    def path(self) -> str:
        """The file that defines it."""
        code = self._code
        return code.co_filename if code else "?"

    @property
    def file(self) -> str:
        """The file that defines it, relative to the current folder where it lies inside."""
        inside = os.path.abspath(self.path).startswith(os.getcwd() + os.sep)
        return os.path.relpath(self.path) if inside else self.path

    @property
    def row(self) -> int:
        """The line of the file on which it begins."""
        code = self._code
        return code.co_firstlineno if code else 0

    @property
    def _code(self) -> Any:
        return getattr(inspect.unwrap(self.function), "__code__", None)

    @property
    def prose(self) -> str:
        """The text of its docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def about(self) -> About:
        """The part of its report that is known before anything is run."""
        return About(self.name, self.latex, self.file, self.row, self.prose, self.items, (), self.refutes)

    def __call__(self, *args: Any) -> Any:
        """Return the generator of its lines at `args`."""
        return self.function(*args)

    def value(self, *args: Any) -> Any:
        """Return the value of its last line at `args`, which a line of another derivation may take.

        So a derivation serves as a lemma: the other one rests on it, and its report says so. Where an
        assumption of this one does not hold, nothing is shown, and a line that takes the value there does not
        follow: the other derivation must assume as much.

        Raises:
            UsageError: its lines raise at `args`, or none of them is a value.
        """
        if self in _UNDER_WAY.get():
            raise LineError(f"{self.name} rests on itself: it takes its own value, or by way of another one")
        try:
            inspect.signature(inspect.unwrap(self.function)).bind(*args)
        except TypeError as error:
            raise self._without_value(str(error), "pass the arguments of the derivation") from error
        cite(self)
        with _under_way(self):
            walked = walk(self.function, args)
        if walked.ended or last_value(walked.steps) is None:
            found = walked.ended.text if walked.ended else "claims alone"
            raise self._without_value(found, "look at its arguments")
        for step in walked.steps:
            if not step.is_line:
                note_truth(self, step.latex, assumed([step]))
        return last_value(walked.steps)

    def _without_value(self, found: str, do: str) -> UsageError:
        must = "a derivation whose value is taken must yield one there"
        return UsageError(message(must=must, found=found, where=self.name, do=do))

    def __repr__(self) -> str:
        return f"<derivation {self.name} in {self.file}:{self.row}>"

    def verify(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> DerivationReport:
        """Return the report: the first line that does not follow, why, and the smallest example.

        Args:
            examples: how many points are drawn at each shape, next to one with plain numbers.
            seed: the seed of every draw.
            shapes: how many shapes of the menu are tried, the largest ones, at drawn points; None for all,
                with the points that are searched.

        Raises:
            UsageError: an assumption or a claim is made and not yielded, so that it would have no effect.
        """
        examples, seed = session.settled(examples, seed)
        report = Verifications(examples=examples, seed=seed, shapes=shapes).report_on(self)
        note(report)
        if report.cause == UNYIELDED:
            raise UsageError(f"{self.name}: {report.explanation}")
        return report

    def check(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> DerivationReport:
        """Return what `verify` returns, and raise `GradientError` unless the report is good."""
        __tracebackhide__ = True  # pytest then shows the caller's line
        report = self.verify(examples=examples, seed=seed, shapes=shapes)
        if not report.ok:
            raise GradientError(str(report), report) from None
        return report


def note(report: DerivationReport) -> None:
    """Tell a run of tests about a report."""
    worst = max((line.worst for line in report.lines), default=0.0)
    told = (report.name, str(report.verdict), report.cause, report.ok, report.points, worst, report.seconds)
    session.note(session.Heard("derivation", *told))


class Verifications:
    """The reports on several derivations, kept so that one that others rest on is verified only once."""

    def __init__(
        self, *, examples: int = EFFORT.points_at_each_shape, seed: int = 0, shapes: int | None = None
    ) -> None:
        """Store the settings, as `Derivation.verify` takes them; nothing is run."""
        self._examples, self._seed, self._shapes = examples, seed, shapes
        self._reports: dict[Derivation, DerivationReport] = {}

    def report_on(self, derivation: Derivation) -> DerivationReport:
        """Return the report on one derivation; those it rests on are verified too."""
        if derivation not in self._reports:
            began = time.perf_counter()
            with session.verifying(), _under_way(derivation):
                own, taken = report_on(
                    derivation.function,
                    derivation.args,
                    derivation.about,
                    examples=self._examples,
                    seed=self._seed,
                    shapes=self._shapes,
                )
            seconds = time.perf_counter() - began
            lemmas: list[Derivation] = list(dict.fromkeys([*derivation.uses, *cast(list[Derivation], taken)]))
            report = _resting_on(own, list(map(self.report_on, lemmas)))
            names = tuple(lemma.name for lemma in lemmas)
            self._reports[derivation] = replace(report, uses=names, seconds=seconds)
        return self._reports[derivation]


_UNDER_WAY: ContextVar[tuple[Derivation, ...]] = ContextVar("under_way", default=())


@contextmanager
def _under_way(derivation: Derivation) -> Iterator[None]:
    """Note that the lines of a derivation are run, which may not take its own value then."""
    token = _UNDER_WAY.set((*_UNDER_WAY.get(), derivation))
    try:
        yield
    finally:
        _UNDER_WAY.reset(token)


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
    fallen = next((one for one in lemmas if one.verdict is not DerivationVerdict.HOLDS), None)
    if fallen is None:
        return report
    if not report.ok:
        note = f"it rests on {fallen.name}, which is {fallen.verdict} too: look at that first"
        return replace(report, notes=(*report.notes, note))
    text = f"it rests on {fallen.name}, which is {fallen.verdict}: {fallen.explanation}"
    return replace(report, verdict=DerivationVerdict.INCONCLUSIVE, explanation=text)


def derivation(
    latex: str,
    *,
    items: Sequence[str] = (),
    uses: Sequence[Derivation] = (),
    refutes: Refutes | None = None,
    args: Any = None,
    of: Ended | None = None,
    wrt: str | tuple[str, ...] = (),
    cotangent: str | None = None,
    ships: Ended | None = None,
) -> Callable[[Callable[..., Any]], Derivation]:
    r"""Return a decorator that turns a generator of lines into a derivation.

    Each line is `bp.line(latex, value, because)` and must equal the line before it, at every drawn point, in
    float64, within the rounding noise measured there. Line 0 is the definition: autodiff of the function
    `of`, or a line of your own::

        def J(z, y):
            return jnp.sum((jnp.tanh(z) - y) ** 2) / 2

        @bp.derivation(r"\delta = (a - y) \odot \sigma'(z)", of=J)
        def output_delta(z: Float[Array, " n"], y: Float[Array, " n"]):
            a = jnp.tanh(z)
            yield bp.line(r"(a - y) \odot \sigma'(z)", (a - y) * (1 - a**2), "σ acts elementwise")

    Args:
        latex: what is derived; what stands before its first `=` is the formula of line 0.
        items: the items of a specification that it shows.
        uses: the derivations that this one rests on, next to those whose `value` its lines take; all of them
            are verified, and must hold.
        refutes: how it is expected to fail; then it is good if and only if it fails in that way.
        args: the specifications of the arguments, as in `backproof.verify`; None reads the annotations.
        of: the definition, a function of arguments of the derivation by their names, alone or after its
            formula, `(latex, function)`. Line 0 is its gradient, or with `cotangent` its pullback.
        wrt: the argument of `of`, or several, by which it is differentiated; without it the first, or with
            `cotangent` all.
        cotangent: the argument that is the cotangent of the result of `of`, if that is not one number.
        ships: the code that runs, as `of`; its value is the last line.

    Raises:
        UsageError: one of the last four cannot be what is meant: it is no function, or names no argument.
    """

    def decorate(function: Callable[..., Any]) -> Derivation:
        ends = Ends(of, wrt, cotangent, ships)
        lines, runs = ends.around(function, latex), ends.what_ships
        definition = of[1] if isinstance(of, tuple) else of
        return Derivation(lines, latex, tuple(items), tuple(uses), refutes, args, definition, runs)

    return decorate
