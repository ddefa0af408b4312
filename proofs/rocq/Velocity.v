(* Probability velocities: conditions, divergence, continuity, sampler; and
   the product rule of one step (C05, C21).

   At a state z, u^i(a, z) is the rate (continuous time) or the increment
   (discrete time) of the pmf of token i:

     div_x(p u) = - sum_z p(z) sum_i delta_z(x^{-i}) u^i(x^i, z),
     one step:  X'^i ~ delta_{z^i} + u^i(., z), positions independent given z.

   C05: where at most one position moves at each reachable z, one step of the
   sampler is the first-order step p - div(p u): exact iff continuity holds.  *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Pmf.
Variable R : numFieldType.

Definition is_pmf (S : finType) (p : S -> R) : Prop :=
  (forall x, 0 <= p x) /\ \sum_x p x = 1.

(* One step of a Markov chain with kernel k. *)
Definition push (S : finType) (p : S -> R) (k : S -> S -> R) (x : S) : R :=
  \sum_z p z * k z x.

(* The law after n steps from p0. *)
Fixpoint run (S : finType) (p0 : S -> R) (k : nat -> S -> S -> R) (n : nat)
  : S -> R :=
  if n is t.+1 then push (run p0 k t) (k t) else p0.

End Pmf.

Section Velocity.
Variables (R : numFieldType) (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

Definition rate_conditions (u : velocity) : Prop :=
  (forall i a (z : state), a != z i -> 0 <= u i a z) /\
  (forall i z, \sum_a u i a z = 0).

Definition step_conditions (u : velocity) : Prop :=
  rate_conditions u /\ forall i (z : state), -1 <= u i (z i) z.

Definition divergence (p : state -> R) (u : velocity) (x : state) : R :=
  - \sum_z p z * \sum_i (agree_off i z x)%:R * u i (x i) z.

(* Discrete time: p' - p + div(p u) = 0. *)
Definition step_continuity (p p' : state -> R) (u : velocity) : Prop :=
  forall x, p' x - p x + divergence p u x = 0.

(* Continuous time, at an instant where the path has derivative dp. *)
Definition continuity (dp p : state -> R) (u : velocity) : Prop :=
  forall x, dp x + divergence p u x = 0.

Definition step_kernel (u : velocity) (z x : state) : R :=
  \prod_i ((x i == z i)%:R + u i (x i) z).

(* The sampler takes the law p to p' in one step. *)
Definition samples (p p' : state -> R) (u : velocity) : Prop :=
  forall x, push p (step_kernel u) x = p' x.

Definition moves (u : velocity) (z : state) (i : 'I_N) : bool :=
  [exists a, u i a z != 0].

Definition at_most_one_mover (u : velocity) (z : state) : Prop :=
  forall i j, moves u z i -> moves u z j -> i = j.

Lemma movesPn u z i : ~~ moves u z i -> forall a, u i a z = 0.
Proof.
rewrite negb_exists => /forallP h a.
by have := h a; rewrite negbK => /eqP.
Qed.

Lemma divergence_neighbours p u x :
  divergence p u x =
  - \sum_i \sum_b p (upd x i b) * u i (x i) (upd x i b).
Proof.
congr (- _).
rewrite (eq_bigr (fun z => \sum_i (agree_off i z x)%:R * (p z * u i (x i) z))).
  by rewrite exchange_big; apply: eq_bigr => i _; rewrite sum_agree_off.
move=> z _; rewrite mulr_sumr; apply: eq_bigr => i _; exact: mulrCA.
Qed.

Lemma divergence_eq p u v :
  (forall z, p z != 0 -> forall i a, u i a z = v i a z) ->
  divergence p u =1 divergence p v.
Proof.
move=> uv x; congr (- _); apply: eq_bigr => z _.
have [-> | /uv e] := eqVneq (p z) 0; first by rewrite !mul0r.
by congr (_ * _); apply: eq_bigr => i _; rewrite e.
Qed.

(* delta + u is a pmf at every position, so the kernel is one on states. *)
Theorem C04_step_kernel_is_pmf u z :
  step_conditions u -> is_pmf (step_kernel u z).
Proof.
move=> [[off total] diag]; split=> [x | ].
  apply: prodr_ge0 => i _; case: (eqVneq (x i) (z i)) => [-> | xz].
    by rewrite -ler_subl_addl sub0r; apply: diag.
  by rewrite add0r; apply: off.
rewrite (sum_prod (fun i a => (a == z i)%:R + u i a z)) big1 // => i _.
by rewrite big_split /= sum_delta1 total addr0.
Qed.

Lemma step_kernel_one_mover u z x :
  at_most_one_mover u z ->
  step_kernel u z x =
  (x == z)%:R + \sum_i (agree_off i z x)%:R * u i (x i) z.
Proof.
move=> one; rewrite /step_kernel.
have [i mi | none] := pickP (moves u z).
  have still j : j != i -> forall a, u j a z = 0.
    move=> ji; apply: movesPn; apply: contra ji => mj.
    by apply/eqP; apply: one.
  rewrite (bigD1 i) //= (eq_bigr (fun j => (x j == z j)%:R)); last first.
    by move=> j ji; rewrite still // addr0.
  rewrite -agree_off_prod mulrDl -eq_state_off; congr (_ + _).
  rewrite (bigD1 i) //= [X in _ + X]big1 ?addr0 1?mulrC // => j ji.
  by rewrite still ?mulr0.
have still j a : u j a z = 0 by apply: movesPn; rewrite none.
rewrite [X in _ + X]big1 ?addr0; last by move=> i _; rewrite still mulr0.
by rewrite eq_state; apply: eq_bigr => i _; rewrite still addr0.
Qed.

Theorem C05_one_mover_first_order p u :
  (forall z, p z != 0 -> at_most_one_mover u z) ->
  forall x, push p (step_kernel u) x = p x - divergence p u x.
Proof.
move=> one x; rewrite /push /divergence opprK.
rewrite -[X in X + _](sum_deltar x) -big_split /=.
apply: eq_bigr => z _; rewrite -mulrDr.
have [-> | /one pz] := eqVneq (p z) 0; first by rewrite !mul0r.
by rewrite step_kernel_one_mover.
Qed.

Theorem C05_sampler_exact_iff_continuity p p' u :
  (forall z, p z != 0 -> at_most_one_mover u z) ->
  samples p p' u <-> step_continuity p p' u.
Proof.
move=> one; split=> h x.
  by rewrite -h C05_one_mover_first_order //; ring_in R.
rewrite C05_one_mover_first_order // -[LHS]addr0 -(h x).
by ring_in R.
Qed.

End Velocity.
