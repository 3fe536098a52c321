(* half_squared_error.v -- document 000's loss. *)
From Backproof Require Import prelude products differentials gradient network recursion.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section HalfSquaredError.
Variables (R : realType) (n B : nat).
Implicit Types (a y : batch R n B).

(* J = ½ ‖a − y‖², summed over the samples (S0.1). *)
Definition half_squared_error y a : R := 2^-1 * dot (a - y) (a - y).

(* ∂J/∂a = a − y (S0.1). *)
Theorem half_squared_error_gradient y a : is_grad (half_squared_error y) a (a - y).
Proof.
have E : half_squared_error y = fun a' => \sum_i \sum_j 2^-1 * (a' i j - y i j) ^+ 2.
  apply/funext => a'; rewrite /half_squared_error /dot mulr_sumr; apply: eq_bigr => i _.
  by rewrite mulr_sumr; apply: eq_bigr => j _; rewrite !mxE expr2.
have dsq (c x : R) : is_derive x 1 (fun t : R => 2^-1 * (t - c) ^+ 2) (x - c).
  apply: trigger_derive; rewrite /GRing.scale /=.
  by rewrite subr0 mulr1 -mulr2n -[X in _ * X]mulr_natl mulKf // pnatr_eq0.
rewrite E; apply: is_diff_eq.
  apply: is_diff_sum => i; apply: is_diff_sum => j.
  exact: (is_diff_comp (is_diff_coord i j (is_diff_var a))
    (is_diff_scalar (dsq (y i j) (a i j)))).
by apply/funext => h; apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite !mxE.
Qed.

(* δ^L = (a^L − y) ⊙ σ′(z^L), for every differentiable σ (S0.3). *)
Theorem half_squared_error_delta (s : activation R) (z y : batch R n B) :
  regular_at s z ->
  is_grad (fun z' => half_squared_error y (map_mx (act s) z')) z
          ((map_mx (act s) z - y) ⊙ map_mx (slope s) z).
Proof. by move=> rs; apply: output_error; last exact: half_squared_error_gradient. Qed.

End HalfSquaredError.
