(** Sampling against the top for three features and two draws, over any real closed field.

    - sampling_never_beats_top_two [sketching/sampling-never-beats-top-of-few] in part: two draws from three features,
      where the unscaled mask drawn from the optimal probabilities has at least the error of the mask that drops the
      smallest amplitude; one or two features and other numbers of draws are not stated *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From Pruning Require Import sums draws sketches masks.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Three.

Variable R : rcfType.

(** The three vectors z_i = X_i w_i by their inner products; a_i their norms. *)
Lemma sum_of_three (n : nat) (u v z : 'I_n -> R) (a b c : R) : 0 <= a -> 0 <= b -> 0 <= c ->
  \sum_k u k ^+ 2 = a ^+ 2 -> \sum_k v k ^+ 2 = b ^+ 2 -> \sum_k z k ^+ 2 = c ^+ 2 ->
  0 <= b ^+ 2 * c ^+ 2 + a ^+ 2 * c ^+ 2 + a ^+ 2 * b ^+ 2
       + 2%:R * (c ^+ 2 * (\sum_k u k * v k) + b ^+ 2 * (\sum_k u k * z k) + a ^+ 2 * (\sum_k v k * z k)).
Proof.
move=> a0 b0 c0 ua vb zc.
have vanish (f : 'I_n -> R) (e : R) : \sum_k f k ^+ 2 = e ^+ 2 -> e = 0 -> forall k, f k = 0.
  move=> fe e0 k; move: fe; rewrite e0 expr0n /= => /eqP; rewrite psumr_eq0 => [/allP/(_ k)|i _]; last exact: sqr_ge0.
  by rewrite mem_index_enum sqrf_eq0 => /(_ isT)/eqP.
have nn (y : R) : 0 <= y ^+ 2 by apply: sqr_ge0.
have left0 (f g : 'I_n -> R) : (forall k, f k = 0) -> \sum_k f k * g k = 0.
  by move=> f0; rewrite big1 // => k _; rewrite f0 mul0r.
have right0 (f g : 'I_n -> R) : (forall k, g k = 0) -> \sum_k f k * g k = 0.
  by move=> g0; rewrite big1 // => k _; rewrite g0 mulr0.
have [ea|ea] := eqVneq a 0.
  have u0 := vanish _ _ ua ea; rewrite !(left0 u) // ea; set S := \sum_k _.
  have -> : b ^+ 2 * c ^+ 2 + 0 ^+ 2 * c ^+ 2 + 0 ^+ 2 * b ^+ 2 + 2%:R * (c ^+ 2 * 0 + b ^+ 2 * 0 + 0 ^+ 2 * S)
    = b ^+ 2 * c ^+ 2 by ring.
  by rewrite mulr_ge0.
have [eb|eb] := eqVneq b 0.
  have v0 := vanish _ _ vb eb; rewrite (right0 u v) // (left0 v) // eb; set S := \sum_k _.
  have -> : 0 ^+ 2 * c ^+ 2 + a ^+ 2 * c ^+ 2 + a ^+ 2 * 0 ^+ 2 + 2%:R * (c ^+ 2 * 0 + 0 ^+ 2 * S + a ^+ 2 * 0)
    = a ^+ 2 * c ^+ 2 by ring.
  by rewrite mulr_ge0.
have [ec|ec] := eqVneq c 0.
  have z0 := vanish _ _ zc ec; rewrite (right0 u z) // (right0 v z) // ec; set S := \sum_k _.
  have -> : b ^+ 2 * 0 ^+ 2 + a ^+ 2 * 0 ^+ 2 + a ^+ 2 * b ^+ 2 + 2%:R * (0 ^+ 2 * S + b ^+ 2 * 0 + a ^+ 2 * 0)
    = a ^+ 2 * b ^+ 2 by ring.
  by rewrite mulr_ge0.
pose A := b * c / a; pose B := a * c / b; pose C := a * b / c.
have aA : A * a = b * c by rewrite divfK.
have bB : B * b = a * c by rewrite divfK.
have cC : C * c = a * b by rewrite divfK.
have AB : A * B = c ^+ 2 by rewrite /A /B; field; rewrite ea eb.
have AC : A * C = b ^+ 2 by rewrite /A /C; field; rewrite ea ec.
have BC : B * C = a ^+ 2 by rewrite /B /C; field; rewrite eb ec.
have -> : b ^+ 2 * c ^+ 2 + a ^+ 2 * c ^+ 2 + a ^+ 2 * b ^+ 2
    + 2%:R * (c ^+ 2 * (\sum_k u k * v k) + b ^+ 2 * (\sum_k u k * z k) + a ^+ 2 * (\sum_k v k * z k))
  = \sum_k (A * u k + B * v k + C * z k) ^+ 2.
  have -> : \sum_k (A * u k + B * v k + C * z k) ^+ 2
    = \sum_k (A ^+ 2 * u k ^+ 2 + B ^+ 2 * v k ^+ 2 + C ^+ 2 * z k ^+ 2
      + 2%:R * (A * B * (u k * v k) + A * C * (u k * z k) + B * C * (v k * z k))).
    by apply: eq_bigr => k _; ring.
  rewrite !big_split /= -!mulr_sumr !big_split /= -!mulr_sumr ua vb zc AB AC BC.
  by rewrite -!exprMn -aA -bB -cC !exprMn.
exact: sumr_sqr_ge0.
Qed.

Variables (n : nat) (x : 'I_3 -> 'I_n -> R) (w : 'I_3 -> R).

(** Sampling drops more than the smallest amplitude, c of a, b, c: in closed form. *)
Lemma smallest_of_three (a b c : R) : 0 <= a -> 0 <= b -> 0 <= c -> c <= a -> c <= b ->
  c ^+ 2 * (a + b + c) ^+ 2 <= (a * b + a * c + b * c) ^+ 2.
Proof.
move=> a0 b0 c0 ca cb; rewrite -exprMn ler_expn2r ?nnegrE ?mulr_ge0 ?addr_ge0 ?mulr_ge0 //.
have -> : a * b + a * c + b * c = c * (a + b + c) + (a * b - c * c) by ring.
by rewrite ler_addl subr_ge0 ler_pmul.
Qed.

(** The two others. *)
Lemma three (k : 'I_3) : exists i j, [/\ i != j, i != k, j != k & forall F : 'I_3 -> R, \sum_l F l = F i + F j + F k].
Proof.
have sum (F : 'I_3 -> R) : \sum_l F l = F (inord 0) + F (inord 1) + F (inord 2).
  rewrite !big_ord_recl big_ord0 addr0 addrA; congr (F _ + F _ + F _); apply: val_inj; by rewrite /= inordK.
have diff m l : (m < 3)%N -> (l < 3)%N -> m != l -> inord m != inord l :> 'I_3.
  by move=> m3 l3; apply: contra => /eqP/(congr1 val); rewrite /= !inordK // => ->.
have -> : k = inord k by apply: val_inj; rewrite /= inordK.
case: k => -[|[|[|//]]] k3 /=.
- by exists (inord 1), (inord 2); split; rewrite ?diff // => F; rewrite sum -addrA addrC.
- by exists (inord 0), (inord 2); split; rewrite ?diff // => F; rewrite sum addrAC.
- by exists (inord 0), (inord 1); split; rewrite ?diff.
Qed.

Theorem sampling_never_beats_top_two (k : 'I_3) : some_signal x w ->
  (forall i, amplitudes x w k <= amplitudes x w i) ->
  mask_error x w (setT :\ k) <= binary_mse x 2 (optimal x w) w.
Proof.
move=> pos small; have [i [j [ij ik jk sum]]] := three k.
pose u l s := x l s * w l.
have amp l : amplitudes x w l ^+ 2 = \sum_s u l s ^+ 2.
  by rewrite sqr_amplitudes /rows_squared mulr_suml; apply: eq_bigr => s _; rewrite exprMn.
have inner l m : gram x l m * w l * w m = \sum_s u l s * u m s.
  by rewrite /gram !mulr_suml; apply: eq_bigr => s _; rewrite /u; ring.
have innerC l m : \sum_s u l s * u m s = \sum_s u m s * u l s by apply: eq_bigr => s _; rewrite mulrC.
have diag l : \sum_s u l s * u l s = amplitudes x w l ^+ 2 by rewrite amp; apply: eq_bigr => s _; rewrite expr2.
have -> : mask_error x w (setT :\ k) = amplitudes x w k ^+ 2.
  rewrite amp; apply: eq_bigr => s _; congr (_ ^+ 2); rewrite /prediction !sum !inE eqxx ik jk /= /u; ring.
set a := amplitudes x w i; set b := amplitudes x w j; set c := amplitudes x w k.
have a0 : 0 <= a by apply: amplitudes_ge0.
have b0 : 0 <= b by apply: amplitudes_ge0.
have c0 : 0 <= c by apply: amplitudes_ge0.
have total : a_total x w = a + b + c by rewrite /a_total sum.
have A0 : 0 < a + b + c by rewrite -total.
have A1 : a + b + c != 0 by rewrite gt_eqF.
have one : 1 = (a + b + c) / (a + b + c) :> R by rewrite divff.
have pi : 1 - optimal x w i = (b + c) / (a + b + c).
  by rewrite /optimal total {1}one -mulrBl -/a; congr (_ / _); ring.
have pj : 1 - optimal x w j = (a + c) / (a + b + c).
  by rewrite /optimal total {1}one -mulrBl -/b; congr (_ / _); ring.
have pk : 1 - optimal x w k = (a + b) / (a + b + c).
  by rewrite /optimal total {1}one -mulrBl -/c; congr (_ / _); ring.
have pij : (b + c) / (a + b + c) - optimal x w j = c / (a + b + c).
  by rewrite /optimal total -mulrBl -/b; congr (_ / _); ring.
have pik : (b + c) / (a + b + c) - optimal x w k = b / (a + b + c).
  by rewrite /optimal total -mulrBl -/c; congr (_ / _); ring.
have pji : (a + c) / (a + b + c) - optimal x w i = c / (a + b + c).
  by rewrite /optimal total -mulrBl -/a; congr (_ / _); ring.
have pjk : (a + c) / (a + b + c) - optimal x w k = a / (a + b + c).
  by rewrite /optimal total -mulrBl -/c; congr (_ / _); ring.
have pki : (a + b) / (a + b + c) - optimal x w i = b / (a + b + c).
  by rewrite /optimal total -mulrBl -/a; congr (_ / _); ring.
have pkj : (a + b) / (a + b + c) - optimal x w j = a / (a + b + c).
  by rewrite /optimal total -mulrBl -/b; congr (_ / _); ring.
have -> : binary_mse x 2 (optimal x w) w
  = ((a * b + a * c + b * c) ^+ 2 + (b ^+ 2 * c ^+ 2 + a ^+ 2 * c ^+ 2 + a ^+ 2 * b ^+ 2
      + 2%:R * (c ^+ 2 * (\sum_s u i s * u j s) + b ^+ 2 * (\sum_s u i s * u k s) + a ^+ 2 * (\sum_s u j s * u k s))))
    / (a + b + c) ^+ 2.
  rewrite /binary_mse !sum !eqxx (negbTE ij) (negbTE ik) (negbTE jk).
  rewrite [j == i]eq_sym [k == i]eq_sym [k == j]eq_sym (negbTE ij) (negbTE ik) (negbTE jk).
  rewrite !inner !diag -/a -/b -/c (innerC j i) (innerC k i) (innerC k j) pi pj pk pij pik pji pjk pki pkj.
  move: (\sum_s u i s * u j s) (\sum_s u i s * u k s) (\sum_s u j s * u k s) => g1 g2 g3.
  by field; rewrite A1.
rewrite ler_pdivl_mulr ?exprn_gt0 // (le_trans (smallest_of_three a0 b0 c0 (small i) (small j))) //.
by rewrite ler_addl; apply: sum_of_three => //; rewrite amp.
Qed.

End Three.
