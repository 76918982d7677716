(** The derivative of a network off its kinks, for every network of any size, over any ordered field.

    Names as in [theory.networks]: off_kink (no pre-activation of a ReLU is exactly 0 and no maximum is tied, the
    opposite of on_kink), moved (the parameters theta + t e_j).

    - jacobian_is_derivative [path-exclusion/chain-rule] off kinks the reverse accumulation gives the derivative of the
      outputs: |f(theta + t e_j) - f(theta) - t J_kj| <= C t^2 for all small t *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums networks paths.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Polynomials.

Variable R : realFieldType.
Implicit Types (q : {poly R}) (t : R).

(** What holds for all t near 0. *)
Definition near0 (P : R -> Prop) : Prop := exists2 d, 0 < d & forall t, `|t| < d -> P t.

Lemma near0_and (P Q : R -> Prop) : near0 P -> near0 Q -> near0 (fun t => P t /\ Q t).
Proof.
move=> [a a0 Pa] [b b0 Qb]; exists (Num.min a b); first by rewrite lt_minr a0.
by move=> t; rewrite lt_minr => /andP[ta tb]; split; [apply: Pa|apply: Qb].
Qed.

Lemma near0_all (T : eqType) (s : seq T) (P : T -> R -> Prop) : (forall e, e \in s -> near0 (P e)) ->
  near0 (fun t => forall e, e \in s -> P e t).
Proof.
elim: s => [|e s IH] near; first by exists 1; rewrite ?ltr01.
have [||d d0 both] := @near0_and (P e) (fun t => forall e, e \in s -> P e t).
- by apply: near; rewrite inE eqxx.
- by apply: IH => e' e's; apply: near; rewrite inE e's orbT.
exists d => // t td e'; have [here there] := both t td.
by rewrite inE => /orP[/eqP->//|]; apply: there.
Qed.

Lemma near0_imp (P Q : R -> Prop) : near0 P -> (forall t, P t -> Q t) -> near0 Q.
Proof. by move=> [d d0 near] PQ; exists d => // t /near/PQ. Qed.

Lemma bounded_near0 q : exists2 c, 0 < c & forall t, `|t| < 1 -> `|q.[t]| <= c.
Proof.
elim/poly_ind: q => [|q c [b b0 bound]]; first by exists 1; rewrite ?ltr01 // => t _; rewrite horner0 normr0 ler01.
exists (b + `|c|) => [|t t1]; first by rewrite ltr_paddr.
rewrite hornerMXaddC; apply: le_trans (ler_norm_add _ _) _; rewrite ler_add2r normrM.
by rewrite -[leRHS]mulr1; apply: ler_pmul => //; [apply: bound|apply: ltW].
Qed.

Lemma split_constant q : exists p, q = p * 'X + (q.[0])%:P.
Proof.
elim/poly_ind: q => [|p c _]; first by exists 0; rewrite mul0r horner0 add0r.
by exists p; rewrite hornerMXaddC mulr0 add0r.
Qed.

Lemma positive_near0 q : 0 < q.[0] -> near0 (fun t => 0 < q.[t]).
Proof.
move=> pos; have [p ->] := split_constant q; move: (q.[0]) pos => a a0.
have [b b0 bound] := bounded_near0 p.
exists (Num.min 1 (a / b)) => [|t]; first by rewrite lt_minr ltr01 divr_gt0.
rewrite lt_minr ltr_pdivl_mulr // => /andP[t1 ta].
rewrite hornerMXaddC -ltr_subl_addl sub0r; apply: le_lt_trans (ler_norm _) _.
rewrite normrN normrM mulrC; apply: le_lt_trans ta.
by rewrite ler_wpmul2l // bound.
Qed.

Lemma nonzero_near0 q : q.[0] != 0 -> near0 (fun t => (0 < q.[t]) = (0 < q.[0])).
Proof.
rewrite neq_lt => /orP[neg|pos].
  have := @positive_near0 (- q); rewrite hornerN oppr_gt0 => /(_ neg)/near0_imp; apply=> t.
  by rewrite hornerN oppr_gt0 => qt; rewrite !ltNge !ltW.
by apply: (near0_imp (positive_near0 pos)) => t ->; rewrite pos.
Qed.

Lemma second_order q : exists2 c, 0 < c & near0 (fun t => `|q.[t] - q.[0] - t * (q^`()).[0]| <= c * t ^+ 2).
Proof.
have [p pq] := split_constant q; have [r rp] := split_constant p; have [c c0 bound] := bounded_near0 r.
have slope : (q^`()).[0] = p.[0].
  by rewrite pq derivD derivC addr0 derivM derivX mulr1 hornerD !hornerM hornerX mulr0 add0r.
exists c => //; exists 1; rewrite ?ltr01 // => t t1.
have -> : q.[t] - q.[0] - t * (q^`()).[0] = r.[t] * t ^+ 2.
  rewrite slope {1}pq hornerMXaddC {1}rp hornerMXaddC.
  by move: (r.[t]) (p.[0]) (q.[0]) => x y z; ring.
rewrite normrM [X in _ * X]ger0_norm ?sqr_ge0 //; apply: ler_wpmul2r; first exact: sqr_ge0.
exact: bound.
Qed.

End Polynomials.

Section Derivative.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K) (theta : 'I_N -> R) (x : 'I_U -> R) (j : 'I_N).
Implicit Types (u : 'I_U) (e : 'I_E) (t : R).

Local Notation source := (source net).
Local Notation target := (target net).
Local Notation units := (units net).
Local Notation incoming := (incoming net).
Local Notation g := (gates net theta x).

Definition off_kink : Prop := forall u,
  match units u with
  | Relu | Leaky => \sum_(e <- incoming u) arriving net theta x e != 0
  | Max => forall e e', e \in incoming u -> e' \in incoming u -> e != e' ->
      ~~ [&& all (fun i => arriving net theta x i <= arriving net theta x e) (incoming u)
           & all (fun i => arriving net theta x i <= arriving net theta x e') (incoming u)]
  | _ => True
  end.

Definition moved t i : R := theta i + t * (i == j)%:R.

(** The value of a unit as a polynomial in t, the gates of theta kept. *)
Definition value_polynomial u : {poly R} :=
  \sum_(p <- paths_to net u) path_input net theta x u p *: path_polynomial net theta j p.
Definition edge_polynomial e : {poly R} := (edge_value net theta e)%:P + edge_slope net j e *: 'X.
Definition arriving_polynomial e : {poly R} := edge_polynomial e * value_polynomial (source e).

Lemma edge_polynomialE e t : (edge_polynomial e).[t] = edge_value net (moved t) e.
Proof. by rewrite hornerD hornerC hornerZ hornerX edge_value_moved. Qed.

Lemma moved0 : moved 0 =1 theta.
Proof. by move=> i; rewrite /moved mul0r addr0. Qed.

Lemma value_polynomial_hidden u : ~~ is_source (units u) ->
  value_polynomial u = \sum_(e | target e == u) g e *: arriving_polynomial e.
Proof.
move=> hu; rewrite /value_polynomial paths_to_hidden // big_flatten big_map big_filter big_enum_cond /=.
apply: eq_bigr => e _; rewrite big_map /arriving_polynomial /value_polynomial mulr_sumr scaler_sumr.
apply: eq_bigr => p _;
  rewrite /path_input path_source_rcons /path_gate -/(path_product g (rcons p e)) path_product_rcons.
rewrite /path_polynomial -cats1 big_cat big_seq1 /= -/(path_polynomial net theta j p) -/(edge_polynomial e).
by rewrite -scalerAr scalerA [edge_polynomial e * _]mulrC; congr (_ *: _); rewrite mulrAC mulrC.
Qed.

Lemma value_polynomial_source u t : is_source (units u) -> (value_polynomial u).[t] = value net (moved t) x u.
Proof.
move=> su; rewrite /value_polynomial paths_to_source // big_seq1 hornerZ /path_polynomial big_nil hornerC mulr1.
by rewrite value_source // /path_input /path_gate big_nil mul1r.
Qed.

Lemma value_polynomial0 u : (value_polynomial u).[0] = value net theta x u.
Proof.
rewrite path_decomposition /value_polynomial horner_sum; apply: eq_bigr => p _.
rewrite hornerZ path_polynomialE mulrC; congr (_ * _); apply: eq_bigr => e _.
by rewrite /edge_value; case: (parameter net e) => [i|//]; rewrite mul0r addr0.
Qed.

Lemma arriving_polynomial0 e : (arriving_polynomial e).[0] = arriving net theta x e.
Proof.
rewrite hornerM value_polynomial0 edge_polynomialE; congr (_ * _).
by rewrite /edge_value; case: (parameter net e) => [i|//]; rewrite moved0.
Qed.

(** Near theta a unit has the value of its polynomial, and the gates of its edges stay. *)
Lemma value_near u : off_kink -> near0 (fun t => value net (moved t) x u = (value_polynomial u).[t]).
Proof.
move=> off; move: u; apply: (@unit_ind R U E N K net) => [u su|u hu IH].
  by exists 1; rewrite ?ltr01 // => t _; rewrite value_polynomial_source.
have arrives : near0 (fun t => forall e, e \in incoming u -> arriving net (moved t) x e = (arriving_polynomial e).[t]).
  apply: near0_all => e; rewrite mem_incoming => /eqP eu; move/near0_imp: (IH e eu); apply=> t vt.
  by rewrite /arriving vt hornerM edge_polynomialE.
suff stay : near0 (fun t => forall e, e \in incoming u ->
    edge_gate net (units u) (incoming u) (fun i => (arriving_polynomial i).[t]) e
    = edge_gate net (units u) (incoming u) (arriving net theta x) e).
  move/near0_imp: (near0_and arrives stay); apply=> t [at_t gt].
  rewrite value_gated // value_polynomial_hidden // horner_sum; apply: eq_bigr => e /eqP eu.
  have eI : e \in incoming u by rewrite mem_incoming eu.
  rewrite hornerZ -mulrA -/(arriving net (moved t) x e) (at_t e eI); congr (_ * _).
  rewrite /gates eu -(gt e eI) /edge_gate; case: (units u) => //.
  - by congr (gate _ _ _); apply: eq_big_seq => i /at_t.
  - by congr (gate _ _ _); apply: eq_big_seq => i /at_t.
  congr (_ == _)%:R; rewrite /first_largest; apply: eq_in_find => i iI; apply: eq_in_all => i' i'I.
  by rewrite !at_t.
have trivial (P : R -> Prop) : (forall t, P t) -> near0 P by move=> all_t; exists 1; rewrite ?ltr01.
have whole : (\sum_(i <- incoming u) arriving_polynomial i).[0] = \sum_(i <- incoming u) arriving net theta x i.
  by rewrite horner_sum; apply: eq_bigr => i _; rewrite arriving_polynomial0.
have := off u; rewrite /edge_gate; case: (units u) hu => // _; rewrite -?whole.
- by move=> _; apply: trivial.
- move=> /nonzero_near0/near0_imp; apply=> t; rewrite horner_sum => same e _.
  by rewrite /gate same.
- move=> /nonzero_near0/near0_imp; apply=> t; rewrite horner_sum => same e _.
  by rewrite /gate same.
move=> untied.
have [->|nonempty] := eqVneq (incoming u) [::]; first exact: trivial.
have /hasP[m mI /allP top] := has_largest (arriving net theta x) nonempty.
have mtop : all (fun i => arriving net theta x i <= arriving net theta x m) (incoming u) by apply/allP.
have above : near0 (fun t => forall i, i \in incoming u -> i != m ->
    (arriving_polynomial i).[t] < (arriving_polynomial m).[t]).
  apply: near0_all => i iI; have [->|im] := eqVneq i m; first exact: trivial.
  have : 0 < (arriving_polynomial m - arriving_polynomial i).[0].
    rewrite hornerD hornerN !arriving_polynomial0 subr_gt0 lt_neqAle top // andbT.
    apply: contraNneq (untied i m iI mI im) => same.
    by rewrite mtop andbT; apply/allP => i' i'I; rewrite same top.
  by move/positive_near0/near0_imp; apply=> t; rewrite hornerD hornerN subr_gt0.
have largest_m (a : 'I_E -> R) : (forall i, i \in incoming u -> i != m -> a i < a m) ->
  first_largest (incoming u) a = index m (incoming u).
  move=> lower; rewrite /first_largest /index; apply: eq_in_find => i iI /=.
  have [->|im] := eqVneq i m.
    by apply/allP => i' i'I; have [->//|i'm] := eqVneq i' m; apply/ltW/lower.
  by apply/negbTE/allPn; exists m => //; rewrite -ltNge lower.
have now : forall i, i \in incoming u -> i != m -> arriving net theta x i < arriving net theta x m.
  have [d d0 near] := above; move=> i iI im.
  by have := near 0; rewrite normr0 => /(_ d0 i iI im); rewrite !arriving_polynomial0.
by move/near0_imp: above; apply=> t lower e eI; rewrite !largest_m.
Qed.

Theorem jacobian_is_derivative k : off_kink ->
  exists2 c, 0 < c & near0 (fun t =>
    `|value net (moved t) x (outputs net k) - value net theta x (outputs net k) - t * jacobian net theta x k j|
    <= c * t ^+ 2).
Proof.
move=> off; have [c c0 close] := second_order (value_polynomial (outputs net k)).
exists c => //; move/near0_imp: (near0_and close (value_near (outputs net k) off)); apply=> t [bound ->].
move: bound; rewrite value_polynomial0; congr (_ <= _); congr (`|_ - _ * _|).
rewrite jacobian_by_paths /value_polynomial raddf_sum /= horner_sum; apply: eq_bigr => p _ /=.
by rewrite derivZ hornerZ path_jacobian_is_derivative.
Qed.

End Derivative.
