(* layers.v -- layer l of a whole network: cut the network in front of layer l, and take the
   loss of the whole as a function of W^l, b^l, z^l or a^{l−1}, everything else held fixed.
   (Layer 1 has nothing in front of it: parameters.v.) *)
From Backproof Require Import prelude products differentials gradient network recursion parameters.

Local Open Scope ring_scope.
Local Open Scope classical_set_scope.

Section Layers.
Variables (R : realType) (B : nat).
Notation vec n := (vec R n).
Notation mat m n := (mat R m n).
Notation bat n := (batch R n B).

(* The layers 1, …, l−1 followed by the layers l, …, L. *)
Fixpoint cat n m k (A : arch R n m k) : forall k' p, arch R k k' p -> arch R n m p :=
  match A with
  | Last n _ s => fun _ _ C => Layer n s C
  | Layer n _ _ _ s A' => fun _ _ C => Layer n s (cat A' C)
  end.

(* Their parameters, put together. *)
Fixpoint join n m k (A : arch R n m k) :
    forall k' p (C : arch R k k' p), params A -> params C -> params (cat A C) :=
  match A with
  | Last _ _ _ => fun _ _ C th ph => (th, ph)
  | Layer _ _ _ _ _ A' => fun _ _ C th ph => (th.1, join th.2 ph)
  end.

(* W and b of the first layer replaced. *)
Definition set1 n m p (A : arch R n m p) (W : mat m n) (b : vec m) :
    params A -> params A :=
  match A as A in arch _ n m _ return mat m n -> vec m -> params A -> params A with
  | Last _ _ _ => fun W b th => (W, b)
  | Layer _ _ _ _ _ _ => fun W b th => ((W, b), th.2)
  end W b.

Lemma W1_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph :
  W1 (join (A := A) (C := C) th ph) = W1 th.
Proof. by case: A th C ph. Qed.

Lemma b1_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph :
  b1 (join (A := A) (C := C) th ph) = b1 th.
Proof. by case: A th C ph. Qed.

Lemma z1_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph (x : bat n) :
  z1 (join (A := A) (C := C) th ph) x = z1 th x.
Proof. by rewrite /z1 W1_join b1_join. Qed.

Lemma from_z_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph (z : bat m) :
  from_z (join (A := A) (C := C) th ph) z = forward ph (from_z th z).
Proof.
elim: A k' C th ph z => [//|{}n {}m j {}k s A ih] k' C th ph z.
have E := ih _ C th.2 ph (z1 th.2 (map_mx (act s) z)).
by rewrite -{1}(z1_join (A := A) th.2 ph) in E.
Qed.

(* The whole network is its later layers after its earlier ones (S2.4). *)
Theorem forward_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph (x : bat n) :
  forward (join (A := A) (C := C) th ph) x = forward ph (forward th x).
Proof. by rewrite /forward z1_join from_z_join. Qed.

(* The error of an earlier layer is its own recursion, started from the error at the cut (S2.9). *)
Theorem delta_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph (z : bat m) g :
  delta (join (A := A) (C := C) th ph) z g =
  delta th z (grad_in ph (from_z th z) g).
Proof.
elim: A k' C th ph z => [//|{}n {}m j {}k s A ih] k' C th ph z.
have E := ih _ C th.2 ph (z1 th.2 (map_mx (act s) z)).
rewrite -{1}(z1_join (A := A) th.2 ph) in E.
transitivity ((W1 (join th.2 ph))^T *m
  delta (join th.2 ph) (z1 (join th.2 ph) (map_mx (act s) z)) g ⊙ map_mx (slope s) z).
  by [].
by rewrite E W1_join.
Qed.

(* One sweep through the whole network gives both parts' gradients; only the error crosses the cut (S2.9). *)
Theorem grads_join n m k k' p (A : arch R n m k) (C : arch R k k' p) th ph (x : bat n) g :
  grads (join (A := A) (C := C) th ph) x g =
  join (grads th x (grad_in ph (forward th x) g)) (grads ph (forward th x) g).
Proof.
elim: A k' C th ph x => [{}n {}m s|{}n {}m j {}k s A ih] k' C th ph x; first by [].
have E := delta_join (A := Layer n s A) th ph (z1 th x) g.
apply: (congr2 pair); last exact: ih.
by apply: (congr2 pair); [congr (_ *m _)|congr sum_samples]; exact: E.
Qed.

Lemma forward_set1 n m p (A : arch R n m p) (th : params A) W b (a : bat n) :
  forward (set1 W b th) a = from_z th (W *m a + spread B.+1 b).
Proof. by case: A th W b a. Qed.

(* Layer l of a whole network: th holds the layers 1, …, l−1 and ph the layers l, …, L. *)
Section LayerL.
Variables (n m k k' p : nat) (A : arch R n m k) (C : arch R k k' p).
Variables (th : params A) (ph : params C) (x : bat n).
Variables (loss : bat p -> R) (g : bat p).
Let J (whole : params (cat A C)) : R := loss (forward whole x).
Let a := forward th x.          (* a^{l−1} *)
Let z := z1 ph a.               (* z^l *)
Let d := delta ph z g.          (* δ^l *)
Hypothesis rC : regular ph z.
Hypothesis gJ : is_grad loss (forward (join th ph) x) g.

Let gJ' : is_grad loss (from_z ph z) g.
Proof. by move: gJ; rewrite forward_join. Qed.

(* ∂J/∂W^l = δ^l (a^{l−1})ᵀ at layer l of a whole network (S0.8, S1.4, S3.16). *)
Theorem layer_dW :
  is_grad (fun W => J (join th (set1 W (b1 ph) ph))) (W1 ph) (d *m a^T).
Proof. by under eq_fun do rewrite /J forward_join forward_set1; exact: dW_correct. Qed.

(* ∂J/∂b^l = δ^l, summed over the samples, at layer l of a whole network (S0.8, S1.3, S3.16). *)
Theorem layer_db :
  is_grad (fun b => J (join th (set1 (W1 ph) b ph))) (b1 ph) (sum_samples d).
Proof. by under eq_fun do rewrite /J forward_join forward_set1; exact: db_correct. Qed.

(* ∂J/∂z^l = δ^l: the loss as a function of z^l, the layers 1, …, l−1 no longer acting (S0.7, S3.16). *)
Theorem layer_delta : is_grad (fun z' => loss (from_z ph z')) z d.
Proof. exact: delta_correct. Qed.

(* ∂J/∂a^{l−1} = (W^l)ᵀ δ^l: the loss as a function of the input of layer l (S2.7, S3.12). *)
Theorem layer_da : is_grad (fun a' => loss (forward ph a')) a (grad_in ph a g).
Proof. exact: da_correct. Qed.

End LayerL.
End Layers.
