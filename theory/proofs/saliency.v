(** Scores of parameters: what [theory.saliency] defines, for every network of any size, over any ordered field.

    Names as in [theory.saliency] and [theory.auxiliary]: through, px (Path eXclusion with activations D_k held fixed),
    synflow_l2, path_energy, squared (the auxiliary network whose weights are squared), saliency_by_gradient,
    kernel_by_gradient. A path that uses a parameter m times counts m times.

    - saliency [path-exclusion/saliency]
    - saliency_with_multiplicity [path-exclusion/saliency] without the hypothesis that no weight stands twice on a
      path, for scores that count it as often as it stands there
    - kernel_is_gradient [path-exclusion/kernel-by-gradient]
    - reduces_to_synflow_l2 [path-exclusion/reduces-to-synflow-l2]
    - data_enters_through_outputs [path-exclusion/data-enters-through-outputs]
    - saliency_nonnegative [path-exclusion/saliency-nonnegative]
    - saliency_conservation [path-exclusion/saliency-conservation] a cut is any set of parameters that every path
      meets once
    - energy_positive_on_live_paths [path-exclusion/energy-saliency-is-positive-on-live-paths] *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums networks paths.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Saliency.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Implicit Types (theta : 'I_N -> R) (p : seq 'I_E) (j : 'I_N) (D : 'I_K -> R).

Local Notation outputs := (outputs net).
Local Notation paths_to k := (paths_to net (outputs k)).
Local Notation on_path := (on_path net).

(** S_j = sum of c_p over the paths p through j, each counted as often as j stands on it. *)
Definition through (c : 'I_K -> seq 'I_E -> R) j : R := \sum_k \sum_(p <- paths_to k) (on_path p j)%:R * c k p.
Definition synflow_l2 theta : 'I_N -> R := through (fun k p => path_value net theta p ^+ 2).
Definition px D theta : 'I_N -> R := through (fun k p => D k * path_value net theta p ^+ 2).

(** The auxiliary network: factors squared; it is given the squares of the parameters. *)
Definition squared : network R U E N K :=
  @Network _ _ _ _ _ (units net) (source net) (target net) (parameter net) (fun e => factor net e ^+ 2) outputs
    (slope net) (edges_go_forward net) (none_into_sources net).
Definition squares theta j : R := theta j ^+ 2.

(** theta_j^2 times the derivative of sum_k D_k R_k by theta_j^2. *)
Definition saliency_by_gradient D theta j : R :=
  squares theta j * \sum_k D k * \sum_(p <- paths_to k) path_jacobian squared (squares theta) p j.
Definition kernel_by_gradient theta k : R :=
  \sum_j `| \sum_(p <- paths_to k) path_jacobian squared (squares theta) p j |.

Definition no_weight_twice : Prop := forall k p j, p \in paths_to k -> (on_path p j <= 1)%N.

Lemma squared_edge theta e : edge_value squared (squares theta) e = edge_value net theta e ^+ 2.
Proof. by rewrite /edge_value /squares exprMn /=; case: (parameter net e) => //=; rewrite expr1n. Qed.

Lemma squared_path theta p : path_value squared (squares theta) p = path_value net theta p ^+ 2.
Proof. by rewrite /path_value -prodrXl; apply: eq_bigr => e _; rewrite squared_edge. Qed.

Lemma squared_slope j e : edge_slope squared j e = edge_slope net j e ^+ 2.
Proof. by rewrite /edge_slope exprMn /=; case: (_ == _); rewrite ?expr1n ?expr0n. Qed.


(** Euler's identity: theta_j times the derivative counts the path as often as j stands on it. *)
Lemma euler theta j p : theta j * path_jacobian net theta p j = (on_path p j)%:R * path_value net theta p.
Proof.
rewrite /path_jacobian /path_value -/(path_product (edge_value net theta) p).
elim: p => [|e p IH] /=; first by rewrite mulr0 mul0r.
rewrite mulrDr [in X in _ + X]mulrCA IH path_product_cons natrD mulrDl; congr (_ + _); last by rewrite mulrCA.
rewrite /edge_slope /edge_value /=; case: eqP => [->|_] /=; last by rewrite !mul0r mulr0.
by rewrite !mul1r mulrA [theta j * _]mulrC.
Qed.

End Saliency.

Section Scores.

Variables (R : realFieldType) (U E N K : nat) (net : network R U E N K).
Implicit Types (theta : 'I_N -> R) (p : seq 'I_E) (j : 'I_N) (D : 'I_K -> R).

Local Notation outputs := (outputs net).
Local Notation paths_to k := (paths_to net (outputs k)).
Local Notation on_path := (on_path net).

Theorem saliency_with_multiplicity D theta j : saliency_by_gradient net D theta j = px net D theta j.
Proof.
rewrite /saliency_by_gradient mulr_sumr; apply: eq_bigr => k _; rewrite mulrCA !mulr_sumr; apply: eq_bigr => p _.
by rewrite (euler (squared net)) squared_path mulrCA.
Qed.

Theorem saliency D theta j : no_weight_twice net ->
  saliency_by_gradient net D theta j
  = \sum_k D k * \sum_(p <- paths_to k | (0 < on_path p j)%N) path_value net theta p ^+ 2.
Proof.
move=> once; rewrite saliency_with_multiplicity; apply: eq_bigr => k _; rewrite mulr_sumr [RHS]big_mkcond.
apply: eq_big_seq => p pk; have := once k p j pk.
by case: (on_path p j) => [|[|//]] _; rewrite ?mul0r ?mul1r.
Qed.

(** The derivative of the square is the square of the derivative, if no weight stands twice on the path. *)
Lemma squared_jacobian theta p j : (on_path p j <= 1)%N ->
  path_jacobian (squared net) (squares theta) p j = path_jacobian net theta p j ^+ 2.
Proof.
elim: p => [|e p IH] /=; first by rewrite expr0n.
rewrite /path_jacobian /= -!/(path_jacobian _ _ _ _) squared_edge squared_slope => once.
have [ej|ej] := eqVneq (parameter net e) (Some j).
  have none : on_path p j = 0%N by apply/eqP; rewrite -leqn0 -ltnS; move: once; rewrite ej eqxx add1n.
  have -> := off_path theta none; have -> : path_jacobian (squared net) (squares theta) p j = 0.
    exact: (@off_path _ _ _ _ _ (squared net)).
  rewrite !mulr0 !addr0 [RHS]exprMn; congr (_ * _).
  exact: (squared_path net theta p).
have small : (on_path p j <= 1)%N := leq_trans (leq_addl _ _) once.
by rewrite /edge_slope (negbTE ej) !mul0r expr0n !mul0r !add0r -[X in _ * X]/(path_jacobian _ _ p j) IH // [RHS]exprMn.
Qed.

Theorem kernel_is_gradient theta k : no_weight_twice net ->
  kernel_per_output net theta k = kernel_by_gradient net theta k.
Proof.
move=> once; rewrite /kernel_per_output exchange_big; apply: eq_bigr => j _.
have -> : \sum_(p <- paths_to k) path_jacobian (squared net) (squares theta) p j
  = \sum_(p <- paths_to k) path_jacobian net theta p j ^+ 2.
  by apply: eq_big_seq => p pk; apply: squared_jacobian; apply: once pk.
by rewrite ger0_norm ?sumr_sqr_ge0.
Qed.

Theorem data_enters_through_outputs D theta j :
  px net D theta j = \sum_k D k * px net (fun l => (l == k)%:R) theta j.
Proof.
apply: eq_bigr => k _; rewrite /px /through (bigD1 k) //= eqxx [X in _ + X]big1 ?addr0 => [|l /negbTE lk].
  by rewrite mulr_sumr; apply: eq_bigr => p _; rewrite mul1r mulrCA.
by rewrite big1 // => p _; rewrite lk mul0r mulr0.
Qed.

Theorem reduces_to_synflow_l2 D theta d j : (forall k, D k = d) -> px net D theta j = d * synflow_l2 net theta j.
Proof.
move=> same; rewrite mulr_sumr; apply: eq_bigr => k _; rewrite mulr_sumr; apply: eq_bigr => p _.
by rewrite same mulrCA.
Qed.

(** A sum over paths of nonnegative numbers is positive exactly where one on a path through j is. *)
Lemma through_positive (c : 'I_K -> seq 'I_E -> R) j : (forall k p, 0 <= c k p) ->
  0 <= through net c j
  /\ (0 < through net c j <-> exists k p, [/\ p \in paths_to k, (0 < on_path p j)%N & 0 < c k p]).
Proof.
move=> c0; have term k p : 0 <= (on_path p j)%:R * c k p by rewrite mulr_ge0 ?ler0n.
have inner k : 0 <= \sum_(p <- paths_to k) (on_path p j)%:R * c k p by apply: sumr_ge0.
have total : 0 <= through net c j by apply: sumr_ge0.
split=> //; split=> [pos|[k [p [pk pj cp]]]].
  have [k kpos] : exists k, \sum_(p <- paths_to k) (on_path p j)%:R * c k p != 0.
    apply/existsP; apply: contraTT pos; rewrite negb_exists => /forallP none.
    by rewrite -leNgt /through big1 // => k _; apply/eqP; move: (none k); rewrite negbK.
  have /hasP[p pk] : has (fun p => (on_path p j)%:R * c k p != 0) (paths_to k).
    apply: contraNT kpos; rewrite -all_predC => /allP none; rewrite big_seq big1 // => p /none /=.
    by rewrite negbK => /eqP.
  rewrite mulf_eq0 negb_or pnatr_eq0 -lt0n => /andP[pj cp].
  by exists k, p; split=> //; rewrite lt_def cp c0.
rewrite lt_def total andbT psumr_eq0 //; apply/allPn; exists k; rewrite ?mem_index_enum //=.
rewrite psumr_eq0 //; apply/allPn; exists p => //=.
by rewrite mulf_eq0 negb_or pnatr_eq0 -lt0n pj gt_eqF.
Qed.

Theorem saliency_nonnegative D theta j : (forall k, 0 <= D k) ->
  0 <= px net D theta j
  /\ (0 < px net D theta j <->
      exists k p, [/\ p \in paths_to k, (0 < on_path p j)%N & path_value net theta p != 0 /\ 0 < D k]).
Proof.
move=> D0; have [|ge0 iff] := @through_positive (fun k p => D k * path_value net theta p ^+ 2) j.
  by move=> k p; rewrite mulr_ge0 ?sqr_ge0.
split=> //; apply: (iff_trans iff); split=> [[k [p [pk pj pos]]]|[k [p [pk pj [vp dk]]]]]; exists k, p; split=> //.
  move: pos; rewrite lt_def mulf_eq0 negb_or sqrf_eq0 => /andP[/andP[dk vp] _]; split=> //.
  by rewrite lt_def dk D0.
by rewrite mulr_gt0 // lt_def sqrf_eq0 vp sqr_ge0.
Qed.

(** S_j = sum_n sum of (a_p(x_n) x_n v_p)^2 over the paths through j. *)
Definition path_energy n theta (x : 'I_n -> 'I_U -> R) : 'I_N -> R :=
  through net (fun k p => \sum_s (path_input net theta (x s) (outputs k) p * path_value net theta p) ^+ 2).

Theorem energy_positive_on_live_paths n theta (x : 'I_n -> 'I_U -> R) j :
  0 <= path_energy theta x j
  /\ (0 < path_energy theta x j <->
      exists k p, [/\ p \in paths_to k, (0 < on_path p j)%N
        & exists s, path_input net theta (x s) (outputs k) p * path_value net theta p != 0]).
Proof.
set c := fun k p => \sum_s (path_input net theta (x s) (outputs k) p * path_value net theta p) ^+ 2.
have [|ge0 iff] := @through_positive c j; first by move=> k p; apply: sumr_sqr_ge0.
split=> //; apply: (iff_trans iff); split=> [[k [p [pk pj pos]]]|[k [p [pk pj [s live]]]]]; exists k, p; split=> //.
  apply/existsP; apply: contraTT pos; rewrite negb_exists => /forallP none.
  by rewrite -leNgt /c big1 // => s _; apply/eqP; rewrite sqrf_eq0; move: (none s); rewrite negbK.
rewrite lt_def /c sumr_sqr_ge0 andbT psumr_eq0 => [|s' _]; last exact: sqr_ge0.
by apply/allPn; exists s; rewrite ?mem_index_enum //= sqrf_eq0.
Qed.

Theorem saliency_conservation D theta (C : {set 'I_N}) :
  (forall k p, p \in paths_to k -> (\sum_(j in C) on_path p j = 1)%N) ->
  \sum_(j in C) px net D theta j = \sum_k D k * objective_per_output net theta k.
Proof.
move=> once; rewrite /px /through exchange_big /=; apply: eq_bigr => k _.
rewrite exchange_big /= mulr_sumr; apply: eq_big_seq => p pk.
by rewrite -mulr_suml -natr_sum (once k p pk) mul1r.
Qed.

End Scores.
