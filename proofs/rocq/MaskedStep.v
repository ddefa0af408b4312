(* C05, masked source: the continuity equation of a step p' - p + div(p u) = 0
   holds if and only if at most one position moves, kappa'^i > kappa^i.

   The residual at x is S(x) times
     prod_i c'_i - prod_i c_i - sum_i (c'_i - c_i) prod_{j != i} c_j,
   c_i = kappa^i or 1 - kappa^i as x shows position i or hides it; with two
   movers it is positive at a state that shows all positions with kappa' > 0. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section SecondOrder.
Variables (R : numFieldType) (I : eqType) (c c' : I -> R).
Add Field R_field : (numfield_theory R).

(* A product less its first-order expansion. *)
Definition first_order (s : seq I) : R :=
  \sum_(i <- s) (c' i - c i) * \prod_(j <- s | j != i) c j.

Definition remainder (s : seq I) : R :=
  \prod_(i <- s) c' i - \prod_(i <- s) c i - first_order s.

Lemma first_order_cons a s : a \notin s ->
  first_order (a :: s) =
  (c' a - c a) * \prod_(j <- s) c j + c a * first_order s.
Proof.
move=> a_s; rewrite /first_order !big_cons eqxx /=; congr (_ * _ + _).
  rewrite big_seq_cond [RHS]big_seq; apply: eq_bigl => j.
  by case js: (j \in s) => //=; apply: contraNneq a_s => <-.
rewrite mulr_sumr big_seq [RHS]big_seq; apply: eq_bigr => i i_s.
rewrite big_cons; have -> : a != i by apply: contraNneq a_s => ->.
exact: mulrCA.
Qed.

Hypotheses (c_ge0 : forall i, 0 <= c i) (c_le : forall i, c i <= c' i).
Hypothesis c'_gt0 : forall i, 0 < c' i.

Let d_ge0 i : 0 <= c' i - c i. Proof. by rewrite subr_ge0. Qed.

Let prod_ge0 (s : seq I) P : 0 <= \prod_(i <- s | P i) c i.
Proof. by apply: prodr_ge0. Qed.

Let first_order_ge0 s : 0 <= first_order s.
Proof. by apply: sumr_ge0 => i _; apply: mulr_ge0. Qed.

Lemma prod_gap_ge0 (s : seq I) : 0 <= \prod_(i <- s) c' i - \prod_(i <- s) c i.
Proof. by rewrite subr_ge0; apply: ler_prod => i _; rewrite c_ge0 c_le. Qed.

Lemma prod_gap_gt0 (s : seq I) j :
  j \in s -> c j < c' j -> 0 < \prod_(i <- s) c' i - \prod_(i <- s) c i.
Proof.
move=> + lt_j; elim: s => [//|a s IH]; rewrite inE !big_cons.
have gap := prod_gap_ge0 s; set p' := \prod_(i <- s) c' i in IH gap *.
set p := \prod_(i <- s) c i in IH gap *.
have p'_gt0 : 0 < p' by apply: prodr_gt0.
case: eqP => [<- _ | _ /= js].
  rewrite (_ : _ - _ = (c' j - c j) * p' + c j * (p' - p)); last by ring_in R.
  by apply: ltr_paddr; [apply: mulr_ge0 | rewrite mulr_gt0 ?subr_gt0].
rewrite (_ : _ - _ = (c' a - c a) * p + c' a * (p' - p)); last by ring_in R.
apply: ltr_paddl; last by rewrite mulr_gt0 ?IH.
by apply: mulr_ge0 => //; apply: prod_ge0.
Qed.

Lemma remainder_cons a s : a \notin s ->
  remainder (a :: s) =
  c a * remainder s + (c' a - c a) * (\prod_(i <- s) c' i - \prod_(i <- s) c i).
Proof. by move=> a_s; rewrite /remainder first_order_cons // !big_cons; ring_in R. Qed.

Lemma remainder_ge0 s : uniq s -> 0 <= remainder s.
Proof.
elim: s => [_|a s IH /andP [a_s us]].
  by rewrite /remainder /first_order !big_nil !subrr.
rewrite remainder_cons //; apply: addr_ge0; apply: mulr_ge0 => //; first exact: IH.
exact: prod_gap_ge0.
Qed.

Lemma remainder_gt0 s i j : uniq s -> i \in s -> j \in s -> i != j ->
  c i < c' i -> c j < c' j -> 0 < remainder s.
Proof.
move=> + + + ij lti ltj; elim: s => [//|a s IH] /andP [a_s us].
rewrite !inE; have [ai | ai] := eqVneq i a; have [aj | aj] := eqVneq j a.
- by rewrite ai aj eqxx in ij.
- move=> _ /= js; rewrite remainder_cons // -ai.
  apply: ltr_paddl; first by rewrite mulr_ge0 ?remainder_ge0.
  by rewrite mulr_gt0 ?subr_gt0 // -subr_gt0 (prod_gap_gt0 js).
- move=> /= si _; rewrite remainder_cons // -aj.
  apply: ltr_paddl; first by rewrite mulr_ge0 ?remainder_ge0.
  by rewrite mulr_gt0 ?subr_gt0 // -subr_gt0 (prod_gap_gt0 si).
move=> /= si sj; rewrite /remainder first_order_cons // !big_cons.
have rs := IH us si sj.
rewrite [X in 0 < X](_ : _ = c' a * remainder s + (c' a - c a) * first_order s);
  last first.
  by rewrite /remainder; ring_in R.
by apply: ltr_paddr; [apply: mulr_ge0 | rewrite mulr_gt0].
Qed.

End SecondOrder.

Section MaskedStep.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field' : (numfield_theory R).
Variables (q : data -> R) (kappa kappa' : 'I_N -> R).
Hypotheses (q_pmf : is_pmf q) (k01 : unit_interval kappa).
Hypotheses (k01' : unit_interval kappa') (mono : forall i, kappa i <= kappa' i).

Let q_ge0 y : 0 <= q y. Proof. by case: q_pmf. Qed.

Definition position_weight (k : 'I_N -> R) (x : state) (i : 'I_N) : R :=
  if x i == None then 1 - k i else k i.

Let stay i : kappa i = 1 -> kappa' i = 1.
Proof.
move=> k1; have /andP [_ le1] := k01' i; apply/eqP.
by rewrite eq_le le1 -[X in X <= _]k1 mono.
Qed.

Let conditional_conditions (y : data) : rate_conditions (masked_velocity kappa kappa' y).
Proof. by have [] := C04_masked_step_conditions y k01 k01' mono. Qed.

Lemma masked_conditional_divergence (y : data) (x : state) :
  divergence (masked_path kappa y) (masked_velocity kappa kappa' y) x =
  - ((agrees x y)%:R * first_order (position_weight kappa x)
                         (position_weight kappa' x) (index_enum _)).
Proof.
pose tok (k : 'I_N -> R) (i : 'I_N) (a : option V) : R :=
  convex_token (masked_schedule k) (masked_base R y) i a.
pose g (i : 'I_N) (a c : option V) : R :=
  (kappa' i - kappa i) / (1 - kappa i) * ((a == Some (y i))%:R - (a == c)%:R).
rewrite [LHS](@divergence_product R N _ (tok kappa) g
  (fun i a => tok kappa' i a - tok kappa i a)); last first.
  move=> i a; rewrite /g; under eq_bigr do rewrite mulrCA mulrBr.
  rewrite -mulr_sumr sumrB -mulr_suml sum_deltar.
  have -> : \sum_c tok kappa i c = 1.
    exact: (convex_token_is_pmf i (masked_schedule_is_schedule k01)
              (masked_base_is_base R y)).2.
  rewrite /tok /convex_token !big_bool /masked_base /=.
  have [k1 | k1] := eqVneq (kappa i) 1.
    by rewrite (stay k1) k1 !subrr mul0r mul0r.
  have k1' : 1 - kappa i != 0 by rewrite subr_eq0 eq_sym.
  have none_some : (a == Some (y i))%:R * (a == None)%:R = 0 :> R.
    by case: a => [v|]; rewrite ?mulr0 ?mul0r.
  by field_in R; apply/eqP.
congr (- _); rewrite /first_order mulr_sumr; apply: eq_bigr => i _.
rewrite /tok !masked_token; under eq_bigr do rewrite masked_token.
rewrite big_split /= -mulrBr mulrACA; congr (_ * _).
by rewrite -(@prod_bool R _ xpredT) [RHS](bigD1 i).
Qed.

Lemma masked_residual (x : state) :
  marginal_path q (masked_path kappa') x - marginal_path q (masked_path kappa) x +
  divergence (marginal_path q (masked_path kappa)) (masked_step q kappa kappa') x =
  revealed_mass q x * remainder (position_weight kappa x) (position_weight kappa' x)
                        (index_enum _).
Proof.
have pc0 (y : data) z : 0 <= masked_path kappa y z by apply: masked_path_ge0.
rewrite (divergence_marginal q_ge0 pc0) !C22_path_factorization -mulrBr.
under eq_bigr do rewrite masked_conditional_divergence mulrN mulrA.
by rewrite sumrN -mulr_suml -mulrBr.
Qed.

Theorem C05_masked_continuity_iff_one_mover :
  step_continuity (marginal_path q (masked_path kappa))
    (marginal_path q (masked_path kappa')) (masked_step q kappa kappa') <->
  (forall i j, kappa i < kappa' i -> kappa j < kappa' j -> i = j).
Proof.
split=> [cont i j lti ltj | one]; last first.
  have pc0 (y : data) z : 0 <= masked_path kappa y z by apply: masked_path_ge0.
  apply: (C05_marginal_sampler_exact q_ge0 pc0 conditional_conditions _ _).2.
    by move=> y; apply: C04_masked_step_samples.
  move=> z _; apply: masked_step_one_mover => i j mi mj.
  by apply: one; rewrite lt_neqAle eq_sym ?mi ?mj mono.
have [y q0] : exists y, q y != 0.
  apply/existsP; apply: contraT; rewrite negb_exists => /forallP all0.
  have := proj2 q_pmf; rewrite big1 => [/eqP|y _]; first by rewrite eq_sym oner_eq0.
  by apply/eqP; have := all0 y; rewrite negbK.
pose x : state := [ffun i => if kappa' i == 0 then None else Some (y i)].
have S0 : revealed_mass q x != 0.
  apply: (@psum_neq0 _ _ _ y) => [y'|]; first by rewrite mulr_ge0 ?ler0n.
  rewrite (_ : agrees x y) ?mulr1 //; apply/forallP => l; rewrite ffunE.
  by have [k0|k0] := eqVneq (kappa' l) 0; rewrite /= ?eqxx ?orbT.
have zero l : kappa' l = 0 -> kappa l = 0.
  move=> k0; apply/eqP; rewrite eq_le -{1}k0 mono.
  by have /andP [-> _] := k01 l.
have /eqP := cont x; rewrite masked_residual mulf_eq0 (negbTE S0) /= => /eqP r0.
apply/eqP; apply: contraT => ij.
have ends l : 0 <= kappa l /\ kappa l <= 1 by apply/andP.
have ends' l : 0 <= kappa' l /\ kappa' l <= 1 by apply/andP.
have weights l : [/\ 0 <= position_weight kappa x l,
    position_weight kappa x l <= position_weight kappa' x l &
    0 < position_weight kappa' x l].
  rewrite /position_weight ffunE; have [k0 | k0] := eqVneq (kappa' l) 0 => /=.
    by rewrite (zero l k0) k0 subr0 ler01 lexx ltr01.
  by split; [case: (ends l) | apply: mono | rewrite lt0r k0; case: (ends' l)].
have shown l : kappa l < kappa' l ->
    position_weight kappa x l < position_weight kappa' x l.
  move=> lt_l; rewrite /position_weight ffunE; have [k0|k0] := eqVneq (kappa' l) 0 => //=.
  by move: lt_l; rewrite (zero l k0) k0 ltxx.
have := @remainder_gt0 _ _ (position_weight kappa x) (position_weight kappa' x)
  _ _ _ (index_enum _) i j (index_enum_uniq _) (mem_index_enum _) (mem_index_enum _)
  ij (shown i lti) (shown j ltj).
by rewrite r0 ltxx; apply=> l; case: (weights l).
Qed.

End MaskedStep.
