(* C19, and the minimum of C07: the loss with the posterior is the growth of

     Phi(kappa) = E H(X_B),   B the revealed positions,

   the mean entropy of the revealed tokens: its derivative in continuous time,
   its increment where one position moves.  Phi rises from 0 to H(q), so the
   losses add up to the entropy.  Only the additivity of L is needed.       *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Autoregression Logarithm Losses.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Elbo.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Local Notation places := {ffun 'I_N -> bool}.
Add Field R_field : (numfield_theory R).
Variable q : data -> R.
Local Notation posterior_cost L := (token_cost L (token_posterior q)).

(* Any function h of the revealed positions, averaged over them. *)
Definition mean_over_places (h : places -> R) (kappa : 'I_N -> R) : R :=
  \sum_b places_weight kappa b * h b.

Definition growth (h : places -> R) (kappa dkappa : 'I_N -> R) : R :=
  \sum_b places_weight kappa b * \sum_i (~~ b i)%:R * (dkappa i / (1 - kappa i)) *
    (h (upd b i true) - h b).

(* Sums over b by whether place i is on. *)
Lemma sum_places i (F : places -> R) :
  \sum_b F b = \sum_(b : places | ~~ b i) (F (upd b i true) + F b).
Proof.
rewrite (bigID (fun b : places => b i)) big_split /=; congr (_ + _).
rewrite (reindex_onto (fun b : places => upd b i true) (fun b => upd b i false)) /=.
  apply: eq_bigl => b; rewrite upd_at /=; apply/eqP/idP => [<- | bi].
    by rewrite upd_at.
  apply/ffunP => j; rewrite !ffunE; case: eqP => [-> | //].
  by apply/esym/negbTE.
move=> b bi; apply/ffunP => j; rewrite !ffunE; case: eqP => [-> | //].
by rewrite bi.
Qed.

Definition other_weight (kappa : 'I_N -> R) i (b : places) : R :=
  \prod_(j | j != i) (if b j then kappa j else 1 - kappa j).

Lemma places_weight_split kappa i b :
  places_weight kappa b = (if b i then kappa i else 1 - kappa i) * other_weight kappa i b.
Proof. by rewrite /places_weight (bigD1 i). Qed.

Lemma other_weight_upd kappa i b : other_weight kappa i (upd b i true) = other_weight kappa i b.
Proof. by apply: eq_bigr => j ji; rewrite upd_off. Qed.

Lemma growthE h kappa dkappa :
  (forall i, kappa i = 1 -> dkappa i = 0) ->
  growth h kappa dkappa = \sum_i dkappa i *
    \sum_(b : places | ~~ b i) other_weight kappa i b * (h (upd b i true) - h b).
Proof.
move=> at1; rewrite /growth; under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => i _ /=.
rewrite mulr_sumr [RHS]big_mkcond; apply: eq_bigr => b _.
rewrite (places_weight_split _ i); case bi: (b i); rewrite /= ?mul0r ?mulr0 //.
rewrite mul1r; have e : (1 - kappa i) * (dkappa i / (1 - kappa i)) = dkappa i.
  by apply: mul_divK => /eqP; rewrite subr_eq0 eq_sym => /eqP /at1.
by rewrite -[in RHS]e; ring_in R.
Qed.

Lemma mean_move h kappa kappa' i :
  (forall j, j != i -> kappa' j = kappa j) -> (kappa i = 1 -> kappa' i = kappa i) ->
  mean_over_places h kappa' - mean_over_places h kappa =
  growth h kappa (fun j => kappa' j - kappa j).
Proof.
move=> off at1; rewrite growthE; last first.
  by move=> j k1; have [e | /off ->] := eqVneq j i; rewrite ?subrr // e at1 -?e ?subrr.
rewrite [RHS](bigD1 i) //= [X in _ = _ + X]big1 ?addr0; last first.
  by move=> j /off ->; rewrite subrr mul0r.
have same b : other_weight kappa' i b = other_weight kappa i b.
  by apply: eq_bigr => j /off ->.
rewrite /mean_over_places !(sum_places i) -sumrB mulr_sumr; apply: eq_bigr => b bi.
rewrite !(places_weight_split _ i) !upd_at (negbTE bi) !other_weight_upd !same.
by ring_in R.
Qed.

(* The mean entropy of the revealed tokens: L(1) = 0 of none, H(q) of all. *)
Definition places_entropy (L : R -> R) (b : places) : R :=
  \sum_y q y * - L (revealed_mass q (show b y)).

Definition mean_entropy (L : R -> R) := mean_over_places (places_entropy L).

Section Entropy.
Variable L : R -> R.
Hypothesis (L_mul : additive_on_products L) (q_pmf : is_pmf q).

Let q_ge0 y : 0 <= q y. Proof. by case: q_pmf. Qed.

Lemma shown_mass_gt0 b (y : data) : q y != 0 -> 0 < revealed_mass q (show b y).
Proof.
move=> qy; rewrite lt0r revealed_mass_ge0 // andbT.
apply: (@psum_neq0 _ _ _ y) => [y'|]; first by rewrite mulr_ge0 ?ler0n.
rewrite (_ : agrees _ _) ?mulr1 //; apply/forallP => i; rewrite ffunE.
by case: (b i); rewrite ?eqxx ?orbT.
Qed.

Lemma show_upd (b : places) (y : data) i : show (upd b i true) y = upd (show b y) i (Some (y i)).
Proof. by apply/ffunP => j; rewrite !ffunE; case: eqP => // ->. Qed.

(* H(X_{B + i}) - H(X_B) = E -log q(x^i | x_B). *)
Lemma entropy_growth (b : places) i :
  places_entropy L (upd b i true) - places_entropy L b =
  \sum_y q y * posterior_cost L (show b y) i (y i).
Proof.
rewrite /places_entropy -sumrB; apply: eq_bigr => y _; rewrite -mulrBr.
have [-> | qy] := eqVneq (q y) 0; first by rewrite !mul0r.
rewrite /token_cost /token_posterior /next_token -show_upd.
by rewrite log_div ?shown_mass_gt0 // opprB opprK addrC.
Qed.

Theorem C19_loss_is_entropy_growth kappa kappa' :
  masked_loss q kappa kappa' (posterior_cost L) =
  growth (places_entropy L) kappa (fun i => kappa' i - kappa i).
Proof.
rewrite masked_loss_places; apply: eq_bigr => b _; congr (_ * _).
by apply: eq_bigr => i _; rewrite entropy_growth.
Qed.

Lemma mean_entropy_start kappa : (forall i, kappa i = 0) -> mean_entropy L kappa = 0.
Proof.
move=> k0; rewrite /mean_entropy /mean_over_places.
rewrite (eq_bigr (fun b => (b == [ffun=> false])%:R * places_entropy L b)).
  rewrite sum_delta /places_entropy big1 // => y _.
  rewrite (_ : revealed_mass _ _ = 1) ?(log1 L_mul) ?oppr0 ?mulr0 //.
  rewrite -(proj2 q_pmf); apply: eq_bigr => y' _.
  by rewrite (_ : agrees _ _) ?mulr1 //; apply/forallP => i; rewrite !ffunE.
move=> b _; congr (_ * _); rewrite eq_state; apply: eq_bigr => i _.
by rewrite k0 ffunE; case: (b i); rewrite ?subr0.
Qed.

Lemma mean_entropy_end kappa : (forall i, kappa i = 1) -> mean_entropy L kappa = entropy L q.
Proof.
move=> k1; rewrite /mean_entropy /mean_over_places.
rewrite (eq_bigr (fun b => (b == [ffun=> true])%:R * places_entropy L b)).
  rewrite sum_delta /places_entropy /entropy -sumrN; apply: eq_bigr => y _.
  rewrite mulrN (_ : show _ y = prefix N y) ?prefix_massN //.
  by apply/ffunP => i; rewrite !ffunE ltn_ord.
move=> b _; congr (_ * _); rewrite eq_state; apply: eq_bigr => i _.
by rewrite k1 ffunE; case: (b i); rewrite ?subrr.
Qed.

(* One position a step, jumps or not: the losses add up to the entropy. *)
Theorem C19_one_position_a_step (kappa : nat -> 'I_N -> R) n :
  revealing_schedule kappa -> one_position_a_step kappa -> (forall i, kappa n i = 1) ->
  \sum_(t < n) masked_loss q (kappa t) (kappa t.+1) (posterior_cost L) =
  entropy L q.
Proof.
move=> [k01 mono k0] one k1.
have -> : entropy L q = \sum_(t < n) (mean_entropy L (kappa t.+1) - mean_entropy L (kappa t)).
  rewrite -(big_mkord xpredT (fun t => mean_entropy L (kappa t.+1) - mean_entropy L (kappa t))).
  by rewrite telescope_sumr // (mean_entropy_start k0) (mean_entropy_end k1) subr0.
apply: eq_bigr => t _; rewrite C19_loss_is_entropy_growth.
have [i mi | none] := pickP (fun i => kappa t.+1 i != kappa t i).
  rewrite -(@mean_move _ _ (kappa t.+1) i) // => [j ji | ki].
    by apply/eqP; apply: contraNT ji => mj; apply/eqP; apply: one mj mi.
  apply/eqP; rewrite eq_le mono andbT ki.
  by case/andP: (k01 t.+1 i).
have same j : kappa t.+1 j = kappa t j by apply/eqP; have := none j; move/negbFE.
rewrite growthE => [|j _]; last by rewrite same subrr.
rewrite big1 => [|j _]; last by rewrite same subrr mul0r.
rewrite /mean_entropy /mean_over_places -sumrB big1 // => b _.
rewrite (_ : places_weight (kappa t.+1) b = places_weight (kappa t) b) ?subrr //.
by apply: eq_bigr => j _; rewrite same.
Qed.

(* C07: the least next-token loss is the entropy. *)
Theorem C07_minimum_is_entropy (rank : 'I_N -> nat) n :
  injective rank -> (forall i, (rank i < n)%N) ->
  \sum_(t < n) masked_loss q (order_schedule R rank t) (order_schedule R rank t.+1)
    (posterior_cost L) = entropy L q.
Proof.
move=> inj last; apply: C19_one_position_a_step.
- exact: order_revealing.
- exact: order_one_position.
by move=> i; rewrite /order_schedule last.
Qed.

(* Continuous time: the integrand is the derivative of Phi. *)
Section Continuous.
Variables (A : comAlgType R) (t : instant A) (kappa : 'I_N -> A).

Definition mean_curve (h : places -> R) : A :=
  \sum_b h b *: \prod_i (if b i then kappa i else 1 - kappa i).

Lemma mean_curve_derivative h :
  (forall i, value t (kappa i) != 1) ->
  derivative t (mean_curve h) =
  growth h (fun i => value t (kappa i)) (fun i => derivative t (kappa i)).
Proof.
move=> k1; rewrite growthE => [|i e]; last by case/eqP: (k1 i).
rewrite derivative_sum; under eq_bigr do rewrite derivative_prod mulr_sumr.
rewrite exchange_big; apply: eq_bigr => i _ /=.
rewrite (sum_places i) mulr_sumr; apply: eq_bigr => b bi.
have other (b' : places) : \prod_(j | j != i) value t (if b' j then kappa j else 1 - kappa j) =
    other_weight (fun i => value t (kappa i)) i b'.
  by apply: eq_bigr => j _; case: (b' j); rewrite // value_complement.
rewrite !other other_weight_upd upd_at (negbTE bi) derivative_complement.
by ring_in R.
Qed.

Lemma mean_curve_value h :
  value t (mean_curve h) = mean_over_places h (fun i => value t (kappa i)).
Proof.
rewrite value_sum; apply: eq_bigr => b _; rewrite mulrC value_prod; congr (_ * _).
by apply: eq_bigr => i _; case: (b i); rewrite // value_complement.
Qed.

Theorem C19_integrand_is_derivative :
  (forall i, value t (kappa i) != 1) ->
  masked_loss q (fun i => value t (kappa i))
    (fun i => value t (kappa i) + derivative t (kappa i)) (posterior_cost L) =
  derivative t (mean_curve (places_entropy L)).
Proof.
move=> k1; rewrite mean_curve_derivative // C19_loss_is_entropy_growth.
apply: eq_bigr => b _; congr (_ * _); apply: eq_bigr => i _.
by rewrite addrAC subrr add0r.
Qed.

End Continuous.

(* Polynomial schedules, equal or per position: the negative ELBO, the integral
   of the loss over [0, 1] as the growth of a primitive, is the entropy. *)
Theorem C19_negative_elbo_polynomial (kappa : 'I_N -> {poly R}) :
  (forall i, (kappa i).[0] = 0) -> (forall i, (kappa i).[1] = 1) ->
  exists Phi : {poly R},
    (forall s, (forall i, (kappa i).[s] != 1) ->
       masked_loss q (fun i => (kappa i).[s]) (fun i => (kappa i).[s] + (kappa i)^`().[s])
         (posterior_cost L) = Phi^`().[s]) /\
    Phi.[1] - Phi.[0] = entropy L q.
Proof.
move=> k0 k1; exists (mean_curve kappa (places_entropy L)); split=> [s ks|].
  exact: (@C19_integrand_is_derivative _ (at_time s) kappa ks).
have at_ s : (mean_curve kappa (places_entropy L)).[s] =
    mean_entropy L (fun i => (kappa i).[s]) by apply: (mean_curve_value (at_time s)).
by rewrite !at_ (mean_entropy_start k0) (mean_entropy_end k1) subr0.
Qed.

End Entropy.
End Elbo.
