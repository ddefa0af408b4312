(* Controls on one token and on mixtures of pmfs, with exact values.

   C02: another pivot gives the rate -dkappa/kappa.  C04: increments from the
   derivative, kappa = t^2, two steps: (1/3, 2/3) for (0, 1).  C08: omega_k for
   the router, uniform source, kappa = 1/3: defect 1/210.  C11: top-1 with
   experts that are not determined, TV 1/2.  C13: a uniform source, path laws
   differ.  C15: no bound below 1 - s; not renormalizing.  C16: 3/20, and 4/5
   against 49/68.  C17: 2/3 against 13/20, 1 against 0.  C22: a router that
   depends on the schedule.  C01: row sums that cancel.                      *)

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

(* A uniform source, N = 1: data token y with weight kappa, else uniform. *)
Definition uniform_base (y j : bool) (i : 'I_1) (a : bool) : rat :=
  if j then (a == y)%:R else 1 / 2%:R.
Definition linear (k : rat) (j : bool) (i : 'I_1) : rat := if j then k else 1 - k.
Definition uniform_path (k : rat) (y : bool) := convex_path (linear k) (uniform_base y).

Definition path1 (q : bool -> rat) (k : rat) (a : bool) : rat :=
  let p y := q y * (k * (a == y)%:R + (1 - k) * (1 / 2%:R)) in p true + p false.

Lemma uniform_path1 k y a :
  uniform_path k y (one a) = k * (a == y)%:R + (1 - k) * (1 / 2%:R).
Proof.
by rewrite /uniform_path /convex_path /product_path prod_one /convex_token big_bool ffunE.
Qed.

Lemma path1E q k a : marginal_path q (uniform_path k) (one a) = path1 q k a.
Proof. by rewrite /marginal_path big_bool !uniform_path1. Qed.

(* C22: off the masked source the router depends on the schedule. *)
Definition biased (k : bool) : bool -> rat :=
  coin (if k then 3%:R / 4%:R else 1 / 4%:R).

Definition uniform_router (k : rat) : rat :=
  router even (fun e => marginal_path (biased e) (uniform_path k)) true (one false).

Theorem C22_control_uniform_source :
  [/\ uniform_router 0 = 1 / 2%:R, uniform_router (1 / 4%:R) = 9%:R / 16%:R,
      uniform_router (1 / 2%:R) = 5%:R / 8%:R & uniform_router 1 = 3%:R / 4%:R].
Proof.
have e k : uniform_router k = even true * path1 (biased true) k false /
    (even true * path1 (biased true) k false +
     even false * path1 (biased false) k false).
  by rewrite /uniform_router /router /mixture big_bool !path1E.
by rewrite !e; split; compute_rat.
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

(* C08: omega_k for the router at kappa = 1/3, experts (3/4, 1/4), (1/2, 1/2). *)
Definition uniform_velocity (q : bool -> rat) (k k' : rat) :=
  marginal_velocity q (uniform_path k)
    (fun y => convex_step_velocity (linear k) (linear k') (uniform_base y) (fun=> false)).

Definition velocity1 (q : bool -> rat) (k k' : rat) (c z : bool) : rat :=
  let r := (1 - k') / (1 - k) in
  let u y := q y * (k * (z == y)%:R + (1 - k) * (1 / 2%:R)) / path1 q k z *
    ((k' - k * r) * (c == y)%:R + ((1 - k') - (1 - k) * r) * (1 / 2%:R) +
     (r - 1) * (c == z)%:R) in
  u true + u false.

Lemma velocity1E q k k' i c z : uniform_velocity q k k' i c (one z) = velocity1 q k k' c z.
Proof.
rewrite /uniform_velocity /marginal_velocity big_bool /posterior !path1E.
by rewrite !uniform_path1 /convex_step_velocity !big_bool !ffunE.
Qed.

Definition lean (k : bool) : bool -> rat := coin (if k then 3%:R / 4%:R else 1 / 2%:R).
Definition lean_central (y : bool) : rat :=
  even true * lean true y + even false * lean false y.

(* At N = 1 the continuity equation of a step is linear in the increment: the
   L1 defect of the step from kappa = 1/3 to 1, per unit of kappa, is that of
   continuous time at kappa = 1/3. *)
Definition step_defect (u : 'I_1 -> bool -> token -> rat) : rat :=
  \sum_x `| marginal_path lean_central (uniform_path 1) x -
            marginal_path lean_central (uniform_path (1 / 3%:R)) x +
            divergence (marginal_path lean_central (uniform_path (1 / 3%:R))) u x |.

Lemma divergence1 p (u : 'I_1 -> bool -> token -> rat) a :
  divergence p u (one a) = - (p (one true) * u ord0 a (one true) +
                              p (one false) * u ord0 a (one false)).
Proof.
have upd1 x b : upd (one x) ord0 b = one b.
  by apply/ffunP => i; rewrite !ffunE (ord1 i).
rewrite divergence_neighbours big_ord_recl big_ord0 addr0 big_bool !ffunE.
by rewrite !upd1.
Qed.

Theorem C08_control_uniform_source :
  step_defect (mixed_velocity (fun k _ => even k)
    (fun k => uniform_velocity (lean k) (1 / 3%:R) 1)) / (1 - 1 / 3%:R) = 1 / 210%:R /\
  step_defect (mixed_velocity
    (router even (fun k => marginal_path (lean k) (uniform_path (1 / 3%:R))))
    (fun k => uniform_velocity (lean k) (1 / 3%:R) 1)) = 0.
Proof.
split.
  rewrite /step_defect sum_one !divergence1 !path1E /mixed_velocity !big_bool.
  by rewrite !velocity1E; compute_rat.
rewrite /step_defect sum_one !divergence1 /router /mixture /mixed_velocity !big_bool.
by rewrite !path1E !velocity1E; compute_rat.
Qed.

(* C13: with a uniform source the path laws differ, though one-time laws agree:
   kappa = 0, 1/2, 1, experts delta_0 and delta_1, the path 1, 0, 1. *)
Definition half_steps (t : nat) : rat := t%:R / 2%:R.

Definition visit (t : nat) : token := one (t != 1%N).

Theorem C13_control_uniform_path_law
    (start := fun x => marginal_path even (uniform_path 0) x)
    (velocity := fun k t =>
       uniform_velocity (point k) (half_steps t) (half_steps t.+1)) :
  \sum_k even k * path_law start (fun t => step_kernel (velocity k t)) 2 visit = 0 /\
  path_law start (fun t => step_kernel (mixed_velocity
    (router even (fun k => marginal_path (point k) (uniform_path (half_steps t))))
    (fun k => velocity k t))) 2 visit = 1 / 32%:R.
Proof.
have kernel1 u a b : step_kernel u (one a) (one b) = (b == a)%:R + u ord0 b (one a).
  by rewrite /step_kernel prod_one !ffunE.
have two (k : nat -> token -> token -> rat) : path_law start k 2 visit =
    path1 even 0 true * (k 0%N (one true) (one false) * k 1%N (one false) (one true)).
  by rewrite /path_law !big_ord_recl big_ord0 mulr1 /start path1E.
split.
  by rewrite big_bool !two !kernel1 /velocity !velocity1E; compute_rat.
rewrite two !kernel1 /velocity /mixed_velocity /router /mixture !big_bool.
by rewrite !path1E !velocity1E; compute_rat.
Qed.

(* C09: kappa = 1/3 at false, experts (3/4, 1/4) and (1/2, 1/2): affinely
   independent velocities, r = (7/13, 6/13), and omega in its place is off. *)
Theorem C09_control_affinely_independent
    (u := fun k => uniform_velocity (lean k) (1 / 3%:R) 1)
    (r := router even (fun k => marginal_path (lean k) (uniform_path (1 / 3%:R)))) :
  [/\ affinely_independent u (one false), r true (one false) = 7%:R / 13%:R &
      mixed_velocity (fun k _ => even k) u position true (one false) -
      mixed_velocity r u position true (one false) = 2%:R / 273%:R].
Proof.
split.
- move=> c; rewrite big_bool => /eqP; rewrite addr_eq0 => /eqP ct /(_ position true).
  rewrite big_bool /u !velocity1E ct /= mulNr addrC -mulrBr => /eqP; rewrite mulf_eq0.
  rewrite [X in _ || X](_ : _ = false) ?orbF; last by vm_compute.
  by move=> /eqP cf; case; rewrite ?ct cf ?oppr0.
- by rewrite /r /router /mixture big_bool !path1E; compute_rat.
rewrite /r /router /mixture /mixed_velocity !big_bool !path1E /u !velocity1E.
by compute_rat.
Qed.
