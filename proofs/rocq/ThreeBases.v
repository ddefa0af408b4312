(* C05: of three base pmfs, mask, mask and data, one is spent in a step.

   Weights from (s, 1 - s - kappa, kappa) to (0, 1 - kappa', kappa'): the path is
   that of two components, but the pivot (the first base, whose ratio is zero)
   redraws every position, revealed ones too.  Two positions, any q:

     the step misses by (1 - kappa^1)(1 - kappa^2) kappa'^1 kappa'^2 TV(q, q^1 x q^2),

   where two components miss by Dk^1 Dk^2 TV(q, q^1 x q^2): no O(h^2) as kappa
   approaches kappa', and a run that spends a component does not decay.      *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability MaskedRate TwoPositions.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section ThreeBases.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field : (numfield_theory R).

(* Bases: None is a second mask; Some false the mask, Some true the data. *)
Definition three_schedule (spare kappa : 'I_N -> R) (j : option bool) (i : 'I_N) : R :=
  if j is Some b then if b then kappa i else 1 - spare i - kappa i else spare i.

Definition three_base (y : data) (j : option bool) : 'I_N -> option V -> R :=
  masked_base R y (if j is Some b then b else false).

Definition three_path (spare kappa : 'I_N -> R) (y : data) : state -> R :=
  convex_path (three_schedule spare kappa) (three_base y).

(* The step that spends None, which is its pivot. *)
Definition spending_step (q : data -> R) (spare kappa kappa' : 'I_N -> R) :=
  marginal_velocity q (three_path spare kappa) (fun y =>
    convex_step_velocity (three_schedule spare kappa) (three_schedule (fun=> 0) kappa')
      (three_base y) (fun=> None)).

Lemma sum_option_bool (F : option bool -> R) : \sum_j F j = F None + F (Some true) + F (Some false).
Proof.
rewrite (bigD1 None) //= (bigD1 (Some true)) //= (bigD1 (Some false)) //=.
by rewrite big1 ?addr0 ?addrA // => -[[]|].
Qed.

Lemma three_token spare kappa y i a :
  convex_token (three_schedule spare kappa) (three_base y) i a =
  convex_token (masked_schedule kappa) (masked_base R y) i a.
Proof. by rewrite /convex_token sum_option_bool big_bool /three_base /=; ring_in R. Qed.

Lemma three_pathE spare kappa y z : three_path spare kappa y z = masked_path kappa y z.
Proof. by apply: eq_bigr => i _; rewrite three_token. Qed.

Lemma three_marginal q spare kappa z :
  marginal_path q (three_path spare kappa) z = marginal_path q (masked_path kappa) z.
Proof. by apply: eq_bigr => y _; rewrite three_pathE. Qed.

(* The pivot has the smallest ratio, zero: the velocity conditions hold. *)
Lemma spending_conditions spare kappa kappa' y :
  (forall i, 0 < spare i) -> (forall i, 0 <= kappa i) -> (forall i, spare i + kappa i <= 1) ->
  unit_interval kappa' ->
  step_conditions (convex_step_velocity (three_schedule spare kappa)
    (three_schedule (fun=> 0) kappa') (three_base y) (fun=> None)).
Proof.
move=> s0 k0 sk k01'.
have sum_weights s k i : \sum_j three_schedule s k j i = 1.
  by rewrite sum_option_bool /=; ring_in R.
have weights' i j : 0 <= three_schedule (fun=> 0) kappa' j i.
  by case: j => [[]|] //=; have /andP [le0 le1] := k01' i; rewrite ?subr0 ?subr_ge0.
have weights i j : 0 <= three_schedule spare kappa j i.
  case: j => [[]|] //=; last exact: ltW.
  by rewrite -addrA -opprD subr_ge0.
have base : is_base (three_base y) by move=> j i; apply: masked_base_is_base.
have sch : is_schedule (three_schedule spare kappa) by move=> i; split=> [j|]; rewrite ?sum_weights.
have sch' : is_schedule (three_schedule (fun=> 0) kappa').
  by move=> i; split=> [j|]; rewrite ?sum_weights.
apply: (C04_argmin_step_conditions base sch sch') => [i|j i _] /=.
  by have := s0 i; rewrite lt0r => /andP [].
by rewrite mul0r divr_ge0.
Qed.

(* Every position is redrawn, from its token's posterior or the mask. *)
Lemma spending_kernel (q : data -> R) spare kappa kappa' z x :
  marginal_path q (masked_path kappa) z != 0 ->
  step_kernel (spending_step q spare kappa kappa') z x =
  \prod_i \sum_y posterior q (masked_path kappa) y z *
    convex_token (masked_schedule kappa') (masked_base R y) i (x i).
Proof.
move=> pz; apply: eq_bigr => i _; rewrite /spending_step /marginal_velocity.
transitivity ((x i == z i)%:R + \sum_y posterior q (masked_path kappa) y z *
    (convex_token (masked_schedule kappa') (masked_base R y) i (x i) - (x i == z i)%:R)).
  congr (_ + _); apply: eq_bigr => y _; congr (_ * _).
    by rewrite /posterior three_pathE three_marginal.
  rewrite -(three_token (fun=> 0)) /convex_step_velocity mul0r sub0r mulN1r; congr (_ - _).
  by apply: eq_bigr => j _; rewrite mulr0 subr0.
under eq_bigr do rewrite mulrBr.
by rewrite sumrB -mulr_suml sum_posterior // mul1r addrC subrK.
Qed.

End ThreeBases.

Section TwoPositions.
Variables (R : numFieldType) (V : finType).
Local Notation data := {ffun 'I_2 -> V}.
Local Notation state := {ffun 'I_2 -> option V}.
Add Field R_field' : (numfield_theory R).
Variables (q : data -> R) (spare kappa kappa' : 'I_2 -> R).
Hypotheses (q_pmf : is_pmf q) (k01 : unit_interval kappa).

Let q0 y : 0 <= q y. Proof. by case: q_pmf. Qed.
Let pc0 (y : data) z : 0 <= masked_path kappa y z. Proof. exact: masked_path_ge0. Qed.

Definition redrawn : R :=
  (1 - kappa ord0) * (1 - kappa ord_max) * (kappa' ord0 * kappa' ord_max).

Lemma redrawn_ge0 : unit_interval kappa' -> 0 <= redrawn.
Proof.
move=> k01'; have unit (k : 'I_2 -> R) : unit_interval k -> forall i, 0 <= k i /\ 0 <= 1 - k i.
  by move=> h i; have /andP [a b] := h i; rewrite subr_ge0.
by rewrite /redrawn !mulr_ge0 //; case: (unit _ k01 ord0); case: (unit _ k01 ord_max);
  case: (unit _ k01' ord0); case: (unit _ k01' ord_max).
Qed.

Lemma spending_law x :
  push (marginal_path q (three_path spare kappa))
       (step_kernel (spending_step q spare kappa kappa')) x =
  marginal_path q (masked_path kappa') x +
  redrawn * (data_law (independent q) x - data_law q x).
Proof.
pose path := marginal_path q (masked_path kappa); pose post y z := posterior q (masked_path kappa) y z.
pose f (y : data) i : R := convex_token (masked_schedule kappa') (masked_base R y) i (x i).
pose nu (y : data) i : R := (x i == Some (y i))%:R.
pose s i : R := (x i == None)%:R * (1 - kappa' i).
have fE y i : f y i = s i + kappa' i * nu y i.
  rewrite /f masked_token /s /nu; case: (x i) => [v|] /=; last by rewrite mul1r mulr0 addr0.
  by rewrite mul0r add0r mulrC.
have total (y : data) : \sum_z masked_path kappa y z = 1.
  apply: (proj2 (C01_convex_path_is_pmf _ (masked_base_is_base R y))).
  exact: masked_schedule_is_schedule.
have next : marginal_path q (masked_path kappa') x =
    \sum_z path z * \sum_y post y z * (f y ord0 * f y ord_max).
  transitivity (\sum_z \sum_(y : data) q y * masked_path kappa y z * (f y ord0 * f y ord_max)).
    rewrite exchange_big; apply: eq_bigr => y _ /=; under eq_bigr do rewrite -mulrA mulrCA.
    rewrite -mulr_suml total mul1r; congr (_ * _).
    by rewrite /masked_path /convex_path /product_path prod_ord2.
  apply: eq_bigr => z _; rewrite mulr_sumr; apply: eq_bigr => y _.
  by rewrite [RHS]mulrA /path /post (marginal_path_mul_posterior q0 pc0).
have gap z : path z * (step_kernel (spending_step q spare kappa kappa') z x -
      \sum_y post y z * (f y ord0 * f y ord_max)) =
    path z * (kappa' ord0 * kappa' ord_max *
      ((\sum_y post y z * nu y ord0) * (\sum_y post y z * nu y ord_max) -
       \sum_y post y z * (nu y ord0 * nu y ord_max))).
  have [-> | pz] := eqVneq (path z) 0; first by rewrite !mul0r.
  congr (_ * _); rewrite (spending_kernel _ _ _ pz) prod_ord2.
  have post1 : \sum_y post y z = 1 by apply: sum_posterior.
  have mean i : \sum_y post y z * f y i = s i + kappa' i * \sum_y post y z * nu y i.
    rewrite mulr_sumr -[X in X + _]mul1r -post1 mulr_suml -big_split /=.
    by apply: eq_bigr => y _; rewrite fE; ring_in R.
  rewrite !mean; set s0 := s ord0; set s1 := s ord_max.
  set k0 := kappa' ord0; set k1 := kappa' ord_max.
  have -> : \sum_y post y z * (f y ord0 * f y ord_max) =
      \sum_y (s0 * s1 * post y z + s1 * k0 * (post y z * nu y ord0) +
      s0 * k1 * (post y z * nu y ord_max) + k0 * k1 * (post y z * (nu y ord0 * nu y ord_max))).
    by apply: eq_bigr => y _; rewrite !fE -/s0 -/s1 -/k0 -/k1; ring_in R.
  rewrite !big_split /= -!mulr_sumr post1; set A := \sum_y post y z * nu y ord0.
  by set B := \sum_y post y z * nu y ord_max; set C := \sum_y post y z * _; ring_in R.
have known (z : state) (i : 'I_2) : z i != None -> forall g : data -> R,
    \sum_y post y z * (nu y i * g y) = (x i == z i)%:R * \sum_y post y z * g y.
  move=> zi g; rewrite mulr_sumr; apply: eq_bigr => y _; rewrite /post /posterior masked_pathE.
  have [/forallP /(_ i) | _] := boolP (agrees z y); last by rewrite !(mul0r, mulr0).
  by rewrite (negbTE zi) /= => /eqP ->; rewrite mulrCA.
have split1 (z : state) (g : data -> R) : \sum_y post y z * g y = \sum_y post y z * (g y * 1).
  by apply: eq_bigr => y _; rewrite mulr1.
rewrite /push; under eq_bigr do rewrite three_marginal.
rewrite next -[LHS](subrK (\sum_z path z * \sum_y post y z * (f y ord0 * f y ord_max))) addrC.
congr (_ + _); rewrite -sumrB (bigD1 (all_mask 2 V)) //= [X in _ + X]big1 ?addr0 => [|z z_neq]; last first.
  rewrite -mulrBr gap; have [-> | pz] := eqVneq (path z) 0; first by rewrite mul0r.
  have post1 : \sum_y post y z = 1 by apply: sum_posterior.
  suff -> : \sum_y post y z * (nu y ord0 * nu y ord_max) =
      (\sum_y post y z * nu y ord0) * \sum_y post y z * nu y ord_max by rewrite subrr !mulr0.
  have [z0 | z0] := eqVneq (z ord0) None; last first.
    rewrite known // (split1 z (fun y => nu y ord0)) known //.
    by under [X in _ = _ * X * _]eq_bigr do rewrite mulr1; rewrite post1 mulr1.
  have z1 : z ord_max != None.
    by apply: contraNneq z_neq => z1; apply/eqP/ffunP => i; rewrite ffunE (ord2P i); case: eqP.
  under eq_bigr do rewrite [nu _ ord0 * _]mulrC.
  rewrite known // (split1 z (fun y => nu y ord_max)) known // mulrC.
  by under [X in _ = _ * (_ * X)]eq_bigr do rewrite mulr1; rewrite post1 mulr1.
set m := all_mask 2 V; have S1 : revealed_mass q m = 1.
  rewrite -(proj2 q_pmf); apply: eq_bigr => y _.
  by rewrite (_ : agrees m y) ?mulr1 //; apply/forallP => i; rewrite ffunE.
have weight : path m = (1 - kappa ord0) * (1 - kappa ord_max).
  by rewrite /path C22_path_factorization S1 mul1r /schedule_weight prod_ord2 !ffunE.
rewrite -mulrBr gap mulrA weight -/redrawn; have [p0 | pm] := eqVneq (path m) 0.
  by rewrite /redrawn -weight p0 !mul0r.
have w0 : schedule_weight kappa m != 0.
  by move: pm; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP [].
have postE y : post y m = q y.
  rewrite /post C22_posterior // S1 divr1 (_ : agrees m y) ?mulr1 //.
  by apply/forallP => i; rewrite ffunE.
congr (_ * (_ - _)).
  rewrite data_law_independent prod_ord2.
  by congr (_ * _); apply: eq_bigr => y _; rewrite postE.
apply: eq_bigr => y _; rewrite postE eq_state prod_ord2 !ffunE.
by rewrite /nu.
Qed.

Theorem C05_spent_component_TV :
  unit_interval kappa' ->
  TV (push (marginal_path q (three_path spare kappa))
           (step_kernel (spending_step q spare kappa kappa')))
     (marginal_path q (three_path (fun=> 0) kappa')) =
  redrawn * TV q (independent q).
Proof.
move=> k01'; have r0 := redrawn_ge0 k01'.
rewrite -(TV_data_law q) [TV (data_law q) _]TV_sym /TV mulrA mulr_sumr; congr (_ / _).
apply: eq_bigr => x _; rewrite three_marginal spending_law addrC addKr normrM.
by rewrite (ger0_norm r0).
Qed.

(* On from there in two components, in any number of steps: the miss stays. *)
Theorem C05_spent_component_run (schedule : nat -> 'I_2 -> R) n :
  (forall t, unit_interval (schedule t)) -> (forall t i, schedule t i <= schedule t.+1 i) ->
  schedule 0%N =1 kappa' -> (forall i, schedule n i = 1) ->
  TV (run (push (marginal_path q (three_path spare kappa))
                (step_kernel (spending_step q spare kappa kappa')))
          (fun t => step_kernel (masked_step q (schedule t) (schedule t.+1))) n)
     (data_law q) =
  (redrawn + \sum_(t < n) (schedule t.+1 ord0 - schedule t ord0) *
                          (schedule t.+1 ord_max - schedule t ord_max)) * TV q (independent q).
Proof.
move=> s01 mono start end1; set p0 := push _ _.
have law m x : run p0 (fun t => step_kernel (masked_step q (schedule t) (schedule t.+1))) m x =
    marginal_path q (masked_path (schedule m)) x +
    (redrawn + \sum_(t < m) (schedule t.+1 ord0 - schedule t ord0) *
       (schedule t.+1 ord_max - schedule t ord_max)) *
    (data_law (independent q) x - data_law q x).
  elim: m x => [|m IH] x.
    rewrite /= big_ord0 addr0 /p0 spending_law; congr (_ + _); apply: eq_bigr => y _; congr (_ * _).
    by apply: eq_bigr => i _; apply: eq_bigr => -[] _; rewrite /= start.
  set d := \sum_(t < m) _ in IH; rewrite big_ord_recr /= -/d.
  pose u := step_kernel (masked_step q (schedule m) (schedule m.+1)).
  transitivity (push (marginal_path q (masked_path (schedule m))) u x +
      (redrawn + d) * (push (data_law (independent q)) u x - push (data_law q) u x)).
    rewrite /push -sumrB mulr_sumr -big_split /=; apply: eq_bigr => z _.
    by rewrite IH -/u; ring_in R.
  by rewrite /u !push_data_law two_position_step //; ring_in R.
have d0 : 0 <= redrawn + \sum_(t < n) (schedule t.+1 ord0 - schedule t ord0) *
    (schedule t.+1 ord_max - schedule t ord_max).
  rewrite addr_ge0 ?sumr_ge0 // => [|t _]; last by rewrite mulr_ge0 ?subr_ge0.
  by apply: redrawn_ge0 => i; rewrite -start; apply: s01.
rewrite -(TV_data_law q) [TV (data_law q) _]TV_sym /TV mulrA mulr_sumr; congr (_ / _).
apply: eq_bigr => x _; rewrite law (masked_end q x end1) addrC addKr normrM.
by rewrite (ger0_norm d0).
Qed.

End TwoPositions.
