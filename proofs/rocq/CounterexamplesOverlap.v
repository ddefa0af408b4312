(* Control of C20: TV is not monotone in the overlap of the windows.

   Half 000, half 110, N = T = 3: 1/6 at w = 1, 3/16 at w = 3/4, 5/27 at w = 2/3. *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Masked Autoregression.
From Ddfm Require Import Stability Windows TwoSequences.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Local Notation bits := {ffun 'I_3 -> bool}.

Definition zeros3 : bits := [ffun=> false].
Definition first_two : bits := [ffun l : 'I_3 => (l < 2)%N].
Definition pair_of_three (y : bits) : rat := ((y == zeros3)%:R + (y == first_two)%:R) / 2%:R.

Definition overlap_defect (w : rat) : rat :=
  TV (masked_chain pair_of_three (windowed_run w 3) 3) (data_law pair_of_three).

Theorem C20_control_not_monotone :
  [/\ overlap_defect 1 = 1 / 6%:R, overlap_defect (3%:R / 4%:R) = 3%:R / 16%:R &
      overlap_defect (2%:R / 3%:R) = 5%:R / 27%:R].
Proof.
have formula w : 0 <= w <= 1 -> overlap_defect w =
    together ord0 (lift ord0 ord0) (@windowed_run rat_numFieldType 3 w 3) 3 / 2%:R.
  move=> w01; apply: (@C20_two_sequences_TV _ _ _ _ _ _ zeros3 first_two) => //.
  - by rewrite !ffunE.
  - by rewrite !ffunE.
  - by case=> [[|[|[|l]]] lt]; rewrite !ffunE.
  - exact: windowed_reveals.
  by move=> l; apply: windowed_end.
by split; (rewrite formula; [rewrite /together !big_ord_recl big_ord0; compute_rat | vm_compute]).
Qed.
