(* Controls of the rows that speak of logarithms, for any L as in Logarithm.v.

   C14: with weights r^ for r the KL bound is too low by L(8/5)/2.
   C12: omega_k at a prefix costs KL((5/8, 3/8) || (1/2, 1/2)) more.
   C07: summing over all hidden positions, 00/11: 2 L(2) instead of L(2).
   C19: the weight 1/(1 - kappa) left out, linear kappa, N = 1: H/2; both
   positions of 00/11 in one jump: 2 L(2) instead of L(2).                   *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Autoregression Logarithm Losses Elbo.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Controls.
Variables (R : numFieldType) (L : R -> R).
Add Field R_field : (numfield_theory R).
Hypothesis L_log : logarithm L.
Let L_mul : additive_on_products L := proj1 L_log.

Definition fraction (n m : nat) : R := n%:R / m%:R.

(* Probability n/m of true. *)
Definition biased_coin (n m : nat) (a : bool) : R :=
  if a then fraction n m else fraction (m - n) m.

Lemma fractionE n m : fraction n m = ratr (n%:R / m%:R : rat).
Proof. by rewrite fmorph_div /= !ratr_nat. Qed.

Lemma log_nat n m : (0 < n)%N -> (0 < m)%N -> L (n * m)%:R = L n%:R + L m%:R.
Proof. by move=> n0 m0; rewrite natrM L_mul ?ltr0n. Qed.

Lemma log_fraction n m : (0 < n)%N -> (0 < m)%N -> L (fraction n m) = L n%:R - L m%:R.
Proof. by move=> n0 m0; rewrite /fraction log_div ?ltr0n. Qed.

Lemma log_gt0 n m : (0 < m < n)%N -> 0 < L (fraction n m).
Proof.
move=> /andP [m0 mn]; have n0 := ltn_trans m0 mn.
have f0 : 0 < fraction n m by rewrite divr_gt0 ?ltr0n.
apply: lt_le_trans (log_ge L_log f0).
by rewrite subr_gt0 /fraction invf_div ltr_pdivr_mulr ?ltr0n // mul1r ltr_nat.
Qed.

(* C14: r = (1/2, 1/2), r^ = (1/4, 3/4), p = delta_1, delta_0, p^ = (1/4, 3/4), delta_0. *)
Definition sure (k : bool) : bool -> R := if k then biased_coin 1 1 else biased_coin 0 1.
Definition unsure (k : bool) : bool -> R := if k then biased_coin 1 4 else biased_coin 0 1.

Theorem C14_control_KL_weights :
  KL L (mixture (biased_coin 1 2) sure) (mixture (biased_coin 1 4) unsure) -
  (KL L (biased_coin 1 2) (biased_coin 1 4) +
   \sum_k biased_coin 1 4 k * KL L (sure k) (unsure k)) = L (fraction 8 5) / 2%:R /\
  0 < L (fraction 8 5).
Proof.
split; last exact: log_gt0.
have m1 a : mixture (biased_coin 1 2) sure a = fraction 1 2.
  by rewrite /mixture big_bool /sure; case: a; rewrite /= !fractionE -!rmorphM -rmorphD;
    congr ratr; compute_rat.
have m2 a : mixture (biased_coin 1 4) unsure a = biased_coin 1 16 a.
  by rewrite /mixture big_bool /unsure; case: a; rewrite /= !fractionE -!rmorphM -rmorphD;
    congr ratr; compute_rat.
have zero m : fraction 0 m = 0 by rewrite /fraction mul0r.
have one : fraction 1 1 = 1 by rewrite /fraction divr1.
rewrite /KL !big_bool /= !m1 !m2 /= !subn1 /= zero one !log_fraction // mulr1n (log1 L_mul).
have l4 : L 4%:R = L 2%:R + L 2%:R := log_nat (isT : 0 < 2)%N (isT : 0 < 2)%N.
have l8 : L 8%:R = L 4%:R + L 2%:R := log_nat (isT : 0 < 4)%N (isT : 0 < 2)%N.
have l16 : L 16%:R = L 4%:R + L 4%:R := log_nat (isT : 0 < 4)%N (isT : 0 < 4)%N.
have l15 : L 15%:R = L 3%:R + L 5%:R := log_nat (isT : 0 < 3)%N (isT : 0 < 5)%N.
rewrite l8 l16 l15 l4; set l2 := L 2%:R; set l3 := L 3%:R; set l5 := L 5%:R.
have two_neq0 : 1 + 1 != 0 :> R by rewrite -[1 + 1]/(2%:R) pnatr_eq0.
have -> : fraction 1 2 = 1 / (1 + 1) by [].
have -> : fraction 1 4 = 1 / (1 + 1) / (1 + 1).
  by rewrite -mulrA -invfM -[1 + 1]/(2%:R) -natrM.
by rewrite -[2%:R]/(1 + 1); field_in R; apply/eqP.
Qed.

(* C12: the experts (3/4, 1/4)^2 and (1/4, 3/4)^2 after one token have the central
   law (5/8, 3/8); omega gives (1/2, 1/2). *)
Theorem C12_control_static_weights (D := KL L (biased_coin 5 8) (biased_coin 1 2)) :
  D = fraction 5 8 * L (fraction 5 4) + fraction 3 8 * L (fraction 3 4) /\ 0 < D.
Proof.
have l8 : L 8%:R = L 4%:R + L 2%:R := log_nat (isT : 0 < 4)%N (isT : 0 < 2)%N.
have e : D = fraction 5 8 * L (fraction 5 4) + fraction 3 8 * L (fraction 3 4).
  rewrite /D /KL big_bool /= -[(8 - 5)%N]/3%N -[(2 - 1)%N]/1%N !log_fraction // l8 mulr1n (log1 L_mul).
  by congr (_ * _ + _ * _); ring_in R.
split=> //; rewrite e; pose y : R := fraction 5 4 ^+ 5 * fraction 3 4 ^+ 3.
have pow x n : 0 < x -> L (x ^+ n) = n%:R * L x.
  move=> x0; elim: n => [|n IH]; first by rewrite expr0 (log1 L_mul) mul0r.
  by rewrite exprS L_mul ?exprn_gt0 // IH [in RHS]mulrS mulrDl mul1r.
have f0 n m : (0 < n)%N -> (0 < m)%N -> 0 < fraction n m by move=> *; rewrite divr_gt0 ?ltr0n.
have y0 : 0 < y by rewrite mulr_gt0 ?exprn_gt0 ?f0.
have y1 : 1 < y.
  by rewrite /y !fractionE -!rmorphX -rmorphM -(rmorph1 (ratr_rmorphism R)) ltr_rat.
have Ly : 0 < L y.
  by apply: lt_le_trans (log_ge L_log y0); rewrite subr_gt0 invf_lt1.
have eight : 0 < 8%:R :> R by rewrite ltr0n.
have times8 n : 8%:R * fraction n 8 = n%:R.
  by rewrite /fraction mulrCA mulfV ?mulr1 // lt0r_neq0.
suff -> : fraction 5 8 * L (fraction 5 4) + fraction 3 8 * L (fraction 3 4) = 8%:R^-1 * L y.
  by rewrite mulr_gt0 ?invr_gt0.
move: (times8 5%N) (times8 3%N); set c5 := fraction 5 8; set c3 := fraction 3 8 => t5 t3.
apply: (mulfI (lt0r_neq0 eight)); rewrite mulrDr.
rewrite [_ * (c5 * _)]mulrA [_ * (c3 * _)]mulrA t5 t3 mulrA mulfV ?lt0r_neq0 // mul1r.
have f54 := f0 5%N 4%N isT isT; have f34 := f0 3%N 4%N isT isT.
by rewrite /y (L_mul (exprn_gt0 5 f54) (exprn_gt0 3 f34)) (pow _ _ f54) (pow _ _ f34).
Qed.

(* C19: the weight left out, kappa_t = t at N = 1. *)
Theorem C19_control_weight_left_out (V : finType) (q : {ffun 'I_1 -> V} -> R) :
  is_pmf q ->
  exists Phi : {poly R},
    (forall s, s != 1 -> masked_loss q (fun=> s) (fun=> s + (1 - s))
       (token_cost L (token_posterior q)) = Phi^`().[s]) /\
    Phi.[1] - Phi.[0] = entropy L q / 2%:R.
Proof.
move=> q_pmf; pose H := entropy L q.
have two0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
exists (H *: ('X - 2%:R^-1 *: 'X ^+ 2)); split=> [s s1|]; last first.
  rewrite !hornerZ !hornerD !hornerN !hornerZ !hornerXn !hornerX expr1n expr0n /= mulr0 subr0.
  rewrite mulr0 subr0 mulr1 -/H; congr (_ * _); apply: (mulIf two0).
  by rewrite mulrBl mulVf // mul1r -[2%:R]/(1 + 1) addrK.
have s1' : 1 - s != 0 by rewrite subr_eq0 eq_sym.
have slope : (H *: ('X - 2%:R^-1 *: 'X ^+ 2))^`().[s] = H * (1 - s).
  rewrite derivZ derivB derivX derivZ derivXn /= expr1 !hornerE.
  by rewrite -[s + s]mulr2n -[s *+ 2]mulr_natl mulrA mulVf // mul1r.
have grows kappa dkappa : (forall i, kappa i = 1 -> dkappa i = 0) ->
    growth (places_entropy q L) kappa dkappa = dkappa ord0 *
    \sum_(b : {ffun 'I_1 -> bool} | ~~ b ord0)
      (places_entropy q L (upd b ord0 true) - places_entropy q L b).
  move=> at1; rewrite growthE // big_ord1; congr (_ * _); apply: eq_bigr => b _.
  by rewrite /other_weight big1 ?mul1r // => j; rewrite (ord1 j) eqxx.
set C := \sum_(b | _) _ in grows.
have CH : C = H.
  have at0 (i : 'I_1) : (fun _ : 'I_1 => 0 : R) i = 1 -> (fun _ : 'I_1 => 1 - 0 : R) i = 0.
    by move/eqP; rewrite eq_sym oner_eq0.
  have := @mean_move _ _ (places_entropy q L) (fun=> 0) (fun=> 1) ord0.
  have start := mean_entropy_start L_mul q_pmf (kappa := fun=> 0) (fun=> erefl).
  have end_ := mean_entropy_end q L (kappa := fun=> 1) (fun=> erefl).
  rewrite /mean_entropy in start end_; rewrite start end_ subr0 (grows _ _ at0) subr0 mul1r.
  by move=> <- // j; rewrite (ord1 j) eqxx.
rewrite slope (C19_loss_is_entropy_growth L_mul q_pmf) grows => [|i e]; last first.
  by case/eqP: s1.
by rewrite CH addrAC subrr add0r mulrC.
Qed.

(* C07: half on 00, half on 11; every hidden position counts at every step. *)
Definition twin_bits (y : {ffun 'I_2 -> bool}) : R := (y ord0 == y ord_max)%:R / 2%:R.

Lemma twin_pmf : is_pmf twin_bits.
Proof.
have two0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
split=> [y|]; first by rewrite divr_ge0 ?ler0n.
rewrite sum_pair2 !big_bool /twin_bits !pair2_0 !pair2_1 /= !mul0r addr0 add0r.
by rewrite -mulrDl -[1%:R + _]/(2%:R) mulfV.
Qed.

Lemma twin_entropies (b : {ffun 'I_2 -> bool}) :
  places_entropy twin_bits L b = (b ord0 || b ord_max)%:R * L 2%:R.
Proof.
have two0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
have half : L (1 / 2%:R) = - L 2%:R by rewrite log_div ?ltr0n ?ltr01 // (log1 L_mul) sub0r.
have mass y : revealed_mass twin_bits (show b y) =
    if b ord0 && b ord_max then twin_bits y else if b ord0 || b ord_max then 1 / 2%:R else 1.
  rewrite /revealed_mass sum_pair2 !big_bool /agrees !forall_ord2 /twin_bits.
  rewrite !pair2_0 !pair2_1 /show !ffunE.
  case: (b ord0); case: (b ord_max); case: (y ord0); case: (y ord_max);
    rewrite /= ?(mul0r, mulr0, mulr1, addr0, add0r) -?mulrDl -?[1%:R + _]/(2%:R) ?mulfV //.
rewrite /places_entropy sum_pair2 !big_bool !mass /twin_bits !pair2_0 !pair2_1 /= !mul0r.
rewrite addr0 add0r -mulrDr.
case: (b ord0); case: (b ord_max); rewrite /= ?half ?(log1 L_mul) ?oppr0 ?opprK.
1-3: by rewrite !mul1r mulrDr mulrC -splitr.
by rewrite addr0 mulr0 mul0r.
Qed.

(* A step that moves every hidden position to its end. *)
Lemma twin_step kappa : growth (places_entropy twin_bits L) kappa (fun i => 1 - kappa i) =
  (1 - kappa ord0) * (1 - kappa ord_max) *
    ((1 - kappa ord0) / (1 - kappa ord0) + (1 - kappa ord_max) / (1 - kappa ord_max)) * L 2%:R.
Proof.
rewrite /growth sum_pair2 !big_bool !sum_ord2 !upd_pair2_0 !upd_pair2_1 !twin_entropies.
rewrite /places_weight !prod_ord2 !pair2_0 !pair2_1 /= !mul0r !mul1r !subrr !subr0.
by ring_in R.
Qed.

Lemma twin_entropy : entropy L twin_bits = L 2%:R /\ 0 < L 2%:R.
Proof.
split; last by have := log_gt0 (isT : 0 < 1 < 2)%N; rewrite /fraction divr1.
rewrite -(mean_entropy_end twin_bits L (kappa := fun=> 1) (fun=> erefl)).
rewrite /mean_entropy /mean_over_places sum_pair2 !big_bool !twin_entropies.
by rewrite /places_weight !prod_ord2 !pair2_0 !pair2_1 /= subrr !mul0r !mulr0 !mul0r !addr0 !mul1r.
Qed.

Theorem C07_control_all_hidden
    (all_hidden := fun t : nat => masked_loss twin_bits
       (order_schedule R (@nat_of_ord 2) t) (fun=> 1)
       (token_cost L (token_posterior twin_bits))) :
  all_hidden 0%N + all_hidden 1%N = L 2%:R + L 2%:R /\
  entropy L twin_bits = L 2%:R /\ 0 < L 2%:R.
Proof.
split; last exact: twin_entropy.
rewrite /all_hidden !(C19_loss_is_entropy_growth L_mul twin_pmf) !twin_step /order_schedule /=.
by rewrite !subr0 subrr !mul0r !mul1r addr0 invr1 mulrDl mul1r.
Qed.

(* C19: both positions of 00/11 in one jump. *)
Theorem C19_control_jumps_together :
  masked_loss twin_bits (fun=> 0) (fun=> 1) (token_cost L (token_posterior twin_bits)) =
    L 2%:R + L 2%:R /\
  entropy L twin_bits = L 2%:R /\ 0 < L 2%:R.
Proof.
split; last exact: twin_entropy.
rewrite (C19_loss_is_entropy_growth L_mul twin_pmf).
have -> : growth (places_entropy twin_bits L) (fun=> 0) (fun=> 1 - 0) =
    growth (places_entropy twin_bits L) (fun=> 0) (fun i => 1 - (fun=> 0) i) by [].
by rewrite twin_step !subr0 invr1 !mul1r mulrDl mul1r.
Qed.

End Controls.
