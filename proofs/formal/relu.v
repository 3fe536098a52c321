(* relu.v -- the rectified linear unit away from its kink, and its two gates. *)
From Backproof Require Import prelude products network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Relu.
Variable R : realType.
Implicit Types x : R.

(* The strict gate I[x > 0] of document 001, which the library takes (S1.5, S1.7). *)
Definition strict_gate x : R := (0 < x)%R%:R.

(* The gate 1(x ≥ 0) of document 003 (S3.13). *)
Definition weak_gate x : R := (0 <= x)%R%:R.

(* relu(x) = max(0, x), with the strict gate for its slope (S1.1, S1.5). *)
Definition relu : activation R := Activation (fun x => Num.max 0 x) strict_gate.

Lemma near_is_derive (f g : R -> R) x d :
  (\forall y \near x, f y = g y) -> is_derive x 1 f d -> is_derive x 1 g d.
Proof.
move=> /nbhs_ballP [e /= e0 fg] [df <-].
have fgx : f x = g x by apply: fg; exact: ballxx.
have lim_g : (fun h : R => h^-1 *: ((g \o shift x) (h *: (1 : R)) - g x)) @ 0^'
    --> 'D_1 f x.
  apply: cvg_trans df; apply: near_eq_cvg; near=> h.
  rewrite /= -fgx fg // -ball_normE /= opprD addrCA subrr addr0 normrN.
  rewrite /GRing.scale /= mulr1; near: h; exact: dnbhs0_lt.
by apply: DeriveDef; [apply/cvg_ex; eexists; exact: lim_g|exact: cvg_lim lim_g].
Unshelve. all: by end_near. Qed.

(* The strict gate is the derivative of ReLU at every x but 0 (S1.5). *)
Theorem relu_derivative x : x != 0 -> is_derive x 1 (act relu) (slope relu x).
Proof.
rewrite /= /strict_gate; case: (ltrgtP 0 x) => [x0|x0|<-]; last by [].
- move=> _; rewrite mulr1n; apply: (@near_is_derive id).
  near=> y; apply/esym/max_idPr/ltW; near: y.
  exact: open_nbhs_nbhs.
- move=> _; rewrite mulr0n; apply: (@near_is_derive (cst 0)).
  near=> y; apply/esym/max_idPl/ltW; near: y.
  exact: open_nbhs_nbhs.
Unshelve. all: by end_near. Qed.

(* The documents' two gates differ at 0 only (S1.7, S3.13). *)
Theorem gates_agree_off_the_kink x : x != 0 -> strict_gate x = weak_gate x.
Proof. by move=> x0; rewrite /strict_gate /weak_gate lt_def x0. Qed.

(* At 0 one gate is 0 and the other 1 (S1.7). *)
Theorem gates_differ_at_the_kink : strict_gate 0 = 0 /\ weak_gate 0 = 1.
Proof. by rewrite /strict_gate /weak_gate ltxx lexx. Qed.

(* A ReLU layer is regular where no entry of z is 0 (S1.5). *)
Theorem relu_regular m B (z : batch R m B) :
  (forall i j, z i j != 0) -> regular_at relu z.
Proof. by move=> z0 i j; exact: relu_derivative. Qed.

(* relu(x) = x · gate(x), at the kink as well (S1.12). *)
Lemma relu_gate x : act relu x = x * slope relu x.
Proof.
rewrite /= /strict_gate; case: (ltP 0 x) => x0; first by rewrite mulr1n mulr1.
by rewrite mulr0n mulr0.
Qed.

End Relu.
