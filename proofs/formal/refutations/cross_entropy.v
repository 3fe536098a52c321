(* cross_entropy.v -- refutes a claim about any targets: for t = (0, 0) the loss is 0 everywhere. *)
From Backproof Require Import softmax_cross_entropy.
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.

Theorem refuted : ~ planted.claim R 1.
Proof.
move=> /(_ 0 0) /cross_entropy_precondition /eqP; rewrite big1 => [|k _]; last by rewrite mxE.
by rewrite eq_sym oner_eq0.
Qed.

End Refutation.
