"""What an array argument may be: dtype, named axes, bounds and structure, in one notation.

`array("b n", low=0)`, the text `f32[b,n]>=0` and the jaxtyping annotation `Float[Array, "b n"]` all give a
`Specification`.
"""

from backproof.arguments.builders import (
    array,
    increasing,
    integers,
    one_hot,
    orthogonal,
    partition,
    permutation,
    simplex,
    spd,
)
from backproof.arguments.expressions import Bound, Dims, evaluate, names_in
from backproof.arguments.notation import from_annotations, parse
from backproof.arguments.specification import (
    LONG_DTYPES,
    STRUCTURES,
    Specification,
    at_least,
    bind,
    names_of,
    shape_of,
)

__all__ = [
    "LONG_DTYPES",
    "STRUCTURES",
    "Bound",
    "Dims",
    "Specification",
    "array",
    "at_least",
    "bind",
    "evaluate",
    "from_annotations",
    "increasing",
    "integers",
    "names_in",
    "names_of",
    "one_hot",
    "orthogonal",
    "parse",
    "partition",
    "permutation",
    "shape_of",
    "simplex",
    "spd",
]
