"""The network, its forward and its backward pass."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


# products.v
# Definition dot m n (A B : 'M[R]_(m, n)) : R := \sum_i \sum_j A i j * B i j.
def dot(A, B):
    return (A * B).sum()


# Definition had m n (A B : 'M[R]_(m, n)) : 'M[R]_(m, n) :=
#   \matrix_(i, j) (A i j * B i j).
def had(A, B):
    return A * B


# Definition spread m B (b : 'cV[R]_m) : 'M[R]_(m, B) := \matrix_(i, j) b i ord0.
def spread(B, b):
    return jnp.broadcast_to(b, (b.shape[0], B))


# Definition sum_samples m B (D : 'M[R]_(m, B)) : 'cV[R]_m := \col_i \sum_j D i j.
def sum_samples(D):
    return D.sum(axis=1, keepdims=True)


# gradient.v
# Definition is_grad f x g : Prop := is_diff x f (dot g).
def is_grad(f, x, g):
    return jax.grad(f)(x), g  # equal, which the caller asserts within rounding


# network.v
# Record activation := Activation { act : R -> R; slope : R -> R }.
class activation(NamedTuple):  # noqa: N801 - the formal name
    act: Any
    slope: Any


# Inductive arch : nat -> nat -> nat -> Type :=
# | Last n m : activation -> arch n m m
# | Layer n m k p : activation -> arch m k p -> arch n m p.
def arch(*sigmas):
    return sigmas


# Fixpoint params n m p (A : arch n m p) : normedModType R :=
#   match A with
#   | Last n m _ => [normedModType R of (mat R m n * vec R m)%type]
#   | Layer n m _ _ _ A' => [normedModType R of ((mat R m n * vec R m) * params A')%type]
#   end.
def params(*layers):
    return layers


# Definition W1 n m p (A : arch n m p) : params A -> mat R m n :=
#   match A with
#   | Last _ _ _ => fun th => th.1
#   | Layer _ _ _ _ _ _ => fun th => th.1.1
#   end.
def W1(th):
    return th[0][0]


# Definition b1 n m p (A : arch n m p) : params A -> vec R m :=
#   match A with
#   | Last _ _ _ => fun th => th.2
#   | Layer _ _ _ _ _ _ => fun th => th.1.2
#   end.
def b1(th):
    return th[0][1]


# Definition z1 n m p (A : arch n m p) B (th : params A) (a : batch R n B) : batch R m B :=
#   W1 th *m a + spread B.+1 (b1 th).
def z1(th, a):
    return W1(th) @ a + spread(a.shape[1], b1(th))


# Fixpoint from_z n m p (A : arch n m p) B : params A -> batch R m B -> batch R p B :=
#   match A with
#   | Last _ _ s => fun th z => map_mx (act s) z
#   | Layer _ _ _ _ s A' => fun th z => from_z th.2 (z1 th.2 (map_mx (act s) z))
#   end.
def from_z(A, th, z):
    if len(A) == 1:
        return A[0].act(z)
    return from_z(A[1:], th[1:], z1(th[1:], A[0].act(z)))


# Definition forward n m p (A : arch n m p) B (th : params A) (a : batch R n B) : batch R p B :=
#   from_z th (z1 th a).
def forward(A, th, a):
    return from_z(A, th, z1(th, a))


# Fixpoint delta n m p (A : arch n m p) B :
#     params A -> batch R m B -> batch R p B -> batch R m B :=
#   match A with
#   | Last _ _ s => fun th z g =>
#       g ⊙ map_mx (slope s) z
#   | Layer _ _ _ _ s A' => fun th z g =>
#       let z' := z1 th.2 (map_mx (act s) z) in
#       (W1 th.2)^T *m delta th.2 z' g ⊙ map_mx (slope s) z
#   end.
def delta(A, th, z, g):
    if len(A) == 1:
        return had(g, A[0].slope(z))
    above = z1(th[1:], A[0].act(z))
    return had(W1(th[1:]).T @ delta(A[1:], th[1:], above, g), A[0].slope(z))


# Fixpoint grads n m p (A : arch n m p) B :
#     params A -> batch R n B -> batch R p B -> params A :=
#   match A with
#   | Last _ _ s => fun th a g =>
#       let d := delta th (z1 th a) g in
#       (d *m a^T, sum_samples d)
#   | Layer _ _ _ _ s A' => fun th a g =>
#       let d := delta th (z1 th a) g in
#       ((d *m a^T, sum_samples d), grads th.2 (map_mx (act s) (z1 th a)) g)
#   end.
def grads(A, th, a, g):
    d = delta(A, th, z1(th, a), g)
    first = (d @ a.T, sum_samples(d))
    return (first,) if len(A) == 1 else (first, *grads(A[1:], th[1:], A[0].act(z1(th, a)), g))


# Definition grad_in n m p (A : arch n m p) B (th : params A) (a : batch R n B)
#     (g : batch R p B) : batch R n B :=
#   (W1 th)^T *m delta th (z1 th a) g.
def grad_in(A, th, a, g):
    return W1(th).T @ delta(A, th, z1(th, a), g)


# Fixpoint pdot n m p (A : arch n m p) : params A -> params A -> R :=
#   match A with
#   | Last _ _ _ => fun G H => dot G.1 H.1 + dot G.2 H.2
#   | Layer _ _ _ _ _ A' => fun G H =>
#       dot G.1.1 H.1.1 + dot G.1.2 H.1.2 + pdot G.2 H.2
#   end.
def pdot(G, H):
    return sum(dot(W, V) + dot(b, c) for (W, b), (V, c) in zip(G, H, strict=True))


# Definition regular_at m B (s : activation) (z : batch R m B) : Prop :=
#   forall i j, is_derive (z i j) 1 (act s) (slope s (z i j)).
def regular_at(s, z):
    return jnp.vectorize(jax.grad(s.act))(z), s.slope(z)  # equal, which the caller asserts


# Fixpoint regular n m p (A : arch n m p) B : params A -> batch R m B -> Prop :=
#   match A with
#   | Last _ _ s => fun th z => regular_at s z
#   | Layer _ _ _ _ s A' => fun th z =>
#       regular_at s z /\ regular th.2 (z1 th.2 (map_mx (act s) z))
#   end.
def regular(A, th, z):
    here = regular_at(A[0], z)
    return (here,) if len(A) == 1 else (here, *regular(A[1:], th[1:], z1(th[1:], A[0].act(z))))


# layers.v
# Fixpoint cat n m k (A : arch R n m k) : forall k' p, arch R k k' p -> arch R n m p :=
#   match A with
#   | Last n _ s => fun _ _ C => Layer n s C
#   | Layer n _ _ _ s A' => fun _ _ C => Layer n s (cat A' C)
#   end.
def cat(A, C):
    return (*A, *C)


# Fixpoint join n m k (A : arch R n m k) :
#     forall k' p (C : arch R k k' p), params A -> params C -> params (cat A C) :=
#   match A with
#   | Last _ _ _ => fun _ _ C th ph => (th, ph)
#   | Layer _ _ _ _ _ A' => fun _ _ C th ph => (th.1, join th.2 ph)
#   end.
def join(th, ph):
    return (*th, *ph)


# Definition set1 n m p (A : arch R n m p) (W : mat m n) (b : vec m) :
#     params A -> params A :=
#   match A as A in arch _ n m _ return mat m n -> vec m -> params A -> params A with
#   | Last _ _ _ => fun W b th => (W, b)
#   | Layer _ _ _ _ _ _ => fun W b th => ((W, b), th.2)
#   end W b.
def set1(W, b, th):
    return ((W, b), *th[1:])


# batch.v
# Definition sum_loss p B (l : 'I_B.+1 -> vec p -> R) (A : batch R p B) : R :=
#   \sum_i l i (col i A).
def sum_loss(losses, A):
    return sum(loss(A[:, [i]]) for i, loss in enumerate(losses))


# Definition mean_loss p B (l : 'I_B.+1 -> vec p -> R) (A : batch R p B) : R :=
#   B.+1%:R^-1 * sum_loss l A.
def mean_loss(losses, A):
    return sum_loss(losses, A) / A.shape[1]
