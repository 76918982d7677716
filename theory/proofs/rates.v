(** How far magnitudes are from the optimal law where the norms of the rows are nearly equal: for every number of
    features and samples, over any real closed field.

    - data_independence_distance [sketching/data-independence-rate] the total variation; lo and hi bound the norms of
      the rows that count *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws sketches.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Chord.

Variable R : rcfType.
Implicit Types y lo hi e : R.

Lemma chord_above y lo hi e : (y - e) * (hi - lo) + ((y - lo) * (hi - e) + (hi - y) * (e - lo))
  = 2%:R * ((y - lo) * (hi - e)).
Proof. ring. Qed.

Lemma chord_below y lo hi e : (y - lo) * (hi - e) + (hi - y) * (e - lo) - (y - e) * (hi - lo)
  = 2%:R * ((hi - y) * (e - lo)).
Proof. ring. Qed.

Lemma chord_mean y lo hi e m : m * ((y - lo) * (hi - e) + (hi - y) * (e - lo))
  = (hi + lo - e - e) * (m * y) + (- lo * (hi - e) + hi * (e - lo)) * m.
Proof. ring. Qed.

Lemma chord_total lo hi e :
  (hi + lo - e - e) * e + (- lo * (hi - e) + hi * (e - lo)) * 1 = 2%:R * ((hi - e) * (e - lo)).
Proof. ring. Qed.

Lemma roots_gap (h l e : R) : h + l != 0 ->
  (h - l) / (h + l) * e * (h ^+ 2 - l ^+ 2) - (h ^+ 2 - e) * (e - l ^+ 2) = (e - h * l) ^+ 2.
Proof. by move=> hl; field; rewrite hl. Qed.

End Chord.

Section Rates.

Variables (R : rcfType) (d n : nat) (x : 'I_d -> 'I_n -> R).
Implicit Types (w p : 'I_d -> R).

Definition total_variation (p q : 'I_d -> R) : R := 2%:R^-1 * \sum_i `|p i - q i|.

Theorem data_independence_distance w lo hi : some_signal x w -> 0 < lo -> lo < hi ->
  (forall i, w i != 0 -> lo <= row_norms x i <= hi) ->
  total_variation (optimal x w) (magnitude_law w)
  <= (Num.sqrt hi - Num.sqrt lo) / (Num.sqrt hi + Num.sqrt lo).
Proof.
move=> a0 lo0 lohi between; have hi0 : 0 < hi := lt_trans lo0 lohi.
pose r := row_norms x; pose W := \sum_i `|w i|; pose m i := `|w i| / W.
have W0 : 0 < W.
  have W1 : 0 <= W by apply: sumr_ge0.
  rewrite lt_def W1 andbT; apply: contraTneq a0 => /eqP; rewrite psumr_eq0 // => /allP w0.
  rewrite -leNgt /some_signal /a_total big1 // => i _.
  by rewrite /amplitudes (eqP (w0 i (mem_index_enum i))) mulr0.
have m0 i : 0 <= m i by rewrite divr_ge0 // ltW.
have m1 : \sum_i m i = 1 by rewrite -mulr_suml divff // gt_eqF.
(* e is the mean norm under the magnitudes *)
pose e := \sum_i m i * r i.
have We : W * e = a_total x w.
  by rewrite mulr_sumr; apply: eq_bigr => i _; rewrite mulrA [W * _]mulrC divfK ?gt_eqF // mulrC.
have e0 : 0 < e by rewrite -(pmulr_rgt0 _ W0) We.
have inside i : m i != 0 -> lo <= r i <= hi.
  by move=> mi; apply: between; apply: contraNneq mi => wi; rewrite /m wi normr0 mul0r.
have elo : lo <= e.
  rewrite -[lo]mul1r -m1 mulr_suml; apply: ler_sum => i _; have [->|/inside/andP[l _]] := eqVneq (m i) 0.
    by rewrite !mul0r.
  by rewrite ler_wpmul2l.
have ehi : e <= hi.
  rewrite -[hi]mul1r -m1 mulr_suml; apply: ler_sum => i _; have [->|/inside/andP[_ h]] := eqVneq (m i) 0.
    by rewrite !mul0r.
  by rewrite ler_wpmul2l.
have opt i : optimal x w i = m i * r i / e.
  rewrite /optimal -We /amplitudes -/r /m; move: `|w i| => y.
  by field; rewrite !gt_eqF.
(* |r - e| lies below the chord of a convex function *)
have chord i : m i != 0 -> `|r i - e| * (hi - lo) <= (r i - lo) * (hi - e) + (hi - r i) * (e - lo).
  move=> /inside/andP[l h]; have pos : 0 <= hi - lo by rewrite subr_ge0 ltW.
  rewrite -[X in `|_| * X <= _](ger0_norm pos) -normrM ler_norml; apply/andP; split.
    rewrite -subr_ge0 opprK.
    by rewrite chord_above mulr_ge0 ?ler0n // mulr_ge0 ?subr_ge0.
  rewrite -subr_ge0.
  by rewrite chord_below mulr_ge0 ?ler0n // mulr_ge0 ?subr_ge0.
have spread : (\sum_i m i * `|r i - e|) * (hi - lo) <= 2%:R * ((hi - e) * (e - lo)).
  rewrite mulr_suml; apply: le_trans (_ : \sum_i m i * ((r i - lo) * (hi - e) + (hi - r i) * (e - lo)) <= _).
    apply: ler_sum => i _; rewrite -mulrA; have [->|mi] := eqVneq (m i) 0; first by rewrite !mul0r.
    by rewrite ler_wpmul2l // chord.
  have -> : \sum_i m i * ((r i - lo) * (hi - e) + (hi - r i) * (e - lo))
    = \sum_i ((hi + lo - e - e) * (m i * r i) + (- lo * (hi - e) + hi * (e - lo)) * m i).
    by apply: eq_bigr => i _; apply: chord_mean.
  rewrite big_split /= -!mulr_sumr m1 -/e.
  by rewrite chord_total.
have tv : total_variation (optimal x w) (magnitude_law w) = 2%:R^-1 * (\sum_i m i * `|r i - e|) / e.
  rewrite /total_variation -mulrA; congr (_ * _); rewrite mulr_suml; apply: eq_bigr => i _.
  rewrite opt -[magnitude_law w i]/(m i).
  have -> : m i * r i / e - m i = m i * ((r i - e) / e) by rewrite mulrA mulrBr mulrBl mulfK ?gt_eqF.
  by rewrite [LHS]normrM [X in _ * X]normrM normfV (ger0_norm (m0 i)) (ger0_norm (ltW e0)) mulrA.
pose h := Num.sqrt hi; pose l := Num.sqrt lo.
have h0 : 0 < h by rewrite sqrtr_gt0.
have l0 : 0 < l by rewrite sqrtr_gt0.
have hh : hi = h ^+ 2 by rewrite sqr_sqrtr // ltW.
have ll : lo = l ^+ 2 by rewrite sqr_sqrtr // ltW.
have lh : l < h by rewrite ltr_sqrt.
rewrite tv -/h -/l; rewrite hh ll in spread lohi.
have width : 0 < h ^+ 2 - l ^+ 2 by rewrite subr_gt0.
apply: le_trans (_ : (h ^+ 2 - e) * (e - l ^+ 2) / (h ^+ 2 - l ^+ 2) / e <= _).
  rewrite ler_pmul2r ?invr_gt0 // ler_pdivl_mulr // -mulrA ler_pdivr_mull ?ltr0n //.
rewrite ler_pdivr_mulr // ler_pdivr_mulr // -subr_ge0.
by rewrite roots_gap ?sqr_ge0 // gt_eqF // addr_gt0.
Qed.

End Rates.
