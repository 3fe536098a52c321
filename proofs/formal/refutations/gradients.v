(* gradients.v -- refutes a claim that all gradients are right: two samples, x = 3 and error 1 at
   the output for both, along a change of W^1 or of b^1 alone. *)
From Planted Require Import points planted.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Refutation.
Variable R : realType.
Let th := at_units R.
Let x : 'M[R]_(1, 2) := num R 1 2 3.
Let g : 'M[R]_(1, 2) := num R 1 2 1.
Let change : params (units R) := ((num R 1 1 change_of_W, num R 1 1 change_of_b), 0).

Lemma derivative : pdot (network.grads th x g) change = truth%:~R.
Proof.
rewrite /pdot /network.grads /network.delta /z1 /= !evaluate !num_dot.
by rewrite -!intrD.
Qed.

Lemma formula : pdot (planted.grads th x g) change = given%:~R.
Proof.
rewrite /pdot /planted.grads /planted.delta /z1 /= !evaluate !num_dot.
by rewrite -!intrD.
Qed.

Theorem refuted : ~ planted.claim R 1.
Proof.
pose J := loss_with (forward th x) g; have gJ := loss_with_gradient (forward th x) g.
have rA := regular_units (z1 th x); move=> /(_ _ _ _ _ th x J g rA gJ).
move=> /(is_diff_unique (backprop_correct rA gJ)) same.
have := congr1 (fun d => d (0, change)) same.
have zero (D : 'M[R]_(1, 2)) : dot D (0 : 'M[R]_(1, 2), change).1 = 0 by exact: dot0r.
rewrite !zero !add0r.
by rewrite derivative formula => /eqP; rewrite eqr_int.
Qed.

End Refutation.
