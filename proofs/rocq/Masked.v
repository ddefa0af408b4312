(* C22: the masked source.  A token is None (the mask) or Some v.

   The conditional path keeps token i of y with weight kappa^i and hides it
   with weight 1 - kappa^i.  With S(z) the probability under q of the revealed
   tokens of z,

     p_t(z) = S(z) prod_i (kappa^i if z^i is revealed, 1 - kappa^i if hidden),

   so the posterior of the hidden tokens and the router omega_k S_k(z) / S(z)
   depend on the state alone: not on t, nor on the schedule, equal or per
   position.  The masked step velocity is the convex-sum velocity (C04); with
   the derivative for the increment it generates the path in continuous time. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Masked.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Local Notation velocity := ('I_N -> option V -> state -> R).
Add Field R_field : (numfield_theory R).

Definition all_mask : state := [ffun => None].
Definition reveal_all (y : data) : state := [ffun i => Some (y i)].

(* Two components: true for the data token, false for the mask. *)
Definition masked_schedule (kappa : 'I_N -> R) (j : bool) (i : 'I_N) : R :=
  if j then kappa i else 1 - kappa i.

Definition masked_base (y : data) (j : bool) (i : 'I_N) (a : option V) : R :=
  (a == if j then Some (y i) else None)%:R.

Definition masked_path (kappa : 'I_N -> R) (y : data) : state -> R :=
  convex_path (masked_schedule kappa) (masked_base y).

Definition masked_velocity (kappa kappa' : 'I_N -> R) (y : data) : velocity :=
  fun i a z => (kappa' i - kappa i) / (1 - kappa i) *
               ((a == Some (y i))%:R - (a == z i)%:R).

(* y has the revealed tokens of z. *)
Definition agrees (z : state) (y : data) : bool :=
  [forall i, (z i == None) || (z i == Some (y i))].

(* S(z): the probability of the revealed tokens. *)
Definition revealed_mass (q : data -> R) (z : state) : R :=
  \sum_y q y * (agrees z y)%:R.

Definition schedule_weight (kappa : 'I_N -> R) (z : state) : R :=
  \prod_i (if z i == None then 1 - kappa i else kappa i).

(* q(a | revealed tokens of z) of token a at position i. *)
Definition next_token (q : data -> R) (z : state) (i : 'I_N) (a : option V)
  : R := if a is Some v then revealed_mass q (upd z i (Some v)) /
                             revealed_mass q z else 0.

Definition unit_interval (kappa : 'I_N -> R) : Prop :=
  forall i, 0 <= kappa i <= 1.

Lemma masked_base_is_base y : is_base (masked_base y).
Proof.
by move=> j i; split=> [a|]; [apply: ler0n | apply: sum_delta1].
Qed.

Lemma masked_schedule_is_schedule kappa :
  unit_interval kappa -> is_schedule (masked_schedule kappa).
Proof.
move=> k01 i; have /andP [k0 k1] := k01 i; split=> [j|].
  by case: j => //=; rewrite subr_ge0.
by rewrite big_bool /=; ring_in R.
Qed.

Lemma masked_token kappa y i a :
  convex_token (masked_schedule kappa) (masked_base y) i a =
  ((a == None) || (a == Some (y i)))%:R *
  (if a == None then 1 - kappa i else kappa i).
Proof.
rewrite /convex_token big_bool /masked_base /=.
by case: a => [v|] /=; rewrite !(mulr0, mulr1, addr0, add0r, mul1r) // mulrC.
Qed.

Lemma masked_pathE kappa y z :
  masked_path kappa y z = (agrees z y)%:R * schedule_weight kappa z.
Proof.
rewrite /agrees -(prod_bool _ xpredT) /= -big_split /=.
by apply: eq_bigr => i _; rewrite masked_token.
Qed.

Lemma masked_path_ge0 kappa y z :
  unit_interval kappa -> 0 <= masked_path kappa y z.
Proof.
move=> k01; apply: (C01_convex_path_is_pmf _ (masked_base_is_base y)).1.
exact: masked_schedule_is_schedule.
Qed.

Theorem C22_path_factorization q kappa z :
  marginal_path q (masked_path kappa) z =
  revealed_mass q z * schedule_weight kappa z.
Proof.
rewrite mulr_suml; apply: eq_bigr => y _.
by rewrite masked_pathE mulrA.
Qed.

Theorem C22_posterior q kappa y z :
  schedule_weight kappa z != 0 ->
  posterior q (masked_path kappa) y z =
  q y * (agrees z y)%:R / revealed_mass q z.
Proof.
move=> w0; rewrite /posterior C22_path_factorization masked_pathE mulrA.
by rewrite invfM mulrACA divff // mulr1.
Qed.

Lemma agrees_upd (z : state) i v y :
  z i = None -> agrees (upd z i (Some v)) y = agrees z y && (y i == v).
Proof.
move=> zi; apply/forallP/andP => [h | [/forallP h /eqP yi] j].
  split; last by have := h i; rewrite upd_at /= => /eqP [->].
  apply/forallP => j; have [-> | ji] := eqVneq j i; first by rewrite zi.
  by have := h j; rewrite upd_off.
have [-> | ji] := eqVneq j i; first by rewrite upd_at -yi eqxx orbT.
by rewrite upd_off.
Qed.

Lemma revealed_mass_upd q (z : state) i v :
  z i = None ->
  revealed_mass q (upd z i (Some v)) =
  \sum_y q y * (agrees z y)%:R * (y i == v)%:R.
Proof.
move=> zi; apply: eq_bigr => y _.
by rewrite agrees_upd // -mulrA -natrM mulnb.
Qed.

Theorem C22_hidden_token q kappa (z : state) i v :
  schedule_weight kappa z != 0 -> z i = None ->
  \sum_(y : data | y i == v) posterior q (masked_path kappa) y z =
  next_token q z i (Some v).
Proof.
move=> w0 zi; rewrite /next_token revealed_mass_upd // mulr_suml big_mkcond.
apply: eq_bigr => y _; case: eqP => _; last by rewrite mulr0 mul0r.
by rewrite C22_posterior // mulr1.
Qed.

Theorem C22_router (K : finType) (omega : K -> R) (q : K -> data -> R)
    kappa k z :
  schedule_weight kappa z != 0 ->
  router omega (fun k => marginal_path (q k) (masked_path kappa)) k z =
  router omega (fun k => revealed_mass (q k)) k z.
Proof.
move=> w0; rewrite /router /mixture C22_path_factorization.
under eq_bigr do rewrite C22_path_factorization mulrA.
rewrite -mulr_suml invfM mulrA.
by rewrite mulrACA -[X in _ * X = _]mulrC mulVf // mulr1.
Qed.

(* One router serves every schedule and time. *)
Theorem C22_router_independent_of_schedule (K : finType) (omega : K -> R)
    (q : K -> data -> R) kappa kappa' k z :
  schedule_weight kappa z != 0 -> schedule_weight kappa' z != 0 ->
  router omega (fun k => marginal_path (q k) (masked_path kappa)) k z =
  router omega (fun k => marginal_path (q k) (masked_path kappa')) k z.
Proof. by move=> w0 w0'; rewrite !C22_router. Qed.

(* The pivot is the mask where some is left, else the data component. *)
Theorem C04_masked_velocity_is_convex_step kappa kappa' y i a z :
  (kappa i = 1 -> kappa' i = 1) ->
  masked_velocity kappa kappa' y i a z =
  convex_step_velocity (masked_schedule kappa) (masked_schedule kappa')
    (masked_base y) (fun i => kappa i == 1) i a z.
Proof.
move=> stay; rewrite /masked_velocity /convex_step_velocity big_bool /=.
rewrite /masked_base /masked_schedule.
have [k1 | k1] := eqVneq (kappa i) 1.
  by rewrite stay // k1 !subrr invr1; ring_in R.
have k1' : 1 - kappa i != 0 by rewrite subr_eq0 eq_sym.
(* One equality test through two canonical instances. *)
rewrite (_ : @eq_op (Finite.eqType (option_finType V)) a (z i) = (a == z i)) //.
by field_in R; apply/eqP.
Qed.

(* The schedule's derivative, or its increment. *)
Definition masked_increment (dkappa : 'I_N -> R) (j : bool) (i : 'I_N) : R :=
  if j then dkappa i else - dkappa i.

(* C18: with the data component for pivot, the convex-sum velocity runs
   backward: minus it hides revealed tokens. *)
Theorem C18_masked_backward_velocity kappa dkappa y i (a : option V) (z : state) :
  kappa i != 0 ->
  convex_velocity (masked_schedule kappa) (masked_increment dkappa)
    (masked_base y) (fun=> true) i a z =
  dkappa i / kappa i * ((a == z i)%:R - (a == None)%:R).
Proof.
move=> k0; rewrite /convex_velocity big_bool /masked_base.
rewrite /masked_schedule /masked_increment /=.
rewrite (_ : @eq_op (Finite.eqType (option_finType V)) a (z i) = (a == z i)) //.
by field_in R; apply/eqP.
Qed.

Theorem C04_masked_step_samples kappa kappa' y :
  unit_interval kappa -> (forall i, kappa i = 1 -> kappa' i = 1) ->
  samples (masked_path kappa y) (masked_path kappa' y)
          (masked_velocity kappa kappa' y).
Proof.
move=> k01 stay x; rewrite [RHS]/masked_path.
rewrite -(C04_convex_step_samples (masked_schedule kappa')
            (l := fun i => kappa i == 1) (masked_base_is_base y)
            (masked_schedule_is_schedule k01)).
  apply: eq_bigr => z _; congr (_ * _); apply: eq_bigr => i _.
  by rewrite C04_masked_velocity_is_convex_step //; apply: stay.
move=> i; rewrite /masked_schedule; have [k1 | k1] := eqVneq (kappa i) 1.
  by rewrite k1 oner_neq0.
by rewrite subr_eq0 eq_sym.
Qed.

Lemma masked_rate_bounds (k k' : R) : 0 <= k -> k <= k' -> k' <= 1 ->
  0 <= (k' - k) / (1 - k) <= 1.
Proof.
move=> k0 kk k1; have k1' := le_trans kk k1.
apply/andP; split; first by apply: divr_ge0; rewrite subr_ge0.
have [-> | kn1] := eqVneq k 1; first by rewrite subrr invr0 mulr0 ler01.
rewrite ler_pdivr_mulr ?mul1r ?ler_add2r // lt0r subr_ge0 k1' andbT.
by rewrite subr_eq0 eq_sym.
Qed.

Theorem C04_masked_step_conditions kappa kappa' y :
  unit_interval kappa -> unit_interval kappa' ->
  (forall i, kappa i <= kappa' i) ->
  step_conditions (masked_velocity kappa kappa' y).
Proof.
move=> k01 k01' mono.
have rate i : 0 <= (kappa' i - kappa i) / (1 - kappa i) <= 1.
  have /andP [k0 _] := k01 i; have /andP [_ k1] := k01' i.
  exact: masked_rate_bounds.
split; first split.
- move=> i a z /negbTE az; rewrite /masked_velocity az subr0.
  by apply: mulr_ge0; [case/andP: (rate i) | apply: ler0n].
- move=> i z; rewrite /masked_velocity -mulr_sumr sumrB.
  by rewrite !sum_delta1 subrr mulr0.
move=> i z; rewrite /masked_velocity eqxx mulrBr mulr1.
have /andP [r0 r1] := rate i.
apply: (@le_trans _ _ (0 - (kappa' i - kappa i) / (1 - kappa i))).
  by rewrite sub0r ler_opp2.
by rewrite ler_add2r; apply: mulr_ge0 => //; apply: ler0n.
Qed.

Lemma revealed_mass_ge0 q z : (forall y, 0 <= q y) -> 0 <= revealed_mass q z.
Proof. by move=> q0; apply: sumr_ge0 => y _; rewrite mulr_ge0 ?ler0n. Qed.

(* The marginal masked velocity: hidden positions take the posterior of their
   token, revealed ones stay. *)
Theorem C22_marginal_velocity q kappa kappa' i a (z : state) :
  marginal_path q (masked_path kappa) z != 0 ->
  marginal_velocity q (masked_path kappa) (masked_velocity kappa kappa') i a z =
  (z i == None)%:R * ((kappa' i - kappa i) / (1 - kappa i)) *
  (next_token q z i a - (a == None)%:R).
Proof.
move=> pz; have := pz; rewrite C22_path_factorization mulf_eq0 negb_or.
move=> /andP [s0 w0].
rewrite /marginal_velocity /masked_velocity.
pose rho := (kappa' i - kappa i) / (1 - kappa i); rewrite -/rho.
under eq_bigr do rewrite C22_posterior // mulrCA.
rewrite -mulr_sumr; have [zi | zi] := eqVneq (z i) None; last first.
  rewrite !mul0r big1 ?mulr0 // => y _; case ag: (agrees z y); last first.
    by rewrite mulr0 !mul0r.
  have := forallP ag i; rewrite (negbTE zi) /= => /eqP ->.
  by rewrite subrr mulr0.
rewrite mul1r; congr (_ * _); rewrite zi.
under eq_bigr do rewrite mulrBr.
rewrite sumrB -mulr_suml -mulr_suml divff // mul1r; congr (_ - _).
case: a => [v|] /=; last by rewrite big1 // => y _; rewrite mulr0.
rewrite revealed_mass_upd // mulr_suml; apply: eq_bigr => y _.
by rewrite mulrAC; congr (_ * _ / _); rewrite eq_sym.
Qed.

End Masked.

Section MaskedContinuous.
Variables (R : numFieldType) (A : comAlgType R) (t : instant A).
Variables (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field' : (numfield_theory R).

Definition masked_curve (kappa : 'I_N -> A) (y : data) : state -> A :=
  convex_curve (fun (j : bool) i => if j then kappa i else 1 - kappa i)
               (@masked_base R N V y).

(* The rate dkappa / (1 - kappa): the step velocity of an increment dkappa. *)
Definition masked_rate (kappa : 'I_N -> A) : data -> 'I_N -> option V -> state -> R :=
  masked_velocity (fun i => value t (kappa i))
                  (fun i => value t (kappa i) + derivative t (kappa i)).

Lemma value_complement f : value t (1 - f) = 1 - value t f.
Proof.
rewrite -[1 - f]addrC -scaleN1r value_linear value_one.
by ring_in R.
Qed.

Lemma derivative_complement f : derivative t (1 - f) = - derivative t f.
Proof.
rewrite -[1 - f]addrC -scaleN1r derivative_linear derivative1.
by ring_in R.
Qed.

Lemma value_masked_curve kappa y x :
  value t (masked_curve kappa y x) =
  masked_path (fun i => value t (kappa i)) y x.
Proof.
rewrite value_convex_curve; apply: eq_bigr => i _; apply: eq_bigr => j _.
by congr (_ * _); case: j; rewrite //= value_complement.
Qed.

Theorem C02_masked_rate_generates kappa y :
  (forall i, value t (kappa i) != 1) ->
  generates t (masked_curve kappa y) (masked_rate kappa y).
Proof.
move=> k1 x.
pose ks (j : bool) i := if j then kappa i else 1 - kappa i.
rewrite -[RHS](@C02_convex_velocity_generates _ _ t _ _ _ ks (masked_base R y)
  (fun=> false) (masked_base_is_base R y) _ x); last first.
  by move=> i; rewrite big_bool /= value_complement; ring_in R.
congr (_ + _); apply: divergence_eq => z _ i a.
rewrite /masked_rate /masked_velocity /convex_velocity big_bool /ks /=.
rewrite value_complement derivative_complement /masked_base.
have k1' : 1 - value t (kappa i) != 0 by rewrite subr_eq0 eq_sym.
rewrite (_ : @eq_op (Finite.eqType (option_finType V)) a (z i) = (a == z i)) //.
by field_in R; apply/eqP.
Qed.

Theorem C03_masked_marginal_generates (q : data -> R) kappa :
  (forall y, 0 <= q y) -> (forall i, 0 <= value t (kappa i) < 1) ->
  generates t (marginal_curve q (masked_curve kappa))
    (marginal_velocity q (masked_path (fun i => value t (kappa i)))
                         (masked_rate kappa)).
Proof.
move=> q0 k01 x.
have k1 i : value t (kappa i) != 1 by case/andP: (k01 i) => _ /lt_eqF ->.
have unit : unit_interval (fun i => value t (kappa i)).
  by move=> i; case/andP: (k01 i) => -> /ltW ->.
have pc0 y z : 0 <= value t (masked_curve kappa y z).
  by rewrite value_masked_curve; apply: masked_path_ge0.
rewrite -[RHS](C03_marginalization_continuous q0 pc0
                 (fun y => C02_masked_rate_generates y k1) x).
congr (_ + _); apply: divergence_eq => z _ i a; apply: eq_bigr => y _.
rewrite /posterior /marginal_path !value_masked_curve; congr (_ / _ * _).
by apply: eq_bigr => y' _; rewrite value_masked_curve.
Qed.

End MaskedContinuous.
