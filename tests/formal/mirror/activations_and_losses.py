"""The activations, the losses and the bias as a column."""

import jax.numpy as jnp

from mirror.networks import activation, dot

# identity.v
# Definition identity : activation R := Activation id (fun=> 1).
identity = activation(lambda x: x, jnp.ones_like)


# sigmoid.v
# Definition sigmoid_value x : R := (1 + expR (- x))^-1.
def sigmoid_value(x):
    return 1 / (1 + jnp.exp(-x))


# Definition sigmoid : activation R :=
#   Activation sigmoid_value (fun x => sigmoid_value x * (1 - sigmoid_value x)).
sigmoid = activation(sigmoid_value, lambda x: sigmoid_value(x) * (1 - sigmoid_value(x)))


# tanh.v
# Definition tanh_value x : R := (expR x - expR (- x)) / (expR x + expR (- x)).
def tanh_value(x):
    return (jnp.exp(x) - jnp.exp(-x)) / (jnp.exp(x) + jnp.exp(-x))


# Definition tanh : activation R := Activation tanh_value (fun x => 1 - tanh_value x ^+ 2).
tanh = activation(tanh_value, lambda x: 1 - tanh_value(x) ** 2)


# softplus.v
# Definition softplus : activation R :=
#   Activation (fun x => ln (1 + expR x)) (@sigmoid_value R).
softplus = activation(lambda x: jnp.log(1 + jnp.exp(x)), sigmoid_value)


# relu.v
# Definition strict_gate x : R := (0 < x)%R%:R.
def strict_gate(x):
    return (x > 0).astype(x.dtype)


# Definition weak_gate x : R := (0 <= x)%R%:R.
def weak_gate(x):
    return (x >= 0).astype(x.dtype)


# Definition relu : activation R := Activation (fun x => Num.max 0 x) strict_gate.
relu = activation(lambda x: jnp.maximum(0, x), strict_gate)


# half_squared_error.v
# Definition half_squared_error y a : R := 2^-1 * dot (a - y) (a - y).
def half_squared_error(y, a):
    return dot(a - y, a - y) / 2


# softmax_cross_entropy.v
# Definition softmax z : vec R n :=
#   \col_i (expR (z i ord0) / \sum_k expR (z k ord0)).
def softmax(z):
    return jnp.exp(z) / jnp.exp(z).sum()


# Definition cross_entropy t z : R := - \sum_k t k ord0 * ln (softmax z k ord0).
def cross_entropy(t, z):
    return -(t * jnp.log(softmax(z))).sum()


# Definition one_hot k : vec R n := delta_mx k ord0.
def one_hot(k, n):
    return jnp.zeros((n, 1)).at[k, 0].set(1.0)


# softmax_jacobian.v
# Definition softmax_jacobian z : mat R n n :=
#   diag_mx (softmax z)^T - softmax z *m (softmax z)^T.
def softmax_jacobian(z):
    return jnp.diag(softmax(z)[:, 0]) - softmax(z) @ softmax(z).T


# bias.v
# Definition augmented_W W b : 'M[R]_(m.+1, n.+1 + 1) := row_mx W b.
def augmented_W(W, b):
    return jnp.concatenate([W, b], axis=1)


# Definition augmented_a a : 'M[R]_(n.+1 + 1, B.+1) := col_mx a (const_mx 1).
def augmented_a(a):
    return jnp.concatenate([a, jnp.ones((1, a.shape[1]), a.dtype)])
