(* Controls on two masked bits, continued: corrector, chains, filter.

   C18: alpha - beta = 3/2 has defect 4/3, beta = -1/2 a rate of -3/2.
   C13: autoregression with omega_k at every step, TV 1/8.
   C10: the filter without the likelihood, 1/2 for 3/4; with the last token
   alone, 3/4 for 9/10; from a wrong prior, 54/89 for 486/521.               *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Continuous.
From Ddfm Require Import Masked Autoregression Filter Stability Corrector TwoBits.
From Ddfm Require Import Counterexamples.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_2 -> bool}.
Local Notation masked_bits := {ffun 'I_2 -> option bool}.
Local Notation mask := (@mask_law rat_numFieldType 2 bool_finType).

(* C18: the backward velocity, pivot on the data component. *)
Definition backward_step (q : bits -> rat) (kappa : rat) :=
  marginal_velocity q (masked_path (fun=> kappa)) (fun y =>
    convex_velocity (masked_schedule (fun=> kappa))
      (masked_increment (fun=> 1)) (@masked_base _ 2 bool_finType y) (fun=> true)).

Definition backward2 f k a b (z c : option bool) : rat :=
  if path2 f k a b == 0 then 0
  else 1 / k * ((c == z)%:R - (c == None)%:R).

Lemma backward_step2 f k i a b c :
  k != 0 -> backward_step (joint f) k i c (pair2 a b) =
            backward2 f k a b (pair2 a b i) c.
Proof.
move=> k0; rewrite /backward2 /backward_step.
have conditional y : convex_velocity (masked_schedule (fun=> k))
    (masked_increment (fun=> 1)) (@masked_base _ 2 bool_finType y) (fun=> true)
    i c (pair2 a b) = 1 / k * ((c == pair2 a b i)%:R - (c == None)%:R).
  exact: C18_masked_backward_velocity.
rewrite /path2 -(marginal_path2 f k) /marginal_velocity.
case: eqP => [p0 | /eqP p0].
  by rewrite big1 // => y _; rewrite /posterior p0 invr0 mulr0 mul0r.
under eq_bigr do rewrite conditional.
by rewrite -mulr_suml (sum_posterior p0) mul1r.
Qed.

Definition forward_step := masked_step twins (fun=> third) (fun=> third + 1).

Definition corrected2_0 alpha beta a b c : rat :=
  alpha * step2_0 twins_f third (third + 1) a b c -
  beta * backward2 twins_f third a b a c.
Definition corrected2_1 alpha beta a b c : rat :=
  alpha * step2_1 twins_f third (third + 1) a b c -
  beta * backward2 twins_f third a b b c.

Lemma corrector_defect alpha beta :
  linear_defect twins third
    (corrector alpha beta forward_step (backward_step twins third)) =
  defect2 twins_f third (corrected2_0 alpha beta) (corrected2_1 alpha beta).
Proof.
apply: linear_defect2; [by case; case | exact: third_unit | |].
  move=> a b c; rewrite /corrector /forward_step step2_0E.
  by rewrite backward_step2 // pair2_0.
move=> a b c; rewrite /corrector /forward_step step2_1E.
by rewrite backward_step2 // pair2_1.
Qed.

Theorem C18_control_difference_not_one :
  linear_defect twins third
    (corrector 2%:R half forward_step (backward_step twins third)) = 4%:R / 3%:R.
Proof. by rewrite corrector_defect; compute_rat. Qed.

Theorem C18_control_restored :
  linear_defect twins third
    (corrector (3%:R / 2%:R) half forward_step (backward_step twins third)) = 0.
Proof. by rewrite corrector_defect; compute_rat. Qed.

Theorem C18_control_negative_beta :
  corrector half (- half) forward_step (backward_step twins third)
    ord0 None (pair2 (Some false) (Some false)) = - (3%:R / 2%:R).
Proof.
rewrite /corrector /forward_step step2_0E backward_step2 // pair2_0.
by compute_rat.
Qed.

(* C13: autoregression with omega_k at every step. *)
Local Notation position := (@nat_of_ord 2).
Local Notation order := (order_schedule rat_numFieldType position).

Lemma order_start f :
  marginal_path (joint f) (masked_path (order 0%N)) (pair2 None None) =
  mass2 f None None.
Proof.
rewrite C22_path_factorization revealed_mass2 /schedule_weight prod_ord2.
by rewrite pair2_0 pair2_1 /order_schedule /= !subr0 !mulr1.
Qed.

Lemma order_middle f a :
  marginal_path (joint f) (masked_path (order 1%N)) (pair2 (Some a) None) =
  mass2 f (Some a) None.
Proof.
rewrite C22_path_factorization revealed_mass2 /schedule_weight prod_ord2.
by rewrite pair2_0 pair2_1 /order_schedule /= subr0 !mulr1.
Qed.

Definition static_kernel (t : nat) := step_kernel (mixed_velocity
  (fun k _ => equal k) (fun k => masked_step (experts k) (order t) (order t.+1))).

Definition first2 (c d : option bool) : rat :=
  let u a := half * (next2_0 (expert_f true) None None a - (a == None)%:R) +
             half * (next2_0 (expert_f false) None None a - (a == None)%:R) in
  ((c == None)%:R + u c) * (d == None)%:R.

Definition second2 (a : bool) (c d : option bool) : rat :=
  let u b := half * (next2_1 (expert_f true) (Some a) None b - (b == None)%:R) +
             half * (next2_1 (expert_f false) (Some a) None b - (b == None)%:R) in
  (c == Some a)%:R * ((d == None)%:R + u d).

Lemma static_kernel0 c d :
  static_kernel 0 (pair2 None None) (pair2 c d) = first2 c d.
Proof.
rewrite /static_kernel /step_kernel prod_ord2 !pair2_0 !pair2_1.
rewrite /mixed_velocity !big_bool !C06_autoregressive_velocity ?order_start //.
rewrite !next_token2_0 /=; congr (_ * _); rewrite ?mul1r //.
by rewrite !mul0r !mulr0 !addr0.
Qed.

Lemma static_kernel1 a c d :
  static_kernel 1 (pair2 (Some a) None) (pair2 c d) = second2 a c d.
Proof.
rewrite /static_kernel /step_kernel prod_ord2 !pair2_0 !pair2_1.
rewrite /mixed_velocity !big_bool !C06_autoregressive_velocity ?order_middle //;
  try by case: a.
rewrite !next_token2_1 /=; congr (_ * _); rewrite ?mul1r //.
by rewrite !mul0r !mulr0 !addr0.
Qed.

Definition static_law2 (c d : option bool) : rat :=
  half * second2 true c d + half * second2 false c d.

Theorem C13_control_static_weights_autoregression :
  TV (run mask static_kernel 2) (data_law (mixture equal experts)) = 1 / 8%:R.
Proof.
rewrite (TV2 (p2 := static_law2) (q2 := law2 central_f)).
- by compute_rat.
- move=> c d; have -> : run mask static_kernel 2 (pair2 c d) =
      \sum_z static_kernel 0 (pair2 None None) z * static_kernel 1 z (pair2 c d).
    by apply: eq_bigr => z _; rewrite -push_mask.
  rewrite sum_pair2 !sum_option_bool !static_kernel0.
  rewrite !static_kernel1 /static_law2.
  have zero a b : first2 a (Some b) = 0 by rewrite /first2 mulr0.
  have zero' : first2 None None = 0 by compute_rat.
  have -> : first2 (Some true) None = half by compute_rat.
  have -> : first2 (Some false) None = half by compute_rat.
  by rewrite !zero zero' !mul0r !addr0 !add0r.
- move=> a b; rewrite -(data_law2 central_f a b).
  by apply: eq_bigr => y _; rewrite central_experts.
Qed.

(* C10: the filter without the likelihood, and with the last token alone. *)
Definition zeros : bits := pair2 false false.

Definition likelihood (t : nat) (k : bool) : rat := next_likelihood experts zeros t k.

Lemma prefix2_0 (a b : bool) : prefix 0 (pair2 a b) = pair2 None None.
Proof. by apply/ffunP => i; rewrite !ffunE; case: eqP. Qed.

Lemma prefix2_1 (a b : bool) : prefix 1 (pair2 a b) = pair2 (Some a) None.
Proof. by apply/ffunP => i; rewrite !ffunE; case: i => [[|[|]]]. Qed.

Lemma prefix2_2 (a b : bool) : prefix 2 (pair2 a b) = pair2 (Some a) (Some b).
Proof. by apply/ffunP => i; rewrite !ffunE; case: i => [[|[|]]]. Qed.

Definition likelihood2 (t : nat) (k : bool) : rat :=
  if t is 0%N then mass2 (expert_f k) (Some false) None / mass2 (expert_f k) None None
  else mass2 (expert_f k) (Some false) (Some false) /
       mass2 (expert_f k) (Some false) None.

Lemma likelihood0E k : likelihood 0 k = likelihood2 0 k.
Proof. by rewrite /likelihood /next_likelihood prefix2_0 prefix2_1 !revealed_mass2. Qed.

Lemma likelihood1E k : likelihood 1 k = likelihood2 1 k.
Proof. by rewrite /likelihood /next_likelihood prefix2_1 prefix2_2 !revealed_mass2. Qed.

Theorem C10_control_likelihood_dropped :
  bayes_filter equal likelihood 1 true = 3%:R / 4%:R /\
  bayes_filter equal (fun _ _ => 1) 1 true = 1 / 2%:R.
Proof.
rewrite /= /bayes_update !big_bool !likelihood0E /=.
by split; compute_rat.
Qed.

Theorem C10_control_last_token_only :
  bayes_filter equal likelihood 2 true = 9%:R / 10%:R /\
  bayes_update equal (likelihood 1) true = 3%:R / 4%:R.
Proof.
rewrite /= /bayes_update !big_bool !likelihood0E !likelihood1E /=.
by split; compute_rat.
Qed.

(* The wrong prior: likelihoods 54/89 and 35/89, priors 1/2 and 9/10. *)
Theorem C10_control_wrong_prior
    (likelihood := fun k : bool => if k then 54%:R / 89%:R else 35%:R / 89%:R : rat)
    (prior := fun k : bool => if k then 9%:R / 10%:R else 1 / 10%:R : rat) :
  bayes_update equal likelihood true = 54%:R / 89%:R /\
  bayes_update prior likelihood true = 486%:R / 521%:R.
Proof. by rewrite /bayes_update !big_bool; split; compute_rat. Qed.
