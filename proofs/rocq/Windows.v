(* C20: from parallel to autoregressive by windows.

   Position i rises from 0 to 1 over a window of width 1/(1 + (N-1)(1-w)) that
   starts at i width (1-w); the run takes T equal steps.  At w = 0 one position
   moves a step iff N divides T; for any overlap w a run is off by at most
   N(N-1)/2 (1 + (N-1)(1-w)) / T, an instance of the rate for Lipschitz
   schedules (C05).                                                          *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Masked Autoregression.
From Ddfm Require Import Stability MaskedRate.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Clip.
Variable R : numFieldType.
Add Field R_field : (numfield_theory R).

Definition clip (x : R) : R := if x <= 0 then 0 else if 1 <= x then 1 else x.

Lemma clip_le0 x : x <= 0 -> clip x = 0.
Proof. by rewrite /clip => ->. Qed.

Lemma clip_ge1 x : 1 <= x -> clip x = 1.
Proof.
move=> x1; rewrite /clip x1; case: ifP => // x0.
by have := le_trans x1 x0; rewrite ler10.
Qed.

Lemma clip01 x : x \is Num.real -> 0 <= clip x <= 1.
Proof.
move=> rx; rewrite /clip; have [_ | x0] := real_leP rx (real0 R).
  by rewrite lexx ler01.
by have [_ | x1] := real_leP (real1 R) rx; rewrite ?lexx ?ler01 // !ltW.
Qed.

(* The clip is monotone, and rises no faster than its argument. *)
Lemma clip_step x y : x \is Num.real -> y \is Num.real -> x <= y ->
  0 <= clip y - clip x <= y - x.
Proof.
move=> rx ry xy; have [x0 | x0] := real_leP rx (real0 R).
  rewrite (clip_le0 x0) subr0; have /andP [-> _] := clip01 ry.
  rewrite /clip; have [_ | y0] := real_leP ry (real0 R); first by rewrite subr_ge0.
  have [y1 | _] := real_leP (real1 R) ry; last by rewrite ler_addl oppr_ge0.
  by apply: le_trans y1 _; rewrite ler_addl oppr_ge0.
have [x1 | x1] := real_leP (real1 R) rx.
  by rewrite (clip_ge1 x1) (clip_ge1 (le_trans x1 xy)) subrr lexx subr_ge0.
have y0 := lt_le_trans x0 xy.
rewrite /clip (lt_geF x0) (lt_geF x1) (lt_geF y0).
have [y1 | y1] := real_leP (real1 R) ry; last by rewrite subr_ge0 xy lexx.
by rewrite subr_ge0 (ltW x1) ler_add2r.
Qed.

End Clip.

Section Windows.
Variables (R : numFieldType) (N : nat).
Add Field R_field' : (numfield_theory R).

Definition width (w : R) : R := (1 + (N.-1)%:R * (1 - w))^-1.

Definition windowed (w t : R) (i : 'I_N) : R :=
  clip ((t - i%:R * width w * (1 - w)) / width w).

(* T equal steps. *)
Definition windowed_run (w : R) (T n : nat) : 'I_N -> R := windowed w (n%:R / T%:R).

Section Overlap.
Variable w : R.
Hypothesis w01 : 0 <= w <= 1.

Let gap_ge0 : 0 <= 1 - w. Proof. by rewrite subr_ge0; case/andP: w01. Qed.

Lemma speed_ge1 : 1 <= (width w)^-1.
Proof. by rewrite invrK ler_addl mulr_ge0 ?ler0n. Qed.

Lemma speed_gt0 : 0 < (width w)^-1.
Proof. exact: lt_le_trans ltr01 speed_ge1. Qed.

Lemma windowedE t i : windowed w t i = clip (t / width w - i%:R * (1 - w)).
Proof.
have w0 : width w != 0 by rewrite -invr_eq0 lt0r_neq0 // speed_gt0.
by congr clip; field_in R; apply/eqP.
Qed.

Let argument_real t i : 0 <= t -> t / width w - i%:R * (1 - w) \is Num.real.
Proof.
move=> t0; apply: realB; apply: realM; try exact: ger0_real.
- exact/ger0_real/ltW/speed_gt0.
- exact/ger0_real/ler0n.
Qed.

Lemma grid_ge0 (T n : nat) : 0 <= n%:R / T%:R :> R.
Proof. by apply: divr_ge0; apply: ler0n. Qed.

Lemma windowed_step T n i :
  0 <= windowed_run w T n.+1 i - windowed_run w T n i <= (width w)^-1 / T%:R.
Proof.
rewrite /windowed_run !windowedE.
have le : n%:R / T%:R / width w <= n.+1%:R / T%:R / width w.
  apply: ler_wpmul2r; first exact: ltW speed_gt0.
  by apply: ler_wpmul2r; rewrite ?invr_ge0 ?ler0n // ler_nat.
have := @clip_step R _ _ (argument_real i (grid_ge0 T n))
          (argument_real i (grid_ge0 T n.+1)).
rewrite ler_add2r => /(_ le) /andP [-> /le_trans]; apply.
rewrite opprB addrA subrK -mulrBl -mulrBl -addn1 natrD addrAC subrr add0r mul1r.
by rewrite mulrC.
Qed.

Lemma windowed_reveals T : revealing_schedule (windowed_run w T).
Proof.
split=> [t i|t i|i].
- by rewrite /windowed_run windowedE; apply: clip01; apply: argument_real; apply: grid_ge0.
- by rewrite -subr_ge0; case/andP: (windowed_step T t i).
rewrite /windowed_run windowedE !mul0r sub0r; apply: clip_le0.
by rewrite oppr_le0 mulr_ge0 ?ler0n.
Qed.

Lemma windowed_end T i : (0 < T)%N -> windowed_run w T T i = 1.
Proof.
move=> T0; rewrite /windowed_run windowedE divff ?pnatr_eq0 -?lt0n // mul1r invrK.
apply: clip_ge1; rewrite -addrA ler_addl subr_ge0; apply: ler_wpmul2r => //.
by rewrite ler_nat -ltnS prednK //; case: (i) (ltn_ord i) => [k /= _ kN]; apply: leq_trans kN.
Qed.

End Overlap.

(* No overlap: position i rises while n N lies between i T and (i+1) T. *)
Lemma no_overlapE T n (i : 'I_N) : (0 < T)%N ->
  windowed_run 0 T n i =
  if (n * N <= i * T)%N then 0 else
  if (i.+1 * T <= n * N)%N then 1 else (n * N - i * T)%:R / T%:R.
Proof.
move=> T0; have N0 : (0 < N)%N by apply: leq_ltn_trans (ltn_ord i).
have Tr : 0 < T%:R :> R by rewrite ltr0n.
have T_neq0 : T%:R != 0 :> R by apply: lt0r_neq0.
rewrite /windowed_run windowedE ?lexx ?ler01 // subr0 mulr1.
have -> : (width 0)^-1 = N%:R :> R.
  by rewrite invrK subr0 mulr1 -[in RHS](prednK N0) mulrS.
have -> : n%:R / T%:R * N%:R - i%:R = ((n * N)%:R - (i * T)%:R) / T%:R :> R.
  by rewrite !natrM; field_in R; apply/eqP.
rewrite /clip ler_pdivr_mulr // mul0r subr_le0 ler_nat.
rewrite ler_pdivl_mulr // mul1r ler_subr_addr -natrD -mulSn ler_nat.
by case: leqP => // /ltnW le; rewrite natrB.
Qed.

Theorem C20_no_overlap_one_position_iff T : (0 < T)%N -> (0 < N)%N ->
  one_position_a_step (windowed_run 0 T) <-> (N %| T)%N.
Proof.
move=> T0 N0; split=> [one | /dvdnP [k Tk] n i j]; last first.
  have k0 : (0 < k)%N by move: T0; rewrite Tk muln_gt0 => /andP [].
  have at_most m l : (m * N <= l * T)%N = (m <= l * k)%N.
    by rewrite Tk mulnA leq_pmul2r.
  have at_least l m : (l * T <= m * N)%N = (l * k <= m)%N.
    by rewrite Tk mulnA leq_pmul2r.
  have window (l : 'I_N) : windowed_run 0 T n.+1 l != windowed_run 0 T n l ->
      (n %/ k)%N = l.
    rewrite !no_overlapE // !at_most !at_least.
    case: (leqP n.+1 (l * k)) => [nl | nl].
      by rewrite (leq_trans (leqnSn n) nl) eqxx.
    case: (leqP (l.+1 * k) n) => [ln | ln].
      have lk : (l * k < n)%N.
        by apply: leq_trans ln; rewrite mulSn -[X in (X < _)%N]add0n ltn_add2r.
      by rewrite (leqNgt n) lk (leq_trans ln (leqnSn n)) eqxx.
    move=> _; apply/eqP; rewrite eqn_leq -ltnS ltn_divLR // ln.
    by rewrite leq_divRL.
  by move=> /window ni /window nj; apply: val_inj; rewrite /= -ni.
apply: contraT => ndvd.
have N1 : (1 < N)%N by move: ndvd; case: (N) N0 => [|[|]] //; rewrite dvd1n.
pose n := (T %/ N)%N.
have below : (n * N < T)%N.
  by rewrite ltn_neqAle leq_trunc_div andbT; apply: contra ndvd => /eqP <-; apply: dvdn_mull.
have above : (T < n.+1 * N)%N by rewrite ltn_ceil.
have Tr : 0 < T%:R :> R by rewrite ltr0n.
have /eqP : Ordinal N0 = Ordinal N1; last by [].
apply: (one n).
  rewrite !no_overlapE // !mul0n mul1n (ltnW above) leqNgt muln_gt0 N0 /=.
  rewrite [X in _ != X](_ : _ = (n * N)%:R / T%:R); last first.
    case: leqP => [|_]; first by rewrite leqn0 => /eqP ->; rewrite mul0r.
    by rewrite leqNgt below /= subn0.
  apply/eqP => /(congr1 ( *%R^~ T%:R)); rewrite mul1r divfK ?lt0r_neq0 // => /eqP.
  by rewrite eqr_nat eq_sym (ltn_eqF below).
rewrite !no_overlapE // !mul1n (ltnW below) leqNgt above /=.
case: leqP => // le; first by rewrite oner_neq0.
apply: mulf_neq0; last by rewrite invr_eq0 lt0r_neq0.
by rewrite pnatr_eq0 -lt0n subn_gt0.
Qed.

End Windows.

(* C05: steps of size at most c, such as L h for an L-Lipschitz schedule. *)
Section Rate.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Variable q : data -> R.
Hypothesis q_pmf : is_pmf q.

Lemma sum_pairs : \sum_(i < N) \sum_(j < N | (i < j)%N) 1 = 'C(N, 2)%:R :> R.
Proof.
rewrite (exchange_big_dep xpredT) //= -triangular_sum big_mkord natr_sum.
apply: eq_bigr => j _; rewrite (big_ord_narrow (ltnW (ltn_ord j))).
by rewrite sumr_const card_ord.
Qed.

Theorem C05_lipschitz_run_bound (kappa : nat -> 'I_N -> R) n (c : R) :
  revealing_schedule kappa -> 0 <= c ->
  (forall t i, (t < n)%N -> kappa t.+1 i - kappa t i <= c) ->
  TV (masked_chain q kappa n) (marginal_path q (masked_path (kappa n))) <=
  'C(N, 2)%:R * c.
Proof.
move=> sch c0 small; have [k01 mono k0] := sch.
apply: le_trans (C05_masked_run_bound n q_pmf sch) _.
apply: (@le_trans _ _ (\sum_(i < N) \sum_(j < N | (i < j)%N)
    c * \sum_(t < n) (kappa t.+1 j - kappa t j))).
  rewrite exchange_big; apply: ler_sum => i _ /=.
  rewrite exchange_big; apply: ler_sum => j _ /=.
  rewrite mulr_sumr; apply: ler_sum => t _.
  by apply: ler_wpmul2r; [rewrite subr_ge0 mono | apply: small].
have telescope j : \sum_(t < n) (kappa t.+1 j - kappa t j) = kappa n j.
  rewrite -(big_mkord xpredT (fun t => kappa t.+1 j - kappa t j)).
  by rewrite telescope_sumr // k0 subr0.
rewrite -sum_pairs mulr_suml; apply: ler_sum => i _; rewrite mulr_suml.
apply: ler_sum => j _; rewrite telescope mul1r.
by rewrite -[X in _ <= X]mulr1; apply: ler_wpmul2l => //; case/andP: (k01 n j).
Qed.

(* Windows: at most N(N-1)/2 (1 + (N-1)(1-w)) / T. *)
Theorem C20_windowed_run_bound (w : R) T :
  0 <= w <= 1 -> (0 < T)%N ->
  TV (masked_chain q (@windowed_run R N w T) T) (data_law q) <=
  \sum_(t < T) \sum_(i < N) \sum_(j < N | (i < j)%N)
    (windowed_run w T t.+1 i - windowed_run w T t i) *
    (windowed_run w T t.+1 j - windowed_run w T t j).
Proof.
move=> w01 T0; have at_end x := masked_end q x (fun i => windowed_end w01 i T0).
rewrite -(TV_eq (frefl _) at_end).
exact: (C05_masked_run_bound T q_pmf (windowed_reveals N w01 T)).
Qed.

Theorem C20_windowed_run_rate (w : R) T :
  0 <= w <= 1 -> (0 < T)%N ->
  TV (masked_chain q (@windowed_run R N w T) T) (data_law q) <=
  'C(N, 2)%:R * ((1 + (N.-1)%:R * (1 - w)) / T%:R).
Proof.
move=> w01 T0; have at_end x := masked_end q x (fun i => windowed_end w01 i T0).
rewrite -(TV_eq (frefl _) at_end).
apply: C05_lipschitz_run_bound => [||t i _]; first exact: windowed_reveals.
  apply: divr_ge0; rewrite ?ler0n // -[X in 0 <= X]invrK.
  exact: ltW (speed_gt0 N w01).
by have /andP [_] := windowed_step w01 T t i; rewrite invrK.
Qed.

End Rate.
