"""TestNet: its sizes, and the way forward."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import backproof as bp
from backproof import line

from . import DATUM, TESTNET, gate_open, relu


@bp.derivation(r"n^{(0)} = 3,\; n^{(1)} = 4,\; n^{(2)} = 2", items=("S3.3",), args=[TESTNET, DATUM])
def sizes(params, a_0):
    """What each letter counts, and the shape that follows from it."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_2, kept = bp.mlp((3, 4, 2), gate_open).forward(params, a_0)
    shape_of = {
        r"W^{(1)} \in \mathbb{R}^{4 \times 3}": (W_1, (4, 3)),
        r"W^{(2)} \in \mathbb{R}^{2 \times 4}": (W_2, (2, 4)),
        r"b^{(1)} \in \mathbb{R}^4": (b_1, (4,)),
        r"b^{(2)} \in \mathbb{R}^2": (b_2, (2,)),
        r"a^{(0)} \in \mathbb{R}^3": (kept[0].x, (3,)),
        r"a^{(1)} \in \mathbb{R}^4": (kept[1].x, (4,)),
        r"z^{(2)} \in \mathbb{R}^2": (z_2, (2,)),
        r"W^{(1)}_1 \in \mathbb{R}^{1 \times 3}": (W_1[0:1, :], (1, 3)),
    }
    for latex, (value, shape) in shape_of.items():
        yield line(latex, bp.holds(value.shape == shape), "rows: this layer; columns: the layer below")
    yield line(
        r"12 + 4 + 8 + 2 = 26", bp.equal(sum(leaf.size for leaf in jax.tree.leaves(params)), 26), "parameters"
    )
    yield line(
        r"\frac{\partial z^{(1)}_3}{\partial a^{(0)}_2} = W^{(1)}_{3,2}",
        bp.equal(
            jax.jacobian(lambda a: W_1 @ a + b_1)(a_0)[2, 1],
            W_1[2, 1],
        ),
        "W_ij leads from unit j of the layer below to unit i",
    )


@bp.derivation(
    r"z^{(2)}",
    items=("E3", "S3.3"),
    args=[bp.array("2 4"), bp.array("4"), bp.array("4")],
    refutes=bp.Refutes(
        line=1,
        erratum="E3(a)",
        cause="contract-raises",
        because="b^(2) ∈ ℝ^{4×1} is a slip for ℝ^{2×1}: layer 2 has two units, and each has one bias.",
    ),
)
def four_biases_for_two_units(W_2, b_2, a_1):
    """b^(2) with the four entries that the display gives it."""
    yield line(
        r"W^{(2)} a^{(1)} + b^{(2)}, \quad b^{(2)} \in \mathbb{R}^2", W_2 @ a_1 + b_2[:2], "definition"
    )
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}, \quad b^{(2)} \in \mathbb{R}^4", W_2 @ a_1 + b_2, "as printed")


@bp.derivation(
    r"z^{(2)}",
    items=("E3", "S3.3"),
    args=[TESTNET[1], bp.array("4")],
    refutes=bp.Refutes(
        line=1,
        erratum="E3(b)",
        cause="contract-shape",
        because="z^(2) ∈ ℝ^{4×1} is a slip for ℝ^{2×1}: it has an entry for each output, and W^(2) is 2 × 4.",
    ),
)
def four_scores_for_two_classes(layer, a_1):
    """z^(2) with the four entries that the display gives it."""
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}", layer["W"] @ a_1 + layer["b"], "definition")
    yield line(r"z^{(2)} \in \mathbb{R}^4", jnp.pad(layer["W"] @ a_1 + layer["b"], (0, 2)), "as printed")


@bp.derivation(
    r"z^{(2)}",
    items=("S3.4", "S3.5"),
    args=[TESTNET, DATUM],
    ships=lambda params, a_0: bp.mlp((3, 4, 2), bp.rules.relu_with(1.0)).forward(params, a_0)[0],
)
def forward(params, a_0):
    """Forward, one component at a time: what the document writes in ten lines."""
    (W_1, b_1), (W_2, b_2) = ((layer["W"], layer["b"]) for layer in params)
    z_1 = jnp.stack([W_1[i, 0] * a_0[0] + W_1[i, 1] * a_0[1] + W_1[i, 2] * a_0[2] + b_1[i] for i in range(4)])
    a_1 = jnp.stack([relu(z_1[i]) for i in range(4)])
    yield line(
        r"z^{(2)}_i = \sum_j W^{(2)}_{i,j} a^{(1)}_j + b^{(2)}_i",
        jnp.stack([sum(W_2[i, j] * a_1[j] for j in range(4)) + b_2[i] for i in range(2)]),
        "definition, by components",
    )
    yield line(
        r"z^{(2)}_i = W^{(2)}_i \cdot a^{(1)} + b^{(2)}_i",
        jnp.stack([jnp.vdot(W_2[i], a_1) + b_2[i] for i in range(2)]),
        "row i of W^(2) times a column",
    )
    yield line(r"W^{(2)} a^{(1)} + b^{(2)}", W_2 @ a_1 + b_2, "all rows at once")
    yield line(
        r"W^{(2)} \mathrm{relu}(W^{(1)} a^{(0)} + b^{(1)}) + b^{(2)}",
        W_2 @ relu(W_1 @ a_0 + b_1) + b_2,
        "the hidden layer likewise; no activation after the last",
    )
    _, kept = bp.mlp((3, 4, 2), bp.rules.relu_with(1.0)).forward(params, a_0)
    yield line(r"a^{(0)} = x", bp.equal(kept[0].x, a_0), "the input layer calculates nothing")


@bp.derivation(
    r"z^{(l)}",
    items=("E3", "S3.4"),
    refutes=bp.Refutes(
        line=1,
        erratum="E3(d)",
        cause="argument-transposed",
        because="z_j = W_ij a_i + b_j sums over the first index, against the rule that W_ij leads from j to"
        " i, and has lost its Σ. On layers of unequal width it does not fit; on square ones it is silently"
        " another map. It must be z_i = Σ_j W_ij a_j + b_i.",
    ),
)
def sum_over_the_wrong_index(W: Float[Array, "n n"], b: Float[Array, " n"], a: Float[Array, " n"]):
    """The neuron with its indices as printed, on a square layer."""
    yield line(r"\sum_j W_{i,j} a_j + b_i", jnp.einsum("ij,j->i", W, a) + b, "definition")
    yield line(
        r"\sum_i W_{i,j} a_i + b_j", jnp.einsum("ij,i->j", W, a) + b, "as printed, with its Σ restored"
    )


@bp.derivation(r"z^{(2)}", items=("S3.5",), uses=(forward,), args=[TESTNET[1], bp.array("4")])
def the_output_layer_has_no_activation(layer, a_1):
    """The scores go into the probabilities as they are, negative ones too."""
    z = layer["W"] @ a_1 + layer["b"]
    yield line(
        r"z^{(2)} \neq \mathrm{relu}(z^{(2)})",
        bp.differ(z, relu(z), somewhere=True),
        "an activation would show",
    )
    yield line(
        r"\texttt{backproof} = W^{(2)} a^{(1)} + b^{(2)}",
        bp.equal(bp.mlp((4, 2), gate_open).forward((layer,), a_1)[0], z),
        "what this library runs",
    )
