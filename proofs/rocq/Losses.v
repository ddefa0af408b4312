(* C07: cross entropies of masked schedules.

   The flow-matching cross entropy of a step, for a cost (-log q^, or any other
   function of state, position and token),

     E_{y ~ q} E_{z ~ p(.|y)} sum over hidden i of
       (kappa'^i - kappa^i) / (1 - kappa^i) cost(z, i, y^i).

   For an order of positions it is the cost of the next token, whatever the
   cost; of all models the posterior of the token has the least.            *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization.
From Ddfm Require Import Masked Autoregression Logarithm.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Losses.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Local Notation places := {ffun 'I_N -> bool}.
Add Field R_field : (numfield_theory R).
Variable q : data -> R.

Definition masked_loss (kappa kappa' : 'I_N -> R) (cost : state -> 'I_N -> V -> R) : R :=
  \sum_y q y * \sum_z masked_path kappa y z *
    \sum_i (z i == None)%:R * ((kappa' i - kappa i) / (1 - kappa i)) * cost z i (y i).

(* y with its tokens at the places b shown. *)
Definition show (b : places) (y : data) : state :=
  [ffun i => if b i then Some (y i) else None].

Definition places_weight (kappa : 'I_N -> R) (b : places) : R :=
  \prod_i (if b i then kappa i else 1 - kappa i).

Lemma masked_path_places kappa y z :
  masked_path kappa y z = \sum_b places_weight kappa b * (z == show b y)%:R.
Proof.
rewrite /masked_path /convex_path /product_path /convex_token bigA_distr_bigA /=.
apply: eq_bigr => b _; rewrite big_split /= eq_state; congr (_ * _).
by apply: eq_bigr => i _; rewrite /masked_base ffunE.
Qed.

Lemma masked_loss_places kappa kappa' cost :
  masked_loss kappa kappa' cost =
  \sum_b places_weight kappa b * \sum_i (~~ b i)%:R *
    ((kappa' i - kappa i) / (1 - kappa i)) * \sum_y q y * cost (show b y) i (y i).
Proof.
rewrite /masked_loss; transitivity (\sum_y \sum_b q y * (places_weight kappa b *
    \sum_i (~~ b i)%:R * ((kappa' i - kappa i) / (1 - kappa i)) * cost (show b y) i (y i))).
  apply: eq_bigr => y _; rewrite -mulr_sumr; congr (_ * _).
  under eq_bigr do rewrite masked_path_places mulr_suml.
  rewrite exchange_big; apply: eq_bigr => b _ /=.
  under eq_bigr do rewrite -mulrA.
  rewrite -mulr_sumr sum_delta; congr (_ * _); apply: eq_bigr => i _.
  by rewrite ffunE; case: (b i).
rewrite exchange_big; apply: eq_bigr => b _ /=.
under eq_bigr do rewrite mulrCA mulr_sumr.
rewrite -mulr_sumr exchange_big; congr (_ * _); apply: eq_bigr => i _ /=.
by rewrite mulr_sumr; apply: eq_bigr => y _; rewrite mulrCA.
Qed.

(* C07, term by term, whatever the cost. *)
Definition shown_before (rank : 'I_N -> nat) (t : nat) : places := [ffun i => (rank i < t)%N].

Lemma order_weight rank t b :
  places_weight (order_schedule R rank t) b = (b == shown_before rank t)%:R.
Proof.
rewrite eq_state; apply: eq_bigr => i _; rewrite ffunE /order_schedule.
by case: (b i); case: (_ < t)%N; rewrite ?subrr ?subr0.
Qed.

Theorem C07_next_token_loss rank i cost :
  injective rank ->
  masked_loss (order_schedule R rank (rank i)) (order_schedule R rank (rank i).+1) cost =
  \sum_y q y * cost (show (shown_before rank (rank i)) y) i (y i).
Proof.
move=> inj; rewrite masked_loss_places; under eq_bigr do rewrite order_weight.
rewrite sum_delta (bigD1 i) //= [X in _ + X]big1 ?addr0 => [|j /negbTE ji].
  by rewrite order_step ffunE /order_schedule ltnn eqxx subr0 divr1 !mul1r.
by rewrite order_step (inj_eq inj) ji mul0r mulr0 mul0r.
Qed.

Lemma show_prefix (t : nat) y : show (shown_before (@nat_of_ord N) t) y = prefix t y.
Proof. by apply/ffunP => i; rewrite !ffunE. Qed.

Theorem C07_left_to_right (i : 'I_N) cost :
  masked_loss (order_schedule R (@nat_of_ord N) i) (order_schedule R (@nat_of_ord N) i.+1) cost =
  \sum_y q y * cost (prefix i y) i (y i).
Proof.
rewrite (C07_next_token_loss i cost (@ord_inj N)).
by apply: eq_bigr => y _; rewrite show_prefix.
Qed.

Section Posterior.
Hypothesis q_ge0 : forall y, 0 <= q y.

(* E over y given z. *)
Lemma hidden_expectation kappa (z : state) i (f : V -> R) :
  unit_interval kappa -> z i = None ->
  \sum_y q y * masked_path kappa y z * f (y i) =
  marginal_path q (masked_path kappa) z * \sum_v next_token q z i (Some v) * f v.
Proof.
move=> k01 zi; have pc0 (y : data) z' : 0 <= masked_path kappa y z' by apply: masked_path_ge0.
have [p0 | pz] := eqVneq (marginal_path q (masked_path kappa) z) 0.
  rewrite p0 mul0r big1 // => y _; rewrite (psum_eq0 _ p0) ?mul0r // => y'.
  exact: mulr_ge0.
have w0 : schedule_weight kappa z != 0.
  by move: pz; rewrite C22_path_factorization mulf_eq0 negb_or => /andP [].
under [X in _ = _ * X]eq_bigr => v _.
  rewrite -(C22_hidden_token q v w0 zi) mulr_suml; over.
rewrite /= mulr_sumr (partition_big (fun y : data => y i) xpredT) //=.
apply: eq_bigr => v _; rewrite mulr_sumr; apply: eq_bigr => y /eqP <-.
by rewrite mulrA marginal_path_mul_posterior.
Qed.

Definition token_cost (L : R -> R) (model : state -> 'I_N -> V -> R)
  (z : state) (i : 'I_N) (v : V) : R :=
  - L (model z i v).

Definition token_posterior (z : state) (i : 'I_N) (v : V) : R := next_token q z i (Some v).

(* The excess over the posterior's loss is a mean of divergences. *)
Lemma masked_loss_excess L kappa kappa' model :
  unit_interval kappa ->
  masked_loss kappa kappa' (token_cost L model) -
  masked_loss kappa kappa' (token_cost L token_posterior) =
  \sum_z marginal_path q (masked_path kappa) z *
    \sum_i (z i == None)%:R * ((kappa' i - kappa i) / (1 - kappa i)) *
      KL L (token_posterior z i) (model z i).
Proof.
move=> k01; rewrite /masked_loss -sumrB.
transitivity (\sum_(y : data) \sum_(z : state) \sum_i (z i == None)%:R * ((kappa' i - kappa i) / (1 - kappa i)) *
    (q y * masked_path kappa y z * (L (token_posterior z i (y i)) - L (model z i (y i))))).
  apply: eq_bigr => y _; rewrite -mulrBr -sumrB mulr_sumr; apply: eq_bigr => z _.
  rewrite -mulrBr -sumrB mulrA mulr_sumr; apply: eq_bigr => i _.
  by rewrite /token_cost -mulrBr opprK [X in _ * (_ * X)]addrC mulrCA.
rewrite exchange_big; apply: eq_bigr => z _ /=.
rewrite exchange_big mulr_sumr; apply: eq_bigr => i _ /=.
rewrite -mulr_sumr [RHS]mulrCA; have [zi | zi] := eqVneq (z i) None; last by rewrite !mul0r.
congr (_ * _); exact: (hidden_expectation (fun v =>
  L (token_posterior z i v) - L (model z i v)) k01 zi).
Qed.

Lemma mass_posterior_pmf z i :
  revealed_mass q z != 0 -> z i = None -> is_pmf (token_posterior z i).
Proof.
move=> S0 zi; split=> [v|]; first by rewrite /token_posterior /= divr_ge0 ?revealed_mass_ge0.
rewrite /token_posterior /= -mulr_suml.
under eq_bigr do rewrite revealed_mass_upd //.
rewrite exchange_big /= (_ : \sum_y _ = revealed_mass q z) ?divff //.
by apply: eq_bigr => y _; rewrite -mulr_sumr sum_delta1r mulr1.
Qed.

Lemma token_posterior_pmf kappa z i :
  marginal_path q (masked_path kappa) z != 0 -> z i = None -> is_pmf (token_posterior z i).
Proof.
move=> pz; apply: mass_posterior_pmf.
by move: pz; rewrite C22_path_factorization mulf_eq0 negb_or => /andP [].
Qed.

(* No model does better than the posterior. *)
Theorem C07_posterior_is_best L kappa kappa' model :
  logarithm L -> unit_interval kappa -> unit_interval kappa' ->
  (forall i, kappa i <= kappa' i) -> (forall z i, is_pmf (model z i)) ->
  (forall z i, below (token_posterior z i) (model z i)) ->
  masked_loss kappa kappa' (token_cost L token_posterior) <=
  masked_loss kappa kappa' (token_cost L model).
Proof.
move=> L_log k01 k01' mono pmf ac; rewrite -subr_ge0 masked_loss_excess //.
have pc0 (y : data) z : 0 <= masked_path kappa y z by apply: masked_path_ge0.
apply: sumr_ge0 => z _; have [-> | pz] := eqVneq (marginal_path q (masked_path kappa) z) 0.
  by rewrite mul0r.
apply: mulr_ge0; first exact: marginal_path_ge0.
apply: sumr_ge0 => i _; have [zi | zi] := eqVneq (z i) None; last by rewrite !mul0r.
have /andP [k0 _] := k01 i; have /andP [_ k1] := k01' i.
have /andP [r0 _] := masked_rate_bounds k0 (mono i) k1.
rewrite mul1r; apply: mulr_ge0 => //; apply: C14_gibbs => //.
exact: token_posterior_pmf pz zi.
Qed.

End Posterior.

End Losses.
