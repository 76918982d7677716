(** A law made from initial weights w0 and applied to trained weights w (the class Transfer of [theory.sketches]), for
    every number of features, samples and draws, over any real closed field. Names as there: ratios, ratio_variance,
    change, relative_change, mixture.

    - transfer_identity [sketching/transfer-identity]
    - transfer_data_norm [sketching/transfer-data-norm]
    - transfer_relative [sketching/transfer-relative]
    - transfer_mixture [sketching/transfer-mixture] the bound for every share
    - transfer_best_mixture [sketching/transfer-best-mixture]

    In [transfer_relative] the excess is over (A*^2 - |X'w|^2) / s, which is the least error where some X_i w_i is not
    0 ([mse_optimal]). *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws sketches.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Transfer.

Variables (R : rcfType) (d n : nat) (x : 'I_d -> 'I_n -> R).
Implicit Types (v w p : 'I_d -> R).

Local Notation rows_squared := (rows_squared x).
Local Notation row_norms := (row_norms x).
Local Notation amplitudes := (amplitudes x).
Local Notation a_total := (a_total x).
Local Notation f_squared := (f_squared x).
Local Notation signal := (signal x).
Local Notation optimal := (optimal x).
Local Notation data_law := (data_law x).
Local Notation weighted_norm := (weighted_norm x).
Local Notation mse := (mse x).
Local Notation used := (used x).
Local Notation some_signal := (some_signal x).
Local Notation used_features_can_be_drawn := (used_features_can_be_drawn x).

(** Weights that were trained: the law of the initial weights w0, applied to w *)

Definition ratios w0 w i : R := `|w i| / `|w0 i|.
Definition ratio_variance w0 w : R :=
  let p0 := optimal w0 in
  \sum_i p0 i * ratios w0 w i ^+ 2 - (\sum_i p0 i * ratios w0 w i) ^+ 2.
Definition change w0 w i : R := w i - w0 i.
Definition relative_change w0 w : R := \big[Num.max/0]_i (`|change w0 w i| / `|w0 i|).
Definition mixture l w0 i : R := (1 - l) * optimal w0 i + l * data_law i.
Definition norm w : R := Num.sqrt (\sum_i w i ^+ 2).

Lemma norm_ge0 w : 0 <= norm w. Proof. exact: sqrtr_ge0. Qed.
Lemma sqr_norm w : norm w ^+ 2 = \sum_i w i ^+ 2. Proof. by rewrite sqr_sqrtr ?sumr_sqr_ge0. Qed.

Lemma amplitude_ratio w0 w i : (used w i -> w0 i != 0) -> amplitudes w0 i * ratios w0 w i = amplitudes w i.
Proof.
move=> start; case: (eqVneq (w0 i) 0) => [w00|w00].
  rewrite /ratios /amplitudes w00 normr0 mulr0 mul0r; apply/esym/eqP.
  rewrite -/(amplitudes w i); apply: contraTT isT => ai;
    have: used w i by rewrite used_amplitude lt_def ai amplitudes_ge0.
  by move/start; rewrite w00 eqxx.
by rewrite /amplitudes /ratios -mulrA; congr (_ * _); rewrite mulrC divfK ?normr_eq0.
Qed.

Lemma initial_covers w0 w : 0 < a_total w0 -> (forall i, used w i -> w0 i != 0) ->
  used_features_can_be_drawn (optimal w0) w.
Proof.
move=> a0 start i ui; apply: optimal_covers => //; have w00 := start i ui.
by move: ui; rewrite /used mulf_eq0 negb_or => /andP[ri _]; rewrite mulf_eq0 negb_or ri sqrf_eq0.
Qed.

(** N_(p0)(w)^2 = A0 sum of a_i r_i. *)
Lemma weighted_norm_initial w0 w : 0 < a_total w0 -> (forall i, used w i -> w0 i != 0) ->
  weighted_norm (optimal w0) w = a_total w0 * \sum_i amplitudes w i * ratios w0 w i.
Proof.
move=> a0 start; rewrite weighted_normE mulr_sumr; apply: eq_bigr => i _.
rewrite -(amplitude_ratio (start i)) /optimal.
case: (eqVneq (amplitudes w0 i) 0) => [->|ai]; first by rewrite !mul0r expr0n /= mul0r mulr0.
by field; rewrite ai gt_eqF.
Qed.

Lemma a_optimal w i : 0 < a_total w -> a_total w * optimal w i = amplitudes w i.
Proof. by move=> a0; rewrite mulrC divfK ?gt_eqF. Qed.

Lemma mean_ratio w0 w : 0 < a_total w0 -> (forall i, used w i -> w0 i != 0) ->
  a_total w0 * (\sum_i optimal w0 i * ratios w0 w i) = a_total w.
Proof.
move=> a0 start; rewrite mulr_sumr; apply: eq_bigr => i _.
by rewrite -(amplitude_ratio (start i)) [LHS]mulrA a_optimal.
Qed.

Lemma variance_initial w0 w : 0 < a_total w0 -> (forall i, used w i -> w0 i != 0) ->
  a_total w0 ^+ 2 * ratio_variance w0 w = weighted_norm (optimal w0) w - a_total w ^+ 2.
Proof.
move=> a0 start; rewrite weighted_norm_initial // -(mean_ratio a0 start) /ratio_variance mulrBr exprMn; congr (_ - _).
rewrite expr2 -mulrA; congr (_ * _); rewrite !mulr_sumr; apply: eq_bigr => i _.
rewrite -(amplitude_ratio (start i)) [LHS]mulrA a_optimal // expr2.
exact: mulrA.
Qed.

Theorem transfer_identity s w0 w : (forall i, used w i -> w0 i != 0) -> some_signal w ->
  mse s (optimal w0) w - mse s (optimal w) w = a_total w0 ^+ 2 / s%:R * ratio_variance w0 w
  /\ mse s (optimal w0) w - mse s (optimal w) w = a_total w ^+ 2 / s%:R * chi2 (optimal w) (optimal w0).
Proof.
move=> start a0.
have a00 : 0 < a_total w0.
  rewrite lt_def a_total_ge0 andbT; apply: contraTneq a0 => /eqP; rewrite psumr_eq0 => [/allP none|i _];
    last exact: amplitudes_ge0.
  rewrite -leNgt /a_total big1 // => i _; rewrite -(amplitude_ratio (start i)).
  by rewrite (eqP (none i (mem_index_enum i))) mul0r.
have cover := initial_covers a00 start; split; last exact: excess_is_chi_square.
rewrite mse_optimal // mse_covered // -mulrBr opprB addrA subrK mulrAC variance_initial //.
by rewrite mulrC.
Qed.

Theorem transfer_data_norm s w0 w : (0 < s)%N -> 0 < f_squared ->
  mse s data_law w = (f_squared * (\sum_i (w i * (0 < rows_squared i)%R%:R) ^+ 2) - signal w) / s%:R
  /\ mse s data_law w <= f_squared * (norm w0 + norm (change w0 w)) ^+ 2 / s%:R.
Proof.
move=> s0 f0.
have cover : used_features_can_be_drawn data_law w.
  move=> i; rewrite /used mulf_eq0 negb_or => /andP[ri _].
  by rewrite divr_gt0 // lt_def ri rows_squared_ge0.
have closed : mse s data_law w = (f_squared * (\sum_i (w i * (0 < rows_squared i)%R%:R) ^+ 2) - signal w) / s%:R.
  rewrite mse_covered // mulrC; congr ((_ - _) / _); rewrite mulr_sumr; apply: eq_bigr => i _; rewrite /data_law.
  have := rows_squared_ge0 x i; rewrite le0r => /orP[/eqP->|ri].
    by rewrite ltxx mulr0 expr0n /= mulr0 !mul0r.
  by rewrite ri mulr1; field; rewrite !gt_eqF.
split=> //; rewrite closed ler_wpmul2r ?invr_ge0 ?ler0n //.
apply: le_trans (_ : f_squared * (\sum_i (w i * (0 < rows_squared i)%R%:R) ^+ 2) <= _).
  by rewrite ger_addl oppr_le0 signal_ge0.
rewrite ler_pmul2l //; apply: le_trans (_ : \sum_i (w0 i + change w0 w i) ^+ 2 <= _); last exact: triangle.
apply: ler_sum => i _; rewrite /change addrC subrK.
by case: (0 < rows_squared i); rewrite ?mulr1 // mulr0 expr0n sqr_ge0.
Qed.

Lemma relative_change_ge0 w0 w : 0 <= relative_change w0 w.
Proof. by rewrite /relative_change; elim/big_rec: _ => // i y _ y0; rewrite le_maxr y0 orbT. Qed.

Lemma ler_relative_change w0 w i : `|change w0 w i| / `|w0 i| <= relative_change w0 w.
Proof.
rewrite /relative_change; have: i \in index_enum (ordinal_finType d) by rewrite mem_index_enum.
elim: (index_enum _) => // j r IH; rewrite inE big_cons le_maxr => /orP[/eqP<-|/IH->]; first by rewrite lexx.
by rewrite orbT.
Qed.

Theorem transfer_relative s w0 w : (0 < s)%N -> (forall i, w0 i != 0) -> 0 < a_total w0 ->
  let rho := relative_change w0 w in
  [/\ mse s (optimal w0) w <= s%:R^-1 * ((1 + rho) * a_total w0 * a_total w - signal w),
      s%:R^-1 * ((1 + rho) * a_total w0 * a_total w - signal w)
        <= s%:R^-1 * ((1 + rho) ^+ 2 * a_total w0 ^+ 2 - signal w)
    & mse s (optimal w0) w - s%:R^-1 * (a_total w ^+ 2 - signal w) <= a_total w0 ^+ 2 * rho ^+ 2 / s%:R].
Proof.
move=> s0 start0 a0 rho.
have start i : used w i -> w0 i != 0 by [].
have cover := initial_covers a0 start.
have rho0 : 0 <= rho := relative_change_ge0 w0 w.
have near i : `|ratios w0 w i - 1| <= rho.
  apply: le_trans (ler_relative_change w0 w i).
  have w0i : 0 < `|w0 i| by rewrite normr_gt0.
  rewrite -(ler_pmul2r w0i) divfK ?gt_eqF // -[X in _ * X]ger0_norm ?normr_ge0 // -normrM mulrBl divfK ?gt_eqF //.
  by rewrite mul1r ler_dist_dist.
have below i : ratios w0 w i <= 1 + rho by rewrite -ler_subl_addl; apply: le_trans (ler_norm _) (near i).
have A1 : a_total w <= (1 + rho) * a_total w0.
  rewrite /a_total mulr_sumr; apply: ler_sum => i _; rewrite -(amplitude_ratio (start i)) mulrC.
  by rewrite ler_wpmul2r ?amplitudes_ge0.
split.
- rewrite mse_covered // ler_wpmul2l ?invr_ge0 ?ler0n // ler_add2r weighted_norm_initial // [leRHS]mulrAC [leRHS]mulrC.
  rewrite ler_pmul2l // mulrC /a_total mulr_suml; apply: ler_sum => i _.
  by rewrite ler_wpmul2l ?amplitudes_ge0.
- rewrite ler_wpmul2l ?invr_ge0 ?ler0n // ler_add2r -exprMn expr2 ler_wpmul2l //.
  by rewrite mulr_ge0 ?addr_ge0 ?ler01 // ltW.
rewrite mse_covered // -mulrBr opprB addrA subrK -variance_initial // mulrC.
rewrite ler_wpmul2r ?invr_ge0 ?ler0n // ler_wpmul2l ?sqr_ge0 //.
have [pos one] := law_optimal a0.
have -> : ratio_variance w0 w
  = \sum_i optimal w0 i * (ratios w0 w i - 1) ^+ 2 - (\sum_i optimal w0 i * ratios w0 w i - 1) ^+ 2.
  have -> : \sum_i optimal w0 i * (ratios w0 w i - 1) ^+ 2
    = \sum_i (optimal w0 i * ratios w0 w i ^+ 2 - 2%:R * (optimal w0 i * ratios w0 w i) + optimal w0 i).
    by apply: eq_bigr => i _; ring.
  by rewrite big_split sumrB -mulr_sumr one /ratio_variance /=; ring.
apply: le_trans (_ : \sum_i optimal w0 i * rho ^+ 2 <= _); last by rewrite -mulr_suml one mul1r.
apply: le_trans (_ : \sum_i optimal w0 i * (ratios w0 w i - 1) ^+ 2 <= _).
  by rewrite ger_addl oppr_le0 sqr_ge0.
apply: ler_sum => i _; rewrite ler_wpmul2l //.
by rewrite -[leLHS]real_normK ?num_real // ler_expn2r ?nnegrE.
Qed.

(** (a + b)^2 / (p + q) is at most a^2 / p + b^2 / q: x^2 / q is subadditive in (x, q). *)
Lemma square_over_subadditive (a b p q : R) : 0 < p -> 0 < q ->
  (a + b) ^+ 2 / (p + q) <= a ^+ 2 / p + b ^+ 2 / q.
Proof.
move=> p0 q0; rewrite -subr_ge0.
have -> : a ^+ 2 / p + b ^+ 2 / q - (a + b) ^+ 2 / (p + q) = (a * q - b * p) ^+ 2 / (p * q * (p + q)).
  by field; rewrite !gt_eqF ?addr_gt0.
by rewrite divr_ge0 ?sqr_ge0 // !mulr_ge0 ?addr_ge0 ?ltW.
Qed.

Lemma mixture_covers l w0 w : 0 < l -> l <= 1 -> used_features_can_be_drawn (mixture l w0) w.
Proof.
move=> l0 l1 i; rewrite /used mulf_eq0 negb_or => /andP[ri _].
have {}ri : 0 < rows_squared i by rewrite lt_def ri rows_squared_ge0.
rewrite ltr_paddl //; first by rewrite mulr_ge0 ?subr_ge0 ?divr_ge0 ?amplitudes_ge0 ?a_total_ge0.
rewrite mulr_gt0 // divr_gt0 // (lt_le_trans ri) // /f_squared (bigD1 i) //= ler_addl.
by apply: sumr_ge0 => j _; apply: rows_squared_ge0.
Qed.

Theorem transfer_mixture s l w0 w : 0 < l < 1 -> 0 < a_total w0 ->
  mse s (mixture l w0) w
  <= s%:R^-1 * (a_total w0 ^+ 2 / (1 - l) + f_squared * norm (change w0 w) ^+ 2 / l - signal w).
Proof.
move=> /andP[l0 l1] a0; have m0 : 0 < 1 - l by rewrite subr_gt0.
rewrite mse_covered; last by apply: mixture_covers => //; apply: ltW.
rewrite ler_wpmul2l ?invr_ge0 ?ler0n // ler_add2r.
have -> : a_total w0 ^+ 2 / (1 - l) = \sum_i rows_squared i * w0 i ^+ 2 / ((1 - l) * optimal w0 i).
  rewrite -weighted_norm_optimal // mulr_suml; apply: eq_bigr => i _.
  by rewrite (invfM (1 - l)) [RHS]mulrA [RHS]mulrAC.
rewrite sqr_norm mulr_sumr mulr_suml -big_split /=; apply: ler_sum => i _.
have := rows_squared_ge0 x i; rewrite le0r => /orP[/eqP ri|ri].
  by rewrite ri !mul0r add0r divr_ge0 ?(ltW l0) // mulr_ge0 ?f_squared_ge0 ?sqr_ge0.
have f0 : 0 < f_squared.
  rewrite (lt_le_trans ri) // /f_squared (bigD1 i) //= ler_addl; apply: sumr_ge0 => j _; apply: rows_squared_ge0.
have data0 : 0 < l * data_law i by rewrite mulr_gt0 ?divr_gt0.
have -> : f_squared * change w0 w i ^+ 2 / l = rows_squared i * change w0 w i ^+ 2 / (l * data_law i).
  by rewrite /data_law; field; rewrite !gt_eqF.
rewrite -!(mulrA (rows_squared i)) -mulrDr ler_pmul2l //.
have [w00|w00] := eqVneq (w0 i) 0.
  by rewrite w00 expr0n mul0r add0r /mixture /optimal /amplitudes w00 normr0 mulr0 mul0r mulr0 add0r /change w00 subr0.
have init0 : 0 < (1 - l) * optimal w0 i.
  by rewrite mulr_gt0 // divr_gt0 // mulr_gt0 ?normr_gt0 // sqrtr_gt0.
have -> : w i = w0 i + change w0 w i by rewrite addrC subrK.
exact: square_over_subadditive.
Qed.

(** The best share of the data law is l = F |w - w0| / (A0 + F |w - w0|). *)
Theorem transfer_best_mixture s w0 w : 0 < a_total w0 ->
  let u := a_total w0 in let v := Num.sqrt f_squared * norm (change w0 w) in
  0 < v ->
  mse s (mixture (v / (u + v)) w0) w <= s%:R^-1 * ((u + v) ^+ 2 - signal w)
  /\ forall l, 0 < l < 1 -> (u + v) ^+ 2 <= u ^+ 2 / (1 - l) + v ^+ 2 / l.
Proof.
move=> u0 u v v0; have uv0 : 0 < u + v by rewrite addr_gt0.
have v2 : f_squared * norm (change w0 w) ^+ 2 = v ^+ 2 by rewrite [RHS]exprMn (sqr_sqrtr (f_squared_ge0 x)).
split=> [|l /andP[l0 l1]].
  have l01 : 0 < v / (u + v) < 1 by rewrite divr_gt0 //= ltr_pdivr_mulr // mul1r ltr_addr.
  apply: le_trans (transfer_mixture s w l01 u0) _.
  suff -> : a_total w0 ^+ 2 / (1 - v / (u + v)) + f_squared * norm (change w0 w) ^+ 2 / (v / (u + v))
    = (u + v) ^+ 2 by [].
  rewrite v2 -/u.
  have -> : 1 - v / (u + v) = u / (u + v) by rewrite -[1](divff (lt0r_neq0 uv0)) -mulrBl addrK.
  have shares (a b : R) : a != 0 -> b != 0 -> a + b != 0 -> a ^+ 2 / (a / (a + b)) + b ^+ 2 / (b / (a + b))
    = (a + b) ^+ 2.
    by move=> a1 b1 ab; field; rewrite a1 b1 ab.
  by apply: shares; apply: lt0r_neq0.
have := @square_over_subadditive u v (1 - l) l; rewrite subrK divr1; apply=> //.
by rewrite subr_gt0.
Qed.

End Transfer.
