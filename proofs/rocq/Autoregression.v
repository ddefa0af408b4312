(* C06 [M]: autoregression is the degenerate masked schedule.

   rank i is the step that reveals position i (rank i = i: left to right; any
   injective rank: any order), and kappa_t^i = 1[rank i < t].  At reachable z

     u_t^i(., z) = 1[rank i = t] (q(. | revealed tokens of z) - delta_mask),

   one step draws the next token from q given the revealed ones, and the chain
   from the all-mask state ends in q exactly; likewise every masked schedule
   from 0 to 1 that moves one position a step.                               *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Autoregression.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field : (numfield_theory R).

(* q as a law on states without masks. *)
Definition data_law (q : data -> R) (x : state) : R :=
  \sum_y q y * (x == reveal_all y)%:R.

Definition mask_law (x : state) : R := (x == all_mask N V)%:R.

Definition masked_step (q : data -> R) (kappa kappa' : 'I_N -> R) :=
  marginal_velocity q (masked_path kappa) (masked_velocity kappa kappa').

(* The law of the sampler after n steps. *)
Definition masked_chain (q : data -> R) (kappa : nat -> 'I_N -> R) n :=
  run mask_law (fun t => step_kernel (masked_step q (kappa t) (kappa t.+1))) n.

Definition revealing_schedule (kappa : nat -> 'I_N -> R) : Prop :=
  [/\ forall t, unit_interval (kappa t),
      forall t i, kappa t i <= kappa t.+1 i & forall i, kappa 0%N i = 0].

Definition one_position_a_step (kappa : nat -> 'I_N -> R) : Prop :=
  forall t i j, kappa t.+1 i != kappa t i -> kappa t.+1 j != kappa t j -> i = j.

Lemma reveal_all_inj : injective (@reveal_all N V).
Proof.
move=> y y' /ffunP e; apply/ffunP => i.
by have := e i; rewrite !ffunE => -[].
Qed.

Lemma data_law_reveal_all q y : data_law q (reveal_all y) = q y.
Proof.
rewrite /data_law; under eq_bigr do rewrite (inj_eq reveal_all_inj).
exact: sum_deltar.
Qed.

Lemma masked_start q kappa x :
  \sum_y q y = 1 -> (forall i, kappa i = 0) ->
  marginal_path q (masked_path kappa) x = mask_law x.
Proof.
move=> q1 k0; rewrite -[RHS]mul1r -q1 mulr_suml; apply: eq_bigr => y _.
congr (_ * _); apply: (C01_convex_path_endpoint (l := false)) => [[] i|i a].
- by rewrite /= k0.
- by rewrite /= k0 subr0.
- by rewrite ffunE.
Qed.

Lemma masked_end q kappa x :
  (forall i, kappa i = 1) -> marginal_path q (masked_path kappa) x = data_law q x.
Proof.
move=> k1; apply: eq_bigr => y _; congr (_ * _).
apply: (C01_convex_path_endpoint (l := true)) => [[] i|i a].
- by rewrite /= k1.
- by rewrite /= k1 subrr.
- by rewrite ffunE.
Qed.

Lemma masked_step_still q kappa kappa' i a z :
  kappa' i = kappa i -> masked_step q kappa kappa' i a z = 0.
Proof.
move=> k; rewrite /masked_step /marginal_velocity big1 // => y _.
by rewrite /masked_velocity k subrr mul0r mul0r mulr0.
Qed.

Lemma masked_step_one_mover q kappa kappa' z :
  (forall i j, kappa' i != kappa i -> kappa' j != kappa j -> i = j) ->
  at_most_one_mover (masked_step q kappa kappa') z.
Proof.
move=> one i j /existsP [a ua] /existsP [b ub]; apply: one.
  by apply: contraNneq ua => k; rewrite masked_step_still.
by apply: contraNneq ub => k; rewrite masked_step_still.
Qed.

Theorem C06_masked_chain_law q kappa n :
  is_pmf q -> revealing_schedule kappa -> one_position_a_step kappa ->
  masked_chain q kappa n =1 marginal_path q (masked_path (kappa n)).
Proof.
move=> [q0 q1] [k01 mono k0] one x.
have start z : marginal_path q (masked_path (kappa 0%N)) z = mask_law z.
  exact: masked_start.
have -> : masked_chain q kappa n x = run (marginal_path q (masked_path (kappa 0%N)))
    (fun t => step_kernel (masked_step q (kappa t) (kappa t.+1))) n x.
  rewrite /masked_chain; elim: n x => [|n IH] x; first by rewrite /= start.
  by rewrite /= /push; apply: eq_bigr => z _; rewrite IH.
apply: C03_marginalization_chain => //.
- by move=> t y z; apply: masked_path_ge0.
- by move=> t y; have [] := C04_masked_step_conditions y (k01 t) (k01 t.+1) (mono t).
- move=> t y; apply: C04_masked_step_samples => // i k1; apply/eqP.
  have /andP [_ le1] := k01 t.+1 i; rewrite eq_le le1 /=.
  by rewrite -[X in X <= _]k1; apply: mono.
- by move=> t z _; apply: masked_step_one_mover; apply: one.
Qed.

Theorem C06_one_position_a_step_exact q kappa n :
  is_pmf q -> revealing_schedule kappa -> one_position_a_step kappa ->
  (forall i, kappa n i = 1) ->
  masked_chain q kappa n =1 data_law q.
Proof.
by move=> qp sch one k1 x; rewrite C06_masked_chain_law // masked_end.
Qed.

Definition order_schedule (rank : 'I_N -> nat) (t : nat) (i : 'I_N) : R :=
  (rank i < t)%N%:R.

Lemma order_revealing rank : revealing_schedule (order_schedule rank).
Proof.
split=> [t i|t i|i]; rewrite /order_schedule ?ler0n ?lern1 ?leq_b1 //.
by rewrite ler_nat ltnS; case: ltngtP.
Qed.

Lemma order_step rank t i :
  order_schedule rank t.+1 i - order_schedule rank t i = (rank i == t)%:R.
Proof.
rewrite /order_schedule ltnS leq_eqVlt; case: eqP => [-> | _].
  by rewrite ltnn subr0.
by rewrite subrr.
Qed.

Lemma order_one_position rank :
  injective rank -> one_position_a_step (order_schedule rank).
Proof.
move=> inj t.
have moved i : order_schedule rank t.+1 i != order_schedule rank t i -> rank i = t.
  by rewrite -subr_eq0 order_step pnatr_eq0 eqb0 negbK => /eqP.
by move=> i j /moved ri /moved rj; apply: inj; rewrite ri rj.
Qed.

(* Any reveal order, the whole chain. *)
Theorem C06_any_order_exact q (rank : 'I_N -> nat) n :
  is_pmf q -> injective rank -> (forall i, (rank i < n)%N) ->
  masked_chain q (order_schedule rank) n =1 data_law q.
Proof.
move=> qp inj last; apply: C06_one_position_a_step_exact => //.
- exact: order_revealing.
- exact: order_one_position.
- by move=> i; rewrite /order_schedule last.
Qed.

(* Left to right, N steps. *)
Theorem C06_autoregression_exact q :
  is_pmf q -> forall y : data,
  masked_chain q (order_schedule (@nat_of_ord N)) N (reveal_all y) = q y.
Proof.
move=> qp y; rewrite C06_any_order_exact ?data_law_reveal_all //.
exact: ord_inj.
Qed.

(* At a reachable state the hidden positions are those still to come. *)
Lemma order_reachable q rank t (z : state) i :
  marginal_path q (masked_path (order_schedule rank t)) z != 0 ->
  (z i == None) = (t <= rank i)%N.
Proof.
rewrite C22_path_factorization mulf_eq0 negb_or => /andP [_].
rewrite /schedule_weight (bigD1 i) //= mulf_eq0 negb_or => /andP [+ _].
rewrite /order_schedule ltnNge; case: (z i) => [v|] /=; case: leqP => //=.
  by rewrite eqxx.
by rewrite subrr !eqxx.
Qed.

Theorem C06_autoregressive_velocity q rank t i a z :
  marginal_path q (masked_path (order_schedule rank t)) z != 0 ->
  masked_step q (order_schedule rank t) (order_schedule rank t.+1) i a z =
  (rank i == t)%:R * (next_token q z i a - (a == None)%:R).
Proof.
move=> pz; rewrite /masked_step C22_marginal_velocity // order_step.
rewrite (order_reachable _ pz) /order_schedule ltnNge.
case: eqP => [-> | _]; last by rewrite !(mul0r, mulr0).
by rewrite leqnn /= subr0 divr1 mulr1.
Qed.

(* One step draws the token at the revealed position from q given the rest. *)
Theorem C06_step_is_next_token_sampling q rank i (z x : state) :
  injective rank ->
  marginal_path q (masked_path (order_schedule rank (rank i))) z != 0 ->
  step_kernel (masked_step q (order_schedule rank (rank i))
                 (order_schedule rank (rank i).+1)) z x =
  \sum_a next_token q z i a * (x == upd z i a)%:R.
Proof.
move=> inj pz; have zi : z i = None.
  by apply/eqP; rewrite (order_reachable _ pz).
rewrite step_kernel_one_mover; last first.
  apply: masked_step_one_mover => j k mj mk.
  exact: (order_one_position inj mj mk).
rewrite (bigD1 i) //= big1 ?addr0; last first.
  move=> j ji; rewrite C06_autoregressive_velocity //.
  by rewrite (inj_eq inj) (negbTE ji) mul0r mulr0.
rewrite C06_autoregressive_velocity // eqxx mul1r (eq_state_off R i) zi.
transitivity ((agree_off i z x)%:R * next_token q z i (x i)).
  rewrite (_ : @eq_op (Finite.eqType (option_finType V)) (x i) None =
               (x i == None)) //.
  by ring_in R.
rewrite (bigD1 (x i)) //= big1 ?addr0; last first.
  move=> a /negbTE ax; rewrite (eq_state_off R i) upd_at.
  by rewrite eq_sym ax mul0r mulr0.
rewrite (eq_state_off R i) upd_at eqxx mul1r mulrC; congr (_ * _%:R).
congr nat_of_bool; apply: eq_forallb => j.
by case: eqP => [//|/eqP ji]; rewrite upd_off.
Qed.

(* Prefixes, and the chain rule. *)
Definition prefix (t : nat) (y : data) : state :=
  [ffun i : 'I_N => if (i < t)%N then Some (y i) else None].

Lemma prefix_next (y : data) (i : 'I_N) :
  prefix i.+1 y = upd (prefix i y) i (Some (y i)).
Proof.
apply/ffunP => j; rewrite !ffunE ltnS leq_eqVlt; have [-> | ji] := eqVneq j i.
  by rewrite eqxx.
by rewrite (inj_eq val_inj) (negbTE ji).
Qed.

Lemma prefix_mass0 (q : data -> R) y : \sum_y q y = 1 -> revealed_mass q (prefix 0 y) = 1.
Proof.
move=> <-; apply: eq_bigr => y' _.
rewrite (_ : agrees _ _) ?mulr1 //.
by apply/forallP => i; rewrite ffunE.
Qed.

Lemma prefix_massN (q : data -> R) y : revealed_mass q (prefix N y) = q y.
Proof.
rewrite -[RHS](sum_deltar y); apply: eq_bigr => y' _; congr (_ * _%:R).
congr nat_of_bool; apply/forallP/eqP => [h | -> i]; last first.
  by rewrite ffunE ltn_ord eqxx.
by apply/ffunP => i; have := h i; rewrite ffunE ltn_ord => /eqP [].
Qed.

Lemma prefix_mass_mono (q : data -> R) y (i : 'I_N) :
  (forall y, 0 <= q y) -> revealed_mass q (prefix i y) = 0 ->
  revealed_mass q (prefix i.+1 y) = 0.
Proof.
move=> q0 s0; have h : forall y', q y' * (agrees (prefix i y) y')%:R = 0.
  by apply: psum_eq0 s0 => y'; rewrite mulr_ge0 ?ler0n.
rewrite prefix_next revealed_mass_upd; last by rewrite ffunE ltnn.
by rewrite big1 // => y' _; rewrite h mul0r.
Qed.

Theorem C06_chain_rule (q : data -> R) y :
  is_pmf q ->
  q y = \prod_(i < N) next_token q (prefix i y) i (Some (y i)).
Proof.
move=> [q0 q1].
have h t : (t <= N)%N -> \prod_(i < N | (i < t)%N)
    next_token q (prefix i y) i (Some (y i)) = revealed_mass q (prefix t y).
  elim: t => [|t IH] tN; first by rewrite big_pred0_eq prefix_mass0.
  rewrite (bigD1 (Ordinal tN)) //=.
  rewrite (eq_bigl (fun i : 'I_N => (i < t)%N)); last first.
    move=> i; rewrite ltnS leq_eqVlt -(inj_eq val_inj) /=.
    by case: ltngtP.
  rewrite IH ?(ltnW tN) // mulrC /next_token.
  rewrite -(prefix_next y (Ordinal tN)); apply: mul_divK.
  exact: (@prefix_mass_mono q y (Ordinal tN)).
rewrite -[LHS]prefix_massN -h //; apply: eq_bigl => i.
by rewrite ltn_ord.
Qed.

End Autoregression.
