(* C14: stability in total variation, TV(p, q) = (1/2) sum_x |p(x) - q(x)|.

   One mixture: TV(sum r p_k, sum r^ p^_k) <= TV(r, r^) + sum_k r_k TV(p_k, p^_k).
   Sequences: errors of the steps add up, each weighed by the law of one of
   the two chains at that step: TV(q, q^) <= sum_t E_q TV_t, and under E_q^ too. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Stability.
Variable R : numFieldType.
Add Field R_field : (numfield_theory R).

Definition TV (S : finType) (p q : S -> R) : R :=
  (\sum_x `|p x - q x|) / 2%:R.

Section Facts.
Variable S : finType.
Implicit Types p q : S -> R.

Lemma two_gt0 : 0 < 2%:R :> R.
Proof. by rewrite ltr0n. Qed.

Lemma TV_ge0 p q : 0 <= TV p q.
Proof. by apply: divr_ge0; [apply: sumr_ge0 | apply: ler0n]. Qed.

Lemma TV_sym p q : TV p q = TV q p.
Proof. by congr (_ / _); apply: eq_bigr => x _; rewrite distrC. Qed.

Lemma TV_eq p p' q q' : p =1 p' -> q =1 q' -> TV p q = TV p' q'.
Proof. by move=> ep eq; congr (_ / _); apply: eq_bigr => x _; rewrite ep eq. Qed.

End Facts.

Theorem C14_mixture (K S : finType) (r r' : K -> R) (p p' : K -> S -> R) :
  (forall k, 0 <= r k) -> (forall k, is_pmf (p' k)) ->
  TV (mixture r p) (mixture r' p') <=
  TV r r' + \sum_k r k * TV (p k) (p' k).
Proof.
move=> r0 p'_pmf.
have -> : \sum_k r k * TV (p k) (p' k) =
          (\sum_k \sum_x r k * `|p k x - p' k x|) / 2%:R.
  by rewrite mulr_suml; apply: eq_bigr => k _; rewrite /TV mulrA mulr_sumr.
rewrite /TV -mulrDl ler_pmul2r ?invr_gt0 ?two_gt0 // exchange_big /=.
have -> : \sum_k `|r k - r' k| = \sum_x \sum_k `|r k - r' k| * p' k x.
  rewrite exchange_big; apply: eq_bigr => k _ /=.
  by rewrite -mulr_sumr (proj2 (p'_pmf k)) mulr1.
rewrite -big_split /=; apply: ler_sum => x _; rewrite -big_split /=.
have -> : mixture r p x - mixture r' p' x =
    \sum_k ((r k - r' k) * p' k x + r k * (p k x - p' k x)).
  by rewrite -sumrB; apply: eq_bigr => k _; ring_in R.
apply: le_trans (ler_norm_sum _ _ _) _; apply: ler_sum => k _.
apply: le_trans (ler_norm_add _ _) _; rewrite !normrM.
by rewrite (ger0_norm (r0 k)) (ger0_norm (proj1 (p'_pmf k) x)).
Qed.

Section Chains.
Variable S : finType.
Variables (k k' : nat -> S -> S -> R) (p0 p0' : S -> R).

Lemma run_ge0 n :
  (forall x, 0 <= p0 x) -> (forall t z x, 0 <= k t z x) ->
  forall x, 0 <= run p0 k n x.
Proof.
move=> p00 k0; elim: n => [//|n IH] x.
by apply: sumr_ge0 => z _; apply: mulr_ge0.
Qed.

Theorem C14_chain n :
  (forall x, 0 <= p0 x) -> (forall t z x, 0 <= k t z x) ->
  (forall t z, is_pmf (k' t z)) ->
  TV (run p0 k n) (run p0' k' n) <=
  TV p0 p0' + \sum_(t < n) \sum_z run p0 k t z * TV (k t z) (k' t z).
Proof.
move=> p00 k0 k'_pmf; elim: n => [|n IH]; first by rewrite big_ord0 addr0.
have run0 : forall z, 0 <= run p0 k n z by apply: run_ge0.
apply: le_trans (C14_mixture _ _ run0 (k'_pmf n)) _.
by rewrite big_ord_recr /= addrA ler_add2r.
Qed.

End Chains.

(* The errors weighed by the law of the second chain. *)
Theorem C14_chain_under_other (S : finType) (k k' : nat -> S -> S -> R) p0 p0' n :
  (forall x, 0 <= p0' x) -> (forall t z x, 0 <= k' t z x) ->
  (forall t z, is_pmf (k t z)) ->
  TV (run p0 k n) (run p0' k' n) <=
  TV p0 p0' + \sum_(t < n) \sum_z run p0' k' t z * TV (k t z) (k' t z).
Proof.
move=> p00 k0 k_pmf; rewrite TV_sym [TV p0 _]TV_sym.
apply: le_trans (C14_chain _ _ p00 k0 k_pmf) _; rewrite ler_add2l.
by apply: ler_sum => t _; apply: ler_sum => z _; rewrite TV_sym.
Qed.

(* Step t of left-to-right generation. *)
Definition autoregressive_kernel (N : nat) (V : finType)
  (q : {ffun 'I_N -> V} -> R) (t : nat) :=
  step_kernel (masked_step q (order_schedule R (@nat_of_ord N) t)
                             (order_schedule R (@nat_of_ord N) t.+1)).

(* Sequences: two autoregressive laws, step by step. *)
Theorem C14_autoregression (N : nat) (V : finType)
    (q q' : {ffun 'I_N -> V} -> R) :
  is_pmf q -> is_pmf q' ->
  TV q q' <= \sum_(t < N) \sum_z
    marginal_path q (masked_path (order_schedule R (@nat_of_ord N) t)) z *
    TV (autoregressive_kernel q t z) (autoregressive_kernel q' t z).
Proof.
move=> qp q'p.
have [unit mono _] := order_revealing R (@nat_of_ord N).
have stoch (p : {ffun 'I_N -> V} -> R) t z : is_pmf p -> is_pmf (autoregressive_kernel p t z).
  move=> [p0 p1]; apply: C04_step_kernel_is_pmf; apply: C03_step_conditions => //.
    by move=> y x; apply: masked_path_ge0; apply: unit.
  by move=> y; apply: C04_masked_step_conditions => //; apply: unit.
have seq_law (p : {ffun 'I_N -> V} -> R) : is_pmf p ->
    data_law p =1 run (@mask_law R N V) (autoregressive_kernel p) N.
  by move=> pp x; rewrite -(@C06_any_order_exact R N V p (@nat_of_ord N) N pp) //;
    apply: ord_inj.
have -> : TV q q' = TV (data_law q) (data_law q').
  have image (f g : {ffun 'I_N -> V} -> R) x :
      data_law f x - data_law g x = \sum_y (f y - g y) * (x == reveal_all y)%:R.
    by rewrite -sumrB; apply: eq_bigr => y _; rewrite mulrBl.
  congr (_ / _).
  rewrite [RHS](eq_bigr (fun x => \sum_y `|q y - q' y| * (x == reveal_all y)%:R)).
    rewrite exchange_big; apply: eq_bigr => y _ /=.
    by rewrite -mulr_sumr sum_delta1 mulr1.
  move=> x _; rewrite image; have [/existsP [y /eqP ->] | none] :=
      boolP [exists y, x == @reveal_all N V y].
    under eq_bigr do rewrite (inj_eq (@reveal_all_inj N V)).
    under [RHS]eq_bigr do rewrite (inj_eq (@reveal_all_inj N V)).
    by rewrite !sum_deltar.
  have off y : (x == reveal_all y) = false.
    by apply: negbTE; move: none; rewrite negb_exists => /forallP; apply.
  by rewrite !big1 ?normr0 // => y _; rewrite off mulr0.
rewrite (TV_eq (seq_law q qp) (seq_law q' q'p)).
apply: le_trans (C14_chain _ _ _ _ _) _.
- by move=> x; apply: ler0n.
- by move=> t z x; have [] := stoch q t z qp.
- by move=> t z; apply: stoch.
rewrite [X in X + _](_ : _ = 0) ?add0r; last first.
  by rewrite /TV big1 ?mul0r // => x _; rewrite subrr normr0.
apply: ler_sum => t _; apply: ler_sum => z _; rewrite le_eqVlt; apply/orP; left.
apply/eqP; congr (_ * _).
have one := @order_one_position R N _ (@ord_inj N).
by rewrite -(C06_masked_chain_law t qp (order_revealing R _) one z).
Qed.

End Stability.
