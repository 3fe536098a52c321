"""What a person may have meant to write in place of an expression: the slips of the pen, turned back.

Each edit says what stands in the place of the expression, and the value that it then has at each point.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from backproof.verification.blame.vocabulary import Term


class Edit(NamedTuple):
    """Holds one other way to write an expression.

    Attributes:
        cause: the name of the slip that it turns back.
        text: what stands in the place of the expression.
        values: its value at each point.
        rank: how plain it is, the plainest lowest.
    """

    cause: str
    text: str
    values: tuple[np.ndarray, ...]
    rank: float


# What each cause says, as the beginning of a sentence.
SLIPS = {
    "conjugate": "a complex conjugate is missing",
    "dropped-factor": "a factor is missing",
    "dropped-mask": "a condition is missing",
    "dropped-term": "a term is missing",
    "mean-for-sum": "a mean stands where a sum is meant",
    "sign": "a sign is missing",
    "sum-for-mean": "a sum stands where a mean is meant",
    "surplus": "something is too much",
    "swapped-operands": "two operands are swapped",
    "term-sign": "a term has the opposite sign",
    "transpose": "a transpose is missing",
    "wrong-axis": "another axis is meant",
    "wrong-count": "another count is meant",
    "wrong-function": "another function is meant",
    "wrong-index": "another index is meant",
    "wrong-number": "another number is meant",
    "wrong-operator": "another operation is meant",
    "wrong-value": "another value is meant",
}


def _mean(v: np.ndarray, **along: Any) -> np.ndarray:
    """Return the mean, NaN of no entries, without NumPy's warning."""
    with np.errstate(all="ignore"):
        return np.sum(v, **along) / np.sum(np.ones_like(v), **along)


# A function of one value, and how it is written; `jnp` and `nn` are what the code calls these modules.
FUNCTIONS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("-{0}", np.negative), ("{jnp}.zeros_like({0})", np.zeros_like), ("{0} ** 2", np.square),
    ("1 / {0}", np.reciprocal), ("1 - {0}", lambda v: 1 - v), ("1 + {0}", lambda v: 1 + v),
    ("{jnp}.exp({0})", np.exp), ("{jnp}.log({0})", np.log), ("{jnp}.sqrt({0})", np.sqrt),
    ("{jnp}.tanh({0})", np.tanh), ("{jnp}.sin({0})", np.sin), ("{jnp}.cos({0})", np.cos),
    ("{jnp}.abs({0})", np.abs), ("{jnp}.sign({0})", np.sign), ("1 - {0} ** 2", lambda v: 1 - v**2),
    ("{0} * (1 - {0})", lambda v: v * (1 - v)), ("{nn}.sigmoid({0})", lambda v: 1 / (1 + np.exp(-v))),
    ("{nn}.softmax({0}, -1)", lambda v: np.exp(v - v.max(-1, keepdims=True, initial=-np.inf))
     / np.exp(v - v.max(-1, keepdims=True, initial=-np.inf)).sum(-1, keepdims=True)),
    ("{jnp}.where({0} > 0, {0}, 0)", lambda v: np.where(v > 0, v, 0)),
)  # fmt: skip
# The plainest of these, with causes of their own.
PLAINEST = {"-{0}": "sign", "{jnp}.zeros_like({0})": "surplus"}
# What an edit is the less plain by if it writes twice what has no name.
REPEATED = 0.3
# What it is the plainer by where a statement only binds another name to a value, which hardly anyone does.
ALIAS = 0.5
# What taking away a call is the less plain by.
CALL = 0.6
REDUCTIONS: tuple[tuple[str, Callable[..., Any]], ...] = (("sum", np.sum), ("mean", _mean))


class Scope(NamedTuple):
    """Holds what stands at hand where an expression is: modules, arrays, numbers and conditions."""

    modules: Mapping[str, str]
    terms: Sequence[Term]
    scalars: Sequence[Term] = ()
    conditions: Sequence[Term] = ()


Making = Callable[[Term, Scope], Iterator[Edit]]


def edits_of(own: Term, scope: Scope, making: Making) -> Iterator[Edit]:
    """Yield the edits of an expression whose results have its shape.

    Args:
        own: the expression.
        scope: what stands at hand there.
        making: makes the edits.
    """
    again = 0.0 if own.text.isidentifier() else REPEATED
    with np.errstate(all="ignore"):
        for edit in making(own, scope):
            if edit.text.count(own.text) > 1:
                edit = edit._replace(rank=edit.rank + again)
            if all(np.shape(v) == np.shape(w) for v, w in zip(edit.values, own.values, strict=True)):
                yield edit


def short_edits(own: Term, scope: Scope) -> Iterator[Edit]:
    """Yield the edits with one value, number, condition or function more or less."""
    others = _others(own, scope)
    yield from _replaced(own, others)
    yield from _scaled(own, scope.scalars)
    yield from _turned_itself(own)
    yield from _changed(own, scope)
    yield from _masked(own, scope)
    yield from _combined(own, _outside(own, others))


def long_edits(own: Term, scope: Scope) -> Iterator[Edit]:
    """Yield the edits with a product of two values, or a sum over an axis, more."""
    yield from _with_sums(own, _outside(own, _others(own, scope)))


def _others(own: Term, scope: Scope) -> list[Term]:
    return [one for one in (*scope.terms, *_turned(scope.terms)) if one.text != own.text]


def _outside(own: Term, others: Sequence[Term]) -> list[Term]:
    """Return what is not in an expression already, where it would only be taken back."""
    return [one for one in others if not own.holds(one)]


def _replaced(own: Term, others: Sequence[Term]) -> Iterator[Edit]:
    is_call = isinstance(ast.parse(own.text, mode="eval").body, ast.Call)
    for one in others:
        inside = one.text in own.text and len(one.text) < len(own.text)
        # hardly anyone calls a function that is too much
        if inside:
            yield Edit("surplus", one.text, one.values, 0.5 + CALL * is_call)
        else:
            yield Edit("wrong-value", one.text, one.values, 1.0 + one.rank)


def _scaled(own: Term, scalars: Sequence[Term]) -> Iterator[Edit]:
    for one in scalars:
        pairs = list(zip(own.values, one.values, strict=True))
        for text, values, more in (
            (f"{one.text} * ({own.text})", (v * c for v, c in pairs), 0.0),
            (f"({own.text}) / {one.text}", (v / c for v, c in pairs), 0.1),
        ):
            yield Edit("dropped-factor", text, tuple(values), 1.5 + one.rank + more)


def _turned_itself(own: Term) -> Iterator[Edit]:
    if own.dimensions == {2}:
        yield Edit("transpose", f"({own.text}).T", tuple(np.transpose(v) for v in own.values), 1.0)
    if any(map(np.iscomplexobj, own.values)):
        yield Edit("conjugate", f"({own.text}).conj()", tuple(np.conj(v) for v in own.values), 1.0)


def _changed(own: Term, scope: Scope) -> Iterator[Edit]:
    """Yield functions of the expression, of those modules that the code has."""
    for template, function in FUNCTIONS:
        if "-1" in template and 0 in own.dimensions:
            continue
        try:
            text = template.format(f"({own.text})", **scope.modules)
        except KeyError:
            continue
        cause, rank = PLAINEST.get(template, "wrong-function"), 1.0 if template in PLAINEST else 2.0
        yield Edit(cause, text, tuple(function(v) for v in own.values), rank)


def _masked(own: Term, scope: Scope) -> Iterator[Edit]:
    """Yield the expression where a condition holds, and 0 elsewhere."""
    for one in scope.conditions if "jnp" in scope.modules else ():
        pairs = _together(own, one)
        if pairs:
            values = tuple(np.where(c, v, 0) for v, c in pairs)
            text = f"{scope.modules['jnp']}.where({one.text}, {own.text}, 0)"
            yield Edit("dropped-mask", text, values, 2.0 + one.rank)


def _combined(own: Term, others: Sequence[Term]) -> Iterator[Edit]:
    """Yield the products, quotients, sums and differences with another value."""
    for one in others:
        pairs = _together(own, one)
        if not pairs:
            continue
        text, rank = f"({own.text})", 2.0 + one.rank
        for cause, written, function, more in (
            ("dropped-factor", f"{text} * ({one.text})", np.multiply, 0.0),
            ("dropped-term", f"{text} + ({one.text})", np.add, 0.1),
            ("dropped-term", f"{text} - ({one.text})", np.subtract, 0.1),
            ("dropped-factor", f"{text} / ({one.text})", np.divide, 0.2),
            ("wrong-function", f"({one.text}) - {text}", lambda v, w: w - v, 0.3),
            ("wrong-function", f"1 + ({one.text}) * {text}", lambda v, w: 1 + w * v, 0.4),
            ("wrong-function", f"1 - ({one.text}) * {text}", lambda v, w: 1 - w * v, 0.4),
        ):
            yield Edit(cause, written, tuple(function(*pair) for pair in pairs), rank + more)


def _with_sums(own: Term, others: Sequence[Term]) -> Iterator[Edit]:
    """Yield the expression less, or plus, a product or a sum over an axis, in which it may stand itself."""
    for part in (*_sums(own, others), *_products(own.shape, others)):
        pairs = _together(own, part)
        for sign, function in (("-", np.subtract), ("+", np.add)):
            values = tuple(function(*pair) for pair in pairs)
            if not values:
                break
            yield Edit("dropped-term", f"({own.text}) {sign} {part.text}", values, 3.0 + part.rank)


def _sums(own: Term, others: Sequence[Term]) -> Iterator[Term]:
    """Yield sums and means over an axis of values, of their products, and those times a factor."""
    plain = [one for one in (own, *others) if one.rank < 2]
    factors = [(one,) for one in plain] + [
        (one, other) for i, one in enumerate(plain) for other in plain[i:] if _alike(one, other)
    ]
    for several in factors:
        text = " * ".join(f"({one.text})" for one in several)
        inside = [np.prod(np.stack(parts), 0) for parts in zip(*(one.values for one in several), strict=True)]
        rank = sum(one.rank for one in several if one is not own) + 0.3 * len(several)
        for axis in range(-min(map(np.ndim, inside)), 0):
            for name, reduced in REDUCTIONS:
                values = tuple(reduced(v, axis=axis, keepdims=True) for v in inside)
                written = f"({text}).{name}({axis}, keepdims=True)"
                yield Term(written, values, rank)
                for one in several:
                    pairs = zip(one.values, values, strict=True)
                    if _alike(one, own):
                        yield Term(f"({one.text}) * {written}", tuple(a * b for a, b in pairs), rank + 0.2)


def _products(shape: tuple[int, ...], others: Sequence[Term]) -> Iterator[Term]:
    """Yield the products of two values, entry by entry or of matrices, that have a shape."""
    plain = [one for one in others if one.rank < 2]
    for i, one in enumerate(plain):
        for j, other in enumerate(plain):
            pairs = list(zip(one.values, other.values, strict=True))
            rank = one.rank + other.rank + 0.5
            if all(_multiply(a, b) for a, b in pairs) and (one.shape[0], other.shape[1]) == shape:
                yield Term(f"({one.text}) @ ({other.text})", tuple(a @ b for a, b in pairs), rank)
            if i <= j and one.shape == shape and _alike(one, other):
                yield Term(f"({one.text}) * ({other.text})", tuple(a * b for a, b in pairs), rank)


def _multiply(one: Any, other: Any) -> bool:
    """Return whether two values can be multiplied as matrices."""
    return np.ndim(one) == np.ndim(other) == 2 and np.shape(one)[1] == np.shape(other)[0]


def _turned(terms: Sequence[Term]) -> list[Term]:
    """Return matrices transposed, and vectors as columns."""
    found = [
        Term(f"({one.text}).T", tuple(np.transpose(v) for v in one.values), one.rank + 0.2)
        for one in terms
        if one.dimensions == {2}
    ]
    found += [
        Term(f"({one.text})[:, None]", tuple(v[:, None] for v in one.values), one.rank + 0.4)
        for one in terms
        if one.dimensions == {1}
    ]
    return found


def _together(one: Term, other: Term) -> list[Any]:
    """Return the values of two terms at each point in one shape; nothing where they do not fit."""
    try:
        return [np.broadcast_arrays(v, w) for v, w in zip(one.values, other.values, strict=True)]
    except ValueError:
        return []


def _alike(one: Term, other: Term) -> bool:
    return all(np.shape(v) == np.shape(w) for v, w in zip(one.values, other.values, strict=True))


def plain_text(text: str) -> str:
    """Return an expression without the parentheses that it does not need."""
    return ast.unparse(ast.parse(text, mode="eval"))
