(* sigmoid.v -- the sigmoid and its slope a(1 − a). *)
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Sigmoid.
Variable R : realType.
Implicit Types x : R.

(* σ(x) = 1 / (1 + e^{−x}) (S0.2, S3.1). *)
Definition sigmoid_value x : R := (1 + expR (- x))^-1.

(* σ with the slope σ′(x) = σ(x) (1 − σ(x)). *)
Definition sigmoid : activation R :=
  Activation sigmoid_value (fun x => sigmoid_value x * (1 - sigmoid_value x)).

(* σ′(x) = σ(x) (1 − σ(x)) is the derivative of the sigmoid at every x (S0.2). *)
Theorem sigmoid_derivative x : is_derive x 1 (act sigmoid) (slope sigmoid x).
Proof.
have e0 : 1 + expR (- x) != 0 by rewrite gt_eqF // addr_gt0 // expR_gt0.
have dE : is_derive x 1 (fun y : R => 1 + expR (- y)) (- expR (- x)).
  by apply: trigger_derive; rewrite /GRing.scale /= add0r mulrN1.
move: (is_deriveV (f := fun y => 1 + expR (- y)) e0 dE) => dV.
apply: is_derive_eq; rewrite /GRing.scale /= mulNr mulrN opprK.
rewrite /sigmoid_value expr2 invfM -mulrA; congr (_ * _).
by rewrite -[X in _ = X - _](mulVf e0) mulrDr mulr1 addrAC subrr add0r.
Qed.

End Sigmoid.
