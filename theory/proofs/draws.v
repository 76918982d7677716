(** Draws with replacement: probabilities of sequences of draws, expectations over them. The chance of a sequence
    i_1, ..., i_s is p_(i_1) ... p_(i_s) as in [Sketch.enumerate] of [theory.sketches]; an expectation is the sum over
    all d^s sequences. No claim of the registry is stated here.

    - expected_square_error the mean of s draws misses a number by its squared bias plus a variance divided by s *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Draws.

Variables (R : realFieldType) (d s : nat).

(** A law: nonnegative probabilities that sum to 1. *)
Definition law (p : 'I_d -> R) : Prop := (forall i, 0 <= p i) /\ \sum_i p i = 1.

(** A sequence of draws i_1, ..., i_s. *)
Definition draws := {ffun 'I_s -> 'I_d}.

Definition chance (p : 'I_d -> R) (t : draws) : R := \prod_u p (t u).
Definition expected (p : 'I_d -> R) (f : draws -> R) : R := \sum_t chance p t * f t.

Variable p : 'I_d -> R.
Hypothesis p1 : \sum_i p i = 1.

(** The expectation of a product of functions of single draws is the product of their expectations. *)
Lemma expected_prod (f : 'I_s -> 'I_d -> R) :
  expected p (fun t => \prod_u f u (t u)) = \prod_u \sum_i p i * f u i.
Proof. by rewrite bigA_distr_bigA; apply: eq_bigr => t _; rewrite big_split. Qed.

Lemma expected1 : expected p (fun=> 1) = 1.
Proof.
have -> : expected p (fun=> 1) = expected p (fun t => \prod_u (fun=> (fun=> 1)) u (t u)).
  by apply: eq_bigr => t _; rewrite big1.
by rewrite (expected_prod (fun=> (fun=> 1))) big1 // => u _; under eq_bigr do rewrite mulr1.
Qed.

Lemma expectedD f g : expected p (fun t => f t + g t) = expected p f + expected p g.
Proof. by rewrite -big_split; apply: eq_bigr => t _; rewrite mulrDr. Qed.

Lemma expectedZ c f : expected p (fun t => c * f t) = c * expected p f.
Proof. by rewrite /expected mulr_sumr; apply: eq_bigr => t _; rewrite mulrCA. Qed.

Lemma expected_const c : expected p (fun=> c) = c.
Proof.
rewrite -[RHS]mulr1 -expected1 -expectedZ; by apply: eq_bigr => t _; rewrite mulr1.
Qed.

Lemma expected_sum (J : Type) (r : seq J) (Q : pred J) (f : J -> draws -> R) :
  expected p (fun t => \sum_(j <- r | Q j) f j t) = \sum_(j <- r | Q j) expected p (f j).
Proof. by rewrite exchange_big /=; apply: eq_bigr => t _; rewrite mulr_sumr. Qed.

Lemma eq_expected f g : f =1 g -> expected p f = expected p g.
Proof. by move=> fg; apply: eq_bigr => t _; rewrite fg. Qed.

(** One draw has the law p. *)
Lemma expected_draw (u : 'I_s) g : expected p (fun t => g (t u)) = \sum_i p i * g i.
Proof.
pose f v i := if v == u then g i else 1 : R.
have -> : expected p (fun t => g (t u)) = expected p (fun t => \prod_v f v (t v)).
  by apply: eq_expected => t; rewrite -big_mkcond big_pred1_eq.
rewrite (expected_prod f) (bigD1 u) //= /f eqxx [X in _ * X]big1 ?mulr1 // => v /negbTE vu.
by rewrite vu; under eq_bigr do rewrite mulr1.
Qed.

(** Two different draws are independent. *)
Lemma expected_two_draws (u v : 'I_s) g h : u != v ->
  expected p (fun t => g (t u) * h (t v)) = (\sum_i p i * g i) * (\sum_i p i * h i).
Proof.
move=> uv; have vu : v != u by rewrite eq_sym.
pose f w i := (if w == u then g i else 1) * (if w == v then h i else 1) : R.
have -> : expected p (fun t => g (t u) * h (t v)) = expected p (fun t => \prod_w f w (t w)).
  by apply: eq_expected => t; rewrite big_split /= -!big_mkcond !big_pred1_eq.
rewrite (expected_prod f) (bigD1 u) //= (bigD1 v) //= [X in _ * (_ * X)]big1 => [|w /andP[/negbTE wu /negbTE wv]].
  rewrite mulr1 /f !eqxx (negbTE uv) (negbTE vu).
  by congr (_ * _); apply: eq_bigr => i _; rewrite ?mulr1 ?mul1r.
by rewrite /f wu wv; under eq_bigr do rewrite mulr1 mulr1.
Qed.

(** How far the mean of s draws of z is from a number c: squared bias plus a variance divided by s. *)
Theorem expected_square_error (z : 'I_d -> R) c : (0 < s)%N ->
  let m := \sum_i p i * z i in
  expected p (fun t => (c - s%:R^-1 * \sum_u z (t u)) ^+ 2)
  = (c - m) ^+ 2 + s%:R^-1 * (\sum_i p i * z i ^+ 2 - m ^+ 2).
Proof.
move=> s0 m; have s1 : s%:R != 0 :> R by rewrite pnatr_eq0 -lt0n.
have first : expected p (fun t => \sum_u z (t u)) = s%:R * m.
  rewrite expected_sum (eq_bigr (fun=> m)) => [|u _]; last exact: (expected_draw u z).
  by rewrite sumr_const card_ord -mulr_natl.
have second : expected p (fun t => (\sum_u z (t u)) ^+ 2)
  = s%:R * (\sum_i p i * z i ^+ 2) + (s%:R ^+ 2 - s%:R) * m ^+ 2.
  have -> : expected p (fun t => (\sum_u z (t u)) ^+ 2) = expected p (fun t => \sum_u \sum_v z (t u) * z (t v)).
    by apply: eq_expected => t; rewrite expr2 sumrM.
  rewrite expected_sum.
  have -> : \sum_u expected p (fun t => \sum_v z (t u) * z (t v))
    = \sum_(u < s) (\sum_i p i * z i ^+ 2 + (s%:R - 1) * m ^+ 2).
    apply: eq_bigr => u _; rewrite expected_sum (bigD1 u) //= (expected_draw u (fun i => z i * z i)).
    congr (_ + _); rewrite (eq_bigr (fun=> m ^+ 2)) => [|v vu]; last first.
      by rewrite (expected_two_draws (u := u) (v := v) z z) 1?eq_sym // expr2.
    rewrite sumr_const -mulr_natl; congr (_ * _).
    have := cardC1 u; rewrite card_ord => ->; by rewrite -subn1 natrB.
  rewrite sumr_const card_ord -mulr_natl; ring.
have -> : expected p (fun t => (c - s%:R^-1 * \sum_u z (t u)) ^+ 2)
  = expected p (fun t => c ^+ 2 + (- (2%:R * c * s%:R^-1) * (\sum_u z (t u)) + s%:R^-1 ^+ 2 * (\sum_u z (t u)) ^+ 2)).
  by apply: eq_expected => t /=; ring.
rewrite expectedD expected_const expectedD !expectedZ first second; by field; rewrite ?s1.
Qed.

End Draws.
