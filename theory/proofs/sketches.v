(** Pruning a linear model as sketching: what [theory.sketches] defines, and the claims on it, for every number of
    features d, of samples n and of draws s, over any real closed field (square roots of nonnegative numbers exist).

    Names as in [theory.sketches] (class Sketch): rows_squared, row_norms, amplitudes, a_total (the property a there),
    f_squared, prediction, signal, optimal, data_law, weighted_norm, mse. There [inverse] gives 1/p where p > 0 and 0
    where p = 0; the inverse of a field does so here.

    - unbiased_mask [sketching/unbiased-mask]
    - unbiased_prediction [sketching/unbiased-prediction]
    - mse_is_expected [sketching/mean-squared-error] the closed form of any law, with its bias
    - mean_squared_error [sketching/mean-squared-error] as claimed
    - optimal_probabilities [sketching/optimal-probabilities]
    - excess_is_chi_square [sketching/excess-is-chi-square]
    - one_over_s [sketching/one-over-s]
    - data_independence [sketching/data-independence]
    - data_independence_price [sketching/data-independence-rate] the price; the total variation is in rates.v

    [used_features_can_be_drawn], [some_signal] and the other hypotheses are the assumptions of those names. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Model.

Variables (R : rcfType) (d n : nat) (x : 'I_d -> 'I_n -> R).
Implicit Types (v w p : 'I_d -> R).

Definition rows_squared i : R := \sum_k x i k ^+ 2.
Definition row_norms i : R := Num.sqrt (rows_squared i).
Definition amplitudes w i : R := row_norms i * `|w i|.
Definition a_total w : R := \sum_i amplitudes w i.
Definition f_squared : R := \sum_i rows_squared i.
Definition prediction v k : R := \sum_i x i k * v i.
Definition signal w : R := \sum_k prediction w k ^+ 2.
Definition gram i j : R := \sum_k x i k * x j k.
Definition optimal w i : R := amplitudes w i / a_total w.
Definition data_law i : R := rows_squared i / f_squared.
Definition magnitude_law w i : R := `|w i| / \sum_j `|w j|.

(** Features that can be drawn, and the part of the weights that they carry. *)
Definition reached p w i : R := w i * (0 < p i)%R%:R.
Definition weighted_norm p w : R := \sum_i rows_squared i * w i ^+ 2 / p i.
Definition mse s p w : R :=
  \sum_k prediction (fun i => w i - reached p w i) k ^+ 2
  + s%:R^-1 * (weighted_norm p w - \sum_k prediction (reached p w) k ^+ 2).
Definition chi2 (q p : 'I_d -> R) : R := \sum_i q i ^+ 2 / p i - 1.

Definition used w i : bool := rows_squared i * w i ^+ 2 != 0.
Definition used_features_can_be_drawn p w : Prop := forall i, used w i -> 0 < p i.
Definition some_signal w : Prop := 0 < a_total w.

(** The mask m = sum_t e_(i_t) / (s p_(i_t)). *)
Definition mask s p (t : draws d s) i : R := \sum_u (t u == i)%:R / (s%:R * p i).
Definition squared_error w (m : 'I_d -> R) : R :=
  \sum_k (prediction w k - prediction (fun i => w i * m i) k) ^+ 2.

Lemma rows_squared_ge0 i : 0 <= rows_squared i. Proof. exact: sumr_sqr_ge0. Qed.
Lemma row_norms_ge0 i : 0 <= row_norms i. Proof. exact: sqrtr_ge0. Qed.
Lemma sqr_row_norms i : row_norms i ^+ 2 = rows_squared i. Proof. by rewrite sqr_sqrtr ?rows_squared_ge0. Qed.
Lemma amplitudes_ge0 w i : 0 <= amplitudes w i. Proof. by rewrite mulr_ge0 ?row_norms_ge0. Qed.
Lemma a_total_ge0 w : 0 <= a_total w. Proof. by apply: sumr_ge0 => i _; apply: amplitudes_ge0. Qed.
Lemma f_squared_ge0 : 0 <= f_squared. Proof. by apply: sumr_ge0 => i _; apply: rows_squared_ge0. Qed.
Lemma signal_ge0 w : 0 <= signal w. Proof. exact: sumr_sqr_ge0. Qed.
Lemma sqr_amplitudes w i : amplitudes w i ^+ 2 = rows_squared i * w i ^+ 2.
Proof. by rewrite exprMn sqr_row_norms real_normK ?num_real. Qed.
Lemma weighted_normE p w : weighted_norm p w = \sum_i amplitudes w i ^+ 2 / p i.
Proof. by apply: eq_bigr => i _; rewrite sqr_amplitudes. Qed.

Lemma used_amplitude w i : used w i = (0 < amplitudes w i).
Proof. by rewrite /used -sqr_amplitudes sqrf_eq0 lt_def amplitudes_ge0 andbT. Qed.

Lemma unused_entry w i k : ~~ used w i -> x i k * w i = 0.
Proof.
rewrite negbK mulf_eq0 sqrf_eq0 => /orP[|/eqP->]; last by rewrite mulr0.
rewrite psumr_eq0 => [/allP/(_ k)|j _]; last exact: sqr_ge0.
by rewrite mem_index_enum sqrf_eq0 => /(_ isT)/eqP->; rewrite mul0r.
Qed.

Lemma reached_entry p w i k : used_features_can_be_drawn p w -> x i k * reached p w i = x i k * w i.
Proof.
move=> cover; rewrite /reached mulrA; case: (boolP (used w i)) => [/cover->|/unused_entry->].
  by rewrite mulr1.
by rewrite mul0r.
Qed.

Lemma mse_covered s p w : used_features_can_be_drawn p w -> mse s p w = s%:R^-1 * (weighted_norm p w - signal w).
Proof.
move=> cover; rewrite /mse [X in X + _]big1 ?add0r => [|k _].
  by congr (_ * (_ - _)); apply: eq_bigr => k _; congr (_ ^+ 2); apply: eq_bigr => i _; apply: reached_entry.
rewrite /prediction big1 ?expr0n // => i _.
by rewrite mulrBr reached_entry // subrr.
Qed.

(** The sketched prediction is the mean of s draws of X_i w_i / p_i. *)
Lemma prediction_mask s p w (t : draws d s) k :
  prediction (fun i => w i * mask p t i) k = s%:R^-1 * \sum_u (x (t u) k * w (t u) / p (t u)).
Proof.
rewrite /prediction mulr_sumr.
have -> : \sum_i x i k * (w i * mask p t i) = \sum_u \sum_i (t u == i)%:R * (s%:R^-1 * (x i k * w i / p i)).
  rewrite exchange_big /=; apply: eq_bigr => i _; rewrite !mulr_sumr; apply: eq_bigr => u _.
  by rewrite invfM; case: (t u == i); rewrite ?mul1r ?mul0r ?mulr0 // mulrA mulrCA.
apply: eq_bigr => u _; rewrite (bigD1 (t u)) //= eqxx mul1r big1 ?addr0 // => i /negbTE.
by rewrite eq_sym => ->; rewrite mul0r.
Qed.

Lemma law_reached p w i k : 0 <= p i -> p i * (x i k * w i / p i) = x i k * reached p w i.
Proof.
rewrite le0r /reached => /orP[/eqP->|p0]; first by rewrite ltxx mul0r !mulr0.
by rewrite p0 mulr1 mulrC divfK ?gt_eqF.
Qed.

(** Claim mean-squared-error for any law at all: squared bias plus variance. *)
Theorem mse_is_expected s p w : (0 < s)%N -> law p ->
  expected p (fun t : draws d s => squared_error w (mask p t)) = mse s p w.
Proof.
move=> s0 [p0 p1]; rewrite expected_sum /mse.
have -> : \sum_k expected p (fun t : draws d s => (prediction w k - prediction (fun i => w i * mask p t i) k) ^+ 2)
  = \sum_k ((prediction w k - prediction (reached p w) k) ^+ 2
    + s%:R^-1 * (\sum_i x i k ^+ 2 * w i ^+ 2 / p i - prediction (reached p w) k ^+ 2)).
  apply: eq_bigr => k _.
  have -> : expected p (fun t : draws d s => (prediction w k - prediction (fun i => w i * mask p t i) k) ^+ 2)
    = expected p (fun t : draws d s => (prediction w k - s%:R^-1 * \sum_u (fun i => x i k * w i / p i) (t u)) ^+ 2).
    by apply: eq_bigr => t _; rewrite prediction_mask.
  rewrite (expected_square_error p1 (fun i => x i k * w i / p i)) //.
  have -> : \sum_i p i * (x i k * w i / p i) = prediction (reached p w) k.
    by apply: eq_bigr => i _; apply: law_reached.
  congr (_ + _ * (_ - _)); apply: eq_bigr => i _.
  case: (eqVneq (p i) 0) => [->|pi]; first by rewrite mul0r invr0 !mulr0.
  by field.
rewrite big_split /=; congr (_ + _).
  by apply: eq_bigr => k _; rewrite -sumrB; congr (_ ^+ 2); apply: eq_bigr => i _; rewrite mulrBr.
rewrite -mulr_sumr sumrB; congr (_ * (_ - _)).
rewrite exchange_big /=; apply: eq_bigr => i _.
by rewrite -!mulr_suml.
Qed.

Theorem mean_squared_error s p w : (0 < s)%N -> law p -> used_features_can_be_drawn p w ->
  expected p (fun t : draws d s => squared_error w (mask p t)) = s%:R^-1 * (weighted_norm p w - signal w).
Proof. by move=> s0 lp cover; rewrite mse_is_expected // mse_covered. Qed.

Theorem unbiased_mask s p i : (0 < s)%N -> law p -> (forall j, 0 < p j) ->
  expected p (fun t : draws d s => mask p t i) = 1.
Proof.
move=> s0 [_ p1] pos; rewrite expected_sum.
rewrite (eq_bigr (fun=> s%:R^-1)) => [|u _].
  by rewrite sumr_const card_ord -[LHS]mulr_natr mulVf // pnatr_eq0 -lt0n.
rewrite (expected_draw p1 u (fun j => (j == i)%:R / (s%:R * p i))) (bigD1 i) //= eqxx mul1r invfM big1 ?addr0.
  by rewrite mulrCA divff ?mulr1 // gt_eqF.
by move=> j /negbTE->; rewrite mul0r mulr0.
Qed.

Theorem unbiased_prediction s p w k : (0 < s)%N -> law p -> used_features_can_be_drawn p w ->
  expected p (fun t : draws d s => prediction (fun i => w i * mask p t i) k) = prediction w k.
Proof.
move=> s0 [p0 p1] cover.
have -> : expected p (fun t : draws d s => prediction (fun i => w i * mask p t i) k)
  = expected p (fun t : draws d s => s%:R^-1 * \sum_u (fun i => x i k * w i / p i) (t u)).
  by apply: eq_bigr => t _; rewrite prediction_mask.
rewrite expectedZ expected_sum (eq_bigr (fun=> prediction w k)) => [|u _].
  by rewrite sumr_const card_ord -[X in _ * X]mulr_natl mulKf // pnatr_eq0 -lt0n.
rewrite (expected_draw p1 u (fun i => x i k * w i / p i)).
by apply: eq_bigr => i _; rewrite law_reached // reached_entry.
Qed.

(** The optimal law *)

Lemma law_optimal w : some_signal w -> law (optimal w).
Proof.
move=> a0; split=> [i|]; first by rewrite divr_ge0 ?amplitudes_ge0 ?a_total_ge0.
by rewrite -mulr_suml divff // gt_eqF.
Qed.

Lemma optimal_covers w : some_signal w -> used_features_can_be_drawn (optimal w) w.
Proof. by move=> a0 i; rewrite used_amplitude => ai; rewrite divr_gt0. Qed.

Lemma weighted_norm_optimal w : some_signal w -> weighted_norm (optimal w) w = a_total w ^+ 2.
Proof.
move=> a0; rewrite weighted_normE expr2 {2}/a_total mulr_sumr; apply: eq_bigr => i _; rewrite /optimal.
case: (eqVneq (amplitudes w i) 0) => [->|ai]; first by rewrite expr0n /= mul0r mulr0.
by field; rewrite ai gt_eqF.
Qed.

Lemma mse_optimal s w : some_signal w -> mse s (optimal w) w = s%:R^-1 * (a_total w ^+ 2 - signal w).
Proof. by move=> a0; rewrite mse_covered ?weighted_norm_optimal //; apply: optimal_covers. Qed.

Theorem excess_is_chi_square s p w : some_signal w -> used_features_can_be_drawn p w ->
  mse s p w - mse s (optimal w) w = a_total w ^+ 2 / s%:R * chi2 (optimal w) p.
Proof.
move=> a0 cover; rewrite mse_optimal // mse_covered // /chi2.
have -> : \sum_i optimal w i ^+ 2 / p i = weighted_norm p w / a_total w ^+ 2.
  by rewrite weighted_normE mulr_suml; apply: eq_bigr => i _; rewrite /optimal expr_div_n mulrAC.
have a1 : a_total w != 0 by rewrite gt_eqF.
rewrite -mulrBr opprB addrA subrK [RHS]mulrAC [RHS]mulrC; congr (_ * _).
by rewrite mulrBr mulr1 mulrC divfK // expf_neq0.
Qed.

(** The chi-square distance is not negative, for a law that can draw whatever q can draw. *)
Lemma chi2_ge0 (q p : 'I_d -> R) : law p -> \sum_i q i = 1 -> (forall i, q i != 0 -> 0 < p i) -> 0 <= chi2 q p.
Proof.
move=> [p0 p1] q1 cover.
have -> : chi2 q p = \sum_i p i * (q i / p i - 1) ^+ 2.
  have -> : chi2 q p = \sum_i (q i ^+ 2 / p i - 2%:R * q i + p i).
    by rewrite big_split sumrB -mulr_sumr p1 q1 /chi2 /=; ring.
  apply: eq_bigr => i _; case: (eqVneq (q i) 0) => [->|/cover qi].
    by rewrite expr0n /= !mul0r mulr0 subr0 !add0r sqrrN expr1n mulr1.
  by field; rewrite gt_eqF.
by apply: sumr_ge0 => i _; rewrite mulr_ge0 ?sqr_ge0.
Qed.

Theorem optimal_probabilities s p w : some_signal w -> law p -> used_features_can_be_drawn p w ->
  mse s (optimal w) w <= mse s p w.
Proof.
move=> a0 lp cover; rewrite -subr_ge0 excess_is_chi_square // mulr_ge0 ?divr_ge0 ?sqr_ge0 ?ler0n //.
apply: chi2_ge0 => // [|i]; first by case: (law_optimal a0).
by rewrite mulf_eq0 negb_or => /andP[ai _]; apply: cover; rewrite used_amplitude lt_def ai amplitudes_ge0.
Qed.

Theorem one_over_s s w : (0 < s)%N -> some_signal w ->
  [/\ s%:R * mse s (optimal w) w = mse 1 (optimal w) w,
      mse s (optimal w) w <= a_total w ^+ 2 / s%:R,
      mse s (optimal w) w + signal w / s%:R = a_total w ^+ 2 / s%:R,
      a_total w ^+ 2 <= f_squared * \sum_i w i ^+ 2
    & f_squared * (\sum_i w i ^+ 2) - a_total w ^+ 2
      = 2%:R^-1 * \sum_i \sum_j (row_norms i * `|w j| - row_norms j * `|w i|) ^+ 2].
Proof.
move=> s0 a0; have s1 : s%:R != 0 :> R by rewrite pnatr_eq0 -lt0n.
have normal : f_squared * (\sum_i w i ^+ 2) = (\sum_i row_norms i ^+ 2) * (\sum_i `|w i| ^+ 2).
  congr (_ * _); apply: eq_bigr => i _; first by rewrite sqr_row_norms.
  by rewrite real_normK ?num_real.
rewrite !mse_optimal // invr1 mul1r; split.
- by rewrite mulVKf.
- by rewrite mulrC ler_pmul2r ?invr_gt0 ?ltr0n // ger_addl oppr_le0 signal_ge0.
- by field.
- by rewrite normal cauchy_schwarz.
- by rewrite normal -lagrange_identity.
Qed.

Theorem data_independence w c : some_signal w -> (forall i, w i != 0 -> row_norms i = c) ->
  optimal w =1 magnitude_law w.
Proof.
move=> a0 same i.
have amp j : amplitudes w j = c * `|w j|.
  by rewrite /amplitudes; case: (eqVneq (w j) 0) => [->|/same->]; rewrite ?normr0 ?mulr0.
have total : a_total w = c * \sum_j `|w j| by rewrite mulr_sumr; apply: eq_bigr => j _.
have [c0 _] : c != 0 /\ True by split=> //; apply: contraTneq a0 => c0; rewrite /some_signal total c0 mul0r ltxx.
by rewrite /optimal amp total invfM mulrACA divff ?mul1r.
Qed.

(** Kantorovich's inequality gives the price of magnitudes; lo and hi bound the norms of the rows that count. *)
Theorem data_independence_price s w lo hi : some_signal w -> 0 < lo ->
  (forall i, w i != 0 -> lo <= row_norms i <= hi) ->
  mse s (magnitude_law w) w - mse s (optimal w) w <= a_total w ^+ 2 / s%:R * ((hi - lo) ^+ 2 / (4%:R * hi * lo)).
Proof.
move=> a0 lo0 between; pose W := \sum_j `|w j|; pose B := \sum_i row_norms i ^+ 2 * `|w i|.
have W0 : 0 < W.
  have W1 : 0 <= W by apply: sumr_ge0.
  rewrite lt_def W1 andbT; apply: contraTneq a0 => /eqP; rewrite psumr_eq0 // => /allP w0.
  rewrite -leNgt /some_signal /a_total big1 // => i _.
  by rewrite /amplitudes (eqP (w0 i (mem_index_enum i))) mulr0.
have cover : used_features_can_be_drawn (magnitude_law w) w.
  move=> i ui; rewrite divr_gt0 // normr_gt0; apply: contraNneq ui => wi.
  by rewrite /used wi expr0n mulr0 eqxx.
have [i0 wi0] : exists i, w i != 0.
  apply/existsP; apply: contraTT W0; rewrite negb_exists => /forallP w0.
  by rewrite -leNgt /W big1 // => i _; have := w0 i; rewrite negbK => /eqP->; rewrite normr0.
have hi0 : 0 < hi by have /andP[l h] := between _ wi0; apply: lt_le_trans lo0 (le_trans l h).
have -> : mse s (magnitude_law w) w = s%:R^-1 * (W * B - signal w).
  rewrite mse_covered // weighted_normE mulr_sumr; congr (_ * (_ - _)); apply: eq_bigr => i _.
  rewrite /magnitude_law /amplitudes -/W; case: (eqVneq `|w i| 0) => [->|wi]; first by rewrite !mulr0 expr0n mul0r.
  by field; rewrite wi gt_eqF.
have Bound : B <= (hi + lo) * a_total w - hi * lo * W.
  rewrite !mulr_sumr -sumrB; apply: ler_sum => i _; case: (eqVneq (w i) 0) => [wi|/between/andP[l h]].
    by rewrite /amplitudes wi normr0 !mulr0 subr0.
  rewrite -subr_ge0 /amplitudes.
  have -> : (hi + lo) * (row_norms i * `|w i|) - hi * lo * `|w i| - row_norms i ^+ 2 * `|w i|
    = (row_norms i - lo) * (hi - row_norms i) * `|w i| by ring.
  by rewrite !mulr_ge0 ?subr_ge0.
rewrite mse_optimal // -mulrBr opprB addrA subrK [leRHS]mulrAC [leRHS]mulrC ler_wpmul2l ?invr_ge0 ?ler0n //.
rewrite -subr_ge0.
have := ler_wpmul2l (ltW W0) Bound; rewrite -subr_ge0 => step.
have pos : 0 < 4%:R * hi * lo by rewrite !mulr_gt0 ?ltr0n.
rewrite -(pmulr_rge0 _ pos).
have -> : 4%:R * hi * lo * (a_total w ^+ 2 * ((hi - lo) ^+ 2 / (4%:R * hi * lo)) - (W * B - a_total w ^+ 2))
  = 4%:R * hi * lo * (W * ((hi + lo) * a_total w - hi * lo * W) - W * B)
    + ((hi + lo) * a_total w - 2%:R * hi * lo * W) ^+ 2.
  by field; rewrite !gt_eqF.
by rewrite addr_ge0 ?sqr_ge0 // mulr_ge0 // ltW.
Qed.

End Model.
