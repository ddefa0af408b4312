(* C03 [G, Theorem 2, in discrete time] and C05: marginalization.

   With p(z) = sum_y pi(y) p(z|y), the posterior average
   u^i(a,z) = sum_y (pi(y) p(z|y) / p(z)) u^i(a,z|y) of conditional velocities
   satisfies the velocity conditions and the continuity equation of the
   marginal path; where at most one position moves at each z, its sampler is
   exact, one step and the whole chain.
   y is any finite latent variable: for a coupling, the end points (x0, x1).  *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Run.
Variables (R : numFieldType) (S : finType).

Lemma run_exact (p : nat -> S -> R) (k : nat -> S -> S -> R) n :
  (forall t, (t < n)%N -> forall x, push (p t) (k t) x = p t.+1 x) ->
  run (p 0%N) k n =1 p n.
Proof.
elim: n => [//|n IH] h x; rewrite /= -h //.
by apply: eq_bigr => z _; rewrite IH // => t tn; apply: h; apply: ltnW.
Qed.

Lemma run_eq (p0 : S -> R) (k k' : nat -> S -> S -> R) n :
  (forall t, (t < n)%N -> forall z x, k t z x = k' t z x) ->
  run p0 k n =1 run p0 k' n.
Proof.
elim: n => [//|n IH] h x; rewrite /= /push; apply: eq_bigr => z _.
rewrite IH ?h // => t tn; apply: h; exact: ltnW.
Qed.

End Run.

Section Marginal.
Variables (R : numFieldType) (N : nat) (T Z : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

Definition marginal_path (pi : Z -> R) (pc : Z -> state -> R) (x : state) : R :=
  \sum_y pi y * pc y x.

Definition posterior (pi : Z -> R) (pc : Z -> state -> R) (y : Z) (z : state)
  : R := pi y * pc y z / marginal_path pi pc z.

Definition marginal_velocity (pi : Z -> R) (pc : Z -> state -> R)
  (uc : Z -> velocity) : velocity :=
  fun i a z => \sum_y posterior pi pc y z * uc y i a z.

Section Facts.
Variables (pi : Z -> R) (pc : Z -> state -> R).
Hypotheses (pi_ge0 : forall y, 0 <= pi y) (pc_ge0 : forall y x, 0 <= pc y x).

Lemma marginal_path_ge0 x : 0 <= marginal_path pi pc x.
Proof. by apply: sumr_ge0 => y _; apply: mulr_ge0. Qed.

Lemma posterior_ge0 y z : 0 <= posterior pi pc y z.
Proof. by apply: divr_ge0; [apply: mulr_ge0 | apply: marginal_path_ge0]. Qed.

Lemma marginal_path_mul_posterior y z :
  marginal_path pi pc z * posterior pi pc y z = pi y * pc y z.
Proof.
apply: mul_divK => p0.
by apply: (psum_eq0 _ p0) => y'; apply: mulr_ge0.
Qed.

Lemma sum_posterior z :
  marginal_path pi pc z != 0 -> \sum_y posterior pi pc y z = 1.
Proof. by move=> p0; rewrite -mulr_suml divff. Qed.

(* The flux p u is linear in the coupling: the one place where the division
   by p(z) is undone. *)
Lemma marginal_flux uc i a z :
  marginal_path pi pc z * marginal_velocity pi pc uc i a z =
  \sum_y pi y * pc y z * uc y i a z.
Proof.
rewrite mulr_sumr; apply: eq_bigr => y _.
by rewrite mulrA marginal_path_mul_posterior.
Qed.

Lemma divergence_marginal uc x :
  divergence (marginal_path pi pc) (marginal_velocity pi pc uc) x =
  \sum_y pi y * divergence (pc y) (uc y) x.
Proof.
rewrite divergence_neighbours; under eq_bigr do under eq_bigr do
  rewrite marginal_flux.
under [RHS]eq_bigr do rewrite divergence_neighbours mulrN mulr_sumr.
rewrite sumrN [in RHS]exchange_big /=; congr (- _); apply: eq_bigr => i _.
under [RHS]eq_bigr do rewrite mulr_sumr.
rewrite [RHS]exchange_big /=; apply: eq_bigr => b _.
by apply: eq_bigr => y _; rewrite mulrA.
Qed.

Theorem C03_rate_conditions uc :
  (forall y, rate_conditions (uc y)) ->
  rate_conditions (marginal_velocity pi pc uc).
Proof.
move=> rate; split=> [i a z az | i z].
  apply: sumr_ge0 => y _; apply: mulr_ge0; first exact: posterior_ge0.
  by have [off _] := rate y; apply: off.
rewrite exchange_big big1 //= => y _.
by have [_ total] := rate y; rewrite -mulr_sumr total mulr0.
Qed.

Theorem C03_step_conditions uc :
  (forall y, step_conditions (uc y)) ->
  step_conditions (marginal_velocity pi pc uc).
Proof.
move=> step; split; first by apply: C03_rate_conditions => y; case: (step y).
move=> i z; have [p0 | p_neq0] := eqVneq (marginal_path pi pc z) 0.
  rewrite /marginal_velocity big1 ?oppr_le0 ?ler01 // => y _.
  by rewrite /posterior p0 invr0 mulr0 mul0r.
rewrite -(sum_posterior p_neq0) -sumrN; apply: ler_sum => y _.
rewrite -mulrN1; apply: ler_wpmul2l; first exact: posterior_ge0.
by have [_ diag] := step y; apply: diag.
Qed.

(* One step, first-order continuity equation: any number of movers. *)
Theorem C03_marginalization_step pc' uc :
  (forall y, step_continuity (pc y) (pc' y) (uc y)) ->
  step_continuity (marginal_path pi pc) (marginal_path pi pc')
                  (marginal_velocity pi pc uc).
Proof.
move=> cont x; rewrite divergence_marginal -sumrB -big_split /= big1 // => y _.
by rewrite -mulrBr -mulrDr cont mulr0.
Qed.

(* Where a conditional velocity moves a position, so does the marginal one:
   off the diagonal the average is of non-negative terms, and no row can
   move on its diagonal alone. *)
Lemma mover_marginal uc y z i :
  (forall y, rate_conditions (uc y)) -> pi y * pc y z != 0 ->
  moves (uc y) z i -> moves (marginal_velocity pi pc uc) z i.
Proof.
move=> rate w0 /existsP [a ua].
have [b bz ub] : exists2 b, b != z i & uc y i b z != 0.
  have [az | az] := eqVneq a (z i); last by exists a.
  apply/exists_inP; apply: contraT; rewrite negb_exists_in => /forall_inP off.
  have [_ /(_ i z)] := rate y; rewrite (bigD1 (z i)) //= -az big1.
    by move=> /eqP; rewrite addr0 (negbTE ua).
  by move=> b; rewrite az => /off; rewrite negbK => /eqP.
apply/existsP; exists b; apply: (@psum_neq0 _ _ _ y) => [y' |].
  apply: mulr_ge0; first exact: posterior_ge0.
  by have [off _] := rate y'; apply: off.
rewrite mulf_eq0 negb_or ub andbT mulf_eq0 negb_or w0 /= invr_eq0.
by apply: (@psum_neq0 _ _ _ y) => // y'; apply: mulr_ge0.
Qed.

(* C05: exact conditional samplers and at most one mover of the marginal
   velocity at each reachable state give an exact marginal sampler, and the
   first-order continuity equation. *)
Theorem C05_marginal_sampler_exact pc' uc :
  (forall y, rate_conditions (uc y)) ->
  (forall y, samples (pc y) (pc' y) (uc y)) ->
  (forall z, marginal_path pi pc z != 0 ->
     at_most_one_mover (marginal_velocity pi pc uc) z) ->
  samples (marginal_path pi pc) (marginal_path pi pc')
          (marginal_velocity pi pc uc) /\
  step_continuity (marginal_path pi pc) (marginal_path pi pc')
                  (marginal_velocity pi pc uc).
Proof.
move=> rate exact_c one.
suff h : samples (marginal_path pi pc) (marginal_path pi pc')
                 (marginal_velocity pi pc uc).
  by split=> //; apply/(C05_sampler_exact_iff_continuity _ one).
move=> x; rewrite (C05_one_mover_first_order one) divergence_marginal -sumrB.
apply: eq_bigr => y _; rewrite -mulrBr.
have [-> | pi0] := eqVneq (pi y) 0; first by rewrite !mul0r.
congr (_ * _); rewrite -exact_c C05_one_mover_first_order // => z pz i j mi mj.
have w0 : pi y * pc y z != 0 by rewrite mulf_neq0.
apply: (one z); try exact: (mover_marginal rate w0).
by apply: (@psum_neq0 _ _ _ y) => // y'; apply: mulr_ge0.
Qed.

End Facts.

(* The whole chain. *)
Theorem C03_marginalization_chain (pi : Z -> R) (pc : nat -> Z -> state -> R)
    (uc : nat -> Z -> velocity) n :
  (forall y, 0 <= pi y) -> (forall t y x, 0 <= pc t y x) ->
  (forall t y, rate_conditions (uc t y)) ->
  (forall t y, samples (pc t y) (pc t.+1 y) (uc t y)) ->
  (forall t z, marginal_path pi (pc t) z != 0 ->
     at_most_one_mover (marginal_velocity pi (pc t) (uc t)) z) ->
  run (marginal_path pi (pc 0%N))
      (fun t => step_kernel (marginal_velocity pi (pc t) (uc t))) n
  =1 marginal_path pi (pc n).
Proof.
move=> pi0 pc0 rate smp one.
apply: (run_exact (p := fun t => marginal_path pi (pc t))) => t _.
by have [] := C05_marginal_sampler_exact pi0 (pc0 t) (rate t) (smp t) (one t).
Qed.

End Marginal.

(* C04: with one position there is at most one mover. *)
Theorem C04_marginal_exact_one_token (R : numFieldType) (T Z : finType)
    (pi : Z -> R) (pc pc' : Z -> {ffun 'I_1 -> T} -> R) uc :
  (forall y, 0 <= pi y) -> (forall y x, 0 <= pc y x) ->
  (forall y, rate_conditions (uc y)) ->
  (forall y, samples (pc y) (pc' y) (uc y)) ->
  samples (marginal_path pi pc) (marginal_path pi pc') (marginal_velocity pi pc uc).
Proof.
move=> pi0 pc0 rate smp.
by apply: (proj1 (C05_marginal_sampler_exact pi0 pc0 rate smp _)) => z _ i j _ _;
  rewrite (ord1 i) (ord1 j).
Qed.
