(** Gradient descent on the squared error with a fixed kernel, for every number of residuals, over any ordered field. In
    the coordinates of an orthonormal basis of eigenvectors a step multiplies the residual i by 1 - eta lambda_i; that
    such a basis exists is not proved here.

    - residual_decay [path-exclusion/residual-decay] in these coordinates, squared
    - residual_decay_only_if [path-exclusion/residual-decay-only-if] *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Descent.

Variables (R : realFieldType) (n : nat) (eigenvalue residual : 'I_n -> R) (eta low high : R).
Hypotheses (eta0 : 0 <= eta) (range : forall i, low <= eigenvalue i <= high).

Definition residual_after (t : nat) i : R := (1 - eta * eigenvalue i) ^+ t * residual i.

Theorem residual_decay t : eta * (low + high) <= 2%:R ->
  \sum_i residual_after t i ^+ 2 <= ((1 - eta * low) ^+ t) ^+ 2 * \sum_i residual i ^+ 2.
Proof.
move=> small; rewrite mulr_sumr; apply: ler_sum => i _; have /andP[l h] := range i.
rewrite /residual_after exprMn ler_wpmul2r ?sqr_ge0 // -!exprM mulnC !exprM.
have le : `|1 - eta * eigenvalue i| <= 1 - eta * low.
  rewrite ler_norml; apply/andP; split; last by rewrite ler_add2l ler_opp2 ler_wpmul2l.
  rewrite ler_oppl opprB -subr_ge0.
  have -> : 1 - eta * low - (eta * eigenvalue i - 1)
    = (2%:R - eta * (low + high)) + eta * (high - eigenvalue i) by ring.
  by rewrite addr_ge0 ?subr_ge0 // mulr_ge0 ?subr_ge0.
rewrite ler_expn2r ?nnegrE ?sqr_ge0 // -[leLHS]real_normK ?num_real // ler_expn2r ?nnegrE //.
exact: le_trans (normr_ge0 _) le.
Qed.

Theorem residual_decay_only_if : 2%:R < eta * (low + high) -> 1 - eta * low < `|1 - eta * high|.
Proof.
move=> large; rewrite -normrN; apply: lt_le_trans (ler_norm _); rewrite -subr_gt0.
have -> : - (1 - eta * high) - (1 - eta * low) = eta * (low + high) - 2%:R by ring.
by rewrite subr_gt0.
Qed.

End Descent.
