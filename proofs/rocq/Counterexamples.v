(* Controls on two masked bits: what fails when a hypothesis is dropped, with
   exact values, for the very functions of the theorems.

   "00/11" is half on 00 and half on 11, masked source; linear schedule.
   C03: prior for posterior, L1 defect 1 at kappa = 1/3.
   C05, C06, C21: two positions in one step, TV 1/2.
   C08: omega_k for the router, defect 1/6 at kappa = 1/3.
   C13, C21: two experts in one parallel step, TV 1/2.
   Each is shown beside the same instance with the hypothesis restored.      *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Autoregression Stability Product TwoBits.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_2 -> bool}.
Local Notation masked_bits := {ffun 'I_2 -> option bool}.
(* The all-mask start. *)
Local Notation mask := (@mask_law rat_numFieldType 2 bool_finType).

Definition third : rat := 1 / 3%:R.
Definition half : rat := 1 / 2%:R.
Definition three_quarters : rat := 3%:R / 4%:R.

Definition twins_f (a b : bool) : rat := (a == b)%:R / 2%:R.

Lemma twins_ge0 y : 0 <= twins y.
Proof. by case: twins_pmf. Qed.

Lemma third_unit : 0 <= third < 1.
Proof. by []. Qed.

(* C03: the prior average of the conditional velocities. *)
Definition prior_velocity (q : bits -> rat) (kappa kappa' : 'I_2 -> rat) :=
  fun i a z => \sum_y q y * masked_velocity kappa kappa' y i a z.

Definition prior2 f (rho : rat) (a c : option bool) (first : bool) : rat :=
  let u y d := f y d * (rho * ((c == Some (if first then y else d))%:R -
                               (c == a)%:R)) in
  u true true + u true false + (u false true + u false false).

Lemma prior2_0 f k k' a b c :
  prior_velocity (joint f) (fun=> k) (fun=> k') ord0 c (pair2 a b) =
  prior2 f ((k' - k) / (1 - k)) a c true.
Proof.
rewrite /prior_velocity sum_pair2 !big_bool /joint /masked_velocity.
by rewrite !pair2_0 !pair2_1.
Qed.

Lemma prior2_1 f k k' a b c :
  prior_velocity (joint f) (fun=> k) (fun=> k') ord_max c (pair2 a b) =
  prior2 f ((k' - k) / (1 - k)) b c false.
Proof.
rewrite /prior_velocity sum_pair2 !big_bool /joint /masked_velocity.
by rewrite !pair2_0 !pair2_1.
Qed.

Theorem C03_control_prior_for_posterior :
  linear_defect twins third
    (prior_velocity twins (fun=> third) (fun=> third + 1)) = 1.
Proof.
rewrite (linear_defect2 _ third_unit (prior2_0 _ _ _) (prior2_1 _ _ _)).
  by compute_rat.
by case; case.
Qed.

Theorem C03_control_restored :
  linear_defect twins third (masked_step twins (fun=> third) (fun=> third + 1)) = 0.
Proof. exact: linear_defect_central twins_ge0 third_unit. Qed.

(* C05, C06, C21: revealing two dependent positions at once. *)
Theorem C05_control_two_movers :
  TV (push mask
        (step_kernel (masked_step twins (fun=> 0) (fun=> 1))))
     (data_law twins) = half.
Proof.
rewrite (TV2 (p2 := kernel2 (step2_0 twins_f 0 1) (step2_1 twins_f 0 1) None None)
             (q2 := law2 twins_f)).
- by compute_rat.
- move=> a b; rewrite push_mask; apply: kernel2E => *.
    exact: step2_0E.
  exact: step2_1E.
- exact: data_law2.
Qed.

(* The exact value at 01, which q never shows. *)
Theorem C06_control_parallel_reveal :
  push mask
    (step_kernel (masked_step twins (fun=> 0) (fun=> 1)))
    (reveal_all (pair2 false true)) = 1 / 4%:R /\ twins (pair2 false true) = 0.
Proof.
split; last by rewrite /twins /joint pair2_0 pair2_1; compute_rat.
rewrite push_mask reveal_all2 (kernel2E (step2_0E twins_f 0 1) (step2_1E _ _ _)).
by compute_rat.
Qed.

(* C08: two experts, independent bits, false with probability 3/4 and 1/4. *)
Definition expert_f (k : bool) (a b : bool) : rat :=
  let p := if k then 3%:R / 4%:R else 1 / 4%:R in bit p a * bit p b.
Definition experts (k : bool) : bits -> rat := joint (expert_f k).
Definition equal (k : bool) : rat := half.
Definition central_f (a b : bool) : rat :=
  half * expert_f true a b + half * expert_f false a b.

Lemma expert_f_ge0 k a b : 0 <= expert_f k a b.
Proof. by case: k; case: a; case: b. Qed.

Lemma central_f_ge0 a b : 0 <= central_f a b.
Proof. by case: a; case: b. Qed.

Lemma central_experts y : mixture equal experts y = joint central_f y.
Proof. by rewrite /mixture big_bool. Qed.

Definition expert_steps (k : bool) :=
  masked_step (experts k) (fun=> third) (fun=> third + 1).

Definition static2_0 a b c :=
  half * step2_0 (expert_f true) third (third + 1) a b c +
  half * step2_0 (expert_f false) third (third + 1) a b c.
Definition static2_1 a b c :=
  half * step2_1 (expert_f true) third (third + 1) a b c +
  half * step2_1 (expert_f false) third (third + 1) a b c.

Theorem C08_control_static_weights :
  linear_defect (mixture equal experts) third
    (mixed_velocity (fun k _ => equal k) expert_steps) = 1 / 6%:R.
Proof.
rewrite (linear_defect_eq _ _ central_experts).
rewrite (@linear_defect2 _ _ _ static2_0 static2_1 central_f_ge0 third_unit).
- by compute_rat.
- by move=> a b c; rewrite /mixed_velocity big_bool /expert_steps !step2_0E.
- by move=> a b c; rewrite /mixed_velocity big_bool /expert_steps !step2_1E.
Qed.

(* The next-token law at (false, mask): 5/8, and 1/2 with static weights. *)
Theorem C08_control_static_next_token (z := pair2 (Some false) None) :
  next_token (mixture equal experts) z ord_max (Some false) = 5%:R / 8%:R /\
  \sum_k equal k * next_token (experts k) z ord_max (Some false) = 1 / 2%:R.
Proof.
have mix x : revealed_mass (mixture equal experts) x =
             revealed_mass (joint central_f) x.
  by apply: eq_bigr => y _; rewrite central_experts.
split; last by rewrite big_bool !next_token2_1; compute_rat.
by rewrite /next_token !mix -/(next_token _ _ _ (Some false)) next_token2_1; compute_rat.
Qed.

Theorem C08_control_restored :
  linear_defect (mixture equal experts) third
    (mixed_velocity (router equal (fun k => marginal_path (experts k)
                                              (masked_path (fun=> third))))
                    expert_steps) = 0.
Proof.
have eq0 k : 0 <= equal k by [].
have ex0 k y : 0 <= experts k y by apply: expert_f_ge0.
have mix0 y : 0 <= mixture equal experts y by apply: mixture_ge0.
rewrite -(linear_defect_central mix0 third_unit).
apply: eq_bigr => x _; congr (`|_ + _|); apply: divergence_eq => z _ i a.
by rewrite -(@C08_decentralization_velocity _ _ _ _ _ equal experts ex0
  (masked_path (fun=> third)) (masked_velocity (fun=> third) (fun=> third + 1))) //
  => y w; apply: masked_path_ge0 => j; case/andP: third_unit => -> /ltW ->.
Qed.

(* C13: experts 00 and 11, drawn once or mixed, in one parallel step. *)
Definition point_f (k a b : bool) : rat := ((a == k) && (b == k))%:R.
Definition points (k : bool) : bits -> rat := joint (point_f k).

Definition drawn2 (c d : option bool) : rat :=
  half * kernel2 (step2_0 (point_f true) 0 1) (step2_1 (point_f true) 0 1)
                 None None c d +
  half * kernel2 (step2_0 (point_f false) 0 1) (step2_1 (point_f false) 0 1)
                 None None c d.

Definition router2 (a b : option bool) (k : bool) : rat :=
  half * path2 (point_f k) 0 a b /
  (half * path2 (point_f true) 0 a b + half * path2 (point_f false) 0 a b).

Definition routed2_0 a b c : rat :=
  router2 a b true * step2_0 (point_f true) 0 1 a b c +
  router2 a b false * step2_0 (point_f false) 0 1 a b c.
Definition routed2_1 a b c : rat :=
  router2 a b true * step2_1 (point_f true) 0 1 a b c +
  router2 a b false * step2_1 (point_f false) 0 1 a b c.

Theorem C13_control_two_movers :
  TV (fun x => \sum_k equal k * push mask
        (step_kernel (masked_step (points k) (fun=> 0) (fun=> 1))) x)
     (push mask (step_kernel (mixed_velocity
        (router equal (fun k => marginal_path (points k) (masked_path (fun=> 0))))
        (fun k => masked_step (points k) (fun=> 0) (fun=> 1))))) = half.
Proof.
have routerE k a b : router equal (fun k => marginal_path (points k)
    (masked_path (fun=> 0))) k (pair2 a b) = router2 a b k.
  by rewrite /router /mixture big_bool !marginal_path2.
rewrite (TV2 (p2 := drawn2) (q2 := kernel2 routed2_0 routed2_1 None None)).
- by compute_rat.
- move=> a b; rewrite big_bool !push_mask.
  rewrite (kernel2E (step2_0E (point_f true) 0 1) (step2_1E _ _ _)).
  by rewrite (kernel2E (step2_0E (point_f false) 0 1) (step2_1E _ _ _)).
- move=> a b; rewrite push_mask; apply: kernel2E => *.
    by rewrite /mixed_velocity big_bool !routerE !step2_0E.
  by rewrite /mixed_velocity big_bool !routerE !step2_1E.
Qed.

(* C21: the experts always write 00 or always 11, at any state z; mixed
   velocities against mixed kernels, and the same with identical experts. *)
Definition write (k : bool) : 'I_2 -> bool -> bits -> rat :=
  fun i a z => (a == k)%:R - (a == z i)%:R.

Lemma write_total k i z : \sum_a write k i a z = 0.
Proof. by rewrite sumrB !sum_delta1 subrr. Qed.

Lemma equal_pmf : is_pmf equal.
Proof. by split=> [k|]; [|rewrite big_bool; compute_rat]. Qed.

Theorem C21_control_point_experts z :
  TV (fun x => \sum_k equal k * step_kernel (write k) z x)
     (step_kernel (mixed_at equal write) z) = 1 / 2%:R /\
  TV (fun x => \sum_k equal k * step_kernel (write true) z x)
     (step_kernel (mixed_at equal (fun=> write true)) z) = 0.
Proof.
have token k i a : token_kernel (write k) z i a = (a == k)%:R.
  by rewrite /token_kernel /write addrC subrK.
split.
  rewrite (C21_two_experts_binary equal_pmf (fun k i => write_total k i z)) !token.
  by compute_rat.
rewrite (C21_two_experts_binary equal_pmf (fun _ i => write_total true i z)) !token.
by compute_rat.
Qed.
