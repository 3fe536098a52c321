(* beyond.v -- first steps beyond the documents: a residual connection and layer norm.
   (Softmax in a hidden layer: softmax_jacobian.v.) *)
From mathcomp Require Import ssrAC.
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude products differentials gradient network recursion parameters.
From Backproof Require Import half_squared_error relu.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Linear.
Variable R : realType.

Lemma is_diff_dot (V : normedModType R) m n (f df : V -> 'M[R]_(m.+1, n.+1)) x (g : 'M[R]_(m.+1, n.+1)) :
  is_diff x f df -> is_diff x (fun v => dot g (f v)) (fun h => dot g (df h)).
Proof.
move=> dfx; apply: is_diff_sum => i; apply: is_diff_sum => j.
exact: (is_diffZ (g i j) (is_diff_coord i j dfx)).
Qed.

Lemma linear_gradient m n (g a : 'M[R]_(m.+1, n.+1)) : is_grad (dot g) a g.
Proof. exact: is_diff_dot (is_diff_var a). Qed.

End Linear.

Section Residual.
Variables (R : realType) (B n m : nat) (A : arch R n m n).
Notation bat n := (batch R n B).

(* y = x + f(x): a residual connection around the layers f (beyond the documents). *)
Definition residual (th : params A) (x : bat n) : bat n := x + forward th x.

(* Its error is that of f plus the error from above, and its parameters' gradients are those of f: J is
   differentiable jointly in the input and in all parameters (beyond the documents). *)
Theorem residual_gradients (th : params A) (x : bat n) (J : bat n -> R) g :
  regular th (z1 th x) -> is_grad J (residual th x) g ->
  is_diff (x, th)
    (fun q : bat n * params A => J (residual q.2 q.1))
    (fun h => dot (g + grad_in th x g) h.1 + pdot (grads th x g) h.2).
Proof.
move=> rA gJ; pose F (q : bat n * params A) := forward q.2 q.1.
pose D h : bat n := \matrix_(i, j) (dot (grad_in th x (delta_mx i j)) h.1
  + pdot (grads th x (delta_mx i j)) h.2).
have dF : is_diff (x, th) F D.
  apply: is_diff_mx => i j.
  have -> : (fun q => F q i j : R) = (fun q => dot (delta_mx i j) (forward q.2 q.1)).
    by apply/funext => q; rewrite dotC dot_delta.
  move: (backprop_correct rA (linear_gradient (delta_mx i j) (forward th x))) => d.
  by apply: is_diff_eq; apply/funext => h; rewrite mxE.
have E h : dot g (D h) = dot (grad_in th x g) h.1 + pdot (grads th x g) h.2.
  have [_ d1] := is_diff_dot g dF.
  have [_ d2] := backprop_correct rA (linear_gradient g (forward th x)).
  by rewrite -[LHS]/((fun h => dot g (D h)) h) -d1 -[RHS]/((fun h => _) h) -d2.
have d1 := is_diff_fst (is_diff_var ((x, th) : bat n * params A)).
move: (is_grad_comp (is_diffD d1 dF) gJ) => d; apply: is_diff_eq; apply/funext => h.
by rewrite /= dotDr E dotDl addrA.
Qed.

End Residual.

Section LayerNorm.
Variables (R : realType) (n : nat) (eps : R).
Hypothesis eps0 : 0 < eps.
Implicit Types (z g h : vec R n).

(* The mean of the entries, μ = (Σ_i z_i) / n (beyond the documents). *)
Definition mean z : R := n.+1%:R^-1 * \sum_i z i ord0.

(* Every entry minus the mean: z − μ (beyond the documents). *)
Definition centred z : vec R n := z - const_mx (mean z).

(* The deviation s = √(Σ_i (z_i − μ)² / n + ε) (beyond the documents). *)
Definition deviation z : R := Num.sqrt (n.+1%:R^-1 * dot (centred z) (centred z) + eps).

(* Layer norm without gain and bias: y = (z − μ) / s (beyond the documents). *)
Definition layer_norm z : vec R n := (deviation z)^-1 *: centred z.

Lemma sqrt_derivative (x : R) : 0 < x -> is_derive x 1 (@Num.sqrt R) (2%:R * Num.sqrt x)^-1.
Proof.
move=> x0; have s0 : 0 < Num.sqrt x by rewrite sqrtr_gt0.
rewrite -{1}[x]sqr_sqrtr ?(ltW x0) //.
apply: (@is_derive_inverse R (fun y => y ^+ 2)); last by rewrite mulf_neq0 ?pnatr_eq0 ?gt_eqF.
- near=> y; rewrite sqrtr_sqr ger0_norm // ltW //; near: y.
  exact: open_nbhs_nbhs.
- near=> y; exact: exprn_continuous.
- by apply: trigger_derive; rewrite /GRing.scale /= mulr1 mulr_natl.
Unshelve. all: by end_near. Qed.

Lemma dot_const (z : vec R n) c : dot (const_mx c) z = c * \sum_i z i ord0.
Proof.
by rewrite mulr_sumr; apply: eq_bigr => i _; rewrite big_ord_recl big_ord0 addr0 mxE.
Qed.

Lemma centred_sym z h : dot z (centred h) = dot (centred z) h.
Proof.
rewrite /centred dotBl dot_const dotC dotBl dot_const !(dotC z) /mean.
by rewrite [X in _ - X]mulrAC.
Qed.

Lemma centred_centred z : centred (centred z) = centred z.
Proof.
rewrite {1}/centred; have -> : mean (centred z) = 0.
  rewrite /mean; under eq_bigr do rewrite !mxE.
  rewrite sumrB sumr_const card_ord -[X in _ * (_ - X)]mulr_natl /mean mulrA divff ?pnatr_eq0 // mul1r.
  by rewrite subrr mulr0.
by apply/matrixP => i j; rewrite !mxE subr0.
Qed.

Lemma is_diff_centred z : is_diff z centred centred.
Proof.
apply: is_diff_mx => i j; rewrite (ord1 j).
have E : (fun v => centred v i ord0) = (fun v : vec R n => v i ord0 - n.+1%:R^-1 * \sum_k v k ord0).
  by apply/funext => v; rewrite !mxE.
rewrite E; apply: (is_diffB (is_diff_coord i ord0 (is_diff_var z))).
exact: (is_diffZ _ (is_diff_sum (fun k => is_diff_coord k ord0 (is_diff_var z)))).
Qed.

(* The error g at y becomes (g − mean g − y · mean(g ⊙ y)) / s at z, for any loss J and every z (beyond the
   documents). *)
Theorem layer_norm_pullback (J : vec R n -> R) z g (y := layer_norm z) :
  is_grad J y g ->
  is_grad (fun z' => J (layer_norm z')) z
    ((deviation z)^-1 *: (centred g - (n.+1%:R^-1 * dot g y) *: y)).
Proof.
move=> gJ; set N := n.+1%:R^-1 : R; set s := deviation z.
have v0 : 0 < N * dot (centred z) (centred z) + eps.
  apply: ltr_paddl => //; apply: mulr_ge0; first by rewrite invr_ge0 ler0n.
  by apply: sumr_ge0 => i _; apply: sumr_ge0 => j _; exact: sqr_ge0.
have s0 : s != 0 by rewrite gt_eqF // sqrtr_gt0.
have dc := is_diff_centred z.
have dq : is_grad (fun a => dot a a) (centred z) (2%:R *: centred z).
  have := is_grad_scale 2%:R (half_squared_error_gradient 0 (centred z)); rewrite subr0.
  rewrite (_ : (fun a => _) = (fun a => dot a a)) //; apply/funext => a.
  by rewrite /half_squared_error subr0 mulrA divff ?pnatr_eq0 // mul1r.
have dv : is_diff z (fun v => N * dot (centred v) (centred v) + eps)
    (fun h => N * dot (2%:R *: centred z) (centred h)).
  move: (is_diffD (is_diffZ N (is_grad_comp dc dq)) (is_diff_const eps z)) => d.
  by apply: is_diff_eq; apply/funext => h; rewrite /= addr0.
have dr : is_diff z (fun v => (deviation v)^-1)
    (fun h => - s ^- 2 * (2%:R * s)^-1 * (N * dot (2%:R *: centred z) (centred h))).
  exact: (is_diff_comp dv (is_diff_scalar (is_deriveV s0 (sqrt_derivative v0)))).
have dy : is_diff z layer_norm (fun h => s^-1 *: centred h +
    (- s ^- 2 * (2%:R * s)^-1 * (N * dot (2%:R *: centred z) (centred h))) *: centred z).
  apply: is_diff_mx => i j.
  have -> : (fun v => layer_norm v i j) = (fun v => (deviation v)^-1) * (fun v => centred v i j).
    by apply/funext => v; rewrite mxE.
  move: (is_diffM dr (is_diff_coord i j dc)) => d; apply: is_diff_eq; apply/funext => h.
  transitivity (s^-1 * centred h i j + centred z i j *
    (- s ^- 2 * (2%:R * s)^-1 * (N * dot (2%:R *: centred z) (centred h)))); first by [].
  by rewrite [RHS]mxE [X in _ = X + _]mxE [X in _ = _ + X]mxE [X in _ = _ + X]mulrC.
move: (is_grad_comp dy gJ) => d; apply: is_diff_eq; apply/funext => h.
rewrite dotDr !dotZr [dot (2%:R *: _) _]dotZl (centred_sym (centred z)) centred_centred.
rewrite (centred_sym g h) [RHS]dotZl [in RHS]dotBl [in RHS]dotZl.
rewrite /y /layer_norm -/s [in RHS]dotZl mulrBr; congr (_ + _).
set P := dot (centred z) h; set Q := dot g (centred z).
rewrite !mulNr -exprVn invfM; congr (- _).
have two : 2%:R^-1 * 2%:R = 1 :> R by rewrite mulVf ?pnatr_eq0.
move: (s^-1) => a.
transitivity (2%:R^-1 * 2%:R * (a * (N * (a * Q) * (a * P)))); last by rewrite two mul1r.
by rewrite expr2 !mulrA [LHS](ACl (3 * 6 * 1 * 5 * 2 * 8 * 4 * 7)%AC).
Qed.

End LayerNorm.
