"""The gradients written by hand in a module: `jax.custom_vjp`, `jax.custom_jvp`, rules and losses."""

import ast
import functools
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import jax

from backproof.errors import UsageError, did_you_mean, message
from backproof.rule import Loss, Rule
from backproof.session import Heard
from backproof.verification.claims.names import plain_function
from backproof.verification.claims.of_functions import own_rule
from backproof.verification.fingerprint import stands_in_library

DECORATORS = ("custom_vjp", "custom_jvp")
# The attribute of a function that stands in place of a derivative and notes its calls: that derivative.
NOTED = "_backproof_noted"


class Found(NamedTuple):
    """Holds one gradient written by hand, as it stands in a module.

    Attributes:
        name: its name, `module:name`.
        kind: `custom_vjp`, `custom_jvp`, `Rule` or `Loss`; `module` for one that cannot be imported, of
            whose gradients nothing is known.
        file, line: where its function is defined, or for a rule its backward pass.
        module: the module in which it was found; for one that cannot be imported, its package.
        value: what stands under the name; None for one that a function makes each time that it is called.
        rule: the object with the rule inside `value`, or the `Rule` or the `Loss` itself.
        function: the plain function of a `custom_vjp` or a `custom_jvp`; else None.
        error: why a module cannot be imported; else empty.
    """

    name: str
    kind: str
    file: str
    line: int
    module: ModuleType
    value: Any = None
    rule: Any = None
    function: Any = None
    error: str = ""

    @property
    def passes(self) -> tuple[Any, ...]:
        """The objects that are judged where it is: the object with the rule, or the two passes of a rule."""
        return (self.rule.forward, self.rule.backward) if self.given_name else (self.rule,)

    @property
    def given_name(self) -> str:
        """The name that a `Rule` or a `Loss` has; two of the same passes may differ in their domain."""
        return self.rule.name if self.kind in ("Rule", "Loss") else ""

    @property
    def place(self) -> str:
        """The file and the line, as `file:line`."""
        return f"{self.file}:{self.line}"


def find(names: Iterable[str], folder: Path) -> list[Found]:
    """Return the gradients written by hand in modules, and in the modules of packages, in their order.

    Those of a library that a module imports are left out, and one under several names is returned once. A
    module of a package that cannot be imported stands in the list itself, and says why.

    Args:
        names: the dotted names of modules and packages.
        folder: where modules are looked for that are not installed.

    Raises:
        UsageError: a module of `names` cannot be imported.
    """
    found: dict[tuple[Any, ...], Found] = {}
    made: list[Found] = []
    unknown: list[Found] = []
    for module in dict.fromkeys(one for name in names for one in _modules(name, folder)):
        if isinstance(module, Found):
            unknown.append(module)
            continue
        for one in _in(module):
            identity = (*map(id, one.passes), one.given_name)
            known = found.get(identity)
            if known is None or (_is_home(one) and not _is_home(known)):
                found[identity] = one
        made += _made_inside(module)
    places = {one.place for one in found.values()}
    return [*found.values(), *(one for one in made if one.place not in places), *unknown]


def judged_by(heard: Heard, found: Iterable[Found]) -> tuple[list[str], list[str]]:
    """Return the names of the gradients that a verification judged, and of those that its function calls."""
    subjects = [_own(subject) for reference in heard.subjects if (subject := reference()) is not None]
    places = {place_of(subject) for subject in subjects}
    covered, inside = [], []
    for one in found:
        made = one.value is None and one.place in places
        whole = all(any(part is subject for subject in subjects) for part in one.passes)
        whole = whole and one.given_name in ("", heard.name)
        if made or whole or any(_derivative(one.rule) is subject for subject in subjects):
            covered.append(one.name)
        elif one.place in heard.inside:
            inside.append(one.name)
    return covered, inside


def place_of(value: Any) -> str:
    """Return where the function of an object with a rule of its own is defined, as `file:line`."""
    plain = plain_function(value)
    return f"{plain.__code__.co_filename}:{plain.__code__.co_firstlineno}" if plain else ""


def _derivative(rule: Any) -> Any:
    """Return the function of a `custom_vjp` or a `custom_jvp` that is its derivative; None for any other."""
    return _own(getattr(rule, "bwd", None) or getattr(rule, "jvp", None))


def _own(function: Any) -> Any:
    """Return the user's own function, where one that notes its calls may stand in its place."""
    while (own := getattr(function, NOTED, None)) is not None:
        function = own
    return function


def _modules(name: str, folder: Path) -> Iterator[ModuleType | Found]:
    """Yield a module, and all modules of a package but those that run when they are imported."""
    module = _imported(name, folder)
    yield module
    yield from _below(module, name)


def _below(package: ModuleType, name: str) -> Iterator[ModuleType | Found]:
    for one in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{name}."):
        if one.name.endswith("__main__"):
            continue
        try:
            module = _import(one.name)
        except _ImportFailedError as failed:
            spec = one.module_finder.find_spec(one.name, None)
            file = spec.origin if spec is not None and spec.origin else "?"
            yield Found(one.name, "module", file, 1, package, error=str(failed))
        else:
            yield module
            yield from _below(module, one.name)


class _ImportFailedError(Exception):
    """Says why a module cannot be imported; its cause is what the module raised."""


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The module is the user's code, so it may raise anything, also SystemExit or pytest's Skipped.
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _ImportFailedError(said) from error


def _imported(name: str, folder: Path) -> ModuleType:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        return _import(name)
    except _ImportFailedError as failed:
        error = failed.__cause__
        top = [one.name for one in pkgutil.iter_modules([str(folder), str(folder / "src")])]
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        do = did_you_mean(name, top) if missing else "correct it"
        raise UsageError(
            message(must="a module must be importable from here", found=str(failed), where=name, do=do)
        ) from error


def _in(module: ModuleType) -> Iterator[Found]:
    """Yield what stands in a module: under a name, in a class, or in a list or a dict."""
    for name, value in list(vars(module).items()):
        if not name.startswith("__"):
            yield from _under(f"{module.__name__}:{name}", value, module, is_outermost=True)


def _under(name: str, value: Any, module: ModuleType, *, is_outermost: bool) -> Iterator[Found]:
    one = _one(name, value, module)
    if one is not None:
        yield one
    elif not is_outermost:
        return
    elif isinstance(value, type) and value.__module__ == module.__name__:
        for key, part in vars(value).items():
            inner = part.__func__ if isinstance(part, staticmethod | classmethod) else part
            yield from _under(f"{name}.{key}", inner, module, is_outermost=False)
    elif isinstance(value, dict | list | tuple) and not hasattr(value, "_fields"):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in list(pairs):
            yield from _under(f"{name}[{key!r}]", part, module, is_outermost=False)


def _one(name: str, value: Any, module: ModuleType) -> Found | None:
    """Return what a value is, unless it is no gradient by hand, or one of a library."""
    if isinstance(value, Rule | Loss):
        rule, function, kind = value, None, type(value).__name__
        parts = [value.backward]
    elif callable(value) and not isinstance(value, type):
        rule = own_rule(value)[0]
        if rule is None:
            return None
        function = plain_function(rule)
        kind = "custom_vjp" if isinstance(rule, jax.custom_vjp) else "custom_jvp"
        parts = [function, getattr(rule, "bwd", None), getattr(rule, "jvp", None)]
    else:
        return None
    top = module.__name__.partition(".")[0]
    plain = [one for one in map(_plain, parts) if one is not None]
    own = next((one for one in plain if _is_of(one, top)), None)
    if own is None:  # of a library, or objects of a class, of which nothing is known
        return None if plain else Found(name, kind, str(module.__file__), 0, module, value, rule, function)
    code = own.__code__
    return Found(name, kind, code.co_filename, code.co_firstlineno, module, value, rule, function)


def _plain(value: Any) -> FunctionType | None:
    while isinstance(value, functools.partial):
        value = value.func
    return plain_function(getattr(value, "__func__", value))


def _is_of(function: FunctionType, top: str) -> bool:
    """Return whether a function is of the package `top`, or at least of no library."""
    return function.__module__.partition(".")[0] == top or not stands_in_library(
        function.__code__.co_filename
    )


def _is_home(one: Found) -> bool:
    """Return whether a rule stands in the module of its function, under the name of it."""
    plain = one.function
    return plain is not None and one.name == f"{plain.__module__}:{plain.__qualname__}"


def _made_inside(module: ModuleType) -> Iterator[Found]:
    """Yield the functions with a rule of their own that stand inside functions, as the source shows them."""
    try:
        file, source = str(inspect.getsourcefile(module)), inspect.getsource(module)
    except (OSError, TypeError):  # a module without a source in Python
        return
    for name, node in _nested(ast.parse(source), ""):
        decorators = {part for one in node.decorator_list for part in _names_in(one)}
        kind = next((one for one in DECORATORS if one in decorators), None)
        if kind is not None:
            yield Found(f"{module.__name__}:{name}", kind, file, node.decorator_list[0].lineno, module)


def _nested(tree: ast.AST, inside: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions inside functions, with their qualified names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}{node.name}"
            if ".<locals>." in name and isinstance(node, ast.FunctionDef):
                yield name, node
            yield from _nested(node, f"{name}." if isinstance(node, ast.ClassDef) else f"{name}.<locals>.")
        else:
            yield from _nested(node, inside)


def _names_in(decorator: ast.expr) -> set[str]:
    found = {node.id for node in ast.walk(decorator) if isinstance(node, ast.Name)}
    return found | {node.attr for node in ast.walk(decorator) if isinstance(node, ast.Attribute)}
