(** Piecewise-linear networks as graphs of units: what [theory.networks] defines, for every network of any size, over
    any ordered field.

    Names as in [theory.networks]: kinds, units, edges with source, target, parameter and factor, outputs, slope;
    edge_value (the entries of edge_values), incoming, largest, gate, edge_gate, value (of a unit), adjoint, jacobian.
    It differs in two points of wording. An input x gives a number to every unit and only units of kind Input read it.
    The value of a unit is a recursion over its incoming edges, where [forward] runs through the units in their order.

    - neuron_conservation [synaptic-flow/neuron-conservation] for the gradient of an objective of the outputs at any
      one sample and output; scores are linear in it, so sums over samples and outputs follow
    - cut_conservation [synaptic-flow/cut-conservation] likewise; the part on sums over paths is [path_sums_conserved]
      in paths.v. A cut is given by the units before it, as in [theory.cuts]; edges on no path are counted with the
      others (their scores are 0) *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Inductive kind := Input | One | Linear | Relu | Leaky | Max.

(** Units without incoming edges by construction. *)
Definition is_source (k : kind) : bool := match k with Input | One => true | _ => false end.

Record network (R : realFieldType) (U E N K : nat) := Network {
  units : 'I_U -> kind;
  source : 'I_E -> 'I_U;
  target : 'I_E -> 'I_U;
  parameter : 'I_E -> option 'I_N;
  factor : 'I_E -> R;
  outputs : 'I_K -> 'I_U;
  slope : R;
  edges_go_forward : forall e, (source e < target e)%N;
  none_into_sources : forall e, ~~ is_source (units (target e)) }.

Section Network.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Implicit Types (theta : 'I_N -> R) (x : 'I_U -> R) (u : 'I_U) (e : 'I_E).

Local Notation source := (source net).
Local Notation target := (target net).
Local Notation units := (units net).

Definition edge_value theta e : R := factor net e * (if parameter net e is Some j then theta j else 1).
Definition incoming u : seq 'I_E := [seq e <- enum 'I_E | target e == u].

(** What arrives at a unit is a number a e on each incoming edge e, these listed in r. *)
Definition first_largest (r : seq 'I_E) (a : 'I_E -> R) : nat := find (fun e => all (fun e' => a e' <= a e) r) r.
Definition largest r (a : 'I_E -> R) : R := nth 0 (map a r) (first_largest r a).
Definition gate (k : kind) (z : R) : R :=
  match k with Relu => (0 < z)%R%:R | Leaky => if 0 < z then 1 else slope net | _ => 1 end.
Definition edge_gate k r (a : 'I_E -> R) e : R :=
  if k is Max then (index e r == first_largest r a)%:R else gate k (\sum_(e <- r) a e).
Definition activate k r (a : 'I_E -> R) : R :=
  if k is Max then largest r a else gate k (\sum_(e <- r) a e) * \sum_(e <- r) a e.

Fixpoint value_in (steps : nat) theta x u : R :=
  if steps is n.+1 then
    match units u with
    | Input => x u
    | One => 1
    | k => activate k (incoming u) (fun e => edge_value theta e * value_in n theta x (source e))
    end
  else 0.
Definition value theta x u : R := value_in U theta x u.
Definition arriving theta x e : R := edge_value theta e * value theta x (source e).
Definition gates theta x e : R := edge_gate (units (target e)) (incoming (target e)) (arriving theta x) e.
Definition source_value x u : R := if units u is One then 1 else x u.

Lemma incomingE (F : 'I_E -> R) u : \sum_(e <- incoming u) F e = \sum_(e | target e == u) F e.
Proof. by rewrite big_filter big_enum_cond. Qed.

Lemma sum_by (f : 'I_E -> 'I_U) (F : 'I_E -> R) : \sum_u \sum_(e | f e == u) F e = \sum_e F e.
Proof. by rewrite [RHS](partition_big f predT). Qed.

Lemma mem_incoming e u : (e \in incoming u) = (target e == u).
Proof. by rewrite mem_filter mem_enum andbT. Qed.

Lemma uniq_incoming u : uniq (incoming u).
Proof. exact: filter_uniq (enum_uniq _). Qed.

Lemma incoming_source u : is_source (units u) -> incoming u = [::].
Proof.
move=> su; apply/eqP; rewrite -[_ == _]negbK -has_filter -all_predC; apply/allP => e _ /=.
by apply: contraTneq su => <-; apply: none_into_sources.
Qed.

(** Some element is largest. *)
Lemma has_largest (r : seq 'I_E) (a : 'I_E -> R) : r != [::] -> has (fun e => all (fun e' => a e' <= a e) r) r.
Proof.
case: r => // e0 r _; elim: r e0 => [|e1 r IH] e0; first by rewrite /= lexx.
have /hasP[m mr /allP mx] := IH e1.
have [e0m|me0] := leP (a e0) (a m).
  apply/hasP; exists m; first by rewrite inE mr orbT.
  by apply/allP => e; rewrite inE => /orP[/eqP->//|/mx].
apply/hasP; exists e0; first by rewrite inE eqxx.
apply/allP => e; rewrite inE => /orP[/eqP->//|/mx em].
by apply: le_trans em (ltW me0).
Qed.

(** In every kind of unit the value is the sum of what arrives, each part through its own gate. *)
Lemma activate_gated k r (a : 'I_E -> R) : uniq r -> activate k r a = \sum_(e <- r) edge_gate k r a e * a e.
Proof.
move=> ur; case: k => /=; rewrite ?mulr_sumr //.
case: (eqVneq r [::]) => [->|r0]; first by rewrite big_nil.
have := has_largest a r0; rewrite has_find -/(first_largest r a); set m := first_largest r a => ms.
have [e0 _] : exists e0, e0 \in r by case: (r) r0 => // e0 r' _; exists e0; rewrite inE eqxx.
rewrite (bigD1_seq (nth e0 r m)) ?mem_nth //= index_uniq // eqxx mul1r big_seq_cond big1 ?addr0 => [|e /andP[er em]].
  by rewrite /largest (nth_map e0).
by case: eqP => [im|_]; rewrite ?mul0r //; move: em; rewrite -[e](nth_index e0 er) im eqxx.
Qed.

(** More steps than the number of a unit change nothing. *)
Lemma value_steps n m theta x (u : 'I_U) : (u < n)%N -> (u < m)%N -> value_in n theta x u = value_in m theta x u.
Proof.
elim: n m u => [|n IH] [|m] u //= un um; case ku: (units u) => //; rewrite /activate.
all: have same e : e \in incoming u ->
  edge_value theta e * value_in n theta x (source e) = edge_value theta e * value_in m theta x (source e).
1,3,5,7: by rewrite mem_incoming => /eqP eu; congr (_ * _); apply: IH;
  apply: (leq_trans (edges_go_forward net e)); rewrite eu.
1,2,3: by rewrite (eq_big_seq _ same).
rewrite /largest; have -> := (eq_in_map _ _ _).1 same; congr (nth _ _ _).
rewrite /first_largest; apply: eq_in_find => e er; apply: eq_in_all => e' er'.
by rewrite !same.
Qed.

Lemma value_source theta x u : is_source (units u) -> value theta x u = source_value x u.
Proof.
move=> su; rewrite /value /source_value.
have [U' EU] : exists U', U = U'.+1 by exists U.-1; rewrite prednK // (leq_trans _ (ltn_ord u)).
by rewrite [X in value_in X]EU /=; case: (units u) su.
Qed.

Lemma value_hidden theta x u : ~~ is_source (units u) ->
  value theta x u = activate (units u) (incoming u) (arriving theta x).
Proof.
move=> hu; have -> : value theta x u = value_in U.+1 theta x u by apply: value_steps; rewrite // ltnS ltnW.
by rewrite /=; case: (units u) hu.
Qed.

(** The value of a unit that is no source, by the gates of its edges. *)
Lemma value_gated theta x u : ~~ is_source (units u) ->
  value theta x u = \sum_(e | target e == u) gates theta x e * edge_value theta e * value theta x (source e).
Proof.
move=> hu; rewrite value_hidden // (activate_gated _ _ (uniq_incoming u)) incomingE.
by apply: eq_bigr => e /eqP eu; rewrite /gates eu -mulrA.
Qed.

(** Reverse accumulation with fixed gates g: the derivative of the output k by each unit. *)
Fixpoint adjoint_in (steps : nat) (w g : 'I_E -> R) (o : 'I_U) u : R :=
  if steps is n.+1 then
    (u == o)%:R + \sum_(e | source e == u) adjoint_in n w g o (target e) * g e * w e
  else 0.
Definition adjoint w g o u : R := adjoint_in U w g o u.

Lemma adjoint_steps n m w g o u : (U - u <= n)%N -> (U - u <= m)%N -> adjoint_in n w g o u = adjoint_in m w g o u.
Proof.
have left (v : 'I_U) : (U - v <= 0)%N = false by rewrite leqNgt subn_gt0 ltn_ord.
elim: n m u => [|n IH] [|m] u un um; [by move: un; rewrite left|by move: un; rewrite left|by move: um; rewrite left|].
rewrite [LHS]/= [RHS]/=.
congr (_ + _); apply: eq_bigr => e /eqP eu; congr (_ * _ * _).
have step : (U - target e < U - u)%N.
  by rewrite ltn_sub2l // -eu; apply: edges_go_forward.
by apply: IH; rewrite -ltnS; apply: leq_trans step _.
Qed.

Lemma adjointE w g o u :
  adjoint w g o u = (u == o)%:R + \sum_(e | source e == u) adjoint w g o (target e) * g e * w e.
Proof. by rewrite {1}/adjoint (@adjoint_steps U U.+1) ?leq_subr // (leq_trans (leq_subr _ _)). Qed.

(** The derivative of the edge's value by the parameter j, and of the outputs, all gates fixed. *)
Definition edge_slope (j : 'I_N) e : R := (parameter net e == Some j)%:R * factor net e.
Definition jacobian theta x (k : 'I_K) (j : 'I_N) : R :=
  let a := adjoint (edge_value theta) (gates theta x) (outputs net k) in
  \sum_e a (target e) * gates theta x e * value theta x (source e) * edge_slope j e.

(** Forward and reverse accumulation agree. If t satisfies the equations of the tangent in direction b, then t at the
    output o is what the reverse accumulation gives. *)
Lemma reverse_is_forward (w g b : 'I_E -> R) (tu vu : 'I_U -> R) o :
  (forall u, is_source (units u) -> tu u = 0) ->
  (forall u, ~~ is_source (units u) ->
     tu u = \sum_(e | target e == u) g e * (b e * vu (source e) + w e * tu (source e))) ->
  tu o = \sum_e adjoint w g o (target e) * g e * vu (source e) * b e.
Proof.
move=> t0 t1; set a := adjoint w g o.
have total : \sum_u a u * tu u = \sum_e a (target e) * (g e * (b e * vu (source e) + w e * tu (source e))).
  rewrite [RHS](partition_big target predT) //=; apply: eq_bigr => u _.
  have [su|hu] := boolP (is_source (units u)).
    rewrite t0 // mulr0 big1 // => e /eqP eu.
    by have := none_into_sources net e; rewrite eu su.
  by rewrite t1 // mulr_sumr; apply: eq_bigr => e /eqP->.
have : \sum_u (u == o)%:R * tu u = tu o.
  by rewrite (bigD1 o) //= eqxx mul1r big1 ?addr0 // => u /negbTE->; rewrite mul0r.
move=> <-.
have -> : \sum_u (u == o)%:R * tu u
  = \sum_u (a u * tu u - \sum_(e | source e == u) a (target e) * g e * w e * tu (source e)).
  apply: eq_bigr => u _; rewrite /a [in RHS]adjointE -/a mulrDl mulr_suml.
  rewrite (eq_bigr (fun e => a (target e) * g e * w e * tu (source e))) ?addrK // => e /eqP eu.
  by rewrite eu.
rewrite sumrB total sum_by -sumrB; apply: eq_bigr => e _.
by ring.
Qed.

(** Scores of edges: the value of an edge times the derivative of the output o by it. *)
Definition edge_score theta x o e : R :=
  edge_value theta e
  * (adjoint (edge_value theta) (gates theta x) o (target e) * gates theta x e * value theta x (source e)).

Theorem neuron_conservation theta x o u : ~~ is_source (units u) -> u != o ->
  \sum_(e | target e == u) edge_score theta x o e = \sum_(e | source e == u) edge_score theta x o e.
Proof.
move=> hu uo; set a := adjoint (edge_value theta) (gates theta x) o.
transitivity (a u * value theta x u).
  rewrite value_gated // mulr_sumr; apply: eq_bigr => e /eqP eu.
  by rewrite /edge_score eu -/a; ring.
rewrite /a adjointE (negbTE uo) add0r mulr_suml; apply: eq_bigr => e /eqP eu.
by rewrite /edge_score eu -/a; ring.
Qed.

(** A cut, by the units S before it: sources, closed under predecessors, the outputs behind. *)
Definition cut_before (S : {set 'I_U}) (outs : pred 'I_U) : Prop :=
  [/\ forall u, is_source (units u) -> u \in S, forall e, target e \in S -> source e \in S
    & forall u, outs u -> u \notin S].
Definition crosses (S : {set 'I_U}) e : bool := (source e \in S) && (target e \notin S).

Theorem cut_conservation theta x o (S : {set 'I_U}) : cut_before S (pred1 o) ->
  \sum_(e | crosses S e) edge_score theta x o e = value theta x o.
Proof.
case=> sources closed out; set a := adjoint (edge_value theta) (gates theta x) o.
have oS : o \notin S by apply: out => /=.
have behind : \sum_(u | u \notin S) a u * value theta x u
  = \sum_(e | target e \notin S) edge_score theta x o e.
  rewrite [RHS](partition_big target (fun u => u \notin S)) //=; apply: eq_bigr => u uS.
  have hu : ~~ is_source (units u) by apply: contra uS; apply: sources.
  rewrite value_gated // mulr_sumr; apply: eq_big => [e|e /eqP eu].
    by case: eqP => [->|]; rewrite ?uS ?andbF.
  by rewrite /edge_score eu -/a; ring.
have after : \sum_(u | u \notin S) a u * value theta x u
  = value theta x o + \sum_(e | source e \notin S) edge_score theta x o e.
  rewrite [X in _ + X](partition_big source (fun u => u \notin S)) //=.
  have -> : value theta x o = \sum_(u | u \notin S) (u == o)%:R * value theta x u.
    by rewrite (bigD1 o) //= eqxx mul1r big1 ?addr0 // => u /andP[_ /negbTE->]; rewrite mul0r.
  rewrite -big_split /=; apply: eq_bigr => u uS.
  rewrite {1}/a adjointE mulrDl mulr_suml; congr (_ + _); apply: eq_big => [e|e /eqP eu].
    by case: eqP => [->|]; rewrite ?uS ?andbF.
  by rewrite /edge_score eu -/a; ring.
apply: (addIr (\sum_(e | source e \notin S) edge_score theta x o e)); rewrite -after behind.
rewrite [RHS](bigID (fun e => source e \in S)) /=; congr (_ + _).
  by apply: eq_bigl => e; rewrite /crosses andbC.
apply: eq_bigl => e; case: (boolP (source e \in S)) => [|eS]; rewrite ?andbF //= andbT.
by apply/esym; apply: contra eS; apply: closed.
Qed.

End Network.
