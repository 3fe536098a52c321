(* parameters.v -- ∂J/∂W, ∂J/∂b and ∂J/∂a of a layer that any network follows, and of all
   layers jointly. *)
From Backproof Require Import prelude products differentials gradient network recursion.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Gradients.
Variables (R : realType) (B : nat).
Notation vec n := (vec R n).
Notation mat m n := (mat R m n).
Notation bat n := (batch R n B).

Section OneLayer.
(* A layer z = W a + b, its activation and what follows it being [A] with parameters [th]. *)
Variables (n m p : nat) (A : arch R n m p) (th : params A).
Variables (W : mat m n) (b : vec m) (a : bat n) (J : bat p -> R) (g : bat p).
Let z : bat m := W *m a + spread B.+1 b.
Let d : bat m := delta th z g.
Hypothesis rA : regular th z.
Hypothesis gJ : is_grad J (from_z th z) g.

Lemma one_layer (V : normedModType R) (Wv dW : V -> mat m n)
    (av da : V -> bat n) (bv db : V -> vec m) (v : V) :
  is_diff v Wv dW -> is_diff v av da -> is_diff v bv db ->
  Wv v = W -> av v = a -> bv v = b ->
  is_diff v (fun u => J (from_z th (Wv u *m av u + spread B.+1 (bv u))))
    (fun h => dot (d *m a^T) (dW h) + dot (sum_samples d) (db h) + dot (W^T *m d) (da h)).
Proof.
move=> dWv dav dbv eW ea eb; move: (is_diff_affine dWv dav dbv) => dz.
have ez : Wv v *m av v + spread B.+1 (bv v) = z by rewrite eW ea eb.
move: (delta_correct rA gJ); rewrite -{1}ez => gz.
move: (is_grad_comp dz gz) => dd; apply: is_diff_eq; apply/funext => h.
by rewrite !dotDr dot_mulr dot_mull dot_spread eW ea addrAC.
Qed.

(* ∂J/∂W^l = δ^l (a^{l−1})ᵀ, summed over the samples (S0.4, S0.8, S1.4, S1.8, S3.11). *)
Theorem dW_correct :
  is_grad (fun W' => J (from_z th (W' *m a + spread B.+1 b))) W (d *m a^T).
Proof.
move: (one_layer (is_diff_var W) (is_diff_const a W) (is_diff_const b W)
  erefl erefl erefl) => dd.
by apply: is_diff_eq; apply/funext => h; rewrite !dot0r !addr0.
Qed.

(* ∂J/∂b^l = δ^l, summed over the samples (S0.5, S0.8, S1.3, S1.8). *)
Theorem db_correct :
  is_grad (fun b' => J (from_z th (W *m a + spread B.+1 b'))) b (sum_samples d).
Proof.
move: (one_layer (is_diff_const W b) (is_diff_const a b) (is_diff_var b)
  erefl erefl erefl) => dd.
by apply: is_diff_eq; apply/funext => h; rewrite !dot0r add0r addr0.
Qed.

(* ∂J/∂a^{l−1} = (W^l)ᵀ δ^l (S2.7, S3.12). *)
Theorem da_correct :
  is_grad (fun a' => J (from_z th (W *m a' + spread B.+1 b))) a (W^T *m d).
Proof.
move: (one_layer (is_diff_const W a) (is_diff_var a) (is_diff_const b a)
  erefl erefl erefl) => dd.
by apply: is_diff_eq; apply/funext => h; rewrite !dot0r !add0r.
Qed.

(* By component: ∂J/∂W_ij = δ_i a_j, summed over the samples k (S2.6, S3.11, S3.14). *)
Theorem dW_entries i j :
  is_derive W (delta_mx i j) (fun W' => J (from_z th (W' *m a + spread B.+1 b)))
    (\sum_k d i k * a j k).
Proof.
have := gradient_entries i j dW_correct; rewrite mxE.
by under eq_bigr do rewrite mxE.
Qed.

(* By component: ∂J/∂a_jk = Σ_i δ_ik W_ij for sample k (S2.7, S3.12). *)
Theorem da_entries j k :
  is_derive a (delta_mx j k) (fun a' => J (from_z th (W *m a' + spread B.+1 b)))
    (\sum_i d i k * W i j).
Proof.
have := gradient_entries j k da_correct; rewrite mxE.
by under eq_bigr do rewrite mxE mulrC.
Qed.

End OneLayer.

(* One layer in front of any differentiable function F of its output and of other parameters. *)
Lemma layer_in_front m n (P : normedModType R) (s : activation R)
    (F : bat m * P -> R) (G : bat m) (dF : P -> R)
    (W : mat m n) (b : vec m) (x : bat n) (t : P) :
  let z := W *m x + spread B.+1 b in
  let d := G ⊙ map_mx (slope s) z in
  regular_at s z ->
  is_diff (map_mx (act s) z, t) F (fun h => dot G h.1 + dF h.2) ->
  is_diff (x, ((W, b), t))
    (fun q : bat n * ((mat m n * vec m) * P) =>
       F (map_mx (act s) (q.2.1.1 *m q.1 + spread B.+1 q.2.1.2), q.2.2))
    (fun h => dot (W^T *m d) h.1
            + (dot (d *m x^T) h.2.1.1 + dot (sum_samples d) h.2.1.2 + dF h.2.2)).
Proof.
move=> z d rs dFx.
pose dq := is_diff_var ((x, ((W, b), t)) : bat n * ((mat m n * vec m) * P)).
pose dth := is_diff_snd dq.
move: (is_diff_affine (is_diff_fst (is_diff_fst dth)) (is_diff_fst dq)
  (is_diff_snd (is_diff_fst dth))) => dz.
move: (is_diff_pair (is_diff_map_mx dz rs) (is_diff_snd dth)) => du.
move: (is_diff_comp du dFx) => dd; apply: is_diff_eq; apply/funext => h /=.
rewrite dot_had !dotDr dot_mulr dot_mull dot_spread -/z -/d.
by rewrite [X in X + _ + _]addrC -!addrA.
Qed.

(* All at once: J is differentiable jointly in the input and in every W^l and b^l, and its
   differential pairs [grad_in] with the input and [grads] with the parameters (S0.8, S2.11). *)
Theorem backprop_correct n m p (A : arch R n m p) (th : params A) (x : bat n)
    (J : bat p -> R) (g : bat p) :
  regular th (z1 th x) -> is_grad J (forward th x) g ->
  is_diff (x, th)
    (fun q : bat n * params A => J (forward q.2 q.1))
    (fun h => dot (grad_in th x g) h.1 + pdot (grads th x g) h.2).
Proof.
elim: A th x => [{}n {}m s|{}n {}m k {}p s A ih] th x in J g *.
  case: th => W b rA gJ.
  pose dq := is_diff_var ((x, (W, b)) : bat n * (mat m n * vec m)).
  have := @one_layer _ _ _ (Last n m s) (W, b) W b x J g rA gJ _ _ _ _ _ _ _ _
    (is_diff_fst (is_diff_snd dq)) (is_diff_fst dq)
    (is_diff_snd (is_diff_snd dq)) erefl erefl erefl.
  by move=> dd; apply: is_diff_eq; apply/funext => h; rewrite addrC.
case: th => -[W b] t [rs rA] gJ.
exact: (layer_in_front (F := fun q => J (forward q.2 q.1)) rs (ih t _ J g rA gJ)).
Qed.

(* So every directional derivative exists, and is <∂J/∂x, dx> + Σ_l <∂J/∂W^l, dW^l> + <∂J/∂b^l, db^l>
   (S0.8). *)
Theorem backprop_directional n m p (A : arch R n m p) (th : params A) (x : bat n)
    (J : bat p -> R) (g : bat p) (dx : bat n) (dth : params A) :
  regular th (z1 th x) -> is_grad J (forward th x) g ->
  is_derive (x, th) (dx, dth)
    (fun q : bat n * params A => J (forward q.2 q.1))
    (dot (grad_in th x g) dx + pdot (grads th x g) dth).
Proof.
move=> rA gJ; have [df dfE] := backprop_correct rA gJ.
by apply: DeriveDef; [exact: diff_derivable|rewrite deriveE // dfE].
Qed.

End Gradients.
