"""Formulas of the affine map, the softmax, the norms and dropout."""

FORMULAS = {
    "affine(3)": (
        r"z = W x + b",
        r"\bar W = \bar z x^{\top}, \qquad \bar b = \bar z, \qquad \bar x = W^{\top} \bar z",
    ),
    "dropout(0.25)": (
        r"y = \frac{m \odot x}{1 - p}, \quad m_i = 0 \text{ with probability } p, \text{ else } 1",
        r"\bar x = \frac{m \odot \bar y}{1 - p}",
    ),
    "layer_norm": (
        r"y = g \odot \hat x + b, \quad \hat x = \frac{x - m}{d}, \quad m = \operatorname{mean}(x), \quad"
        r" d = \sqrt{\operatorname{mean}((x - m)^2) + \varepsilon}",
        r"\bar x = \frac{1}{d} \bigl(g \odot \bar y - \operatorname{mean}(g \odot \bar y)"
        r" - \hat x \operatorname{mean}(g \odot \bar y \odot \hat x)\bigr), \quad"
        r" \bar g = \bar y \odot \hat x, \quad \bar b = \bar y",
    ),
    "batch_norm": (
        r"y = g \odot \hat x + b, \quad \hat x = \frac{x - m}{d}, \quad d = \sqrt{v + \varepsilon}, \quad"
        r" M' = M + r (m - M), \quad V' = V + r (v - V)",
        r"\bar x = \frac{1}{d} \bigl(g \odot \bar y - \operatorname{mean}(g \odot \bar y)"
        r" - \hat x \operatorname{mean}(g \odot \bar y \odot \hat x)\bigr)"
        r" + \frac{r}{N} \bigl(\bar M' + 2 (x - m) \bar V'\bigr), \quad"
        r" \bar g = \sum \bar y \odot \hat x, \quad \bar b = \sum \bar y, \quad"
        r" \bar M = (1 - r) \bar M', \quad \bar V = (1 - r) \bar V'",
    ),
    "batch_norm_frozen": (
        r"y = g \odot \hat x + b, \quad \hat x = \frac{x - M}{d}, \quad d = \sqrt{V + \varepsilon}, \quad"
        r" M' = M, \quad V' = V",
        r"\bar x = \frac{g \odot \bar y}{d}, \quad \bar g = \sum \bar y \odot \hat x, \quad"
        r" \bar b = \sum \bar y, \quad \bar M = \bar M' - \sum \bar x, \quad"
        r" \bar V = \bar V' - \sum \frac{\bar x \odot \hat x}{2 d}",
    ),
    "group_norm(2)": (
        r"y = g \odot \hat x + b, \quad \hat x = \frac{x - m}{d}, \quad m = \operatorname{mean}(x), \quad"
        r" d = \sqrt{\operatorname{mean}((x - m)^2) + \varepsilon} \quad \text{of each group}",
        r"\bar x = \frac{1}{d} \bigl(g \odot \bar y - \operatorname{mean}(g \odot \bar y)"
        r" - \hat x \operatorname{mean}(g \odot \bar y \odot \hat x)\bigr), \quad"
        r" \bar g = \sum \bar y \odot \hat x, \quad \bar b = \sum \bar y",
    ),
    "weight_norm(3)": (
        r"z = W x + b, \quad w_i = g_i \hat v_i, \quad \hat v_i = \frac{v_i}{\|v_i\|}",
        r"\bar W = \bar z x^{\top}, \quad \bar v_i = \frac{g_i}{\|v_i\|} \bigl(\bar w_i - \hat v_i"
        r" \langle \bar w_i, \hat v_i \rangle\bigr), \quad \bar g_i = \langle \bar w_i, \hat v_i \rangle,"
        r" \quad \bar b = \bar z, \quad \bar x = W^{\top} \bar z",
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
