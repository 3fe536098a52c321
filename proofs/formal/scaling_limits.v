(* scaling_limits.v -- where "inputs × 1000 make the gradient at least × 1000" (document 003, S3.18) fails:
   in TestNet, hidden ReLU layer included; and for three classes even if the sample is misclassified. *)
From mathcomp Require Import interval.
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude products gradient network recursion.
From Backproof Require Import batch identity sigmoid relu softmax_cross_entropy documents scaling.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section ErrorNorm.
Variables (R : realType) (n : nat).
Implicit Types (z : vec R n) (y : 'I_n.+1).

Lemma error_entry z y i : (softmax z - one_hot R y) i ord0 = softmax z i ord0 - (i == y)%:R.
Proof. by rewrite mxE [X in _ + X]mxE [X in _ - X]mxE eqxx andbT. Qed.

Lemma others_sum z y : 1 - softmax z y ord0 = \sum_(i | i != y) softmax z i ord0.
Proof.
have [_ p1] := softmax_is_a_distribution z.
by rewrite -[X in X - _]p1 (bigD1 y) //= addrAC subrr add0r.
Qed.

Lemma error_of_label_lt0 z y y' : y' != y -> (softmax z - one_hot R y) y ord0 < 0.
Proof.
move=> yy; have [p0 _] := softmax_is_a_distribution z.
rewrite error_entry eqxx -oppr_gt0 opprB others_sum (bigD1 y') //=.
by apply: ltr_paddr => //; apply: sumr_ge0 => i _; exact: ltW.
Qed.

(* The largest entry of p − 1(y) is 1 − p_y, up to its sign (S3.18). *)
Lemma error_norm z y : `|softmax z - one_hot R y| = 1 - softmax z y ord0.
Proof.
have [p0 _] := softmax_is_a_distribution z.
have s0 : 0 <= 1 - softmax z y ord0 by rewrite others_sum; apply: sumr_ge0 => i _; exact: ltW.
have entry i : `|(softmax z - one_hot R y) i ord0| <= 1 - softmax z y ord0.
  rewrite error_entry; case: (eqVneq i y) => [->|iy]; first by rewrite distrC ger0_norm.
  rewrite subr0 ger0_norm ?(ltW (p0 _)) // others_sum (bigD1 i) //= ler_addl.
  by apply: sumr_ge0 => k _; exact: ltW.
transitivity (mx_norm (softmax z - one_hot R y)); first by [].
rewrite mx_normrE; apply/le_anti/andP; split.
  by apply/bigmax_leP; split=> //= -[i j] _ /=; rewrite (ord1 j).
apply/bigmax_geP; right; exists (y, ord0) => //=.
by rewrite error_entry eqxx distrC ger0_norm.
Qed.

End ErrorNorm.

Section ThreeClasses.
Variable R : realType.

Lemma expR_le x : 0 < x -> expR x * (1 - x) <= 1 :> R.
Proof.
move=> x0; have d c : c \in `]0, x[%R -> is_derive c 1 (@expR R) (expR c).
  by move=> _; exact: is_derive_expR.
have [|c] := MVT x0 d; first exact/continuous_subspaceT/continuous_expR.
rewrite in_itv /= expR0 subr0 => /andP [_ cx] E.
rewrite mulrBr mulr1 ler_subl_addl -ler_subl_addr E ler_pmul2r //.
by rewrite ler_expR ltW.
Qed.

Let t : R := 10%:R^-1.
Let t0 : 0 < t. Proof. by rewrite invr_gt0 ltr0n. Qed.

Let t10 : 10%:R * t = 1. Proof. by rewrite divff ?pnatr_eq0. Qed.
Let nine : 9%:R * t = 1 - t.
Proof. by rewrite -[X in X - _]t10 -[X in _ - X]mul1r -mulrBl -[X in _ - X]/(1%:R) -natrB. Qed.

Let e_10 : expR (- 10%:R) <= t.
Proof.
rewrite expRN lef_pinv ?posrE ?expR_gt0 ?ltr0n //.
by apply: le_trans (expR_ge1Dx (ler0n _ _)); rewrite ler_addr.
Qed.

Let e_mt : 1 - t <= expR (- t).
Proof. by rewrite expRN -[X in _ <= X]mul1r ler_pdivl_mulr ?expR_gt0 // mulrC; exact: expR_le. Qed.

(* One input and three classes, z = W x + b. *)
Definition three : arch R 0 2 2 := Last 0 2 (identity R).

(* W = (0, 0.1, −10)ᵀ and no bias (S3.18). *)
Definition three_weights : params three := (\col_i nth 0 [:: 0; 10%:R^-1; - 10%:R] i, 0).

Let forward_three c : forward three_weights (c%:M : vec R 0) = c *: three_weights.1.
Proof.
have -> : forward three_weights (c%:M : vec R 0) =
  map_mx (act (identity R)) (three_weights.1 *m c%:M + spread 1 0) by [].
by rewrite map_identity spread1 addr0 mul_mx_scalar.
Qed.

Let gradient_three c y :
  W1 (grads three_weights (c%:M : vec R 0) (label_error three_weights y c%:M)) =
  c *: (softmax (c *: three_weights.1) - one_hot R y).
Proof.
have -> : W1 (grads three_weights (c%:M : vec R 0) (label_error three_weights y c%:M)) =
  label_error three_weights y c%:M ⊙ map_mx (slope (identity R)) (z1 three_weights (c%:M : vec R 0)) *m
  (c%:M : vec R 0)^T by [].
by rewrite had_identity tr_scalar_mx mul_mx_scalar /label_error forward_three.
Qed.

Let p_first c :
  softmax (c *: three_weights.1) ord0 ord0 = (1 + (expR (c * t) + expR (- (c * 10%:R))))^-1.
Proof.
by rewrite mxE !big_ord_recl big_ord0 !mxE /= mulr0 expR0 mul1r mulrN addr0.
Qed.

(* 1 − p_y = s / (1 + s) for the first class, s = e^{0.1 c} + e^{−10 c}. *)
Let q c : R := 1 - softmax (c *: three_weights.1) ord0 ord0.

Let q_at_1 : 23%:R * q 1 <= 13%:R.
Proof.
have e : expR t <= 1 + 2%:R * t.
  have t1 : 0 < 1 - t by rewrite -nine mulr_gt0 ?ltr0n.
  rewrite -(ler_pmul2r t1); apply: le_trans (expR_le t0) _.
  rewrite mulrDl mul1r -ler_subl_addl opprB addrCA subrr addr0 -nine mulrACA mulrA.
  by rewrite ler_pemull ?(ltW t0) // -natrM -[X in X <= _]t10 ler_pmul2r // ler_nat.
rewrite /q p_first !mul1r; set s := _ + expR (- 10%:R).
have s1 : 10%:R * s <= 13%:R.
  have := ler_add e e_10; rewrite -/s -(ler_pmul2l (x := 10%:R)) ?ltr0n // => /le_trans; apply.
  by rewrite !mulrDr mulr1 mulrCA !t10 mulr1 -[X in _ + X <= _]/(1%:R) -!natrD.
have p0 : 0 < 1 + s by rewrite !addr_gt0 ?expR_gt0.
rewrite mulrBr mulr1 ler_subl_addl -ler_subl_addr -natrB // ler_pdivl_mulr // mulrDr mulr1.
by rewrite -ler_subr_addl -natrB.
Qed.

Let q_at_100th : 19%:R <= 29%:R * q 100%:R^-1.
Proof.
rewrite /q p_first; have -> : 100%:R^-1 * 10%:R = t.
  have h : 100%:R = 10%:R * 10%:R :> R by rewrite -natrM.
  by rewrite h invfM -mulrA mulVf ?mulr1 ?pnatr_eq0.
set s := _ + expR (- t); have s1 : 19%:R <= 10%:R * s.
  have e : 1 <= expR (100%:R^-1 * t) by apply: ltW; rewrite expR_gt1 mulr_gt0 ?invr_gt0 ?ltr0n.
  have := ler_add e e_mt; rewrite -/s -(ler_pmul2l (x := 10%:R)) ?ltr0n // => /(le_trans _); apply.
  by rewrite -nine mulrDr mulr1 mulrCA t10 mulr1 -natrD.
have p0 : 0 < 1 + s by rewrite !addr_gt0 ?expR_gt0.
rewrite mulrBr mulr1 ler_subr_addr -ler_subr_addl -natrB // ler_pdivr_mulr // mulrDr mulr1.
by rewrite -ler_subl_addl -natrB.
Qed.

Let q_ratio : 22%:R * q 1 <= 19%:R * q 100%:R^-1.
Proof.
have h1 : q 1 <= 13%:R / 23%:R by rewrite ler_pdivl_mulr ?ltr0n // mulrC.
have h2 : 19%:R / 29%:R <= q 100%:R^-1 by rewrite ler_pdivr_mulr ?ltr0n // mulrC.
apply: le_trans (ler_wpmul2l (ler0n _ 22) h1) (le_trans _ (ler_wpmul2l (ler0n _ 19) h2)).
by rewrite !mulrA -!natrM ler_pdivr_mulr ?ltr0n // mulrAC ler_pdivl_mulr ?ltr0n // -!natrM ler_nat.
Qed.

Let q_shrinks : 4%:R * q 1 ^+ 2 < 3%:R * q 100%:R^-1 ^+ 2.
Proof.
have a0 : 0 <= q 1 by rewrite /q others_sum; apply: sumr_ge0 => i _; apply/ltW; have [] := softmax_is_a_distribution (1 *: three_weights.1).
have b0 : 0 < q 100%:R^-1.
  by rewrite -(pmulr_rgt0 _ (x := 29%:R)) ?ltr0n //; apply: lt_le_trans q_at_100th; rewrite ltr0n.
rewrite -(ltr_pmul2l (x := 121%:R)) ?ltr0n // mulrA [X in _ < X]mulrA -!natrM.
apply: (@le_lt_trans _ _ ((19%:R * q 100%:R^-1) ^+ 2)).
  rewrite (_ : _ * q 1 ^+ 2 = (22%:R * q 1) ^+ 2); last by rewrite exprMn -natrX.
  rewrite ler_pexpn2r ?nnegrE; [exact: q_ratio|by []|exact: mulr_ge0 (ler0n _ _) a0|].
  exact: mulr_ge0 (ler0n _ _) (ltW b0).
by rewrite exprMn -natrX ltr_pmul2r ?exprn_gt0 // ltr_nat.
Qed.

Let squares (z : vec R 2) (e := softmax z - one_hot R ord0) (d := 1 - softmax z ord0 ord0) :
  3%:R * d ^+ 2 <= 2%:R * dot e e /\ dot e e <= 2%:R * d ^+ 2.
Proof.
have [p0 p1] := softmax_is_a_distribution z.
have eE i : e i ord0 = softmax z i ord0 - (i == ord0)%:R := error_entry z ord0 i.
move: p1 (p0 (lift ord0 ord0)) (p0 (lift ord0 (lift ord0 ord0))).
rewrite dot_col !big_ord_recl !big_ord0 !addr0 !eE /= !subr0.
move: (softmax z (lift ord0 ord0) ord0) (softmax z (lift ord0 (lift ord0 ord0)) ord0) => a b p1 a0 b0.
have dE : d = a + b by rewrite /d -p1 addrC addKr.
have -> : softmax z ord0 ord0 - 1 = - d by rewrite opprB.
rewrite mulrNN -!expr2.
have E : d ^+ 2 = (a ^+ 2 + b ^+ 2) + a * b *+ 2 by rewrite dE sqrrD addrAC.
split.
  rewrite mulrDr -[3%N]/(2 + 1)%N natrD mulrDl mul1r ler_add2l E mulr_natl mulr2n ler_add2l.
  by rewrite -subr_ge0 addrAC -sqrrB sqr_ge0.
by rewrite mulr_natl mulr2n ler_add2l E ler_addl mulrn_wge0 // mulr_ge0 // ltW.
Qed.

(* With three classes a misclassified sample may gain less than the factor of its input: at x = 0.01 the class
   y' leads, and 100 x makes ∂W less than 100 times as large, by its largest entry and by the root of the sum
   of the squares of its entries (S3.18). *)
Theorem three_classes_gain_less (y : 'I_3 := ord0) (y' : 'I_3 := lift ord0 ord0)
    (x : vec R 0 := 100%:R^-1%:M) (dW := fun v => W1 (grads three_weights v (label_error three_weights y v))) :
  [/\ 0 < lead three_weights x y y',
      `|dW (100%:R *: x)| < 100%:R * `|dW x| &
      dot (dW (100%:R *: x)) (dW (100%:R *: x)) < 100%:R ^+ 2 * dot (dW x) (dW x)].
Proof.
have n0 : 100%:R != 0 :> R by rewrite pnatr_eq0.
have x0 : 0 < 100%:R^-1 :> R by rewrite invr_gt0 ltr0n.
have -> : 100%:R *: x = 1%:M by rewrite /x scale_scalar_mx divff.
have at_1 : dW 1%:M = softmax (1 *: three_weights.1) - one_hot R y.
  by rewrite /dW gradient_three scale1r.
have at_x : dW x = 100%:R^-1 *: (softmax (100%:R^-1 *: three_weights.1) - one_hot R y).
  exact: gradient_three.
rewrite at_1 at_x; split.
- rewrite /lead forward_three !mxE /= mulr0 subr0.
  by rewrite mulr_gt0.
- rewrite normrZ gtr0_norm // mulrA divff // mul1r !error_norm -/(q 1) -/(q _).
  have b0 : 0 < q 100%:R^-1.
    by rewrite -(pmulr_rgt0 _ (x := 29%:R)) ?ltr0n //; apply: lt_le_trans q_at_100th; rewrite ltr0n.
  rewrite -(ltr_pmul2l (x := 22%:R)) ?ltr0n //; apply: le_lt_trans q_ratio _.
  by rewrite ltr_pmul2r // ltr_nat.
- have E (D : R) : 100%:R ^+ 2 * (100%:R^-1 * (100%:R^-1 * D)) = D.
    by rewrite expr2 -mulrA [X in _ * X]mulrA divff // mul1r mulrA divff // mul1r.
  rewrite dotZl dotZr E -(ltr_pmul2l (x := 2%:R)) ?ltr0n //.
  apply: lt_le_trans (squares _).1; apply: le_lt_trans q_shrinks.
  have -> : 4%:R = 2%:R * 2%:R :> R by rewrite -natrM.
  by rewrite -mulrA ler_pmul2l ?ltr0n //; exact: (squares _).2.
Qed.

End ThreeClasses.

Section TestNet.
Variable R : realType.
Notation net := (testnet R).

(* W^(1) with 1 in every entry, W^(2) with 1 in its first row and 0 in its second, no biases. *)
Definition testnet_weights : params net :=
  ((const_mx 1, 0), (\matrix_(i, j) (i == ord0)%:R, 0)).

Let th := testnet_weights.
Let x : vec R 2 := const_mx 1.
Let y : 'I_2 := ord0.
Let y' : 'I_2 := lift ord0 ord0.

Let z1E : z1 th x = const_mx 3%:R.
Proof.
apply/matrixP => i j; rewrite one_sample_z [LHS]mxE [X in _ + X]mxE addr0 [LHS]mxE [RHS]mxE.
by under eq_bigr do rewrite !mxE mulr1; rewrite sumr_const card_ord.
Qed.

Let a1E : map_mx (act (relu R)) (z1 th x) = const_mx 3%:R.
Proof. by rewrite z1E; apply/matrixP => i j; rewrite !mxE; apply/max_idPr. Qed.

Let gateE : map_mx (slope (relu R)) (z1 th x) = const_mx 1.
Proof. by rewrite z1E; apply/matrixP => i j; rewrite !mxE /= /strict_gate ltr0n. Qed.

Let scores i : forward th x i ord0 = 12%:R * (i == ord0)%:R.
Proof.
have -> : forward th x = map_mx (act (identity R)) (th.2.1 *m map_mx (act (relu R)) (z1 th x) + spread 1 0).
  by [].
rewrite map_identity spread1 addr0 a1E mxE; under eq_bigr do rewrite !mxE.
by rewrite sumr_const card_ord -mulrnAr -mulrnA mulrC.
Qed.

Let error := label_error th y x.

Let W1E : W1 (grads th x error) ord0 ord0 = error y ord0.
Proof.
have -> : W1 (grads th x error) = (th.2.1^T *m (error ⊙ map_mx (slope (identity R)) (z1 (A := Last 3 1 (identity R)) th.2
  (map_mx (act (relu R)) (z1 th x)))) ⊙ map_mx (slope (relu R)) (z1 th x)) *m x^T by [].
rewrite gateE had_identity mxE big_ord_recl big_ord0 addr0 mxE.
rewrite [X in X * _ * _]mxE [const_mx _ _ _]mxE [x^T _ _]mxE [x _ _]mxE !mulr1.
by rewrite big_ord_recl big_ord_recl big_ord0 !mxE /= mul1r mul0r !addr0.
Qed.

Let W2E : (grads th x error).2.1 ord0 ord0 = 3%:R * error y ord0.
Proof.
have -> : (grads th x error).2.1 = (error ⊙ map_mx (slope (identity R)) (z1 (A := Last 3 1 (identity R)) th.2
  (map_mx (act (relu R)) (z1 th x)))) *m (map_mx (act (relu R)) (z1 th x))^T by [].
rewrite a1E had_identity mxE big_ord_recl big_ord0 addr0 mulrC.
by rewrite [X in X * _]mxE [const_mx _ _ _]mxE.
Qed.

(* The claim fails in TestNet itself, off the kinks: with these weights and x = (1, 1, 1) in the first class,
   1000 x makes the gradients of both W less than 1000 times as large (S3.18). *)
Theorem claim_fails_in_testnet :
  [/\ off_kinks th (z1 th x),
      `|W1 (grads th (1000%:R *: x) (label_error th y (1000%:R *: x)))| <
        1000%:R * `|W1 (grads th x (label_error th y x))| &
      `|(grads th (1000%:R *: x) (label_error th y (1000%:R *: x))).2.1| <
        1000%:R * `|(grads th x (label_error th y x)).2.1| ].
Proof.
have lead0 : lead th x y y' < 0.
  by rewrite /lead !scores eqxx mulr1 mulr0 sub0r oppr_lt0 ltr0n.
have c1 : 1 < 1000%:R :> R by rewrite ltr1n.
have rA : relu_net net by exact: testnet_is_a_relu_net.
have b0 : no_bias th by [].
have yy : y' != y by [].
have e0 : error y ord0 != 0 by rewrite lt_eqF //; exact: (error_of_label_lt0 _ yy).
have [k /andP [k0 k1] E] := classified_gains_less yy rA b0 c1 lead0.
have less m n (M : mat R m n) : M != 0 -> `|(k * 1000%:R) *: M| < 1000%:R * `|M|.
  move=> M0; rewrite normrZ ger0_norm ?mulr_ge0 ?ler0n ?(ltW k0) // -mulrA.
  by rewrite gtr_pmull ?k1 // mulr_gt0 ?ltr0n // normr_gt0.
split; first by split=> // i j; rewrite z1E mxE pnatr_eq0.
- rewrite E; apply: less; apply/eqP => /matrixP /(_ ord0 ord0).
  by rewrite W1E [RHS]mxE; exact/eqP.
- rewrite E; apply: less; apply/eqP => /matrixP /(_ ord0 ord0).
  by rewrite W2E [RHS]mxE; apply/eqP; rewrite mulf_neq0 ?pnatr_eq0.
Qed.

End TestNet.
