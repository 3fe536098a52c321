"""Formulas of the functions that act on each number alone."""

SIGMOID = (r"a = \sigma(z) = \frac{1}{1 + e^{-z}}", r"\bar z = \bar a \odot a \odot (1 - a)")
_RELU = r"a = \max(z, 0)"


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


FORMULAS = {
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
}
