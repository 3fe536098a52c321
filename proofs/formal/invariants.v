(* invariants.v -- laws that need no oracle: what the gradients of any network satisfy. *)
From mathcomp Require Import mxalgebra.
From Backproof Require Import prelude products differentials gradient network recursion.
From Backproof Require Import batch relu half_squared_error.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Invariants.
Variables (R : realType) (B : nat).
Notation bat n := (batch R n B).

Lemma W1_grads n m p (A : arch R n m p) (th : params A) (x : bat n) g :
  W1 (grads th x g) = delta th (z1 th x) g *m x^T.
Proof. by case: A th x g. Qed.

Lemma b1_grads n m p (A : arch R n m p) (th : params A) (x : bat n) g :
  b1 (grads th x g) = sum_samples (delta th (z1 th x) g).
Proof. by case: A th x g. Qed.

(* <W^l, ∂W^l> + <b^l, ∂b^l> = <z^l, δ^l> for every layer, any activations and any loss (S0.14). *)
Theorem layer_balance n m p (A : arch R n m p) (th : params A) (a : bat n) (g : bat p) :
  dot (W1 th) (W1 (grads th a g)) + dot (b1 th) (b1 (grads th a g)) =
  dot (z1 th a) (delta th (z1 th a) g).
Proof.
set d := delta th (z1 th a) g.
rewrite W1_grads b1_grads -/d [LHS]addrC ![dot _ (_ *m _)]dotC ![dot _ (sum_samples _)]dotC.
by rewrite -dot_mulr -dot_spread addrC -dotDr dotC.
Qed.

(* <a^{l−1}, ∂a^{l−1}> = <z^l − b^l, δ^l>: the balance across a layer (S1.12). *)
Theorem input_balance n m p (A : arch R n m p) (th : params A) (a : bat n) (g : bat p) :
  dot a (grad_in th a g) = dot (z1 th a - spread B.+1 (b1 th)) (delta th (z1 th a) g).
Proof. by rewrite /z1 addrK dotC -dot_mull dotC. Qed.

(* <z, ∂z> = <a, ∂a> across a ReLU, at the kink as well (S1.12). *)
Theorem relu_balance m (z g : bat m) :
  dot z (g ⊙ map_mx (slope (relu R)) z) = dot (map_mx (act (relu R)) z) g.
Proof.
apply: eq_bigr => i _; apply: eq_bigr => j _.
by rewrite !mxE relu_gate mulrCA mulrC.
Qed.

(* The rank of ∂W^l is at most the number of samples, so at most 1 for one sample (S0.14). *)
Theorem dW_rank n m p (A : arch R n m p) (th : params A) (a : bat n) (g : bat p) :
  (\rank (W1 (grads th a g)) <= B.+1)%N.
Proof. by rewrite W1_grads mulmx_max_rank. Qed.

(* If the loss is flat at the output, every gradient is 0 (S0.14). *)
Theorem no_error_no_gradient n m p (A : arch R n m p) (th : params A) (x : bat n) :
  grads th x (0 : bat p) = 0.
Proof. by rewrite -[X in grads _ _ X](scale0r 0) grads_scale scale0r. Qed.

(* So it is under half the squared error wherever the output hits the target (S0.14). *)
Theorem no_gradient_at_the_target n m p (A : arch R n m p) (th : params A) (x : bat n) (y : bat p) :
  forward th x = y -> grads th x (forward th x - y) = 0.
Proof. by move=> ->; rewrite subrr no_error_no_gradient. Qed.

(* A unit whose gate is shut at every sample gets no gradient and gives none: row i of ∂W^l and entry i of
   ∂b^l are 0, and so is column i of ∂W^{l+1}, which multiplies its output; for any activation (S1.12). *)
Theorem shut_unit n m k p (s : activation R) (A : arch R m k p) (th : params (Layer n s A))
    (a : bat n) (g : bat p) (i : 'I_m.+1) :
  (forall j, act s (z1 th a i j) = 0 /\ slope s (z1 th a i j) = 0) ->
  [/\ row i (W1 (grads th a g)) = 0, b1 (grads th a g) i ord0 = 0 &
      col i (W1 (grads th a g).2) = 0].
Proof.
move=> shut.
have d0 j : delta th (z1 th a) g i j = 0.
  by rewrite delta_layer mxE [X in _ * X]mxE (shut j).2 mulr0.
split.
- by rewrite W1_grads; apply/matrixP => q j; rewrite !mxE big1 // => l _; rewrite d0 mul0r.
- by rewrite b1_grads mxE big1.
- rewrite W1_grads; apply/matrixP => q j; rewrite !mxE big1 // => l _.
  by rewrite [X in _ * X]mxE [X in _ * X]mxE (shut l).1 mulr0.
Qed.

(* A dead unit: a ReLU unit with z ≤ 0 at every sample, 0 included, because the gate is strict (S1.7, S1.12). *)
Theorem dead_unit n m k p (A : arch R m k p) (th : params (Layer n (relu R) A))
    (a : bat n) (g : bat p) (i : 'I_m.+1) :
  (forall j, z1 th a i j <= 0) ->
  [/\ row i (W1 (grads th a g)) = 0, b1 (grads th a g) i ord0 = 0 &
      col i (W1 (grads th a g).2) = 0].
Proof.
move=> z0; apply: shut_unit => j; move: (z0 j); rewrite /= /strict_gate => zj.
by rewrite (max_idPl zj) ltNge zj.
Qed.

End Invariants.
