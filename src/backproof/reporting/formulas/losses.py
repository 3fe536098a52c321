"""Formulas of the losses."""

_SQUARE = r"J = \frac{1}{2} \sum (y - t)^2"
_ENTROPY = r"J = -\sum_k t_k \ln p_k, \qquad p = \operatorname{softmax}(z)"


def _huber(bound: str) -> tuple[str, str]:
    pieces = r"\begin{cases} \frac{1}{2} e^2 & |e| \le d \\ d\,(|e| - \frac{1}{2} d) & |e| > d \end{cases}"
    names = rf"e = y - t, \quad d = {bound}"
    return rf"J = \sum {pieces}, \qquad {names}", r"\frac{\partial J}{\partial y} = \min(\max(e, -d), d)"


FORMULAS = {
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
