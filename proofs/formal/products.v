(* products.v -- the two products of backpropagation that are not the matrix product, and
   the adjoints that put the transposes into its formulas. *)
From Backproof Require Import prelude.

Local Open Scope ring_scope.

Section Products.
Variable R : realType.

(* <A, B> is the sum of the products of all entries. *)
Definition dot m n (A B : 'M[R]_(m, n)) : R := \sum_i \sum_j A i j * B i j.

(* A ⊙ B is the Hadamard product: entry by entry (document 000, after S0.11). *)
Definition had m n (A B : 'M[R]_(m, n)) : 'M[R]_(m, n) :=
  \matrix_(i, j) (A i j * B i j).
Local Infix "⊙" := had (at level 40, left associativity).

(* b stands in every column: one bias for all samples of a batch. *)
Definition spread m B (b : 'cV[R]_m) : 'M[R]_(m, B) := \matrix_(i, j) b i ord0.

(* The sum of all columns: what the samples of a batch give together (S1.8). *)
Definition sum_samples m B (D : 'M[R]_(m, B)) : 'cV[R]_m := \col_i \sum_j D i j.

Lemma dotE m n (A B : 'M[R]_(m, n)) : dot A B = \tr (A^T *m B).
Proof.
rewrite /dot exchange_big; apply: eq_bigr => j _; rewrite mxE.
by apply: eq_bigr => i _; rewrite mxE.
Qed.

Lemma dotC m n (A B : 'M[R]_(m, n)) : dot A B = dot B A.
Proof. by apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite mulrC. Qed.

Lemma dotDr m n (A B C : 'M[R]_(m, n)) : dot A (B + C) = dot A B + dot A C.
Proof. by rewrite !dotE mulmxDr mxtraceD. Qed.

Lemma dotZr m n (A B : 'M[R]_(m, n)) k : dot A (k *: B) = k * dot A B.
Proof. by rewrite !dotE -scalemxAr mxtraceZ. Qed.

Lemma dotDl m n (A B C : 'M[R]_(m, n)) : dot (A + B) C = dot A C + dot B C.
Proof. by rewrite dotC dotDr !(dotC C). Qed.

Lemma dotZl m n (A B : 'M[R]_(m, n)) k : dot (k *: A) B = k * dot A B.
Proof. by rewrite dotC dotZr dotC. Qed.

Lemma dotBl m n (A B C : 'M[R]_(m, n)) : dot (A - B) C = dot A C - dot B C.
Proof. by rewrite dotDl -scaleN1r dotZl mulN1r. Qed.

Lemma dot0r m n (A : 'M[R]_(m, n)) : dot A 0 = 0.
Proof. by rewrite dotE mulmx0 mxtrace0. Qed.

(* <G, W V> = <Wᵀ G, V>: where the transpose of W comes from. *)
Lemma dot_mull m n p (G : 'M[R]_(m, p)) (W : 'M[R]_(m, n)) (V : 'M[R]_(n, p)) :
  dot G (W *m V) = dot (W^T *m G) V.
Proof. by rewrite !dotE trmx_mul trmxK mulmxA. Qed.

(* <G, W V> = <G Vᵀ, W>: where the outer product comes from. *)
Lemma dot_mulr m n p (G : 'M[R]_(m, p)) (W : 'M[R]_(m, n)) (V : 'M[R]_(n, p)) :
  dot G (W *m V) = dot (G *m V^T) W.
Proof. by rewrite !dotE trmx_mul trmxK mulmxA mxtrace_mulC mulmxA. Qed.

(* <G, D ⊙ V> = <G ⊙ D, V>: why a slope multiplies the error entry by entry. *)
Lemma dot_had m n (G D V : 'M[R]_(m, n)) : dot G (D ⊙ V) = dot (G ⊙ D) V.
Proof.
by apply: eq_bigr => i _; apply: eq_bigr => j _; rewrite !mxE mulrA.
Qed.

(* <D, b in every column> = <sum of the columns of D, b>: why ∂b sums over the batch. *)
Lemma dot_spread m B (D : 'M[R]_(m, B)) b : dot D (spread B b) = dot (sum_samples D) b.
Proof.
apply: eq_bigr => i _; rewrite big_ord_recl big_ord0 addr0 mxE mulr_suml.
by apply: eq_bigr => j _; rewrite mxE.
Qed.

(* pairing with a unit matrix reads off an entry *)
Lemma dot_delta m n (G : 'M[R]_(m, n)) i j : dot G (delta_mx i j) = G i j.
Proof.
rewrite /dot (bigD1 i) //= (bigD1 j) //= mxE !eqxx mulr1.
rewrite big1 => [|j' /negbTE nj]; last by rewrite mxE nj andbF mulr0.
rewrite addr0 big1 ?addr0 // => i' /negbTE ni.
by rewrite big1 // => j' _; rewrite mxE ni mulr0.
Qed.

Lemma hadZl m n k (G D : 'M[R]_(m, n)) : (k *: G) ⊙ D = k *: (G ⊙ D).
Proof. by apply/matrixP => i j; rewrite !mxE mulrA. Qed.

Lemma had0l m n (D : 'M[R]_(m, n)) : 0 ⊙ D = 0.
Proof. by apply/matrixP => i j; rewrite !mxE mul0r. Qed.

Lemma sum_samplesZ m B k (D : 'M[R]_(m, B)) :
  sum_samples (k *: D) = k *: sum_samples D.
Proof.
by apply/matrixP => i j; rewrite !mxE mulr_sumr; apply: eq_bigr => l _; rewrite mxE.
Qed.

Lemma sum_samples0 m B : sum_samples (0 : 'M[R]_(m, B)) = 0.
Proof. by apply/matrixP => i j; rewrite !mxE big1 // => l _; rewrite mxE. Qed.

(* a batch of one sample is that sample *)
Lemma spread1 m (b : 'cV[R]_m) : spread 1 b = b.
Proof. by apply/matrixP => i j; rewrite mxE ord1. Qed.

Lemma sum_samples1 m (d : 'cV[R]_m) : sum_samples d = d.
Proof. by apply/matrixP => i j; rewrite mxE big_ord_recl big_ord0 addr0 ord1. Qed.

End Products.

Infix "⊙" := had (at level 40, left associativity) : ring_scope.
