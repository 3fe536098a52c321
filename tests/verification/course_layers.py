"""Layers as courses ask for them, in NumPy: `forward(*args) -> (out, cache)`, `backward(dout, cache)`.

The signatures are those of the assignments of Stanford's cs231n; the code is our own. Each layer comes with a
backward pass that is right, and one with a slip that students make.
"""

import numpy as np

import backproof as bp

A = bp.array
EPS = 1e-5


def affine_forward(x, w, b):
    return x.reshape(x.shape[0], -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T @ dout, dout.sum(axis=0)


def affine_with_a_mean(dout, cache):
    x, w = cache
    db = dout.mean(axis=0)  # slip
    return (dout @ w.T).reshape(x.shape), x.reshape(x.shape[0], -1).T @ dout, db


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    dx = np.array(dout, copy=True)
    dx[cache <= 0] = 0
    return dx


def relu_gated_by_dout(dout, cache):
    dx = np.array(dout, copy=True)
    dx[dout <= 0] = 0  # slip
    return dx


def normalised_forward(axis):
    def forward(x, gamma, beta):
        centred = x - x.mean(axis=axis, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=axis, keepdims=True) + EPS)
        hat = centred / deviation
        return gamma * hat + beta, (hat, deviation, gamma)

    return forward


def normalised_backward(axis):
    def backward(dout, cache):
        hat, deviation, gamma = cache
        u = dout * gamma
        inner = (u * hat).mean(axis=axis, keepdims=True)
        dx = (u - u.mean(axis=axis, keepdims=True) - hat * inner) / deviation
        return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)

    return backward


def batchnorm_without_variance(dout, cache):
    hat, deviation, gamma = cache
    u = dout * gamma
    dx = (u - u.mean(axis=0)) / deviation  # slip
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


def layernorm_over_the_batch(dout, cache):
    hat, deviation, gamma = cache
    u = dout * gamma
    middle = u.mean(axis=0, keepdims=True)  # slip
    dx = (u - middle - hat * (u * hat).mean(axis=1, keepdims=True)) / deviation
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


def dropout_forward(x, settings):
    np.random.seed(settings["seed"])  # noqa: NPY002 - as the course does
    mask = (np.random.rand(*x.shape) < settings["p"]) / settings["p"]  # noqa: NPY002
    return x * mask, mask


def dropout_backward(dout, cache):
    return dout * cache


def dropout_unscaled(dout, cache):
    return dout * (cache > 0)  # slip


def windows(array, kernel, settings):
    """Yield, for each place of the output, the slices of the padded input."""
    step, height, width = settings["stride"], *kernel
    for i in range((array.shape[2] - height) // step + 1):
        for j in range((array.shape[3] - width) // step + 1):
            yield i, j, np.s_[:, :, i * step : i * step + height, j * step : j * step + width]


def padded(x, settings):
    pad = settings["pad"]
    return np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))


def conv_forward(x, w, b, settings):
    wide = padded(x, settings)
    rows, columns = ((wide.shape[i] - w.shape[i]) // settings["stride"] + 1 for i in (2, 3))
    out = np.zeros((x.shape[0], w.shape[0], rows, columns))
    for i, j, there in windows(wide, w.shape[2:], settings):
        for f in range(w.shape[0]):
            out[:, f, i, j] = np.sum(wide[there] * w[f], axis=(1, 2, 3)) + b[f]
    return out, (x, w, settings)


def conv_backward(dout, cache):
    x, w, settings = cache
    wide, pad = padded(x, settings), settings["pad"]
    dwide, dw = np.zeros_like(wide), np.zeros_like(w)
    for i, j, there in windows(wide, w.shape[2:], settings):
        for f in range(w.shape[0]):
            dw[f] += np.sum(wide[there] * dout[:, f, i, j][:, None, None, None], axis=0)
            dwide[there] += w[f] * dout[:, f, i, j][:, None, None, None]
    inside = np.s_[pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dwide[:, :, inside[0], inside[1]], dw, dout.sum(axis=(0, 2, 3))


def conv_overwriting(dout, cache):
    x, w, settings = cache
    wide, pad = padded(x, settings), settings["pad"]
    dwide, dw = np.zeros_like(wide), np.zeros_like(w)
    for i, j, there in windows(wide, w.shape[2:], settings):
        for f in range(w.shape[0]):
            dw[f] += np.sum(wide[there] * dout[:, f, i, j][:, None, None, None], axis=0)
            dwide[there] = w[f] * dout[:, f, i, j][:, None, None, None]  # slip
    inside = np.s_[pad : pad + x.shape[2], pad : pad + x.shape[3]]
    return dwide[:, :, inside[0], inside[1]], dw, dout.sum(axis=(0, 2, 3))


def pool_forward(x, settings):
    kernel = settings["height"], settings["width"]
    rows, columns = ((x.shape[2 + i] - kernel[i]) // settings["stride"] + 1 for i in (0, 1))
    out = np.zeros((*x.shape[:2], rows, columns))
    for i, j, there in windows(x, kernel, settings):
        out[:, :, i, j] = np.max(x[there], axis=(2, 3))
    return out, (x, out, settings)


def pool_backward(dout, cache):
    x, out, settings = cache
    dx = np.zeros_like(x)
    for i, j, there in windows(x, (settings["height"], settings["width"]), settings):
        largest = x[there] == out[:, :, i, j][:, :, None, None]
        share = largest / largest.sum(axis=(2, 3), keepdims=True)
        dx[there] += share * dout[:, :, i, j][:, :, None, None]
    return dx


def pool_to_every_entry(dout, cache):
    x, _, settings = cache
    dx = np.zeros_like(x)
    for i, j, there in windows(x, (settings["height"], settings["width"]), settings):
        dx[there] += dout[:, :, i, j][:, :, None, None]  # slip
    return dx


def softmax_loss(x, y):
    rows = np.arange(x.shape[0])
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    dx = np.exp(log_p)
    dx[rows, y] -= 1
    return -np.sum(log_p[rows, y]) / x.shape[0], dx / x.shape[0]


def softmax_loss_not_averaged(x, y):
    rows = np.arange(x.shape[0])
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    dx = np.exp(log_p)
    dx[rows, y] -= 1
    return -np.sum(log_p[rows, y]) / x.shape[0], dx  # slip


def svm_loss(x, y):
    rows = np.arange(x.shape[0])
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] -= np.sum(margins > 0, axis=1)
    return np.sum(margins) / x.shape[0], dx / x.shape[0]


def svm_loss_with_one(x, y):
    rows = np.arange(x.shape[0])
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] -= 1  # slip
    return np.sum(margins) / x.shape[0], dx / x.shape[0]


def rnn_step_forward(x, h, wx, wh, b):
    new = np.tanh(x @ wx + h @ wh + b)
    return new, (x, h, wx, wh, new)


def rnn_step_backward(dnew, cache):
    x, h, wx, wh, new = cache
    dz = dnew * (1 - new**2)
    return dz @ wx.T, dz @ wh.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def rnn_step_without_transpose(dnew, cache):
    x, h, wx, wh, new = cache
    dz = dnew * (1 - new**2)
    dh = dz @ wh  # slip
    return dz @ wx.T, dh, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_step_forward(x, h, c, wx, wh, b):
    size = h.shape[1]
    a = x @ wx + h @ wh + b
    i, f, o = (sigmoid(a[:, k * size : (k + 1) * size]) for k in range(3))
    g = np.tanh(a[:, 3 * size :])
    new = f * c + i * g
    return o * np.tanh(new), new, (x, h, c, wx, wh, i, f, o, g, new)


def lstm_step_backward(dh, dnew, cache):
    x, h, c, wx, wh, i, f, o, g, new = cache
    t = np.tanh(new)
    dc = dnew + dh * o * (1 - t**2)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g**2)])
    return da @ wx.T, da @ wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_step_with_the_new_state(dh, dnew, cache):
    x, h, _, wx, wh, i, f, o, g, new = cache
    t = np.tanh(new)
    dc = dnew + dh * o * (1 - t**2)
    df = dc * new * f * (1 - f)  # slip
    da = np.hstack([dc * g * i * (1 - i), df, dh * t * o * (1 - o), dc * i * (1 - g**2)])
    return da @ wx.T, da @ wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


NORMED = [A("n+1 d+1"), A("d+1"), A("d+1")]
STEP = [A("n d"), A("n h"), A("d h"), A("h h"), A("h")]
GATES = [A("n d"), A("n h"), A("n h"), A("d 4*h"), A("h 4*h"), A("4*h")]
# name: forward, right backward, backward with a slip, arguments
LAYERS = {
    "affine": (affine_forward, affine_backward, affine_with_a_mean, [A("n a b"), A("a*b m"), A("m")]),
    "relu": (relu_forward, relu_backward, relu_gated_by_dout, [A("n d")]),
    "batchnorm": (normalised_forward(0), normalised_backward(0), batchnorm_without_variance, NORMED),
    "layernorm": (normalised_forward(1), normalised_backward(1), layernorm_over_the_batch, NORMED),
    "dropout": (dropout_forward, dropout_backward, dropout_unscaled,
                [A("n d"), {"mode": "train", "p": 0.5, "seed": 1}]),
    "conv": (conv_forward, conv_backward, conv_overwriting,
             [A("2 2 3 3"), A("2 2 2 2"), A("2"), {"stride": 1, "pad": 1}]),
    "pool": (pool_forward, pool_backward, pool_to_every_entry,
             [A("2 2 4 4"), {"height": 2, "width": 2, "stride": 2}]),
    "rnn step": (rnn_step_forward, rnn_step_backward, rnn_step_without_transpose, STEP),
    "lstm step": (lstm_step_forward, lstm_step_backward, lstm_step_with_the_new_state, GATES),
}  # fmt: skip
# name: loss and gradient, the same with a slip
LOSSES = {
    "softmax": (softmax_loss, softmax_loss_not_averaged),
    "svm": (svm_loss, svm_loss_with_one),
}
LABELLED = [A("n+1 c+1"), bp.integers("n+1", 0, "c")]
