(* descent.v -- one step of gradient descent: updating each layer inside the sweep, in the
   listed order, or after it; and the order that goes wrong. *)
From Backproof Require Import prelude products gradient network.
From Backproof Require Import identity half_squared_error.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Descent.
Variables (R : realType) (B : nat).
Notation bat n := (batch R n B).

(* Both phases apart: W^l ← W^l − η ∂J/∂W^l and b^l ← b^l − η ∂J/∂b^l for all l at once (S2.11, S3.17). *)
Definition two_phase eta n m p (A : arch R n m p) (th : params A) (x : bat n) (g : bat p) : params A :=
  th - eta *: grads th x g.

(* The listed order: per layer, from the top, ∂J/∂W^l and ∂J/∂a^{l−1} first, then the update (S4.1).
   The result is the new parameters, and the error left for the level below. *)
Fixpoint in_sweep eta n m p (A : arch R n m p) :
    params A -> bat n -> bat p -> params A * bat n :=
  match A with
  | Last _ _ s => fun th a g =>
      let d := g ⊙ map_mx (slope s) (z1 th a) in
      ((th.1 - eta *: (d *m a^T), th.2 - eta *: sum_samples d), th.1^T *m d)
  | Layer _ _ _ _ s A' => fun th a g =>
      let z := z1 th a in
      let above := in_sweep eta th.2 (map_mx (act s) z) g in
      let d := above.2 ⊙ map_mx (slope s) z in
      (((th.1.1 - eta *: (d *m a^T), th.1.2 - eta *: sum_samples d), above.1), th.1.1^T *m d)
  end.

(* The wrong order: W^l is updated first, and the new W^l gives ∂J/∂a^{l−1} (S4.3). *)
Fixpoint update_first eta n m p (A : arch R n m p) :
    params A -> bat n -> bat p -> params A * bat n :=
  match A with
  | Last _ _ s => fun th a g =>
      let d := g ⊙ map_mx (slope s) (z1 th a) in
      let W := th.1 - eta *: (d *m a^T) in
      ((W, th.2 - eta *: sum_samples d), W^T *m d)
  | Layer _ _ _ _ s A' => fun th a g =>
      let z := z1 th a in
      let above := update_first eta th.2 (map_mx (act s) z) g in
      let d := above.2 ⊙ map_mx (slope s) z in
      let W := th.1.1 - eta *: (d *m a^T) in
      (((W, th.1.2 - eta *: sum_samples d), above.1), W^T *m d)
  end.

(* Updating inside the sweep in the listed order equals updating after it, in every layer and for
   any η, and leaves the same ∂J/∂x (S4.3). *)
Theorem in_sweep_is_two_phase eta n m p (A : arch R n m p) (th : params A) (x : bat n) (g : bat p) :
  in_sweep eta th x g = (two_phase eta th x g, grad_in th x g).
Proof.
elim: A th x g => [{}n {}m s|{}n {}m k {}p s A ih] th x g; first by [].
have E := ih th.2 (map_mx (act s) (z1 th x)) g.
transitivity (let above := in_sweep eta th.2 (map_mx (act s) (z1 th x)) g in
  let d := above.2 ⊙ map_mx (slope s) (z1 th x) in
  (((th.1.1 - eta *: (d *m x^T), th.1.2 - eta *: sum_samples d), above.1), th.1.1^T *m d)).
  by [].
by rewrite E.
Qed.

End Descent.

Section Counterexample.
Variable R : realType.

Let linear := identity R.

(* Two layers of width 1 without activation. *)
Definition smallest : arch R 0 0 0 := Layer 0 linear (Last 0 0 linear).

(* w_1 = w_2 = 1, no bias. *)
Definition ones : params smallest := ((1%:M, 0), (1%:M, 0)).

Let x : vec R 0 := 1%:M.
Let z := z1 ones x.
Let a := map_mx (act linear) z.
Let z' := z1 (A := Last 0 0 linear) (1%:M, 0) a.
Let g := forward ones x - 0.  (* ∂J/∂a^L for the target y = 0 *)

Let aE : a = 1%:M.
Proof.
have -> : a = map_mx (act linear) (1%:M *m 1%:M + spread 1 0) by [].
by rewrite map_identity mulmx1 spread1 addr0.
Qed.

Let gE : g = 1%:M.
Proof.
have -> : g = map_mx (act linear) (1%:M *m a + spread 1 0) - 0 by [].
by rewrite map_identity aE mulmx1 spread1 addr0 subr0.
Qed.

Let half : 1 - 2^-1 = 2^-1 :> R.
Proof. by rewrite {1}[1](splitr 1) mul1r addrK. Qed.

(* With w_1 = w_2 = x = 1, y = 0 and η = ½ the true step takes ½ off w_1, updating first only ¼ (S4.3). *)
Theorem update_first_differs (eta := 2^-1 : R) :
  W1 (two_phase eta ones x g) = (1 - 2^-1)%:M /\
  W1 (update_first eta ones x g).1 = (1 - 2^-1 * 2^-1)%:M.
Proof.
have d2 : g ⊙ map_mx (slope linear) z' = 1%:M by rewrite had_identity gE.
split.
  have -> : W1 (two_phase eta ones x g) = 1%:M - eta *: (((1%:M)^T *m
    (g ⊙ map_mx (slope linear) z') ⊙ map_mx (slope linear) z) *m x^T) by [].
  by rewrite had_identity d2 !trmx1 !mulmx1 scale_scalar_mx mulr1 -raddfB.
have -> : W1 (update_first eta ones x g).1 = 1%:M - eta *: (((1%:M - eta *:
    ((g ⊙ map_mx (slope linear) z') *m a^T))^T *m
    (g ⊙ map_mx (slope linear) z') ⊙ map_mx (slope linear) z) *m x^T) by [].
rewrite had_identity d2 aE !trmx1 !mulmx1 scale_scalar_mx mulr1 -raddfB tr_scalar_mx half.
by rewrite scale_scalar_mx -raddfB.
Qed.

(* So the two orders are different algorithms (S4.3). *)
Theorem update_first_is_not_two_phase (eta := 2^-1 : R) :
  (update_first eta ones x g).1 <> two_phase eta ones x g.
Proof.
move=> E; have [t u] := update_first_differs; move: u; rewrite E t.
move=> /matrixP /(_ ord0 ord0); rewrite !mxE !mulr1n => /addrI /oppr_inj.
rewrite -[X in X = _ -> _]mulr1 => /mulfI; rewrite invr_eq0 pnatr_eq0 => /(_ isT) one.
by move: half; rewrite -one subrr => /esym /eqP; rewrite oner_eq0.
Qed.

End Counterexample.
