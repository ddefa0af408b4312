(* C15: top-k routing.

   Keeping the experts of A, of mass s = sum_{k in A} r_k, and renormalizing
   moves the mixture by exactly (1 - s) TV(kept, dropped) <= 1 - s; the bound
   is attained exactly when kept and dropped have disjoint supports.         *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization Stability.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section DistanceOne.
Variables (R : numFieldType) (S : finType) (p q : S -> R).
Hypotheses (p_pmf : is_pmf p) (q_pmf : is_pmf q).
Add Field R_field : (numfield_theory R).

Let sum2 : \sum_x (p x + q x) = 2%:R.
Proof. by rewrite big_split /= (proj2 p_pmf) (proj2 q_pmf). Qed.

Let dist_le x : `|p x - q x| <= p x + q x.
Proof.
apply: le_trans (ler_norm_sub _ _) _.
by rewrite !ger0_norm ?(proj1 p_pmf) ?(proj1 q_pmf).
Qed.

Lemma TV_le1 : TV p q <= 1.
Proof.
rewrite ler_pdivr_mulr ?ltr0n // mul1r -sum2.
by apply: ler_sum => x _; apply: dist_le.
Qed.

Lemma dist_eq_sum (a b : R) : 0 <= a -> 0 <= b ->
  (`|a - b| == a + b) = (a * b == 0).
Proof.
move=> a0 b0; have real : a - b \is Num.real.
  by rewrite rpredB ?ger0_real.
rewrite -(@eqr_expn2 _ 2) ?normr_ge0 ?addr_ge0 // real_normK //.
rewrite -subr_eq0 !expr2.
have -> : (a - b) * (a - b) - (a + b) * (a + b) = - (4%:R * (a * b)).
  have -> : 4%:R = (1 + 1) * (1 + 1) :> R := natrM R 2 2.
  by ring_in R.
by rewrite oppr_eq0 mulf_eq0 pnatr_eq0.
Qed.

Lemma TV_eq1 : TV p q = 1 <-> forall x, p x * q x = 0.
Proof.
have e : (TV p q == 1) = (\sum_x (p x + q x - `|p x - q x|) == 0).
  rewrite sumrB sum2 subr_eq0 eq_sym -(inj_eq (mulIf (_ : 2%:R != 0))) ?pnatr_eq0 //.
  by rewrite mul1r /TV divfK ?pnatr_eq0.
have gap_ge0 x : 0 <= p x + q x - `|p x - q x| by rewrite subr_ge0 dist_le.
split=> [/eqP | disjoint].
  rewrite e => /eqP s0 x; apply/eqP.
  rewrite -dist_eq_sum ?(proj1 p_pmf) ?(proj1 q_pmf) // eq_sym -subr_eq0.
  by apply/eqP; apply: psum_eq0 s0 x.
apply/eqP; rewrite e big1 // => x _; apply/eqP; rewrite subr_eq0 eq_sym.
by rewrite dist_eq_sum ?(proj1 p_pmf) ?(proj1 q_pmf) // disjoint.
Qed.

End DistanceOne.

Section TopK.
Variables (R : numFieldType) (K S : finType).
Variables (A : {set K}) (r : K -> R) (p : K -> S -> R).
Add Field R_field' : (numfield_theory R).

Definition kept_mass : R := \sum_(k in A) r k.

Definition kept (x : S) : R := \sum_(k in A) r k / kept_mass * p k x.

Definition dropped (x : S) : R :=
  \sum_(k in ~: A) r k / (1 - kept_mass) * p k x.

Hypotheses (r_pmf : is_pmf r) (p_pmf : forall k, is_pmf (p k)).
Hypothesis kept_neq0 : kept_mass != 0.

Let r0 k : 0 <= r k. Proof. by case: r_pmf. Qed.
Let p0 k x : 0 <= p k x. Proof. by case: (p_pmf k). Qed.

Lemma dropped_mass : \sum_(k in ~: A) r k = 1 - kept_mass.
Proof.
rewrite -(proj2 r_pmf) [in RHS](bigID (mem A)) /= -/kept_mass addrAC subrr add0r.
by apply: eq_bigl => k; rewrite inE.
Qed.

Lemma mixture_kept_dropped x :
  mixture r p x = kept_mass * kept x + (1 - kept_mass) * dropped x.
Proof.
rewrite /mixture (bigID (mem A)) /= /kept /dropped !mulr_sumr; congr (_ + _).
  apply: eq_bigr => k kA; rewrite mulrA; congr (_ * _).
  by rewrite mulrC divfK.
rewrite (eq_bigl (mem (~: A))) => [|k]; last by rewrite !inE.
apply: eq_bigr => k kA; rewrite mulrA; congr (_ * _).
rewrite mul_divK // => m0; apply: (psumr_eq0P (P := mem (~: A))) => //.
by rewrite dropped_mass.
Qed.

Theorem C15_top_k_exact :
  TV (mixture r p) kept = (1 - kept_mass) * TV kept dropped.
Proof.
have m1 : 0 <= 1 - kept_mass.
  by rewrite -dropped_mass; apply: sumr_ge0 => k _.
rewrite /TV mulrA mulr_sumr; congr (_ / _); apply: eq_bigr => x _.
rewrite -[X in X * _](ger0_norm m1) -normrM mixture_kept_dropped.
by rewrite distrC; congr (`|_|); ring_in R.
Qed.

Lemma kept_is_pmf : is_pmf kept.
Proof.
split=> [x|].
  apply: sumr_ge0 => k _; apply: mulr_ge0 => //; apply: divr_ge0 => //.
  by apply: sumr_ge0 => j _.
rewrite exchange_big /=; under eq_bigr do rewrite -mulr_sumr (proj2 (p_pmf _)) mulr1.
by rewrite -mulr_suml divff.
Qed.

Lemma dropped_is_pmf : kept_mass != 1 -> is_pmf dropped.
Proof.
move=> s1; have m0 : 1 - kept_mass != 0 by rewrite subr_eq0 eq_sym.
split=> [x|].
  apply: sumr_ge0 => k _; apply: mulr_ge0 => //; apply: divr_ge0 => //.
  by rewrite -dropped_mass; apply: sumr_ge0 => j _.
rewrite exchange_big /=; under eq_bigr do rewrite -mulr_sumr (proj2 (p_pmf _)) mulr1.
by rewrite -mulr_suml dropped_mass divff.
Qed.

Theorem C15_top_k_bound : TV (mixture r p) kept <= 1 - kept_mass.
Proof.
rewrite C15_top_k_exact; have [-> | s1] := eqVneq kept_mass 1.
  by rewrite subrr mul0r.
rewrite -[X in _ <= X]mulr1; apply: ler_wpmul2l.
  by rewrite -dropped_mass; apply: sumr_ge0 => k _.
exact: TV_le1 kept_is_pmf (dropped_is_pmf s1).
Qed.

Theorem C15_top_k_attained_iff_disjoint :
  kept_mass != 1 ->
  TV (mixture r p) kept = 1 - kept_mass <->
  forall x, kept x * dropped x = 0.
Proof.
move=> s1; rewrite -(TV_eq1 kept_is_pmf (dropped_is_pmf s1)) C15_top_k_exact.
have m0 : 1 - kept_mass != 0 by rewrite subr_eq0 eq_sym.
split=> [h | ->]; last by rewrite mulr1.
by apply: (mulfI m0); rewrite h mulr1.
Qed.

End TopK.
