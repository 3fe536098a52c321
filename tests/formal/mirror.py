"""The formal definitions in jnp, one function each, under the same name and in the same order.

Samples are columns here, as in the development: z = W X + b is the transpose of the shipped x Wᵀ + b. A
layer's parameters are a pair (W, b), and an architecture is the tuple of its activations; widths come from
the arrays. What is a proposition there is a function to bool here, true at a point or not.
The comment above each function quotes the definition that it mirrors: one that changes in proofs/formal
without its mirror fails a test. Nothing shipped is imported.
"""

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


# bias.v
# Definition augmented_W W b : 'M[R]_(m.+1, n.+1 + 1) := row_mx W b.
def augmented_W(W, b):
    return jnp.concatenate([W, b], axis=1)


# Definition augmented_a a : 'M[R]_(n.+1 + 1, B.+1) := col_mx a (const_mx 1).
def augmented_a(a):
    return jnp.concatenate([a, jnp.ones((1, a.shape[1]), a.dtype)])


# descent.v
# Definition two_phase eta n m p (A : arch R n m p) (th : params A) (x : bat n) (g : bat p) : params A :=
#   th - eta *: grads th x g.
def two_phase(eta, A, th, x, g):
    return jax.tree.map(lambda p, dp: p - eta * dp, th, grads(A, th, x, g))


# Fixpoint in_sweep eta n m p (A : arch R n m p) :
#     params A -> bat n -> bat p -> params A * bat n :=
#   match A with
#   | Last _ _ s => fun th a g =>
#       let d := g ⊙ map_mx (slope s) (z1 th a) in
#       ((th.1 - eta *: (d *m a^T), th.2 - eta *: sum_samples d), th.1^T *m d)
#   | Layer _ _ _ _ s A' => fun th a g =>
#       let z := z1 th a in
#       let above := in_sweep eta th.2 (map_mx (act s) z) g in
#       let d := above.2 ⊙ map_mx (slope s) z in
#       (((th.1.1 - eta *: (d *m a^T), th.1.2 - eta *: sum_samples d), above.1), th.1.1^T *m d)
#   end.
def in_sweep(eta, A, th, a, g):
    above, error = ((), g) if len(A) == 1 else in_sweep(eta, A[1:], th[1:], A[0].act(z1(th, a)), g)
    d = had(error, A[0].slope(z1(th, a)))
    (W, b) = th[0]
    return ((W - eta * (d @ a.T), b - eta * sum_samples(d)), *above), W.T @ d


# Fixpoint update_first eta n m p (A : arch R n m p) :
#     params A -> bat n -> bat p -> params A * bat n :=
#   match A with
#   | Last _ _ s => fun th a g =>
#       let d := g ⊙ map_mx (slope s) (z1 th a) in
#       let W := th.1 - eta *: (d *m a^T) in
#       ((W, th.2 - eta *: sum_samples d), W^T *m d)
#   | Layer _ _ _ _ s A' => fun th a g =>
#       let z := z1 th a in
#       let above := update_first eta th.2 (map_mx (act s) z) g in
#       let d := above.2 ⊙ map_mx (slope s) z in
#       let W := th.1.1 - eta *: (d *m a^T) in
#       (((W, th.1.2 - eta *: sum_samples d), above.1), W^T *m d)
#   end.
def update_first(eta, A, th, a, g):
    above, error = ((), g) if len(A) == 1 else update_first(eta, A[1:], th[1:], A[0].act(z1(th, a)), g)
    d = had(error, A[0].slope(z1(th, a)))
    W = W1(th) - eta * (d @ a.T)
    return ((W, b1(th) - eta * sum_samples(d)), *above), W.T @ d


# Definition smallest : arch R 0 0 0 := Layer 0 linear (Last 0 0 linear).
smallest = arch(identity, identity)


# Definition ones : params smallest := ((1%:M, 0), (1%:M, 0)).
def ones():
    return ((jnp.ones((1, 1)), jnp.zeros((1, 1))),) * 2


# documents.v
# Fixpoint smooth n m p (A : arch R n m p) : Prop :=
#   match A with
#   | Last _ _ s => forall x, is_derive x 1 (act s) (slope s x)
#   | Layer _ _ _ _ s A' => (forall x, is_derive x 1 (act s) (slope s x)) /\ smooth A'
#   end.
def smooth(A):
    return all(s in (identity, sigmoid, tanh, softplus) for s in A)  # proved of these


# Fixpoint relu_net n m p (A : arch R n m p) : Prop :=
#   match A with
#   | Last _ _ s => s = identity R
#   | Layer _ _ _ _ s A' => s = relu R /\ relu_net A'
#   end.
def relu_net(A):
    return all(s is relu for s in A[:-1]) and A[-1] is identity


# Fixpoint off_kinks n m p (A : arch R n m p) B : params A -> batch R m B -> Prop :=
#   match A with
#   | Last _ _ _ => fun _ _ => True
#   | Layer _ _ _ _ s A' => fun th z =>
#       (forall i j, z i j != 0) /\ off_kinks th.2 (z1 th.2 (map_mx (act s) z))
#   end.
def off_kinks(A, th, z):
    return len(A) == 1 or (bool((z != 0).all()) and off_kinks(A[1:], th[1:], z1(th[1:], A[0].act(z))))


# Definition testnet : arch R 2 3 1 := Layer 2 (relu R) (Last 3 1 (identity R)).
testnet = arch(relu, identity)


# scaling.v
# Fixpoint no_bias n m p (A : arch R n m p) : params A -> Prop :=
#   match A with
#   | Last _ _ _ => fun th => th.2 = 0
#   | Layer _ _ _ _ _ A' => fun th => th.1.2 = 0 /\ no_bias th.2
#   end.
def no_bias(th):
    return all(bool((b == 0).all()) for _, b in th)


# Fixpoint rescale (k l : R) n m p (A : arch R n m p) : params A -> params A :=
#   match A with
#   | Last _ _ _ => fun th => (k *: th.1, l *: th.2)
#   | Layer _ _ _ _ _ A' => fun th => ((k *: th.1.1, l *: th.1.2), rescale k l th.2)
#   end.
def rescale(k, l, th):  # noqa: E741 - the formal letter
    return tuple((k * W, l * b) for W, b in th)


# Definition label_error (v : vec R n) : vec R 1 := softmax (forward th v) - one_hot R y.
def label_error(A, th, y, v):
    z = forward(A, th, v)
    return softmax(z) - one_hot(y, z.shape[0])


# Definition lead : R := forward th x y' ord0 - forward th x y ord0.
def lead(A, th, x, y, other):
    z = forward(A, th, x)
    return z[other, 0] - z[y, 0]


# Definition claim_of_document_003 : Prop :=
#   forall n m (A : arch R n m 1) (th : params A) (x : vec R n) (y : 'I_2),
#   relu_net A ->
#   1000%:R * `|W1 (grads th x (label_error th y x))| <=
#     `|W1 (grads th (1000%:R *: x) (label_error th y (1000%:R *: x)))|.
def claim_of_document_003(A, th, x, y):
    before, after = (W1(grads(A, th, v, label_error(A, th, y, v))) for v in (x, 1000 * x))
    return 1000 * abs(before).max() <= abs(after).max()
