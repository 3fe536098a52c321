(* transpose.v -- refutes a claim that δ is right: two units before and behind, no activation, and
   W = ((0, 1), (0, 0)) between them; the error (1, 0) at the output. *)
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.
Let W : mat R 1 1 := delta_mx ord0 ord_max.
Let A := Layer 0 (identity R) (Last 1 1 (identity R)).
Let th : params A := ((0, 0), (W, 0)).
Let z : vec R 1 := 0.
Let g : vec R 1 := delta_mx ord0 ord0.

Lemma regular_here : regular th z.
Proof. by split=> i j; exact: identity_derivative. Qed.

(* The derivative by z is (0, 1). *)
Lemma derivative : network.delta th z g = delta_mx ord_max ord0.
Proof.
rewrite /network.delta /= !had_identity trmx_delta.
by rewrite mul_delta_mx.
Qed.

(* The formula gives (0, 0). *)
Lemma formula : planted.delta th z g = 0.
Proof.
rewrite /planted.delta /= !had_identity.
have -> : (\matrix_(i, j) W (inord i) (inord j)) = W.
  by apply/matrixP => i j; rewrite mxE !inord_val.
by rewrite mul_delta_mx_0.
Qed.

Theorem refuted : ~ planted.claim R 0.
Proof.
pose J := loss_with (from_z th z) g.
move=> /(_ _ _ _ _ th J z g regular_here (loss_with_gradient _ g)).
move=> /(gradient_unique (delta_correct regular_here (loss_with_gradient _ g))).
rewrite derivative formula => /matrixP /(_ ord_max ord0) /eqP.
by rewrite !mxE !eqxx oner_eq0.
Qed.

End Refutation.
