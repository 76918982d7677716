(** Auxiliary networks, and networks rescaled at a cut: for every network of any size, over any ordered field.

    Names as in [theory.auxiliary] and [theory.flows]: gated_forward (the equations that the values of a forward with
    given gates satisfy), rescaled.

    - activation_by_forward [path-exclusion/auxiliary-networks] D_k at one sample: weights 1, squared inputs, squared
      gates of the run
    - objective_by_forward [path-exclusion/auxiliary-networks] R_k: squared weights, inputs 1, every gate on
    - rescaling_scales_values [synaptic-flow/layer-rescaling] units behind the cut are scaled, every gate stays
    - layer_rescaling [synaptic-flow/layer-rescaling] every path value is scaled and D_k stays, so each term of the
      scores of SynFlow is scaled by c, of SynFlow-L2 and PX by c^2 *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums networks paths saliency.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Auxiliary.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Local Notation source := (source net).
Local Notation target := (target net).
Local Notation units := (units net).

Definition gated_forward (w g : 'I_E -> R) (s v : 'I_U -> R) : Prop :=
  (forall u, is_source (units u) -> v u = s u)
  /\ forall u, ~~ is_source (units u) -> v u = \sum_(e | target e == u) g e * w e * v (source e).

Lemma gated_paths w g s v u : gated_forward w g s v ->
  v u = \sum_(p <- paths_to net u) path_product w p * path_product g p * s (path_source net u p).
Proof.
move=> [at_sources hidden]; move: u; apply: (@unit_ind R U E N K net) => [u su|u hu IH].
  by rewrite at_sources // paths_to_source // big_seq1 /path_product !big_nil !mul1r.
rewrite hidden // sum_paths //; apply: eq_bigr => e /eqP eu; rewrite (IH e eu) mulr_sumr; apply: eq_bigr => p _.
by rewrite path_source_rcons !path_product_rcons; ring.
Qed.

Theorem activation_by_forward theta x v u :
  gated_forward (fun=> 1) (fun e => gates net theta x e ^+ 2) (fun u => source_value net x u ^+ 2) v ->
  v u = \sum_(p <- paths_to net u) path_input net theta x u p ^+ 2.
Proof.
move=> forward; rewrite (gated_paths u forward); apply: eq_bigr => p _.
rewrite /path_product big1 // mul1r /path_input exprMn; congr (_ * _).
by rewrite /path_gate -prodrXl.
Qed.

Theorem objective_by_forward theta v k :
  gated_forward (edge_value (squared net) (squares theta)) (fun=> 1) (fun=> 1) v ->
  v (outputs net k) = objective_per_output net theta k.
Proof.
move=> forward; rewrite (gated_paths _ forward); apply: eq_bigr => p _.
rewrite mulr1 -(squared_path net theta p) [X in _ * X]big1 ?mulr1 //.
Qed.

End Auxiliary.

Section Rescaling.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Variables (theta rescaled : 'I_N -> R) (x : 'I_U -> R) (S : {set 'I_U}) (c : R).
Local Notation source := (source net).
Local Notation target := (target net).
Local Notation units := (units net).
Local Notation incoming := (incoming net).

Hypotheses (c0 : 0 < c) (cut : cut_before net S (fun u => [exists k, u == outputs net k])).
(** The edges of the cut are scaled by c. *)
Hypothesis scaled : forall e, edge_value net rescaled e = (if crosses net S e then c else 1) * edge_value net theta e.

Definition scale u : R := if u \in S then 1 else c.

Lemma scale_gt0 u : 0 < scale u.
Proof. by rewrite /scale; case: ifP; rewrite ?ltr01. Qed.

Theorem rescaling_scales_values :
  (forall u, value net rescaled x u = scale u * value net theta x u)
  /\ forall e, gates net rescaled x e = gates net theta x e.
Proof.
have [sources closed _] := cut.
have step (a a' : 'I_E -> R) u : (forall e, e \in incoming u -> a' e = scale u * a e) ->
  forall e, edge_gate net (units u) (incoming u) a' e = edge_gate net (units u) (incoming u) a e.
  move=> aa e; have su := scale_gt0 u.
  have sum : \sum_(i <- incoming u) a' i = scale u * \sum_(i <- incoming u) a i.
    by rewrite mulr_sumr; apply: eq_big_seq.
  rewrite /edge_gate; case: (units u) => //.
  - by rewrite /gate sum pmulr_rgt0.
  - by rewrite /gate sum pmulr_rgt0.
  congr (_ == _)%:R; rewrite /first_largest; apply: eq_in_find => i iI; apply: eq_in_all => i' i'I.
  by rewrite !aa // ler_pmul2l.
have arrive u : (forall e, target e = u -> value net rescaled x (source e)
  = scale (source e) * value net theta x (source e)) ->
  forall e, e \in incoming u -> arriving net rescaled x e = scale u * arriving net theta x e.
  move=> before e; rewrite mem_incoming => /eqP eu; rewrite /arriving scaled (before e eu) -eu /scale /crosses.
  have [tS|tS] := boolP (target e \in S); first by rewrite (closed e tS) /=; ring.
  by case: (source e \in S) => /=; ring.
have values u : value net rescaled x u = scale u * value net theta x u.
  move: u; apply: (@unit_ind R U E N K net) => [u su|u hu IH].
    by rewrite !value_source // /scale sources // mul1r.
  rewrite !value_hidden // !activate_gated ?uniq_incoming // mulr_sumr; apply: eq_big_seq => e eI.
  by rewrite (step _ _ u (arrive u IH)) (arrive u IH e eI) mulrCA.
split=> // e; rewrite /gates; apply: step => i; apply: arrive => e' _; exact: values.
Qed.

Lemma crossed_once u p : p \in paths_to net u -> path_value net rescaled p = scale u * path_value net theta p.
Proof.
have [sources closed _] := cut; move: u p; apply: (@unit_ind R U E N K net) => [u su|u hu IH] p.
  by rewrite paths_to_source // inE => /eqP->; rewrite /path_value !big_nil /scale sources // mulr1.
rewrite paths_to_hidden // => /flattenP[l /mapP[e]]; rewrite mem_incoming => /eqP eu -> /mapP[q qs ->].
rewrite /path_value -!/(path_product _ (rcons q e)) !path_product_rcons.
have -> : path_product (edge_value net rescaled) q = scale (source e) * path_product (edge_value net theta) q.
  exact: IH eu _ qs.
rewrite scaled -eu /scale /crosses.
have [tS|tS] := boolP (target e \in S); first by rewrite (closed e tS) /=; ring.
by case: (source e \in S) => /=; ring.
Qed.

Theorem layer_rescaling k p : p \in paths_to net (outputs net k) ->
  [/\ `|path_value net rescaled p| = c * `|path_value net theta p|,
      path_value net rescaled p ^+ 2 = c ^+ 2 * path_value net theta p ^+ 2
    & path_input net rescaled x (outputs net k) p = path_input net theta x (outputs net k) p].
Proof.
move=> pk; have [_ _ out] := cut.
have oS : outputs net k \notin S by apply: out; apply/existsP; exists k.
have vp := crossed_once pk; rewrite /scale (negbTE oS) in vp.
split; [by rewrite vp normrM gtr0_norm|by rewrite vp exprMn|].
rewrite /path_input /path_gate; congr (_ * _); apply: eq_bigr => e _.
exact: rescaling_scales_values.2.
Qed.

End Rescaling.
