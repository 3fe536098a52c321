"""Formulas of the embeddings."""

FORMULAS = {
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
