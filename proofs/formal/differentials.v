(* differentials.v -- the chain rule for matrices.

   What backpropagation needs and mathcomp-analysis 0.6.0 does not provide: differentials
   taken entry by entry, of a matrix product, of a function applied to every entry.
   [is_diff x f df] says that f(x + h) = f(x) + df(h) + o(h) with df linear. *)
From Backproof Require Import prelude products.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Differentials.
Variable R : realType.

Lemma is_diff_lin (V W : normedModType R) (f : {linear V -> W}) (x : V) :
  continuous f -> is_diff x f f.
Proof.
by move=> cf; apply: DiffDef; [exact: linear_differentiable|rewrite diff_lin].
Qed.

Section General.
Variables U V W : normedModType R.

Lemma is_diff_var (x : V) : is_diff x (fun v => v) (fun h => h).
Proof. exact: is_diff_id. Qed.

Lemma is_diff_const (a : W) (x : V) : is_diff x (fun=> a) (fun=> 0).
Proof. exact: is_diff_cst. Qed.

Lemma is_diff_fst (f df : U -> V * W) (u : U) :
  is_diff u f df -> is_diff u (fun v => (f v).1) (fun h => (df h).1).
Proof.
move=> dfu; have lin : linear (fst : V * W -> V) by [].
pose c : {linear V * W -> V} := Linear lin.
have cc : continuous c by move=> ?; exact: cvg_fst.
exact: (is_diff_comp dfu (is_diff_lin (f u) cc)).
Qed.

Lemma is_diff_snd (f df : U -> V * W) (u : U) :
  is_diff u f df -> is_diff u (fun v => (f v).2) (fun h => (df h).2).
Proof.
move=> dfu; have lin : linear (snd : V * W -> W) by [].
pose c : {linear V * W -> W} := Linear lin.
have cc : continuous c by move=> ?; exact: cvg_snd.
exact: (is_diff_comp dfu (is_diff_lin (f u) cc)).
Qed.

Lemma is_diff_sum n (f df : 'I_n -> V -> W) (x : V) :
  (forall i, is_diff x (f i) (df i)) ->
  is_diff x (fun v => \sum_i f i v) (fun h => \sum_i df i h).
Proof.
move=> dfx.
have sumE (g : 'I_n -> V -> W) : (fun v => \sum_i g i v) = \sum_i g i.
  by apply/funext => v; rewrite fct_sumE.
rewrite (sumE f) (sumE df) {sumE}; elim: n f df dfx => [|n ih] f df dfx.
  by rewrite !big_ord0; exact: is_diff_cst.
by rewrite !big_ord_recr /=; apply: is_diffD.
Qed.

End General.

(* a scalar function with a derivative, as a function with a differential *)
Lemma is_diff_scalar (s : R -> R) (x d : R) :
  is_derive x 1 s d -> is_diff x s (fun h => d * h).
Proof.
move=> [sx sd]; apply: DiffDef; first exact/derivable1_diffP.
rewrite diff1E; last exact/derivable1_diffP.
by apply/funext => h; rewrite derive1E sd mulrC.
Qed.

Lemma is_diff_coord (V : normedModType R) m n (f df : V -> 'M[R]_(m.+1, n.+1)) x i j :
  is_diff x f df -> is_diff x (fun v => f v i j : R) (fun h => df h i j : R).
Proof.
move=> dfx; have lin : linear (fun N : 'M[R]_(m.+1, n.+1) => N i j : R).
  by move=> ? ? ?; rewrite !mxE.
pose c : {linear 'M[R]_(m.+1, n.+1) -> R} := Linear lin.
have cc : continuous c by exact: coord_continuous.
exact: (is_diff_comp dfx (is_diff_lin (f x) cc)).
Qed.

(* a matrix-valued function is differentiable when its entries are *)
Lemma is_diff_mx (V : normedModType R) m n (f df : V -> 'M[R]_(m.+1, n.+1)) x :
  (forall i j, is_diff x (fun v => f v i j : R) (fun h => df h i j : R)) ->
  is_diff x f df.
Proof.
move=> dfx.
have E (g : V -> 'M[R]_(m.+1, n.+1)) :
    g = (fun v => \sum_i \sum_j g v i j *: delta_mx i j).
  by apply/funext => v; rewrite -matrix_sum_delta.
rewrite (E f) (E df); apply: is_diff_sum => i; apply: is_diff_sum => j.
have [d1 d2] := dfx i j.
by apply: DiffDef; [exact: differentiableZl|rewrite diffZl // d2].
Qed.

Lemma is_diff_mulmx (V : normedModType R) m n p
    (f df : V -> 'M[R]_(m.+1, n.+1)) (g dg : V -> 'M[R]_(n.+1, p.+1)) x :
  is_diff x f df -> is_diff x g dg ->
  is_diff x (fun v => f v *m g v) (fun h => df h *m g x + f x *m dg h).
Proof.
move=> dfx dgx; apply: is_diff_mx => i j; under eq_fun do rewrite mxE.
apply: (@is_diff_eq _ _ _ _
  (fun h => \sum_k (f x i k *: dg h k j + g x k j *: df h i k))).
  apply: is_diff_sum => k.
  have d1 := is_diff_coord i k dfx; have d2 := is_diff_coord k j dgx.
  exact: (is_diffM d1 d2).
apply/funext => h; rewrite mxE [in RHS]mxE [X in _ + X]mxE -big_split /=.
by apply: eq_bigr => k _; rewrite addrC [in RHS]mulrC.
Qed.

(* repeating a column does not disturb differentiability *)
Lemma is_diff_spread (V : normedModType R) m B (b db : V -> 'cV[R]_m.+1) x :
  is_diff x b db ->
  is_diff x (fun v => spread B.+1 (b v)) (fun h => spread B.+1 (db h)).
Proof.
move=> dbx; apply: is_diff_mx => i j.
have E (c : V -> 'cV[R]_m.+1) : (fun v => spread B.+1 (c v) i j) = (fun v => c v i ord0).
  by apply/funext => v; rewrite mxE.
by rewrite (E b) (E db); exact: is_diff_coord.
Qed.

(* d(W a + b) = dW a + W da + db, with b in every column *)
Lemma is_diff_affine (V : normedModType R) m n B (W dW : V -> 'M[R]_(m.+1, n.+1))
    (a da : V -> 'M[R]_(n.+1, B.+1)) (b db : V -> 'cV[R]_m.+1) (v : V) :
  is_diff v W dW -> is_diff v a da -> is_diff v b db ->
  is_diff v (fun u => W u *m a u + spread B.+1 (b u))
            (fun h => (dW h *m a v + W v *m da h) + spread B.+1 (db h)).
Proof.
move=> dWv dav dbv; move: (is_diff_mulmx dWv dav) (is_diff_spread B dbv) => d1 d2.
exact: (is_diffD d1 d2).
Qed.

Lemma is_diff_map_mx (V : normedModType R) m n (s s' : R -> R)
    (f df : V -> 'M[R]_(m.+1, n.+1)) x :
  is_diff x f df ->
  (forall i j, is_derive (f x i j) 1 s (s' (f x i j))) ->
  is_diff x (fun v => map_mx s (f v)) (fun h => map_mx s' (f x) ⊙ df h).
Proof.
move=> dfx ds; apply: is_diff_mx => i j.
have dsc := is_diff_comp (is_diff_coord i j dfx) (is_diff_scalar (ds i j)).
have -> : (fun v => map_mx s (f v) i j) = s \o (fun v => f v i j).
  by apply/funext => v; rewrite mxE.
by apply: is_diff_eq; apply/funext => h; rewrite !mxE.
Qed.

End Differentials.
