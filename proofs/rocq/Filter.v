(* C10 and C11: the autoregressive router.

   C10: from r_k(empty) = omega_k = P(k|c), the Bayes filter
          r_k(z^{<=t+1}) proportional to r_k(z^{<=t}) q_k(z^{t+1} | z^{<=t}, c)
        is the posterior of the expert given the prefix, which is the router of
        the path at the prefix: beyond the prior only the experts' own
        likelihoods are needed.
   C11: when the expert is a function of the conditioning c, the posterior is
        one-hot and the top-1 expert has the central velocity.
   C12, per sequence: q / q_k = omega_k / r_k.                               *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section BayesFilter.
Variables (R : numFieldType) (K : finType).

Definition bayes_update (r likelihood : K -> R) (k : K) : R :=
  r k * likelihood k / \sum_j r j * likelihood j.

Fixpoint bayes_filter (omega : K -> R) (likelihood : nat -> K -> R) (t : nat)
  : K -> R :=
  if t is s.+1 then bayes_update (bayes_filter omega likelihood s) (likelihood s)
  else omega.

End BayesFilter.

Section AutoregressiveRouter.
Variables (R : numFieldType) (N : nat) (V K : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field : (numfield_theory R).
Variables (omega : K -> R) (q : K -> data -> R).
Hypotheses (omega_ge0 : forall k, 0 <= omega k) (q_pmf : forall k, is_pmf (q k)).

Let q_ge0 k y : 0 <= q k y.
Proof. by case: (q_pmf k). Qed.

(* Expert k's likelihood of token t of y given the tokens before it. *)
Definition next_likelihood (y : data) (t : nat) (k : K) : R :=
  revealed_mass (q k) (prefix t.+1 y) / revealed_mass (q k) (prefix t y).

Lemma next_likelihoodE y (i : 'I_N) k :
  next_likelihood y i k = next_token (q k) (prefix i y) i (Some (y i)).
Proof. by rewrite /next_likelihood prefix_next. Qed.

Lemma mixture_revealed_mass z :
  revealed_mass (mixture omega q) z = mixture omega (fun k => revealed_mass (q k)) z.
Proof.
rewrite /revealed_mass /mixture; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big; apply: eq_bigr => k _.
by rewrite mulr_sumr; apply: eq_bigr => y _; rewrite mulrA.
Qed.

(* The experts' next-token laws, routed by the posterior given the state, are
   the central next-token law. *)
Theorem C08_routed_next_token (z : state) i a :
  z i = None ->
  next_token (mixture omega q) z i a =
  \sum_k router omega (fun k => revealed_mass (q k)) k z *
         next_token (q k) z i a.
Proof.
move=> zi; case: a => [v|] /=; last by rewrite big1 // => k _; rewrite mulr0.
rewrite !mixture_revealed_mass /router [X in X / _]/mixture mulr_suml.
apply: eq_bigr => k _.
have e : revealed_mass (q k) z *
    (revealed_mass (q k) (upd z i (Some v)) / revealed_mass (q k) z) =
    revealed_mass (q k) (upd z i (Some v)).
  apply: mul_divK => s0; have h : forall y, q k y * (agrees z y)%:R = 0.
    by apply: psum_eq0 s0 => y; rewrite mulr_ge0 ?ler0n.
  by rewrite revealed_mass_upd // big1 // => y _; rewrite h mul0r.
by rewrite -[in LHS]e; ring_in R.
Qed.

Theorem C10_bayes_filter_is_posterior (y : data) t k :
  \sum_k omega k = 1 -> (t <= N)%N ->
  mixture omega (fun k => revealed_mass (q k)) (prefix t y) != 0 ->
  bayes_filter omega (next_likelihood y) t k =
  router omega (fun k => revealed_mass (q k)) k (prefix t y).
Proof.
move=> om1; elim: t k => [|t IH] k tN m0.
  rewrite /= /router /mixture; under [X in _ / X]eq_bigr do
    rewrite prefix_mass0 ?mulr1 ?(proj2 (q_pmf _)) //.
  by rewrite prefix_mass0 ?mulr1 ?om1 ?divr1 ?(proj2 (q_pmf _)).
have mono j : revealed_mass (q j) (prefix t y) = 0 ->
              revealed_mass (q j) (prefix t.+1 y) = 0.
  by apply: (@prefix_mass_mono R N V (q j) y (Ordinal tN)).
pose M s := mixture omega (fun k => revealed_mass (q k)) (prefix s y).
have Mt0 : M t != 0.
  apply: contra m0 => /eqP s0; rewrite /mixture big1 // => j _.
  have /eqP : omega j * revealed_mass (q j) (prefix t y) = 0.
    apply: (psum_eq0 _ s0) => i; apply: mulr_ge0 => //.
    exact: revealed_mass_ge0.
  by rewrite mulf_eq0 => /orP [/eqP -> | /eqP /mono ->]; rewrite ?mul0r ?mulr0.
have num j : bayes_filter omega (next_likelihood y) t j * next_likelihood y t j =
    omega j * revealed_mass (q j) (prefix t.+1 y) / M t.
  have e := mul_divK (@mono j).
  rewrite IH ?(ltnW tN) // /router /next_likelihood -/(M t) -[in RHS]e.
  by ring_in R.
rewrite /= /bayes_update num; under eq_bigr do rewrite num.
rewrite -mulr_suml -/(mixture omega (fun k => revealed_mass (q k)) _) -/(M t.+1).
by rewrite invfM invrK mulrACA mulVf ?mulr1.
Qed.

(* The same as the router of the flow matching path, at its time. *)
Theorem C10_bayes_filter_is_path_router (y : data) t k :
  \sum_k omega k = 1 -> (t <= N)%N ->
  mixture omega (fun k => revealed_mass (q k)) (prefix t y) != 0 ->
  bayes_filter omega (next_likelihood y) t k =
  router omega (fun k => marginal_path (q k)
                 (masked_path (order_schedule R (@nat_of_ord N) t))) k (prefix t y).
Proof.
move=> om1 tN m0; rewrite C10_bayes_filter_is_posterior // C22_router //.
rewrite /schedule_weight big1 ?oner_neq0 // => i _.
by rewrite ffunE /order_schedule; case: ltnP => //=; rewrite subr0.
Qed.

End AutoregressiveRouter.

(* C12 without logarithms: q(x) / q_k(x) = omega_k / r_k(x), per sequence or at
   a prefix, wherever r_k(x) > 0. *)
Theorem C12_mixture_over_expert (R : numFieldType) (K S : finType)
    (omega : K -> R) (q : K -> S -> R) k x :
  router omega q k x != 0 ->
  mixture omega q x / q k x = omega k / router omega q k x.
Proof.
move=> r0; have := r0; rewrite /router !mulf_eq0 !negb_or invr_eq0.
move=> /andP [/andP [om0 q0] m0].
by apply/eqP; rewrite eqr_div // mulrC divfK.
Qed.

Section Determined.
Variables (R : numFieldType) (K : finType).

Theorem C11_router_one_hot (S : finType) (omega : K -> R) (p : K -> S -> R) k0 z :
  (forall k, omega k = (k == k0)%:R) -> mixture omega p z != 0 ->
  forall k, router omega p k z = (k == k0)%:R.
Proof.
move=> hot; have -> : mixture omega p z = p k0 z.
  by rewrite -(sum_delta k0 (p^~ z)); apply: eq_bigr => k _; rewrite hot.
move=> p0 k; rewrite /router.
have -> : mixture omega p z = p k0 z.
  by rewrite -(sum_delta k0 (p^~ z)); apply: eq_bigr => j _; rewrite hot.
by rewrite hot; case: eqP => [-> | _]; rewrite ?mul0r // mul1r divff.
Qed.

Variables (N : nat) (T Z C : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).

Theorem C11_one_hot_top1 (r : K -> state -> R) (u : K -> velocity) k0 k z :
  (forall j, r j z = (j == k0)%:R) -> (forall j, r j z <= r k z) ->
  forall i a, mixed_velocity r u i a z = u k i a z.
Proof.
move=> hot top i a; have -> : k = k0.
  apply/eqP; have := top k0; rewrite !hot eqxx; case: eqP => //.
  by rewrite lern0.
rewrite /mixed_velocity -(sum_delta k0 (fun k => u k i a z)).
by apply: eq_bigr => j _; rewrite hot.
Qed.

(* Joint law of conditioning and latent variable; expert g c sees c. *)
Variables (joint : C -> Z -> R) (g : C -> K).

Definition conditional_coupling (c : C) (y : Z) : R :=
  joint c y / \sum_y' joint c y'.

Definition expert_weight (c : C) (k : K) : R :=
  (\sum_y joint c y * (k == g c)%:R) / \sum_y joint c y.

Definition expert_coupling (c : C) (k : K) (y : Z) : R :=
  joint c y * (k == g c)%:R / (\sum_y' joint c y' * (k == g c)%:R).

Theorem C11_expert_weight_one_hot c k :
  \sum_y joint c y != 0 -> expert_weight c k = (k == g c)%:R.
Proof. by move=> s0; rewrite /expert_weight -mulr_suml mulrAC divff // mul1r. Qed.

Theorem C11_top1_exact c pc (uc : Z -> velocity) k z :
  (forall y, 0 <= joint c y) -> (forall y x, 0 <= pc y x) ->
  \sum_y joint c y != 0 ->
  marginal_path (conditional_coupling c) pc z != 0 ->
  (forall j, router (expert_weight c)
               (fun k => marginal_path (expert_coupling c k) pc) j z <=
             router (expert_weight c)
               (fun k => marginal_path (expert_coupling c k) pc) k z) ->
  forall i a,
    marginal_velocity (conditional_coupling c) pc uc i a z =
    marginal_velocity (expert_coupling c k) pc uc i a z.
Proof.
move=> joint0 pc0 s0 pz top i a.
have mix y : mixture (expert_weight c) (expert_coupling c) y =
             conditional_coupling c y.
  rewrite /mixture (bigD1 (g c)) //= big1 ?addr0; last first.
    by move=> j /negbTE jg; rewrite C11_expert_weight_one_hot // jg mul0r.
  rewrite C11_expert_weight_one_hot // eqxx mul1r /expert_coupling eqxx mulr1.
  by under eq_bigr do rewrite mulr1.
have path_mix x : marginal_path (conditional_coupling c) pc x =
    mixture (expert_weight c) (fun k => marginal_path (expert_coupling c k) pc) x.
  rewrite -C08_central_path; apply: eq_bigr => y _.
  by rewrite mix.
have hot : forall j, router (expert_weight c)
    (fun k => marginal_path (expert_coupling c k) pc) j z = (j == g c)%:R.
  apply: C11_router_one_hot => [j|]; first exact: C11_expert_weight_one_hot.
  by rewrite -path_mix.
rewrite -(C11_one_hot_top1 (fun k => marginal_velocity (expert_coupling c k) pc uc)
           hot top).
rewrite -(@C08_decentralization_velocity _ _ _ _ _ (expert_weight c)
            (expert_coupling c) _ pc uc pc0) //.
  apply: eq_bigr => y _; rewrite /posterior path_mix C08_central_path.
  by rewrite mix.
move=> j y; apply: divr_ge0; first by rewrite mulr_ge0 ?ler0n.
by apply: sumr_ge0 => y' _; rewrite mulr_ge0 ?ler0n.
Qed.

End Determined.
