(* documents.v -- the documents' own networks, with the hypotheses of the general theorems met. *)
From Backproof Require Import prelude products gradient network recursion parameters.
From Backproof Require Import identity sigmoid tanh softplus relu.
From Backproof Require Import half_squared_error softmax_cross_entropy.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Smooth.
Variables (R : realType) (B : nat).
Notation bat n := (batch R n B).

(* Every σ of the network is differentiable everywhere, with slope σ′. *)
Fixpoint smooth n m p (A : arch R n m p) : Prop :=
  match A with
  | Last _ _ s => forall x, is_derive x 1 (act s) (slope s x)
  | Layer _ _ _ _ s A' => (forall x, is_derive x 1 (act s) (slope s x)) /\ smooth A'
  end.

(* Such a network is regular at every point: nothing is assumed of parameters or inputs (S0.2). *)
Theorem smooth_is_regular n m p (A : arch R n m p) (th : params A) (z : bat m) :
  smooth A -> regular th z.
Proof.
elim: A th z => [{}n {}m s|{}n {}m k {}p s A ih] th z; first by move=> ss i j; exact: ss.
by case=> ss sA; split; [move=> i j; exact: ss|exact: ih].
Qed.

(* Document 000: J = ½ ‖a^L − y‖² over any smooth network, all gradients from δ^L = (a^L − y) ⊙ σ′(z^L)
   (S0.1 to S0.12). *)
Theorem document_000 n m p (A : arch R n m p) (th : params A) (x : bat n) (y : bat p) :
  smooth A ->
  is_diff (x, th)
    (fun q : bat n * params A => half_squared_error y (forward q.2 q.1))
    (fun h => dot (grad_in th x (forward th x - y)) h.1
            + pdot (grads th x (forward th x - y)) h.2).
Proof.
move=> sA; apply: backprop_correct; first exact: smooth_is_regular.
exact: half_squared_error_gradient.
Qed.

(* For instance tanh, softplus and a sigmoid on the output: smooth, whatever the widths (S0.2). *)
Theorem smooth_example n h k p :
  smooth (Layer n (tanh R) (Layer h (softplus R) (Last k p (sigmoid R)))).
Proof.
split; first exact: tanh_derivative.
by split; [exact: softplus_derivative|exact: sigmoid_derivative].
Qed.

End Smooth.

Section Relu.
Variable R : realType.

(* ReLU on the hidden layers, no activation on the last (S1.1, S3.4, S3.5). *)
Fixpoint relu_net n m p (A : arch R n m p) : Prop :=
  match A with
  | Last _ _ s => s = identity R
  | Layer _ _ _ _ s A' => s = relu R /\ relu_net A'
  end.

(* No entry of a hidden z is 0: the point stands at no kink. *)
Fixpoint off_kinks n m p (A : arch R n m p) B : params A -> batch R m B -> Prop :=
  match A with
  | Last _ _ _ => fun _ _ => True
  | Layer _ _ _ _ s A' => fun th z =>
      (forall i j, z i j != 0) /\ off_kinks th.2 (z1 th.2 (map_mx (act s) z))
  end.

(* A ReLU network is regular off its kinks (S1.5, S1.7). *)
Theorem relu_net_is_regular n m p (A : arch R n m p) (th : params A) B (z : batch R m B) :
  relu_net A -> off_kinks th z -> regular th z.
Proof.
elim: A th z => [{}n {}m s|{}n {}m k {}p s A ih] th z.
  by move=> -> _ i j; exact: identity_derivative.
case=> -> rA [z0 oA]; split; first exact: relu_regular.
exact: ih.
Qed.

(* Document 001: any loss over a ReLU network, off the kinks, all gradients from ∂J/∂z_M
   (S1.1 to S1.6). *)
Theorem document_001 n m p (A : arch R n m p) (th : params A) B (x : batch R n B)
    (J : batch R p B -> R) (g : batch R p B) :
  relu_net A -> off_kinks th (z1 th x) -> is_grad J (forward th x) g ->
  is_diff (x, th)
    (fun q : batch R n B * params A => J (forward q.2 q.1))
    (fun h => dot (grad_in th x g) h.1 + pdot (grads th x g) h.2).
Proof. by move=> rA oA; apply: backprop_correct; exact: relu_net_is_regular. Qed.

(* Document 003: softmax and the cross-entropy of the class k over a ReLU network of any depth, off the
   kinks, all gradients from δ^L = p − 1(y = k) (S3.11 to S3.16). *)
Theorem document_003 n m p (A : arch R n m p) (th : params A) (x : vec R n) (k : 'I_p.+1)
    (g := softmax (forward th x) - one_hot R k) :
  relu_net A -> off_kinks th (z1 th x) ->
  is_diff (x, th)
    (fun q : vec R n * params A => cross_entropy (one_hot R k) (forward q.2 q.1))
    (fun h => dot (grad_in th x g) h.1 + pdot (grads th x g) h.2).
Proof.
move=> rA oA; apply: document_001 => //; exact: cross_entropy_gradient_one_hot.
Qed.

(* TestNet: 3 inputs, 4 hidden units, 2 classes, a width written n being n + 1 (S3.3). *)
Definition testnet : arch R 2 3 1 := Layer 2 (relu R) (Last 3 1 (identity R)).

(* TestNet is such a network (S3.3, S3.5). *)
Theorem testnet_is_a_relu_net : relu_net testnet.
Proof. by []. Qed.

End Relu.
