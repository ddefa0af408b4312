(* Controls on one token and on mixtures of pmfs, with exact values.

   C01: row sums that cancel.  C02: another pivot gives the rate -dkappa/kappa.
   C04: increments from the derivative, kappa = t^2, two steps: (1/3, 2/3) for
   (0, 1).  C11: top-1 with experts that are not determined, TV 1/2.  C15: no
   bound below 1 - s; not renormalizing.  C16: 3/20, and 4/5 against 49/68.
   C17: 2/3 against 13/20, 1 against 0.  C22: experts with schedules of their
   own.                                                                      *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Filter Ensemble Stability TopK Averaging.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation token := {ffun 'I_1 -> bool}.
Local Notation position := (ord0 : 'I_1).

Definition one (a : bool) : token := [ffun=> a].

Lemma sum_one (R : numFieldType) (F : token -> R) :
  \sum_x F x = F (one true) + F (one false).
Proof.
rewrite (reindex one) /=; first by rewrite big_bool.
exists (fun x : token => x ord0) => [a _|x _]; first by rewrite ffunE.
by apply/ffunP => i; rewrite ffunE (ord1 i).
Qed.

Lemma prod_one (R : numFieldType) (F : 'I_1 -> R) : \prod_i F i = F ord0.
Proof. by rewrite big_ord_recl big_ord0 mulr1. Qed.

Definition even (k : bool) : rat := 1 / 2%:R.
Definition coin (p : rat) (a : bool) : rat := if a then 1 - p else p.

(* C01: sums 2 and 1/2 at two positions cancel in the total. *)
Theorem C01_control_row_sums (w := fun (_ : unit) (_ : 'I_2) => coin (1 / 2%:R)) :
  let kappa (_ : unit) (i : 'I_2) : rat := if i == ord0 then 2%:R else 1 / 2%:R in
  \sum_x convex_path kappa w x = 1 /\
  \sum_x convex_path (fun _ _ => 2%:R) w x = 4%:R.
Proof.
have total c : \sum_x convex_path (fun _ => c) w x = c ord0 * c ord_max.
  rewrite /convex_path /product_path sum_prod prod_ord2 !big_bool.
  rewrite /convex_token !(big_pred1 tt); try by case.
  have half2 : coin (1 / 2%:R) true + coin (1 / 2%:R) false = 1 by compute_rat.
  have h x : x * coin (1 / 2%:R) true + x * coin (1 / 2%:R) false = x.
    by rewrite -mulrDr half2 mulr1.
  exact: (f_equal2 *%R (h _) (h _)).
by split; rewrite total; compute_rat.
Qed.

(* C02: N = 1, z = x1 = true, x0 = false, pivot on the data component. *)
Section WrongPivot.
Variables (R : numFieldType) (kappa dkappa : R).
Add Field R_field : (numfield_theory R).

Definition two_point (b : bool) (i : 'I_1) (a : bool) : R := (a == b)%:R.

Theorem C02_control_wrong_pivot :
  0 < kappa -> 0 < dkappa ->
  let u := convex_velocity (fun (j : bool) _ => if j then kappa else 1 - kappa)
             (fun j _ => if j then dkappa else - dkappa) two_point (fun=> true) in
  u position false (one true) = - (dkappa / kappa) /\ u position false (one true) < 0.
Proof.
move=> k0 dk0 u; have e : u position false (one true) = - (dkappa / kappa).
  rewrite /u /convex_velocity big_bool /two_point ffunE /=.
  rewrite ?(mulr1n, mulr0n); have kn0 : kappa != 0 by apply: lt0r_neq0.
  by field_in R; apply/eqP.
by rewrite e oppr_lt0 divr_gt0.
Qed.

End WrongPivot.

(* C04: kappa_t = t^2 at t = 0, 1/2, 1; from x0 = false to x1 = true. *)
Definition square (t : nat) (j : bool) (i : 'I_1) : rat :=
  let k := (t%:R / 2%:R) ^+ 2 in if j then k else 1 - k.
Definition dsquare (t : nat) (j : bool) (i : 'I_1) : rat :=
  let dk := t%:R in if j then dk else - dk.
Definition data_pair (j : bool) (i : 'I_1) (a : bool) : rat := (a == j)%:R.

Definition derivative_step (t : nat) := step_kernel (fun i a (z : token) =>
  1 / 2%:R * convex_velocity (square t) (dsquare t) data_pair (fun=> false) i a z).
Definition exact_step (t : nat) := step_kernel
  (convex_step_velocity (square t) (square t.+1) data_pair (fun=> false)).

Definition start (x : token) : rat := (x == one false)%:R.

Definition derivative_step1 t (a b : bool) : rat :=
  let k j := square t j position in let dk j := dsquare t j position in
  let r := dk false / k false in
  (b == a)%:R + 1 / 2%:R * ((dk true - k true * r) * (b == true)%:R +
    (dk false - k false * r) * (b == false)%:R + r * (b == a)%:R).
Definition exact_step1 t (a b : bool) : rat :=
  let k j := square t j position in let k' j := square t.+1 j position in
  let r := k' false / k false in
  (b == a)%:R + ((k' true - k true * r) * (b == true)%:R +
    (k' false - k false * r) * (b == false)%:R + (r - 1) * (b == a)%:R).

Lemma derivative_step1E t a b :
  derivative_step t (one a) (one b) = derivative_step1 t a b.
Proof.
by rewrite /derivative_step /step_kernel prod_one /convex_velocity big_bool !ffunE.
Qed.

Lemma exact_step1E t a b : exact_step t (one a) (one b) = exact_step1 t a b.
Proof.
by rewrite /exact_step /step_kernel prod_one /convex_step_velocity big_bool !ffunE.
Qed.

Lemma two_steps (k : nat -> token -> token -> rat) k1 a :
  (forall t a b, k t (one a) (one b) = k1 t a b) ->
  run start k 2 (one a) = k1 0%N false true * k1 1%N true a +
                          k1 0%N false false * k1 1%N false a.
Proof.
move=> kE; have -> : run start k 2 (one a) =
    \sum_z push start (k 0%N) z * k 1%N z (one a) by [].
by rewrite sum_one !kE /push /start !sum_delta !kE.
Qed.

Theorem C04_control_derivative_increments :
  run start derivative_step 2 (one false) = 1 / 3%:R /\
  run start derivative_step 2 (one true) = 2%:R / 3%:R.
Proof. by rewrite !(two_steps _ derivative_step1E); split; compute_rat. Qed.

Theorem C04_control_restored :
  run start exact_step 2 (one false) = 0 /\ run start exact_step 2 (one true) = 1.
Proof. by rewrite !(two_steps _ exact_step1E); split; compute_rat. Qed.

(* C11: experts delta_0 and delta_1, omega = 1/2; either is a top-1. *)
Definition point (k a : bool) : rat := (a == k)%:R.

Theorem C11_control_not_determined k : TV (mixture even point) (point k) = 1 / 2%:R.
Proof.
by rewrite /TV /mixture !big_bool; case: k; compute_rat.
Qed.

(* C15: the bound is attained, so none below 1 - s holds. *)
Definition uneven (k : bool) : rat := if k then 3%:R / 4%:R else 1 / 4%:R.

Lemma keep_true (F : bool -> rat) : \sum_(k in [set true]) F k = F true.
Proof. by rewrite big_set1. Qed.

Theorem C15_control_tight :
  kept_mass [set true] uneven = 3%:R / 4%:R /\
  TV (mixture uneven point) (kept [set true] uneven point) = 1 / 4%:R.
Proof.
have mass : kept_mass [set true] uneven = 3%:R / 4%:R by apply: keep_true.
split=> //; rewrite /TV /mixture /kept !big_bool !keep_true mass.
by compute_rat.
Qed.

(* Without renormalizing, what is kept is no pmf: its total is s. *)
Theorem C15_control_not_renormalized :
  \sum_a \sum_(k in [set true]) uneven k * point k a = 3%:R / 4%:R.
Proof. by rewrite big_bool !keep_true; compute_rat. Qed.

(* C16: experts (1, 0) and (1/2, 1/2), weights 1/2, temperature 1/2. *)
Definition sharp_pair (k : bool) : bool -> rat := coin (if k then 1 else 1 / 2%:R).

Theorem C16_control_temperature :
  sharpen 2 (mixture even sharp_pair) false -
  mixture even (fun k => sharpen 2 (sharp_pair k)) false = 3%:R / 20%:R.
Proof. by rewrite /sharpen /mixture !big_bool; compute_rat. Qed.

(* The geometric mixture g (averaged logits) has g(a)^2 / g(b)^2 =
   p_1(a) p_2(a) / (p_1(b) p_2(b)): here 4/5, where the arithmetic one has 49/68. *)
Definition geometric_pair (k : bool) : bool -> rat :=
  coin (if k then 16%:R / 17%:R else 1 / 2%:R).

Theorem C16_control_geometric (g := coin (4%:R / 5%:R)) :
  (g false / g true) ^+ 2 =
  geometric_pair true false * geometric_pair false false /
    (geometric_pair true true * geometric_pair false true) /\
  mixture even geometric_pair false = 49%:R / 68%:R /\ g false = 4%:R / 5%:R.
Proof.
by split; [compute_rat | split; [rewrite /mixture big_bool|]; compute_rat].
Qed.

(* C17: softmax of one logit, odds o |-> o / (1 + o); odds 1 and 4, averaged
   logit: odds 2 = sqrt (1 * 4). *)
Definition softmax_odds (o : rat) : rat := o / (1 + o).

Theorem C17_control_softmax :
  (2%:R : rat) ^+ 2 = 1 * 4%:R /\ softmax_odds 2%:R = 2%:R / 3%:R /\
  (softmax_odds 1 + softmax_odds 4%:R) / 2%:R = 13%:R / 20%:R.
Proof. by split; [|split]; compute_rat. Qed.

Definition product_of_weights (theta : bool -> rat) (_ : unit) : rat :=
  theta true * theta false.

Theorem C17_control_product (theta := fun k _ : bool => if k then 1 : rat else -1) :
  \sum_k even k * product_of_weights (theta k) tt = 1 /\
  product_of_weights (average even theta) tt = 0.
Proof.
by split; rewrite /product_of_weights /average ?big_bool; compute_rat.
Qed.

(* C22: experts with schedules of their own, masked source, at the mask. *)
Theorem C22_control_different_schedules (q : bool -> token -> rat)
    (kappa := fun (k : bool) (_ : 'I_1) => if k then 1 / 3%:R else 1 / 2%:R : rat) :
  (forall k, is_pmf (q k)) ->
  router even (fun k => marginal_path (q k) (masked_path (kappa k))) true
    (all_mask 1 bool_finType) = 4%:R / 7%:R.
Proof.
move=> q_pmf; have at_mask k : marginal_path (q k) (masked_path (kappa k))
    (all_mask 1 bool_finType) = 1 - kappa k ord0.
  rewrite C22_path_factorization /schedule_weight prod_one ffunE /=.
  have -> : revealed_mass (q k) (all_mask 1 bool_finType) = 1.
    rewrite -(proj2 (q_pmf k)); apply: eq_bigr => y _.
    by rewrite /agrees (_ : [forall i, _]) ?mulr1 //; apply/forallP => i; rewrite ffunE.
  by rewrite mul1r.
by rewrite /router /mixture big_bool !at_mask; compute_rat.
Qed.
