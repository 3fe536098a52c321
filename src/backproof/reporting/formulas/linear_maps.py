"""Formulas of the convolutions, of pooling, of the embeddings and of the ragged product."""

FORMULAS = {
    "ragged_matmul(3, 2)": (
        r"y_i = W_{g(i)} x_i",
        r"\bar x_i = W_{g(i)}^{\top} \bar y_i, \qquad \bar W_g = \sum_{i:\, g(i) = g} \bar y_i x_i^{\top}",
    ),
    "conv1d(2, 3, padding='SAME')": (
        r"z_i = \sum_p W_p^{\top} x_{i+p-1} + b",
        r"\bar x_j = \sum_p W_p \bar z_{j-p+1}, \qquad \bar W_p = \sum_i x_{i+p-1} \bar z_i^{\top}, \qquad"
        r" \bar b = \sum_i \bar z_i",
    ),
    "conv2d(4, 2, stride=(2, 1), padding='VALID', dilation=(1, 2), groups=2)": (
        r"z_{ij} = \sum_{pq} W_{pq}^{\top} x_{2i+p, j+2q} + b \quad \text{in each group}",
        r"\bar x_{uv} = \sum_{2i+p=u,\, j+2q=v} W_{pq} \bar z_{ij}, \qquad"
        r" \bar W_{pq} = \sum_{ij} x_{2i+p, j+2q} \bar z_{ij}^{\top}, \qquad \bar b = \sum_{ij} \bar z_{ij}",
    ),
    "max_pool(3, stride=2, padding='SAME')": (
        r"y_i = \max_p x_{i,p}, \quad p_i = \min \operatorname{argmax}_p x_{i,p}",
        r"\bar x_j = \sum_{i:\, (i, p_i) = j} \bar y_i",
    ),
    "max_pool(2, stride=2, padding='VALID')": (
        r"y_i = \max_p x_{i,p}, \quad p_i = \min \operatorname{argmax}_p x_{i,p}",
        r"\bar x_j = \sum_{i:\, (i, p_i) = j} \bar y_i",
    ),
    "average_pool((3, 2), stride=(2, 1), padding=((1, 0), (1, 1)))": (
        r"y_i = \frac{1}{n_i} \sum_p x_{i,p}",
        r"\bar x_j = \sum_{i \ni j} \frac{\bar y_i}{n_i}",
    ),
    "flatten(3)": (r"y = \operatorname{vec}(x)", r"\bar x = \operatorname{vec}^{-1}(\bar y)"),
    "embedding(4, 3)": (
        r"y_i = E_{\mathrm{id}_i}",
        r"\bar E_v = \sum_{i:\, \mathrm{id}_i = v} \bar y_i",
    ),
    "tied_embedding(4, 3, affine(3))": (
        r"\ell = h E^{\top}, \quad h = \operatorname{body}(e), \quad e_i = E_{\mathrm{id}_i}",
        r"\bar h = \bar\ell E, \quad \bar e = \overline{\operatorname{body}}(\bar h), \quad"
        r" \bar E = \bar\ell^{\top} h + \sum_i u_{\mathrm{id}_i} \bar e_i^{\top}",
    ),
}
