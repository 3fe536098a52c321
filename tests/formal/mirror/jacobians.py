"""Products of Jacobians, document 002's g^k, a residual connection and layer norm."""

import jax
import jax.numpy as jnp

from mirror.networks import W1, dot, forward, z1


# jacobians.v
# Definition is_jacobian m n (f : vec n -> vec m) (x : vec n) (M : mat m n) : Prop :=
#   is_diff x f (mulmx M).
def is_jacobian(f, x, M):
    J = jax.jacobian(lambda v: f(v[:, None])[:, 0])(x[:, 0])
    return J, M  # equal, which the caller asserts within rounding


# Definition scaled_columns m n (W : mat m n) (d : vec n) : mat m n :=
#   \matrix_(i, j) (W i j * d j ord0).
def scaled_columns(W, d):
    return W * d.T


# Fixpoint last_act n m p (A : arch R n m p) : activation R :=
#   match A with
#   | Last _ _ s => s
#   | Layer _ _ _ _ _ A' => last_act A'
#   end.
def last_act(A):
    return A[-1]


# Fixpoint last_z n m p (A : arch R n m p) : params A -> vec m -> vec p :=
#   match A with
#   | Last _ _ _ => fun _ z => z
#   | Layer _ _ _ _ s A' => fun th z => last_z th.2 (z1 th.2 (map_mx (act s) z))
#   end.
def last_z(A, th, z):
    return z if len(A) == 1 else last_z(A[1:], th[1:], z1(th[1:], A[0].act(z)))


# Fixpoint jacobian_product n m p (A : arch R n m p) : params A -> vec m -> mat p m :=
#   match A with
#   | Last _ _ _ => fun _ _ => 1%:M
#   | Layer _ _ _ _ s A' => fun th z =>
#       jacobian_product th.2 (z1 th.2 (map_mx (act s) z)) *m
#       scaled_columns (W1 th.2) (map_mx (slope s) z)
#   end.
def jacobian_product(A, th, z):
    if len(A) == 1:
        return jnp.eye(len(z))
    above = jacobian_product(A[1:], th[1:], z1(th[1:], A[0].act(z)))
    return above @ scaled_columns(W1(th[1:]), A[0].slope(z))


# chain.v
# Fixpoint g_from n m p (A : arch R n m p) : (bat p -> R) -> params A -> bat n -> R :=
#   match A with
#   | Last _ _ s => fun g th y => g (map_mx (act s) (z1 th y))
#   | Layer _ _ _ _ s A' => fun g th y => g_from g th.2 (map_mx (act s) (z1 th y))
#   end.
def g_from(A, g, th, y):
    a = A[0].act(z1(th, y))
    return g(a) if len(A) == 1 else g_from(A[1:], g, th[1:], a)


# Definition scaled_rows m n (d : vec m) (W : mat m n) : mat m n :=
#   \matrix_(i, j) (d i ord0 * W i j).
def scaled_rows(d, W):
    return d * W


# Fixpoint level_product n m p (A : arch R n m p) : params A -> vec n -> mat p n :=
#   match A with
#   | Last _ _ s => fun th x => scaled_rows (map_mx (slope s) (z1 th x)) (W1 th)
#   | Layer _ _ _ _ s A' => fun th x =>
#       level_product th.2 (map_mx (act s) (z1 th x)) *m
#       scaled_rows (map_mx (slope s) (z1 th x)) th.1.1
#   end.
def level_product(A, th, x):
    here = scaled_rows(A[0].slope(z1(th, x)), W1(th))
    return here if len(A) == 1 else level_product(A[1:], th[1:], A[0].act(z1(th, x))) @ here


# beyond.v
# Definition residual (th : params A) (x : bat n) : bat n := x + forward th x.
def residual(A, th, x):
    return x + forward(A, th, x)


# Definition mean z : R := n.+1%:R^-1 * \sum_i z i ord0.
def mean(z):
    return z.sum() / len(z)


# Definition centred z : vec R n := z - const_mx (mean z).
def centred(z):
    return z - mean(z)


# Definition deviation z : R := Num.sqrt (n.+1%:R^-1 * dot (centred z) (centred z) + eps).
def deviation(eps, z):
    return jnp.sqrt(dot(centred(z), centred(z)) / len(z) + eps)


# Definition layer_norm z : vec R n := (deviation z)^-1 *: centred z.
def layer_norm(eps, z):
    return centred(z) / deviation(eps, z)
