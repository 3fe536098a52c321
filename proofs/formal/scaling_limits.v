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

(* e^0.1 + e^−10 < e^0.001 + e^−0.1 *)
Lemma the_two_sums : expR t + expR (- 10%:R) < expR (t / 100%:R) + expR (- t).
Proof.
have t1 : 0 < 1 - t by rewrite -nine mulr_gt0 ?ltr0n.
have u : expR t * (1 - t) <= 1 := expR_le t0.
have e_t : expR t <= 1 + 8%:R * t.
  rewrite -(ler_pmul2r t1); apply: le_trans u _.
  rewrite mulrDl mul1r -ler_subl_addl opprB addrCA subrr addr0 -nine mulrACA mulrA.
  by rewrite ler_pemull ?(ltW t0) // -natrM -[X in X <= _]t10 ler_pmul2r // ler_nat.
have e_10 : expR (- 10%:R) <= t.
  rewrite expRN lef_pinv ?posrE ?expR_gt0 ?ltr0n //.
  by apply: le_trans (expR_ge1Dx (ler0n _ _)); rewrite ler_addr.
have e_mt : 1 - t <= expR (- t).
  by rewrite expRN -[X in _ <= X]mul1r ler_pdivl_mulr ?expR_gt0 // mulrC.
apply: (@le_lt_trans _ _ (1 + (1 - t))).
  rewrite -nine; apply: le_trans (ler_add e_t e_10) _.
  by rewrite -addrA ler_add2l -[X in _ + X]mul1r -mulrDl -[X in _ + X]/(1%:R) -natrD.
by apply: ltr_le_add e_mt; rewrite expR_gt1 divr_gt0 ?ltr0n.
Qed.

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

Let gradient_three c y : 0 < c ->
  `|W1 (grads three_weights (c%:M : vec R 0) (label_error three_weights y c%:M))| =
  c * (1 - softmax (c *: three_weights.1) y ord0).
Proof.
move=> c0; have -> : W1 (grads three_weights (c%:M : vec R 0) (label_error three_weights y c%:M)) =
  label_error three_weights y c%:M ⊙ map_mx (slope (identity R)) (z1 three_weights (c%:M : vec R 0)) *m
  (c%:M : vec R 0)^T by [].
by rewrite had_identity tr_scalar_mx mul_mx_scalar normrZ gtr0_norm // /label_error forward_three error_norm.
Qed.

Let p_first c :
  softmax (c *: three_weights.1) ord0 ord0 = (1 + (expR (c * t) + expR (- (c * 10%:R))))^-1.
Proof.
by rewrite mxE !big_ord_recl big_ord0 !mxE /= mulr0 expR0 mul1r mulrN addr0.
Qed.

(* With three classes a misclassified sample may gain less than the factor of its input: at x = 0.01 the class
   y' leads, and 100 x makes the largest entry of ∂W less than 100 times as large (S3.18). *)
Theorem three_classes_gain_less (y : 'I_3 := ord0) (y' : 'I_3 := lift ord0 ord0)
    (x : vec R 0 := 100%:R^-1%:M) :
  0 < lead three_weights x y y' /\
  `|W1 (grads three_weights (100%:R *: x) (label_error three_weights y (100%:R *: x)))| <
    100%:R * `|W1 (grads three_weights x (label_error three_weights y x))|.
Proof.
have x0 : 0 < 100%:R^-1 :> R by rewrite invr_gt0 ltr0n.
have -> : 100%:R *: x = 1%:M by rewrite /x scale_scalar_mx divff // pnatr_eq0.
split.
  rewrite /lead forward_three !mxE /= mulr0 subr0.
  by rewrite mulr_gt0.
rewrite [X in X < _](gradient_three y ltr01) [X in _ < _ * X](gradient_three y x0) mulrA divff ?pnatr_eq0 // !mul1r.
rewrite ltr_add2l ltr_opp2 !p_first !mul1r ltf_pinv ?posrE ?addr_gt0 ?expR_gt0 // ltr_add2l.
have -> : 100%:R^-1 * 10%:R = t.
  have h : 100%:R = 10%:R * 10%:R :> R by rewrite -natrM.
  by rewrite h invfM -mulrA mulVf ?mulr1 ?pnatr_eq0.
by rewrite [100%:R^-1 * t]mulrC; exact: the_two_sums.
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
