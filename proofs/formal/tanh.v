(* tanh.v -- the hyperbolic tangent and its slope 1 − a². *)
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Tanh.
Variable R : realType.
Implicit Types x : R.

(* tanh(x) = (e^x − e^{−x}) / (e^x + e^{−x}). *)
Definition tanh_value x : R := (expR x - expR (- x)) / (expR x + expR (- x)).

(* tanh with the slope 1 − tanh(x)². *)
Definition tanh : activation R := Activation tanh_value (fun x => 1 - tanh_value x ^+ 2).

(* 1 − tanh(x)² is the derivative of tanh at every x (S0.2). *)
Theorem tanh_derivative x : is_derive x 1 (act tanh) (slope tanh x).
Proof.
have e0 : expR x + expR (- x) != 0 by rewrite gt_eqF // addr_gt0 // expR_gt0.
have dN : is_derive x 1 (fun y : R => expR y - expR (- y)) (expR x + expR (- x)).
  by apply: trigger_derive; rewrite /GRing.scale /= mulrN1 opprK.
have dD : is_derive x 1 (fun y : R => expR y + expR (- y)) (expR x - expR (- x)).
  by apply: trigger_derive; rewrite /GRing.scale /= mulrN1.
move: (is_deriveM dN (is_deriveV (f := fun y => expR y + expR (- y)) e0 dD)) => dM.
apply: is_derive_eq; rewrite /GRing.scale /= /tanh_value.
set s := expR x - _; set c := expR x + _ in e0 *.
by rewrite mulVf // expr_div_n mulNr mulrN addrC mulrCA -expr2 mulrC.
Qed.

End Tanh.
