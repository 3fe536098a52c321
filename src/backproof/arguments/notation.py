"""The text of a specification, `f32[b,n]`, `i32[b]>=0<v|-100`, `f32[n,n]:spd`, read back; and annotations."""

import contextlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from backproof.arguments.builders import array
from backproof.arguments.expressions import readable, unreadable
from backproof.arguments.specification import Specification, checked
from backproof.errors import UsageError, message

# What a plain annotation stands for: one number.
SCALARS = {float: "float32", complex: "complex64"}
NOTATION = re.compile(r"^\s*(?P<dtype>\w+)\[(?P<dims>[^\]]*)\](?P<rest>.*)$")
BOUND = re.compile(r"\s*(?P<sign>>=|<=|>|<|\|)\s*(?P<value>[^<>=|:]+)")
STRUCTURE = re.compile(r"\s*:\s*(?P<name>\w+)(\((?P<of>.*)\))?\s*$")


def parse(text: str) -> Specification:
    """Read one specification, e.g. `f32[b,n]`, `f32[n>=2]>0`, `i32[b]>=0<v|-100`, `i32[g]:partition(m)`.

    `<v` excludes v; on an integer array it therefore means at most v − 1. `|-100` admits −100 as well, which
    is `also=(-100,)`. A structure stands last, after a colon, and needs all of its axes: `f32[n,n]:spd`.

    Raises:
        UsageError: the text is not of that form.
    """
    found = NOTATION.match(text)
    if not found:
        raise unreadable("an argument is written dtype[dims], e.g. f32[b,n] or i32[b]<n", repr(text))
    fields: dict[str, Any] = {}
    also: list[float | str] = []
    rest = found["rest"]
    while rest.strip():
        part = BOUND.match(rest) or STRUCTURE.match(rest)
        if not part:
            raise unreadable(
                "only bounds such as >=0 or <n, further values such as |-1 and a structure such as :spd "
                "may follow the shape",
                repr(text),
            )
        if part.re is STRUCTURE:
            fields.update(structure=part["name"], of=_number_or_text(part["of"]))
        elif part["sign"] == "|":
            also.append(_number_or_text(part["value"]))
        else:
            side = "low" if part["sign"][0] == ">" else "high"
            fields[side] = _number_or_text(part["value"])
            fields[side + "_open"] = "=" not in part["sign"]
        rest = rest[part.end() :]
    return checked(replace(array(found["dims"], found["dtype"], also=tuple(also)), **fields))


def _number_or_text(text: str | None) -> Any:
    """Return the number that a text states, or else the expression of dims."""
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return text and number(text)
    return readable(text)


def from_annotations(function: Callable[..., Any], given: Mapping[int, Any] | None = None) -> list[Any]:
    """Return one specification per argument of a function annotated with jaxtyping shapes, or as `float`.

    Args:
        function: the function.
        given: the values of arguments that stand for themselves, by position; they need no annotation.

    Raises:
        UsageError: an argument has no jaxtyping annotation.
    """
    function = inspect.unwrap(function)
    hints = typing.get_type_hints(function)
    code = getattr(function, "__code__", None)
    names = code.co_varnames[: code.co_argcount] if code else tuple(n for n in hints if n != "return")
    held = given or {}
    return [
        held[i] if i in held else _from_annotation(hints.get(name), name, function)
        for i, name in enumerate(names)
    ]


def _from_annotation(hint: Any, name: str, function: Callable[..., Any]) -> Specification:
    if hint in SCALARS:
        return array("", SCALARS[hint])
    if not hasattr(hint, "dim_str"):
        raise UsageError(
            message(
                must="every argument needs a jaxtyping annotation such as Float[Array, 'b n']",
                found=f"{name}: {hint}",
                where=getattr(function, "__name__", "function"),
                do="annotate it, or pass args=[backproof.array('b n'), …]",
            )
        )
    dtypes = list(hint.dtypes) if isinstance(hint.dtypes, list | tuple) else [str(hint.dtypes)]
    preferred = ("float32", "int32", "bool", "complex64")
    dtype = next((name for name in preferred if name in dtypes), dtypes[0])
    dims = " ".join("*batch" if part == "..." else part for part in hint.dim_str.split())
    return array(dims, dtype)
