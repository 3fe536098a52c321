"""Steps of descent, the documents' networks, and inputs × 1000."""

import jax
import jax.numpy as jnp

from mirror.activations_and_losses import identity, one_hot, relu, sigmoid, softmax, softplus, tanh
from mirror.networks import W1, arch, b1, forward, grads, had, sum_samples, z1


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


# Definition label_error (v : vec R n) : vec R p := softmax (forward th v) - one_hot R y.
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


# scaling_limits.v
# Definition three : arch R 0 2 2 := Last 0 2 (identity R).
three = arch(identity)


# Definition three_weights : params three := (\col_i nth 0 [:: 0; 10%:R^-1; - 10%:R] i, 0).
def three_weights():
    return ((jnp.array([[0.0], [1 / 10], [-10.0]]), jnp.zeros((3, 1))),)


# Definition testnet_weights : params net :=
#   ((const_mx 1, 0), (\matrix_(i, j) (i == ord0)%:R, 0)).
def testnet_weights():
    first = jnp.ones((4, 3)), jnp.zeros((4, 1))
    return first, (jnp.array([[1.0] * 4, [0.0] * 4]), jnp.zeros((2, 1)))
