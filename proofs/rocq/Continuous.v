(* C02, C03 [G, Theorems 3 and 2] and C08 in continuous time.

   A path depends on time through an algebra A of functions of time, of which
   only an instant is used: the value f |-> f(t) and the derivative
   f |-> f'(t), linear, with f'g' by Leibniz.  Polynomials in t are one such
   algebra, and the theorems are stated for them too.

   C02: sum_j a^j w^j + b delta_z, with a^j = dkappa^j - kappa^j b and
        b = dkappa^l / kappa^l, generates the conditional path, for any l.
   C03: the posterior average of velocities generates the marginal path.
   C08: so does the routed mixture of the experts' velocities.               *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Record instant (R : numFieldType) (A : comAlgType R) := Instant {
  value : A -> R;
  derivative : A -> R;
  value_linear : forall c f g, value (c *: f + g) = c * value f + value g;
  value_mul : forall f g, value (f * g) = value f * value g;
  value_one : value 1 = 1;
  derivative_linear :
    forall c f g, derivative (c *: f + g) = c * derivative f + derivative g;
  derivative_mul : forall f g,
    derivative (f * g) = derivative f * value g + value f * derivative g
}.

Section Instant.
Variables (R : numFieldType) (A : comAlgType R) (t : instant A).
Add Field R_field : (numfield_theory R).

Lemma value0 : value t 0 = 0.
Proof.
have := value_linear t (-1) 0 0; rewrite scaler0 addr0 => ->.
by ring_in R.
Qed.

Lemma value_sum (S : finType) (c : S -> R) (f : S -> A) :
  value t (\sum_y c y *: f y) = \sum_y c y * value t (f y).
Proof.
apply: (big_rec2 (fun a b => value t a = b)) => [|y b a _ <-].
  exact: value0.
by rewrite value_linear.
Qed.

Lemma derivative0 : derivative t 0 = 0.
Proof.
have := derivative_linear t (-1) 0 0; rewrite scaler0 addr0 => ->.
by ring_in R.
Qed.

Lemma derivative_sum (S : finType) (c : S -> R) (f : S -> A) :
  derivative t (\sum_y c y *: f y) = \sum_y c y * derivative t (f y).
Proof.
apply: (big_rec2 (fun a b => derivative t a = b)) => [|y b a _ <-].
  exact: derivative0.
by rewrite derivative_linear.
Qed.

Lemma value_prod (S : finType) (f : S -> A) :
  value t (\prod_i f i) = \prod_i value t (f i).
Proof.
apply: (big_rec2 (fun a b => value t a = b)) => [|y b a _ <-].
  exact: value_one.
by rewrite value_mul.
Qed.

Lemma derivative1 : derivative t 1 = 0.
Proof.
have /eqP := derivative_mul t 1 1; rewrite !mulr1 value_one mulr1 mul1r.
by rewrite -[X in X == _]addr0 (inj_eq (addrI _)) eq_sym => /eqP.
Qed.

Lemma derivative_prod (S : finType) (f : S -> A) :
  derivative t (\prod_i f i) =
  \sum_i derivative t (f i) * \prod_(j | j != i) value t (f j).
Proof.
suff h (s : seq S) : uniq s -> derivative t (\prod_(i <- s) f i) =
    \sum_(i <- s) derivative t (f i) * \prod_(j <- s | j != i) value t (f j).
  by apply: h; apply: index_enum_uniq.
have val_s (r : seq S) :
    value t (\prod_(i <- r) f i) = \prod_(i <- r) value t (f i).
  apply: (big_rec2 (fun a b => value t a = b)) => [|y b a _ <-].
    exact: value_one.
  by rewrite value_mul.
elim: s => [|a s IH]; first by rewrite !big_nil derivative1.
rewrite cons_uniq => /andP [a_s us].
rewrite !big_cons derivative_mul IH // eqxx /= val_s; congr (_ * _ + _).
  rewrite big_seq [RHS]big_seq_cond; apply: eq_bigl => j.
  by case js: (j \in s) => //=; apply/esym; apply: contraNneq a_s => <-.
rewrite mulr_sumr big_seq [RHS]big_seq; apply: eq_bigr => i i_s.
rewrite big_cons; have -> : a != i by apply: contraNneq a_s => ->.
exact: mulrCA.
Qed.

End Instant.

Section Generation.
Variables (R : numFieldType) (A : comAlgType R) (t : instant A).
Variables (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).

(* u generates the path p at this instant. *)
Definition generates (p : state -> A) (u : velocity) : Prop :=
  continuity (fun x => derivative t (p x)) (fun x => value t (p x)) u.

Section Conditional.
Variable J : finType.

Definition convex_curve (kappa : J -> 'I_N -> A) (w : J -> 'I_N -> T -> R)
  (x : state) : A := \prod_i \sum_j w j i (x i) *: kappa j i.

Lemma value_convex_curve kappa w x :
  value t (convex_curve kappa w x) =
  convex_path (fun j i => value t (kappa j i)) w x.
Proof.
rewrite value_prod; apply: eq_bigr => i _; rewrite value_sum.
by apply: eq_bigr => j _; rewrite mulrC.
Qed.

Theorem C02_convex_velocity_generates (kappa : J -> 'I_N -> A) w l :
  is_base w -> (forall i, \sum_j value t (kappa j i) = 1) ->
  generates (convex_curve kappa w)
    (convex_velocity (fun j i => value t (kappa j i))
                     (fun j i => derivative t (kappa j i)) w l).
Proof.
move=> base k1 x.
pose k j i := value t (kappa j i); pose dk j i := derivative t (kappa j i).
rewrite -/k -/dk.
have -> : divergence (fun x => value t (convex_curve kappa w x))
            (convex_velocity k dk w l) x =
          divergence (product_path (convex_token k w)) (local_velocity
            (fun i a c => \sum_j (dk j i - k j i * (dk (l i) i / k (l i) i)) *
               w j i a + dk (l i) i / k (l i) i * (a == c)%:R)) x.
  by congr (- _); apply: eq_bigr => z _; rewrite value_convex_curve.
rewrite (divergence_product (df := convex_token dk w)); last first.
  by move=> i a; apply: convex_velocity_flux => //; apply: k1.
rewrite derivative_prod -sumrB big1 // => i _; apply/eqP.
rewrite subr_eq0 derivative_sum; apply/eqP; congr (_ * _).
  by apply: eq_bigr => j _; rewrite mulrC.
apply: eq_bigr => j _; rewrite value_sum.
by apply: eq_bigr => j' _; rewrite mulrC.
Qed.

End Conditional.

Variable Z : finType.

Definition marginal_curve (pi : Z -> R) (pc : Z -> state -> A) (x : state)
  : A := \sum_y pi y *: pc y x.

Lemma value_marginal_curve pi pc x :
  value t (marginal_curve pi pc x) =
  marginal_path pi (fun y x => value t (pc y x)) x.
Proof. exact: value_sum. Qed.

Theorem C03_marginalization_continuous pi pc (uc : Z -> velocity) :
  (forall y, 0 <= pi y) -> (forall y x, 0 <= value t (pc y x)) ->
  (forall y, generates (pc y) (uc y)) ->
  generates (marginal_curve pi pc)
    (marginal_velocity pi (fun y x => value t (pc y x)) uc).
Proof.
move=> pi0 pc0 gen x.
have -> : forall u, divergence (fun x => value t (marginal_curve pi pc x)) u x =
    divergence (marginal_path pi (fun y x => value t (pc y x))) u x.
  by move=> u; congr (- _); apply: eq_bigr => z _; rewrite value_marginal_curve.
rewrite divergence_marginal // derivative_sum -big_split big1 //= => y _.
by rewrite -mulrDr [X in _ * X]gen mulr0.
Qed.

Theorem C08_decentralization_continuous (K : finType) (omega : K -> R)
    (pis : K -> Z -> R) pc (uc : Z -> velocity) (v : K -> velocity) :
  (forall k, 0 <= omega k) -> (forall k y, 0 <= pis k y) ->
  (forall y x, 0 <= value t (pc y x)) ->
  (forall y, generates (pc y) (uc y)) ->
  (forall k z, value t (marginal_curve (pis k) pc z) != 0 ->
     forall i a, v k i a z =
       marginal_velocity (pis k) (fun y x => value t (pc y x)) uc i a z) ->
  generates (marginal_curve (mixture omega pis) pc)
    (mixed_velocity
       (router omega (fun k x => value t (marginal_curve (pis k) pc x))) v).
Proof.
move=> om0 pis0 pc0 gen v_eq x.
have pi0 y : 0 <= mixture omega pis y by apply: mixture_ge0.
rewrite -[RHS](C03_marginalization_continuous pi0 pc0 gen x); congr (_ + _).
apply: divergence_eq => z _ i a; apply/esym.
rewrite (@C08_decentralization_velocity _ _ _ _ _ _ _ pis0 _ _ pc0 v).
  apply: eq_bigr => k _; congr (_ * _); rewrite /router /mixture.
  rewrite value_marginal_curve; congr (_ / _).
  by apply: eq_bigr => j _; rewrite value_marginal_curve.
by move=> k z' pz; apply: v_eq; rewrite value_marginal_curve.
Qed.

End Generation.

Section Polynomials.
Variables (R : numFieldType) (N : nat) (T Z : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).

Lemma horner_linear (t c : R) (f g : {poly R}) :
  (c *: f + g).[t] = c * f.[t] + g.[t].
Proof. by rewrite hornerD hornerZ. Qed.

Lemma horner_deriv_linear (t c : R) (f g : {poly R}) :
  (c *: f + g)^`().[t] = c * f^`().[t] + g^`().[t].
Proof. by rewrite derivD derivZ hornerD hornerZ. Qed.

Lemma horner_deriv_mul (t : R) (f g : {poly R}) :
  (f * g)^`().[t] = f^`().[t] * g.[t] + f.[t] * g^`().[t].
Proof. by rewrite derivM hornerD !hornerM. Qed.

Definition at_time (t : R) : instant [comAlgType R of {poly R}] :=
  @Instant R [comAlgType R of {poly R}] (horner^~ t) (fun f => f^`().[t])
    (horner_linear t) (fun f g => hornerM f g t) (hornerC 1 t)
    (horner_deriv_linear t) (horner_deriv_mul t).

(* At every time t at which the conditional paths are non-negative. *)
Theorem C03_marginalization_polynomial (pi : Z -> R)
    (pc : Z -> state -> {poly R}) (uc : Z -> velocity) (t : R) :
  (forall y, 0 <= pi y) -> (forall y x, 0 <= (pc y x).[t]) ->
  (forall y, continuity (fun x => (pc y x)^`().[t]) (fun x => (pc y x).[t])
               (uc y)) ->
  continuity (fun x => (\sum_y pi y *: pc y x)^`().[t])
             (fun x => (\sum_y pi y *: pc y x).[t])
             (marginal_velocity pi (fun y x => (pc y x).[t]) uc).
Proof. exact: (C03_marginalization_continuous (t := at_time t)). Qed.

Theorem C02_convex_velocity_generates_polynomial (J : finType)
    (kappa : J -> 'I_N -> {poly R}) (w : J -> 'I_N -> T -> R) l (t : R) :
  is_base w -> (forall i, \sum_j (kappa j i).[t] = 1) ->
  continuity
    (fun x : state => (\prod_i \sum_j w j i (x i) *: kappa j i)^`().[t])
    (fun x => (\prod_i \sum_j w j i (x i) *: kappa j i).[t])
    (convex_velocity (fun j i => (kappa j i).[t])
                     (fun j i => (kappa j i)^`().[t]) w l).
Proof. exact: (C02_convex_velocity_generates (t := at_time t)). Qed.

(* C02 and C03 together: polynomial schedules, any coupling, any pivots. *)
Theorem C03_convex_marginal_generates_polynomial (J : finType) (pi : Z -> R)
    (kappa : J -> 'I_N -> {poly R}) (w : Z -> J -> 'I_N -> T -> R) l (t : R)
    (pc := fun y x => \prod_i \sum_j w y j i (x i) *: kappa j i) :
  (forall y, 0 <= pi y) -> (forall y, is_base (w y)) ->
  is_schedule (fun j i => (kappa j i).[t]) ->
  continuity (fun x : state => (\sum_y pi y *: pc y x)^`().[t])
             (fun x => (\sum_y pi y *: pc y x).[t])
             (marginal_velocity pi (fun y x => (pc y x).[t])
               (fun y => convex_velocity (fun j i => (kappa j i).[t])
                  (fun j i => (kappa j i)^`().[t]) (w y) l)).
Proof.
move=> pi0 base sch; apply: C03_marginalization_polynomial => // y; last first.
  by apply: C02_convex_velocity_generates_polynomial => // i; case: (sch i).
move=> x; have -> : (pc y x).[t] = convex_path (fun j i => (kappa j i).[t]) (w y) x.
  exact: (value_convex_curve (at_time t) kappa (w y) x).
by case: (C01_convex_path_is_pmf sch (base y)).
Qed.

End Polynomials.
