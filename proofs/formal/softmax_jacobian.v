(* softmax_jacobian.v -- the Jacobian of softmax, document 003's two slopes of p, and softmax inside a
   network, where any error may arrive from above. *)
From mathcomp Require Import mxalgebra.
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude products differentials gradient network recursion parameters.
From Backproof Require Import softmax_cross_entropy jacobians.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Softmax.
Variables (R : realType) (n : nat).
Implicit Types (t z g : vec R n) (i k : 'I_n.+1).

(* diag(p) − p pᵀ: p_k − p_k² on the diagonal, −p_i p_k off it (S3.8). *)
Definition softmax_jacobian z : mat R n n :=
  diag_mx (softmax z)^T - softmax z *m (softmax z)^T.

Lemma softmax_jacobianE z i k : softmax_jacobian z i k =
  softmax z i ord0 * (i == k)%:R - softmax z i ord0 * softmax z k ord0.
Proof.
have E : (softmax z *m (softmax z)^T) i k = softmax z i ord0 * softmax z k ord0.
  by rewrite mxE big_ord_recl big_ord0 addr0 [(softmax z)^T _ k]mxE.
by rewrite /softmax_jacobian mxE [X in _ + X]mxE E mxE [(softmax z)^T _ _]mxE mulr_natr.
Qed.

Lemma weightedE (p g : vec R n) c i : (p ⊙ (g - const_mx c)) i ord0 = p i ord0 * (g i ord0 - c).
Proof. by rewrite !mxE. Qed.

Lemma softmax_jacobian_mul z g :
  softmax_jacobian z *m g = softmax z ⊙ (g - const_mx (dot (softmax z) g)).
Proof.
apply/matrixP => i j; rewrite (ord1 j) mxE.
under eq_bigr do rewrite softmax_jacobianE mulrBl.
rewrite sumrB (bigD1 i) //= eqxx mulr1 big1 => [|k /negbTE ki]; last first.
  by rewrite eq_sym ki mulr0 mul0r.
rewrite addr0 weightedE mulrBr; congr (_ - _); rewrite dot_col mulr_sumr; apply: eq_bigr => k _.
by rewrite mulrA.
Qed.

(* It is the Jacobian ∂p/∂z (S3.8). *)
Theorem softmax_jacobian_correct z : is_jacobian (@softmax R n) z (softmax_jacobian z).
Proof.
apply: is_diff_mx => i j.
have E : (fun v : vec R n => softmax v i j) =
    expR \o (fun v : vec R n => v i ord0 - ln (\sum_k expR (v k ord0))).
  apply/funext => v; rewrite (ord1 j) /= -ln_softmax lnK // posrE.
  by have [] := softmax_is_a_distribution v.
have d1 : is_diff z (fun v : vec R n => v i ord0 - ln (\sum_k expR (v k ord0)))
    (fun h => h i ord0 - dot (softmax z) h).
  exact: (is_diffB (is_diff_coord i ord0 (is_diff_var z)) (lse_gradient z)).
rewrite E; move: (is_diff_comp d1 (is_diff_scalar (is_derive_expR _))) => d.
apply: is_diff_eq; apply/funext => h /=.
rewrite softmax_jacobian_mul (ord1 j) -ln_softmax lnK; last first.
  by rewrite posrE; have [] := softmax_is_a_distribution z.
by rewrite weightedE.
Qed.

(* By component: ∂p_k/∂z_k = p_k − p_k² and ∂p_i/∂z_k = −p_i p_k for i ≠ k (S3.8). *)
Theorem softmax_slopes z k :
  is_derive z (delta_mx k ord0) (fun v : vec R n => softmax v k ord0 : R)
            (softmax z k ord0 - softmax z k ord0 ^+ 2) /\
  forall i, i != k -> is_derive z (delta_mx k ord0) (fun v : vec R n => softmax v i ord0 : R)
                                (- (softmax z i ord0 * softmax z k ord0)).
Proof.
split=> [|i /negbTE ik].
  move: (jacobian_entries k k (softmax_jacobian_correct z)).
  by rewrite softmax_jacobianE eqxx mulr1 expr2.
move: (jacobian_entries i k (softmax_jacobian_correct z)).
by rewrite softmax_jacobianE ik mulr0 sub0r.
Qed.

(* The chain rule at p: ∂J/∂z_k = Σ_i −t_i / p_i · ∂p_i/∂z_k, for the class y with t_i = 1(y = i) (S3.8). *)
Theorem cross_entropy_chain t z k (dp : 'I_n.+1 -> R) :
  (forall i, is_derive z (delta_mx k ord0) (fun v : vec R n => softmax v i ord0 : R) (dp i)) ->
  is_derive z (delta_mx k ord0) (cross_entropy t) (\sum_i - t i ord0 / softmax z i ord0 * dp i).
Proof.
move=> dpE; move: (gradient_entries k ord0 (cross_entropy_gradient t z)) => d.
apply: is_derive_eq; have E i : dp i = softmax_jacobian z i k.
  have [_ <-] := dpE i; have [_ <-] := jacobian_entries i k (softmax_jacobian_correct z).
  by [].
have p0 i : softmax z i ord0 != 0 by rewrite gt_eqF //; have [] := softmax_is_a_distribution z.
under [RHS]eq_bigr => i _ do rewrite E softmax_jacobianE -mulrBr mulrA divfK // mulNr mulrBr opprB.
rewrite sumrB [X in _ = _ - X](bigD1 k) //= eqxx mulr1 [X in _ = _ - (_ + X)]big1 => [|i /negbTE ik]; last first.
  by rewrite ik mulr0.
rewrite addr0 -mulr_suml mxE [X in _ + X = _]mxE; congr (_ - _).
by rewrite [LHS]mxE.
Qed.

(* diag(p) − p pᵀ is symmetric (S3.9). *)
Theorem softmax_jacobian_symmetric z : (softmax_jacobian z)^T = softmax_jacobian z.
Proof. by rewrite /softmax_jacobian linearB /= tr_diag_mx trmx_mul trmxK. Qed.

(* A shift of all scores changes no probability: diag(p) − p pᵀ maps (1, …, 1) to 0 (S3.9). *)
Theorem softmax_jacobian_of_a_shift z : softmax_jacobian z *m const_mx 1 = 0 :> vec R n.
Proof.
rewrite softmax_jacobian_mul; have -> : dot (softmax z) (const_mx 1) = 1.
  rewrite dot_col; have [_ p1] := softmax_is_a_distribution z; rewrite -[RHS]p1.
  by apply: eq_bigr => i _; rewrite [const_mx _ _ _]mxE mulr1.
by apply/matrixP => i j; rewrite (ord1 j) weightedE [const_mx _ _ _]mxE subrr mulr0 mxE.
Qed.

(* Nothing but a shift is mapped to 0, so that the rank is K − 1 for K classes (S3.9). *)
Theorem softmax_jacobian_rank z : \rank (softmax_jacobian z) = n.
Proof.
set S := softmax_jacobian z.
have p0 i : softmax z i ord0 != 0 by rewrite gt_eqF //; have [] := softmax_is_a_distribution z.
have K : (kermx S == (const_mx 1 : 'rV[R]_n.+1))%MS.
  apply/andP; split.
    apply/row_subP => i; set v := row i (kermx S).
    have v0 : v *m S = 0 by rewrite -row_mul mulmx_ker row0.
    have : S *m v^T = 0 by rewrite -[S]trmxK softmax_jacobian_symmetric -trmx_mul v0 trmx0.
    rewrite softmax_jacobian_mul => /matrixP E.
    have -> : v = dot (softmax z) v^T *: const_mx 1.
      apply/matrixP => a b; move: (E b ord0); rewrite (ord1 a) weightedE [RHS]mxE [v^T _ _]mxE.
      move=> /eqP; rewrite mulf_eq0 (negbTE (p0 b)) subr_eq0 => /eqP ->.
      by rewrite [RHS]mxE [X in _ * X]mxE mulr1.
    exact: scalemx_sub.
  apply/sub_kermxP; rewrite -[S]trmxK softmax_jacobian_symmetric.
  have -> : const_mx 1 = (const_mx 1 : vec R n)^T by rewrite trmx_const.
  by rewrite -trmx_mul softmax_jacobian_of_a_shift trmx0.
have := mxrank_ker S; rewrite (eqmxP K) rank_rV.
have -> : (const_mx 1 : 'rV[R]_n.+1) != 0.
  by apply/eqP => /matrixP /(_ ord0 ord0) /eqP; rewrite !mxE oner_eq0.
move=> r; have := rank_leq_row S; rewrite leq_eqVlt => /orP [/eqP e|]; first by move: r; rewrite e subnn.
rewrite ltnS => l; apply/eqP; rewrite eqn_leq l /=.
by move: r => /eqP; rewrite subSn // eqSS eq_sym subn_eq0.
Qed.

(* Softmax inside a network: an error g at p becomes p ⊙ (g − <p, g>) at z, for any loss and whatever
   stands above (S3.8). *)
Theorem softmax_pullback (J : vec R n -> R) z g :
  is_grad J (softmax z) g ->
  is_grad (fun z' => J (softmax z')) z (softmax z ⊙ (g - const_mx (dot (softmax z) g))).
Proof.
move=> gJ; rewrite -softmax_jacobian_mul -softmax_jacobian_symmetric.
exact: (gradient_chain (softmax_jacobian_correct z) gJ).
Qed.

(* So for a hidden layer with softmax for its activation: below any network, which hands down the error
   e = ∂J/∂p, the error at the softmax layer is ∂J/∂z = p ⊙ (e − <p, e>) (S3.8). *)
Theorem softmax_hidden_layer m q (A : arch R n m q) (th : params A) (J : vec R q -> R) z G
    (p := softmax z) (e := grad_in th p G) :
  regular th (z1 th p) -> is_grad J (forward th p) G ->
  is_grad (fun z' => J (forward th (softmax z'))) z (p ⊙ (e - const_mx (dot p e))).
Proof.
move=> rA gJ; apply: (softmax_pullback (J := fun a => J (forward th a))).
exact: da_correct.
Qed.

End Softmax.

Section TwoClasses.
Variable R : realType.

(* As document 003 writes it for two classes and the first score: ∂J/∂z_1 = −1(y=1)/p_1 · (p_1 − p_1²)
   − 1(y=2)/p_2 · (−p_1 p_2), for the class y (S3.8), which is p_1 − 1(y=1) (S3.9). *)
Theorem two_classes_chain (z : vec R 1) (y : 'I_2) (c1 : 'I_2 := ord0) (c2 : 'I_2 := lift ord0 ord0)
    (p1 := softmax z c1 ord0) (p2 := softmax z c2 ord0) :
  is_derive z (delta_mx c1 ord0) (cross_entropy (one_hot R y))
    (- (y == c1)%:R / p1 * (p1 - p1 ^+ 2) + - (y == c2)%:R / p2 * - (p2 * p1)) /\
  - (y == c1)%:R / p1 * (p1 - p1 ^+ 2) + - (y == c2)%:R / p2 * - (p2 * p1) = p1 - (y == c1)%:R.
Proof.
have [same other] := softmax_slopes z c1.
pose dp (i : 'I_2) := if i == c1 then p1 - p1 ^+ 2 else - (p2 * p1).
have chain : is_derive z (delta_mx c1 ord0) (cross_entropy (one_hot R y))
    (- (y == c1)%:R / p1 * (p1 - p1 ^+ 2) + - (y == c2)%:R / p2 * - (p2 * p1)).
  have dpE i : is_derive z (delta_mx c1 ord0) (fun v : vec R 1 => softmax v i ord0 : R) (dp i).
    have : (i == c1) || (i == c2) by case: i => [[|[|?]] ?].
    by rewrite /dp => /orP [] /eqP ->; [exact: same|exact: other].
  have := cross_entropy_chain (one_hot R y) dpE.
  have oE i : one_hot R y i ord0 = (y == i)%:R by rewrite mxE eqxx andbT eq_sym.
  by rewrite !big_ord_recl big_ord0 addr0 !oE.
split=> //; have [_ <-] := chain.
have [_ ->] := gradient_entries c1 ord0 (cross_entropy_gradient_one_hot y z).
by rewrite mxE [X in _ + X]mxE [X in _ - X]mxE eqxx andbT eq_sym.
Qed.

End TwoClasses.
