"""Formulas of the recurrences."""

_FROM_ERRORS = (
    r"\bar W = \sum_t \bar z_t x_t^{\top}, \quad \bar U = \sum_t \bar z_t h_{t-1}^{\top}, \quad \bar b ="
    r" \sum_t \bar z_t, \quad \bar x_t = W^{\top} \bar z_t"
)
_LINEAR = (
    r"h_t = a_t \odot h_{t-1} + b_t",
    r"\bar b_t = \lambda_t, \quad \bar a_t = \lambda_t \odot h_{t-1}, \quad"
    r" \lambda_t = \bar y_t + a_{t+1} \odot \lambda_{t+1}",
)

FORMULAS = {
    "rnn(3)": (
        r"h_t = \tanh(z_t), \quad z_t = W x_t + U h_{t-1} + b",
        r"\bar z_t = (\bar y_t + U^{\top} \bar z_{t+1}) \odot (1 - h_t) \odot (1 + h_t), \quad "
        + _FROM_ERRORS,
    ),
    "lstm(2)": (
        r"h_t = o \odot \tanh(c_t), \quad c_t = f \odot c_{t-1} + i \odot g, \quad i = \sigma(z_i), \quad"
        r" f = \sigma(z_f), \quad g = \tanh(z_g), \quad o = \sigma(z_o), \quad z_t = W x_t + U h_{t-1} + b",
        r"\bar h_t = \bar y_t + U^{\top} \bar z_{t+1}, \quad \bar c_t = \bar h_t \odot o \odot (1 -"
        r" \tanh^2(c_t)) + f_{t+1} \odot \bar c_{t+1}, \quad \bar z_i = \bar c_t \odot g \odot i (1 - i),"
        r" \quad \bar z_f = \bar c_t \odot c_{t-1} \odot f (1 - f), \quad \bar z_g = \bar c_t \odot i \odot"
        r" (1 - g^2), \quad \bar z_o = \bar h_t \odot \tanh(c_t) \odot o (1 - o), \quad " + _FROM_ERRORS,
    ),
    "gru(2)": (
        r"h_t = u \odot h_{t-1} + (1 - u) \odot c, \quad r = \sigma(W_r x_t + U_r h_{t-1} + b_r), \quad u ="
        r" \sigma(W_u x_t + U_u h_{t-1} + b_u), \quad c = \tanh(W_c x_t + U_c (r \odot h_{t-1}) + b_c)",
        r"\bar z_u = \bar h_t \odot (h_{t-1} - c) \odot u (1 - u), \quad \bar z_c = \bar h_t \odot (1 - u)"
        r" \odot (1 - c^2), \quad e = U_c^{\top} \bar z_c, \quad \bar z_r = e \odot h_{t-1} \odot r (1 - r),"
        r" \quad \bar h_{t-1} = \bar y_{t-1} + \bar h_t \odot u + r \odot e + U_r^{\top} \bar z_r +"
        r" U_u^{\top} \bar z_u, \quad \bar U_c = \sum_t \bar z_c (r \odot h_{t-1})^{\top}",
    ),
    "linear_recurrence": _LINEAR,
    "linear_recurrence_in_blocks(2)": (
        r"h_t = a_t \odot h_{t-1} + b_t = P_t \odot h_k + g_t, \quad P_t = a_{k+1} \odot \cdots \odot a_t",
        _LINEAR[1],
    ),
    "selective_scan(2)": (
        r"y_t = h_t C_t + D \odot x_t, \quad h_t = a_t \odot h_{t-1} + (\Delta_t \odot x_t) B_t^{\top}, \quad"
        r" a_t = e^{\Delta_t A}, \quad A = -e^{A_{\log}}",
        r"\lambda_t = \bar y_t C_t^{\top} + a_{t+1} \odot \lambda_{t+1}, \quad w_t = \lambda_t \odot h_{t-1}"
        r" \odot a_t, \quad e_t = \lambda_t B_t, \quad \bar C_t = h_t^{\top} \bar y_t, \quad \bar B_t ="
        r" \lambda_t^{\top} (\Delta_t \odot x_t), \quad \bar x_t = D \odot \bar y_t + \Delta_t \odot e_t,"
        r" \quad \bar \Delta_t = x_t \odot e_t + w_t \cdot A, \quad \bar A_{\log} = A \odot \sum_t \Delta_t"
        r" w_t, \quad \bar D = \sum_t \bar y_t \odot x_t",
    ),
}
