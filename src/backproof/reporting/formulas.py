r"""The formulas of the shipped rules, losses and networks in LaTeX, as in the docstrings of their files.

\bar v stands for ∂L/∂v.
"""

from collections.abc import Mapping

SIGMOID = (r"a = \sigma(z) = \frac{1}{1 + e^{-z}}", r"\bar z = \bar a \odot a \odot (1 - a)")
_RELU = r"a = \max(z, 0)"
_SQUARE = r"J = \frac{1}{2} \sum (y - t)^2"
_ENTROPY = r"J = -\sum_k t_k \ln p_k, \qquad p = \operatorname{softmax}(z)"
_MLP = r"z^l = W^l a^{l-1} + b^l, \qquad a^l = \sigma(z^l)"
_SWEEP = (
    r"\delta^l = (W^{l+1})^{\top} \delta^{l+1} \odot \sigma'(z^l), \qquad"
    r" \frac{\partial L}{\partial W^l} = \delta^l (a^{l-1})^{\top}, \qquad"
    r" \frac{\partial L}{\partial b^l} = \delta^l"
)
_CHAIN = (r"y = (f_k \circ \cdots \circ f_1)(x)", r"\bar x = J_1^{\top} \cdots J_k^{\top}\, \bar y")


def _leaky(slope: str) -> tuple[str, str]:
    return (
        rf"a = \begin{{cases}} z & z > 0 \\ {slope}\, z & z \le 0 \end{{cases}}",
        rf"\bar z = \begin{{cases}} \bar a & z > 0 \\ {slope}\, \bar a & z \le 0 \end{{cases}}",
    )


def _elu(alpha: str) -> tuple[str, str]:
    return (
        rf"a = \begin{{cases}} z & z > 0 \\ {alpha} (e^z - 1) & z \le 0 \end{{cases}}",
        rf"\bar z = \begin{{cases}} \bar a & a > 0 \\ (a + {alpha or 1})\, \bar a & a \le 0 \end{{cases}}",
    )


def _relu(at_zero: str) -> tuple[str, str]:
    return (
        _RELU,
        rf"\bar z = \bar a \odot \begin{{cases}} 1 & z > 0 \\ {at_zero} & z = 0 \\ 0 & z < 0 \end{{cases}}",
    )


def _huber(bound: str) -> tuple[str, str]:
    pieces = r"\begin{cases} \frac{1}{2} e^2 & |e| \le d \\ d\,(|e| - \frac{1}{2} d) & |e| > d \end{cases}"
    names = rf"e = y - t, \quad d = {bound}"
    return rf"J = \sum {pieces}, \qquad {names}", r"\frac{\partial J}{\partial y} = \min(\max(e, -d), d)"


# For each name in the catalogue the formula of the function and that of its backward pass.
SHIPPED_FORMULAS: Mapping[str, tuple[str, str]] = {
    "affine(3)": (
        r"z = W x + b",
        r"\bar W = \bar z x^{\top}, \qquad \bar b = \bar z, \qquad \bar x = W^{\top} \bar z",
    ),
    "layer_norm": (
        r"y = g \odot \hat x + b, \quad \hat x = \frac{x - m}{d}, \quad m = \operatorname{mean}(x), \quad"
        r" d = \sqrt{\operatorname{mean}((x - m)^2) + \varepsilon}",
        r"\bar x = \frac{1}{d} \bigl(g \odot \bar y - \operatorname{mean}(g \odot \bar y)"
        r" - \hat x \operatorname{mean}(g \odot \bar y \odot \hat x)\bigr), \quad"
        r" \bar g = \bar y \odot \hat x, \quad \bar b = \bar y",
    ),
    "rms_norm": (
        r"y = g \odot \hat x, \quad \hat x = \frac{x}{r}, \quad"
        r" r = \sqrt{\operatorname{mean}(x^2) + \varepsilon}",
        r"\bar x = \frac{1}{r} \bigl(g \odot \bar y - \hat x \operatorname{mean}(g \odot \bar y \odot"
        r" \hat x)\bigr), \quad \bar g = \bar y \odot \hat x",
    ),
    "identity": ("a = z", r"\bar z = \bar a"),
    "sigmoid": SIGMOID,
    "tanh": (r"a = \tanh z", r"\bar z = \bar a \odot (1 - a) \odot (1 + a)"),
    "relu": (_RELU, r"\bar z = 1(z > 0) \odot \bar a"),
    "leaky_relu": _leaky("0.01"),
    "elu": _elu(""),
    "softplus": (r"a = \ln(1 + e^z)", r"\bar z = \bar a \odot (1 - e^{-a})"),
    "silu": (r"a = z\, \sigma(z)", r"\bar z = \bar a \odot \sigma(z) \odot (1 + z\, \sigma(-z))"),
    "gelu": (
        r"a = z\, \Phi(z), \qquad \Phi(z) = \frac{1}{2} \operatorname{erfc}(-z / \sqrt 2)",
        r"\bar z = \bar a \odot (\Phi(z) + z\, \varphi(z)), \quad \varphi(z) = e^{-z^2/2} / \sqrt{2 \pi}",
    ),
    "gelu_tanh": (
        r"a = z\, \sigma(2u), \qquad 2u = \sqrt{8/\pi}\, (z + 0.044715\, z^3)",
        r"\bar z = \bar a \odot \sigma(2u) \odot (1 + z\, \sigma(-2u)\, (2u)')",
    ),
    "hard_tanh": (r"a = \min(\max(z, -1), 1)", r"\bar z = 1(|z| \le 1) \odot \bar a"),
    "sin": (r"a = \sin z", r"\bar z = \bar a \odot \cos z"),
    "relu_with(0.5)": _relu(r"\frac{1}{2}"),
    "relu_with(1)": _relu("1"),
    "leaky_relu_with(-0.5)": _leaky(r"-\frac{1}{2}"),
    "elu_with(0.5)": _elu(r"\frac{1}{2}"),
    "softmax": (
        r"p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}",
        r"\bar z = (\operatorname{diag}(p) - p p^{\top})^{\top} \bar p = p \odot (\bar p - p^{\top} \bar p)",
    ),
    "mlp(3-4-2, relu, identity)": (_MLP, _SWEEP),
    "mlp(4-3-5-2, sigmoid, sigmoid)": (_MLP, _SWEEP),
    "chain(affine(3), tanh, affine(2))": _CHAIN,
    "repeat(chain(affine(3), tanh), 3)": _CHAIN,
    "remat(chain(affine(4), silu, affine(2)))": _CHAIN,
    "remat_repeat(chain(affine(3), softplus), 5, 2)": _CHAIN,
    "mixed_precision(mlp(3-4-2, tanh, identity), bfloat16)": (_MLP, _SWEEP),
    "half_squared_error": (_SQUARE, r"\frac{\partial J}{\partial y} = y - t"),
    "softmax_cross_entropy": (_ENTROPY, r"\frac{\partial J}{\partial z} = p - t"),
    "softmax_cross_entropy_dense": (_ENTROPY, r"\frac{\partial J}{\partial z} = p \sum_k t_k - t"),
    "binary_cross_entropy": (
        r"J = -\sum \left(t \ln \sigma(z) + (1 - t) \ln \sigma(-z)\right)",
        r"\frac{\partial J}{\partial z} = \sigma(z) - t",
    ),
    "huber": _huber("1"),
    "huber_with(0.5)": _huber(r"\frac{1}{2}"),
    "hinge": (r"J = \sum \max(0, 1 - t y)", r"\frac{\partial J}{\partial y} = -t \odot 1(t y < 1)"),
    "mean(half_squared_error)": (
        r"J = \frac{1}{2 N} \sum (y - t)^2",
        r"\frac{\partial J}{\partial y} = \frac{y - t}{N}",
    ),
    "mean(softmax_cross_entropy)": (
        r"J = -\frac{1}{N} \sum_n \sum_k t_{n k} \ln p_{n k}",
        r"\frac{\partial J}{\partial z} = \frac{p - t}{N}",
    ),
}
