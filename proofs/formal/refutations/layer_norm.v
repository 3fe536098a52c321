(* layer_norm.v -- refutes a claim about the pullback of layer norm: at z = (1, 0), ε = 1, and g = y. *)
From Backproof Require Import beyond.
From Planted Require Import points planted.

Local Open Scope ring_scope.

Section Refutation.
Variable R : realType.
Let z : vec R 1 := delta_mx ord0 ord0.
Let y := layer_norm 1 z.

Lemma y_is_not_0 : y != 0.
Proof.
apply/eqP => /matrixP /(_ ord0 ord0) /eqP; rewrite mxE [X in _ == X]mxE mulf_eq0 invr_eq0.
have -> : deviation 1 z == 0 = false.
  rewrite gt_eqF // sqrtr_gt0; apply: ltr_paddl ltr01; apply: mulr_ge0; first by rewrite invr_ge0 ler0n.
  by apply: sumr_ge0 => i _; apply: sumr_ge0 => j _; exact: sqr_ge0.
rewrite /= /centred !mxE /mean !big_ord_recl big_ord0 !mxE /= !addr0 mulr1 subr_eq0 eq_sym.
by rewrite -[X in _ == X]invr1 (inj_eq invr_inj) (eqr_nat _ 2 1).
Qed.

Theorem refuted : ~ @planted.claim R 1 1.
Proof.
pose J := loss_with y y; have gJ := loss_with_gradient y y.
have s0 : (deviation 1 z)^-1 != 0 by apply: contraNneq y_is_not_0 => s0; rewrite /y /layer_norm s0 scale0r.
move=> /(_ J z y gJ) /(gradient_unique (layer_norm_pullback ltr01 gJ)) /(scalerI s0) /eqP.
rewrite -subr_eq0 addrAC subrr add0r oppr_eq0 scaler_eq0 (negbTE y_is_not_0) orbF.
rewrite mulf_eq0 invr_eq0 pnatr_eq0 /= /dot => /eqP sum0.
have /negP := y_is_not_0; apply; apply/eqP/matrixP => i j; rewrite [RHS]mxE.
have rows k : 0 <= \sum_l y k l * y k l by apply: sumr_ge0 => l _; exact: sqr_ge0.
have row0 : \sum_l y i l * y i l = 0 by apply: (psumr_eq0P (fun k _ => rows k) sum0).
have entry0 : y i j ^+ 2 = 0 by apply: (psumr_eq0P (fun l _ => sqr_ge0 (y i l)) row0).
by apply/eqP; rewrite -sqrf_eq0 entry0.
Qed.

End Refutation.
