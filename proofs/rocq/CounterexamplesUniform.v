(* Controls with a uniform source, one token, with exact values.

   C22: a router that depends on the schedule.  C08: omega_k for the router,
   kappa = 1/3: defect 1/210.  C13: path laws differ.  C09: affinely independent
   experts, static weights off by 2/273.                                     *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization.
From Ddfm Require Import Ensemble Averaging CounterexamplesToken.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation token := {ffun 'I_1 -> bool}.
Local Notation position := (ord0 : 'I_1).

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
