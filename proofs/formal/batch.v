(* batch.v -- the samples of a batch: each column is a sample on its own, the gradient of a
   sum over the samples is the sum of their gradients, and a mean divides all of it alike. *)
From Backproof Require Import prelude products differentials gradient network recursion parameters.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Batch.
Variable R : realType.
Notation vec n := (vec R n).

(* The sum over the batch of a loss l_i of each sample (S1.8). *)
Definition sum_loss p B (l : 'I_B.+1 -> vec p -> R) (A : batch R p B) : R :=
  \sum_i l i (col i A).

(* The mean over the batch: the sum divided by the number of samples (X.2). *)
Definition mean_loss p B (l : 'I_B.+1 -> vec p -> R) (A : batch R p B) : R :=
  B.+1%:R^-1 * sum_loss l A.

(* For one sample, the columns of the batch being one, z = W a + b with nothing repeated (S0.8). *)
Theorem one_sample_z n m p (A : arch R n m p) (th : params A) (x : vec n) :
  z1 th x = W1 th *m x + b1 th.
Proof. by rewrite /z1 spread1. Qed.

(* For one sample ∂J/∂b = δ with nothing to sum (S0.5, S1.3). *)
Theorem one_sample_db n m p (A : arch R n m p) (th : params A) (x : vec n) (g : vec p) :
  b1 (grads th x g) = delta th (z1 th x) g.
Proof. by case: A th x g => [? ? s|? ? ? ? s A] th x g; exact: sum_samples1. Qed.

(* Column i of z = W X + b is that of sample i alone (S1.8). *)
Lemma col_z1 n m p (A : arch R n m p) (th : params A) B (X : batch R n B) i :
  col i (z1 th X) = z1 th (col i X).
Proof.
apply/matrixP => j k; rewrite !mxE; congr (_ + _).
by apply: eq_bigr => l _; rewrite !mxE.
Qed.

Lemma col_map_mx m B (f : R -> R) (Z : batch R m B) i :
  map_mx f (col i Z) = col i (map_mx f Z).
Proof. by apply/matrixP => j l; rewrite !mxE. Qed.

Lemma col_from_z n m p (A : arch R n m p) (th : params A) B (Z : batch R m B) i :
  col i (from_z th Z) = from_z th (col i Z).
Proof.
elim: A th Z => [{}n {}m s|{}n {}m k {}p s A ih] th Z; first by rewrite /= col_map_mx.
transitivity (from_z th.2 (col i (z1 th.2 (map_mx (act s) Z)))); first exact: ih.
by rewrite col_z1 /= col_map_mx.
Qed.

(* The output for sample i depends on sample i alone (S1.8). *)
Theorem col_forward n m p (A : arch R n m p) (th : params A) B (X : batch R n B) i :
  col i (forward th X) = forward th (col i X).
Proof. by rewrite /forward col_from_z col_z1. Qed.

(* So does its error δ, at every layer (S1.8). *)
Theorem col_delta n m p (A : arch R n m p) (th : params A) B (Z : batch R m B) (G : batch R p B) i :
  col i (delta th Z G) = delta th (col i Z) (col i G).
Proof.
elim: A th Z G => [{}n {}m s|{}n {}m k {}p s A ih] th Z G.
  by apply/matrixP => j l; rewrite !mxE.
rewrite [RHS]delta_layer col_map_mx -col_z1 -ih.
apply/matrixP => j l; rewrite !mxE; congr (_ * _).
by apply: eq_bigr => q _; rewrite !mxE.
Qed.

(* The network is regular on a batch if it is on every sample (S1.8). *)
Theorem regular_columns n m p (A : arch R n m p) (th : params A) B (Z : batch R m B) :
  (forall i, regular th (col i Z)) -> regular th Z.
Proof.
elim: A th Z => [{}n {}m s|{}n {}m k {}p s A ih] th Z rZ.
  by move=> i j; have := rZ j i ord0; rewrite mxE.
split; first by move=> i j; have [r _] := rZ j; have := r i ord0; rewrite mxE.
by apply: ih => i; have [_ r] := rZ i; rewrite col_z1 -col_map_mx.
Qed.

Lemma outer_columns m n B (D : batch R m B) (X : batch R n B) :
  D *m X^T = \sum_i col i D *m (col i X)^T.
Proof.
apply/matrixP => i j; rewrite mxE summxE; apply: eq_bigr => k _.
by rewrite !mxE big_ord_recl big_ord0 addr0 !mxE.
Qed.

Lemma sum_columns m B (D : batch R m B) : sum_samples D = \sum_i sum_samples (col i D).
Proof.
apply/matrixP => i j; rewrite mxE summxE; apply: eq_bigr => k _.
by rewrite !mxE big_ord_recl big_ord0 addr0 !mxE.
Qed.

Lemma sum_pair (U V : zmodType) I (r : seq I) (f : I -> U) (g : I -> V) :
  (\sum_(i <- r) f i, \sum_(i <- r) g i) = \sum_(i <- r) (f i, g i).
Proof. by elim: r => [|i r ih]; rewrite ?big_nil // !big_cons -ih. Qed.

(* The gradient of a batch is the sum of the gradients of its samples (S1.8). *)
Theorem grads_sum n m p (A : arch R n m p) (th : params A) B (X : batch R n B) (G : batch R p B) :
  grads th X G = \sum_i grads th (col i X) (col i G).
Proof.
have E k q l (C : arch R k q l) (ph : params C) (Y : batch R k B) H :
    (delta ph (z1 ph Y) H *m Y^T, sum_samples (delta ph (z1 ph Y) H)) =
    \sum_i (delta ph (z1 ph (col i Y)) (col i H) *m (col i Y)^T,
            sum_samples (delta ph (z1 ph (col i Y)) (col i H))).
  rewrite -sum_pair outer_columns sum_columns.
  by congr (_, _); apply: eq_bigr => i _; rewrite col_delta col_z1.
elim: A th X G => [{}n {}m s|{}n {}m k {}p s A ih] th X G; first exact: E.
transitivity (\sum_i (delta th (z1 th (col i X)) (col i G) *m (col i X)^T,
                      sum_samples (delta th (z1 th (col i X)) (col i G))),
              \sum_i grads th.2 (col i (map_mx (act s) (z1 th X))) (col i G)).
  by apply: (congr2 pair); [exact: E|exact: ih].
rewrite sum_pair; apply: eq_bigr => i _; apply: (congr2 pair); first by [].
by rewrite -col_map_mx col_z1.
Qed.

(* The gradient of a sum over the samples has their gradients for columns (S1.8). *)
Theorem sum_loss_gradient p B (l : 'I_B.+1 -> vec p -> R) (A G : batch R p B) :
  (forall i, is_grad (l i) (col i A) (col i G)) -> is_grad (sum_loss l) A G.
Proof.
move=> gl.
have dcol i : is_diff A (fun A' : batch R p B => col i A') (fun H => col i H).
  apply: is_diff_mx => r c; under eq_fun do rewrite mxE.
  exact: (is_diff_coord r i (is_diff_var A)).
move: (is_diff_sum (fun i => is_grad_comp (dcol i) (gl i))) => d.
apply: is_diff_eq; apply/funext => H; rewrite /dot [RHS]exchange_big /=.
apply: eq_bigr => i _; apply: eq_bigr => r _.
by rewrite big_ord_recl big_ord0 addr0 !mxE.
Qed.

(* The gradient of the mean is that of the sum divided by the number of samples (X.2). *)
Theorem mean_loss_gradient p B (l : 'I_B.+1 -> vec p -> R) (A G : batch R p B) :
  (forall i, is_grad (l i) (col i A) (col i G)) ->
  is_grad (mean_loss l) A (B.+1%:R^-1 *: G).
Proof. by move=> gl; apply: is_grad_scale; exact: sum_loss_gradient. Qed.

(* δ is linear in the error from above (S1.2). *)
Theorem delta_scale n m p (A : arch R n m p) (th : params A) B (Z : batch R m B) G k :
  delta th Z (k *: G) = k *: delta th Z G.
Proof.
elim: A th Z G => [{}n {}m s|{}n {}m j {}p s A ih] th Z G; first exact: hadZl.
by rewrite !delta_layer ih -scalemxAr hadZl.
Qed.

(* So a mean divides the gradients of all weights and all biases alike, never the biases only (S1.8). *)
Theorem grads_scale n m p (A : arch R n m p) (th : params A) B (X : batch R n B) G k :
  grads th X (k *: G) = k *: grads th X G.
Proof.
have E j q l (C : arch R j q l) (ph : params C) (Y : batch R j B) H :
    (delta ph (z1 ph Y) (k *: H) *m Y^T, sum_samples (delta ph (z1 ph Y) (k *: H))) =
    k *: (delta ph (z1 ph Y) H *m Y^T, sum_samples (delta ph (z1 ph Y) H)).
  by rewrite delta_scale -scalemxAl sum_samplesZ.
elim: A th X G => [{}n {}m s|{}n {}m j {}p s A ih] th X G; first exact: E.
by apply: (congr2 pair); [exact: E|exact: ih].
Qed.

(* With the loss of each sample i having gradient g_i at its output, the batch's gradient in all
   parameters is the sum over the samples of their own gradients (S1.8). *)
Theorem batch_gradient n m p (A : arch R n m p) (th : params A) B (X : batch R n B)
    (l : 'I_B.+1 -> vec p -> R) (G : batch R p B) :
  (forall i, regular th (z1 th (col i X))) ->
  (forall i, is_grad (l i) (forward th (col i X)) (col i G)) ->
  is_diff (X, th)
    (fun q : batch R n B * params A => \sum_i l i (forward q.2 (col i q.1)))
    (fun h => dot (grad_in th X G) h.1 + pdot (\sum_i grads th (col i X) (col i G)) h.2).
Proof.
move=> rA gl; rewrite -grads_sum.
have -> : (fun q : batch R n B * params A => \sum_i l i (forward q.2 (col i q.1))) =
          (fun q => sum_loss l (forward q.2 q.1)).
  by apply/funext => q; apply: eq_bigr => i _; rewrite col_forward.
apply: backprop_correct; first by apply: regular_columns => i; rewrite col_z1.
by apply: sum_loss_gradient => i; rewrite col_forward.
Qed.

End Batch.
