(* C18 [G]: backward velocity and corrector.

   The backward velocity is the convex-sum velocity whose pivot has the largest
   ratio: minus it satisfies the rate conditions.  alpha u^ - beta u~ with
   alpha, beta >= 0 and alpha - beta = 1 generates the path that u^ and u~
   generate: in continuous time; in discrete time to first order, and exactly
   for the conditional path at any N (velocities of one and the same step).   *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Corrector.
Variables (R : numFieldType) (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

Definition corrector (alpha beta : R) (forward backward : velocity) : velocity :=
  fun i a z => alpha * forward i a z - beta * backward i a z.

Definition opposite (u : velocity) : velocity := fun i a z => - u i a z.

Lemma divergence_corrector alpha beta p u v x :
  divergence p (corrector alpha beta u v) x =
  alpha * divergence p u x - beta * divergence p v x.
Proof.
rewrite !divergence_neighbours.
have -> : \sum_i \sum_b p (upd x i b) * corrector alpha beta u v i (x i) (upd x i b) =
    alpha * (\sum_i \sum_b p (upd x i b) * u i (x i) (upd x i b)) -
    beta * (\sum_i \sum_b p (upd x i b) * v i (x i) (upd x i b)).
  rewrite !mulr_sumr -sumrB; apply: eq_bigr => i _.
  rewrite !mulr_sumr -sumrB; apply: eq_bigr => b _.
  by rewrite /corrector; ring_in R.
by ring_in R.
Qed.

Theorem C18_corrector_continuous alpha beta dp p u v :
  alpha - beta = 1 -> continuity dp p u -> continuity dp p v ->
  continuity dp p (corrector alpha beta u v).
Proof.
move=> ab cu cv x; rewrite divergence_corrector.
have -> : dp x = alpha * dp x - beta * dp x by rewrite -mulrBl ab mul1r.
transitivity (alpha * (dp x + divergence p u x) -
              beta * (dp x + divergence p v x)); first by ring_in R.
by rewrite cu cv; ring_in R.
Qed.

Theorem C18_corrector_step_continuity alpha beta p p' u v :
  alpha - beta = 1 -> step_continuity p p' u -> step_continuity p p' v ->
  step_continuity p p' (corrector alpha beta u v).
Proof.
by move=> ab; apply: (@C18_corrector_continuous _ _ (fun x => p' x - p x)).
Qed.

(* Discrete time, any path: exact where the corrected velocity moves at most
   one position. *)
Theorem C18_corrector_samples_one_mover alpha beta p p' u v :
  alpha - beta = 1 -> step_continuity p p' u -> step_continuity p p' v ->
  (forall z, p z != 0 -> at_most_one_mover (corrector alpha beta u v) z) ->
  samples p p' (corrector alpha beta u v).
Proof.
move=> ab cu cv one; apply/(C05_sampler_exact_iff_continuity _ one).
exact: C18_corrector_step_continuity.
Qed.

Theorem C18_corrector_rate_conditions alpha beta u v :
  0 <= alpha -> 0 <= beta -> rate_conditions u -> rate_conditions (opposite v) ->
  rate_conditions (corrector alpha beta u v).
Proof.
move=> a0 b0 [off_u tot_u] [off_v tot_v]; split=> [i a z az | i z].
  rewrite /corrector -mulrN; apply: addr_ge0; apply: mulr_ge0 => //.
    exact: off_u.
  exact: off_v.
have tv : \sum_a v i a z = 0.
  by apply/eqP; rewrite -oppr_eq0 -sumrN; apply/eqP; apply: tot_v.
by rewrite /corrector sumrB -!mulr_sumr tot_u tv !mulr0 subr0.
Qed.

(* beta is limited by the diagonal. *)
Theorem C18_corrector_step_conditions alpha beta u v :
  0 <= alpha -> 0 <= beta -> rate_conditions u -> rate_conditions (opposite v) ->
  (forall i (z : state), -1 <= alpha * u i (z i) z - beta * v i (z i) z) ->
  step_conditions (corrector alpha beta u v).
Proof. by move=> a0 b0 cu cv diag; split=> //; apply: C18_corrector_rate_conditions. Qed.

Variable J : finType.

(* Backward: dkappa^j <= 0 where kappa^j = 0 holds for a left derivative. *)
Theorem C18_argmax_backward_conditions (kappa dkappa : J -> 'I_N -> R) w l :
  is_base w -> is_schedule kappa ->
  (forall i, \sum_j dkappa j i = 0) ->
  (forall i, kappa (l i) i != 0) ->
  (forall j i, kappa j i = 0 -> dkappa j i <= 0) ->
  (forall j i, kappa j i != 0 ->
     dkappa j i / kappa j i <= dkappa (l i) i / kappa (l i) i) ->
  rate_conditions (opposite (convex_velocity kappa dkappa w l)).
Proof.
move=> base sch dk0 l0 at0 argmax.
split=> [i a z /negbTE az | i z]; last first.
  rewrite sumrN convex_velocity_total ?oppr0 //; by case: (sch i).
rewrite /opposite /convex_velocity az mulr0 addr0 -sumrN; apply: sumr_ge0 => j _.
rewrite -[X in 0 <= X]mulNr; apply: mulr_ge0; last by case: (base j i).
have [k0 | k_neq0] := eqVneq (kappa j i) 0.
  by rewrite k0 mul0r subr0 oppr_ge0; apply: at0.
have k_gt0 : 0 < kappa j i by rewrite lt0r k_neq0; have [ge0 _] := sch i; apply: ge0.
by rewrite opprB subr_ge0 mulrC -ler_pdivr_mulr //; apply: argmax.
Qed.

(* Discrete time, conditional path: exact at any N, for any two pivots. *)
Theorem C18_corrector_conditional_samples alpha beta
    (kappa kappa' : J -> 'I_N -> R) w l l' :
  alpha - beta = 1 -> is_base w -> is_schedule kappa ->
  (forall i, kappa (l i) i != 0) -> (forall i, kappa (l' i) i != 0) ->
  samples (convex_path kappa w) (convex_path kappa' w)
    (corrector alpha beta (convex_step_velocity kappa kappa' w l)
                          (convex_step_velocity kappa kappa' w l')).
Proof.
move=> ab base sch l0 l0' x.
pose dk j i := kappa' j i - kappa j i.
pose g m (i : 'I_N) a c :=
  \sum_j (dk j i - kappa j i * (dk (m i) i / kappa (m i) i)) * w j i a +
  dk (m i) i / kappa (m i) i * (a == c)%:R.
pose h i a c := alpha * g l i a c - beta * g l' i a c.
rewrite /push; under eq_bigr => z _.
  rewrite (_ : step_kernel _ z x = step_kernel (local_velocity h) z x); last first.
    by apply: eq_bigr => i _; rewrite /corrector !convex_step_velocityE.
  over.
apply: samples_product => i a; rewrite /h.
have flux m : \sum_b convex_token kappa w i b * g m i a b =
              convex_token dk w i a.
  by apply: convex_velocity_flux => //; case: (sch i).
under eq_bigr do rewrite mulrBr mulrCA [X in _ - X]mulrCA.
rewrite sumrB -!mulr_sumr !flux -mulrBl ab mul1r.
by rewrite /convex_token -sumrB; apply: eq_bigr => j _; rewrite mulrBl.
Qed.

End Corrector.
