"""The meshes of devices on which a program runs.

A program that `shard_map` or `pmap` runs on the devices of a mesh is evaluated as a whole, on that mesh
(`whole_operations`), and its result is compared like any other. Where the mesh has one device, that
comparison says nothing about the collectives.
"""

from collections.abc import Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

from backproof.numerics.tracing import Program, inner_programs


def axes_of_one(program: Program) -> tuple[str, ...]:
    """Return the mesh axes along which a program runs on one device only, sorted by name.

    Along these a sum over devices changes nothing, so that a forgotten one is not seen.
    """
    sizes = dict(_axes(program.jaxpr))
    return tuple(sorted(name for name, size in sizes.items() if size == 1))


def devices_of(program: Program) -> dict[str, int]:
    """Return the number of devices along each axis of a mesh on which a program runs, where it is several."""
    return {name: size for name, size in _axes(program.jaxpr) if size > 1}


def _axes(program: ClosedJaxpr | Jaxpr) -> Iterator[tuple[str, int]]:
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    for eqn in jaxpr.eqns:
        shape: Any = getattr(eqn.params.get("mesh"), "shape", {})
        yield from ((str(name), int(size)) for name, size in shape.items())
        for inner in inner_programs(eqn.params):
            yield from _axes(inner)
