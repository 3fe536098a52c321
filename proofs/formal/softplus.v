(* softplus.v -- the softplus, whose slope is the sigmoid. *)
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude network sigmoid.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Softplus.
Variable R : realType.
Implicit Types x : R.

(* softplus(x) = ln(1 + e^x), with the sigmoid for its slope. *)
Definition softplus : activation R :=
  Activation (fun x => ln (1 + expR x)) (@sigmoid_value R).

(* The sigmoid is the derivative of softplus at every x (S0.2). *)
Theorem softplus_derivative x : is_derive x 1 (act softplus) (slope softplus x).
Proof.
have e0 : 0 < 1 + expR x by rewrite addr_gt0 // expR_gt0.
have dE : is_derive x 1 (fun y : R => 1 + expR y) (expR x).
  by apply: trigger_derive; rewrite /= add0r.
move: (is_derive1_comp (f := @ln R) (g := fun y => 1 + expR y) (is_derive1_ln e0) dE) => d.
apply: is_derive_eq.
rewrite /GRing.scale /= /sigmoid_value expRN.
have -> : 1 + (expR x)^-1 = (1 + expR x) / expR x.
  by rewrite mulrDl mul1r divff ?gt_eqF ?expR_gt0 // addrC.
by rewrite invf_div mulrC.
Qed.

End Softplus.
