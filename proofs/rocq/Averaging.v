(* C09, C16, C17: static weights, sharpening, and averaged parameters.

   C09: static weights give the routed velocity at z iff
        sum_k (r_k(z) - omega_k) u_t^k(., z) = 0: always if the expert is
        independent of the state, and only if r(z) = omega where the experts'
        velocities at z are affinely independent.
   C16: mixing and then sharpening (or any other map of pmfs) is sharpening and
        then mixing if r is one-hot, or if the experts are identical; for two
        tokens and temperature 1/2, agreement for all experts needs r one-hot.
   C17: averaging parameters is averaging velocities where the velocity is
        affine in the parameters and the weights sum to one.                 *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Static.
Variables (R : numFieldType) (N : nat) (T K : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Variables (omega : K -> R) (r : K -> state -> R) (u : K -> velocity).

Theorem C09_static_iff z :
  (forall i a, mixed_velocity (fun k _ => omega k) u i a z = mixed_velocity r u i a z)
  <-> (forall i a, \sum_k (r k z - omega k) * u k i a z = 0).
Proof.
have diff i a : \sum_k (r k z - omega k) * u k i a z =
    mixed_velocity r u i a z - mixed_velocity (fun k _ => omega k) u i a z.
  by rewrite -sumrB; apply: eq_bigr => k _; rewrite mulrBl.
split=> h i a; first by rewrite diff h subrr.
by apply/esym/eqP; rewrite -subr_eq0 -diff h.
Qed.

Definition affinely_independent (z : state) : Prop :=
  forall c : K -> R, \sum_k c k = 0 ->
    (forall i a, \sum_k c k * u k i a z = 0) -> forall k, c k = 0.

Theorem C09_affinely_independent z :
  affinely_independent z -> \sum_k r k z = 1 -> \sum_k omega k = 1 ->
  (forall i a, mixed_velocity (fun k _ => omega k) u i a z = mixed_velocity r u i a z) ->
  forall k, r k z = omega k.
Proof.
move=> indep r1 om1 /C09_static_iff h k.
by apply/eqP; rewrite -subr_eq0; apply/eqP; apply: (indep _ _ h); rewrite sumrB r1 om1 subrr.
Qed.

End Static.

(* Every expert has the central probability of z: I(K; X_t) = 0 at z. *)
Theorem C09_independent_router (R : numFieldType) (K S : finType)
    (omega : K -> R) (p : K -> S -> R) z :
  mixture omega p z != 0 -> (forall k, p k z = mixture omega p z) ->
  forall k, router omega p k z = omega k.
Proof. by move=> m0 indep k; rewrite /router indep mulfK. Qed.

Section Sharpening.
Variables (R : numFieldType) (T K : finType).
Add Field R_field : (numfield_theory R).

(* The power n = 1 / temperature, renormalized. *)
Definition sharpen (n : nat) (p : T -> R) (a : T) : R :=
  p a ^+ n / \sum_b p b ^+ n.

Lemma sharpen_eq n p p' : p =1 p' -> sharpen n p =1 sharpen n p'.
Proof. by move=> e a; rewrite /sharpen e; under eq_bigr do rewrite e. Qed.

Theorem C16_temperature_one (r : K -> R) (p : K -> T -> R) :
  is_pmf r -> (forall k, is_pmf (p k)) ->
  sharpen 1 (mixture r p) =1 mixture r (fun k => sharpen 1 (p k)).
Proof.
move=> [_ r1] p_pmf a; rewrite /sharpen expr1.
have -> : \sum_b mixture r p b ^+ 1 = 1.
  under eq_bigr do rewrite expr1; rewrite exchange_big /= -[RHS]r1.
  by apply: eq_bigr => k _; rewrite -mulr_sumr (proj2 (p_pmf k)) mulr1.
rewrite divr1; apply: eq_bigr => k _; congr (_ * _); rewrite expr1.
by under eq_bigr do rewrite expr1; rewrite (proj2 (p_pmf k)) divr1.
Qed.

(* Any map F of pmfs: temperature, nucleus, greedy. *)
Theorem C16_one_hot (F : (T -> R) -> T -> R) (r : K -> R) (p : K -> T -> R) k0 :
  (forall p q, p =1 q -> F p =1 F q) -> (forall k, r k = (k == k0)%:R) ->
  F (mixture r p) =1 mixture r (fun k => F (p k)).
Proof.
move=> ext hot; have pick (g : K -> T -> R) : mixture r g =1 g k0.
  move=> a; rewrite -(sum_delta k0 (g^~ a)).
  by apply: eq_bigr => k _; rewrite hot.
by move=> a; rewrite (ext _ _ (pick p)) pick.
Qed.

Theorem C16_identical_experts (F : (T -> R) -> T -> R) (r : K -> R)
    (p : K -> T -> R) p0 :
  (forall p q, p =1 q -> F p =1 F q) -> \sum_k r k = 1 ->
  (forall k, p k =1 p0) ->
  F (mixture r p) =1 mixture r (fun k => F (p k)).
Proof.
move=> ext r1 same a; have mix : mixture r p =1 p0.
  move=> b; rewrite -[RHS]mul1r -r1 mulr_suml.
  by apply: eq_bigr => k _; rewrite same.
rewrite (ext _ _ mix) -[LHS]mul1r -r1 mulr_suml.
by apply: eq_bigr => k _; rewrite (ext _ _ (same k)).
Qed.

End Sharpening.

Section SharpeningConverse.
Variables (R : numFieldType) (K : finType) (r : K -> R).
Add Field R_field' : (numfield_theory R).

Definition certain_but (k0 k : K) (a : bool) : R :=
  if k == k0 then a%:R else 2%:R^-1.

Lemma certain_but_pmf k0 k : is_pmf (certain_but k0 k).
Proof.
rewrite /certain_but; case: eqP => _; split=> [a|].
- exact: ler0n.
- by rewrite big_bool /= addr0.
- by rewrite invr_ge0 ler0n.
by rewrite big_bool /=; have := splitr (1 : R); rewrite mul1r => <-.
Qed.

(* Two tokens, temperature 1/2. *)
Theorem C16_sharpen_agrees_iff_one_hot :
  is_pmf r ->
  (forall p : K -> bool -> R, (forall k, is_pmf (p k)) ->
     sharpen 2 (mixture r p) =1 mixture r (fun k => sharpen 2 (p k)))
  <-> exists k0, forall k, r k = (k == k0)%:R.
Proof.
move=> [r0 r1]; split=> [agree | [k0 hot] p _]; last first.
  by apply: C16_one_hot hot; apply: sharpen_eq.
have [k0 rk0] : exists k, r k != 0.
  apply/existsP; apply: contraT; rewrite negb_exists => /forallP all0.
  move: r1; rewrite big1 => [/eqP|k _]; first by rewrite eq_sym oner_eq0.
  by apply/eqP; have := all0 k; rewrite negbK.
exists k0.
have rest : \sum_(k | k != k0) r k = 1 - r k0.
  by rewrite -r1 [in RHS](bigD1 k0) //= addrAC subrr add0r.
have two0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
have mixE (g : K -> bool -> R) a (c : R) : (forall k, k != k0 -> g k a = c) ->
    mixture r g a = r k0 * g k0 a + (1 - r k0) * c.
  move=> gc; rewrite /mixture (bigD1 k0) //= -rest mulr_suml; congr (_ + _).
  by apply: eq_bigr => k kk0; rewrite gc.
pose p := certain_but k0.
have pt k : k != k0 -> forall a, p k a = 2%:R^-1.
  by move=> /negbTE kk a; rewrite /p /certain_but kk.
have p0 a : p k0 a = a%:R by rewrite /p /certain_but eqxx.
have sharp0 : sharpen 2 (p k0) true = 1.
  by rewrite /sharpen big_bool !p0 /= expr1n expr0n addr0 divr1.
have sharp k : k != k0 -> sharpen 2 (p k) true = 2%:R^-1.
  move=> kk; rewrite /sharpen big_bool !pt //=.
  have h0 : (2%:R^-1 ^+ 2) != 0 :> R by rewrite expf_neq0 ?invr_eq0.
  set h := 2%:R^-1 ^+ 2 in h0 *; have -> : h + h = 2%:R * h.
    by rewrite -[2%:R]/(1 + 1); ring_in R.
  by rewrite invfM mulrCA mulfV // mulr1.
have := agree p (certain_but_pmf k0) true.
rewrite (mixE _ true (2%:R^-1)); last by move=> k kk; apply: sharp.
rewrite sharp0 /sharpen big_bool (mixE p true (2%:R^-1)); last by move=> k /pt.
rewrite (mixE p false (2%:R^-1)); last by move=> k /pt.
rewrite !p0 /= mulr1 mulr0 add0r => e.
set s := r k0 in e rk0 rest *.
have s1 : s = 1.
  have sq_neq0 : (1 + s) ^+ 2 + (1 - s) ^+ 2 != 0.
    have s_ge0 : 0 <= s by apply: r0.
    rewrite -[_ + _]/(_ + _); apply: lt0r_neq0; apply: ltr_paddr.
      by rewrite -realEsqr rpredB ?ger0_real ?ler01.
    by rewrite exprn_gt0 // ltr_paddr ?ltr01.
  have top : s + (1 - s) / 2%:R = (1 + s) / 2%:R.
    apply: (mulIf two0); rewrite [LHS]mulrDl !divfK // -[2%:R]/(1 + 1).
    by ring_in R.
  rewrite top !exprMn -mulrDl -mulf_div divff ?mulr1 in e; last first.
    by rewrite expf_neq0 ?invr_eq0.
  have {}e : (1 + s) ^+ 2 * 2%:R = (1 + s) * ((1 + s) ^+ 2 + (1 - s) ^+ 2).
    apply: (mulIf (invr_neq0 two0)); rewrite mulfK // mulrAC -e divfK //.
  have pos : 1 + s != 0.
    by apply: lt0r_neq0; rewrite ltr_paddr ?ltr01 //; apply: r0.
  move: e; rewrite expr2 -mulrA => /(mulfI pos) /eqP; rewrite -subr_eq0.
  rewrite (_ : _ - _ = (1 + 1) * (s * (1 - s))); last first.
    by rewrite !expr2 -[2%:R]/(1 + 1); ring_in R.
  rewrite !mulf_eq0 (negbTE rk0) subr_eq0 -[1 + 1]/(2%:R) (negbTE two0) /=.
  by move=> /eqP.
move=> k; case: eqP => [-> // | /eqP kk].
have rest0 : \sum_(k | k != k0) r k = 0 by rewrite rest s1 subrr.
exact: (psumr_eq0P _ rest0).
Qed.

End SharpeningConverse.

Section Parameters.
Variables (R : numFieldType) (K P X : finType).

(* A velocity (any function of a point x) affine in its parameters. *)
Definition affine_in (u : (P -> R) -> X -> R) : Prop :=
  exists (slope : P -> X -> R) (offset : X -> R),
    forall theta x, u theta x = offset x + \sum_j slope j x * theta j.

Definition average (w : K -> R) (theta : K -> P -> R) (j : P) : R :=
  \sum_k w k * theta k j.

Theorem C17_affine_averaging u (w : K -> R) (theta : K -> P -> R) :
  affine_in u -> \sum_k w k = 1 ->
  forall x, u (average w theta) x = \sum_k w k * u (theta k) x.
Proof.
move=> [slope [offset uE]] w1 x; rewrite uE.
under [RHS]eq_bigr do rewrite uE mulrDr.
rewrite big_split /= -mulr_suml w1 mul1r; congr (_ + _).
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => k _; rewrite mulr_sumr.
by apply: eq_bigr => j _; rewrite mulrCA.
Qed.

End Parameters.
