"""Formulas of attention, rotary positions and gated units."""

_WEIGHTS = r"o = P v, \quad P = \operatorname{softmax}(s)"
_PLAIN = r"s = \frac{1}{\sqrt d}\, q k^{\top}"
_CAPPED = r"s = c \tanh \frac{q k^{\top}}{c \sqrt d}"
_BY_P = r"\bar P = \bar o\, v^{\top}, \quad D = \operatorname{rowsum}(P \odot \bar P)"
_BY_QKV = (
    r"\bar q = \frac{1}{\sqrt d}\, \bar s\, k, \quad \bar k = \frac{1}{\sqrt d}\, \bar s^{\top} q, \quad"
    r" \bar v = P^{\top} \bar o"
)
_BACK = rf"\bar s = P \odot (\bar P - D), \quad {_BY_P}, \quad {_BY_QKV}"
_BLOCKS = (
    r"m' = \max(m, \max s_B), \quad l' = e^{m - m'} l + \sum e^{s_B - m'}, \quad"
    r" a' = e^{m - m'} a + e^{s_B - m'} v_B, \quad o = a / l"
)
_BLOCKS_BACK = (
    r"\bar s_B = P_B \odot (\bar o\, v_B^{\top} - D), \quad P_B = e^{s_B - m} / l, \quad"
    r" D = \operatorname{rowsum}(\bar o \odot o),"
    r" \quad \bar q = \sum_B \frac{1}{\sqrt d}\, \bar s_B\, k_B, \quad"
    r" \bar k_B = \frac{1}{\sqrt d}\, \bar s_B^{\top} q, \quad \bar v_B = P_B^{\top} \bar o"
)
_TURN = r"y_m = R_m x_m, \quad R_m \text{ turns pair } i \text{ by } m\, b^{-2 i / d}, \quad b ="
_TURN_BACK = r"\bar x_m = R_m^{\top} \bar y_m = R_{-m} \bar y_m"
_MANY = (
    r"y = o\, W_o^{\top}, \quad o = \operatorname{attention}(R q, R k, v), \quad q = x W_q^{\top}, \quad"
    r" k = x W_k^{\top}, \quad v = x W_v^{\top}"
)
_MANY_BACK = (
    r"\bar x = \bar q\, W_q + \bar k\, W_k + \bar v\, W_v, \quad \bar W_q = \bar q^{\top} x, \quad"
    r" \bar W_k = \bar k^{\top} x, \quad \bar W_v = \bar v^{\top} x, \quad \bar W_o = \bar y^{\top} o,"
    r" \quad \bar o = \bar y\, W_o"
)


def _gated(a: str, slope: str) -> tuple[str, str]:
    return (
        rf"y = a(g) \odot u, \quad a(z) = {a}, \quad (g, u) = x",
        rf"\bar g = \bar y \odot u \odot a'(g), \quad \bar u = \bar y \odot a(g), \quad a'(z) = {slope}",
    )


FORMULAS = {
    "attention": (rf"{_WEIGHTS}, \quad {_PLAIN}", _BACK),
    "attention_with(causal=True, window=2, soft_cap=2, sink=True, padding='lengths', group=2, lse=True)": (
        r"o = P v, \quad P_{i j} = e^{s_{i j} - l_i}, \quad l_i = \ln \Bigl(e^z + \sum_j e^{s_{i j}}\Bigr),"
        rf" \quad {_CAPPED}, \quad c = 2, \quad"
        r" s_{i j} = -\infty \text{ where } i \text{ does not see } j",
        rf"\bar s = (1 - s^2 / c^2) \odot P \odot (\bar P - D + \bar l), \quad {_BY_P},"
        rf" \quad {_BY_QKV}, \quad"
        r" \bar z = - \sum_i e^{z - l_i} (D_i - \bar l_i)",
    ),
    "attention_in_blocks(2, causal=True, soft_cap=2, sink=True, padding='mask', group=2, lse=True)": (
        _BLOCKS,
        _BLOCKS_BACK,
    ),
    "swiglu": _gated(r"z\, \sigma(z)", r"\sigma(z)\, (1 + z\, \sigma(-z))"),
    "geglu": _gated(r"z\, \Phi(z)", r"\Phi(z) + z\, \varphi(z)"),
    "rope('halves', base=10000)": (rf"{_TURN} 10^4", _TURN_BACK),
    "rope('pairs', base=100, offset=3)": (
        _TURN.replace("R_m", "R_{m + 3}") + " 100",
        _TURN_BACK.replace("R_m", "R_{m + 3}").replace("R_{-m}", "R_{-m - 3}"),
    ),
    "self_attention(2, kv_heads=1)": (_MANY, _MANY_BACK),
}
