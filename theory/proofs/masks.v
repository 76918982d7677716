(** The mask of the sketch as practice uses it, and masks that are not drawn: for every number of features, samples and
    draws, over any real closed field.

    Names as in [theory.sketches] (class Sketch): drawn (the unscaled mask b = [m > 0]), binary_bias, binary_mse,
    mask_error.

    - mask_size [sketching/mask-size]
    - binary_mask_bias [sketching/binary-mask-error] the bias
    - binary_mask_error [sketching/binary-mask-error] the mean squared error
    - top_is_best_for_orthogonal_rows [sketching/top-is-best-for-orthogonal-rows] for every mask of s features none of
      which is smaller than one that it drops, however ties are broken *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws sketches.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Masks.

Variables (R : rcfType) (d n : nat) (x : 'I_d -> 'I_n -> R).
Implicit Types (w p : 'I_d -> R) (i j : 'I_d).

Local Notation prediction := (prediction x).
Local Notation squared_error := (squared_error x).
Local Notation gram := (gram x).

Section Drawn.

Variables (s : nat) (p : 'I_d -> R).
Hypotheses (s0 : (0 < s)%N) (lp : law p).
Implicit Types t : draws d s.

(** b = [m > 0], as a number. *)
Definition drawn t i : R := (0 < mask p t i)%R%:R.
Definition binary_bias w k : R := - prediction (fun i => w i * (1 - p i) ^+ s) k.
Definition binary_mse w : R :=
  \sum_i \sum_j gram i j * w i * w j * (if i == j then (1 - p i) ^+ s else (1 - p i - p j) ^+ s).

(** Only what can be drawn matters for an expectation. *)
Lemma eq_expected_drawn (f g : draws d s -> R) : (forall t, (forall u, 0 < p (t u)) -> f t = g t) ->
  expected p f = expected p g.
Proof.
move=> fg; apply: eq_bigr => t _; case: (boolP [forall u, 0 < p (t u)]) => [/forallP all_pos|].
  by rewrite fg.
rewrite negb_forall => /existsP[u pu]; have -> : chance p t = 0; last by rewrite !mul0r.
have z : p (t u) = 0 by apply/eqP; rewrite eq_le lp.1 andbT leNgt.
by rewrite /chance (bigD1 u) //= z mul0r.
Qed.

Lemma drawn_missed t i : (forall u, 0 < p (t u)) -> 1 - drawn t i = \prod_u (t u != i)%:R.
Proof.
move=> pos; rewrite /drawn /mask.
have term u : 0 <= (t u == i)%:R / (s%:R * p i) by rewrite divr_ge0 ?ler0n // mulr_ge0 ?ler0n ?lp.1.
case: (boolP [exists u, t u == i]) => [/existsP[u /eqP tu]|].
  have -> : 0 < \sum_v (t v == i)%:R / (s%:R * p i).
    rewrite (bigD1 u) //= ltr_paddr ?sumr_ge0 //.
    by rewrite tu eqxx divr_gt0 ?ltr01 // mulr_gt0 ?ltr0n // -tu.
  by rewrite subrr (bigD1 u) //= tu eqxx mul0r.
rewrite negb_exists => /forallP none; rewrite !big1 ?ltxx ?subr0 // => u _; first by rewrite none.
by rewrite (negbTE (none u)) mul0r.
Qed.

(** No draw is i with probability (1 - p_i)^s, none is i or j with probability (1 - p_i - p_j)^s. *)
Lemma expected_none (Q : pred 'I_d) : expected p (fun t => \prod_u (~~ Q (t u))%:R) = (1 - \sum_(i | Q i) p i) ^+ s.
Proof.
rewrite (expected_prod p (fun _ i => (~~ Q i)%:R)) prodr_const card_ord; congr (_ ^+ s).
rewrite -[X in _ = X - _]lp.2 [in RHS](bigID Q) /= addrAC subrr add0r [RHS]big_mkcond; apply: eq_bigr => i _.
by case: (Q i); rewrite ?mulr0 ?mulr1.
Qed.

Lemma expected_missed i : expected p (fun t => 1 - drawn t i) = (1 - p i) ^+ s.
Proof.
rewrite (eq_expected_drawn (g := fun t => \prod_u (~~ pred1 i (t u))%:R)) => [|t pos]; last by rewrite drawn_missed.
by rewrite expected_none big_pred1_eq.
Qed.

Lemma expected_both_missed i j : i != j -> expected p (fun t => (1 - drawn t i) * (1 - drawn t j))
  = (1 - p i - p j) ^+ s.
Proof.
move=> ij; rewrite (eq_expected_drawn (g := fun t => \prod_u (~~ pred2 i j (t u))%:R)) => [|t pos].
  rewrite expected_none (bigD1 i) /= ?eqxx // (bigD1 j) /= ?eqxx ?orbT //= 1?eq_sym //.
  rewrite big1 ?addr0 => [|l /andP[/andP[/orP[/eqP->|/eqP->]]]]; rewrite ?eqxx // ?andbF //.
  by rewrite opprD addrA.
by rewrite !drawn_missed // -big_split /=; apply: eq_bigr => u _; rewrite negb_or -natrM mulnb.
Qed.

Theorem mask_size :
  [/\ expected p (fun t => \sum_i drawn t i) = \sum_i (1 - (1 - p i) ^+ s),
      \sum_i (1 - (1 - p i) ^+ s) <= s%:R
    & \sum_i (1 - (1 - p i) ^+ s) <= \sum_i (0 < p i)%R%:R].
Proof.
have p0 := lp.1.
have p1 i : p i <= 1 by rewrite -lp.2 (bigD1 i) //= ler_addl sumr_ge0.
split.
- rewrite expected_sum; apply: eq_bigr => i _; rewrite -expected_missed.
  rewrite -[X in X - _](@expected_const R d s p lp.2 1) /expected -sumrB; apply: eq_bigr => t _.
  by rewrite -mulrBr opprB addrC subrK.
- have bernoulli (y : R) k : 0 <= y -> y <= 1 -> 1 - (1 - y) ^+ k <= k%:R * y.
    move=> y0 y1; elim: k => [|k IH]; first by rewrite expr0 subrr mul0r.
    have -> : 1 - (1 - y) ^+ k.+1 = y + (1 - y) * (1 - (1 - y) ^+ k) by rewrite exprS; ring.
    have -> : k.+1%:R * y = y + k%:R * y by rewrite -[k.+1]add1n natrD mulrDl mul1r.
    rewrite ler_add2l; apply: le_trans IH.
    by rewrite -[leRHS]mul1r ler_wpmul2r ?ger_addl ?oppr_le0 // subr_ge0 exprn_ile1 ?subr_ge0 // ger_addl oppr_le0.
  apply: le_trans (_ : \sum_i s%:R * p i <= _); last by rewrite -mulr_sumr lp.2 mulr1.
  by apply: ler_sum => i _; apply: bernoulli.
apply: ler_sum => i _; have := p0 i; rewrite le0r => /orP[/eqP->|pi]; first by rewrite ltxx subr0 expr1n subrr.
by rewrite pi ger_addl oppr_le0 exprn_ge0 // subr_ge0.
Qed.

Theorem binary_mask_bias w k :
  expected p (fun t => prediction (fun i => w i * drawn t i) k) - prediction w k = binary_bias w k.
Proof.
rewrite /binary_bias /prediction expected_sum -sumrB -sumrN; apply: eq_bigr => i _.
rewrite -expected_missed.
have -> : expected p (fun t => x i k * (w i * drawn t i))
  = expected p (fun t => x i k * w i + (- (x i k * w i)) * (1 - drawn t i)).
  by apply: eq_expected => t /=; ring.
rewrite (expectedD p (fun=> x i k * w i) (fun t => (- (x i k * w i)) * (1 - drawn t i))).
rewrite (@expected_const R d s p lp.2) (expectedZ p (- (x i k * w i)) (fun t => 1 - drawn t i)).
by rewrite addrC addKr mulNr mulrA.
Qed.

Theorem binary_mask_error w : expected p (fun t => squared_error w (drawn t)) = binary_mse w.
Proof.
have expand t : squared_error w (drawn t)
  = \sum_i \sum_j gram i j * w i * w j * ((1 - drawn t i) * (1 - drawn t j)).
  rewrite /squared_error /sketches.squared_error.
  have -> : \sum_k (prediction w k - prediction (fun i => w i * drawn t i) k) ^+ 2
    = \sum_k \sum_i \sum_j (x i k * w i * (1 - drawn t i)) * (x j k * w j * (1 - drawn t j)).
    apply: eq_bigr => k _; rewrite -sumrM -expr2; congr (_ ^+ 2).
    by rewrite /prediction -sumrB; apply: eq_bigr => i _; ring.
  rewrite exchange_big /=; apply: eq_bigr => i _; rewrite exchange_big /=; apply: eq_bigr => j _.
  by rewrite /gram !mulr_suml; apply: eq_bigr => k _; ring.
rewrite (eq_expected p expand) expected_sum; apply: eq_bigr => i _.
rewrite expected_sum; apply: eq_bigr => j _; rewrite (expectedZ p (gram i j * w i * w j)); congr (_ * _).
have [<-|ij] := eqVneq i j; last exact: expected_both_missed.
rewrite -expected_missed; apply: eq_expected => t.
by rewrite /drawn; case: (_ < _); rewrite ?subrr ?mul0r // subr0 mulr1.
Qed.

End Drawn.

(** The error of a mask that is given, here by the set of features that it keeps. *)
Definition mask_error w (kept : {set 'I_d}) : R := squared_error w (fun i => (i \in kept)%:R).

(** By Pythagoras the error is the sum of a_i^2 over what is dropped. *)
Lemma orthogonal_error w (kept : {set 'I_d}) : (forall i j, i != j -> gram i j = 0) ->
  mask_error w kept = \sum_(i | i \notin kept) amplitudes x w i ^+ 2.
Proof.
move=> orth; rewrite /mask_error /sketches.squared_error.
have -> : \sum_k (prediction w k - prediction (fun i => w i * (i \in kept)%:R) k) ^+ 2
  = \sum_i \sum_j gram i j * (w i * (i \notin kept)%:R * (w j * (j \notin kept)%:R)).
  have -> : \sum_k (prediction w k - prediction (fun i => w i * (i \in kept)%:R) k) ^+ 2
    = \sum_k \sum_i \sum_j (x i k * (w i * (i \notin kept)%:R)) * (x j k * (w j * (j \notin kept)%:R)).
    apply: eq_bigr => k _; rewrite -sumrM -expr2; congr (_ ^+ 2).
    rewrite /prediction -sumrB; apply: eq_bigr => i _.
    by case: (i \in kept); rewrite /= ?mulr1 ?mulr0 ?subrr ?subr0.
  rewrite exchange_big /=; apply: eq_bigr => i _; rewrite exchange_big /=; apply: eq_bigr => j _.
  by rewrite mulr_suml; apply: eq_bigr => k _; rewrite mulrACA.
rewrite [RHS]big_mkcond; apply: eq_bigr => i _; rewrite (bigD1 i) //= [X in _ + X]big1 ?addr0 => [|j ij]; last first.
  by rewrite orth ?mul0r // eq_sym.
rewrite sqr_amplitudes -/(gram i i); case: (i \in kept); rewrite /= ?mulr0 ?mulr1 //.
Qed.

(** The sum over a set of numbers none of which is smaller than one outside is the largest for sets of that size. *)
Lemma top_sum (f : 'I_d -> R) (top other : {set 'I_d}) : (forall i, 0 <= f i) ->
  (forall i j, i \in top -> j \notin top -> f j <= f i) -> (#|other| <= #|top|)%N ->
  \sum_(i in other) f i <= \sum_(i in top) f i.
Proof.
move=> f0 high few.
rewrite (big_setID top) [leRHS](big_setID other) /= setIC ler_add2l.
have fewer : (#|other :\: top| <= #|top :\: other|)%N.
  by rewrite -(leq_add2l #|top :&: other|) cardsID setIC cardsID.
have [none|[j0 j0D]] := set_0Vmem (other :\: top).
  by rewrite none big_set0 sumr_ge0.
pose c := f [arg max_(j > j0 in other :\: top) f j]%O.
have cP : (forall j, j \in other :\: top -> f j <= c) /\ (forall i, i \in top -> c <= f i).
  rewrite /c; case: arg_maxP => // j jD most; split=> [j' /most//|i it].
  by apply: high => //; move: jD; rewrite inE => /andP[].
apply: le_trans (_ : \sum_(j in other :\: top) c <= _); first by apply: ler_sum => j; apply: cP.1.
apply: le_trans (_ : \sum_(i in top :\: other) c <= _); last first.
  by apply: ler_sum => i; rewrite inE => /andP[_]; apply: cP.2.
by rewrite !sumr_const ler_wpmuln2l // f0.
Qed.

Theorem top_is_best_for_orthogonal_rows w (top other : {set 'I_d}) :
  (forall i j, i != j -> gram i j = 0) ->
  (forall i j, i \in top -> j \notin top -> amplitudes x w j <= amplitudes x w i) -> (#|other| <= #|top|)%N ->
  mask_error w top <= mask_error w other.
Proof.
move=> orth high few; rewrite !orthogonal_error //.
have whole (S : {set 'I_d}) : \sum_(i | i \notin S) amplitudes x w i ^+ 2
  = \sum_i amplitudes x w i ^+ 2 - \sum_(i in S) amplitudes x w i ^+ 2.
  by rewrite [in RHS](bigID (mem S)) /= addrAC subrr add0r.
rewrite !whole ler_add2l ler_opp2; apply: top_sum => // [i|i j it jt]; first exact: sqr_ge0.
by rewrite ler_expn2r ?nnegrE ?amplitudes_ge0 // high.
Qed.

End Masks.
