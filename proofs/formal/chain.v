(* chain.v -- two ways to write the whole network: document 002's g^k, and document 004's chain of
   ∂x^{n+1}/∂x^n, bracketed either way. *)
From Backproof Require Import prelude products differentials gradient network recursion.
From Backproof Require Import parameters layers identity half_squared_error descent.
From Backproof Require Import jacobians.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Errors.
Variables (R : realType) (B : nat).
Notation bat n := (batch R n B).

(* g^K(W^K, y^{K−1}) = g(f^K(W^K y^{K−1})) and g^k(W^k, …, W^K, y^{k−1}) =
   g^{k+1}(W^{k+1}, …, W^K, f^k(W^k y^{k−1})), with a bias in every layer (S2.5). *)
Fixpoint g_from n m p (A : arch R n m p) : (bat p -> R) -> params A -> bat n -> R :=
  match A with
  | Last _ _ s => fun g th y => g (map_mx (act s) (z1 th y))
  | Layer _ _ _ _ s A' => fun g th y => g_from g th.2 (map_mx (act s) (z1 th y))
  end.

(* The value of every g^k along the trajectory is g(y^K) (S2.5). *)
Theorem g_from_value n m p (A : arch R n m p) g (th : params A) (y : bat n) :
  g_from g th y = g (forward th y).
Proof. by elim: A g th y => [//|{}n {}m k {}p s A ih] g th y; exact: ih. Qed.

(* So g^1(W^1, …, W^K, y^0) = g^k(W^k, …, W^K, y^{k−1}) for y^{k−1} computed from y^0 (S2.5). *)
Theorem g_from_agree n m k k' p (A : arch R n m k) (C : arch R k k' p) g th ph (x : bat n) :
  g_from g (join (A := A) (C := C) th ph) x = g_from g ph (forward th x).
Proof. by rewrite !g_from_value forward_join. Qed.

(* The partial derivatives of g^k in all of W^k, …, W^K, with y^{k−1} held fixed, are the total derivatives
   of g(y^K): one set of gradients belongs to both functions, whatever the layers before do (S2.5). *)
Theorem partial_is_total n m k k' p (A : arch R n m k) (C : arch R k k' p) (g : bat p -> R)
    th ph (x : bat n) (y := forward th x) G :
  regular ph (z1 ph y) -> is_grad g (forward (join (A := A) (C := C) th ph) x) G ->
  is_diff ph (fun ph' => g_from g ph' y) (pdot (grads ph y G)) /\
  is_diff ph (fun ph' => g (forward (join th ph') x)) (pdot (grads ph y G)).
Proof.
rewrite forward_join => rC gG; have total : is_diff ph (fun ph' => g (forward ph' y)) (pdot (grads ph y G)).
  have pair := is_diff_pair (is_diff_const y ph) (is_diff_var ph).
  have d := is_diff_comp pair (backprop_correct (th := ph) rC gG).
  by apply: is_diff_eq; apply/funext => h; rewrite /= dot0r add0r.
split; first by under eq_fun do rewrite g_from_value.
by under eq_fun do rewrite forward_join.
Qed.

(* Layer by layer: with y^{k−1} held fixed, ∂g^k/∂W^k is G if and only if the total derivative of g(y^K) in
   W^k is G (S2.5). *)
Theorem partial_of_layer n m k k' p (A : arch R n m k) (C : arch R k k' p) (g : bat p -> R)
    th ph (x : bat n) G :
  is_grad (fun W => g_from g (set1 W (b1 ph) ph) (forward th x)) (W1 ph) G <->
  is_grad (fun W => g (forward (join (A := A) (C := C) th (set1 W (b1 ph) ph)) x)) (W1 ph) G.
Proof.
by under [X in is_grad X]eq_fun do rewrite g_from_value -forward_join.
Qed.

End Errors.

Section LastOnly.
Variable R : realType.
Let g := half_squared_error (0 : vec R 0).

(* Of partial derivatives g^k ≡ g^K is false: g^K(W^K, y^{K−1}) does not contain W^1, so that with y^{K−1} held
   fixed its derivative in W^1 is 0; the total derivative of g(y^K) need not be, and is 1 for
   W^1 = W^2 = y^0 = 1 without f and g = ½ (y^K)² (S2.5). *)
Theorem partial_of_the_last (x : vec R 0 := 1%:M) (y := forward (A := Last 0 0 (identity R)) (1%:M, 0) x) :
  is_grad (fun W : mat R 0 0 => g_from (A := Last 0 0 (identity R)) g (1%:M, 0) y) 1%:M 0 /\
  is_grad (fun W : mat R 0 0 => g (forward (set1 W 0 (ones R)) x)) 1%:M 1%:M.
Proof.
split.
  move: (is_diff_const (g_from (A := Last 0 0 (identity R)) g (1%:M, 0) y) (1%:M : mat R 0 0)) => d.
  by apply: is_diff_eq; apply/funext => h; rewrite dotC dot0r.
have o : map_mx (act (identity R)) (1%:M *m x + spread 1 0) = 1%:M.
  by rewrite map_identity mulmx1 spread1 addr0.
pose th : params (Last 0 0 (identity R)) := (1%:M, 0).
have f : from_z (ones R) (1%:M *m x + spread 1 0) = 1%:M.
  transitivity (map_mx (act (identity R)) (1%:M *m map_mx (act (identity R)) (1%:M *m x + spread 1 0)
    + spread 1 0)); first by [].
  by rewrite o map_identity mulmx1 spread1 addr0.
have gJ : is_grad g (from_z (ones R) (1%:M *m x + spread 1 0)) 1%:M.
  by rewrite f; move: (half_squared_error_gradient 0 (1%:M : vec R 0)); rewrite subr0.
have rA : regular (ones R) (1%:M *m x + spread 1 0).
  by split=> i j; exact: identity_derivative.
move: (dW_correct rA gJ).
have -> : delta (ones R) (1%:M *m x + spread 1 0) 1%:M *m x^T = 1%:M :> mat R 0 0.
  by rewrite delta_layer delta_last !had_identity !trmx1 !mulmx1.
by [].
Qed.

End LastOnly.

Section Chain.
Variable R : realType.
Notation vec n := (vec R n).
Notation mat m n := (mat R m n).

(* ∂L/∂ω^n = (∂L/∂x^{n+3} · ∂x^{n+3}/∂x^{n+2} · ∂x^{n+2}/∂x^{n+1}) · ∂x^{n+1}/∂ω^n, for any differentiable
   levels x^{n+1}(ω), x^{n+2}(x^{n+1}), x^{n+3}(x^{n+2}): the differential of L in ω (S4.2). *)
Theorem chain_of_levels (V : normedModType R) m k q (x1 dx1 : V -> vec m) (x2 : vec m -> vec k)
    (x3 : vec k -> vec q) (L : vec q -> R) (w : V) M2 M3 g :
  is_diff w x1 dx1 -> is_jacobian x2 (x1 w) M2 -> is_jacobian x3 (x2 (x1 w)) M3 ->
  is_grad L (x3 (x2 (x1 w))) g ->
  is_diff w (fun w' => L (x3 (x2 (x1 w')))) (fun h => (g^T *m M3 *m M2 *m dx1 h) ord0 ord0).
Proof.
move=> d1 d2 d3 gL; move: (gradient_chain d2 (gradient_chain d3 gL)) => gx.
move: (is_grad_comp d1 gx) => d; apply: is_diff_eq; apply/funext => h.
by rewrite dotE trace_mx11 !trmx_mul !trmxK.
Qed.

(* diag(d) W: row i of W multiplied by d_i. *)
Definition scaled_rows m n (d : vec m) (W : mat m n) : mat m n :=
  \matrix_(i, j) (d i ord0 * W i j).

Lemma scaled_rows_mul m n (W : mat m n) d h : scaled_rows d W *m h = d ⊙ (W *m h).
Proof.
apply/matrixP => i j; rewrite !mxE (ord1 j) mulr_sumr; apply: eq_bigr => k _.
by rewrite !mxE mulrA.
Qed.

Lemma scaled_rows_tr m n (W : mat m n) d e : (scaled_rows d W)^T *m e = W^T *m (e ⊙ d).
Proof.
apply/matrixP => i j; rewrite !mxE; apply: eq_bigr => k _.
by rewrite !mxE (ord1 j) mulrAC mulrC [d _ _ * _]mulrC.
Qed.

(* ∂x^{N+1}/∂x^N ⋯ ∂x^{n+1}/∂x^n, the factors diag(σ′(z^k)) W^k: products of matrices (S4.2). *)
Fixpoint level_product n m p (A : arch R n m p) : params A -> vec n -> mat p n :=
  match A with
  | Last _ _ s => fun th x => scaled_rows (map_mx (slope s) (z1 th x)) (W1 th)
  | Layer _ _ _ _ s A' => fun th x =>
      level_product th.2 (map_mx (act s) (z1 th x)) *m
      scaled_rows (map_mx (slope s) (z1 th x)) th.1.1
  end.

(* ∂x^{n+1}/∂x^n = diag(σ′(z^n)) ω^n (S4.1, S4.2). *)
Theorem level_jacobian m n (s : activation R) (W : mat m n) (b : vec m) (x : vec n) :
  regular_at s (W *m x + spread 1 b) ->
  is_jacobian (fun x' : vec n => map_mx (act s) (W *m x' + spread 1 b)) x
              (scaled_rows (map_mx (slope s) (W *m x + spread 1 b)) W).
Proof.
move=> rs; move: (is_diff_affine (is_diff_const W x) (is_diff_var x) (is_diff_const b x)) => dz.
move: (is_diff_map_mx dz rs) => d; apply: is_diff_eq; apply/funext => h.
have -> : spread 1 (0 : vec m) = 0 by apply/matrixP => i j; rewrite !mxE.
by rewrite mul0mx add0r addr0 scaled_rows_mul.
Qed.

(* The product of all levels' Jacobians is the Jacobian of the output in x^n (S4.2). *)
Theorem level_product_is_the_jacobian n m p (A : arch R n m p) (th : params A) (x : vec n) :
  regular th (z1 th x) -> is_jacobian (forward th) x (level_product th x).
Proof.
elim: A th x => [{}n {}m s|{}n {}m k {}p s A ih] th x; first exact: level_jacobian.
by case=> rs rA; exact: (jacobian_chain (level_jacobian rs) (ih _ _ rA)).
Qed.

(* Bracketed from the loss, ∂L/∂x^n is a vector at every level, and the sweep's (ω^n)ᵀ δ^n: no product of
   matrices is needed, and the number is that of the full product (S4.2). *)
Theorem sweep_is_the_product n m p (A : arch R n m p) (th : params A) (x : vec n) (g : vec p) :
  grad_in th x g = (level_product th x)^T *m g.
Proof.
elim: A th x g => [{}n {}m s|{}n {}m k {}p s A ih] th x g; first by rewrite scaled_rows_tr.
transitivity (th.1.1^T *m (grad_in th.2 (map_mx (act s) (z1 th x)) g ⊙ map_mx (slope s) (z1 th x))).
  by [].
by rewrite ih -scaled_rows_tr mulmxA -trmx_mul.
Qed.

(* The chain for a level of any network, with any number of levels above it: ∂L/∂ω^n =
   (∂L/∂x^{N+1} · ∂x^{N+1}/∂x^N ⋯ ∂x^{n+2}/∂x^{n+1}) · ∂x^{n+1}/∂ω^n, and ∂x^{n+1}/∂ω^n is the map
   h ↦ σ′(z^n) ⊙ (h x^n) (S4.2). *)
Theorem chain_of_a_network n m k p (s : activation R) (A : arch R m k p) (th : params A)
    (W : mat m n) (b : vec m) (x : vec n) (L : vec p -> R) (g : vec p)
    (z := W *m x + spread 1 b) (x1 := map_mx (act s) z) :
  regular_at s z -> regular th (z1 th x1) -> is_grad L (forward th x1) g ->
  is_diff W (fun W' : mat m n => L (forward th (map_mx (act s) (W' *m x + spread 1 b))))
    (fun h => (g^T *m level_product th x1 *m (map_mx (slope s) z ⊙ (h *m x))) ord0 ord0).
Proof.
move=> rs rA gL.
move: (is_diff_affine (is_diff_var W) (is_diff_const x W) (is_diff_const b W)) => dz.
move: (is_grad_comp (is_diff_map_mx dz rs)
  (gradient_chain (level_product_is_the_jacobian rA) gL)) => d.
apply: is_diff_eq; apply/funext => h.
have -> : spread 1 (0 : vec m) = 0 by apply/matrixP => i j; rewrite !mxE.
by rewrite mulmx0 !addr0 dotE trace_mx11 trmx_mul trmxK.
Qed.

End Chain.
