"""How the rule under test is reached: each call of a backward pass goes to a handler, in one run of a test.

A `jax.custom_vjp` or `custom_jvp` looks its rule up in itself each time that it is called, so its rule is
replaced for the duration of that call. That reaches every instance, also those that a test makes anew. The
fields of `bp.Rule` and `bp.Loss` are read through their class. A plain function is replaced under every name
that a module or a class has for it. A copy that a closure, a partial or a container holds is out of reach.
"""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from backproof.auditing.call import FUNCTION, JVP, LOSS, RULE, VJP, Call, cotangent_of
from backproof.auditing.named import Target, holders, rule_name
from backproof.rule import Loss, Rule

Handler = Callable[[Call], Any]
OnCall = Callable[[str, str, Any], None]
# Set on what stands in for a rule, so that no rule is replaced twice.
STANDS_IN = "__backproof_stands_in__"


@contextlib.contextmanager
def intercepted(
    handler: Handler, targets: Sequence[Target] = (), called: OnCall = lambda *_: None
) -> Iterator[None]:
    """Send each call of a backward pass to `handler`, which returns its result, until the context ends.

    Args:
        handler: gets each call of a custom_vjp's, a custom_jvp's, a Rule's and a Loss's backward pass, and of
            the functions among `targets`.
        targets: what the user named; only plain functions among it are looked at here.
        called: is told the name, the kind and the arguments when a custom_vjp or custom_jvp is called.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(_of_class(jax.custom_vjp, "bwd", VJP, handler, called))
        stack.enter_context(_of_class(jax.custom_jvp, "jvp", JVP, handler, called))
        stack.enter_context(_of_field(Rule, RULE, handler))
        stack.enter_context(_of_field(Loss, LOSS, handler))
        for target in targets:
            if target.kind == FUNCTION:
                stack.enter_context(_of_function(target, handler))
        yield


def is_of_jax(name: str) -> bool:
    """Return whether a rule is one of JAX's own."""
    return name.partition(":")[0].partition(".")[0] in ("jax", "jaxlib", "optax")


@contextlib.contextmanager
def _of_class(owner: Any, attribute: str, kind: str, handler: Handler, called: OnCall) -> Iterator[None]:
    original = owner.__call__

    @functools.wraps(original)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        rule = getattr(self, attribute)
        if rule is None or hasattr(rule, STANDS_IN):
            return original(self, *args, **named)
        name = rule_name(self)
        inputs = _by_name(self, args, named)
        called(name, kind, inputs)
        leaf_names = tuple(inputs)
        del inputs  # no traced value must outlive its trace

        @functools.wraps(rule)
        def stand_in(*given: Any, **more: Any) -> Any:
            return handler(Call(name, kind, rule, given, more, len(given) - 1, leaf_names))

        setattr(stand_in, STANDS_IN, True)
        setattr(self, attribute, stand_in)
        try:
            return original(self, *args, **named)
        finally:
            setattr(self, attribute, rule)

    owner.__call__ = call
    try:
        yield
    finally:
        owner.__call__ = original


def _by_name(rule: Any, args: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a custom rule that are differentiated, by the names of its parameters."""
    static = set(rule.nondiff_argnums)
    try:
        bound = inspect.signature(rule.fun).bind(*args, **named)
        bound.apply_defaults()
    except (TypeError, ValueError):  # JAX says what is wrong with the call
        return {}
    flat: list[tuple[str, Any]] = []
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            flat += [(f"{name}[{i}]", one) for i, one in enumerate(value)]
        elif kind is not inspect.Parameter.VAR_KEYWORD:
            flat.append((name, value))
    return {name: value for i, (name, value) in enumerate(flat) if i not in static}


@contextlib.contextmanager
def _of_field(owner: Any, kind: str, handler: Handler) -> Iterator[None]:
    field = owner.__dict__["backward"]
    cotangent, names = (2, ("grads", "delta_x")) if kind == RULE else (None, ())

    def backward(self: Any) -> Any:
        rule = field.__get__(self, owner)
        if not callable(rule) or hasattr(rule, STANDS_IN):
            return rule

        @functools.wraps(rule)
        def stand_in(*args: Any) -> Any:
            return handler(Call(self.name, kind, rule, args, {}, cotangent, names))

        setattr(stand_in, STANDS_IN, True)
        return stand_in

    owner.backward = property(backward)
    try:
        yield
    finally:
        owner.backward = field


@contextlib.contextmanager
def _of_function(target: Target, handler: Handler) -> Iterator[None]:
    function = target.function
    parameter = cotangent_of(function, target.cotangent)

    @functools.wraps(function)
    def stand_in(*args: Any, **named: Any) -> Any:
        position, name = parameter
        where = position if position < len(args) else name if name in named else None
        return handler(Call(target.name, FUNCTION, function, args, named, where))

    setattr(stand_in, STANDS_IN, True)
    replaced = list(holders(target))
    for owner, name, wrap in replaced:
        _assign(owner, name, wrap(stand_in))
    try:
        yield
    finally:
        for owner, name, wrap in replaced:
            _assign(owner, name, wrap(function))


def _assign(owner: Any, name: str, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


@contextlib.contextmanager
def strays(target: Target | None) -> Iterator[list[str]]:
    """Collect who calls a plain function past what stands in for it, by the names of the callers."""
    found: list[str] = []
    if target is None:
        yield found
        return
    plain = getattr(target.function, "__closure__", "none") is None and not hasattr(
        target.function, "__wrapped__"
    )
    if not plain or not hasattr(target.function, "__code__"):  # several functions share this code
        yield found
        return
    code = target.function.__code__

    def profile(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is code and frame.f_back is not None:
            caller = frame.f_back.f_code
            if caller.co_qualname != "Call.result":
                found.append(caller.co_qualname)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield found
    finally:
        sys.setprofile(before)
