(* softmax_cross_entropy.v -- softmax with cross-entropy, for one class and for any targets. *)
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude products differentials gradient network batch.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section OneSample.
Variables (R : realType) (n : nat).
Implicit Types (t z : vec R n) (k : 'I_n.+1).

(* p_i = exp z_i / Σ_k exp z_k (S3.6). *)
Definition softmax z : vec R n :=
  \col_i (expR (z i ord0) / \sum_k expR (z k ord0)).

(* J = −Σ_k t_k ln p_k, for a one-hot t the −Σ_k 1(y = k) ln p(y = k) of the document (S3.7). *)
Definition cross_entropy t z : R := - \sum_k t k ord0 * ln (softmax z k ord0).

(* The one-hot target of class k: 1 at k, 0 elsewhere. *)
Definition one_hot k : vec R n := delta_mx k ord0.

Lemma dot_col t z : dot t z = \sum_i t i ord0 * z i ord0.
Proof. by apply: eq_bigr => i _; rewrite big_ord_recl big_ord0 addr0. Qed.

Lemma sum_expR_gt0 z : 0 < \sum_i expR (z i ord0).
Proof.
rewrite big_ord_recl; apply: ltr_paddr; last exact: expR_gt0.
by apply: sumr_ge0 => i _; apply/ltW/expR_gt0.
Qed.

(* The probabilities are positive and sum to 1 (S3.6). *)
Theorem softmax_is_a_distribution z :
  (forall i, 0 < softmax z i ord0) /\ \sum_i softmax z i ord0 = 1.
Proof.
split=> [i|]; first by rewrite mxE divr_gt0 ?expR_gt0 ?sum_expR_gt0.
by under eq_bigr do rewrite mxE; rewrite -mulr_suml divff // gt_eqF ?sum_expR_gt0.
Qed.

Let lse z : R := ln (\sum_i expR (z i ord0)).

Lemma ln_softmax z i : ln (softmax z i ord0) = z i ord0 - lse z.
Proof. by rewrite mxE ln_div ?posrE ?expR_gt0 ?sum_expR_gt0 // expK. Qed.

(* the gradient of ln Σ exp z_k is softmax z *)
Lemma lse_gradient z : is_grad lse z (softmax z).
Proof.
have dsum : is_diff z (fun z' : vec R n => \sum_i expR (z' i ord0))
    (fun h => \sum_i expR (z i ord0) * h i ord0).
  apply: is_diff_sum => i.
  exact: (is_diff_comp (is_diff_coord i ord0 (is_diff_var z))
    (is_diff_scalar (is_derive_expR (z i ord0)))).
move: (is_diff_comp dsum (is_diff_scalar (is_derive1_ln (sum_expR_gt0 z)))) => d.
apply: is_diff_eq; apply/funext => h /=.
rewrite dot_col mulr_sumr; apply: eq_bigr => i _.
by rewrite !mxE mulrA [_^-1 * _]mulrC.
Qed.

(* ∂J/∂z = p Σt − t, for any targets t (S3.10). *)
Theorem cross_entropy_gradient t z :
  is_grad (cross_entropy t) z ((\sum_k t k ord0) *: softmax z - t).
Proof.
have E : cross_entropy t = fun z' => (\sum_k t k ord0) * lse z' - dot t z'.
  apply/funext => z'; rewrite /cross_entropy dot_col.
  under eq_bigr do rewrite ln_softmax mulrBr.
  by rewrite sumrB -mulr_suml opprB.
have dt : is_diff z (dot t) (dot t).
  have -> : dot t = (fun z' => \sum_i t i ord0 * z' i ord0) :> (vec R n -> R).
    by apply/funext => z'; exact: dot_col.
  apply: is_diff_sum => i.
  exact: (is_diffZ (t i ord0) (is_diff_coord i ord0 (is_diff_var z))).
rewrite E; move: (is_diffB (is_grad_scale (\sum_k t k ord0) (lse_gradient z)) dt) => d.
apply: is_diff_eq; apply/funext => h.
by rewrite dotBl.
Qed.

Lemma sum_one_hot k : \sum_i one_hot k i ord0 = 1.
Proof.
rewrite (bigD1 k) //= mxE !eqxx big1 ?addr0 // => i /negbTE ik.
by rewrite mxE ik.
Qed.

(* With the class k for target J is −ln p_k (S3.7). *)
Theorem cross_entropy_one_hot k z :
  cross_entropy (one_hot k) z = - ln (softmax z k ord0).
Proof.
rewrite /cross_entropy (bigD1 k) //= big1 => [|i /negbTE ik].
  by rewrite addr0 mxE !eqxx mul1r.
by rewrite mxE ik mul0r.
Qed.

(* Targets that sum to 1 give the document's ∂J/∂z = p − t (S3.9, S3.10). *)
Theorem cross_entropy_gradient_normalised t z : \sum_k t k ord0 = 1 ->
  is_grad (cross_entropy t) z (softmax z - t).
Proof. by move=> t1; have := cross_entropy_gradient t z; rewrite t1 scale1r. Qed.

(* So does the class k: ∂J/∂z_i = p_i − 1(y = i) (S3.9, S3.16). *)
Theorem cross_entropy_gradient_one_hot k z :
  is_grad (cross_entropy (one_hot k)) z (softmax z - one_hot k).
Proof. exact/cross_entropy_gradient_normalised/sum_one_hot. Qed.

(* Targets that do not sum to 1 never give it: p − t is then not the gradient (S3.10). *)
Theorem cross_entropy_precondition t z :
  is_grad (cross_entropy t) z (softmax z - t) -> \sum_k t k ord0 = 1.
Proof.
move=> /(gradient_unique (cross_entropy_gradient t z)) /addIr /matrixP /(_ ord0 ord0).
rewrite [LHS]mxE -[X in _ = X]mul1r => /mulIf -> //.
by have [p0 _] := softmax_is_a_distribution z; rewrite gt_eqF.
Qed.

(* The errors at the logits of a class target sum to 0 (S3.9). *)
Theorem cross_entropy_errors_sum_to_0 k z : \sum_i (softmax z - one_hot k) i ord0 = 0.
Proof.
have [_ p1] := softmax_is_a_distribution z.
under eq_bigr do rewrite mxE [X in _ + X]mxE.
by rewrite sumrB p1 sum_one_hot subrr.
Qed.

End OneSample.

Section Samples.
Variables (R : realType) (n B : nat).

(* For a batch with targets t in the columns of T, column by column ∂J/∂z = p Σt − t (S1.8, S3.10). *)
Theorem cross_entropy_batch_gradient (T Z : batch R n B) :
  is_grad (sum_loss (fun i => cross_entropy (col i T))) Z
          (\matrix_(k, i) (softmax (col i Z) k ord0 * (\sum_l T l i) - T k i)).
Proof.
set G := \matrix_(k, i) _; apply: sum_loss_gradient => i.
have -> : col i G = (\sum_k (col i T) k ord0) *: softmax (col i Z) - col i T.
  apply/matrixP => k j; rewrite ord1 !mxE mulrC; congr (_ * _ - _).
  by apply: eq_bigr => l _; rewrite mxE.
exact: cross_entropy_gradient.
Qed.

End Samples.
