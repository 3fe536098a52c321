"""Formulas of the losses on top of a network."""

_SMOOTHED = (
    r"J = -\sum_k q_k \ln p_k + c s^2, \quad p_k = e^{z_k - s}, \quad s = \ln \sum_k e^{z_k}, \quad"
    r" q_k = (1 - \varepsilon) 1(k = y) + \frac{\varepsilon}{K}"
)

FORMULAS = {
    "token_cross_entropy": (
        r"J = -\sum_{y_n \ne y_0} \ln p_{n y_n}, \qquad p = \operatorname{softmax}(z)",
        r"\frac{\partial J}{\partial z_{n k}} = 1(y_n \ne y_0) \left(p_{n k} - 1(k = y_n)\right)",
    ),
    "token_cross_entropy_with(smoothing=0.1, z_loss=0.01)": (
        _SMOOTHED,
        r"\frac{\partial J}{\partial z_k} = p_k - q_k + 2 c s\, p_k",
    ),
    "mean(token_cross_entropy)": (
        r"J = -\frac{1}{N} \sum_{y_n \ne y_0} \ln p_{n y_n}, \quad N = \sum_n 1(y_n \ne y_0)",
        r"\frac{\partial J}{\partial z_{n k}} = \frac{1(y_n \ne y_0)}{N} \left(p_{n k} - 1(k = y_n)\right)",
    ),
    "linear_head(3)": (r"y = (x, W)", r"\bar x = \bar y_x, \qquad \bar W = \bar y_W"),
    "linear_cross_entropy_with(chunk=2, ignored=-100)": (
        r"J = -\sum_{y_n \ne y_0} \ln p_{n y_n}, \qquad p = \operatorname{softmax}(z), \qquad z = x W^{\top}",
        r"\frac{\partial J}{\partial x} = \bar z W, \quad \frac{\partial J}{\partial W} = \bar z^{\top} x,"
        r" \quad \bar z_{n k} = 1(y_n \ne y_0) \left(p_{n k} - 1(k = y_n)\right)",
    ),
}
