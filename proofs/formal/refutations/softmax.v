(* softmax.v -- refutes a claim about the Jacobian of softmax: along h = (1, 1), a shift of both scores,
   p does not change. *)
From Backproof Require Import softmax_cross_entropy jacobians softmax_jacobian.
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.
Let z : vec R 1 := 0.

Lemma derivative : softmax_jacobian.softmax_jacobian z *m const_mx 1 = 0 :> vec R 1.
Proof. exact: softmax_jacobian_of_a_shift. Qed.

Lemma formula : planted.softmax_jacobian z *m const_mx 1 = softmax z.
Proof.
apply/matrixP => i j; rewrite mul_diag_mx (ord1 j) mxE [const_mx _ _ _]mxE mulr1.
by rewrite [_^T _ _]mxE.
Qed.

Theorem refuted : ~ planted.claim R 1.
Proof.
move=> /(_ z) /(jacobian_unique (softmax_jacobian_correct z)).
move=> /(congr1 (fun M : mat R 1 1 => M *m (const_mx 1 : vec R 1))).
rewrite derivative formula => /esym /matrixP /(_ ord0 ord0).
have [p0 _] := softmax_is_a_distribution z; move: (p0 ord0).
by rewrite [X in _ -> _ = X -> _]mxE => /gt_eqF ne eq; move: ne; rewrite eq eqxx.
Qed.

End Refutation.
