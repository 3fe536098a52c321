r"""The embedding y = E[ids], whose rows are those of E; and a rule between E[ids] and Eᵀ, the tied embedding.

Backward of the embedding, from δy = ∂L/∂y:   ∂L/∂E_v = Σ over the places with id v of δy.
Kept are the ids alone: the slope is 1 in their rows and 0 elsewhere. Rows are added in float32 at least,
since a frequent id collects many of them.

Tied: ℓ = h Eᵀ with h = body(E[ids]), so that E is read twice and both paths add up. From δℓ = ∂L/∂ℓ:
    δh = δℓ E,   δe = the backward pass of body at δh,
    ∂L/∂E = Σ δℓ ⊗ h, summed over the batch, + the rows δe added at their ids.
Kept are the ids, h and what body keeps.

An id outside 0 … vocabulary−1 has no row: forward gives it a row of NaN, and it adds nothing to the gradient
of an embedding. (JAX's indexing takes −1 for the last row, and clips what is too large.) In a tied embedding
the NaN goes through body, forward and backward.
Source: Press and Wolf 2017, "Using the output embedding to improve language models", arXiv:1608.05859, for
the tie (the formulas here are derived in `docs/catalogue/linear_maps.py`, the paper was not at hand).
Slips that people make: one of the two paths to E is left out; rows are set instead of added, so that of an id
that occurs twice only one row remains. The report names the line of either.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from backproof.arguments import Specification, integers, names_of
from backproof.errors import UsageError, message
from backproof.rule import (
    PyTree,
    Rule,
    Update,
    descend,
    require_floating,
    require_rule,
    require_shape,
    require_whole_number,
)
from backproof.rules._affine import affine_delta
from backproof.rules._rms_norm import at_least_float32

Params = dict[str, Array]
INIT = "initialise the parameters with rule.init(key, ids)"


def embedding(vocabulary: int, width: int) -> Rule:
    """Return the rule y = E[ids] from whole numbers below `vocabulary` to rows of `width` numbers.

    Its parameters are `{"E": (vocabulary, width)}`, which start in float32 from a normal distribution of
    variance 1 / width, so that a row starts with a length of about 1. The ids have no gradient: `delta_x` is
    None. An id that is out of range has a row of NaN, and no gradient.

    Raises:
        UsageError: `vocabulary` or `width` is not a positive whole number.
    """
    shape = _table_shape(vocabulary, width, "embedding")
    name = f"embedding{shape}"

    def init(key: jax.Array, ids: jax.ShapeDtypeStruct) -> tuple[Params, jax.ShapeDtypeStruct]:
        require_ids(ids, name)
        E = started(key, shape)
        return {"E": E}, jax.ShapeDtypeStruct((*ids.shape, shape[1]), E.dtype)

    def forward(
        params: Params, ids: Int[Array, "*batch"]
    ) -> tuple[Float[Array, "*batch width"], Int[Array, "*batch"]]:
        require_ids(ids, name)
        _require_table(params, shape, name)
        return rows_of(params["E"], ids), ids

    def backward(
        params: Params, ids: Int[Array, "*batch"], delta_y: Float[Array, "*batch width"]
    ) -> tuple[Params, None]:
        E = params["E"]
        return {"E": added_at(ids, delta_y, E).astype(E.dtype)}, None

    return Rule(name, init, forward, backward, integers("*batch", 0, shape[0] - 1))


def tied_embedding(vocabulary: int, width: int, body: Rule) -> Rule:
    """Return the rule ℓ = body(E[ids]) Eᵀ from ids `(*batch, s)` to logits `(*batch, s, vocabulary)`.

    Its parameters are `{"E": (vocabulary, width), "body": …}`; E starts as in `embedding`, and its gradient
    is the sum over both paths. `descend` updates the body inside its sweep, and E last.

    Args:
        vocabulary: the number of ids.
        width: the length of a row of E.
        body: a rule from `(*batch, s, width)` to the same shape, e.g. the layers of a transformer. The axes
            of its domain, but the last one, are those of the ids.

    Raises:
        UsageError: `vocabulary` or `width` is not a positive whole number, `body` is no rule, or it changes
            the shape of its input (raised by `init`).
    """
    shape = _table_shape(vocabulary, width, "tied_embedding")
    require_rule(body, "tied_embedding", "body")
    name = f"tied_embedding({shape[0]}, {shape[1]}, {body.name})"

    def init(key: jax.Array, ids: jax.ShapeDtypeStruct) -> tuple[PyTree, jax.ShapeDtypeStruct]:
        require_ids(ids, name)
        key_E, key_body = jax.random.split(key)
        E = started(key_E, shape)
        rows = jax.ShapeDtypeStruct((*ids.shape, shape[1]), E.dtype)
        body_params, h = body.init(key_body, rows)
        _require_rows_like(h, rows, name)
        logits = jax.ShapeDtypeStruct((*ids.shape, shape[0]), h.dtype)
        return {"E": E, "body": body_params}, logits

    def forward(params: PyTree, ids: Int[Array, "*batch s"]) -> tuple[Float[Array, "*batch s v"], PyTree]:
        require_ids(ids, name)
        _require_table(params, shape, name)
        E = params["E"]
        h, kept = body.forward(params["body"], rows_of(E, ids))
        return h @ E.T.astype(h.dtype), (ids, h, kept)

    def both_paths(params: PyTree, residuals: PyTree, delta: Array, delta_rows: Array) -> Array:
        (ids, h, _), E = residuals, params["E"]
        batch = tuple(range(ids.ndim))
        as_output = lax.dot_general(
            delta, h, ((batch, batch), ((), ())), preferred_element_type=at_least_float32(E)
        )
        return (as_output + added_at(ids, delta_rows, E)).astype(E.dtype)

    def backward(params: PyTree, residuals: PyTree, delta: Float[Array, "*batch s v"]) -> tuple[PyTree, None]:
        delta_h = affine_delta({"W": params["E"]}, delta)  # δℓ E
        grads, delta_rows = body.backward(params["body"], residuals[2], delta_h)
        return {"E": both_paths(params, residuals, delta, delta_rows), "body": grads}, None

    def descend_layers(
        params: PyTree, residuals: PyTree, delta: Array, update: Update
    ) -> tuple[PyTree, None]:
        delta_h = affine_delta({"W": params["E"]}, delta)  # δℓ E
        updated, delta_rows = descend(body, params["body"], residuals[2], delta_h, update)
        grad_E = both_paths(params, residuals, delta, delta_rows)
        return {"E": update(params["E"], grad_E), "body": updated}, None

    domain = _ids_for(body.domain, shape[0])
    return Rule(name, init, forward, backward, domain, body.at_kinks, (body,), descend_layers)


def started(key: jax.Array, shape: tuple[int, int]) -> Float[Array, "vocabulary width"]:
    """Return rows of about length 1: normal numbers of variance 1 / width."""
    return jax.random.normal(key, shape, jnp.float32) / shape[1] ** 0.5


def rows_of(E: Float[Array, "vocabulary width"], ids: Int[Array, "*batch"]) -> Float[Array, "*batch width"]:
    """Return the rows of E at the ids, and NaN for an id that is out of range."""
    return jnp.asarray(E).at[_within(ids, len(E))].get(mode="fill", fill_value=jnp.nan)


def added_at(
    ids: Int[Array, "*batch"], delta: Float[Array, "*batch width"], E: Float[Array, "vocabulary width"]
) -> Float[Array, "vocabulary width"]:
    """Return, for each row of E, the sum of `delta` over the places with its id, in float32 at least."""
    dtype = at_least_float32(E)
    return jnp.zeros(E.shape, dtype).at[_within(ids, len(E))].add(delta.astype(dtype), mode="drop")


def _within(ids: Int[Array, "*batch"], vocabulary: int) -> Int[Array, "*batch"]:
    """Return the ids in int32, with `vocabulary`, one past the last row, for each that is out of range."""
    ids = jnp.asarray(ids)
    wide = ids if ids.dtype.itemsize >= 4 else ids.astype(jnp.int32)  # a uint8 cannot be compared with 1000
    return jnp.where((wide >= 0) & (wide < vocabulary), wide, vocabulary).astype(jnp.int32)


def _ids_for(domain: PyTree, vocabulary: int) -> Specification:
    """Return the specification of ids for a body with this domain: its axes but the last one."""
    if not isinstance(domain, Specification) or domain.dims[-1:] in ((), (domain.batch_name,)):
        return integers("*batch s", 0, vocabulary - 1)
    ids = integers(" ".join(domain.dims[:-1]), 0, vocabulary - 1)
    return replace(ids, least=tuple(pair for pair in domain.least if pair[0] in names_of(ids)))


def _table_shape(vocabulary: object, width: object, where: str) -> tuple[int, int]:
    most = jnp.iinfo(jnp.int32).max  # ids are int32 inside
    return (
        require_whole_number(vocabulary, "vocabulary", where, most=most),
        require_whole_number(width, "width", where),
    )


def require_ids(ids: PyTree, where: str) -> None:
    """Raise `UsageError` unless `ids` is one array of integers."""
    dtype = getattr(ids, "dtype", type(ids).__name__)
    if not (hasattr(ids, "dtype") and jnp.issubdtype(dtype, jnp.integer)):
        raise UsageError(
            message(
                must="ids must be one array of integers",
                found=f"ids of {dtype}",
                where=where,
                do="convert them first, e.g. ids.astype(jnp.int32)",
            )
        )


def _require_table(params: PyTree, shape: tuple[int, int], where: str) -> None:
    require_floating(params["E"], where, "E")
    require_shape(params["E"], shape, where, "E", INIT)


def _require_rows_like(h: PyTree, rows: jax.ShapeDtypeStruct, where: str) -> None:
    if getattr(h, "shape", None) != rows.shape:
        raise UsageError(
            message(
                must=f"body must return the shape of its input, {rows.shape}",
                found=f"y of shape {getattr(h, 'shape', type(h).__name__)}",
                where=where,
                do="end body in as many features as E has columns",
            )
        )
