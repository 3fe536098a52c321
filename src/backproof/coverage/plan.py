"""How a gradient found in a module is verified: its reference, its arguments, or why neither is known."""

import contextlib
import functools
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backproof.arguments import from_annotations
from backproof.coverage.found import Found
from backproof.coverage.watch import ATTRIBUTES
from backproof.errors import UsageError, did_you_mean, message
from backproof.verification import Report, verify
from backproof.verification.claims.names import name_of
from backproof.verification.claims.of_functions import nondiff_of

# Names that the plain function of a rule `layernorm` may have, next to it in the same module.
REFERENCES = ("{}_reference", "reference_{}")


class Entry(NamedTuple):
    """Holds what the user's table says about one gradient; every field may be left out.

    Attributes:
        of: the plain function.
        args: its arguments, as `backproof.verify` takes them; None where they are not given.
        named: its keyword arguments.
        declared: arguments whose derivative is not meant to be the gradient, and what it is instead.
        left_out: the reason why it is not verified; empty if it is.
    """

    of: Any = None
    args: Sequence[Any] | None = None
    named: Mapping[str, Any] = {}
    declared: Mapping[str, Any] | None = None
    left_out: str = ""


class Plan(NamedTuple):
    """Holds how one gradient is verified.

    Attributes:
        found: the gradient.
        of: its reference; None where that is its own undecorated body, or it is a `Rule` or a `Loss`.
        args: its arguments; None where they are read from the annotations of the reference.
        declared: as in `Entry`.
        why_not: why it cannot be verified without a test; empty if it can.
    """

    found: Found
    of: Any = None
    args: Sequence[Any] | None = None
    declared: Mapping[str, Any] | None = None
    why_not: str = ""

    @property
    def reference(self) -> str:
        """What it is compared with, in words."""
        if self.found.kind in ("Rule", "Loss"):
            return "its forward pass"
        return "its own body" if self.of is None else name_of(self.of)

    def listed(self, folder: Path) -> dict[str, str]:
        """Return what a list of gradients says about it, its file relative to `folder`; `watched` or not."""
        watched = "yes" if self.found.kind in ATTRIBUTES and self.found.rule is not None else ""
        place = self.found.place.removeprefix(f"{folder}/")
        return {"name": self.found.name, "place": place, "why_not": self.why_not, "watched": watched}

    def verify(self, **settings: Any) -> Report:
        """Return the report on the gradient; `settings` are those of `backproof.verify`."""
        return verify(self.found.value, of=self.of, args=self.args, declared=self.declared, **settings)


def plans(found: Sequence[Found], table: Mapping[str, Entry]) -> list[Plan]:
    """Return how each gradient is verified.

    Args:
        found: the gradients.
        table: what the user says about some, by name.

    Raises:
        UsageError: a name in the table is none of those that were found.
    """
    names = [one.name for one in found]
    unknown = [one.name for one in found if one.error]
    for name in table:
        if name not in names and name.partition(":")[0] not in unknown:
            raise UsageError(
                message(
                    must="a name in the table of rules must be one that stands in the modules",
                    found=repr(name),
                    where="[tool.backproof.rules]",
                    do=did_you_mean(name, names),
                )
            )
    return [_plan(one, table.get(one.name)) for one in found]


def _plan(found: Found, entry: Entry | None) -> Plan:
    if entry is not None and entry.left_out:
        return Plan(found, why_not=f"left out: {entry.left_out}")
    if found.error:
        return Plan(found, why_not=f"cannot be imported: {found.error}")
    if found.value is None:
        return Plan(found, why_not="a function makes it; verify what it returns in a test")
    if found.kind in ("Rule", "Loss"):
        return Plan(found)
    given = entry or Entry()
    of = _named_reference(found) if given.of is None else given.of
    args = _annotated(of, found) if given.args is None else given.args
    if args is None:
        beside = f" (its reference is {name_of(of)})" if of is not None else ""
        why = f"its arguments are not known{beside}; annotate it, or give args in the table"
        return Plan(found, of, None, given.declared, why)
    if given.named:
        bound = functools.partial(found.value, **given.named)
        found, of = found._replace(value=bound), of and functools.partial(of, **given.named)
    return Plan(found, of, args, given.declared)


def _named_reference(found: Found) -> Any:
    """Return the function next to a rule that is named as its reference; None if there is none."""
    name = found.name.rpartition(":")[2]
    candidates = (getattr(found.module, form.format(name), None) for form in REFERENCES)
    return next(filter(callable, candidates), None)


def _annotated(of: Any, found: Found) -> list[Any] | None:
    """Return the arguments as the reference or the rule is annotated; None if neither is.

    An argument that the rule does not differentiate has no range: its default stands for it.
    """
    defaults = _defaults(found.function)
    fixed = nondiff_of(found.value)
    if any(position not in defaults for position in fixed):
        return None
    for function in (of, found.function):
        with contextlib.suppress(UsageError, NameError, TypeError):  # not annotated, or not with shapes
            return from_annotations(function, {position: defaults[position] for position in fixed})
    return None


def _defaults(function: Any) -> dict[int, Any]:
    parameters = enumerate(inspect.signature(function).parameters.values()) if function else ()
    return {i: one.default for i, one in parameters if one.default is not one.empty}
