(** Finite laws of data and mask: entropy, mutual information, decoupling, capacity. For all finite sets of data and of
    masks, over any ordered field, and for every logarithm: a function with ln x <= x - 1 and ln xy = ln x + ln y
    (x, y > 0). Decoupling needs an exponential, a function with exp x > 0 and ln (exp x) = x. The real logarithm and
    exponential are such functions; that they are is not proved here.

    Names as in [theory.information] and [theory.memorisation]: entropy, mutual_information, decoupled,
    binary_divergence, binary_entropy, gap, kept, memorised, by_chance. Laws are normalised here, weights there. A term
    0 ln 0 counts as 0.

    - gibbs Gibbs' inequality
    - information_range [no-free-prune/information-range]
    - information_range_at_most_k [no-free-prune/information-range-at-most-k]
    - data_independent_mask [no-free-prune/data-independent-mask]
    - decoupling [no-free-prune/decoupling] for g(m, .) sub-Gaussian as defined, by its moment generating function;
      that a range of 2 sigma makes it so (Hoeffding's lemma) is not here
    - memorisation_information [no-free-prune/memorisation-information]
    - memorising_needs_parameters [no-free-prune/memorising-needs-parameters] in nats
    - samples_need_parameters [no-free-prune/memorising-needs-parameters] I + E log2 |G| >= n at p = 1, times ln 2
    - leakage_count [no-free-prune/leakage-count] for any bound of P(m | y) over y, so for the largest *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Record logarithm (R : realFieldType) := Logarithm {
  ln :> R -> R;
  ln_le : forall x, 0 < x -> ln x <= x - 1;
  lnM : forall x y, 0 < x -> 0 < y -> ln (x * y) = ln x + ln y }.

Record exponential (R : realFieldType) (L : logarithm R) := Exponential {
  exp :> R -> R;
  exp_gt0 : forall x, 0 < exp x;
  expK : forall x, ln L (exp x) = x }.

Section Logarithm.

Variables (R : realFieldType) (ln : logarithm R).

Lemma ln1 : ln 1 = 0.
Proof. by apply: (addrI (ln 1)); rewrite -lnM ?ltr01 // mulr1 addr0. Qed.

Lemma lnV x : 0 < x -> ln x^-1 = - ln x.
Proof.
move=> x0; apply/eqP; rewrite -addr_eq0 -lnM ?invr_gt0 // mulVf ?ln1 ?eqxx //.
by rewrite gt_eqF.
Qed.

Lemma ln_scaled x y z : 0 < x -> 0 < y -> 0 < z -> ln (x * (y / z)) = ln x + ln y - ln z.
Proof.
by move=> x0 y0 z0; rewrite lnM ?divr_gt0 // lnM ?invr_gt0 // lnV // addrA.
Qed.

Lemma ler_ln x y : 0 < x -> x <= y -> ln x <= ln y.
Proof.
move=> x0 xy; have y0 : 0 < y by apply: lt_le_trans xy.
rewrite -subr_le0 -lnV // -lnM ?invr_gt0 //; apply: le_trans (ln_le _ _) _; rewrite ?divr_gt0 //.
by rewrite subr_le0 ler_pdivr_mulr // mul1r.
Qed.

Lemma ln_ge0 x : 1 <= x -> 0 <= ln x.
Proof. by move=> x1; rewrite -ln1; apply: ler_ln => //; apply: ltr01. Qed.

End Logarithm.

Section Laws.

Variables (R : realFieldType) (ln : logarithm R).

Definition law (T : finType) (p : T -> R) : Prop := (forall t, 0 <= p t) /\ \sum_t p t = 1.
Definition entropy (T : finType) (p : T -> R) : R := - \sum_t p t * ln (p t).
Definition divergence (T : finType) (p q : T -> R) : R := \sum_t p t * (ln (p t) - ln (q t)).
Definition binary_divergence (p q : R) : R := p * (ln p - ln q) + (1 - p) * (ln (1 - p) - ln (1 - q)).
Definition binary_entropy (p : R) : R := - (p * ln p) - (1 - p) * ln (1 - p).

(** The law p has no mass where q has none. *)
Definition dominated (T : finType) (p q : T -> R) : Prop := forall t, p t != 0 -> 0 < q t.

Theorem gibbs (T : finType) (p q : T -> R) : law p -> (forall t, 0 <= q t) -> \sum_t q t <= 1 -> dominated p q ->
  0 <= divergence p q.
Proof.
move=> [p0 p1] q0 q1 dom; rewrite -oppr_le0 -sumrN.
apply: le_trans (_ : \sum_t (q t - p t) <= _); last by rewrite sumrB p1 subr_le0.
apply: ler_sum => t _; have [->|pt] := eqVneq (p t) 0; first by rewrite mul0r oppr0 addr0.
have ppos : 0 < p t by rewrite lt_def pt p0.
have qpos := dom t pt.
rewrite -mulrN opprB -lnV // -lnM ?invr_gt0 //.
have -> : q t - p t = p t * (q t / p t - 1) by rewrite mulrBr mulr1 mulrC divfK.
by rewrite ler_pmul2l // ln_le // divr_gt0.
Qed.

(** The entropy of a law on a set is at most the logarithm of its size. *)
Lemma entropy_le_log (T : finType) (p : T -> R) (S : {set T}) : law p -> (forall t, p t != 0 -> t \in S) ->
  entropy p <= ln #|S|%:R.
Proof.
move=> lp supp; have [p0 p1] := lp.
have S0 : 0 < #|S|%:R :> R.
  rewrite ltr0n lt0n; apply/negP => /eqP/cards0_eq S0.
  have : \sum_t p t = 0 by rewrite big1 // => t _; apply/eqP; apply: contraT => /supp; rewrite S0 inE.
  by rewrite p1 => /eqP; rewrite oner_eq0.
pose q t : R := (t \in S)%:R / #|S|%:R.
have: 0 <= divergence p q.
  apply: gibbs => // [t||t /supp tS]; rewrite /q.
  - by rewrite divr_ge0 ?ler0n // ltW.
  - have count : \sum_t (t \in S)%:R = #|S|%:R :> R.
      by rewrite -sum1_card natr_sum [RHS]big_mkcond; apply: eq_bigr => t _; case: (t \in S).
    by rewrite -mulr_suml count divff // gt_eqF.
  - by rewrite tS div1r invr_gt0.
have -> : divergence p q = ln #|S|%:R - entropy p.
  have step : ln #|S|%:R = \sum_t p t * ln #|S|%:R by rewrite -mulr_suml p1 mul1r.
  rewrite /divergence /entropy opprK [in RHS]step -big_split /=; apply: eq_bigr => t _.
  have [->|/supp tS] := eqVneq (p t) 0; first by rewrite !mul0r addr0.
  by rewrite /q tS div1r lnV // opprK mulrDr addrC.
by rewrite subr_ge0.
Qed.

End Laws.

Section Joint.

Variables (R : realFieldType) (ln : logarithm R) (A M : finType) (P : A -> M -> R).

(** A joint law of data and mask, and its marginals. *)
Definition data_law a : R := \sum_m P a m.
Definition mask_law m : R := \sum_a P a m.
Definition pairs (am : A * M) : R := P am.1 am.2.
Definition decoupled (am : A * M) : R := data_law am.1 * mask_law am.2.
Definition mutual_information : R := entropy ln data_law + entropy ln mask_law - entropy ln pairs.

Hypothesis lawP : law pairs.

Lemma joint_ge0 a m : 0 <= P a m. Proof. exact: (lawP.1 (a, m)). Qed.
Lemma data_ge0 a : 0 <= data_law a. Proof. by apply: sumr_ge0 => m _; apply: joint_ge0. Qed.
Lemma mask_ge0 m : 0 <= mask_law m. Proof. by apply: sumr_ge0 => a _; apply: joint_ge0. Qed.
Lemma ler_data a m : P a m <= data_law a.
Proof. by rewrite /data_law (bigD1 m) //= ler_addl; apply: sumr_ge0 => i _; apply: joint_ge0. Qed.
Lemma ler_mask a m : P a m <= mask_law m.
Proof. by rewrite /mask_law (bigD1 a) //= ler_addl; apply: sumr_ge0 => i _; apply: joint_ge0. Qed.
Lemma sum_pairs (F : A * M -> R) : \sum_am F am = \sum_a \sum_m F (a, m).
Proof. by rewrite pair_bigA; apply: eq_bigr => -[]. Qed.
Lemma data1 : \sum_a data_law a = 1. Proof. by rewrite -lawP.2 sum_pairs. Qed.
Lemma mask1 : \sum_m mask_law m = 1. Proof. by rewrite -lawP.2 sum_pairs exchange_big. Qed.
Lemma law_data : law data_law. Proof. by split; [exact: data_ge0|exact: data1]. Qed.
Lemma law_mask : law mask_law. Proof. by split; [exact: mask_ge0|exact: mask1]. Qed.
Lemma decoupled_ge0 am : 0 <= decoupled am. Proof. by rewrite mulr_ge0 ?data_ge0 ?mask_ge0. Qed.
Lemma decoupled1 : \sum_am decoupled am = 1.
Proof. by rewrite sum_pairs -data1 -[LHS]sumrM data1 mask1 mulr1. Qed.

Lemma positive_pair a m : P a m != 0 -> [/\ 0 < P a m, 0 < data_law a & 0 < mask_law m].
Proof.
move=> pam; have pos : 0 < P a m by rewrite lt_def pam joint_ge0.
by split=> //; [apply: lt_le_trans pos (ler_data a m)|apply: lt_le_trans pos (ler_mask a m)].
Qed.

Lemma decoupled_dominates : dominated pairs decoupled.
Proof. by move=> [a m] /positive_pair[_ da ma]; apply: mulr_gt0. Qed.

Lemma data_mean (f : A -> R) : \sum_a data_law a * f a = \sum_am pairs am * f am.1.
Proof. by rewrite sum_pairs; apply: eq_bigr => a _; rewrite mulr_suml. Qed.
Lemma mask_mean (f : M -> R) : \sum_m mask_law m * f m = \sum_am pairs am * f am.2.
Proof. by rewrite sum_pairs exchange_big; apply: eq_bigr => m _; rewrite mulr_suml. Qed.

Lemma information_is_divergence : mutual_information = divergence ln pairs decoupled.
Proof.
rewrite /mutual_information /entropy data_mean mask_mean opprK /divergence -!sumrN -!big_split /=.
apply: eq_bigr => -[a m] _; have [z|/positive_pair[pos da ma]] := eqVneq (pairs (a, m)) 0.
  by rewrite z !mul0r !oppr0 !addr0.
by rewrite /decoupled /= lnM // /pairs /=; ring.
Qed.

Lemma information_ge0 : 0 <= mutual_information.
Proof.
rewrite information_is_divergence; apply: gibbs => //; first exact: decoupled_ge0.
  by rewrite decoupled1.
exact: decoupled_dominates.
Qed.

(** I = H(M) - H(M | D) with H(M | D) >= 0. *)
Lemma information_le_entropy : mutual_information <= entropy ln mask_law.
Proof.
rewrite /mutual_information addrAC ger_addr subr_le0 /entropy ler_opp2 data_mean.
apply: ler_sum => -[a m] _; have [z|/positive_pair[pos da ma]] := eqVneq (pairs (a, m)) 0; first by rewrite z !mul0r.
by rewrite ler_wpmul2l ?(lawP.1 (a, m)) // ler_ln // ler_data.
Qed.

(** A mask that ignores the data carries no information. *)
Lemma independent_information : (forall a m, P a m = data_law a * mask_law m) -> mutual_information = 0.
Proof.
move=> ind; rewrite information_is_divergence /divergence big1 // => -[a m] _.
by rewrite /decoupled /pairs /= -ind subrr mulr0.
Qed.

(** E g(M, D) - E g(M, D') for an independent copy D' of the data. *)
Definition gap (g : A -> M -> R) : R := \sum_am pairs am * g am.1 am.2 - \sum_am decoupled am * g am.1 am.2.

(** g(m, D) is sub-Gaussian with variance proxy v for each mask m. *)
Definition sub_gaussian (e : exponential ln) (g : A -> M -> R) (v : R) : Prop :=
  forall m l, \sum_a data_law a * e (l * (g a m - \sum_b data_law b * g b m)) <= e (l ^+ 2 * v / 2%:R).

(** Stated squared, as in the registry; v is sigma^2. *)
Theorem decoupling (e : exponential ln) g v : 0 < v -> sub_gaussian e g v ->
  gap g ^+ 2 <= 2%:R * v * mutual_information.
Proof.
move=> v0 sub; pose mean m := \sum_b data_law b * g b m.
have centred : gap g = \sum_am pairs am * (g am.1 am.2 - mean am.2).
  rewrite /gap; under [in RHS]eq_bigr do rewrite mulrBr.
  rewrite sumrB -mask_mean; congr (_ - _); rewrite sum_pairs exchange_big /=; apply: eq_bigr => m _.
  by rewrite mulr_sumr; apply: eq_bigr => a _; rewrite /decoupled /=; ring.
(* Donsker and Varadhan, by Gibbs' inequality for the tilted law. *)
have bound l : l * gap g - l ^+ 2 * v / 2%:R <= mutual_information.
  pose c := l ^+ 2 * v / 2%:R; pose f am := l * (g am.1 am.2 - mean am.2).
  pose q am := decoupled am * (e (f am) * (e c)^-1).
  have ec : 0 < e c by apply: exp_gt0.
  have q0 am : 0 <= q am.
    by rewrite mulr_ge0 ?decoupled_ge0 // divr_ge0 //; apply/ltW/exp_gt0.
  have q1 : \sum_am q am <= 1.
    rewrite sum_pairs exchange_big /= -mask1; apply: ler_sum => m _.
    have -> : \sum_a q (a, m) = mask_law m * ((\sum_a data_law a * e (l * (g a m - mean m))) / e c).
      by rewrite mulr_suml mulr_sumr; apply: eq_bigr => a _; rewrite /q /decoupled /f /=; ring.
    by rewrite -[leRHS]mulr1 ler_wpmul2l ?mask_ge0 // ler_pdivr_mulr // mul1r; apply: sub.
  have dom : dominated pairs q.
    by move=> am /decoupled_dominates da; rewrite mulr_gt0 // mulr_gt0 ?invr_gt0 ?exp_gt0.
  have := gibbs ln lawP q0 q1 dom.
  have -> : divergence ln pairs q = mutual_information - (l * gap g - c).
    rewrite information_is_divergence centred mulr_sumr -[c]mul1r -lawP.2 mulr_suml -sumrB -sumrB.
    apply: eq_bigr => am _; have [->|pam] := eqVneq (pairs am) 0; first by rewrite !mul0r !mulr0 !subr0.
    have da := decoupled_dominates pam.
    have e1 : 0 < e (f am) by apply: exp_gt0.
    have e2 : 0 < (e c)^-1 by rewrite invr_gt0.
    by rewrite /q (lnM ln da (mulr_gt0 e1 e2)) (lnM ln e1 e2) (lnV ln ec) !expK /f; ring.
  by rewrite subr_ge0.
have := bound (gap g / v); have -> : gap g / v * gap g - (gap g / v) ^+ 2 * v / 2%:R = gap g ^+ 2 / (2%:R * v).
  by field; rewrite gt_eqF.
by rewrite ler_pdivr_mulr ?mulr_gt0 ?ltr0n // mulrC.
Qed.

End Joint.

Section Masks.

Variables (R : realFieldType) (ln : logarithm R) (A : finType) (N : nat) (P : A -> {set 'I_N} -> R).
Hypothesis lawP : law (pairs P).

(** E |m|_0. *)
Definition kept : R := \sum_m mask_law P m * #|m|%:R.

Theorem information_range k : (forall m, mask_law P m != 0 -> #|m| = k) ->
  [/\ 0 <= mutual_information ln P, mutual_information ln P <= entropy ln (mask_law P)
    & entropy ln (mask_law P) <= ln 'C(N, k)%:R].
Proof.
move=> exactly; split; [exact: information_ge0|exact: information_le_entropy|].
have -> : 'C(N, k) = #|[set m : {set 'I_N} | #|m| == k]| by rewrite card_draws card_ord.
by apply: entropy_le_log => [|m /exactly mk]; [exact: law_mask|rewrite inE mk].
Qed.

Theorem information_range_at_most_k k : (forall m, mask_law P m != 0 -> (#|m| <= k)%N) ->
  [/\ 0 <= mutual_information ln P, mutual_information ln P <= entropy ln (mask_law P)
    & entropy ln (mask_law P) <= ln (\sum_(i < k.+1) 'C(N, i))%N%:R].
Proof.
move=> most; split; [exact: information_ge0|exact: information_le_entropy|].
have -> : (\sum_(i < k.+1) 'C(N, i) = #|[set m : {set 'I_N} | (#|m| <= k)%N]|)%N.
  rewrite -sum1dep_card (partition_big (fun m : {set 'I_N} => inord #|m| : 'I_k.+1) predT) //=.
  apply: eq_bigr => i _; rewrite -[X in 'C(X, _)]card_ord -card_draws -sum1dep_card; apply: eq_bigl => m.
  apply/eqP/andP => [mi|[mk /eqP <-]]; last by rewrite inordK.
  by rewrite mi -ltnS ltn_ord; split=> //; apply/eqP/val_inj; rewrite /= inordK.
by apply: entropy_le_log => [|m /most mk]; [exact: law_mask|rewrite inE].
Qed.

(** p_eff = E |m|_0 + I(m; D). *)
Theorem data_independent_mask : (forall a m, P a m = data_law P a * mask_law P m) ->
  mutual_information ln P = 0 /\ kept + mutual_information ln P = kept.
Proof. by move=> ind; rewrite independent_information // addr0. Qed.

End Masks.

Section Memorisation.

(** Labels Y of n points, all 2^n equally likely; G m are the labelings that the mask m can realise. *)
Variables (R : realFieldType) (ln : logarithm R) (Y M : finType) (n : nat) (P : Y -> M -> R) (G : M -> {set Y}).
Hypothesis lawP : law (pairs P).
Hypothesis labels : #|Y| = (2 ^ n)%N.
Hypothesis uniform_labels : forall y, data_law P y = (2 ^ n)%:R^-1.

Definition memorised : R := \sum_m \sum_(y in G m) P y m.
Definition by_chance : R := (\sum_m mask_law P m * #|G m|%:R) / (2 ^ n)%:R.
Definition log_size_when_memorised : R := \sum_m \sum_(y in G m) P y m * ln #|G m|%:R.

Let S (ym : Y * M) : bool := ym.1 \in G ym.2.

Lemma memorisedE : memorised = \sum_(ym | S ym) pairs P ym.
Proof.
rewrite [RHS]big_mkcond sum_pairs exchange_big /=; apply: eq_bigr => m _.
by rewrite -big_mkcond.
Qed.

Lemma memorised_not : \sum_(ym | ~~ S ym) pairs P ym = 1 - memorised.
Proof. by rewrite memorisedE -lawP.2 [in RHS](bigID S) /= addrAC subrr add0r. Qed.

Lemma memorised_ge0 : 0 <= memorised.
Proof. by rewrite memorisedE; apply: sumr_ge0 => ym _; apply: lawP.1. Qed.

Lemma memorised_le1 : memorised <= 1.
Proof. by rewrite -subr_ge0 -memorised_not; apply: sumr_ge0 => ym _; apply: lawP.1. Qed.

Lemma by_chanceE : by_chance = \sum_(ym | S ym) decoupled P ym.
Proof.
rewrite [RHS]big_mkcond sum_pairs exchange_big /= /by_chance mulr_suml; apply: eq_bigr => m _.
rewrite -big_mkcond /= /decoupled /= -mulr_suml; under eq_bigr do rewrite uniform_labels.
by rewrite sumr_const -[_^-1 *+ _]mulr_natl -mulrA [RHS]mulrC.
Qed.

Lemma by_chance_not : \sum_(ym | ~~ S ym) decoupled P ym = 1 - by_chance.
Proof. by rewrite by_chanceE -(decoupled1 lawP) [in RHS](bigID S) /= addrAC subrr add0r. Qed.

Theorem memorisation_information : binary_divergence ln memorised by_chance <= mutual_information ln P.
Proof.
set p := memorised; set q := by_chance.
have p0 := memorised_ge0; have p1 := memorised_le1.
have q0 : 0 <= q by rewrite /q by_chanceE; apply: sumr_ge0 => ym _; apply: decoupled_ge0.
have q1 : q <= 1 by rewrite -subr_ge0 /q -by_chance_not; apply: sumr_ge0 => ym _; apply: decoupled_ge0.
pose r ym := decoupled P ym * (if S ym then p / q else (1 - p) / (1 - q)).
have ratio_ge0 ym : 0 <= if S ym then p / q else (1 - p) / (1 - q).
  by case: (S ym); rewrite divr_ge0 ?subr_ge0.
have r0 ym : 0 <= r ym by rewrite mulr_ge0 // decoupled_ge0.
have part (a b : R) : 0 <= a -> b * (a / b) <= a.
  by move=> a0; have [->|b0] := eqVneq b 0; [rewrite mul0r|rewrite mulrC divfK].
have r1 : \sum_ym r ym <= 1.
  rewrite (bigID S) /= (eq_bigr (fun ym => decoupled P ym * (p / q))) => [|ym sy]; last by rewrite /r sy.
  rewrite [X in _ + X](eq_bigr (fun ym => decoupled P ym * ((1 - p) / (1 - q)))) => [|ym sy];
    last by rewrite /r (negbTE sy).
  rewrite -!mulr_suml -by_chanceE by_chance_not -/q -[leRHS](subrK p) [1 - p + p]addrC.
  by apply: ler_add; apply: part; rewrite ?subr_ge0.
have some (Q : pred (Y * M)) (F : Y * M -> R) ym : (forall t, 0 <= F t) -> Q ym -> 0 < F ym -> 0 < \sum_(t | Q t) F t.
  by move=> F0 Qy Fy; rewrite (bigD1 ym) //= ltr_paddr // sumr_ge0.
have inside ym : pairs P ym != 0 -> S ym -> 0 < p /\ 0 < q.
  move=> pym sy; have dy := decoupled_dominates lawP pym; have pos : 0 < pairs P ym by rewrite lt_def pym lawP.1.
  rewrite /p /q memorisedE by_chanceE.
  by split; apply: (some _ _ ym) => // t; [exact: lawP.1|exact: decoupled_ge0].
have outside ym : pairs P ym != 0 -> ~~ S ym -> 0 < 1 - p /\ 0 < 1 - q.
  move=> pym sy; have dy := decoupled_dominates lawP pym; have pos : 0 < pairs P ym by rewrite lt_def pym lawP.1.
  rewrite /p /q -memorised_not -by_chance_not.
  by split; apply: (some _ _ ym) => // t; [exact: lawP.1|exact: decoupled_ge0].
have dom : dominated (pairs P) r.
  move=> ym pym; rewrite mulr_gt0 //; first exact: decoupled_dominates.
  case: ifP => [sy|/negbT sy]; first by case: (inside ym pym sy) => a b; rewrite divr_gt0.
  by case: (outside ym pym sy) => a b; rewrite divr_gt0.
have := gibbs ln lawP r0 r1 dom.
have -> : divergence ln (pairs P) r = mutual_information ln P - binary_divergence ln p q.
  rewrite information_is_divergence // /binary_divergence.
  have -> : p * (ln p - ln q) = \sum_(ym | S ym) pairs P ym * (ln p - ln q) by rewrite -mulr_suml -memorisedE.
  have -> : (1 - p) * (ln (1 - p) - ln (1 - q)) = \sum_(ym | ~~ S ym) pairs P ym * (ln (1 - p) - ln (1 - q)).
    by rewrite -mulr_suml memorised_not.
  rewrite [\sum_(ym | S ym) _]big_mkcond [\sum_(ym | ~~ S ym) _]big_mkcond -big_split -sumrB /=.
  apply: eq_bigr => ym _; have [->|pym] := eqVneq (pairs P ym) 0; first by rewrite !mul0r; case: (S ym);
    rewrite ?addr0 subr0.
  have dy := decoupled_dominates lawP pym; rewrite /r; case: (boolP (S ym)) => sy /=.
    by have [a b] := inside ym pym sy; rewrite (ln_scaled ln dy a b); ring.
  by have [a b] := outside ym pym sy; rewrite (ln_scaled ln dy a b); ring.
by rewrite subr_ge0.
Qed.

(** Fano's inequality, in nats: p n log 2 <= I + E[1_S log |G_M|] + h(p). *)
Theorem memorising_needs_parameters :
  memorised * ln (2 ^ n)%:R <= mutual_information ln P + log_size_when_memorised + binary_entropy ln memorised.
Proof.
set p := memorised; set big := (2 ^ n)%:R : R.
have p0 : 0 <= p := memorised_ge0; have p1 : p <= 1 := memorised_le1.
have big0 : 0 < big by rewrite ltr0n expn_gt0.
pose r (ym : Y * M) := mask_law P ym.2 * (if S ym then p / #|G ym.2|%:R else (1 - p) / big).
have r0 ym : 0 <= r ym.
  by rewrite mulr_ge0 ?mask_ge0 //; case: (S ym); rewrite divr_ge0 ?ler0n ?subr_ge0 // ltW.
have some m y : y \in G m -> 0 < #|G m|%:R :> R by move=> yG; rewrite ltr0n card_gt0; apply/set0Pn; exists y.
have r1 : \sum_ym r ym <= 1.
  rewrite sum_pairs exchange_big /= -(mask1 lawP); apply: ler_sum => m _.
  rewrite /r /= -mulr_sumr -[leRHS]mulr1 ler_wpmul2l ?mask_ge0 //.
  rewrite (bigID (fun y => y \in G m)) /= (eq_bigr (fun=> p / #|G m|%:R)) => [|y yG]; last by rewrite /S yG.
  rewrite [X in _ + X](eq_bigr (fun=> (1 - p) / big)) => [|y /negbTE yG]; last by rewrite /S yG.
  rewrite !sumr_const -[leRHS](subrK p) [1 - p + p]addrC -[_ / #|G m|%:R *+ _]mulr_natl -[_ / big *+ _]mulr_natl.
  apply: ler_add.
    have [->|g0] := posnP #|G m|; first by rewrite mul0r.
    by rewrite mulrC divfK // pnatr_eq0 -lt0n.
  rewrite mulrA ler_pdivr_mulr // mulrC ler_wpmul2l ?subr_ge0 // ler_nat -labels.
  by rewrite max_card.
have dom : dominated (pairs P) r.
  move=> [y m] pym; have [pos dy my] := positive_pair lawP pym; rewrite mulr_gt0 //.
  case: ifP => [sy|/negbT sy].
    rewrite divr_gt0 //; last exact: some sy.
    rewrite /p memorisedE (bigD1 (y, m)) //= ltr_paddr // sumr_ge0 // => t _; exact: lawP.1.
  rewrite divr_gt0 // /p -memorised_not (bigD1 (y, m)) //= ltr_paddr // sumr_ge0 // => t _; exact: lawP.1.
have entropy_labels : entropy ln (data_law P) = ln big.
  rewrite -[RHS]mul1r -(data1 lawP) mulr_suml /entropy -sumrN; apply: eq_bigr => y _.
  by rewrite uniform_labels lnV // mulrN opprK.
have information : mutual_information ln P = ln big + \sum_ym pairs P ym * (ln (pairs P ym) - ln (mask_law P ym.2)).
  rewrite /mutual_information entropy_labels -addrA; congr (_ + _).
  rewrite /entropy (mask_mean P (fun m => ln (mask_law P m))) opprK addrC -sumrB.
  by apply: eq_bigr => ym _; rewrite mulrBr.
have sizes : log_size_when_memorised = \sum_ym (if S ym then pairs P ym * ln #|G ym.2|%:R else 0).
  by rewrite sum_pairs exchange_big; apply: eq_bigr => m _; rewrite /= -big_mkcond.
have chance : binary_entropy ln p = - \sum_ym pairs P ym * (if S ym then ln p else ln (1 - p)).
  rewrite [X in - X](bigID S) /= (eq_bigr (fun ym => pairs P ym * ln p)) => [|ym sy]; last by rewrite sy.
  rewrite [X in _ + X](eq_bigr (fun ym => pairs P ym * ln (1 - p))) => [|ym /negbTE->//].
  by rewrite -!mulr_suml -memorisedE memorised_not opprD.
have rest : (1 - p) * ln big = \sum_ym (if S ym then 0 else pairs P ym * ln big).
  rewrite -memorised_not mulr_suml big_mkcond; apply: eq_bigr => ym _.
  by case: (S ym).
have := gibbs ln lawP r0 r1 dom.
have -> : divergence ln (pairs P) r
  = mutual_information ln P + log_size_when_memorised + binary_entropy ln p - p * ln big.
  have -> : mutual_information ln P + log_size_when_memorised + binary_entropy ln p - p * ln big
    = (\sum_ym pairs P ym * (ln (pairs P ym) - ln (mask_law P ym.2))) + log_size_when_memorised
      + binary_entropy ln p + (1 - p) * ln big by rewrite information; ring.
  rewrite sizes chance rest -sumrN -!big_split /=; apply: eq_bigr => -[y m] _.
  have [->|pym] := eqVneq (pairs P (y, m)) 0; first by case: (S _); rewrite !mul0r oppr0 !addr0.
  have [pos dy my] := positive_pair lawP pym; rewrite /r /=; case: (boolP (S (y, m))) => sy.
    rewrite (ln_scaled ln my _ (some _ _ sy)) /=.
      by move: (ln (pairs P (y, m))) (ln (mask_law P m)) (ln p) (ln #|G m|%:R) => a b c d; ring.
    by rewrite /p memorisedE (bigD1 (y, m)) //= ltr_paddr // sumr_ge0 // => t _; exact: lawP.1.
  rewrite (ln_scaled ln my _ big0) /=.
    by move: (ln (pairs P (y, m))) (ln (mask_law P m)) (ln (1 - p)) (ln big) => a b c d; ring.
  by rewrite /p -memorised_not (bigD1 (y, m)) //= ltr_paddr // sumr_ge0 // => t _; exact: lawP.1.
by rewrite subr_ge0.
Qed.

(** If every labeling is memorised, I + E log |G_M| >= n log 2: effective parameters are at least samples. *)
Theorem samples_need_parameters : (forall y m, P y m != 0 -> y \in G m) ->
  n%:R * ln 2%:R <= mutual_information ln P + \sum_m mask_law P m * ln #|G m|%:R.
Proof.
move=> all_memorised.
have one : memorised = 1.
  rewrite memorisedE -lawP.2 [in RHS](bigID S) /= [X in _ = _ + X]big1 ?addr0 // => -[y m] /= sy.
  by apply/eqP; apply: contraR sy; apply: all_memorised.
have := memorising_needs_parameters; rewrite one mul1r.
have -> : binary_entropy ln 1 = 0 by rewrite /binary_entropy ln1 mulr0 subrr mul0r subr0 oppr0.
have -> : log_size_when_memorised = \sum_m mask_law P m * ln #|G m|%:R.
  apply: eq_bigr => m _; rewrite mulr_suml [LHS]big_mkcond; apply: eq_bigr => y _.
  by case: ifP => // yG; have [->|/all_memorised] := eqVneq (P y m) 0; rewrite ?mul0r // yG.
have -> : ln (2 ^ n)%:R = n%:R * ln 2%:R.
  elim: (n) => [|k IH]; first by rewrite expn0 ln1 mul0r.
  by rewrite expnS natrM lnM ?ltr0n ?expn_gt0 // IH -[k.+1]add1n natrD mulrDl mul1r.
by rewrite addr0.
Qed.

(** P(m | y) = 2^n P(y, m) is at most leak m for every y. *)
Theorem leakage_count (leak : M -> R) : (forall y m, P y m * (2 ^ n)%:R <= leak m) ->
  memorised <= (\sum_m leak m * #|G m|%:R) / (2 ^ n)%:R.
Proof.
move=> most; rewrite ler_pdivl_mulr ?ltr0n ?expn_gt0 // mulr_suml; apply: ler_sum => m _.
rewrite mulr_suml mulr_natr -sumr_const; apply: ler_sum => y _; exact: most.
Qed.

End Memorisation.
