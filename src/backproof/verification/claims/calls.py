"""Python that gives the result by hand from `args` and `cotangent`, for the example in a report.

All lines but the last prepare the call; the last is one expression, which an index may follow.
"""

import functools
import keyword
from collections.abc import Sequence
from typing import Any

from backproof.verification.claims.conventions import convention_of
from backproof.verification.claims.names import is_pastable, lambda_text, name_of
from backproof.verification.claims.pasting import pasted_static
from backproof.verification.claims.static_arguments import StaticArguments

RULE = "rule.backward(args[0], rule.forward(*args)[1], cotangent)"
LOSS = "(jax.tree.map(lambda g: g * cotangent, loss.backward(loss.forward(*args)[1])), None)"


def call_of_vjp(vjp: Any, held: StaticArguments) -> str:
    """Return the call of `vjp(args, cotangent)`, its results without those of static arguments."""
    before, form = _form(vjp, "hand")
    called = form.format(f"{_full('args', held)}, cotangent")
    places = ", ".join(map(str, sorted(held.values)))
    kept = f"[g for i, g in enumerate({called}) if i not in [{places}]]" if held.values else called
    return before + kept


def call_of_grad(grad: Any, held: StaticArguments, chosen: Sequence[int], *, single: bool) -> str:
    """Return the call of `grad(*args)`, by the positions of its arguments and times the cotangent."""
    before, form = _form(grad, "hand")
    called = form.format(_listed("args", held))
    at = f"{{{chosen[0]}: {called}}}" if single else f"dict(zip({tuple(chosen)}, {called}))"
    return f"{before}jax.tree.map(lambda g: g * cotangent, {at})"


def call_of_jvp(jvp: Any, held: StaticArguments) -> str:
    """Return the call of `jvp(args, tangents)`; a static argument has the tangent None."""
    before, form = _form(jvp, "hand")
    nothing = StaticArguments(dict.fromkeys(held.values), held.args)
    return before + form.format(f"{_full('args', held)}, {_full('tangents', nothing)}")


def call_of_second(call: str) -> str:
    """Return the pullback of a derivative from its call; `cotangent` holds that of the call, and weights."""
    *before, last = call.split("\n")
    inner = last.replace("cotangent", "cotangent[0]")
    return "\n".join([*before, f"jax.vjp(lambda *args: {inner}, *args)[1](cotangent[1])"]) if call else ""


def call_of_function(fn: Any, held: StaticArguments) -> str:
    """Return the pullback of a function with its own rule."""
    before, form = _form(fn, "fn")
    if not held.values:
        whole = form.format("*args")
        ruled = whole[: -len("(*args)")] if whole.endswith("(*args)") else f"lambda *args: {whole}"
    else:
        ruled = f"lambda *args: {form.format(_listed('args', held))}"
    return f"{before}jax.vjp({ruled}, *args)[1](cotangent)"


def _form(fn: Any, otherwise: str) -> tuple[str, str]:
    """Return lines that define a function, and its call with `{}` in place of the arguments."""
    if isinstance(fn, functools.partial):
        before, form = _form(fn.func, otherwise)
        first = [pasted_static(value, f"arg{i}") for i, value in enumerate(fn.args)]
        last = [f"{key}={pasted_static(value, key)}" for key, value in fn.keywords.items()]
        given = ", ".join(part.replace("{", "{{").replace("}", "}}") for part in (*first, "\0", *last))
        return before, form.replace("{}", given.replace("\0", "{}"))
    made = convention_of(fn).call
    if made:
        return "import backproof\n", f"{made}({{}})"
    text = lambda_text(fn)
    name = text or name_of(fn)
    if name.isidentifier() and not keyword.iskeyword(name):
        return "", f"{name}({{}})"
    if not text:
        return "", f"{otherwise}({{}})"
    if is_pastable(fn):
        return f"{otherwise} = {f'({text})' if chr(10) in text else text}\n", f"{otherwise}({{}})"
    # what the lambda takes from the function around it is not here, so that its text can only be shown
    return f"# {otherwise} = {' '.join(text.split())}\n", f"{otherwise}({{}})"


def _listed(args: str, held: StaticArguments) -> str:
    """Return the full list of arguments, the static ones written in."""
    if not held.values:
        return f"*{args}"
    if not isinstance(held.args, list | tuple):
        return f"*{args}"
    places = iter(range(len(held.args)))
    count = len(held.args) + len(held.values)
    return ", ".join(
        pasted_static(held.values[i], f"static{i}") if i in held.values else f"{args}[{next(places)}]"
        for i in range(count)
    )


def _full(args: str, held: StaticArguments) -> str:
    """Return the tuple of all arguments, the static ones written in."""
    return f"({_listed(args, held)},)" if held.values else args
