"""Formulas of linear algebra and of fixed points."""

FORMULAS = {
    "solve": (
        r"y = A^{-1} b",
        r"\bar b = A^{-\top} \bar y, \qquad \bar A = -\bar b y^{\top}",
    ),
    "log_determinant": (
        r"y = \log |\det A|",
        r"\bar A = \bar y\, A^{-\top}",
    ),
    "cholesky": (
        r"A = L L^{\top}, \quad L \text{ lower triangular}",
        r"\bar A = \operatorname{sym}\bigl(L^{-\top}\, \Phi(L^{\top} \bar L)\, L^{-1}\bigr), \quad"
        r" \operatorname{sym}(S) = \frac{S + S^{\top}}{2}, \quad"
        r" \Phi(S)_{ij} = \begin{cases} s_{ij} & i > j \\ s_{ii} / 2 & i = j \\ 0 & i < j \end{cases}",
    ),
    "fixed_point(kepler_step, 24)": (
        r"y = f(y, x) = x + \frac{1}{8} \sin(y + \varphi)",
        r"\lambda = \bar y + \Bigl(\frac{\partial f}{\partial y}\Bigr)^{\top} \lambda, \qquad"
        r" \bar \varphi = \Bigl(\frac{\partial f}{\partial \varphi}\Bigr)^{\top} \lambda, \qquad"
        r" \bar x = \Bigl(\frac{\partial f}{\partial x}\Bigr)^{\top} \lambda",
    ),
}
