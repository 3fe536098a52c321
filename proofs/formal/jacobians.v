(* jacobians.v -- the error as a product: δ^l = ∂J/∂z^L · ∂z^L/∂z^{L−1} ⋯ ∂z^{l+1}/∂z^l (document 000),
   for one sample. A Jacobian has a row for each output and a column for each input. *)
From Backproof Require Import prelude products differentials gradient network recursion batch.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Jacobians.
Variable R : realType.
Notation vec n := (vec R n).
Notation mat m n := (mat R m n).

(* M is the Jacobian ∂f/∂x: f is differentiable at x, and f(x + h) = f(x) + M h + o(h) (S3.2). *)
Definition is_jacobian m n (f : vec n -> vec m) (x : vec n) (M : mat m n) : Prop :=
  is_diff x f (mulmx M).

(* Its entry (i, j) is ∂f_i/∂x_j: a row for each output, a column for each input (S3.2). *)
Theorem jacobian_entries m n (f : vec n -> vec m) x M i j :
  is_jacobian f x M -> is_derive x (delta_mx j ord0) (fun v => f v i ord0 : R) (M i j).
Proof.
move=> dM; have [df dfE] := is_diff_coord i ord0 dM.
apply: DeriveDef; first exact: diff_derivable.
rewrite deriveE // dfE -colE.
by rewrite mxE.
Qed.

(* There is at most one Jacobian (S3.2). *)
Theorem jacobian_unique m n (f : vec n -> vec m) x M1 M2 :
  is_jacobian f x M1 -> is_jacobian f x M2 -> M1 = M2.
Proof.
move=> d1 d2; apply/matrixP => i j.
have [_ <-] := jacobian_entries i j d1.
by have [_ <-] := jacobian_entries i j d2.
Qed.

(* The chain rule: the Jacobian of a composition is the product of the Jacobians (S4.2). *)
Theorem jacobian_chain m n k (f : vec n -> vec m) (g : vec m -> vec k) x M1 M2 :
  is_jacobian f x M1 -> is_jacobian g (f x) M2 -> is_jacobian (g \o f) x (M2 *m M1).
Proof.
move=> d1 d2; have d := is_diff_comp d1 d2.
by apply: is_diff_eq; apply/funext => h; rewrite /= mulmxA.
Qed.

(* The chain rule for a loss: the gradient in x is the transposed Jacobian times the gradient in f(x);
   written as a row, ∂J/∂x = ∂J/∂f · ∂f/∂x (S0.7, S4.2). *)
Theorem gradient_chain m n (f : vec n -> vec m) (J : vec m -> R) x M g :
  is_jacobian f x M -> is_grad J (f x) g -> is_grad (J \o f) x (M^T *m g).
Proof.
move=> dM gJ; have d := is_grad_comp dM gJ.
by apply: is_diff_eq; apply/funext => h; rewrite dot_mull.
Qed.

(* W diag(d): column j of W multiplied by d_j. *)
Definition scaled_columns m n (W : mat m n) (d : vec n) : mat m n :=
  \matrix_(i, j) (W i j * d j ord0).

Lemma scaled_columns_mul m n (W : mat m n) d h : scaled_columns W d *m h = W *m (d ⊙ h).
Proof.
apply/matrixP => i j; rewrite !mxE; apply: eq_bigr => k _.
by rewrite !mxE (ord1 j) mulrA.
Qed.

Lemma scaled_columns_tr m n (W : mat m n) d e : (scaled_columns W d)^T *m e = W^T *m e ⊙ d.
Proof.
apply/matrixP => i j; rewrite !mxE mulr_suml; apply: eq_bigr => k _.
by rewrite !mxE (ord1 j) mulrAC.
Qed.

(* ∂z^{l+1}/∂z^l = W^{l+1} diag(σ′(z^l)), the transpose of the document's matrix (S0.11). *)
Theorem step_jacobian m k (s : activation R) (W : mat k m) (b : vec k) (z : vec m) :
  regular_at s z ->
  is_jacobian (fun z' : vec m => W *m map_mx (act s) z' + spread 1 b) z
              (scaled_columns W (map_mx (slope s) z)).
Proof.
move=> rs; move: (next_z_differential W b rs) => d.
by apply: is_diff_eq; apply/funext => h; rewrite scaled_columns_mul.
Qed.

(* σ of the last layer. *)
Fixpoint last_act n m p (A : arch R n m p) : activation R :=
  match A with
  | Last _ _ s => s
  | Layer _ _ _ _ _ A' => last_act A'
  end.

(* z^L as a function of z^l: the steps z^{k+1} = W^{k+1} σ(z^k) + b^{k+1} one after the other (S0.10). *)
Fixpoint last_z n m p (A : arch R n m p) : params A -> vec m -> vec p :=
  match A with
  | Last _ _ _ => fun _ z => z
  | Layer _ _ _ _ s A' => fun th z => last_z th.2 (z1 th.2 (map_mx (act s) z))
  end.

(* ∂z^L/∂z^{L−1} ∂z^{L−1}/∂z^{L−2} ⋯ ∂z^{l+1}/∂z^l, the factors W^{k+1} diag(σ′(z^k)) (S0.7). *)
Fixpoint jacobian_product n m p (A : arch R n m p) : params A -> vec m -> mat p m :=
  match A with
  | Last _ _ _ => fun _ _ => 1%:M
  | Layer _ _ _ _ s A' => fun th z =>
      jacobian_product th.2 (z1 th.2 (map_mx (act s) z)) *m
      scaled_columns (W1 th.2) (map_mx (slope s) z)
  end.

(* The output is σ of the last z (S0.2). *)
Theorem from_last_z n m p (A : arch R n m p) (th : params A) (z : vec m) :
  from_z th z = map_mx (act (last_act A)) (last_z th z).
Proof. by elim: A th z => [//|{}n {}m k {}p s A ih] th z; exact: ih. Qed.

Lemma regular_last n m p (A : arch R n m p) (th : params A) (z : vec m) :
  regular th z -> regular_at (last_act A) (last_z th z).
Proof. by elim: A th z => [//|{}n {}m k {}p s A ih] th z [_]; exact: ih. Qed.

(* The product of the steps' Jacobians is the Jacobian ∂z^L/∂z^l (S0.7). *)
Theorem product_is_the_jacobian n m p (A : arch R n m p) (th : params A) (z : vec m) :
  regular th z -> is_jacobian (last_z th) z (jacobian_product th z).
Proof.
elim: A th z => [{}n {}m s|{}n {}m k {}p s A ih] th z.
  move=> _; move: (is_diff_var z) => d.
  by apply: is_diff_eq; apply/funext => h; rewrite mul1mx.
case=> rs rA; exact: (jacobian_chain (step_jacobian (W1 th.2) (b1 th.2) rs) (ih _ _ rA)).
Qed.

(* δ^l = (∂z^L/∂z^{L−1} ⋯ ∂z^{l+1}/∂z^l)ᵀ δ^L with δ^L = ∂J/∂a^L ⊙ σ′(z^L), at every layer of any network:
   the recursion is the product of the Jacobians (S0.7). *)
Theorem delta_is_the_product n m p (A : arch R n m p) (th : params A) (z : vec m) (g : vec p) :
  delta th z g =
  (jacobian_product th z)^T *m (g ⊙ map_mx (slope (last_act A)) (last_z th z)).
Proof.
elim: A th z g => [{}n {}m s|{}n {}m k {}p s A ih] th z g; first by rewrite trmx1 mul1mx.
by rewrite delta_layer ih -scaled_columns_tr mulmxA -trmx_mul.
Qed.

(* As the document writes it, with rows: δ^l = δ^L · ∂z^L/∂z^{L−1} ⋯ ∂z^{l+1}/∂z^l (S0.7). *)
Theorem delta_is_the_product_of_rows n m p (A : arch R n m p) (th : params A) (z : vec m) (g : vec p) :
  (delta th z g)^T =
  (g ⊙ map_mx (slope (last_act A)) (last_z th z))^T *m jacobian_product th z.
Proof. by rewrite delta_is_the_product trmx_mul trmxK. Qed.

(* In a batch, for every sample with the Jacobians at its own z (S0.7, S1.8). *)
Theorem batch_delta_is_the_product n m p (A : arch R n m p) (th : params A) B
    (Z : batch R m B) (G : batch R p B) i (z := col i Z) :
  col i (delta th Z G) =
  (jacobian_product th z)^T *m (col i G ⊙ map_mx (slope (last_act A)) (last_z th z)).
Proof. by rewrite col_delta delta_is_the_product. Qed.

(* And it is ∂J/∂z^l, with ∂J/∂z^L for the first factor (S0.7). *)
Theorem product_of_jacobians n m p (A : arch R n m p) (th : params A) (J : vec p -> R)
    (z : vec m) (d : vec p) :
  regular th z ->
  is_grad (fun z' => J (map_mx (act (last_act A)) z')) (last_z th z) d ->
  is_grad (fun z' => J (from_z th z')) z ((jacobian_product th z)^T *m d).
Proof.
move=> rA; have -> : (fun z' => J (from_z th z')) =
    (fun z' => J (map_mx (act (last_act A)) z')) \o last_z th.
  by apply/funext => z'; rewrite from_last_z.
exact: gradient_chain (product_is_the_jacobian rA).
Qed.

End Jacobians.
