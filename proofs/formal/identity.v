(* identity.v -- a layer without an activation, as the last one of documents 001 and 003. *)
From Backproof Require Import prelude products network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Identity.
Variable R : realType.

(* σ(x) = x with slope 1: no activation (S1.1, S3.5). *)
Definition identity : activation R := Activation id (fun=> 1).

(* The derivative of x is 1 (S3.5). *)
Theorem identity_derivative (x : R) : is_derive x 1 (act identity) (slope identity x).
Proof. exact: is_derive_id. Qed.

Lemma map_identity m n (z : 'M[R]_(m, n)) : map_mx (act identity) z = z.
Proof. by apply/matrixP => i j; rewrite mxE. Qed.

Lemma had_identity m n (g z : 'M[R]_(m, n)) : g ⊙ map_mx (slope identity) z = g.
Proof. by apply/matrixP => i j; rewrite !mxE mulr1. Qed.

End Identity.
