(* C05, masked source: when a step of several positions is exact.

   At a state z the hidden movers are the hidden positions with kappa' > kappa.
   If at each reachable z they are mutually independent under q given the
   revealed tokens, the sampler takes the path to the path; for two positions
   also only if.                                                             *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability Lazy MaskedRate Windows TwoPositions.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Mutual.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.

(* Under the law p of y, the tokens of the positions M are independent. *)
Definition mutually_independent (p : data -> R) (M : pred 'I_N) : Prop :=
  forall v : data, \sum_y p y * \prod_(i | M i) (y i == v i)%:R =
                   \prod_(i | M i) \sum_(y : data) p y * (y i == v i)%:R.

Lemma independent_product (p : data -> R) M (g : 'I_N -> V -> R) (w : data) :
  mutually_independent p M ->
  \sum_y p y * \prod_(i | M i) g i (y i) = \prod_(i | M i) \sum_(y : data) p y * g i (y i).
Proof.
move=> indep; pose F (c : V -> 'I_N -> R) i a := if M i then g i a * c a i else (a == w i)%:R.
have spread c : (\prod_(i | M i) \sum_a g i a * c a i) = \sum_(v : data) \prod_i F c i (v i).
  rewrite sum_prod [RHS](bigID M) /= [X in _ = _ * X]big1 ?mulr1 => [|i /negbTE Mi].
    by apply: eq_bigr => i Mi; apply: eq_bigr => a _; rewrite /F Mi.
  by rewrite /F Mi sum_delta1.
have collect c (v : data) : \prod_i F c i (v i) =
    (\prod_(i | M i) g i (v i)) * (\prod_(i | ~~ M i) (v i == w i)%:R) * \prod_(i | M i) c (v i) i.
  rewrite (bigID M) /= mulrAC -big_split; congr (_ * _).
    by apply: eq_bigr => i Mi; rewrite /F Mi.
  by apply: eq_bigr => i /negbTE Mi; rewrite /F Mi.
have pick y i : g i (y i) = \sum_a g i a * (y i == a)%:R by rewrite sum_deltar.
under eq_bigr => y _ do rewrite (eq_bigr _ (fun i _ => pick y i)) (spread (fun a i => (y i == a)%:R)) mulr_sumr.
rewrite exchange_big /=; transitivity (\sum_(v : data) \prod_i
    F (fun a i => \sum_(y : data) p y * (y i == a)%:R) i (v i)).
  apply: eq_bigr => v _; rewrite collect -indep mulr_sumr; apply: eq_bigr => y _.
  by rewrite collect mulrCA.
rewrite -spread; apply: eq_bigr => i _; under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => y _ /=.
by rewrite [in RHS]pick mulr_sumr; apply: eq_bigr => a _; rewrite mulrCA.
Qed.

Variables (q : data -> R) (kappa kappa' : 'I_N -> R).
Hypotheses (q_pmf : is_pmf q) (k01 : unit_interval kappa).
Hypotheses (k01' : unit_interval kappa') (mono : forall i, kappa i <= kappa' i).

Definition hidden_mover (z : state) : pred 'I_N :=
  fun i => (z i == None) && (kappa i < kappa' i).

(* q given the revealed tokens of z. *)
Definition given (z : state) (y : data) : R := q y * (agrees z y)%:R / revealed_mass q z.

Theorem C05_masked_independent_exact :
  (forall z, marginal_path q (masked_path kappa) z != 0 ->
     mutually_independent (given z) (hidden_mover z)) ->
  samples (marginal_path q (masked_path kappa)) (marginal_path q (masked_path kappa'))
          (masked_step q kappa kappa').
Proof.
move=> indep x; rewrite (exact_step q_pmf k01 k01' mono); apply: eq_bigr => z _.
have [-> | pz] := eqVneq (marginal_path q (masked_path kappa) z) 0; first by rewrite !mul0r.
have w0 : schedule_weight kappa z != 0.
  by move: pz; rewrite C22_path_factorization mulf_eq0 negb_or => /andP [].
have [w _] : exists y, q y != 0.
  apply/existsP; apply: contraT; rewrite negb_exists => /forallP all0.
  have := proj2 q_pmf; rewrite big1 => [/eqP|y _]; first by rewrite eq_sym oner_eq0.
  by apply/eqP; have := all0 y; rewrite negbK.
congr (_ * _); rewrite (marginal_lazy kappa' x pz).
set e := reveal_at kappa kappa' z; pose post y := posterior q (masked_path kappa) y z.
have postE y : post y = given z y by rewrite /post C22_posterior.
have post1 : \sum_y post y = 1 by apply: sum_posterior.
pose g i a := stay_token z e i (x i) + e i * (x i == Some a)%:R.
have still i : ~~ hidden_mover z i -> e i = 0.
  rewrite /e /reveal_at /hidden_mover; case: (z i == None) => /=; rewrite ?mul0r //.
  by rewrite lt_neqAle mono andbT negbK /reveal_rate => /eqP ->; rewrite subrr mul0r mulr0.
pose rest := \prod_(i | ~~ hidden_mover z i) stay_token z e i (x i).
have lazyE nu : lazy_kernel z e nu x =
    (\prod_(i | hidden_mover z i) (stay_token z e i (x i) + e i * nu i (x i))) * rest.
  rewrite /lazy_kernel (bigID (hidden_mover z)); congr (_ * _).
  by apply: eq_bigr => i /still; rewrite /lazy_token => ->; rewrite mul0r addr0.
rewrite lazyE; under [RHS]eq_bigr do rewrite lazyE mulrA.
rewrite -mulr_suml; congr (_ * _).
transitivity (\prod_(i | hidden_mover z i) \sum_y post y * g i (y i)); last first.
  transitivity (\sum_(y : data) post y * \prod_(i | hidden_mover z i) g i (y i)); last by [].
  have := independent_product g w (indep z pz); under eq_bigr do rewrite -postE.
  move=> ->; apply: eq_bigr => i _; apply: eq_bigr => y _; by rewrite postE.
apply: eq_bigr => i _; under [RHS]eq_bigr do rewrite /g mulrDr.
rewrite big_split /= -mulr_suml post1 mul1r; congr (_ + _).
by rewrite mulr_sumr; apply: eq_bigr => y _; rewrite mulrCA.
Qed.

End Mutual.

(* Two positions: exact only if nothing moves together, or the tokens are independent. *)
Theorem C05_two_positions_exact_iff (R : numFieldType) (V : finType)
    (q : {ffun 'I_2 -> V} -> R) (kappa kappa' : 'I_2 -> R) :
  is_pmf q -> unit_interval kappa -> unit_interval kappa' -> (forall i, kappa i <= kappa' i) ->
  samples (marginal_path q (masked_path kappa)) (marginal_path q (masked_path kappa'))
          (masked_step q kappa kappa') <->
  [\/ kappa' ord0 = kappa ord0, kappa' ord_max = kappa ord_max | q =1 independent q].
Proof.
move=> q_pmf k01 k01' mono; split=> [exact_ | together x].
  have [k0 | k0] := eqVneq (kappa' ord0) (kappa ord0); first by constructor 1.
  have [k1 | k1] := eqVneq (kappa' ord_max) (kappa ord_max); first by constructor 2.
  constructor 3 => y; have := exact_ (reveal_all y).
  rewrite two_position_step // => /eqP; rewrite -subr_eq0 addrAC subrr add0r !mulf_eq0.
  rewrite !subr_eq0 (negbTE k0) (negbTE k1) /= !data_law_reveal_all => /eqP e.
  by rewrite e.
rewrite two_position_step //; case: together => [-> | -> | same].
- by rewrite subrr !mul0r addr0.
- by rewrite subrr mulr0 mul0r addr0.
rewrite (_ : data_law (independent q) x = data_law q x) ?subrr ?mulr0 ?addr0 //.
by apply: eq_bigr => y _; rewrite -same.
Qed.
