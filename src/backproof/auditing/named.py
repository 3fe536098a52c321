"""The rule that a user names, as `module:function` or as an object, and every name under which it is held."""

import functools
import gc
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from backproof.auditing.call import FUNCTION, JVP, LOSS, RULE, VJP
from backproof.errors import UsageError, did_you_mean, message
from backproof.rule import Loss, Rule

Holder = tuple[Any, str, Callable[[Any], Any]]


@dataclass(frozen=True)
class Target:
    """Holds a rule that the user named.

    Attributes:
        name: its name in the report, the one by which its calls are known.
        kind: what it is.
        function: the object.
        cotangent: the name of the parameter that takes the cotangent, as the user says; or None.
        spaces: namespaces, besides those of the modules, in which it may have a name.
    """

    name: str
    kind: str
    function: Any
    cotangent: str | None = None
    spaces: Sequence[dict[str, Any]] = field(default_factory=tuple)


def target_of(rule: Any, cotangent: str | None = None, spaces: Sequence[dict[str, Any]] = ()) -> Target:
    """Return the rule that a user names, by its text or as an object.

    Args:
        rule: the text `module:name`, or the rule.
        cotangent: the name of the parameter of a plain function that takes the cotangent.
        spaces: namespaces in which a name for it may stand, besides those of the modules.

    Raises:
        UsageError: there is no such rule, or it is none.
    """
    found = _loaded(rule) if isinstance(rule, str) else rule
    name = rule_name(found)
    for noun, kind in ((jax.custom_vjp, VJP), (jax.custom_jvp, JVP)):
        if isinstance(found, noun):
            return Target(name, kind, found)
    for noun, kind in ((Rule, RULE), (Loss, LOSS)):
        if isinstance(found, noun):
            return Target(found.name, kind, found)
    if not callable(found):
        raise UsageError(
            message(
                must="the rule must be a custom_vjp, a custom_jvp, a Rule, a Loss or a function",
                found=f"{rule!r} of type {type(found).__name__}",
                where="audit",
                do="name the function that computes the gradient",
            )
        )
    if isinstance(found, types.MethodType):
        found = found.__func__
    shown = rule if isinstance(rule, str) else name
    own = getattr(inspect.unwrap(found), "__globals__", None)
    return Target(shown, FUNCTION, found, cotangent, (*spaces, *([own] if own is not None else [])))


def rule_name(function: Any) -> str:
    """Return the name of a custom_vjp, a custom_jvp or a function: `module:name`."""
    inner = getattr(function, "fun", function)
    if getattr(inner, "__qualname__", "") == "custom_gradient.<locals>.wrapped_fun":
        inner = inspect.getclosurevars(inner).nonlocals["fun"]  # the user's function, decorated by JAX
    module, name = getattr(inner, "__module__", None), getattr(inner, "__qualname__", type(inner).__name__)
    return f"{module}:{name}" if module else name


def _loaded(text: str) -> Any:
    module_name, _, path = text.partition(":")
    if not (module_name and path):
        raise _missing(
            text, "a rule is written module:function", repr(text), "write e.g. my_kernels:layernorm_bwd"
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        found = next(
            (one for name, one in [*sys.modules.items()] if name.rpartition(".")[2] == module_name), None
        )
        if found is None:
            raise _missing(text, "its module must be importable", str(error), "check the spelling") from error
    for part in path.split("."):
        if not hasattr(found, part):
            do = did_you_mean(part, [name for name in vars(found) if not name.startswith("_")])
            raise _missing(text, f"{module_name} must define {path}", f"no {part}", do)
        found = getattr(found, part)
    return found


def _missing(text: str, must: str, found: str, do: str) -> UsageError:
    return UsageError(message(must=must, found=found, where=f"--rule {text}", do=do))


def holders(target: Target) -> Iterator[Holder]:
    """Yield each namespace that has a name for a function, that name, and how it holds it.

    These are the globals of every module, the given namespaces, and the classes in them.
    """
    spaces = {id(space): space for space in target.spaces}
    for module in [*sys.modules.values()]:
        if isinstance(module, types.ModuleType):
            spaces[id(vars(module))] = vars(module)
    seen: set[int] = set()
    for space in spaces.values():
        for name, value in [*space.items()]:
            if value is target.function:
                yield space, name, lambda function: function
            elif isinstance(value, type) and value.__module__ == _module_of(target) and id(value) not in seen:
                seen.add(id(value))
                yield from _in_class(value, target.function)


def _module_of(target: Target) -> str | None:
    return getattr(inspect.unwrap(target.function), "__module__", None)


def _in_class(owner: type, function: Any) -> Iterator[Holder]:
    for name, value in [*vars(owner).items()]:
        if value is function:
            yield owner, name, lambda one: one
        elif isinstance(value, staticmethod | classmethod) and value.__func__ is function:
            yield owner, name, type(value)


def captured(target: Target) -> list[str]:
    """Return what holds a function where it cannot be replaced: closures, partials and containers."""
    found = set()
    for holder in gc.get_referrers(target.function):
        if isinstance(holder, types.CellType):
            found |= {f"a closure of {name}" for name in _owners(holder)}
        elif isinstance(holder, functools.partial):
            found.add("a functools.partial")
        elif isinstance(holder, jax.custom_vjp | jax.custom_jvp):
            found.add(f"the rule of {holder.__name__}")
    return sorted(found)


def _owners(cell: types.CellType) -> Iterator[str]:
    """Yield the names of the functions that hold a cell in their closure, but those of backproof."""
    for closure in (one for one in gc.get_referrers(cell) if isinstance(one, tuple)):
        for function in gc.get_referrers(closure):
            is_holder = isinstance(function, types.FunctionType) and function.__closure__ is closure
            if is_holder and not function.__module__.startswith("backproof."):
                yield function.__qualname__
