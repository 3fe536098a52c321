"""Formulas of the affine map, the softmax and the norms."""

FORMULAS = {
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
    "softmax": (
        r"p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}",
        r"\bar z = (\operatorname{diag}(p) - p p^{\top})^{\top} \bar p = p \odot (\bar p - p^{\top} \bar p)",
    ),
}
