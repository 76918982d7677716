(** Paths of a network, path values, path kernel, path activation and the neural tangent kernel: what [theory.paths]
    defines, for every network of any size, over any ordered field.

    Names as in [theory.paths]: paths_to (the paths of [paths_of] that end in a unit), path_value, path_jacobian,
    path_gate, on_path, path_input, ntk, ntk_trace, activation_per_output (D_k), kernel_per_output (T_k),
    objective_per_output (R_k), bound_per_sample, bound_per_parameter. A path is the sequence of its edges.

    - path_decomposition [path-exclusion/path-decomposition]
    - path_jacobian_is_derivative [path-exclusion/chain-rule] the rows of J_theta^v are the derivatives of the
      polynomials t -> v_p(theta + t e_j), where a weight is used on several edges, too
    - jacobian_by_paths [path-exclusion/chain-rule] J = J_v^f J_theta^v
    - chain_rule [path-exclusion/chain-rule] Theta = J_v^f Pi (J_v^f)'
    - trace_bound_per_output [path-exclusion/trace-bound-per-output]
    - trace_bound [path-exclusion/trace-bound]
    - trace_bound_divided [path-exclusion/trace-bound-divided-by-outputs]
    - trace_bound_per_sample [path-exclusion/trace-bound-per-sample]
    - kernel_sum_is_over_the_path [path-exclusion/kernel-sum-is-over-the-path]
    - path_sums_conserved [synaptic-flow/cut-conservation] for scores that are sums over paths *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums networks.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Paths.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Implicit Types (theta : 'I_N -> R) (u : 'I_U) (e : 'I_E) (p : seq 'I_E) (j : 'I_N).

Local Notation source := (source net).
Local Notation target := (target net).
Local Notation units := (units net).
Local Notation outputs := (outputs net).

(** All paths from a source to the unit u. *)
Fixpoint paths_in (steps : nat) u : seq (seq 'I_E) :=
  if steps is n.+1 then
    if is_source (units u) then [:: [::]]
    else flatten [seq [seq rcons p e | p <- paths_in n (source e)] | e <- incoming net u]
  else [::].
Definition paths_to u : seq (seq 'I_E) := paths_in U u.
Definition path_source u p : 'I_U := if p is e :: _ then source e else u.

Lemma paths_steps n m u : (u < n)%N -> (u < m)%N -> paths_in n u = paths_in m u.
Proof.
elim: n m u => [|n IH] [|m] u //= un um; case: ifP => // _; congr flatten.
apply/eq_in_map => e; rewrite mem_incoming => /eqP eu; congr (map _ _).
by apply: IH; apply: (leq_trans (edges_go_forward net e)); rewrite eu.
Qed.

Lemma paths_to_source u : is_source (units u) -> paths_to u = [:: [::]].
Proof.
move=> su; rewrite /paths_to (@paths_steps U U.+1) ?ltnS ?ltn_ord //; last by rewrite ltnW.
by rewrite /= su.
Qed.

Lemma paths_to_hidden u : ~~ is_source (units u) ->
  paths_to u = flatten [seq [seq rcons p e | p <- paths_to (source e)] | e <- incoming net u].
Proof.
move=> hu; rewrite {1}/paths_to (@paths_steps U U.+1) ?ltnS ?ltn_ord //; last by rewrite ltnW.
by rewrite /= (negbTE hu).
Qed.

(** A sum over the paths to a unit, by their last edges. *)
Lemma sum_paths (F : seq 'I_E -> R) u : ~~ is_source (units u) ->
  \sum_(p <- paths_to u) F p = \sum_(e | target e == u) \sum_(p <- paths_to (source e)) F (rcons p e).
Proof.
move=> hu; rewrite paths_to_hidden // big_flatten big_map -incomingE.
by apply: eq_bigr => e _; rewrite big_map.
Qed.

Lemma path_source_rcons u p e : path_source u (rcons p e) = path_source (source e) p.
Proof. by case: p. Qed.

(** Induction over the units in their order. *)
Lemma unit_ind (P : 'I_U -> Prop) :
  (forall u, is_source (units u) -> P u) ->
  (forall u, ~~ is_source (units u) -> (forall e, target e = u -> P (source e)) -> P u) ->
  forall u, P u.
Proof.
move=> P0 P1 u; have [n] := ubnP (u : nat); elim: n u => // n IH u un.
have [su|hu] := boolP (is_source (units u)); first exact: P0.
apply: P1 => // e eu; apply: IH; rewrite -ltnS in un.
by apply: leq_trans (edges_go_forward net e) _; rewrite eu.
Qed.

Definition path_value theta p : R := \prod_(e <- p) edge_value net theta e.
Definition path_gate (g : 'I_E -> R) p : R := \prod_(e <- p) g e.
Definition path_product (w : 'I_E -> R) p : R := \prod_(e <- p) w e.

(** The derivative of a product over a path of edges with values w and derivatives b, by the product rule. *)
Fixpoint product_rule (w b : 'I_E -> R) p : R :=
  if p is e :: q then b e * path_product w q + w e * product_rule w b q else 0.
Definition path_jacobian theta p j : R := product_rule (edge_value net theta) (edge_slope net j) p.

(** How often a parameter stands on a path. *)
Definition on_path p j : nat := count (fun e => parameter net e == Some j) p.

Lemma path_product_cons w p e : path_product w (e :: p) = w e * path_product w p.
Proof. exact: big_cons. Qed.

Lemma path_product_rcons w p e : path_product w (rcons p e) = path_product w p * w e.
Proof. by rewrite /path_product -cats1 big_cat big_seq1. Qed.

Lemma product_rule_rcons w b p e :
  product_rule w b (rcons p e) = product_rule w b p * w e + path_product w p * b e.
Proof.
elim: p => [|e' p IH] /=; first by rewrite /path_product !big_nil; ring.
by rewrite IH path_product_rcons path_product_cons; ring.
Qed.

(** A path value as a polynomial in t, at theta + t e_j. *)
Definition path_polynomial theta j p : {poly R} :=
  \prod_(e <- p) ((edge_value net theta e)%:P + edge_slope net j e *: 'X).

Lemma edge_value_moved theta j t e :
  edge_value net (fun i => theta i + t * (i == j)%:R) e = edge_value net theta e + edge_slope net j e * t.
Proof.
rewrite /edge_value /edge_slope; case: (parameter net e) => [i|] /=; last by rewrite !mul0r addr0.
rewrite (inj_eq (@Some_inj _)); case: (i == j); rewrite ?mul1r ?mul0r ?mulr1 ?mulr0 ?addr0 //.
by rewrite mulrDr.
Qed.

Lemma path_polynomialE theta j p t :
  (path_polynomial theta j p).[t] = path_value (fun i => theta i + t * (i == j)%:R) p.
Proof.
rewrite /path_polynomial horner_prod; apply: eq_bigr => e _.
by rewrite hornerD hornerC hornerZ hornerX edge_value_moved.
Qed.

Theorem path_jacobian_is_derivative theta j p :
  ((path_polynomial theta j p)^`()).[0] = path_jacobian theta p j.
Proof.
have at0 q : (path_polynomial theta j q).[0] = path_value theta q.
  rewrite /path_polynomial horner_prod; apply: eq_bigr => e _.
  by rewrite hornerD hornerC hornerZ hornerX mulr0 addr0.
elim: p => [|e p IH] /=; first by rewrite /path_polynomial big_nil derivC horner0.
rewrite /path_polynomial big_cons derivM -/(path_polynomial theta j p) hornerD !hornerM IH at0.
rewrite derivD derivC add0r derivZ derivX hornerZ hornerC mulr1.
by rewrite hornerD hornerC hornerZ hornerX mulr0 addr0.
Qed.

Lemma off_path theta p j : on_path p j = 0%N -> path_jacobian theta p j = 0.
Proof.
elim: p => //= e p IH /eqP; rewrite addn_eq0 => /andP[ej /eqP/IH].
rewrite /path_jacobian /= => ->; rewrite mulr0 addr0 /edge_slope.
by move: ej; rewrite eqb0 => /negbTE->; rewrite !mul0r.
Qed.

Theorem kernel_sum_is_over_the_path theta p :
  \sum_j path_jacobian theta p j ^+ 2 = \sum_(j | (0 < on_path p j)%N) path_jacobian theta p j ^+ 2.
Proof.
rewrite [LHS](bigID (fun j => (0 < on_path p j)%N)) /= [X in _ + X]big1 ?addr0 // => j.
by rewrite -eqn0Ngt => /eqP/(off_path theta)->; rewrite expr0n.
Qed.

Section OnInput.

Variables (theta : 'I_N -> R) (x : 'I_U -> R).
Local Notation g := (gates net theta x).
Local Notation w := (edge_value net theta).

(** a_p(x) x_s(p), where the constant unit counts as the input 1. *)
Definition path_input u p : R := path_gate g p * source_value net x (path_source u p).

(** Any quantity of units that goes through the network as values do is a sum over paths. *)
Theorem path_decomposition u : value net theta x u = \sum_(p <- paths_to u) path_value theta p * path_input u p.
Proof.
elim/unit_ind: u => [u su|u hu IH].
  by rewrite value_source // paths_to_source // big_seq1 /path_value /path_input /path_gate !big_nil !mul1r.
rewrite value_gated // sum_paths //; apply: eq_bigr => e /eqP eu.
rewrite (IH e eu) mulr_sumr; apply: eq_bigr => p _.
rewrite /path_value /path_input path_source_rcons -/(path_product w (rcons p e)) path_product_rcons.
by rewrite /path_gate -/(path_product g (rcons p e)) path_product_rcons /path_product; ring.
Qed.

Theorem jacobian_by_paths k j :
  jacobian net theta x k j = \sum_(p <- paths_to (outputs k)) path_input (outputs k) p * path_jacobian theta p j.
Proof.
pose t u := \sum_(p <- paths_to u) path_input u p * path_jacobian theta p j.
rewrite -[RHS]/(t (outputs k)) (@reverse_is_forward _ _ _ _ _ net w g (edge_slope net j) t (value net theta x)) //.
  by move=> u su; rewrite /t paths_to_source // big_seq1 mulr0.
move=> u hu; rewrite /t sum_paths //; apply: eq_bigr => e /eqP eu.
rewrite path_decomposition mulrDr !mulr_sumr -big_split /=; apply: eq_bigr => p _.
rewrite /path_jacobian product_rule_rcons /path_input path_source_rcons.
rewrite /path_gate -/(path_product g (rcons p e)) path_product_rcons /path_value -/(path_product w p) /path_product;
  ring.
Qed.

End OnInput.

Section OnData.

Variables (n : nat) (theta : 'I_N -> R) (x : 'I_n -> 'I_U -> R).
Local Notation J s k j := (jacobian net theta (x s) k j).
Local Notation A s k p := (path_input theta (x s) (outputs k) p).

Definition ntk (s : 'I_n) (k : 'I_K) (s' : 'I_n) (k' : 'I_K) : R := \sum_j J s k j * J s' k' j.
Definition path_kernel p q : R := \sum_j path_jacobian theta p j * path_jacobian theta q j.
Definition ntk_trace : R := \sum_s \sum_k ntk s k s k.
Definition activation_per_output k : R := \sum_s \sum_(p <- paths_to (outputs k)) A s k p ^+ 2.
Definition kernel_per_output k : R := \sum_(p <- paths_to (outputs k)) \sum_j path_jacobian theta p j ^+ 2.
Definition objective_per_output k : R := \sum_(p <- paths_to (outputs k)) path_value theta p ^+ 2.
Definition bound_per_sample : R := \sum_s \sum_k
  (\sum_(p <- paths_to (outputs k)) A s k p ^+ 2)
  * \sum_(p <- paths_to (outputs k) | path_gate (gates net theta (x s)) p != 0) \sum_j path_jacobian theta p j ^+ 2.
Definition bound_per_parameter : R := \sum_s \sum_k \sum_j
  (\sum_(p <- paths_to (outputs k) | (0 < on_path p j)%N) A s k p ^+ 2)
  * \sum_(p <- paths_to (outputs k) | (0 < on_path p j)%N && (path_gate (gates net theta (x s)) p != 0))
      path_jacobian theta p j ^+ 2.

Theorem chain_rule s k s' k' :
  ntk s k s' k'
  = \sum_(p <- paths_to (outputs k)) \sum_(q <- paths_to (outputs k')) A s k p * path_kernel p q * A s' k' q.
Proof.
rewrite /ntk; under eq_bigr do rewrite !jacobian_by_paths sumrM.
rewrite exchange_big /=; apply: eq_bigr => p _; rewrite exchange_big /=; apply: eq_bigr => q _.
rewrite /path_kernel mulr_sumr mulr_suml; apply: eq_bigr => j _; ring.
Qed.

Lemma activation_ge0 k : 0 <= activation_per_output k.
Proof. by apply: sumr_ge0 => s _; apply: sumr_sqr_ge0. Qed.

Lemma kernel_ge0 k : 0 <= kernel_per_output k.
Proof. by apply: sumr_ge0 => p _; apply: sumr_sqr_ge0. Qed.

Theorem trace_bound_per_sample :
  [/\ ntk_trace <= bound_per_parameter, bound_per_parameter <= bound_per_sample
    & bound_per_sample <= \sum_k activation_per_output k * kernel_per_output k].
Proof.
split.
- apply: ler_sum => s _; apply: ler_sum => k _; apply: ler_sum => j _; rewrite -expr2 jacobian_by_paths.
  set active := fun p => path_gate (gates net theta (x s)) p != 0.
  have -> : \sum_(p <- paths_to (outputs k)) A s k p * path_jacobian theta p j
    = \sum_(p <- paths_to (outputs k) | (0 < on_path p j)%N && active p) A s k p * path_jacobian theta p j.
    rewrite [RHS]big_mkcond; apply: eq_bigr => p _; case: posnP => [/(off_path theta)->|_] /=; first by rewrite mulr0.
    by rewrite /active; case: eqP => //= off; rewrite /path_input off !mul0r.
  apply: le_trans (cauchy_schwarz _ _ _ _) _; rewrite ler_wpmul2r ?sumr_sqr_ge0 //.
  by apply: ler_sum_part => p; apply: sqr_ge0.
- apply: ler_sum => s _; apply: ler_sum => k _.
  rewrite exchange_big /= mulr_sumr; apply: ler_sum => j _; apply: ler_pmul; rewrite ?sumr_sqr_ge0 //.
    by apply: (ler_sum_part _ predT) => p; apply: sqr_ge0.
  under eq_bigl do rewrite andbC.
  by apply: ler_sum_part => p; apply: sqr_ge0.
rewrite /bound_per_sample exchange_big /=; apply: ler_sum => k _.
rewrite /activation_per_output mulr_suml; apply: ler_sum => s _; rewrite ler_wpmul2l ?sumr_sqr_ge0 //.
by apply: (ler_sum_part _ predT) => p; apply: sumr_sqr_ge0.
Qed.

Theorem trace_bound_per_output :
  ntk_trace <= \sum_k activation_per_output k * kernel_per_output k
  /\ \sum_k activation_per_output k * kernel_per_output k
     <= (\sum_k activation_per_output k) * (\sum_k kernel_per_output k).
Proof.
split; first by case: trace_bound_per_sample => a b c; apply: le_trans a (le_trans b c).
rewrite mulr_suml; apply: ler_sum => k _; rewrite ler_wpmul2l ?activation_ge0 //.
by rewrite [leRHS](bigD1 k) //= ler_addl; apply: sumr_ge0 => l _; apply: kernel_ge0.
Qed.

(** |J_v^f(X)|_F^2 |J_theta^v|_F^2. *)
Theorem trace_bound : ntk_trace <= (\sum_k activation_per_output k) * (\sum_k kernel_per_output k).
Proof. by case: trace_bound_per_output => a b; apply: le_trans a b. Qed.

Theorem trace_bound_divided : (forall k l, activation_per_output k = activation_per_output l) ->
  ntk_trace <= (\sum_k activation_per_output k) * (\sum_k kernel_per_output k) / K%:R.
Proof.
move=> same; apply: le_trans trace_bound_per_output.1 _.
case: (posnP K) => [K0|K0].
  have none (k : 'I_K) : False by move: (ltn_ord k); rewrite [X in (_ < X)%N]K0.
  rewrite big1 ?divr_ge0 ?ler0n ?mulr_ge0 ?sumr_ge0 // => k; first [by case: (none k)|move=> _].
pose k0 := Ordinal K0; rewrite mulrAC [X in X / _](eq_bigr (fun=> activation_per_output k0)) // sumr_const card_ord.
rewrite -[X in X / _]mulr_natr mulfK ?pnatr_eq0 -?lt0n // mulr_sumr.
by apply: ler_sum => k _; rewrite (same k k0).
Qed.

End OnData.

(** Scores that are sums over paths, S_e = sum of c_p over the paths through e, sum to R on every cut. *)
Theorem path_sums_conserved (c : seq 'I_E -> R) (o : 'I_U) (S : {set 'I_U}) : cut_before net S (pred1 o) ->
  \sum_(e | crosses net S e) \sum_(p <- paths_to o) (count_mem e p)%:R * c p = \sum_(p <- paths_to o) c p.
Proof.
case=> sources closed out; rewrite exchange_big /=.
have once u p : p \in paths_to u -> \sum_(e | crosses net S e) (count_mem e p)%:R = (u \notin S)%:R :> R.
  elim/unit_ind: u p => [u su|u hu IH] p.
    by rewrite paths_to_source // inE => /eqP->; rewrite sources // big1.
  rewrite paths_to_hidden // => /flattenP[l /mapP[e]]; rewrite mem_incoming => /eqP eu -> /mapP[q qs ->].
  rewrite (eq_bigr (fun e' => (count_mem e' q)%:R + (e == e')%:R)) => [|e' _]; last first.
    by rewrite -cats1 count_cat natrD /= addn0.
  rewrite big_split /= (IH e eu q qs) -eu.
  have -> : \sum_(e' | crosses net S e') (e == e')%:R = (crosses net S e)%:R :> R.
    case: (boolP (crosses net S e)) => [ce|ce].
      by rewrite (bigD1 e) //= eqxx big1 ?addr0 // => e' /andP[_ /negbTE]; rewrite eq_sym => ->.
    by rewrite big1 // => e' ce'; case: eqP => // ee; rewrite ee ce' in ce.
  rewrite /crosses; case: (boolP (source e \in S)) => [sS|sS] /=; first by rewrite add0r.
  by rewrite addr0; case: (boolP (target e \in S)) => // /closed; rewrite (negbTE sS).
apply: eq_big_seq => p po; rewrite -mulr_suml (once o p po).
by rewrite (out o) ?mul1r //= eqxx.
Qed.

End Paths.
