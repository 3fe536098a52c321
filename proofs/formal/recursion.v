(* recursion.v -- the error at the output, the step from one layer to the one below, and by
   induction: δ is the gradient of the loss in z, at every layer. *)
From Backproof Require Import prelude products differentials gradient network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Recursion.
Variables (R : realType) (B : nat).
Notation bat n := (batch R n B).

(* δ^L = ∂J/∂a^L ⊙ σ′(z^L), for any loss J of the output with gradient g there (S0.3, S1.2). *)
Theorem output_error m (s : activation R) (J : bat m -> R) (z g : bat m) :
  regular_at s z -> is_grad J (map_mx (act s) z) g ->
  is_grad (fun z' => J (map_mx (act s) z')) z (g ⊙ map_mx (slope s) z).
Proof.
move=> rs gJ; move: (is_grad_comp (is_diff_map_mx (is_diff_var z) rs) gJ).
by move=> d; apply: is_diff_eq; apply/funext => h; rewrite dot_had.
Qed.

(* ∂J/∂a = Wᵀ ∂J/∂z through z = W a + b (S3.12). *)
Theorem error_through_affine m n (W : mat R m n) (b : vec R m) (J : bat m -> R) (a : bat n) g :
  is_grad J (W *m a + spread B.+1 b) g ->
  is_grad (fun a' => J (W *m a' + spread B.+1 b)) a (W^T *m g).
Proof.
move=> gJ; move: (is_diff_affine (is_diff_const W a) (is_diff_var a) (is_diff_const b a)) => d1.
move: (is_grad_comp d1 gJ) => d; apply: is_diff_eq; apply/funext => h.
have -> : spread B.+1 (0 : vec R m) = 0 by apply/matrixP => i j; rewrite !mxE.
by rewrite mul0mx add0r addr0 dot_mull.
Qed.

(* The differential of z^{l+1} = W σ(z^l) + b is h ↦ W (σ′(z^l) ⊙ h) (S0.10, S0.11). *)
Theorem next_z_differential m k (s : activation R) (W : mat R k m) (b : vec R k) (z : bat m) :
  regular_at s z ->
  is_diff z (fun z' => W *m map_mx (act s) z' + spread B.+1 b)
            (fun h => W *m (map_mx (slope s) z ⊙ h)).
Proof.
move=> rs; move: (is_diff_affine (is_diff_const W z) (is_diff_map_mx (is_diff_var z) rs)
  (is_diff_const b z)) => d; apply: is_diff_eq; apply/funext => h.
have -> : spread B.+1 (0 : vec R k) = 0 by apply/matrixP => i j; rewrite !mxE.
by rewrite mul0mx add0r addr0.
Qed.

(* By component: ∂z^{l+1}_i / ∂z^l_j = W_ij σ′(z^l_j), the entry (j, i) of Wᵀ ⊙ (σ′(z^l), …, σ′(z^l)),
   for every sample k (S0.11). *)
Theorem next_z_entries m p (s : activation R) (W : mat R p m) (b : vec R p) (z : bat m) i j k :
  regular_at s z ->
  is_derive z (delta_mx j k) (fun z' => (W *m map_mx (act s) z' + spread B.+1 b) i k : R)
            (W i j * slope s (z j k)).
Proof.
move=> rs; move: (is_diff_coord i k (next_z_differential W b rs)) => -[df dfE].
apply: DeriveDef; first exact: diff_derivable.
rewrite deriveE // dfE.
transitivity (\sum_l W i l * (map_mx (slope s) z ⊙ delta_mx j k) l k); first exact: mxE.
rewrite (bigD1 j) //= big1 => [|l /negbTE lj]; last by rewrite !mxE lj !mulr0.
by rewrite !mxE !eqxx mulr1 addr0.
Qed.

(* The step: if d is the true error δ^{l+1}, then Wᵀ d ⊙ σ′(z^l) is the true error δ^l (S0.9, S0.12). *)
Theorem step m k (s : activation R) (W : mat R k m) (b : vec R k) (J : bat k -> R)
    (z : bat m) (z' := W *m map_mx (act s) z + spread B.+1 b) (d : bat k) :
  regular_at s z -> is_grad J z' d ->
  is_grad (fun z => J (W *m map_mx (act s) z + spread B.+1 b)) z
          (W^T *m d ⊙ map_mx (slope s) z).
Proof.
move=> rs gJ.
apply: (output_error (J := fun a => J (W *m a + spread B.+1 b)) rs).
exact: error_through_affine.
Qed.

(* δ^l = ∂J/∂z^l at every layer, for any loss, any depth, any widths and any batch (S0.7, S0.9, S0.12). *)
Theorem delta_correct n m p (A : arch R n m p) (th : params A) (J : bat p -> R)
    (z : bat m) (g : bat p) :
  regular th z -> is_grad J (from_z th z) g ->
  is_grad (fun z' => J (from_z th z')) z (delta th z g).
Proof.
elim: A th z => [{}n {}m s|{}n {}m k {}p s A ih] th z in J g *.
  exact: output_error.
case=> rs rA gJ; apply: (step (J := fun z' => J (from_z th.2 z')) rs).
exact: ih.
Qed.

(* On the last layer delta is ∂J/∂a^L ⊙ σ′(z^L) (S0.3). *)
Theorem delta_last n m (s : activation R) (th : params (Last n m s)) (z g : bat m) :
  delta th z g = g ⊙ map_mx (slope s) z.
Proof. by []. Qed.

(* On every other layer delta is (W^{l+1})ᵀ δ^{l+1} ⊙ σ′(z^l) (S0.12, S1.5, S3.16). *)
Theorem delta_layer n m k p (s : activation R) (A : arch R m k p)
    (th : params (Layer n s A)) (z : bat m) (g : bat p)
    (z' := z1 th.2 (map_mx (act s) z)) :
  delta th z g = (W1 th.2)^T *m delta th.2 z' g ⊙ map_mx (slope s) z.
Proof. by []. Qed.

End Recursion.
