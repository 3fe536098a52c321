(* delta.v -- refutes a claim that δ is right: at z = 3, with error 1 at the output. *)
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.
Let z : 'M[R]_1 := num R 1 1 3.
Let g : 'M[R]_1 := num R 1 1 1.

Lemma derivative : network.delta (at_units R) z g = num R 1 1 truth.
Proof. by rewrite /network.delta /z1 /= !evaluate. Qed.

Lemma formula : planted.delta (at_units R) z g = num R 1 1 given.
Proof. by rewrite /planted.delta /z1 /= !evaluate. Qed.

Theorem refuted : ~ planted.claim R 0.
Proof.
pose J := loss_with (from_z (at_units R) z) g.
move=> /(_ _ _ _ _ (at_units R) J z g (regular_units z) (loss_with_gradient _ g)).
move=> /(gradient_unique (delta_correct (regular_units z) (loss_with_gradient _ g))).
by rewrite derivative formula => /num_inj.
Qed.

End Refutation.
