(* C01, C04 and the discrete part of C02: convex-sum paths.

   The conditional path is p(x) = prod_i sum_j kappa^{j,i} w^j(x^i), convex
   weights kappa of base pmfs w at each position.
   C01: it is a pmf path with the right end points, and so is the marginal.
   C04: for every pivot l with kappa^l > 0, with
     a^j = kappa'^j - kappa^j kappa'^l / kappa^l,   b = kappa'^l / kappa^l - 1,
   u^i(a,z) = sum_j a^j w^j(a) + b delta_{z^i}(a) samples the next path exactly
   at any N; for the pivot of the smallest kappa'^l / kappa^l it satisfies the
   velocity conditions.                                                      *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section ProductPath.
Variables (R : numFieldType) (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

Definition product_path (f : 'I_N -> T -> R) (x : state) : R :=
  \prod_i f i (x i).

(* A velocity whose position i looks at token i only. *)
Definition local_velocity (g : 'I_N -> T -> T -> R) : velocity :=
  fun i a z => g i a (z i).

Lemma product_path_is_pmf f :
  (forall i, is_pmf (f i)) -> is_pmf (product_path f).
Proof.
move=> f_pmf; split=> [x|].
  by apply: prodr_ge0 => i _; case: (f_pmf i).
by rewrite sum_prod big1 // => i _; case: (f_pmf i).
Qed.

Lemma divergence_product f g df :
  (forall i a, \sum_b f i b * g i a b = df i a) ->
  forall x, divergence (product_path f) (local_velocity g) x =
    - \sum_i df i (x i) * \prod_(j | j != i) f j (x j).
Proof.
move=> h x; rewrite divergence_neighbours; congr (- _).
apply: eq_bigr => i _; rewrite -h mulr_suml; apply: eq_bigr => b _.
by rewrite /product_path /local_velocity prod_upd upd_at mulrAC.
Qed.

Lemma samples_product f f' g :
  (forall i a, \sum_b f i b * g i a b = f' i a - f i a) ->
  samples (product_path f) (product_path f') (local_velocity g).
Proof.
move=> h x; rewrite /push /product_path /step_kernel.
under eq_bigr do rewrite -big_split /=.
rewrite (sum_prod (fun i b => f i b * ((x i == b)%:R + g i (x i) b))).
apply: eq_bigr => i _; under eq_bigr do rewrite mulrDr.
by rewrite big_split /= h sum_deltar; ring_in R.
Qed.

End ProductPath.

Section ConvexPath.
Variables (R : numFieldType) (N : nat) (T J : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

Definition convex_token (kappa : J -> 'I_N -> R) (w : J -> 'I_N -> T -> R)
  (i : 'I_N) (a : T) : R := \sum_j kappa j i * w j i a.

Definition convex_path kappa w : state -> R :=
  product_path (convex_token kappa w).

(* dkappa is the derivative of the schedule. *)
Definition convex_velocity (kappa dkappa : J -> 'I_N -> R)
  (w : J -> 'I_N -> T -> R) (l : 'I_N -> J) : velocity :=
  fun i a z =>
    let b := dkappa (l i) i / kappa (l i) i in
    \sum_j (dkappa j i - kappa j i * b) * w j i a + b * (a == z i)%:R.

(* kappa' is the schedule at the next step. *)
Definition convex_step_velocity (kappa kappa' : J -> 'I_N -> R)
  (w : J -> 'I_N -> T -> R) (l : 'I_N -> J) : velocity :=
  fun i a z =>
    let ratio := kappa' (l i) i / kappa (l i) i in
    \sum_j (kappa' j i - kappa j i * ratio) * w j i a
    + (ratio - 1) * (a == z i)%:R.

Definition is_schedule (kappa : J -> 'I_N -> R) : Prop :=
  forall i, is_pmf (kappa^~ i).

Definition is_base (w : J -> 'I_N -> T -> R) : Prop :=
  forall j i, is_pmf (w j i).

Lemma convex_token_is_pmf kappa w i :
  is_schedule kappa -> is_base w -> is_pmf (convex_token kappa w i).
Proof.
move=> sch base; split=> [a|].
  apply: sumr_ge0 => j _; apply: mulr_ge0; first by case: (sch i).
  by case: (base j i).
rewrite exchange_big /= -[RHS](proj2 (sch i)); apply: eq_bigr => j _.
by rewrite -mulr_sumr (proj2 (base j i)) mulr1.
Qed.

Theorem C01_convex_path_is_pmf kappa w :
  is_schedule kappa -> is_base w -> is_pmf (convex_path kappa w).
Proof.
by move=> sch base; apply: product_path_is_pmf => i; apply: convex_token_is_pmf.
Qed.

(* When the schedule sits on a base that is a point mass, so does the path. *)
Theorem C01_convex_path_endpoint kappa w l (y : state) :
  (forall j i, kappa j i = (j == l)%:R) ->
  (forall i a, w l i a = (a == y i)%:R) ->
  forall x, convex_path kappa w x = (x == y)%:R.
Proof.
move=> on_l delta x; rewrite eq_state; apply: eq_bigr => i _.
rewrite -delta -(sum_delta l (fun j => w j i (x i))).
by apply: eq_bigr => j _; rewrite on_l.
Qed.

Lemma convex_velocity_total kappa dkappa w l i z :
  is_base w -> kappa (l i) i != 0 -> \sum_j kappa j i = 1 ->
  \sum_j dkappa j i = 0 -> \sum_a convex_velocity kappa dkappa w l i a z = 0.
Proof.
move=> base l0 k1 dk0; rewrite big_split /= exchange_big /=.
under eq_bigr do rewrite -mulr_sumr (proj2 (base _ _)) mulr1.
rewrite sumrB dk0 -mulr_suml k1 -mulr_sumr sum_delta1.
by ring_in R.
Qed.

(* What the velocity does to its own token law: the derivative of the path. *)
Lemma convex_velocity_flux kappa dkappa w (l : 'I_N -> J) i a
    (b := dkappa (l i) i / kappa (l i) i) :
  is_base w -> \sum_j kappa j i = 1 ->
  \sum_c convex_token kappa w i c *
    (\sum_j (dkappa j i - kappa j i * b) * w j i a + b * (a == c)%:R) =
  convex_token dkappa w i a.
Proof.
move=> base k1; under eq_bigr do rewrite mulrDr mulrCA.
rewrite big_split /= -mulr_suml -mulr_sumr sum_deltar.
have -> : \sum_c convex_token kappa w i c = 1.
  rewrite exchange_big /= -[RHS]k1; apply: eq_bigr => j _.
  by rewrite -mulr_sumr (proj2 (base j i)) mulr1.
rewrite mul1r /convex_token mulr_sumr -big_split /=.
by apply: eq_bigr => j _; ring_in R.
Qed.

(* One formula: a step is the velocity of the increments of the schedule. *)
Lemma convex_step_velocityE kappa kappa' w l i a z :
  kappa (l i) i != 0 ->
  convex_step_velocity kappa kappa' w l i a z =
  convex_velocity kappa (fun j i => kappa' j i - kappa j i) w l i a z.
Proof.
move=> l0; have e : (kappa' (l i) i - kappa (l i) i) / kappa (l i) i =
          kappa' (l i) i / kappa (l i) i - 1 by rewrite mulrBl divff.
rewrite /convex_velocity /convex_step_velocity e; congr (_ + _).
by apply: eq_bigr => j _; ring_in R.
Qed.

Theorem C04_convex_step_samples kappa kappa' w l :
  is_base w -> is_schedule kappa -> (forall i, kappa (l i) i != 0) ->
  samples (convex_path kappa w) (convex_path kappa' w)
          (convex_step_velocity kappa kappa' w l).
Proof.
move=> base sch l0 x.
pose dk j i := kappa' j i - kappa j i.
pose g i a c := \sum_j (dk j i - kappa j i * (dk (l i) i / kappa (l i) i)) *
                w j i a + dk (l i) i / kappa (l i) i * (a == c)%:R.
rewrite /push; under eq_bigr => z _.
  rewrite (_ : step_kernel _ z x = step_kernel (local_velocity g) z x); last first.
    by apply: eq_bigr => i _; rewrite convex_step_velocityE.
  over.
apply: samples_product => i a.
rewrite /g convex_velocity_flux //; last by case: (sch i).
by rewrite /convex_token -sumrB; apply: eq_bigr => j _; rewrite mulrBl.
Qed.

(* C02: the sign condition.  dkappa^j >= 0 where kappa^j = 0 holds for a right
   derivative, kappa being non-negative. *)
Theorem C02_argmin_rate_conditions kappa dkappa w l :
  is_base w -> is_schedule kappa ->
  (forall i, \sum_j dkappa j i = 0) ->
  (forall i, kappa (l i) i != 0) ->
  (forall j i, kappa j i = 0 -> 0 <= dkappa j i) ->
  (forall j i, kappa j i != 0 ->
     dkappa (l i) i / kappa (l i) i <= dkappa j i / kappa j i) ->
  rate_conditions (convex_velocity kappa dkappa w l).
Proof.
move=> base sch dk0 l0 at0 argmin.
split=> [i a z /negbTE az | i z]; last first.
  by apply: convex_velocity_total => //; case: (sch i).
rewrite /convex_velocity az mulr0 addr0; apply: sumr_ge0 => j _.
apply: mulr_ge0; last by case: (base j i).
have [k0 | k_neq0] := eqVneq (kappa j i) 0.
  by rewrite k0 mul0r subr0; apply: at0.
have k_gt0 : 0 < kappa j i by rewrite lt0r k_neq0; have [ge0 _] := sch i; apply: ge0.
by rewrite subr_ge0 mulrC -ler_pdivl_mulr //; apply: argmin.
Qed.

(* C02: pivots with one and the same rate give one and the same velocity. *)
Theorem C02_ties kappa dkappa w l l' :
  (forall i, dkappa (l i) i / kappa (l i) i =
             dkappa (l' i) i / kappa (l' i) i) ->
  forall i a z, convex_velocity kappa dkappa w l i a z =
                convex_velocity kappa dkappa w l' i a z.
Proof. by move=> tie i a z; rewrite /convex_velocity tie. Qed.

Theorem C04_argmin_step_conditions kappa kappa' w l :
  is_base w -> is_schedule kappa -> is_schedule kappa' ->
  (forall i, kappa (l i) i != 0) ->
  (forall j i, kappa j i != 0 ->
     kappa' (l i) i / kappa (l i) i <= kappa' j i / kappa j i) ->
  step_conditions (convex_step_velocity kappa kappa' w l).
Proof.
move=> base sch sch' l0 argmin.
have a_ge0 j i : 0 <= kappa' j i - kappa j i * (kappa' (l i) i / kappa (l i) i).
  have [k0 | k_neq0] := eqVneq (kappa j i) 0.
    by rewrite k0 mul0r subr0; case: (sch' i).
  have k_gt0 : 0 < kappa j i by rewrite lt0r k_neq0; have [ge0 _] := sch i; apply: ge0.
  by rewrite subr_ge0 mulrC -ler_pdivl_mulr //; apply: argmin.
have s_ge0 i a :
    0 <= \sum_j (kappa' j i - kappa j i * (kappa' (l i) i / kappa (l i) i)) *
                w j i a.
  by apply: sumr_ge0 => j _; apply: mulr_ge0 => //; case: (base j i).
split; last first.
  move=> i z; rewrite /convex_step_velocity eqxx mulr1 addrA.
  rewrite -subr_ge0 opprK subrK; apply: addr_ge0 => //.
  by apply: divr_ge0; [case: (sch' i) | case: (sch i)].
split=> [i a z /negbTE az | i z].
  by rewrite /convex_step_velocity az mulr0 addr0.
under eq_bigr do rewrite convex_step_velocityE //.
apply: convex_velocity_total => //; first by case: (sch i).
by rewrite sumrB (proj2 (sch i)) (proj2 (sch' i)) subrr.
Qed.

End ConvexPath.

Section MarginalEndPoints.
Variables (R : numFieldType) (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.

Theorem C01_marginal_path_is_pmf (Z : finType) (pi : Z -> R)
    (pc : Z -> state -> R) :
  is_pmf pi -> (forall y, is_pmf (pc y)) -> is_pmf (marginal_path pi pc).
Proof.
move=> [pi0 pi1] pc_pmf; split=> [x|].
  by apply: marginal_path_ge0 => // y; case: (pc_pmf y).
rewrite exchange_big -[RHS]pi1; apply: eq_bigr => y _ /=.
by rewrite -mulr_sumr (proj2 (pc_pmf y)) mulr1.
Qed.

(* Couplings: y = (x0, x1). *)
Theorem C01_marginal_start (pi : state * state -> R) (p : state -> R) pc :
  (forall x0, \sum_x1 pi (x0, x1) = p x0) ->
  (forall y x, pc y x = (x == y.1)%:R) ->
  forall x, marginal_path pi pc x = p x.
Proof.
move=> pi_p pc0 x; rewrite /marginal_path.
rewrite (eq_bigr (fun y => pi (y.1, y.2) * pc (y.1, y.2) x)); last by case.
rewrite -(pair_bigA _ (fun x0 x1 => pi (x0, x1) * pc (x0, x1) x)) /=.
rewrite -[RHS](sum_deltar x); apply: eq_bigr => x0 _.
by rewrite -pi_p mulr_suml; apply: eq_bigr => x1 _; rewrite pc0.
Qed.

Theorem C01_marginal_end (pi : state * state -> R) (q : state -> R) pc :
  (forall x1, \sum_x0 pi (x0, x1) = q x1) ->
  (forall y x, pc y x = (x == y.2)%:R) ->
  forall x, marginal_path pi pc x = q x.
Proof.
move=> pi_q pc1 x; rewrite /marginal_path.
rewrite (eq_bigr (fun y => pi (y.1, y.2) * pc (y.1, y.2) x)); last by case.
rewrite -(pair_bigA _ (fun x0 x1 => pi (x0, x1) * pc (x0, x1) x)) /=.
rewrite exchange_big -[RHS](sum_deltar x); apply: eq_bigr => x1 _ /=.
by rewrite -pi_q mulr_suml; apply: eq_bigr => x0 _; rewrite pc1.
Qed.

End MarginalEndPoints.
