(* Controls on windowed schedules, 00/11.

   C20: no overlap in T = 1, 3, 5 steps, no multiples of N = 2: TV 1/2, 1/18,
   1/50; in T = 2, 4 steps: exact.                                          *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability Windows Parallel TwoPositions TwoBits.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_2 -> bool}.

(* TV of a windowed run of T steps from the target. *)
Definition windowed_defect (q : bits -> rat) (w : rat) (T : nat) : rat :=
  TV (masked_chain q (windowed_run w T) T) (data_law q).

Lemma independent2 f a b : independent (joint f) (pair2 a b) =
  (f a true + f a false) * (f true b + f false b).
Proof.
rewrite /independent prod_ord2 pair2_0 pair2_1 /token_law !sum_pair2 !big_bool.
rewrite /joint !pair2_0 !pair2_1.
by case: a; case: b; rewrite /= ?(mulr1, mulr0, addr0, add0r).
Qed.

Lemma twins_dependence : TV twins (independent twins) = 1 / 2%:R.
Proof.
by rewrite /TV sum_pair2 !big_bool !independent2 /twins /joint !pair2_0 !pair2_1; compute_rat.
Qed.

Theorem C20_control_unaligned :
  [/\ windowed_defect twins 0 1 = 1 / 2%:R, windowed_defect twins 0 3 = 1 / 18%:R &
      windowed_defect twins 0 5 = 1 / 50%:R].
Proof.
have odd m := C20_two_positions_odd twins_pmf m.
split; rewrite /windowed_defect.
- by rewrite (odd 0%N) twins_dependence; compute_rat.
- by rewrite (odd 1%N) twins_dependence; compute_rat.
by rewrite (odd 2%N) twins_dependence; compute_rat.
Qed.

Theorem C20_control_restored : windowed_defect twins 0 2 = 0 /\ windowed_defect twins 0 4 = 0.
Proof.
have exact_ T : (0 < T)%N -> (2 %| T)%N -> windowed_defect twins 0 T = 0.
  move=> T0 /(C20_no_overlap_exact_iff_divides _ (isT : true != false)) eq0.
  rewrite /windowed_defect /TV big1 ?mul0r // => x _.
  by rewrite eq0 ?subrr ?normr0 //; apply: twins_pmf.
by split; apply: exact_.
Qed.
