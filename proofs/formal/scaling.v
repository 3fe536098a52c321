(* scaling.v -- "inputs × 1000 make the gradient at least × 1000" (document 003, S3.18): what is
   true of it, and that it is false as written. *)
From mathcomp.analysis Require Import sequences realfun exp.
From Backproof Require Import prelude products gradient network recursion.
From Backproof Require Import batch identity sigmoid relu softmax_cross_entropy documents.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Homogeneous.
Variable R : realType.

(* All biases are 0. *)
Fixpoint no_bias n m p (A : arch R n m p) : params A -> Prop :=
  match A with
  | Last _ _ _ => fun th => th.2 = 0
  | Layer _ _ _ _ _ A' => fun th => th.1.2 = 0 /\ no_bias th.2
  end.

(* Every W^l multiplied by k and every b^l by l. *)
Fixpoint rescale (k l : R) n m p (A : arch R n m p) : params A -> params A :=
  match A with
  | Last _ _ _ => fun th => (k *: th.1, l *: th.2)
  | Layer _ _ _ _ _ A' => fun th => ((k *: th.1.1, l *: th.1.2), rescale k l th.2)
  end.

(* At a fixed error δ, ∂W = δ aᵀ carries the factor of the input exactly (S3.18). *)
Theorem fixed_error_gain n m B (d : batch R m B) (a : batch R n B) (c : R) :
  d *m (c *: a)^T = c *: (d *m a^T).
Proof. by rewrite linearZ /= -scalemxAr. Qed.

Variable c : R.
Hypothesis c0 : 0 < c.

Lemma gate_scale x : slope (relu R) (c * x) = slope (relu R) x.
Proof. by rewrite /= /strict_gate pmulr_rgt0. Qed.

Lemma map_gate_scale m n (z : 'M[R]_(m, n)) :
  map_mx (slope (relu R)) (c *: z) = map_mx (slope (relu R)) z.
Proof. by apply/matrixP => i j; rewrite !mxE gate_scale. Qed.

Lemma map_relu_scale m n (z : 'M[R]_(m, n)) :
  map_mx (act (relu R)) (c *: z) = c *: map_mx (act (relu R)) z.
Proof. by apply/matrixP => i j; rewrite !mxE !relu_gate gate_scale mulrA. Qed.

Lemma b1_no_bias n m p (A : arch R n m p) (th : params A) : no_bias th -> b1 th = 0.
Proof. by case: A th => [? ? s|? ? ? ? s A] th; [|case]. Qed.

Lemma z1_scale n m p (A : arch R n m p) (th : params A) (a : vec R n) :
  no_bias th -> z1 th (c *: a) = c *: z1 th a.
Proof. by move=> b0; rewrite !one_sample_z b1_no_bias // !addr0 scalemxAr. Qed.

Lemma from_z_scale n m p (A : arch R n m p) (th : params A) (z : vec R m) :
  relu_net A -> no_bias th -> from_z th (c *: z) = c *: from_z th z.
Proof.
elim: A th z => [{}n {}m s|{}n {}m k {}p s A ih] th z.
  by move=> -> _; rewrite /= !map_identity.
move=> [-> rA] [_ b0]; rewrite -[RHS](ih th.2 _ rA b0) -z1_scale // -map_relu_scale.
by [].
Qed.

Lemma delta_of_scaled n m p (A : arch R n m p) (th : params A) (z : vec R m) g :
  relu_net A -> no_bias th -> delta th (c *: z) g = delta th z g.
Proof.
elim: A th z g => [{}n {}m s|{}n {}m k {}p s A ih] th z g.
  by move=> -> _; rewrite !delta_last !had_identity.
move=> [-> rA] [_ b0]; rewrite !delta_layer map_gate_scale map_relu_scale z1_scale //.
by rewrite ih.
Qed.

(* Without biases the output scales with the input (S3.18). *)
Theorem forward_scale n m p (A : arch R n m p) (th : params A) (x : vec R n) :
  relu_net A -> no_bias th -> forward th (c *: x) = c *: forward th x.
Proof. by move=> rA b0; rewrite /forward z1_scale // from_z_scale. Qed.

(* Without biases, input × c and error at the output × k make every ∂W^l × k c and every ∂b^l × k (S3.18). *)
Theorem grads_of_scaled n m p (A : arch R n m p) (th : params A) (x : vec R n) (g : vec R p) k :
  relu_net A -> no_bias th ->
  grads th (c *: x) (k *: g) = rescale (k * c) k (grads th x g).
Proof.
move=> rA b0; rewrite grads_scale.
have E j q l (C : arch R j q l) (ph : params C) (y : vec R j) h : relu_net C -> no_bias ph ->
    k *: (delta ph (z1 ph (c *: y)) h *m (c *: y)^T, sum_samples (delta ph (z1 ph (c *: y)) h)) =
    ((k * c) *: (delta ph (z1 ph y) h *m y^T), k *: sum_samples (delta ph (z1 ph y) h)).
  by move=> rC n0; rewrite z1_scale // delta_of_scaled // fixed_error_gain -scalerA.
elim: A th x g rA b0 => [{}n {}m s|{}n {}m j {}p s A ih] th x g rA b0; first exact: E.
apply: (congr2 pair); first exact: E.
case: rA b0 => sE rA b0; have [_ b0'] := b0.
have F := ih th.2 (map_mx (act s) (z1 th x)) g rA b0'.
by move: F; rewrite {1}sE -map_relu_scale -sE -z1_scale.
Qed.

End Homogeneous.

Section Sigmoid.
Variable R : realType.
Implicit Types x y : R.

Lemma sigmoid_gt0 x : 0 < sigmoid_value x.
Proof. by rewrite invr_gt0 addr_gt0 // expR_gt0. Qed.

Lemma sigmoid_lt1 x : sigmoid_value x < 1.
Proof. by rewrite invf_lt1 ?addr_gt0 ?expR_gt0 // ltr_addl expR_gt0. Qed.

Lemma sigmoid_mono : {mono (@sigmoid_value R) : x y / x <= y}.
Proof.
by move=> x y; rewrite lef_pinv ?posrE ?addr_gt0 ?expR_gt0 // ler_add2l ler_expR ler_oppl opprK.
Qed.

Lemma sigmoid0 : sigmoid_value (0 : R) = 2^-1.
Proof. by rewrite /sigmoid_value oppr0 expR0. Qed.

End Sigmoid.

Section AnyClasses.
Variable R : realType.
Variables (n m p : nat) (A : arch R n m p) (th : params A) (x : vec R n).
Variables y y' : 'I_p.+1.  (* the label, and another class *)

(* p − 1(y) at the input v: the error ∂J/∂z^L of the cross-entropy of the label (S3.16). *)
Definition label_error (v : vec R n) : vec R p := softmax (forward th v) - one_hot R y.

(* By how much the class y' leads: at least 0 means that x is misclassified. *)
Definition lead : R := forward th x y' ord0 - forward th x y ord0.

End AnyClasses.

Section TwoClasses.
Variable R : realType.
Variables (n m : nat) (A : arch R n m 1) (th : params A) (x : vec R n).
Variables y y' : 'I_2.  (* the label, and the other class *)
Hypotheses (yy : y' != y) (rA : relu_net A) (b0 : no_bias th).

Notation label_error := (label_error th y).
Notation lead := (lead th x y y').

Lemma either (i : 'I_2) : i = y \/ i = y'.
Proof.
have : (i == y) || (i == y') by case: y y' i yy => [[|[|?]] ?] [[|[|?]] ?] [[|[|?]] ?].
by case/orP => /eqP; [left|right].
Qed.

Lemma two_classes (F : 'I_2 -> R) : \sum_k F k = F y + F y'.
Proof.
rewrite (bigD1 y) // (bigD1 y') //= big1 ?addr0 // => i /andP [] /negbTE iy /negbTE iy'.
by case: (either i) => e; move: iy iy'; rewrite e eqxx.
Qed.

Lemma p_other (z : vec R 1) : softmax z y' ord0 = sigmoid_value (z y' ord0 - z y ord0).
Proof.
rewrite mxE two_classes /sigmoid_value opprB expRB.
have e0 : expR (z y' ord0) != 0 by rewrite gt_eqF // expR_gt0.
have -> : 1 + expR (z y ord0) / expR (z y' ord0) =
    (expR (z y ord0) + expR (z y' ord0)) / expR (z y' ord0).
  by rewrite mulrDl divff // addrC.
by rewrite invf_div.
Qed.

Lemma error_direction (z : vec R 1) :
  softmax z - one_hot R y = sigmoid_value (z y' ord0 - z y ord0) *: (one_hot R y' - one_hot R y).
Proof.
have [_] := softmax_is_a_distribution z; rewrite two_classes p_other => p1.
have oE (k i j : 'I_2) (o : 'I_1) : one_hot R k i o = (i == k)%:R.
  by rewrite mxE (ord1 o) eqxx andbT.
apply/matrixP => i j; rewrite (ord1 j) [LHS]mxE [X in _ + X]mxE [RHS]mxE [X in _ * X]mxE.
rewrite [X in _ * (_ + X)]mxE !oE //; case: (either i) => ->; rewrite eqxx.
  by rewrite eq_sym (negbTE yy) -[1%:R in LHS]p1 opprD addNKr sub0r mulrN1.
by rewrite (negbTE yy) !subr0 mulr1 p_other.
Qed.

Lemma error_of_scaled c : 0 < c ->
  label_error (c *: x) = (sigmoid_value (c * lead) / sigmoid_value lead) *: label_error x.
Proof.
move=> c0; rewrite /label_error (forward_scale c0) // !error_direction scalerA.
by rewrite divfK ?gt_eqF ?sigmoid_gt0 // !mxE -mulrBr.
Qed.

(* With two classes and no biases, input × c multiplies every ∂W^l by κ c and every ∂b^l by κ,
   κ = σ(c · lead) / σ(lead), at any depth (S3.18). *)
Theorem scaling_law c : 0 < c ->
  let k := sigmoid_value (c * lead) / sigmoid_value lead in
  grads th (c *: x) (label_error (c *: x)) = rescale (k * c) k (grads th x (label_error x)).
Proof. by move=> c0 k; rewrite error_of_scaled // grads_of_scaled. Qed.

(* Misclassified: every ∂W^l gains the factor c or more, ∂b^l at most 2 (the true theorem of S3.18). *)
Theorem misclassified_gains_the_factor c : 1 <= c -> 0 <= lead ->
  exists2 k : R, 1 <= k < 2 &
  grads th (c *: x) (label_error (c *: x)) = rescale (k * c) k (grads th x (label_error x)).
Proof.
move=> c1 l0; exists (sigmoid_value (c * lead) / sigmoid_value lead); last first.
  by apply: scaling_law; exact: lt_le_trans c1.
rewrite ler_pdivl_mulr ?sigmoid_gt0 // mul1r sigmoid_mono ler_pemull //=.
rewrite ltr_pdivr_mulr ?sigmoid_gt0 //; apply: lt_le_trans (sigmoid_lt1 _) _.
by rewrite -ler_pdivr_mull // mulr1 -sigmoid0 sigmoid_mono.
Qed.

(* Classified rightly: every ∂W^l gains less than the factor c (S3.18). *)
Theorem classified_gains_less c : 1 < c -> lead < 0 ->
  exists2 k : R, 0 < k < 1 &
  grads th (c *: x) (label_error (c *: x)) = rescale (k * c) k (grads th x (label_error x)).
Proof.
move=> c1 l0; exists (sigmoid_value (c * lead) / sigmoid_value lead); last first.
  by apply: scaling_law; exact: lt_trans c1.
rewrite divr_gt0 ?sigmoid_gt0 //= ltr_pdivr_mulr ?sigmoid_gt0 // mul1r.
by rewrite ltNge sigmoid_mono -ltNge gtr_nmull.
Qed.

End TwoClasses.

Section Refutation.
Variable R : realType.

(* Document 003: "if the input is multiplied by 1000, the gradient is at least 1000 times as large",
   for the W of the first layer and the label y (S3.18). *)
Definition claim_of_document_003 : Prop :=
  forall n m (A : arch R n m 1) (th : params A) (x : vec R n) (y : 'I_2),
  relu_net A ->
  1000%:R * `|W1 (grads th x (label_error th y x))| <=
    `|W1 (grads th (1000%:R *: x) (label_error th y (1000%:R *: x)))|.

(* It is false: z = W x with W = (1, 0)ᵀ, x = 1, and the first class for the label (S3.18). *)
Theorem claim_is_false : ~ claim_of_document_003.
Proof.
pose A := Last 0 1 (identity R); pose y : 'I_2 := ord0; pose y' : 'I_2 := lift ord0 ord0.
pose th : params A := (one_hot R y, 0); pose x : vec R 0 := 1%:M.
have yy : y' != y by [].
have f : forward th x = one_hot R y.
  have -> : forward th x = map_mx (act (identity R)) (one_hot R y *m 1%:M + spread 1 0) by [].
  by rewrite map_identity mulmx1 spread1 addr0.
have l : lead th x y y' < 0.
  by rewrite /lead f !mxE eqxx (negbTE yy) sub0r oppr_lt0 ltr01.
have c1 : 1 < 1000%:R :> R by rewrite ltr1n.
have rA : relu_net A by [].
have b0 : no_bias th by [].
move=> /(_ _ _ A th x y rA).
have [k /andP [k0 k1] ->] := classified_gains_less yy rA b0 c1 l.
have -> : W1 (rescale (k * 1000%:R) k (grads th x (label_error th y x))) =
   (k * 1000%:R) *: W1 (grads th x (label_error th y x)) by [].
have -> : W1 (grads th x (label_error th y x)) = label_error th y x.
  have -> : W1 (grads th x (label_error th y x)) =
    label_error th y x ⊙ map_mx (slope (identity R)) (z1 th x) *m x^T by [].
  by rewrite had_identity trmx1 mulmx1.
have e0 : label_error th y x != 0.
  apply/eqP => /matrixP /(_ y' ord0); rewrite /label_error mxE [X in _ + X]mxE [RHS]mxE.
  rewrite (_ : one_hot R y _ _ = 0) ?subr0 => [p0|]; last by rewrite mxE (negbTE yy).
  by have [/(_ y')] := softmax_is_a_distribution (forward th x); rewrite p0 ltxx.
rewrite normrZ ger0_norm ?mulr_ge0 ?ler0n ?(ltW k0) // -mulrA.
by rewrite leNgt gtr_pmull ?k1 // mulr_gt0 ?ltr0n // normr_gt0.
Qed.

End Refutation.
