(** Sums: the inequalities that the other files rest on. Everything holds over any ordered field, for sums of any
    length over any sequence. No claim of the registry is stated here.

    - lagrange_identity Lagrange's identity
    - cauchy_schwarz the inequality of Cauchy and Schwarz *)

From mathcomp Require Import all_ssreflect all_algebra ring.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Sums.

Variables (R : realFieldType) (I : Type) (r : seq I) (P : pred I).
Implicit Types a b p : I -> R.

Lemma sumr_sqr_ge0 a : 0 <= \sum_(i <- r | P i) a i ^+ 2.
Proof. by apply: sumr_ge0 => i _; apply: sqr_ge0. Qed.

Lemma sumrM (J : Type) (s : seq J) (Q : pred J) a (b : J -> R) :
  (\sum_(i <- r | P i) a i) * (\sum_(j <- s | Q j) b j) = \sum_(i <- r | P i) \sum_(j <- s | Q j) a i * b j.
Proof. by rewrite big_distrl; apply: eq_bigr => i _; rewrite big_distrr. Qed.

Theorem lagrange_identity a b :
  (\sum_(i <- r | P i) a i ^+ 2) * (\sum_(i <- r | P i) b i ^+ 2) - (\sum_(i <- r | P i) a i * b i) ^+ 2
  = 2%:R^-1 * \sum_(i <- r | P i) \sum_(j <- r | P j) (a i * b j - a j * b i) ^+ 2.
Proof.
have -> : \sum_(i <- r | P i) \sum_(j <- r | P j) (a i * b j - a j * b i) ^+ 2
  = 2%:R * ((\sum_(i <- r | P i) a i ^+ 2) * (\sum_(i <- r | P i) b i ^+ 2))
    - 2%:R * (\sum_(i <- r | P i) a i * b i) ^+ 2.
  have -> : 2%:R * ((\sum_(i <- r | P i) a i ^+ 2) * (\sum_(i <- r | P i) b i ^+ 2))
    = \sum_(i <- r | P i) \sum_(j <- r | P j) (a i ^+ 2 * b j ^+ 2 + b i ^+ 2 * a j ^+ 2).
    under [in RHS]eq_bigr do rewrite big_split /=.
    by rewrite big_split /= -!sumrM mulr2n mulrDl !mul1r [X in _ + X]mulrC.
  rewrite expr2 sumrM mulr_sumr -sumrB; apply: eq_bigr => i _.
  rewrite mulr_sumr -sumrB; apply: eq_bigr => j _; ring.
by rewrite -mulrBr mulrA mulVf ?mul1r // pnatr_eq0.
Qed.

Theorem cauchy_schwarz a b :
  (\sum_(i <- r | P i) a i * b i) ^+ 2 <= (\sum_(i <- r | P i) a i ^+ 2) * (\sum_(i <- r | P i) b i ^+ 2).
Proof.
rewrite -subr_ge0 lagrange_identity mulr_ge0 ?invr_ge0 ?ler0n //.
by apply: sumr_ge0 => i _; apply: sumr_sqr_ge0.
Qed.

(** A sum of nonnegative terms is at least each part of it. *)
Lemma ler_sum_part (Q : pred I) a : (forall i, 0 <= a i) -> \sum_(i <- r | P i && Q i) a i <= \sum_(i <- r | P i) a i.
Proof.
move=> a0; rewrite [leRHS](bigID Q) /= ler_addl.
by apply: sumr_ge0.
Qed.

End Sums.

Section Norms.

Variable R : rcfType.

(** The triangle inequality for the Euclidean norm, from Cauchy and Schwarz. *)
Lemma triangle (I : Type) (r : seq I) (a b : I -> R) :
  \sum_(i <- r) (a i + b i) ^+ 2
  <= (Num.sqrt (\sum_(i <- r) a i ^+ 2) + Num.sqrt (\sum_(i <- r) b i ^+ 2)) ^+ 2.
Proof.
rewrite sqrrD !sqr_sqrtr ?sumr_sqr_ge0 //.
under eq_bigr do rewrite sqrrD.
rewrite !big_split /= ler_add2r ler_add2l -sqrtrM ?sumr_sqr_ge0 //.
rewrite -mulr2n ler_pmuln2r // (le_trans (ler_norm _)) //.
by rewrite -sqrtr_sqr; apply: ler_wsqrtr; apply: cauchy_schwarz.
Qed.

End Norms.
