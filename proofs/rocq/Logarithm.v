(* C12, C14 with logarithms, for any function L with the two laws

     L(xy) = L(x) + L(y),   L(x) <= x - 1   (x, y > 0)

   of the natural logarithm, which has them alone among the functions of the
   reals: no logarithm is constructed.  An identity that needs no law is stated
   for any function.  0 L(0) counts as 0, whatever L(0).

   C14: KL(sum r p_k || sum r^ p^_k) <= KL(r || r^) + sum_k r_k KL(p_k || p^_k).
   C12: H(X) = sum_k omega_k H(X|k) + I(X;K), and per sequence.              *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization Filter.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Logarithm.
Variables (R : numFieldType) (L : R -> R).
Add Field R_field : (numfield_theory R).

Definition additive_on_products : Prop :=
  forall x y, 0 < x -> 0 < y -> L (x * y) = L x + L y.

Definition logarithm : Prop :=
  additive_on_products /\ (forall x, 0 < x -> L x <= x - 1).

Definition entropy (S : finType) (p : S -> R) : R := - \sum_x p x * L (p x).

Definition KL (S : finType) (p q : S -> R) : R := \sum_x p x * (L (p x) - L (q x)).

(* p charges only what q charges. *)
Definition below (S : finType) (p q : S -> R) : Prop := forall x, q x = 0 -> p x = 0.

Section Additive.
Hypothesis L_mul : additive_on_products.

Lemma log1 : L 1 = 0.
Proof.
have /eqP := L_mul ltr01 ltr01; rewrite mul1r -[X in X == _]addr0.
by rewrite (inj_eq (addrI _)) eq_sym => /eqP.
Qed.

Lemma log_div x y : 0 < x -> 0 < y -> L (x / y) = L x - L y.
Proof.
move=> x0 y0; have xy : 0 < x / y by rewrite divr_gt0.
by have := L_mul xy y0; rewrite divfK ?lt0r_neq0 // => ->; rewrite addrK.
Qed.

Lemma log_prod (I : finType) (P : pred I) (f : I -> R) :
  (forall i, P i -> 0 < f i) -> L (\prod_(i | P i) f i) = \sum_(i | P i) L (f i).
Proof.
move=> f0; have [//] : L (\prod_(i | P i) f i) = \sum_(i | P i) L (f i) /\
    0 < \prod_(i | P i) f i.
apply: (big_rec2 (fun a b => L b = a /\ 0 < b)) => [|i a b Pi [<- b0]].
  by rewrite log1 ltr01.
by rewrite L_mul ?f0 // mulr_gt0 ?f0.
Qed.

End Additive.

Hypothesis L_log : logarithm.
Let L_mul := proj1 L_log.

Lemma log_ge x : 0 < x -> 1 - x^-1 <= L x.
Proof.
move=> x0; have xi : 0 < x^-1 by rewrite invr_gt0.
have := (proj2 L_log) _ xi; rewrite -[x^-1]mul1r log_div ?ltr01 // log1 // sub0r mul1r.
by rewrite ler_oppl opprB.
Qed.

(* a (L a - L b) >= a - b. *)
Lemma gibbs_term a b : 0 <= a -> 0 <= b -> (b = 0 -> a = 0) -> a - b <= a * (L a - L b).
Proof.
move=> a0 b0 ab; have [-> | an] := eqVneq a 0; first by rewrite mul0r sub0r oppr_le0.
have bn : b != 0 by apply: contraNneq an => /ab ->.
have a_gt0 : 0 < a by rewrite lt0r an. have b_gt0 : 0 < b by rewrite lt0r bn.
rewrite -log_div //; have -> : a - b = a * (1 - (a / b)^-1).
  by rewrite invf_div mulrBr mulr1 mulrCA mulfV // mulr1.
by apply: ler_wpmul2l => //; apply: log_ge; apply: divr_gt0.
Qed.

Theorem C14_gibbs (S : finType) (p q : S -> R) :
  is_pmf p -> is_pmf q -> below p q -> 0 <= KL p q.
Proof.
move=> [p0 p1] [q0 q1] pq; rewrite -(subrr (1 : R)) -{1}p1 -q1 -sumrB.
by apply: ler_sum => x _; apply: gibbs_term => //; apply: pq.
Qed.

(* The log-sum inequality. *)
Lemma log_sum (K : finType) (a b : K -> R) :
  (forall k, 0 <= a k) -> (forall k, 0 <= b k) -> below a b ->
  (\sum_k a k) * (L (\sum_k a k) - L (\sum_k b k)) <= \sum_k a k * (L (a k) - L (b k)).
Proof.
move=> a0 b0 ab; set A := \sum_k a k; set B := \sum_k b k.
have A0 : 0 <= A by apply: sumr_ge0. have B0 : 0 <= B by apply: sumr_ge0.
have [Az | An] := eqVneq A 0.
  by rewrite Az mul0r big1 // => k _; rewrite (psum_eq0 a0 Az) mul0r.
have Bn : B != 0.
  apply: contraNneq An => Bz; rewrite /A big1 // => k _.
  by apply: ab; apply: psum_eq0 Bz k.
have A_gt0 : 0 < A by rewrite lt0r An. have B_gt0 : 0 < B by rewrite lt0r Bn.
rewrite -subr_ge0 mulr_suml -sumrB.
rewrite [X in X <= _](_ : 0 = \sum_k (a k - b k * A / B)); last first.
  by rewrite sumrB -!mulr_suml -/A -/B mulrAC divff // mul1r subrr.
apply: ler_sum => k _; rewrite -mulrBr.
have [-> | akn] := eqVneq (a k) 0; first by rewrite mul0r sub0r oppr_le0 divr_ge0 ?mulr_ge0.
have bkn : b k != 0 by apply: contraNneq akn => /ab ->.
have ak : 0 < a k by rewrite lt0r akn a0. have bk : 0 < b k by rewrite lt0r bkn b0.
have c0 : 0 < b k * A / B by rewrite divr_gt0 ?mulr_gt0.
apply: le_trans (gibbs_term (a0 k) (ltW c0) _) _; first by move=> c; rewrite c ltxx in c0.
rewrite log_div ?mulr_gt0 // L_mul // le_eqVlt; apply/orP; left; apply/eqP.
by congr (_ * _); ring_in R.
Qed.

Theorem C14_mixture_KL (K S : finType) (r r' : K -> R) (p p' : K -> S -> R) :
  is_pmf r -> is_pmf r' -> (forall k, is_pmf (p k)) -> (forall k, is_pmf (p' k)) ->
  below r r' -> (forall k, below (p k) (p' k)) ->
  KL (mixture r p) (mixture r' p') <= KL r r' + \sum_k r k * KL (p k) (p' k).
Proof.
move=> [r0 _] [r'0 _] p_pmf p'_pmf rr pp.
have joint k x : r k * p k x * (L (r k * p k x) - L (r' k * p' k x)) =
    r k * (L (r k) - L (r' k)) * p k x + r k * (p k x * (L (p k x) - L (p' k x))).
  have [-> | rn] := eqVneq (r k) 0; first by rewrite !mul0r addr0.
  have [-> | pn] := eqVneq (p k x) 0; first by rewrite !(mulr0, mul0r) addr0.
  have r'n : r' k != 0 by apply: contraNneq rn => /rr ->.
  have p'n : p' k x != 0 by apply: contraNneq pn => /pp ->.
  have [pk0 _] := p_pmf k; have [p'k0 _] := p'_pmf k.
  by rewrite !L_mul ?lt0r ?rn ?pn ?r'n ?p'n //=; ring_in R.
have -> : KL r r' + \sum_k r k * KL (p k) (p' k) =
    \sum_x \sum_k r k * p k x * (L (r k * p k x) - L (r' k * p' k x)).
  rewrite exchange_big -big_split; apply: eq_bigr => k _ /=.
  under [RHS]eq_bigr do rewrite joint.
  by rewrite big_split -!mulr_sumr (proj2 (p_pmf k)) mulr1.
apply: ler_sum => x _; apply: log_sum => k.
- by apply: mulr_ge0 => //; case: (p_pmf k).
- by apply: mulr_ge0 => //; case: (p'_pmf k).
move=> /eqP; rewrite mulf_eq0 => /orP [/eqP /rr -> | /eqP /pp ->].
  by rewrite mul0r.
by rewrite mulr0.
Qed.

End Logarithm.

Section Objective.
Variables (R : numFieldType) (K S : finType) (L : R -> R).
Variables (omega : K -> R) (q : K -> S -> R).
Add Field R_field' : (numfield_theory R).

(* Whatever L is. *)
Theorem C12_entropy_decomposition :
  entropy L (mixture omega q) =
  \sum_k omega k * entropy L (q k) + \sum_k omega k * KL L (q k) (mixture omega q).
Proof.
transitivity (\sum_k \sum_x - (omega k * q k x * L (mixture omega q x))).
  rewrite exchange_big /entropy -sumrN; apply: eq_bigr => x _ /=.
  by rewrite sumrN mulr_suml.
rewrite -[RHS]big_split /=; apply: eq_bigr => k _.
rewrite /entropy /KL -mulrDr -sumrN -big_split mulr_sumr; apply: eq_bigr => x _ /=.
by ring_in R.
Qed.

Theorem C12_per_sequence k x :
  additive_on_products L -> (forall k, 0 <= omega k) -> (forall k x, 0 <= q k x) ->
  router omega q k x != 0 ->
  - L (mixture omega q x) = - L (q k x) + L (router omega q k x / omega k).
Proof.
move=> L_mul om0 q0 r0; have := r0; rewrite /router !mulf_eq0 !negb_or invr_eq0.
move=> /andP [/andP [omn qn] mn].
have om_gt0 : 0 < omega k by rewrite lt0r omn om0. have q_gt0 : 0 < q k x by rewrite lt0r qn q0.
have m_gt0 : 0 < mixture omega q x.
  by rewrite lt0r mn; apply: sumr_ge0 => j _; apply: mulr_ge0.
rewrite (_ : _ / omega k = q k x / mixture omega q x); last first.
  by rewrite mulrC !mulrA mulVf // mul1r.
by rewrite log_div // addrA addNr sub0r.
Qed.

End Objective.
