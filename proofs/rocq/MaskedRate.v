(* C05, masked source: rates.

   Whatever q, a step of the sampler is off by at most
     sum_{i<j} Dkappa^i Dkappa^j,   Dkappa = kappa' - kappa,
   in total variation, and a run by at most the sum of that over its steps (the
   bound that C20 quotes).  Given z, the sampler and the exact step are lazy
   products of averages and averages of lazy products.                       *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression MaskedStep Stability Lazy.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section MaskedRate.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field'' : (numfield_theory R).
Variables (q : data -> R) (kappa kappa' : 'I_N -> R).
Hypotheses (q_pmf : is_pmf q) (k01 : unit_interval kappa).
Hypotheses (k01' : unit_interval kappa') (mono : forall i, kappa i <= kappa' i).

Let q_ge0 y : 0 <= q y. Proof. by case: q_pmf. Qed.
Let path := marginal_path q (masked_path kappa).
Let pc_ge0 (y : data) z : 0 <= masked_path kappa y z.
Proof. exact: masked_path_ge0. Qed.

(* The probability that position i is revealed in this step. *)
Definition reveal_rate (i : 'I_N) : R := (kappa' i - kappa i) / (1 - kappa i).
Definition reveal_at (z : state) (i : 'I_N) : R := (z i == None)%:R * reveal_rate i.
Definition data_token (y : data) (i : 'I_N) (a : option V) : R := (a == Some (y i))%:R.

Lemma reveal_rate01 i : 0 <= reveal_rate i <= 1.
Proof.
have /andP [k0 _] := k01 i; have /andP [_ k1] := k01' i.
exact: masked_rate_bounds.
Qed.

Lemma reveal_at01 z : unit_interval (reveal_at z).
Proof.
move=> i; rewrite /reveal_at; case: (z i) => [v|] /=; last by rewrite mul1r reveal_rate01.
by rewrite mul0r lexx ler01.
Qed.

Lemma marginal_lazy z x : path z != 0 ->
  step_kernel (masked_step q kappa kappa') z x =
  lazy_kernel z (reveal_at z)
    (fun i a => \sum_y posterior q (masked_path kappa) y z * data_token y i a) x.
Proof.
move=> pz; apply: eq_bigr => i _.
have w0 : schedule_weight kappa z != 0.
  by move: pz; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP [].
rewrite /masked_step C22_marginal_velocity // -/(reveal_rate i).
rewrite /lazy_token /stay_token /reveal_at.
case zi: (z i) => [v|].
  by rewrite /= !mul0r subr0 mul1r.
have -> : \sum_y posterior q (masked_path kappa) y z * data_token y i (x i) =
          next_token q z i (x i).
  case: (x i) => [v|]; last by rewrite big1 // => y _; rewrite mulr0.
  rewrite -(C22_hidden_token q v w0 zi) [RHS]big_mkcond; apply: eq_bigr => y _.
  rewrite /data_token (inj_eq (@Some_inj _)) eq_sym.
  by case: eqP; rewrite ?mulr1 ?mulr0.
rewrite eqxx /= (_ : @eq_op (Finite.eqType (option_finType V)) (x i) None =
                  (x i == None)) //.
by ring_in R.
Qed.

Lemma conditional_lazy y z x : agrees z y ->
  step_kernel (masked_velocity kappa kappa' y) z x =
  lazy_kernel z (reveal_at z) (data_token y) x.
Proof.
move=> /forallP ag; apply: eq_bigr => i _.
rewrite /masked_velocity -/(reveal_rate i) /lazy_token /stay_token /reveal_at.
have := ag i; case zi: (z i) => [v|] /=.
  by move=> /eqP ->; rewrite subrr mulr0 !mul0r subr0 mul1r.
move=> _; rewrite mulr1n /data_token.
rewrite (_ : @eq_op (Finite.eqType (option_finType V)) (x i) None = (x i == None)) //.
by ring_in R.
Qed.

(* The exact step: draw the data given z, then the conditional step. *)
Lemma exact_step x :
  marginal_path q (masked_path kappa') x =
  \sum_z path z * \sum_y posterior q (masked_path kappa) y z *
                        lazy_kernel z (reveal_at z) (data_token y) x.
Proof.
have stay i : kappa i = 1 -> kappa' i = 1.
  move=> k1; have /andP [_ le1] := k01' i; apply/eqP.
  by rewrite eq_le le1 -[X in X <= _]k1 mono.
transitivity (\sum_z \sum_y q y * (masked_path kappa y z *
                lazy_kernel z (reveal_at z) (data_token y) x)).
  rewrite exchange_big; apply: eq_bigr => y _ /=; rewrite -mulr_sumr.
  congr (_ * _); rewrite -(C04_masked_step_samples y k01 stay x).
  apply: eq_bigr => z _; rewrite masked_pathE.
  case ag: (agrees z y); last by rewrite !mul0r.
  by rewrite conditional_lazy.
apply: eq_bigr => z _; rewrite mulr_sumr; apply: eq_bigr => y _.
by rewrite mulrA [RHS]mulrA /path (marginal_path_mul_posterior q_ge0 pc_ge0).
Qed.

Lemma hidden_pair i j : i != j ->
  \sum_z path z * ((z i == None)%:R * (z j == None)%:R) =
  (1 - kappa i) * (1 - kappa j).
Proof.
move=> ij; rewrite /path /marginal_path.
under eq_bigr do rewrite mulr_suml.
rewrite exchange_big /= -[RHS]mul1r -[X in _ = X * _](proj2 q_pmf) mulr_suml.
apply: eq_bigr => y _; under eq_bigr do rewrite -mulrA.
rewrite -mulr_sumr; congr (_ * _).
pose F l a := convex_token (masked_schedule kappa) (masked_base R y) l a *
  (if (l == i) || (l == j) then (a == None)%:R else 1).
have ji : j != i by rewrite eq_sym.
transitivity (\sum_(z : state) \prod_l F l (z l)).
  apply: eq_bigr => z _; rewrite /F big_split /=; congr (_ * _).
  have rest : \prod_(l | (l != i) && (l != j))
      (if (l == i) || (l == j) then (z l == None)%:R else 1) = 1 :> R.
    by apply: big1 => l /andP [/negbTE -> /negbTE ->].
  by rewrite (bigD1 i) //= (bigD1 j ji) /= rest !eqxx orbT /= mulr1.
have tok1 l : \sum_a convex_token (masked_schedule kappa) (masked_base R y) l a = 1.
  exact: (convex_token_is_pmf l (masked_schedule_is_schedule k01)
            (masked_base_is_base R y)).2.
have hidden l : \sum_a convex_token (masked_schedule kappa) (masked_base R y) l a *
                (a == None)%:R = 1 - kappa l.
  under eq_bigr do rewrite mulrC.
  rewrite (sum_delta None) masked_token /=.
  by rewrite mul1r.
rewrite sum_prod (bigD1 i) //= (bigD1 j ji) /= /F eqxx /= hidden eqxx orbT hidden.
rewrite big1 ?mulr1 // => l /andP [/negbTE -> /negbTE ->] /=.
by under eq_bigr do rewrite mulr1.
Qed.

Theorem C05_masked_step_bound :
  TV (push (marginal_path q (masked_path kappa))
           (step_kernel (masked_step q kappa kappa')))
     (marginal_path q (masked_path kappa')) <=
  \sum_(i < N) \sum_(j < N | (i < j)%N)
    (kappa' i - kappa i) * (kappa' j - kappa j).
Proof.
have path_ge0 z : 0 <= path z by apply: marginal_path_ge0.
pose exact z x := \sum_y posterior q (masked_path kappa) y z *
                        lazy_kernel z (reveal_at z) (data_token y) x.
pose kernel := step_kernel (masked_step q kappa kappa').
have step_le : TV (push path kernel) (marginal_path q (masked_path kappa')) <=
               \sum_z path z * TV (kernel z) (exact z).
  have -> : \sum_z path z * TV (kernel z) (exact z) =
      (\sum_x \sum_z path z * `|kernel z x - exact z x|) / 2%:R.
    rewrite exchange_big mulr_suml; apply: eq_bigr => z _ /=.
    by rewrite -mulr_sumr mulrA.
  rewrite ler_pmul2r ?invr_gt0 ?ltr0n //; apply: ler_sum => x _.
  rewrite exact_step -sumrB; apply: le_trans (ler_norm_sum _ _ _) _.
  by apply: ler_sum => z _; rewrite -mulrBr normrM (ger0_norm (path_ge0 z)).
apply: le_trans step_le _.
apply: (@le_trans _ _ (\sum_z path z * pairs (reveal_at z) (index_enum _))).
  apply: ler_sum => z _; have [-> | pz] := eqVneq (path z) 0; first by rewrite !mul0r.
  apply: ler_wpmul2l => //.
  rewrite (TV_eq (fun x => marginal_lazy x pz) (fun x => erefl (exact z x))).
  apply: TV_lazy; first exact: reveal_at01.
    split=> [y|]; last exact: sum_posterior.
    exact: posterior_ge0.
  by move=> y i; split=> [a|]; [apply: ler0n | apply: sum_delta1].
have moved i : (1 - kappa i) * reveal_rate i = kappa' i - kappa i.
  apply: mul_divK => /eqP; rewrite subr_eq0 => /eqP k1.
  have /andP [_ le1] := k01' i; have le := mono i; rewrite -k1 in le.
  by apply/eqP; rewrite -k1 subr_eq0 eq_le le1 le.
rewrite /pairs; under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: ler_sum => i _ /=.
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: ler_sum => j ij /=.
rewrite le_eqVlt; apply/orP; left; apply/eqP.
have ij' : i != j by apply: contraTneq ij => ->; rewrite ltnn.
transitivity (reveal_rate i * reveal_rate j *
  \sum_z path z * ((z i == None)%:R * (z j == None)%:R)).
  rewrite mulr_sumr; apply: eq_bigr => z _.
  by rewrite /reveal_at mulrACA [LHS]mulrA [RHS]mulrC.
by rewrite hidden_pair // -!moved; ring_in R.
Qed.

End MaskedRate.

Section MaskedRun.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.

Lemma TV_triangle (S : finType) (p q r : S -> R) : TV p r <= TV p q + TV q r.
Proof.
rewrite /TV -mulrDl ler_pmul2r ?invr_gt0 ?ltr0n // -big_split.
by apply: ler_sum => x _; apply: ler_dist_add.
Qed.

Lemma TV_push (S : finType) (p p' : S -> R) (k : S -> S -> R) :
  (forall z, 0 <= p z) -> (forall z, is_pmf (k z)) ->
  TV (push p k) (push p' k) <= TV p p'.
Proof.
move=> p0 k_pmf; apply: le_trans (C14_mixture p' k p0 k_pmf) _.
rewrite [X in _ + X]big1 ?addr0 // => z _; rewrite /TV big1 ?mul0r ?mulr0 // => x _.
by rewrite subrr normr0.
Qed.

(* The whole run: the defects of the steps add up. *)
Theorem C05_masked_run_bound (q : data -> R) (kappa : nat -> 'I_N -> R) n :
  is_pmf q -> revealing_schedule kappa ->
  TV (masked_chain q kappa n) (marginal_path q (masked_path (kappa n))) <=
  \sum_(t < n) \sum_(i < N) \sum_(j < N | (i < j)%N)
    (kappa t.+1 i - kappa t i) * (kappa t.+1 j - kappa t j).
Proof.
move=> q_pmf [k01 mono k0]; have [q0 q1] := q_pmf.
pose kernel t := step_kernel (masked_step q (kappa t) (kappa t.+1)).
have kernel_pmf t z : is_pmf (kernel t z).
  apply: C04_step_kernel_is_pmf; apply: C03_step_conditions => // [y x|y].
    exact: masked_path_ge0.
  exact: C04_masked_step_conditions.
have chain_ge0 t x : 0 <= masked_chain q kappa t x.
  apply: run_ge0 => [y|s z y]; first exact: ler0n.
  by have [ge0 _] := kernel_pmf s z; apply: ge0.
elim: n => [|n IH].
  rewrite big_ord0 /TV big1 ?mul0r // => x _.
  by rewrite (masked_start x q1 k0) subrr normr0.
rewrite big_ord_recr /=.
apply: le_trans (TV_triangle _
  (push (marginal_path q (masked_path (kappa n))) (kernel n)) _) _.
apply: ler_add; last exact: C05_masked_step_bound.
apply: le_trans IH; apply: TV_push; first exact: chain_ge0.
exact: kernel_pmf.
Qed.

End MaskedRun.
