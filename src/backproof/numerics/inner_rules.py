"""Programs in which functions with a rule of their own are their plain bodies, inside loops and calls too.

JAX's own functions keep their rules: those are part of what autodiff is.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var, jaxpr_as_fun

from backproof.numerics.tracing import RULED, inner_programs, with_programs

OF_JAX = Path(jax.__file__).parent


def rules_in(f: Callable[..., Any], *args: Any) -> list[str]:
    """Return the names of the functions with a rule of their own, but JAX's, that `f` calls at `args`."""
    return list(_read_of_rules(jax.make_jaxpr(f)(*args).jaxpr, lambda body: body.func_name))


def places_of_rules(f: Callable[..., Any], *args: Any) -> list[str]:
    """Return where the functions that `rules_in` names are defined, as `file:line`."""
    return list(_read_of_rules(jax.make_jaxpr(f)(*args).jaxpr, _place))


def without_rules(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`, in which autodiff goes through the bodies of functions with a rule of their own."""

    def plain(*args: Any) -> Any:
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        program = jaxpr_as_fun(ClosedJaxpr(_plain(closed.jaxpr), closed.consts))
        return jax.tree.unflatten(jax.tree.structure(shape), program(*jax.tree.leaves(args)))

    return plain


def _read_of_rules(jaxpr: Jaxpr, read: Callable[[Any], str]) -> Iterator[str]:
    """Yield what `read` returns of each function with a rule of its own: of its name, file and line."""
    for eqn in jaxpr.eqns:
        if _is_ruled(eqn):
            yield read(eqn.params["call_jaxpr"].jaxpr.debug_info)
        for inner in inner_programs(eqn.params):
            yield from _read_of_rules(inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner, read)


def _place(body: Any) -> str:
    return f"{body.func_filename}:{body.func_lineno}"


def _is_ruled(eqn: Any) -> bool:
    """Return whether an operation calls a function with a rule of its own that is none of JAX's.

    A rule is JAX's if its derivative is, and not only the function: `jax.custom_vjp(jnp.sin)` is no rule of
    JAX's.
    """
    if eqn.primitive.name not in RULED:
        return False
    body = eqn.params["call_jaxpr"].jaxpr.debug_info.func_filename
    return not (_is_of_jax(body) and all(map(_is_of_jax, _files(eqn.params))))


def _is_of_jax(file: str | None) -> bool:
    return file is not None and Path(file).is_relative_to(OF_JAX)


def _files(params: dict[str, Any]) -> Iterator[str | None]:
    """Yield the files in which the functions of a rule are defined; None for a `jax.custom_gradient`."""
    for value in params.values():
        if hasattr(value, "debug_info") and hasattr(value, "f"):
            name = getattr(value.f, "__qualname__", "")
            yield None if name.startswith("custom_gradient.") else value.debug_info.func_filename


def _plain(jaxpr: Jaxpr) -> Jaxpr:
    """Return the program with the bodies of functions with a rule of their own in place of their calls."""
    known: dict[Var, Any] = {}
    eqns = list(_inlined(jaxpr, known))
    return jaxpr.replace(eqns=eqns, outvars=[_read(known, atom) for atom in jaxpr.outvars])


def _inlined(jaxpr: Jaxpr, known: dict[Var, Any], *, anew: bool = False) -> Iterator[Any]:
    """Yield the operations of a program, and of the bodies that it calls.

    Args:
        jaxpr: the program.
        known: what stands for its variables; what it computes is added.
        anew: whether its variables are made anew, since the same body may be called again.
    """
    for eqn in jaxpr.eqns:
        invars = [_read(known, atom) for atom in eqn.invars]
        body = eqn.params["call_jaxpr"] if _is_ruled(eqn) else None
        if body is not None:
            consts = zip(body.consts, body.jaxpr.constvars, strict=True)
            held = [Literal(const, var.aval) for const, var in consts]
            inputs = (*body.jaxpr.constvars, *body.jaxpr.invars)
            inside: dict[Var, Any] = dict(zip(inputs, (*held, *invars), strict=True))
            yield from _inlined(body.jaxpr, inside, anew=True)
            results = [_read(inside, atom) for atom in body.jaxpr.outvars]
            known.update(zip(eqn.outvars, results, strict=True))
            continue
        outvars = [type(var)(var.aval) for var in eqn.outvars] if anew else eqn.outvars
        known.update(zip(eqn.outvars, outvars, strict=True) if anew else ())
        yield eqn.replace(invars=invars, outvars=outvars, params=with_programs(eqn.params, _plain))


def _read(known: dict[Var, Any], atom: Any) -> Any:
    return atom if isinstance(atom, Literal) else known.get(atom, atom)
