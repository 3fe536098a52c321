(* points.v -- points at which a wrong formula shows: matrices with one whole number in every
   entry, on which every formula of the network can be worked out. *)
From mathcomp Require Export ssrint.
From Backproof Require Export prelude products differentials gradient network recursion parameters.
From Backproof Require Export identity half_squared_error.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Points.
Variable R : realType.

(* Every entry of an m × n matrix is the whole number k. *)
Definition num m n (k : int) : 'M[R]_(m, n) := const_mx k%:~R.

Lemma num_mul m n p j k : num m n j *m num n p k = num m p ((j * k) *+ n).
Proof.
apply/matrixP => a b; rewrite !mxE; under eq_bigr do rewrite !mxE.
by rewrite sumr_const card_ord -intrM -rmorphMn.
Qed.

Lemma num_add m n j k : num m n j + num m n k = num m n (j + k).
Proof. by apply/matrixP => a b; rewrite !mxE -intrD. Qed.

Lemma num_opp m n k : - num m n k = num m n (- k).
Proof. by apply/matrixP => a b; rewrite !mxE mulrNz. Qed.

Lemma num_double m n k : 2%:R *: num m n k = num m n (2%:Z * k).
Proof. by apply/matrixP => a b; rewrite !mxE intrM. Qed.

Lemma num_tr m n k : (num m n k)^T = num n m k.
Proof. by apply/matrixP => a b; rewrite !mxE. Qed.

Lemma num_had m n j k : num m n j ⊙ num m n k = num m n (j * k).
Proof. by apply/matrixP => a b; rewrite !mxE -intrM. Qed.

Lemma num_spread m n k : spread n (num m 1 k) = num m n k.
Proof. by apply/matrixP => a b; rewrite !mxE. Qed.

Lemma num_sum m n k : sum_samples (num m n k) = num m 1 (k *+ n).
Proof.
apply/matrixP => a b; rewrite !mxE; under eq_bigr do rewrite !mxE.
by rewrite sumr_const card_ord -rmorphMn.
Qed.

Lemma num_mean m k B : B.+1%:R^-1 *: num m 1 (k *+ B.+1) = num m 1 k.
Proof.
by apply/matrixP => a b; rewrite !mxE rmorphMn -[X in _ * X]mulr_natl mulrA mulVf ?mul1r //.
Qed.

Lemma num_dot m n j k : dot (num m n j) (num m n k) = ((j * k) *+ n *+ m)%:~R.
Proof.
rewrite /dot; under eq_bigr do under eq_bigr do rewrite !mxE -intrM.
by under eq_bigr do rewrite sumr_const card_ord; rewrite sumr_const card_ord -!rmorphMn.
Qed.

Lemma num_read m n p (f : 'I_p -> 'I_m) k :
  (\matrix_(i, j) num m n k (f i) j) = num p n k.
Proof. by apply/matrixP => a b; rewrite !mxE. Qed.

Lemma num_zero m n : 0 = num m n 0.
Proof. by apply/matrixP => a b; rewrite !mxE. Qed.

Lemma num_inj j k : num 1 1 j = num 1 1 k -> j = k.
Proof. by move=> /matrixP /(_ ord0 ord0) /eqP; rewrite !mxE eqr_int => /eqP. Qed.

(* σ(x) = x², whose slope 2x is neither 1 nor σ. *)
Definition square : activation R := Activation (fun x => x * x) (fun x => 2%:R * x).

Lemma num_act m n k : map_mx (act square) (num m n k) = num m n (k * k).
Proof. by apply/matrixP => a b; rewrite !mxE /= -intrM. Qed.

Lemma num_slope m n k : map_mx (slope square) (num m n k) = num m n (2%:Z * k).
Proof. by apply/matrixP => a b; rewrite !mxE /= intrM. Qed.

Definition evaluate := (num_zero, num_double, num_act, num_slope, num_spread, num_sum, num_mean, num_read,
  num_tr, num_mul, num_add, num_opp, num_had).

(* One unit after the other, with σ(x) = x², W^1 = 1, b^1 = 0, W^2 = 2 and b^2 = 1. *)
Definition units := Layer 0 square (Last 0 0 square).
Definition at_units : params units := ((num 1 1 1, num 1 1 0), (num 1 1 2, num 1 1 1)).

Lemma regular_units B (z : batch R 0 B) : regular at_units z.
Proof.
by split=> i j; apply: trigger_derive; rewrite /GRing.scale /= mulr1 mulr_natl.
Qed.

(* There is a loss with the gradient g at the output a. *)
Definition loss_with n B (a g : batch R n B) := half_squared_error (a - g).

Lemma loss_with_gradient n B (a g : batch R n B) : is_grad (loss_with a g) a g.
Proof.
by move: (half_squared_error_gradient (a - g) a); rewrite subKr.
Qed.

(* A function has one differential. *)
Lemma is_diff_unique (V W : normedModType R) (f d1 d2 : V -> W) x :
  is_diff x f d1 -> is_diff x f d2 -> d1 = d2.
Proof. by move=> [_ <-] [_ <-]. Qed.

End Points.
