(* prelude.v -- the libraries and settings that every file shares; it states nothing.

   R is the field of real numbers of mathcomp-analysis, 'M[R]_(m, n) its m x n matrices,
   *m their product, A^T the transpose and k *: A a multiple. *)
From mathcomp Require Export all_ssreflect ssralg ssrnum matrix.
From mathcomp.classical Require Export boolp classical_sets functions mathcomp_extra.
From mathcomp.analysis Require Export reals signed topology normedtype landau.
From mathcomp.analysis Require Export derive.
Export Order.TTheory GRing.Theory Num.Theory.
Export numFieldNormedType.Exports.

#[export] Set Implicit Arguments.
#[export] Unset Strict Implicit.
#[export] Unset Printing Implicit Defensive.
