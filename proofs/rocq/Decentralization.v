(* C08 [M, and for diffusion McAllister et al.]: decentralization.

   Experts k share the conditional paths and velocities and differ in their
   couplings pi_k, with pi = sum_k omega_k pi_k, clusters disjoint or not:

     u^i(a,z) = sum_k r_k(z) u^{k,i}(a,z),   r_k(z) = omega_k p^k(z) / p(z),

   at every state, in both times (the identity is at an instant); hence the
   routed velocity generates the central path, and its sampler is the central
   one.  Only non-negative couplings, weights and paths are asked: what an
   expert says where p^k(z) = 0 does not matter.                             *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Definitions.
Variables (R : numFieldType) (K : finType).

(* On any space S: states, or prefixes. *)
Definition mixture (S : finType) (omega : K -> R) (p : K -> S -> R) (x : S)
  : R := \sum_k omega k * p k x.

Definition router (S : finType) (omega : K -> R) (p : K -> S -> R)
  (k : K) (z : S) : R := omega k * p k z / mixture omega p z.

Definition mixed_velocity (N : nat) (T : finType)
  (r : K -> {ffun 'I_N -> T} -> R)
  (u : K -> 'I_N -> T -> {ffun 'I_N -> T} -> R) :=
  fun i a z => \sum_k r k z * u k i a z.

End Definitions.

Section Router.
Variables (R : numFieldType) (K S : finType).
Variables (omega : K -> R) (p : K -> S -> R).
Hypotheses (omega_ge0 : forall k, 0 <= omega k).
Hypotheses (p_ge0 : forall k x, 0 <= p k x).

Lemma mixture_ge0 x : 0 <= mixture omega p x.
Proof. by apply: sumr_ge0 => k _; apply: mulr_ge0. Qed.

Lemma mixture_mul_router k z :
  mixture omega p z * router omega p k z = omega k * p k z.
Proof.
by apply: mul_divK => m0; apply: (psum_eq0 _ m0) => j; apply: mulr_ge0.
Qed.

Theorem C08_router_is_pmf z :
  mixture omega p z != 0 -> is_pmf (fun k => router omega p k z).
Proof.
move=> m0; split=> [k |]; last by rewrite -mulr_suml divff.
by apply: divr_ge0; [apply: mulr_ge0 | apply: mixture_ge0].
Qed.

End Router.

(* Clusters make such experts: assign y to expert k with probability
   assign k y, hard (disjoint clusters) or soft (overlapping). *)
Section Clusters.
Variables (R : numFieldType) (K Z : finType).
Variables (pi : Z -> R) (assign : K -> Z -> R).

Definition cluster_weight (k : K) : R := \sum_y pi y * assign k y.

Definition cluster_coupling (k : K) (y : Z) : R :=
  pi y * assign k y / cluster_weight k.

Theorem C08_clusters :
  (forall y, 0 <= pi y) -> (forall k y, 0 <= assign k y) ->
  (forall y, \sum_k assign k y = 1) ->
  forall y, mixture cluster_weight cluster_coupling y = pi y.
Proof.
move=> pi0 as0 as1 y; rewrite -[RHS]mulr1 -(as1 y) mulr_sumr.
apply: eq_bigr => k _; rewrite mul_divK // => w0.
by apply: (psum_eq0 _ w0) => y'; apply: mulr_ge0.
Qed.

End Clusters.

Theorem C08_disjoint_clusters (R : numFieldType) (K Z : finType) (pi : Z -> R)
    (label : Z -> K) (assign := fun k y => (k == label y)%:R : R) :
  (forall y, 0 <= pi y) ->
  forall y, mixture (cluster_weight pi assign) (cluster_coupling pi assign) y = pi y.
Proof.
move=> pi0; apply: C08_clusters => // [k y|y]; first exact: ler0n.
exact: sum_delta1.
Qed.

Section Decentralization.
Variables (R : numFieldType) (N : nat) (T Z K : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).

Theorem C08_central_path (omega : K -> R) (pis : K -> Z -> R) pc (x : state) :
  marginal_path (mixture omega pis) pc x =
  mixture omega (fun k => marginal_path (pis k) pc) x.
Proof.
rewrite /marginal_path /mixture; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big; apply: eq_bigr => k _.
by rewrite mulr_sumr; apply: eq_bigr => y _; rewrite mulrA.
Qed.

Variables (omega : K -> R) (pis : K -> Z -> R).
Hypotheses (omega_ge0 : forall k, 0 <= omega k).
Hypotheses (pis_ge0 : forall k y, 0 <= pis k y).

Let mixture_pis_ge0 y : 0 <= mixture omega pis y.
Proof. exact: mixture_ge0. Qed.

Section Instant.
Variables (pc : Z -> state -> R) (uc : Z -> velocity).
Hypotheses (pc_ge0 : forall y x, 0 <= pc y x).

Let path k := marginal_path (pis k) pc.

Let path_ge0 k x : 0 <= path k x.
Proof. exact: marginal_path_ge0. Qed.

Theorem C08_decentralization_velocity (v : K -> velocity) :
  (forall k z, path k z != 0 ->
     forall i a, v k i a z = marginal_velocity (pis k) pc uc i a z) ->
  forall i a z,
    marginal_velocity (mixture omega pis) pc uc i a z =
    mixed_velocity (router omega path) v i a z.
Proof.
move=> v_eq i a z.
pose m := mixture omega path z.
have -> : marginal_velocity (mixture omega pis) pc uc i a z =
          (\sum_y mixture omega pis y * pc y z * uc y i a z) / m.
  rewrite mulr_suml; apply: eq_bigr => y _.
  by rewrite /posterior C08_central_path mulrAC.
have -> : mixed_velocity (router omega path) v i a z =
          (\sum_k omega k * (path k z * v k i a z)) / m.
  rewrite mulr_suml; apply: eq_bigr => k _.
  by rewrite /router mulrAC !mulrA.
congr (_ / _); under eq_bigr do rewrite /mixture -mulrA mulr_suml.
rewrite exchange_big; apply: eq_bigr => k _ /=.
under eq_bigr do rewrite -!mulrA.
rewrite -mulr_sumr; congr (_ * _); under eq_bigr do rewrite mulrA.
have [p0 | p_neq0] := eqVneq (path k z) 0.
  rewrite p0 mul0r big1 // => y _.
  suff -> : pis k y * pc y z = 0 by rewrite mul0r.
  by apply: (psum_eq0 _ p0) => y'; apply: mulr_ge0.
by rewrite v_eq // marginal_flux.
Qed.

(* First-order continuity equation of the central path, discrete time. *)
Theorem C08_decentralization_step (pc' : Z -> state -> R) (v : K -> velocity) :
  (forall k z, path k z != 0 ->
     forall i a, v k i a z = marginal_velocity (pis k) pc uc i a z) ->
  (forall y, step_continuity (pc y) (pc' y) (uc y)) ->
  step_continuity (marginal_path (mixture omega pis) pc)
                  (marginal_path (mixture omega pis) pc')
                  (mixed_velocity (router omega path) v).
Proof.
move=> v_eq cont x.
rewrite -(@divergence_eq _ _ _ _
            (marginal_velocity (mixture omega pis) pc uc)).
  exact: C03_marginalization_step.
by move=> z _ i a; apply: C08_decentralization_velocity.
Qed.

End Instant.

(* Discrete time, the whole chain, from any initial law: the routed sampler is
   the central sampler, however many positions move at once. *)
Theorem C08_decentralization_discrete (pc : nat -> Z -> state -> R)
    (uc : nat -> Z -> velocity) (v : nat -> K -> velocity) p0 n :
  (forall t y x, 0 <= pc t y x) ->
  (forall t k z, marginal_path (pis k) (pc t) z != 0 ->
     forall i a, v t k i a z = marginal_velocity (pis k) (pc t) (uc t) i a z) ->
  run p0 (fun t => step_kernel (mixed_velocity
           (router omega (fun k => marginal_path (pis k) (pc t))) (v t))) n
  =1 run p0 (fun t => step_kernel
           (marginal_velocity (mixture omega pis) (pc t) (uc t))) n.
Proof.
move=> pc0 v_eq; apply: run_eq => t _ z x; apply: eq_bigr => i _.
by rewrite (C08_decentralization_velocity (pc0 t) (v_eq t)).
Qed.

(* ... and, with at most one mover, generates the central path exactly. *)
Theorem C08_decentralization_chain (pc : nat -> Z -> state -> R)
    (uc : nat -> Z -> velocity) (v : nat -> K -> velocity) n :
  (forall t y x, 0 <= pc t y x) ->
  (forall t k z, marginal_path (pis k) (pc t) z != 0 ->
     forall i a, v t k i a z = marginal_velocity (pis k) (pc t) (uc t) i a z) ->
  (forall t y, rate_conditions (uc t y)) ->
  (forall t y, samples (pc t y) (pc t.+1 y) (uc t y)) ->
  (forall t z, marginal_path (mixture omega pis) (pc t) z != 0 ->
     at_most_one_mover
       (marginal_velocity (mixture omega pis) (pc t) (uc t)) z) ->
  run (marginal_path (mixture omega pis) (pc 0%N))
      (fun t => step_kernel (mixed_velocity
         (router omega (fun k => marginal_path (pis k) (pc t))) (v t))) n
  =1 marginal_path (mixture omega pis) (pc n).
Proof.
move=> pc0 v_eq rate smp one x.
rewrite (C08_decentralization_discrete _ _ pc0 v_eq).
exact: C03_marginalization_chain.
Qed.

End Decentralization.
