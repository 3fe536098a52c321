(* bias.v -- document 002's bias: a column of W, fed by a neuron that is always 1. *)
From Backproof Require Import prelude products differentials gradient network.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Bias.
Variables (R : realType) (m n B : nat).
Implicit Types (W : mat R m n) (b : vec R m) (a : batch R n B) (d : batch R m B).

(* W~ = [W | b]: the last column of the augmented matrix is the bias (S2.10). *)
Definition augmented_W W b : 'M[R]_(m.+1, n.+1 + 1) := row_mx W b.

(* a~ = [a; 1]: the last neuron of the augmented layer is the constant 1, for every sample (S2.10). *)
Definition augmented_a a : 'M[R]_(n.+1 + 1, B.+1) := col_mx a (const_mx 1).

(* W~ a~ = W a + b: the augmented layer is the layer with its bias (S2.10). *)
Theorem augmented_forward W b a :
  augmented_W W b *m augmented_a a = W *m a + spread B.+1 b.
Proof.
rewrite mul_row_col; congr (_ + _); apply/matrixP => i j.
by rewrite !mxE big_ord_recl big_ord0 addr0 mxE mulr1.
Qed.

(* d a~ᵀ = [∂W | ∂b]: the last column of the gradient of W~ is the gradient of the bias (S2.10). *)
Theorem augmented_dW d a :
  d *m (augmented_a a)^T = row_mx (d *m a^T) (sum_samples d).
Proof.
rewrite tr_col_mx mul_mx_row; congr (row_mx _ _); apply/matrixP => i j.
by rewrite !mxE; apply: eq_bigr => k _; rewrite !mxE mulr1.
Qed.

(* W~ᵀ d = [Wᵀ d; bᵀ d]: the error passed down is Wᵀ d, and that of the constant neuron is dropped (S2.10). *)
Theorem augmented_da W b d :
  (augmented_W W b)^T *m d = col_mx (W^T *m d) (b^T *m d).
Proof. by rewrite tr_row_mx mul_col_mx. Qed.

(* The gradient of any loss of z in W~ is d a~ᵀ, d being its gradient in z (S2.10). *)
Theorem augmented_gradient W b a (J : batch R m B -> R) d :
  is_grad J (W *m a + spread B.+1 b) d ->
  is_grad (fun W' : mat R m (n + 1) => J ((W' : 'M_(m.+1, n.+1 + 1)) *m augmented_a a))
          (augmented_W W b) (row_mx (d *m a^T) (sum_samples d)).
Proof.
rewrite -augmented_forward -augmented_dW => gJ.
set c := augmented_a a in gJ *.
move: (is_diff_mulmx (is_diff_var (augmented_W W b : mat R m (n + 1)))
  (is_diff_const (c : batch R (n + 1) B) _)) => d1.
move: (is_grad_comp d1 gJ) => dd; apply: is_diff_eq; apply/funext => h.
by rewrite mulmx0 addr0 dot_mulr.
Qed.

End Bias.
