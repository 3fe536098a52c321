"""Formulas of the losses on top of a network."""

_SMOOTHED = (
    r"J = -\sum_k q_k \ln p_k + c s^2, \quad p_k = e^{z_k - s}, \quad s = \ln \sum_k e^{z_k}, \quad"
    r" q_k = (1 - \varepsilon) 1(k = y) + \frac{\varepsilon}{K}"
)


def _focal(value: str, slope: str) -> tuple[str, str]:
    return (
        rf"J = \sum \left({value}\right), \qquad f(u) = \sigma(-u)^{{\gamma}} \ln(1 + e^{{-u}})",
        rf"\frac{{\partial J}}{{\partial z}} = {slope}, \quad g(u) = \sigma(-u)^{{\gamma}}"
        r" \left(\gamma \sigma(u) \ln(1 + e^{-u}) + \sigma(-u)\right)",
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
    "gaussian_kl": (
        r"J = \frac{1}{2} \sum \left(\frac{(m - m_0)^2}{e^{v_0}} + e^{v - v_0} - 1 - (v - v_0)\right)",
        r"\frac{\partial J}{\partial m} = \frac{m - m_0}{e^{v_0}}, \qquad"
        r" \frac{\partial J}{\partial v} = \frac{1}{2} \left(e^{v - v_0} - 1\right)",
    ),
    "standard_gaussian_kl": (
        r"J = \frac{1}{2} \sum \left(m^2 + e^v - 1 - v\right)",
        r"\frac{\partial J}{\partial m} = m, \qquad"
        r" \frac{\partial J}{\partial v} = \frac{1}{2} \left(e^v - 1\right)",
    ),
    "dpo": (
        r"J = -\sum \ln \sigma(\beta h), \qquad h = (\pi_w - r_w) - (\pi_l - r_l)",
        r"\frac{\partial J}{\partial \pi_w} = -\beta \sigma(-\beta h), \qquad"
        r" \frac{\partial J}{\partial \pi_l} = \beta \sigma(-\beta h)",
    ),
    "focal": _focal(r"a t f(z) + (1 - a) (1 - t) f(-z)", r"-a t\, g(z) + (1 - a) (1 - t)\, g(-z)"),
    "focal_with(0.5)": _focal(r"t f(z) + (1 - t) f(-z)", r"-t g(z) + (1 - t) g(-z)"),
    "info_nce_with(0.5, symmetric=True)": (
        r"J = -\frac{1}{2} \sum_i \left(\ln P_{ii} + \ln Q_{ii}\right), \quad"
        r" P = \operatorname{softmax}_j S_{ij}, \quad Q = \operatorname{softmax}_i S_{ij}, \quad"
        r" S = \frac{x y^{\top}}{\tau}",
        r"\frac{\partial J}{\partial x} = \frac{G y}{\tau}, \quad"
        r" \frac{\partial J}{\partial y} = \frac{G^{\top} x}{\tau}, \quad G = \frac{P + Q}{2} - I",
    ),
}
