r"""The identity a = z: the last layer of documents 001 and 003, which has no activation.

Backward, from δa = ∂L/∂a:   δz = δa.   Source: S1.1, S3.5.
"""

from jaxtyping import Array, Float

from backproof.rule import Rule, no_params, require_floating


def identity_forward(
    params: tuple[()], z: Float[Array, "*batch n"]
) -> tuple[Float[Array, "*batch n"], tuple[()]]:
    """Return a = z; nothing has to be kept."""
    require_floating(z, "identity")
    return z, ()


def identity_backward(
    params: tuple[()], residuals: tuple[()], delta_a: Float[Array, "*batch n"]
) -> tuple[tuple[()], Float[Array, "*batch n"]]:
    """Return δz = δa."""
    return (), delta_a


identity: Rule = Rule("identity", no_params, identity_forward, identity_backward)
