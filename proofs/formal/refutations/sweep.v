(* sweep.v -- refutes a claim that the sweep leaves ∂J/∂x: one unit after the other without
   activation or biases, W^1 = W^2 = x = 1, error 1 at the output, and η = 1. *)
From Backproof Require Import descent.
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.
Let one : 'M[R]_1 := num R 1 1 1.
Let A := Layer 0 (identity R) (Last 0 0 (identity R)).
Let th : params A := ((one, 0), (one, 0)).

Lemma derivative : grad_in th one one = num R 1 1 truth.
Proof. by rewrite /grad_in /delta /= !had_identity !evaluate. Qed.

Lemma formula : (planted.in_sweep 1 th one one).2 = num R 1 1 given.
Proof.
rewrite /planted.in_sweep /z1 /= !had_identity !scale1r.
by rewrite !evaluate.
Qed.

Theorem refuted : ~ planted.claim R 0.
Proof.
move=> /(_ 1 _ _ _ _ th one one) /(congr1 snd); rewrite [RHS]derivative formula.
by move/num_inj.
Qed.

End Refutation.
