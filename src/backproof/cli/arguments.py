"""The arguments that `verify --args` names: specifications, Python's own values, and objects of modules."""

import ast
import re
from typing import Any

from backproof.arguments import Specification, parse
from backproof.cli.target import load_target
from backproof.errors import UsageError, message

# A text in quotes, something in brackets, or whatever else stands between two blanks.
INNER = r"[(\[{][^()\[\]{}]*[)\]}]"
VALUE = rf"""'[^']*'|"[^"]*"|[(\[{{](?:[^()\[\]{{}}]|{INNER})*[)\]}}]|\S+"""
SPECIFICATION = re.compile(r"\w+\[")
PART = re.compile(rf"(?P<spec>\w+\[[^\]]*\]\S*)|(?:(?P<name>[A-Za-z_]\w*)=)?(?P<value>{VALUE})")
OBJECT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def arguments_in(text: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments by position and by name: `f32[b,n] 1e-6 'same' jax.nn:relu axis=0`.

    Raises:
        UsageError: a part is none of these.
    """
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for part in PART.finditer(text):
        value = parse(part["spec"]) if part["spec"] else _value(part["value"])
        if part["name"]:
            _require_a_value(part["name"], value, named)
            named[part["name"]] = value
        else:
            positional.append(value)
    return positional, named


def _require_a_value(name: str, value: Any, named: dict[str, Any]) -> None:
    found = f"{name}= twice" if name in named else f"{name}={value}"
    if name in named or isinstance(value, Specification):
        raise UsageError(
            message(
                must="a keyword has one value, and what is drawn stands by position",
                found=found,
                where="--args",
                do="write specifications without a name, in the order of the arguments",
            )
        )


def _value(text: str) -> Any:
    if SPECIFICATION.match(text):
        return parse(text)
    if OBJECT.fullmatch(text):
        return load_target(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise UsageError(
            message(
                must="an argument is a specification such as f32[b,n], a value of Python's such as 1e-6, "
                "'same' or None, or module:name",
                found=text,
                where="--args",
                do="write texts in quotes; blanks separate the arguments",
            )
        ) from error
