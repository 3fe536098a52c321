(* gradient.v -- what "gradient" means here. *)
From Backproof Require Import prelude products differentials.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Gradient.
Variables (R : realType) (m n : nat).
Implicit Types (f : 'M[R]_(m.+1, n.+1) -> R) (x g : 'M[R]_(m.+1, n.+1)).

(* g is the gradient ∂f/∂x: f is differentiable at x, and f(x + h) = f(x) + <g, h> + o(h). *)
Definition is_grad f x g : Prop := is_diff x f (dot g).

(* The entries of the gradient are the partial derivatives ∂f/∂x_ij (S2.6). *)
Theorem gradient_entries f x g i j :
  is_grad f x g -> is_derive x (delta_mx i j) f (g i j).
Proof.
move=> [df dfE]; apply: DeriveDef; first exact: diff_derivable.
by rewrite deriveE // dfE dot_delta.
Qed.

(* There is at most one gradient, so that "the gradient ∂J/∂W" means something (S0.4). *)
Theorem gradient_unique f x g1 g2 : is_grad f x g1 -> is_grad f x g2 -> g1 = g2.
Proof.
move=> G1 G2; apply/matrixP => i j.
have [_ <-] := gradient_entries i j G1.
by have [_ <-] := gradient_entries i j G2.
Qed.

Lemma is_grad_comp (V : normedModType R) f g (u du : V -> 'M[R]_(m.+1, n.+1)) v :
  is_diff v u du -> is_grad f (u v) g ->
  is_diff v (fun w => f (u w)) (fun h => dot g (du h)).
Proof. by move=> duv gf; exact: (is_diff_comp duv gf). Qed.

Lemma is_grad_scale f x g k : is_grad f x g -> is_grad (fun y => k * f y) x (k *: g).
Proof.
move=> gf; apply: is_diff_eq; first exact: (is_diffZ k gf).
by apply/funext => h; rewrite dotZl.
Qed.

End Gradient.
