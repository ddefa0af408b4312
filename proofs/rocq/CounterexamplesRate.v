(* Controls of C05's rate: a step misses by O(h^2) for two components from the
   mask, and not without.

   00/11, three components, the first spent from kappa to 1/2: 9/128, 25/512,
   81/2048 at kappa = 1/4, 3/8, 7/16, never below 1/32; a run keeps that.
   Uniform source, 1/4 on 00 and 3/4 on 11, from kappa = 1 - h to 1: at least
   3 h / 32.                                                                 *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability TwoPositions ThreeBases TwoBits.
From Ddfm Require Import CounterexamplesWindow.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_2 -> bool}.

Section ThreeComponents.
Let half : rat := 1 / 2%:R.

(* Bases mask, mask and data, weights from (1 - 2k, k, k) to (0, 1/2, 1/2). *)
Definition spent_law (k : rat) := push (marginal_path twins (three_path (fun=> 1 - 2%:R * k) (fun=> k)))
  (step_kernel (spending_step twins (fun=> 1 - 2%:R * k) (fun=> k) (fun=> half))).
Definition spent_defect (k : rat) : rat :=
  TV (spent_law k) (marginal_path twins (three_path (fun=> 0) (fun=> half))).

Lemma spent_defectE k : 0 <= k < half -> spent_defect k = ((1 - k) / 2%:R) ^+ 2 / 2%:R.
Proof.
move=> /andP [k0 k1]; have unit : unit_interval (fun _ : 'I_2 => k).
  by move=> i; rewrite k0 ltW // (lt_trans k1).
rewrite /spent_defect (C05_spent_component_TV _ twins_pmf unit) // twins_dependence /redrawn.
by rewrite -expr2 -expr2 -exprMn mul1r.
Qed.

Theorem C05_control_three_components :
  [/\ spent_defect (1 / 4%:R) = 9%:R / 128%:R, spent_defect (3%:R / 8%:R) = 25%:R / 512%:R &
      spent_defect (7%:R / 16%:R) = 81%:R / 2048%:R].
Proof. by split; (rewrite spent_defectE; [compute_rat | vm_compute]). Qed.

(* However small the step, and however many follow. *)
Theorem C05_control_spent_run k (schedule : nat -> 'I_2 -> rat) n :
  0 <= k < half -> (forall t, unit_interval (schedule t)) ->
  (forall t i, schedule t i <= schedule t.+1 i) ->
  schedule 0%N =1 (fun=> half) -> (forall i, schedule n i = 1) ->
  1 / 32%:R <= spent_defect k /\
  1 / 32%:R <= TV (run (spent_law k)
    (fun t => step_kernel (masked_step twins (schedule t) (schedule t.+1))) n) (data_law twins).
Proof.
move=> k01 s01 mono start end1; have /andP [k0 k1] := k01.
have unit : unit_interval (fun _ : 'I_2 => k) by move=> i; rewrite k0 ltW // (lt_trans k1).
have low : 1 / 32%:R <= spent_defect k.
  rewrite spent_defectE // (_ : 1 / 32%:R = (half / 2%:R) ^+ 2 / 2%:R); last by compute_rat.
  apply: ler_wpmul2r => //; apply: ler_expn2r; rewrite ?nnegrE //.
    by rewrite divr_ge0 // subr_ge0 ltW // (lt_trans k1).
  by apply: ler_wpmul2r => //; rewrite ler_subr_addl addrC -ler_subr_addl ltW.
split; first exact: low.
apply: le_trans low _; rewrite /spent_defect (C05_spent_component_TV _ twins_pmf unit) //.
rewrite (C05_spent_component_run _ twins_pmf unit s01 mono start end1).
apply: ler_wpmul2r; first exact: TV_ge0.
by rewrite ler_addl sumr_ge0 // => t _; rewrite mulr_ge0 ?subr_ge0.
Qed.

End ThreeComponents.

(* Uniform source, kappa to 1 at both positions; q has zeros. *)
Section UniformSource.

Definition lean_twins : bits -> rat :=
  joint (fun a b => if a == b then if a then 3%:R / 4%:R else 1 / 4%:R else 0).

Definition uniform_base2 (y : bits) (j : bool) (i : 'I_2) (a : bool) : rat :=
  if j then (a == y i)%:R else 1 / 2%:R.

Definition uniform_path2 (k : rat) (y : bits) : bits -> rat :=
  convex_path (masked_schedule (fun=> k)) (uniform_base2 y).

Definition last_step (k : rat) := marginal_velocity lean_twins (uniform_path2 k) (fun y =>
  convex_step_velocity (masked_schedule (fun=> k)) (masked_schedule (fun=> 1))
    (uniform_base2 y) (fun=> false)).

Definition last_defect (k : rat) : rat :=
  TV (push (marginal_path lean_twins (uniform_path2 k)) (step_kernel (last_step k))) lean_twins.

Let agree (k : rat) : rat := k + (1 - k) / 2%:R.
Let miss (k : rat) : rat := (1 - k) / 2%:R.

Lemma uniform_path2E k y z : uniform_path2 k y z =
  (if z ord0 == y ord0 then agree k else miss k) * (if z ord_max == y ord_max then agree k else miss k).
Proof.
rewrite /uniform_path2 /convex_path /product_path prod_ord2 /convex_token !big_bool /= !mul1r.
by rewrite /agree /miss; case: eqP; case: eqP; rewrite ?mulr1 ?mulr0 ?add0r.
Qed.

Lemma noise_spent (R : numFieldType) (k a b c : R) :
  (1 - k * ((1 - 1) / (1 - k))) * a + (1 - 1 - (1 - k) * ((1 - 1) / (1 - k))) * b +
  ((1 - 1) / (1 - k) - 1) * c = a - c.
Proof. by rewrite subrr mul0r !mulr0 !subr0 mul1r mul0r addr0 sub0r mulN1r. Qed.

Lemma half_more (R : numFieldType) (k : R) : k + (1 - k) / 2%:R = 1 / 2%:R + k / 2%:R.
Proof. by rewrite mulrBl addrCA; congr (_ + _); rewrite {1}[k]splitr addrK. Qed.

Lemma square_lt (R : numFieldType) (c h : R) : 0 < h -> h < c -> h * h < c * h.
Proof. by move=> h0 hc; rewrite ltr_pmul2r. Qed.

Lemma two_terms (R : numFieldType) (x y c : R) : 0 <= c -> y <= (x + x) -> y <= x + (x + c).
Proof. by move=> c0 /le_trans; apply; rewrite addrA ler_addl. Qed.

Lemma lean_pair (F : bits -> rat) : \sum_y lean_twins y * F y =
  3%:R / 4%:R * F (pair2 true true) + 1 / 4%:R * F (pair2 false false).
Proof.
by rewrite sum_pair2 !big_bool /lean_twins /joint !pair2_0 !pair2_1 /= !mul0r add0r addr0.
Qed.

Theorem C05_control_uniform_source k : 0 <= k < 1 ->
  3%:R / 32%:R * (1 - k) <= last_defect k /\
  (1 - k < 3%:R / 32%:R -> (1 - k) * (1 - k) < last_defect k).
Proof.
move=> /andP [k0 k1]; have gap0 : 0 < 1 - k by rewrite subr_gt0.
have miss0 : 0 < miss k by rewrite divr_gt0.
have agree0 : 0 < agree k by rewrite ltr_paddl.
have path0 y z : 0 < uniform_path2 k y z.
  by rewrite uniform_path2E; case: eqP; case: eqP => *; rewrite mulr_gt0.
pose p := marginal_path lean_twins (uniform_path2 k).
have pE z : p z = 3%:R / 4%:R * uniform_path2 k (pair2 true true) z +
                  1 / 4%:R * uniform_path2 k (pair2 false false) z by apply: lean_pair.
have p0 z : 0 < p z by rewrite pE addr_gt0 ?mulr_gt0.
pose post a z := posterior lean_twins (uniform_path2 k) (pair2 a a) z.
have kernel (a b : bool) z : a != b ->
    step_kernel (last_step k) z (pair2 a b) = post a z * post b z.
  have token c i : (c == z i)%:R + last_step k i c z = post c z.
    have post1 : \sum_y posterior lean_twins (uniform_path2 k) y z = 1.
      exact/sum_posterior/lt0r_neq0/p0.
    transitivity ((c == z i)%:R + \sum_y posterior lean_twins (uniform_path2 k) y z *
        ((c == y i)%:R - (c == z i)%:R)).
      congr (_ + _); apply: eq_bigr => y _; congr (_ * _).
      by rewrite /convex_step_velocity big_bool; apply: noise_spent.
    under eq_bigr do rewrite mulrBr.
    rewrite sumrB -mulr_suml post1 mul1r addrC subrK.
    under eq_bigr do rewrite /posterior -mulrA -mulrA.
    rewrite lean_pair /post /posterior /lean_twins /joint !pair2_0 !pair2_1 eqxx /=.
    rewrite (ord2P i); case: (i == ord0); rewrite ?pair2_0 ?pair2_1;
      by case: c; rewrite /= ?mulr1 ?mulr0 ?addr0 ?add0r ?mulrA.
  by move=> ab; rewrite /step_kernel prod_ord2 !pair2_0 !pair2_1 !token.
pose law := push p (step_kernel (last_step k)).
have post_ge0 a z : 0 <= post a z.
  apply: posterior_ge0 => [y|y z']; last exact: ltW.
  by rewrite /lean_twins /joint; case: (y ord0); case: (y ord_max).
have off (a b : bool) : a != b -> 3%:R / 32%:R * (1 - k) <= law (pair2 a b).
  move=> ab; rewrite /law /push; under eq_bigr do rewrite kernel //.
  have term_ge0 z : 0 <= p z * (post a z * post b z) by apply: mulr_ge0; [exact: ltW | exact: mulr_ge0].
  have at_pair c : p (pair2 c (~~ c)) * (post a (pair2 c (~~ c)) * post b (pair2 c (~~ c))) =
      3%:R / 16%:R * (agree k * miss k).
    set z := pair2 c (~~ c); have same d : uniform_path2 k (pair2 d d) z = agree k * miss k.
      by rewrite uniform_path2E !pair2_0 !pair2_1; case: c @z; case: d => //=; rewrite mulrC.
    have pz : p z = agree k * miss k.
      by rewrite pE !same -mulrDl (_ : _ + _ = 1) ?mul1r //; compute_rat.
    have am0 : agree k * miss k != 0 by rewrite mulf_neq0 // lt0r_neq0.
    have postE d : post d z = if d then 3%:R / 4%:R else 1 / 4%:R.
      rewrite /post /posterior -/p pz same mulfK // /lean_twins /joint pair2_0 pair2_1 eqxx.
      by case: d.
    rewrite pz !postE mulrC; congr (_ * _).
    by case: a b ab {term_ge0} => -[] //= _; compute_rat.
  rewrite (bigD1 (pair2 true false)) //= (bigD1 (pair2 false true)) /=; last by rewrite eq_pair2.
  have -> := at_pair true; have -> := at_pair false.
  apply: two_terms; first by apply: sumr_ge0 => z _; apply: term_ge0.
  rewrite -mulrDl.
  have -> : 3%:R / 16%:R + 3%:R / 16%:R = 3%:R / 8%:R :> rat by compute_rat.
  have -> : 3%:R / 32%:R * (1 - k) = 3%:R / 8%:R * (1 / 2%:R * miss k) :> rat.
    by rewrite /miss ![in RHS]mulrA [RHS]mulrAC; congr (_ * _); compute_rat.
  apply: ler_wpmul2l => //; apply: ler_wpmul2r; first exact: ltW.
  by rewrite /agree half_more ler_addl divr_ge0.
have low : 3%:R / 32%:R * (1 - k) <= last_defect k.
  rewrite /last_defect -/p -/law /TV ler_pdivl_mulr //.
  rewrite (bigD1 (pair2 true false)) //= (bigD1 (pair2 false true)) /=; last by rewrite eq_pair2.
  rewrite addrA; apply: ler_paddr; first by apply: sumr_ge0.
  have zero a b : a != b -> lean_twins (pair2 a b) = 0.
    by rewrite /lean_twins /joint pair2_0 pair2_1 => /negbTE ->.
  rewrite !zero // !subr0 -[2%:R]/(1 + 1) mulrDr mulr1.
  by apply: ler_add; apply: le_trans (ler_norm _); apply: off.
split=> [|steep]; first exact: low.
exact: lt_le_trans (square_lt gap0 steep) low.
Qed.

End UniformSource.
