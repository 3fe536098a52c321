(* network.v -- the network, its forward pass and its backward pass: what is proved right.

   These definitions, with [is_grad] of gradient.v and the four products of products.v, are
   what a person has to read: nothing checks that they are the documents' formulas.
   The samples of a batch are the columns of a matrix. A width or batch size written n is
   n + 1: the library makes only non-empty matrices a normed space. *)
From Backproof Require Import prelude products.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Notation vec R n := 'cV[R]_n.+1.
Notation mat R m n := 'M[R]_(m.+1, n.+1).
Notation batch R n B := 'M[R]_(n.+1, B.+1).

Section Network.
Variable R : realType.

(* An activation σ, and the function that the backward pass takes for its slope σ′ (S0.2). *)
Record activation := Activation { act : R -> R; slope : R -> R }.

(* The layers from here to the output, with widths n, m, …, p and the σ of each layer (S3.3). *)
Inductive arch : nat -> nat -> nat -> Type :=
| Last n m : activation -> arch n m m
| Layer n m k p : activation -> arch m k p -> arch n m p.

(* The normed space of all parameters (W^1, b^1), …, (W^L, b^L), W^l being n_l × n_{l−1} (S2.2). *)
Fixpoint params n m p (A : arch n m p) : normedModType R :=
  match A with
  | Last n m _ => [normedModType R of (mat R m n * vec R m)%type]
  | Layer n m _ _ _ A' => [normedModType R of ((mat R m n * vec R m) * params A')%type]
  end.

(* W of the first of these layers. *)
Definition W1 n m p (A : arch n m p) : params A -> mat R m n :=
  match A with
  | Last _ _ _ => fun th => th.1
  | Layer _ _ _ _ _ _ => fun th => th.1.1
  end.

(* b of the first of these layers. *)
Definition b1 n m p (A : arch n m p) : params A -> vec R m :=
  match A with
  | Last _ _ _ => fun th => th.2
  | Layer _ _ _ _ _ _ => fun th => th.1.2
  end.

(* z^l = W^l a^{l−1} + b^l (S0.8, S1.1, S3.4), b in every column of the batch. *)
Definition z1 n m p (A : arch n m p) B (th : params A) (a : batch R n B) : batch R m B :=
  W1 th *m a + spread B.+1 (b1 th).

(* The output a^L as a function of z^l: σ on the last layer; before it a^l = σ(z^l), then z^{l+1} (S0.10). *)
Fixpoint from_z n m p (A : arch n m p) B : params A -> batch R m B -> batch R p B :=
  match A with
  | Last _ _ s => fun th z => map_mx (act s) z
  | Layer _ _ _ _ s A' => fun th z => from_z th.2 (z1 th.2 (map_mx (act s) z))
  end.

(* The forward pass: the output a^L as a function of the input a^{l−1} (S0.2, S1.1, S2.4). *)
Definition forward n m p (A : arch n m p) B (th : params A) (a : batch R n B) : batch R p B :=
  from_z th (z1 th a).

(* δ^L = ∂J/∂a^L ⊙ σ′(z^L) and δ^l = (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l), g being ∂J/∂a^L (S0.3, S0.12). *)
Fixpoint delta n m p (A : arch n m p) B :
    params A -> batch R m B -> batch R p B -> batch R m B :=
  match A with
  | Last _ _ s => fun th z g =>
      g ⊙ map_mx (slope s) z
  | Layer _ _ _ _ s A' => fun th z g =>
      let z' := z1 th.2 (map_mx (act s) z) in
      (W1 th.2)^T *m delta th.2 z' g ⊙ map_mx (slope s) z
  end.

(* ∂J/∂W^l = δ^l (a^{l−1})ᵀ and ∂J/∂b^l = δ^l, both summed over the samples, for every layer (S0.8, S1.8). *)
Fixpoint grads n m p (A : arch n m p) B :
    params A -> batch R n B -> batch R p B -> params A :=
  match A with
  | Last _ _ s => fun th a g =>
      let d := delta th (z1 th a) g in
      (d *m a^T, sum_samples d)
  | Layer _ _ _ _ s A' => fun th a g =>
      let d := delta th (z1 th a) g in
      ((d *m a^T, sum_samples d), grads th.2 (map_mx (act s) (z1 th a)) g)
  end.

(* ∂J/∂a^{l−1} = (W^l)ᵀ δ^l, the error that travels to the layer below (S3.12, S2.9). *)
Definition grad_in n m p (A : arch n m p) B (th : params A) (a : batch R n B)
    (g : batch R p B) : batch R n B :=
  (W1 th)^T *m delta th (z1 th a) g.

(* The inner product of two sets of parameters: the sum over all layers of <W, W'> + <b, b'>. *)
Fixpoint pdot n m p (A : arch n m p) : params A -> params A -> R :=
  match A with
  | Last _ _ _ => fun G H => dot G.1 H.1 + dot G.2 H.2
  | Layer _ _ _ _ _ A' => fun G H =>
      dot G.1.1 H.1.1 + dot G.1.2 H.1.2 + pdot G.2 H.2
  end.

(* σ′ is the derivative of σ at every entry of z (for ReLU: no entry is 0). *)
Definition regular_at m B (s : activation) (z : batch R m B) : Prop :=
  forall i j, is_derive (z i j) 1 (act s) (slope s (z i j)).

(* The same at this z and at the z of every later layer: the one hypothesis about the point. *)
Fixpoint regular n m p (A : arch n m p) B : params A -> batch R m B -> Prop :=
  match A with
  | Last _ _ s => fun th z => regular_at s z
  | Layer _ _ _ _ s A' => fun th z =>
      regular_at s z /\ regular th.2 (z1 th.2 (map_mx (act s) z))
  end.

End Network.
