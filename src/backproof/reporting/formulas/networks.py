"""Formulas of the networks, and of what rules compose to."""

_MLP = r"z^l = W^l a^{l-1} + b^l, \qquad a^l = \sigma(z^l)"
_SWEEP = (
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l), \qquad"
    r" \frac{\partial L}{\partial W^l} = \delta^l (a^{l-1})^{\top}, \qquad"
    r" \frac{\partial L}{\partial b^l} = \delta^l"
)
_CHAIN = (r"y = (f_k \circ \cdots \circ f_1)(x)", r"\bar x = J_1^{\top} \cdots J_k^{\top}\, \bar y")

FORMULAS = {
    "mlp(3-4-2, relu, identity)": (_MLP, _SWEEP),
    "mlp(4-3-5-2, sigmoid, sigmoid)": (_MLP, _SWEEP),
    "chain(affine(3), tanh, affine(2))": _CHAIN,
    "repeat(chain(affine(3), tanh), 3)": _CHAIN,
    "residual(chain(affine(3), tanh))": (r"y = x + f(x)", r"\bar x = \bar y + J_f^{\top}\, \bar y"),
    "remat(chain(affine(4), silu, affine(2)))": _CHAIN,
    "remat_repeat(chain(affine(3), softplus), 5, 2)": _CHAIN,
    "mixed_precision(mlp(3-4-2, tanh, identity), bfloat16)": (_MLP, _SWEEP),
}
