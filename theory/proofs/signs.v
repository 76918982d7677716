(** Averages over independent uniform signs of the weights, for every number of features and samples, over any real
    closed field.

    - top_is_best_on_sign_average [sketching/top-is-best-on-sign-average] for every mask of s features none of which is
      smaller than one that it drops, however ties are broken *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws sketches masks.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Signs.

Variables (R : rcfType) (d n : nat) (x : 'I_d -> 'I_n -> R).

Definition signs := {ffun 'I_d -> bool}.
Definition sign (t : signs) i : R := (-1) ^+ t i.
Definition sign_average (f : signs -> R) : R := (\sum_t f t) / #|{: signs}|%:R.

Lemma average_two i j : sign_average (fun t => sign t i * sign t j) = (i == j)%:R.
Proof.
have count0 : #|{: signs}|%:R != 0 :> R by rewrite pnatr_eq0 card_ffun card_bool -lt0n expn_gt0.
rewrite /sign_average; have [<-|ij] := eqVneq i j.
  rewrite (eq_bigr (fun=> 1)) => [|t _]; last by rewrite /sign -expr2 sqrr_sign.
  by rewrite sumr_const divff.
pose G l (b : bool) : R := (if l == i then (-1) ^+ b else 1) * (if l == j then (-1) ^+ b else 1).
have -> : \sum_t sign t i * sign t j = \sum_(t : signs) \prod_l G l (t l).
  by apply: eq_bigr => t _; rewrite big_split /= -!big_mkcond !big_pred1_eq.
rewrite -bigA_distr_bigA (bigD1 i) //= big_bool /G eqxx (negbTE ij) /=.
by rewrite expr1 expr0 !mulr1 addNr !mul0r.
Qed.

(** The error of a mask for the weights t w, t the signs, on average. *)
Lemma average_error w (kept : {set 'I_d}) :
  sign_average (fun t => mask_error x (fun i => sign t i * w i) kept)
  = \sum_(i | i \notin kept) amplitudes x w i ^+ 2.
Proof.
pose y i k : R := x i k * w i * (i \notin kept)%:R.
have expand t : mask_error x (fun i => sign t i * w i) kept
  = \sum_i \sum_j (\sum_k y i k * y j k) * (sign t i * sign t j).
  have -> : mask_error x (fun i => sign t i * w i) kept = \sum_k \sum_i \sum_j (sign t i * y i k) * (sign t j * y j k).
    apply: eq_bigr => k _; rewrite -sumrM -expr2; congr (_ ^+ 2).
    rewrite /prediction -sumrB; apply: eq_bigr => i _; rewrite /y.
    by case: (i \in kept); rewrite /= ?mulr1 ?mulr0 ?subrr ?subr0 // mulrCA.
  rewrite exchange_big /=; apply: eq_bigr => i _; rewrite exchange_big /=; apply: eq_bigr => j _.
  by rewrite mulr_suml; apply: eq_bigr => k _; rewrite mulrACA mulrC.
rewrite /sign_average (eq_bigr _ (fun t _ => expand t)) exchange_big /= mulr_suml [RHS]big_mkcond.
apply: eq_bigr => i _; rewrite exchange_big /= mulr_suml.
have term j : (\sum_t (\sum_k y i k * y j k) * (sign t i * sign t j)) / #|{: signs}|%:R
  = (\sum_k y i k * y j k) * (i == j)%:R by rewrite -average_two /sign_average -mulr_sumr mulrA.
rewrite (eq_bigr _ (fun j _ => term j)) (bigD1 i) //= eqxx mulr1 [X in _ + X]big1 ?addr0 => [|j /negbTE ji]; last first.
  by rewrite eq_sym ji mulr0.
rewrite sqr_amplitudes /rows_squared; case: (boolP (i \in kept)) => ik /=.
  by rewrite big1 // => k _; rewrite /y ik mulr0 mul0r.
by rewrite mulr_suml; apply: eq_bigr => k _; rewrite /y ik mulr1 -expr2 exprMn.
Qed.

Theorem top_is_best_on_sign_average w (top other : {set 'I_d}) :
  (forall i j, i \in top -> j \notin top -> amplitudes x w j <= amplitudes x w i) -> (#|other| <= #|top|)%N ->
  sign_average (fun t => mask_error x (fun i => sign t i * w i) top)
  <= sign_average (fun t => mask_error x (fun i => sign t i * w i) other).
Proof.
move=> high few; rewrite !average_error.
have whole (S : {set 'I_d}) : \sum_(i | i \notin S) amplitudes x w i ^+ 2
  = \sum_i amplitudes x w i ^+ 2 - \sum_(i in S) amplitudes x w i ^+ 2.
  by rewrite [in RHS](bigID (mem S)) /= addrAC subrr add0r.
rewrite !whole ler_add2l ler_opp2; apply: top_sum => // [i|i j it jt]; first exact: sqr_ge0.
by rewrite ler_expn2r ?nnegrE ?amplitudes_ge0 // high.
Qed.

End Signs.
