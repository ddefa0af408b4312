(* Controls on the masked source, for any q.

   C01: a schedule that ends at 0 ends at the masks, TV 1 from q.
   C05: a steep schedule, two positions: no better than its first step, so that
   kappa = t^(1/4) misses by h^(1/2) times a constant at least.              *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability TopK TwoPositions.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Masked.
Variables (R : numFieldType) (V : finType).
Add Field R_field : (numfield_theory R).

Theorem C01_control_wrong_end N (q : {ffun 'I_N.+1 -> V} -> R) :
  is_pmf q -> TV (marginal_path q (masked_path (fun=> 0))) (data_law q) = 1.
Proof.
move=> q_pmf; have q1 := proj2 q_pmf; have unit c : 0 <= c <= 1 -> unit_interval (fun _ : 'I_N.+1 => c) by move=> c01 i.
have path_pmf c : 0 <= c <= 1 -> is_pmf (marginal_path q (masked_path (fun=> c))).
  move=> c01; apply: C01_marginal_path_is_pmf => // y; apply: C01_convex_path_is_pmf.
    exact/masked_schedule_is_schedule/unit.
  exact: masked_base_is_base.
have end_pmf : is_pmf (data_law q).
  have one01 : 0 <= (1 : R) <= 1 by rewrite ler01 lexx.
  have [p0 p1] := path_pmf _ one01; split=> [x|].
    by have := p0 x; rewrite masked_end.
  by rewrite -[RHS]p1; apply: eq_bigr => x _; rewrite masked_end.
apply/(TV_eq1 _ end_pmf) => [|x]; first by apply: path_pmf; rewrite lexx ler01.
rewrite masked_start // /mask_law; case: eqP => [-> | _]; last by rewrite mul0r.
rewrite mul1r /data_law big1 // => y _.
have -> : (all_mask N.+1 V == reveal_all y) = false.
  by apply/eqP => /ffunP /(_ ord0); rewrite !ffunE.
by rewrite mulr0.
Qed.

Theorem C05_control_steep_start (q : {ffun 'I_2 -> V} -> R) (kappa : nat -> R) T :
  is_pmf q -> revealing_schedule (fun t (_ : 'I_2) => kappa t) -> kappa T.+1 = 1 ->
  kappa 1%N ^+ 2 * TV q (independent q) <=
  TV (masked_chain q (fun t _ => kappa t) T.+1) (data_law q).
Proof.
move=> q_pmf sch k1; have [_ mono k0] := sch.
rewrite (C20_two_positions_TV q_pmf sch) //; apply: ler_wpmul2r; first exact: TV_ge0.
rewrite big_ord_recl /= (k0 ord0) subr0 -expr2 ler_addl; apply: sumr_ge0 => t _.
by apply: mulr_ge0; rewrite subr_ge0; apply: (mono _ ord0).
Qed.

(* kappa_t = t^(1/4) in steps of h = 1/(T+1): no O(h), for s = h^(1/2). *)
Theorem C05_control_fourth_root (q : {ffun 'I_2 -> V} -> R) (kappa : nat -> R) T
    (h := 1 / T.+1%:R) (s := kappa 1%N ^+ 2) :
  is_pmf q -> revealing_schedule (fun t (_ : 'I_2) => kappa t) ->
  (forall t, (t <= T.+1)%N -> kappa t ^+ 4 = t%:R * h) ->
  s ^+ 2 = h /\ s * TV q (independent q) <=
  TV (masked_chain q (fun t _ => kappa t) T.+1) (data_law q).
Proof.
move=> q_pmf sch root; split; first by rewrite /s -exprM root ?mul1r.
apply: C05_control_steep_start => //; have [k01 _ _] := sch.
have /andP [ge0 _] := k01 T.+1 ord0; apply/eqP; rewrite -(@pexpr_eq1 _ _ 4) // root //.
by rewrite /h mul1r divff ?pnatr_eq0.
Qed.

End Masked.
