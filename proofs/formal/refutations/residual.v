(* residual.v -- refutes a claim about the error through a residual connection: around one unit after the
   other, at x = 3 with error 1 above, along a change of x by 1. *)
From Backproof Require Import beyond.
From Planted Require Import points planted.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Refutation.
Variable R : realType.
Let th := at_units R.
Let x : 'M[R]_1 := num R 1 1 3.
Let g : 'M[R]_1 := num R 1 1 1.

Lemma derivative : dot (g + grad_in th x g) (num R 1 1 1) = truth%:~R.
Proof. by rewrite /grad_in /delta /z1 /= !evaluate num_dot. Qed.

Lemma formula : dot (grad_in th x g) (num R 1 1 1) = given%:~R.
Proof. by rewrite /grad_in /delta /z1 /= !evaluate num_dot. Qed.

Theorem refuted : ~ @planted.claim R 0 0 0 (units R).
Proof.
pose J := loss_with (residual th x) g; have gJ := loss_with_gradient (residual th x) g.
have rA := regular_units (z1 th x); move=> /(_ th x J g rA gJ).
move=> /(is_diff_unique (residual_gradients rA gJ)) same.
have := congr1 (fun d => d (num R 1 1 1, 0 : params (units R))) same; move=> /addIr.
by rewrite derivative formula => /eqP; rewrite eqr_int.
Qed.

End Refutation.
