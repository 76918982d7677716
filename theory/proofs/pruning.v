(** Pruning runs and layer collapse, for every family of paths, over any ordered field.

    Names as in [theory.pruning] and [theory.guarded]: masked, survives (the entries of surviving_paths), objective,
    score, keep_top (as a relation: which masks a round may leave, however ties are broken), guarded_round. A mask is
    the set of parameters that are kept.

    - one_round the step of the theorem: q of a weights go, q L < a, none has more than L on a path
    - maximal_critical_compression [synaptic-flow/maximal-critical-compression] for scores that are sums over paths (as
      SynFlow's and SynFlow-L2's are), so that conservation need not be assumed. L bounds the number of weights on a
      path: where all paths have L weights it is the critical number. "nonzero-scores" is weakened to a positive
      objective of the dense network
    - every_cut_keeps_a_weight [synaptic-flow/maximal-critical-compression] so every cut keeps one
    - path_scores_never_collapse the theorem for any score that is a sum of f_k(v_p) >= 0 over the paths through a
      weight
    - synflow_l2_never_collapses [synaptic-flow/maximal-critical-compression] for SynFlow-L2 on a network
    - synflow_never_collapses [synaptic-flow/maximal-critical-compression] for SynFlow on a network
    - frozen_activation_never_collapses [path-exclusion/frozen-activation-never-collapses]
    - collapse_only_after_death [path-exclusion/collapse-only-after-death] whatever D_k >= 0 the round measures
    - guarded_stays_live [path-exclusion/guarded-pruning-keeps-a-live-path] in part: that a run stays live, for any notion
      of being live; that it reaches its target is not formalised *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums networks paths saliency.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Pruning.

Variables (R : realFieldType) (N : nat) (T : eqType) (ps : seq T) (on_path : T -> 'I_N -> nat).
Implicit Types (m : {set 'I_N}) (c : T -> R) (p : T) (j : 'I_N).

Definition survives m p : bool := [forall j, (0 < on_path p j)%N ==> (j \in m)].
Definition objective c m : R := \sum_(p <- ps | survives m p) c p.
Definition score c m j : R := \sum_(p <- ps | survives m p) (on_path p j)%:R * c p.

(** A round keeps weights of largest scores: none that goes scores more than one that stays. *)
Definition keep_top (s : 'I_N -> R) m m' : Prop :=
  m' \subset m /\ forall i j, i \in m' -> j \in m :\: m' -> s j <= s i.

Lemma survivesP m p : reflect (forall j, (0 < on_path p j)%N -> j \in m) (survives m p).
Proof. by apply: (iffP forallP) => h j; have := h j => /implyP. Qed.

Lemma survives_sub m m' p : m' \subset m -> survives m' p -> survives m p.
Proof. by move=> /subsetP sub /survivesP keep; apply/survivesP => j /keep/sub. Qed.

Lemma objective_ge0 c m : (forall p, 0 <= c p) -> 0 <= objective c m.
Proof. by move=> c0; apply: sumr_ge0. Qed.

(** The union bound: what is lost is at most what the weights that went had scored. *)
Lemma union_bound c m m' : (forall p, 0 <= c p) -> m' \subset m ->
  objective c m - \sum_(j in m :\: m') score c m j <= objective c m'.
Proof.
move=> c0 sub; rewrite ler_subl_addl addrC -ler_subl_addl.
have -> : objective c m - objective c m' = \sum_(p <- ps | survives m p && ~~ survives m' p) c p.
  have same : \sum_(p <- ps | survives m p && survives m' p) c p = objective c m'.
    by apply: eq_bigl => p; apply: andb_idl; apply: survives_sub.
  by rewrite [objective c m](bigID (survives m')) /= same addrAC subrr add0r.
rewrite /score exchange_big /= [leLHS]big_mkcond [leRHS]big_mkcond; apply: ler_sum => p _.
case: (survivesP m p) => //= whole; case: (survivesP m' p) => /= [_|hit].
  by apply: sumr_ge0 => j _; rewrite mulr_ge0 ?ler0n.
have [j pj jm'] : exists2 j, (0 < on_path p j)%N & j \notin m'.
  apply/exists_inP; rewrite -negb_forall_in; apply/negP => /forall_inP keep; apply: hit => j /keep //.
have jD : j \in m :\: m' by rewrite inE jm' whole.
rewrite (bigD1 j) //= ler_paddr //; first by apply: sumr_ge0 => i _; rewrite mulr_ge0 ?ler0n.
by rewrite -[leLHS]mul1r ler_wpmul2r // ler1n.
Qed.

(** All scores together are at most L objectives. *)
Lemma total_score c m L : (forall p, 0 <= c p) -> (forall p, p \in ps -> (\sum_j on_path p j <= L)%N) ->
  \sum_(j in m) score c m j <= L%:R * objective c m.
Proof.
move=> c0 short; rewrite /score exchange_big /= /objective mulr_sumr.
rewrite big_seq_cond [leRHS]big_seq_cond; apply: ler_sum => p /andP[pp _].
rewrite -mulr_suml ler_wpmul2r // -natr_sum ler_nat; apply: leq_trans (short p pp).
by rewrite [X in (_ <= X)%N](bigID (mem m)) /= leq_addr.
Qed.

(** The q lowest of a scores are at most the q / a part of all. *)
Lemma lowest_share s m m' : keep_top s m m' ->
  #|m|%:R * (\sum_(j in m :\: m') s j) <= #|m :\: m'|%:R * (\sum_(j in m) s j).
Proof.
case=> sub low.
have cards : #|m| = (#|m'| + #|m :\: m'|)%N by rewrite -(cardsID m' m) (setIidPr sub).
have split_sum : \sum_(j in m) s j = \sum_(j in m') s j + \sum_(j in m :\: m') s j.
  rewrite (big_setID m') /=; congr (_ + _); apply: eq_bigl => j; by rewrite (setIidPr sub).
have times (A : {set 'I_N}) (y : R) : #|A|%:R * y = \sum_(i in A) y by rewrite sumr_const mulr_natl.
rewrite {1}cards split_sum natrD mulrDl mulrDr ler_add2r !times [leRHS]exchange_big /=.
by apply: ler_sum => i im'; apply: ler_sum => j jD; apply: low.
Qed.

Theorem one_round c m m' L : (forall p, 0 <= c p) -> (forall p, p \in ps -> (\sum_j on_path p j <= L)%N) ->
  keep_top (score c m) m m' -> (#|m :\: m'| * L < #|m|)%N -> 0 < objective c m -> 0 < objective c m'.
Proof.
move=> c0 short top slow alive; have [sub _] := top.
have a0 : 0 < #|m|%:R :> R by rewrite ltr0n; apply: leq_ltn_trans slow.
rewrite -(pmulr_rgt0 _ a0).
apply: lt_le_trans (_ : #|m|%:R * (objective c m - \sum_(j in m :\: m') score c m j) <= _); last first.
  by rewrite ler_pmul2l // union_bound.
rewrite mulrBr subr_gt0; apply: le_lt_trans (lowest_share top) _.
apply: le_lt_trans (_ : #|m :\: m'|%:R * (L%:R * objective c m) < _).
  by rewrite ler_wpmul2l ?ler0n // total_score.
by rewrite mulrA ltr_pmul2r // -natrM ltr_nat.
Qed.

Lemma positive_objective c m : (forall p, 0 <= c p) -> 0 < objective c m ->
  exists p, [/\ p \in ps, survives m p & 0 < c p].
Proof.
move=> c0 pos.
have /hasP[p pp /andP[sp cp]] : has (fun p => survives m p && (c p != 0)) ps.
  apply: contraTT pos; rewrite -all_predC => /allP none; rewrite -leNgt /objective big_seq_cond big1 // =>
    p /andP[pp sp].
  by have := none p pp; rewrite /= sp negbK => /eqP.
by exists p; rewrite lt_def cp c0.
Qed.

(** A round prunes one weight, or q with q L below the number it starts with. *)
Definition slow (L : nat) m m' : bool := (#|m :\: m'| <= 1)%N || (#|m :\: m'| * L < #|m|)%N.

(** A run of rounds from the mask m: the masks after each. *)
Fixpoint run (round : {set 'I_N} -> {set 'I_N} -> Prop) m (ms : seq {set 'I_N}) : Prop :=
  if ms is m' :: ms' then round m m' /\ run round m' ms' else True.

Theorem maximal_critical_compression c L (ms : seq {set 'I_N}) m0 :
  (forall p, 0 <= c p) -> (forall p, p \in ps -> (\sum_j on_path p j <= L)%N) ->
  0 < objective c m0 -> run (fun m m' => keep_top (score c m) m m' /\ slow L m m') m0 ms ->
  forall m, m \in ms -> (L <= #|m|)%N -> exists p, [/\ p \in ps, survives m p & 0 < c p].
Proof.
move=> c0 short alive rounds m mms large; apply: positive_objective => //.
suff sizes : 0 < objective c m by [].
elim: ms m0 alive rounds mms => //= m' ms IH m0 alive [[top slowly] rounds].
have shrink : forall m1 ms1, run (fun m m' => keep_top (score c m) m m' /\ slow L m m') m1 ms1 ->
  forall m2, m2 \in ms1 -> (#|m2| <= #|m1|)%N.
  move=> m1 ms1; elim: ms1 m1 => //= m3 ms1 IH1 m1 [[[sub _] _] rest] m2.
  rewrite inE => /orP[/eqP->|m2s]; first exact: subset_leq_card.
  by apply: leq_trans (IH1 _ rest _ m2s) (subset_leq_card sub).
have step : (L <= #|m'|)%N -> 0 < objective c m'.
  move=> large'; have [sub _] := top.
  have cards : #|m0| = (#|m'| + #|m0 :\: m'|)%N by rewrite -(cardsID m' m0) (setIidPr sub).
  have [q0|q1] := posnP #|m0 :\: m'|.
    have -> // : m' = m0 by apply/eqP; rewrite eqEsubset sub /= -setD_eq0 -cards_eq0 q0.
  apply: (one_round c0 short top) => //.
  move: slowly; rewrite /slow => /orP[q2|//].
  have -> : #|m0 :\: m'| = 1%N by apply/eqP; rewrite eqn_leq q2.
  by rewrite mul1n cards; apply: leq_ltn_trans large' _; rewrite -addn1 leq_add2l.
rewrite inE => /orP[/eqP mm'|mms]; first by rewrite mm'; apply: step; rewrite -mm'.
apply: (IH _ _ rounds mms); apply: step; apply: leq_trans large _; exact: (shrink _ _ rounds).
Qed.

(** A cut is any set of parameters that every path meets. *)
Theorem every_cut_keeps_a_weight c L (ms : seq {set 'I_N}) m0 (C : {set 'I_N}) :
  (forall p, 0 <= c p) -> (forall p, p \in ps -> (\sum_j on_path p j <= L)%N) ->
  0 < objective c m0 -> run (fun m m' => keep_top (score c m) m m' /\ slow L m m') m0 ms ->
  (forall p, p \in ps -> exists2 j, j \in C & (0 < on_path p j)%N) ->
  forall m, m \in ms -> (L <= #|m|)%N -> exists j, j \in C :&: m.
Proof.
move=> c0 short alive rounds cut m mms large.
have [p [pp /survivesP whole _]] := maximal_critical_compression c0 short alive rounds mms large.
by have [j jC pj] := cut p pp; exists j; rewrite inE jC whole.
Qed.

(** Guarded pruning, for any notion of being live: of the weights in their order, the first whose removal leaves the
    network live goes; if there is none, nothing goes. *)
Definition guarded_round (live : {set 'I_N} -> bool) (order : seq 'I_N) m : {set 'I_N} :=
  if [seq j <- order | (j \in m) && live (m :\ j)] is j :: _ then m :\ j else m.

Theorem guarded_stays_live (live : {set 'I_N} -> bool) (ms : seq {set 'I_N}) m0 : live m0 ->
  run (fun m m' => exists order, m' = guarded_round live order m) m0 ms -> all live ms.
Proof.
elim: ms m0 => //= m ms IH m0 live0 [[order ->] rounds].
have alive : live (guarded_round live order m0).
  rewrite /guarded_round; case found: [seq j <- order | _] => [//|j r].
  have : j \in [seq j <- order | (j \in m0) && live (m0 :\ j)] by rewrite found inE eqxx.
  by rewrite mem_filter => /andP[/andP[]].
by rewrite alive; apply: IH rounds.
Qed.

End Pruning.

Section Networks.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Implicit Types (theta : 'I_N -> R) (m : {set 'I_N}) (D : 'I_K -> R).

Definition masked m theta j : R := theta j * (j \in m)%:R.

(** All paths, each with the number of its output. *)
Definition paths_of : seq ('I_K * seq 'I_E) :=
  flatten [seq [seq (k, p) | p <- paths_to net (outputs net k)] | k <- enum 'I_K].
Definition on (kp : 'I_K * seq 'I_E) j : nat := on_path net kp.2 j.

Lemma sum_paths_of (F : 'I_K -> seq 'I_E -> R) :
  \sum_(kp <- paths_of) F kp.1 kp.2 = \sum_k \sum_(p <- paths_to net (outputs net k)) F k p.
Proof.
rewrite big_flatten big_map big_enum; apply: eq_bigr => k _.
by rewrite big_map.
Qed.

(** A path keeps its value if it survives, else it is 0. *)
Lemma masked_path m theta kp : path_value net (masked m theta) kp.2 = path_value net theta kp.2 * (survives on m kp)%:R.
Proof.
case: kp => k p /=; have [whole|hit] := boolP (survives on m (k, p)).
  rewrite mulr1; apply: eq_big_seq => e ep; rewrite /edge_value.
  case pe: (parameter net e) => [j|//]; rewrite /masked; have /survivesP/(_ j) -> := whole; rewrite ?mulr1 //.
  by rewrite /on /on_path /= -has_count; apply/hasP; exists e; rewrite //= pe.
rewrite mulr0; move: hit; rewrite negb_forall => /existsP[j]; rewrite negb_imply => /andP[].
rewrite /on /on_path /= -has_count => /hasP[e ep /eqP pe] jm.
rewrite /path_value (big_rem e) //= {1}/edge_value pe /masked (negbTE jm).
by rewrite mulr0 mulr0 mul0r.
Qed.

(** Scores of the masked network that are sums of f(v_p) over paths, f(0) = 0, are scores with fixed path weights. *)
Lemma masked_score (f : 'I_K -> R -> R) m theta j : (forall k, f k 0 = 0) ->
  through net (fun k p => f k (path_value net (masked m theta) p)) j
  = score paths_of on (fun kp => f kp.1 (path_value net theta kp.2)) m j.
Proof.
move=> f0; rewrite /through -(sum_paths_of (fun k p => (on_path net p j)%:R * f k (path_value net (masked m theta) p))).
rewrite /score [RHS]big_mkcond; apply: eq_bigr => kp _; rewrite masked_path.
by case: (survives on m kp); rewrite ?mulr1 // mulr0 f0 mulr0.
Qed.

(** A run by scores of the masked network. *)
Definition run_by (scores : ('I_N -> R) -> 'I_N -> R) theta L m0 ms : Prop :=
  run (fun m m' => keep_top (scores (masked m theta)) m m' /\ slow L m m') m0 ms.
Definition at_most_on_a_path (L : nat) : Prop := forall kp, kp \in paths_of -> (\sum_j on kp j <= L)%N.

Lemma eq_keep_top (s s' : 'I_N -> R) m m' : s =1 s' -> keep_top s m m' -> keep_top s' m m'.
Proof. by move=> ss [sub low]; split=> // i j im jm; rewrite -!ss; apply: low. Qed.

Lemma eq_run (r r' : {set 'I_N} -> {set 'I_N} -> Prop) m0 ms :
  (forall m m', r m m' -> r' m m') -> run r m0 ms -> run r' m0 ms.
Proof. by move=> rr; elim: ms m0 => //= m ms IH m0 [/rr a /IH b]. Qed.

Theorem path_scores_never_collapse (f : 'I_K -> R -> R) theta L ms :
  (forall k, f k 0 = 0) -> (forall k v, 0 <= f k v) -> at_most_on_a_path L ->
  0 < \sum_k \sum_(p <- paths_to net (outputs net k)) f k (path_value net theta p) ->
  run_by (fun th => through net (fun k p => f k (path_value net th p))) theta L setT ms ->
  forall m, m \in ms -> (L <= #|m|)%N ->
  exists k p, [/\ p \in paths_to net (outputs net k), survives on m (k, p) & 0 < f k (path_value net theta p)].
Proof.
move=> f0 fge0 short alive rounds m mms large.
pose c kp := f kp.1 (path_value net theta kp.2).
have [|||[k p] [kp whole pos]] := @maximal_critical_compression R N _ paths_of on c L ms setT _ short _ _ m mms large.
- by move=> kp; apply: fge0.
- rewrite /objective (eq_bigl predT) => [|kp]; first by rewrite (sum_paths_of (fun k p =>
  f k (path_value net theta p))).
  by apply/survivesP => j _; rewrite inE.
- apply: eq_run rounds => m1 m2 [top slowly]; split=> //; apply: eq_keep_top top => j.
  exact: masked_score.
exists k, p; split=> //; move: kp => /flattenP[r /mapP[k' _ ->] /mapP[q qk [-> ->]]] //.
Qed.

Theorem synflow_l2_never_collapses theta L ms : at_most_on_a_path L ->
  0 < \sum_k objective_per_output net theta k -> run_by (synflow_l2 net) theta L setT ms ->
  forall m, m \in ms -> (L <= #|m|)%N ->
  exists k p, [/\ p \in paths_to net (outputs net k), survives on m (k, p) & path_value net theta p != 0].
Proof.
move=> short alive rounds m mms large.
have [|||k [p [pk whole pos]]] := @path_scores_never_collapse (fun k v =>
  v ^+ 2) theta L ms _ _ short _ rounds m mms large.
- by move=> k; rewrite expr0n.
- by move=> k v; apply: sqr_ge0.
- by [].
by exists k, p; split=> //; move: pos; rewrite lt_def sqrf_eq0 => /andP[].
Qed.

Definition synflow theta : 'I_N -> R := through net (fun k p => `|path_value net theta p|).

Theorem synflow_never_collapses theta L ms : at_most_on_a_path L ->
  0 < \sum_k \sum_(p <- paths_to net (outputs net k)) `|path_value net theta p| -> run_by synflow theta L setT ms ->
  forall m, m \in ms -> (L <= #|m|)%N ->
  exists k p, [/\ p \in paths_to net (outputs net k), survives on m (k, p) & path_value net theta p != 0].
Proof.
move=> short alive rounds m mms large.
have [|||k [p [pk whole pos]]] := @path_scores_never_collapse (fun k v =>
  `|v|) theta L ms _ _ short _ rounds m mms large.
- by move=> k; rewrite normr0.
- by [].
- by [].
by exists k, p; split=> //; rewrite -normr_gt0.
Qed.

(** PX with the activations D of the dense network, held fixed. *)
Theorem frozen_activation_never_collapses D theta L ms : (forall k, 0 <= D k) -> at_most_on_a_path L ->
  0 < \sum_k D k * objective_per_output net theta k -> run_by (px net D) theta L setT ms ->
  forall m, m \in ms -> (L <= #|m|)%N ->
  exists k p, [/\ p \in paths_to net (outputs net k), survives on m (k, p) & path_value net theta p != 0].
Proof.
move=> D0 short alive rounds m mms large.
have [|||k [p [pk whole pos]]] :=
  @path_scores_never_collapse (fun k v => D k * v ^+ 2) theta L ms _ _ short _ rounds m mms large.
- by move=> k; rewrite expr0n mulr0.
- by move=> k v; rewrite mulr_ge0 ?sqr_ge0.
- by under eq_bigr do rewrite -mulr_sumr.
exists k, p; split=> //; move: pos; apply: contraTneq => ->.
by rewrite expr0n mulr0 ltxx.
Qed.

(** One round of PX on the network that the mask m leaves, with the activations D that this round measures. *)
Theorem collapse_only_after_death D theta L m m' : (forall k, 0 <= D k) -> at_most_on_a_path L ->
  keep_top (px net D (masked m theta)) m m' -> slow L m m' -> (L <= #|m'|)%N ->
  0 < \sum_k D k * objective_per_output net (masked m theta) k ->
  exists k p, [/\ p \in paths_to net (outputs net k), survives on m' (k, p) & path_value net theta p != 0].
Proof.
move=> D0 short top slowly large alive.
pose f k (v : R) := D k * v ^+ 2; pose c kp := f kp.1 (path_value net theta kp.2).
have f0 k : f k 0 = 0 by rewrite /f expr0n mulr0.
have [||||[k p] [kp whole pos]] := @maximal_critical_compression R N _ paths_of on c L [:: m'] m _ short _ _ m' _ large.
- by move=> kp; rewrite mulr_ge0 ?sqr_ge0.
- move: alive; under eq_bigr do rewrite mulr_sumr.
  rewrite -(sum_paths_of (fun k p => f k (path_value net (masked m theta) p))) /objective [in X in _ -> X]big_mkcond /=.
  rewrite (eq_bigr (fun kp => if survives on m kp then c kp else 0)) // => kp _; rewrite masked_path.
  by case: (survives on m kp); rewrite ?mulr1 // mulr0 f0.
- split=> //; split=> //; apply: eq_keep_top top => j; exact: (masked_score m theta j f0).
- by rewrite inE.
exists k, p; split=> //; first by move: kp => /flattenP[r /mapP[k' _ ->] /mapP[q qk [-> ->]]].
have [z|//] := eqVneq (path_value net theta p) 0.
by move: pos; rewrite /c /f /= z expr0n mulr0 ltxx.
Qed.

End Networks.
