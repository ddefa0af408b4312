(* Two masked bits over the rationals: closed forms for the controls.

   No row of the ledger: every function of the theory, at N = 2 and the
   vocabulary {false, true}, written out as a rational that can be computed.  *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Autoregression Stability.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_2 -> bool}.
Local Notation masked_bits := {ffun 'I_2 -> option bool}.

Lemma sum_option_bool (F : option bool -> rat) :
  \sum_a F a = F None + F (Some true) + F (Some false).
Proof.
rewrite (bigD1 None) //= (bigD1 (Some true)) //= (bigD1 (Some false)) //=.
by rewrite big1 ?addr0 ?addrA // => -[[]|].
Qed.

Definition joint (f : bool -> bool -> rat) (y : bits) : rat :=
  f (y ord0) (y ord_max).

(* Half on 00, half on 11. *)
Definition twins : bits -> rat := joint (fun a b => (a == b)%:R / 2%:R).

(* Independent bits, false with probability p. *)
Definition bit (p : rat) (a : bool) : rat := if a then 1 - p else p.
Definition iid (p : rat) : bits -> rat := joint (fun a b => bit p a * bit p b).

(* S(z) of the state (a, b). *)
Definition mass2 (f : bool -> bool -> rat) (a b : option bool) : rat :=
  match a, b with
  | Some a, Some b => f a b
  | Some a, None => f a true + f a false
  | None, Some b => f true b + f false b
  | None, None => f true true + f true false + (f false true + f false false)
  end.

Definition weight1 (k : rat) (a : option bool) : rat :=
  if a is Some _ then k else 1 - k.

(* q(c | z) at the first and at the second position. *)
Definition next2_0 f (a b c : option bool) : rat :=
  if c is Some v then mass2 f (Some v) b / mass2 f a b else 0.
Definition next2_1 f (a b c : option bool) : rat :=
  if c is Some v then mass2 f a (Some v) / mass2 f a b else 0.

Lemma revealed_mass2 f a b : revealed_mass (joint f) (pair2 a b) = mass2 f a b.
Proof.
rewrite /revealed_mass sum_pair2 !big_bool /= /joint !pair2_0 !pair2_1.
rewrite /agrees !forall_ord2 !pair2_0 !pair2_1.
by case: a => [[]|]; case: b => [[]|] /=;
  rewrite ?(mulr1, mulr0, addr0, add0r).
Qed.

Lemma schedule_weight2 k a b :
  schedule_weight (fun=> k) (pair2 a b) = weight1 k a * weight1 k b.
Proof.
by rewrite /schedule_weight prod_ord2 pair2_0 pair2_1; case: a; case: b.
Qed.

Lemma marginal_path2 f k a b :
  marginal_path (joint f) (masked_path (fun=> k)) (pair2 a b) =
  mass2 f a b * (weight1 k a * weight1 k b).
Proof. by rewrite C22_path_factorization revealed_mass2 schedule_weight2. Qed.

Lemma next_token2_0 f a b c :
  next_token (joint f) (pair2 a b) ord0 c = next2_0 f a b c.
Proof. by case: c => [v|] //=; rewrite upd_pair2_0 !revealed_mass2. Qed.

Lemma next_token2_1 f a b c :
  next_token (joint f) (pair2 a b) ord_max c = next2_1 f a b c.
Proof. by case: c => [v|] //=; rewrite upd_pair2_1 !revealed_mass2. Qed.

Definition move2 (rho : rat) (a c : option bool) (next : rat) : rat :=
  (a == None)%:R * rho * (next - (c == None)%:R).

Lemma masked_step2_0 f k k' a b c :
  mass2 f a b * (weight1 k a * weight1 k b) != 0 ->
  masked_step (joint f) (fun=> k) (fun=> k') ord0 c (pair2 a b) =
  move2 ((k' - k) / (1 - k)) a c (next2_0 f a b c).
Proof.
rewrite -marginal_path2 => p0; rewrite /masked_step C22_marginal_velocity //.
by rewrite next_token2_0 pair2_0.
Qed.

Lemma masked_step2_1 f k k' a b c :
  mass2 f a b * (weight1 k a * weight1 k b) != 0 ->
  masked_step (joint f) (fun=> k) (fun=> k') ord_max c (pair2 a b) =
  move2 ((k' - k) / (1 - k)) b c (next2_1 f a b c).
Proof.
rewrite -marginal_path2 => p0; rewrite /masked_step C22_marginal_velocity //.
by rewrite next_token2_1 pair2_1.
Qed.

Lemma flux2_0 f k k' a b c
    (p := marginal_path (joint f) (masked_path (fun=> k)) (pair2 a b)) :
  p * masked_step (joint f) (fun=> k) (fun=> k') ord0 c (pair2 a b) =
  mass2 f a b * (weight1 k a * weight1 k b) *
  move2 ((k' - k) / (1 - k)) a c (next2_0 f a b c).
Proof.
rewrite -marginal_path2 -/p; have [-> | p0] := eqVneq p 0.
  by rewrite !mul0r.
by rewrite masked_step2_0 // -marginal_path2.
Qed.

Lemma flux2_1 f k k' a b c
    (p := marginal_path (joint f) (masked_path (fun=> k)) (pair2 a b)) :
  p * masked_step (joint f) (fun=> k) (fun=> k') ord_max c (pair2 a b) =
  mass2 f a b * (weight1 k a * weight1 k b) *
  move2 ((k' - k) / (1 - k)) b c (next2_1 f a b c).
Proof.
rewrite -marginal_path2 -/p; have [-> | p0] := eqVneq p 0.
  by rewrite !mul0r.
by rewrite masked_step2_1 // -marginal_path2.
Qed.

Lemma divergence2 (p : masked_bits -> rat) u a b :
  divergence p u (pair2 a b) =
  - (p (pair2 None b) * u ord0 a (pair2 None b) +
     p (pair2 (Some true) b) * u ord0 a (pair2 (Some true) b) +
     p (pair2 (Some false) b) * u ord0 a (pair2 (Some false) b) +
     (p (pair2 a None) * u ord_max b (pair2 a None) +
      p (pair2 a (Some true)) * u ord_max b (pair2 a (Some true)) +
      p (pair2 a (Some false)) * u ord_max b (pair2 a (Some false)))).
Proof.
rewrite divergence_neighbours sum_ord2 !sum_option_bool pair2_0 pair2_1.
by rewrite !upd_pair2_0 !upd_pair2_1.
Qed.

(* The linear schedule kappa_t = t at both positions. *)
Definition linear_curve (q : bits -> rat) : masked_bits -> {poly rat} :=
  marginal_curve q (masked_curve (fun=> 'X : {poly rat})).

(* The L1 defect of the continuity equation of the linear schedule at t. *)
Definition linear_defect (q : bits -> rat) (t : rat)
  (u : 'I_2 -> option bool -> masked_bits -> rat) : rat :=
  \sum_x `| (linear_curve q x)^`().[t] +
            divergence (fun x => (linear_curve q x).[t]) u x |.

Lemma linear_curve_value q t x :
  (linear_curve q x).[t] = marginal_path q (masked_path (fun=> t)) x.
Proof.
rewrite -[LHS]/(value (at_time t) _) value_sum; apply: eq_bigr => y _.
by rewrite value_masked_curve /= hornerX.
Qed.

Lemma linear_curve_derivative q t x : (forall y, 0 <= q y) -> 0 <= t < 1 ->
  (linear_curve q x)^`().[t] =
  - divergence (marginal_path q (masked_path (fun=> t)))
      (masked_step q (fun=> t) (fun=> t + 1)) x.
Proof.
move=> q0 t01; rewrite -[LHS]/(derivative (at_time t) (linear_curve q x)).
have := @C03_masked_marginal_generates _ _ (at_time t) _ _ q (fun=> 'X) q0.
rewrite [value _ _]hornerX => /(_ (fun=> t01) x) /eqP; rewrite addr_eq0 => /eqP ->.
congr (- - _); rewrite /divergence; apply: eq_bigr => z _.
rewrite -[value _ _]/((linear_curve q z).[t]) linear_curve_value.
congr (_ * _); apply: eq_bigr => i _; congr (_ * _); rewrite /masked_step /masked_rate /=.
by rewrite hornerX derivX hornerC.
Qed.

(* Continuity holds for the central velocity; so the defect of u is that of
   its difference from it. *)
Lemma linear_defectE q t u : (forall y, 0 <= q y) -> 0 <= t < 1 ->
  linear_defect q t u =
  \sum_x `| divergence (marginal_path q (masked_path (fun=> t))) u x -
            divergence (marginal_path q (masked_path (fun=> t)))
              (masked_step q (fun=> t) (fun=> t + 1)) x |.
Proof.
move=> q0 t01; apply: eq_bigr => x _; rewrite linear_curve_derivative //.
rewrite addrC; congr (`| _ - _ |); congr (- _); apply: eq_bigr => z _.
by rewrite linear_curve_value.
Qed.

(* With the central velocity the defect is zero: the control restored. *)
Lemma linear_defect_central q t : (forall y, 0 <= q y) -> 0 <= t < 1 ->
  linear_defect q t (masked_step q (fun=> t) (fun=> t + 1)) = 0.
Proof.
move=> q0 t01; rewrite linear_defectE // big1 // => x _.
by rewrite subrr normr0.
Qed.

Lemma joint_ge0 f : (forall a b, 0 <= f a b) -> forall y, 0 <= joint f y.
Proof. by move=> f0 y; apply: f0. Qed.

Lemma twins_pmf : is_pmf twins.
Proof.
split=> [y|]; first by apply: divr_ge0; apply: ler0n.
by rewrite sum_pair2 !big_bool /twins /joint !pair2_0 !pair2_1.
Qed.

Lemma iid_pmf p : 0 <= p <= 1 -> is_pmf (iid p).
Proof.
move=> /andP [p0 p1]; have b0 a : 0 <= bit p a.
  by case: a => //=; rewrite subr_ge0.
split=> [y|]; first exact: mulr_ge0.
rewrite sum_pair2 !big_bool /iid /joint !pair2_0 !pair2_1 /=.
by rewrite -mulrDr -mulrDr -mulrDl subrK mulr1.
Qed.

(* Divergences and sums in closed form. *)
Section ClosedForms.
Variables (p : masked_bits -> rat) (u : 'I_2 -> option bool -> masked_bits -> rat).
Variables (p2 : option bool -> option bool -> rat).
Variables (u0 u1 : option bool -> option bool -> option bool -> rat).
Hypotheses (pE : forall a b, p (pair2 a b) = p2 a b).
Hypotheses (u0E : forall a b c, u ord0 c (pair2 a b) = u0 a b c).
Hypotheses (u1E : forall a b c, u ord_max c (pair2 a b) = u1 a b c).

Definition div2 (a b : option bool) : rat :=
  - (p2 None b * u0 None b a + p2 (Some true) b * u0 (Some true) b a +
     p2 (Some false) b * u0 (Some false) b a +
     (p2 a None * u1 a None b + p2 a (Some true) * u1 a (Some true) b +
      p2 a (Some false) * u1 a (Some false) b)).

Lemma div2E a b : divergence p u (pair2 a b) = div2 a b.
Proof. by rewrite divergence2 !pE !u0E !u1E. Qed.

Definition kernel2 (a b c d : option bool) : rat :=
  ((c == a)%:R + u0 a b c) * ((d == b)%:R + u1 a b d).

Lemma kernel2E a b c d : step_kernel u (pair2 a b) (pair2 c d) = kernel2 a b c d.
Proof. by rewrite /step_kernel prod_ord2 !pair2_0 !pair2_1 u0E u1E. Qed.

End ClosedForms.

Definition sum9 (g : option bool -> option bool -> rat) : rat :=
  let row a := g a None + g a (Some true) + g a (Some false) in
  row None + row (Some true) + row (Some false).

Lemma sum9E (F : masked_bits -> rat) g :
  (forall a b, F (pair2 a b) = g a b) -> \sum_x F x = sum9 g.
Proof. by move=> h; rewrite sum_pair2 !sum_option_bool !h. Qed.

Lemma masked_step_unreached (q : bits -> rat) kappa kappa' i c z :
  marginal_path q (masked_path kappa) z = 0 -> masked_step q kappa kappa' i c z = 0.
Proof.
move=> p0; rewrite /masked_step /marginal_velocity big1 // => y _.
by rewrite /posterior p0 invr0 mulr0 mul0r.
Qed.

Definition path2 f k a b : rat := mass2 f a b * (weight1 k a * weight1 k b).

Definition step2_0 f k k' a b c : rat :=
  if path2 f k a b == 0 then 0
  else move2 ((k' - k) / (1 - k)) a c (next2_0 f a b c).

Definition step2_1 f k k' a b c : rat :=
  if path2 f k a b == 0 then 0
  else move2 ((k' - k) / (1 - k)) b c (next2_1 f a b c).

Lemma step2_0E f k k' a b c :
  masked_step (joint f) (fun=> k) (fun=> k') ord0 c (pair2 a b) =
  step2_0 f k k' a b c.
Proof.
rewrite /step2_0; case: eqP => [p0 | /eqP p0]; last exact: masked_step2_0.
by rewrite masked_step_unreached // marginal_path2.
Qed.

Lemma step2_1E f k k' a b c :
  masked_step (joint f) (fun=> k) (fun=> k') ord_max c (pair2 a b) =
  step2_1 f k k' a b c.
Proof.
rewrite /step2_1; case: eqP => [p0 | /eqP p0]; last exact: masked_step2_1.
by rewrite masked_step_unreached // marginal_path2.
Qed.

Lemma all_mask2 : all_mask 2 bool_finType = pair2 None None.
Proof. by apply/ffunP => i; rewrite !ffunE; case: eqP. Qed.

Lemma reveal_all2 (a b : bool) :
  reveal_all (pair2 a b) = pair2 (Some a) (Some b).
Proof. by apply/ffunP => i; rewrite !ffunE; case: eqP. Qed.

Definition law2 (f : bool -> bool -> rat) (a b : option bool) : rat :=
  if a is Some a then if b is Some b then f a b else 0 else 0.

Lemma data_law2 f a b : data_law (joint f) (pair2 a b) = law2 f a b.
Proof.
rewrite /data_law sum_pair2 !big_bool /= !reveal_all2 !eq_pair2 /joint.
rewrite !pair2_0 !pair2_1; case: a => [[]|]; case: b => [[]|] /=;
  by rewrite ?(mulr1, mulr0, addr0, add0r).
Qed.

(* One step from the all-mask state. *)
Lemma push_mask (k : masked_bits -> masked_bits -> rat) x :
  push (@mask_law _ 2 bool_finType) k x = k (pair2 None None) x.
Proof. by rewrite /push /mask_law -all_mask2 sum_delta. Qed.

Lemma linear_defect_eq q q' t u : q =1 q' ->
  linear_defect q t u = linear_defect q' t u.
Proof.
move=> e; have c x : linear_curve q x = linear_curve q' x.
  by apply: eq_bigr => y _; rewrite e.
apply: eq_bigr => x _; rewrite c; congr (`|_ + _|); congr (- _).
by apply: eq_bigr => z _; rewrite c.
Qed.

(* The defect, as a rational to compute. *)
Definition defect2 f t u0 u1 : rat :=
  sum9 (fun a b => `| div2 (path2 f t) u0 u1 a b -
    div2 (path2 f t) (step2_0 f t (t + 1)) (step2_1 f t (t + 1)) a b |).

Lemma linear_defect2 f t u u0 u1 :
  (forall a b, 0 <= f a b) -> 0 <= t < 1 ->
  (forall a b c, u ord0 c (pair2 a b) = u0 a b c) ->
  (forall a b c, u ord_max c (pair2 a b) = u1 a b c) ->
  linear_defect (joint f) t u = defect2 f t u0 u1.
Proof.
move=> f0 t01 u0E u1E; rewrite linear_defectE ?(joint_ge0 f0) //; last first.
  exact: joint_ge0.
apply: sum9E => a b; congr (`| _ - _ |); apply: div2E => // *.
- exact: marginal_path2.
- exact: marginal_path2.
- exact: step2_0E.
- exact: step2_1E.
Qed.

(* The distance of two laws on masked bits. *)
Lemma TV2 (p q : masked_bits -> rat) p2 q2 :
  (forall a b, p (pair2 a b) = p2 a b) -> (forall a b, q (pair2 a b) = q2 a b) ->
  TV p q = sum9 (fun a b => `| p2 a b - q2 a b |) / 2%:R.
Proof. by move=> pE qE; congr (_ / _); apply: sum9E => a b; rewrite pE qE. Qed.
