(* C05, C06, C20: a masked run is exact for every q iff it moves one position
   a step.

   Where positions i and j move in one step, q on two sequences, a...a and the
   same with b at i and j, is missed: the run reveals a at i and b at j with
   positive probability, which q never shows.                               *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Masked Autoregression.
From Ddfm Require Import Stability MaskedRate Windows.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Parallel.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field : (numfield_theory R).

Section Support.
Variables (q : data -> R) (kappa : nat -> 'I_N -> R).
Hypotheses (q_pmf : is_pmf q) (schedule : revealing_schedule kappa).

Let q0 y : 0 <= q y. Proof. by case: q_pmf. Qed.
Let k01 t : unit_interval (kappa t). Proof. by case: schedule => k _ _; apply: k. Qed.
Let mono t i : kappa t i <= kappa t.+1 i. Proof. by case: schedule. Qed.
Let pc0 t (y : data) z : 0 <= masked_path (kappa t) y z.
Proof. exact: masked_path_ge0. Qed.

Definition masked_kernel t := step_kernel (masked_step q (kappa t) (kappa t.+1)).

Lemma masked_kernel_pmf t (z : state) : is_pmf (masked_kernel t z).
Proof.
apply: C04_step_kernel_is_pmf; apply: C03_step_conditions => // y.
by apply: C04_masked_step_conditions.
Qed.

Lemma masked_kernel_ge0 t (z x : state) : 0 <= masked_kernel t z x.
Proof. by case: (masked_kernel_pmf t z). Qed.

Lemma masked_chain_ge0 n (x : state) : 0 <= masked_chain q kappa n x.
Proof.
apply: run_ge0 => [z|t z y]; first exact: ler0n.
exact: masked_kernel_ge0.
Qed.

Lemma masked_chain_total n : \sum_x masked_chain q kappa n x = 1.
Proof.
elim: n => [|n IH]; first exact: sum_delta1.
rewrite [LHS]exchange_big -[RHS]IH; apply: eq_bigr => z _ /=; rewrite -mulr_sumr.
by case: (masked_kernel_pmf n z) => _ ->; rewrite mulr1.
Qed.

(* Where some y of positive probability moves each position to its token of x,
   y possibly another at each position, so does the sampler. *)
Lemma masked_kernel_gt0 t (z x : state) :
  (forall i, exists2 y, 0 < q y * masked_path (kappa t) y z &
     (x i == z i)%:R + masked_velocity (kappa t) (kappa t.+1) y i (x i) z != 0) ->
  0 < masked_kernel t z x.
Proof.
move=> each; apply: prodr_gt0 => i _; have [y pos move_] := each i.
have p_neq0 : marginal_path q (masked_path (kappa t)) z != 0.
  by apply: (@psum_neq0 _ _ _ y) => [y'|]; [exact: mulr_ge0 | exact: lt0r_neq0 pos].
have token_ge0 y' : 0 <= (x i == z i)%:R + masked_velocity (kappa t) (kappa t.+1) y' i (x i) z.
  have [[off _] diag] := C04_masked_step_conditions y' (k01 t) (k01 t.+1) (mono t).
  have [-> | /off] := eqVneq (x i) (z i); last by rewrite add0r.
  by rewrite -ler_subl_addl sub0r.
rewrite [X in 0 < X](_ : _ = \sum_y' posterior q (masked_path (kappa t)) y' z *
    ((x i == z i)%:R + masked_velocity (kappa t) (kappa t.+1) y' i (x i) z)); last first.
  under eq_bigr do rewrite mulrDr.
  by rewrite big_split -mulr_suml /= sum_posterior // mul1r.
have terms y' := mulr_ge0 (posterior_ge0 q0 (pc0 t) y' z) (token_ge0 y').
rewrite lt0r; apply/andP; split; last by apply: sumr_ge0 => y' _; apply: terms.
apply: (@psum_neq0 _ _ _ y terms).
apply: mulf_neq0 => //; apply: mulf_neq0; first exact: lt0r_neq0 pos.
by rewrite invr_eq0.
Qed.

(* The run reaches whatever the path charges. *)
Lemma masked_chain_gt0 n (x : state) :
  marginal_path q (masked_path (kappa n)) x != 0 -> 0 < masked_chain q kappa n x.
Proof.
have [_ _ k0] := schedule.
elim: n x => [|n IH] x; first by rewrite (masked_start x (proj2 q_pmf) k0) lt0r ler0n andbT.
move=> px; have [y py] : exists y, q y * masked_path (kappa n.+1) y x != 0.
  apply/existsP; apply: contraNT px; rewrite negb_exists => /forallP none.
  by apply/eqP/big1 => y _; apply/eqP; have := none y; rewrite negbK.
have stay i : kappa n i = 1 -> kappa n.+1 i = 1.
  move=> k1; have /andP [_ le1] := k01 n.+1 i; apply/eqP.
  by rewrite eq_le le1 -[X in X <= _]k1 mono.
move: py; rewrite mulf_eq0 negb_or => /andP [qy].
rewrite -(C04_masked_step_samples y (k01 n) stay x) => sx.
have [z] : exists z, masked_path (kappa n) y z *
    step_kernel (masked_velocity (kappa n) (kappa n.+1) y) z x != 0.
  apply/existsP; apply: contraNT sx; rewrite negb_exists => /forallP none.
  by apply/eqP/big1 => z _; apply/eqP; have := none z; rewrite negbK.
rewrite mulf_eq0 negb_or => /andP [pz kz].
have qz : 0 < q y * masked_path (kappa n) y z by rewrite lt0r mulf_neq0 ?mulr_ge0.
have chain_z : 0 < masked_chain q kappa n z.
  apply: IH; apply: (@psum_neq0 _ _ _ y) => [y'|]; [exact: mulr_ge0 | exact: lt0r_neq0 qz].
rewrite lt0r masked_chain_ge0 andbT; apply: (@psum_neq0 _ _ _ z) => [z'|].
  by rewrite mulr_ge0 ?masked_chain_ge0 ?masked_kernel_ge0.
apply: mulf_neq0; first exact: lt0r_neq0 chain_z.
apply/lt0r_neq0/masked_kernel_gt0 => i; exists y => //.
by apply: contraNneq kz => zero; rewrite /step_kernel (bigD1 i) //= zero mul0r.
Qed.

(* What q never shows stays where it is. *)
Lemma masked_chain_stays n m (x : state) : revealed_mass q x = 0 -> 0 < masked_chain q kappa n x ->
  0 < masked_chain q kappa (m + n) x.
Proof.
move=> S0 pos; elim: m => [//|m IH]; rewrite addSn lt0r masked_chain_ge0 andbT.
apply: (@psum_neq0 _ _ _ x) => [z|].
  by rewrite mulr_ge0 ?masked_chain_ge0 ?masked_kernel_ge0.
apply: mulf_neq0; first exact: lt0r_neq0 IH.
rewrite /step_kernel big1 ?oner_neq0 // => i _; rewrite eqxx /masked_step.
rewrite /marginal_velocity big1 ?addr0 // => y _.
by rewrite /posterior C22_path_factorization S0 mul0r invr0 mulr0 mul0r.
Qed.

End Support.

(* Half on a...a, half on the same with b at i and j. *)
Definition constant (a : V) : data := [ffun=> a].
Definition changed (a b : V) (i j : 'I_N) : data := upd (upd (constant a) i b) j b.
Definition two_sequences (a b : V) i j (y : data) : R :=
  ((y == constant a)%:R + (y == changed a b i j)%:R) / 2%:R.

Lemma two_sequences_pmf a b i j : is_pmf (two_sequences a b i j).
Proof.
split=> [y|]; first by apply: divr_ge0; [apply: addr_ge0 |]; apply: ler0n.
by rewrite -mulr_suml big_split /= !sum_delta1 -[1 + 1]/(2%:R) divff ?pnatr_eq0.
Qed.

Theorem C20_parallel_run_misses (a b : V) (kappa : nat -> 'I_N -> R) s T i j :
  a != b -> revealing_schedule kappa -> (s < T)%N -> i != j ->
  kappa s.+1 i != kappa s i -> kappa s.+1 j != kappa s j ->
  exists x, data_law (two_sequences a b i j) x = 0 /\
            0 < masked_chain (two_sequences a b i j) kappa T x.
Proof.
move=> ab sch sT ij mi mj; have [k01 mono k0] := sch.
set q := two_sequences a b i j; have q_pmf : is_pmf q by apply: two_sequences_pmf.
pose z : state := [ffun l => if (l == i) || (l == j) || (kappa s l == 0) then None else Some a].
pose x : state := [ffun l => if l == j then Some b else
                             if (l == i) || (kappa s.+1 l != 0) then Some a else None].
have below l : kappa s.+1 l != kappa s l -> kappa s l != 1.
  move=> m; apply: contraNneq m => k1; rewrite eq_le mono andbT k1.
  by case/andP: (k01 s.+1 l).
have weight_z : 0 < schedule_weight (kappa s) z.
  apply: prodr_gt0 => l _; rewrite ffunE; have /andP [ge0 le1] := k01 s l.
  have [lij | _] := boolP ((l == i) || (l == j)) => /=.
    have lt1 : kappa s l != 1 by case/orP: lij => /eqP ->; apply: below.
    by rewrite subr_gt0 lt_neqAle lt1.
  by have [-> | k_neq0] := eqVneq (kappa s l) 0; rewrite /= ?subr0 ?ltr01 // lt0r k_neq0.
have charged y : agrees z y -> 0 < q y -> 0 < q y * masked_path (kappa s) y z.
  by move=> ag qy; rewrite masked_pathE ag mul1r mulr_gt0.
have half_gt0 y : (y == constant a) || (y == changed a b i j) -> 0 < q y.
  move=> yy; rewrite /q /two_sequences divr_gt0 ?ltr0n // -natrD ltr0n.
  by case/orP: yy => ->; rewrite ?addn1.
have S0 : revealed_mass q x = 0.
  apply: big1 => y _; rewrite /q /two_sequences.
  have [/forallP ag | _] := boolP (agrees x y); last by rewrite mulr0.
  have := ag j; have := ag i; rewrite !ffunE !eqxx (negbTE ij) /= => /eqP [yi] /eqP [yj].
  rewrite (_ : (y == _) = false) 1?(_ : (y == _) = false) ?addr0 ?mul0r //.
    apply/eqP => e; move: yi; rewrite e /changed upd_off // upd_at => /eqP.
    by rewrite (negbTE ab).
  by apply/eqP => e; move: yj; rewrite e ffunE => /eqP; rewrite eq_sym (negbTE ab).
exists x; split.
  apply: big1 => y _; have [xy | _] := eqVneq x (reveal_all y); last by rewrite mulr0.
  rewrite mulr1; have := S0; rewrite /revealed_mass => /psum_eq0 => /(_ _ y).
  have -> : agrees x y by apply/forallP => l; rewrite xy ffunE eqxx orbT.
  by rewrite mulr1; apply=> y'; rewrite mulr_ge0 ?ler0n //; case: q_pmf.
have pz : marginal_path q (masked_path (kappa s)) z != 0.
  apply: (@psum_neq0 _ _ _ (constant a)) => [y|].
    by rewrite mulr_ge0 ?masked_path_ge0 //; case: q_pmf.
  apply/lt0r_neq0/charged; last by apply: half_gt0; rewrite eqxx.
  by apply/forallP => l; rewrite !ffunE; case: ifP; rewrite ?eqxx ?orbT.
rewrite -(subnK sT); apply: masked_chain_stays => //.
rewrite lt0r masked_chain_ge0 // andbT; apply: (@psum_neq0 _ _ _ z) => [z'|].
  by rewrite mulr_ge0 ?masked_chain_ge0 ?masked_kernel_ge0.
apply: mulf_neq0; first exact/lt0r_neq0/masked_chain_gt0.
apply/lt0r_neq0/masked_kernel_gt0 => // l.
have shows (y : data) : z l = None -> x l = Some (y l) -> kappa s.+1 l != kappa s l ->
    (x l == z l)%:R + masked_velocity (kappa s) (kappa s.+1) y l (x l) z != 0.
  move=> zl xl m; rewrite /masked_velocity zl xl eqxx /= add0r subr0 mulr1.
  by apply: mulf_neq0; rewrite ?invr_eq0 subr_eq0 // eq_sym below.
have [lj | lj] := eqVneq l j.
  exists (changed a b i j); last first.
    by apply: shows; rewrite ?ffunE lj ?eqxx ?orbT.
  apply: charged; last by apply: half_gt0; rewrite eqxx orbT.
  apply/forallP => k; rewrite !ffunE; case: (eqVneq k i); case: (eqVneq k j) => //= _ _.
  by case: ifP; rewrite ?eqxx ?orbT.
exists (constant a).
  apply: charged; last by apply: half_gt0; rewrite eqxx.
  by apply/forallP => k; rewrite !ffunE; case: ifP; rewrite ?eqxx ?orbT.
have [li | li] := eqVneq l i.
  by apply: shows; rewrite ?ffunE li ?eqxx // (negbTE ij).
have [k'0 | k'_neq0] := eqVneq (kappa s.+1 l) 0.
  have kl : kappa s l = 0.
    by apply/eqP; rewrite eq_le -[X in _ <= X]k'0 mono; case/andP: (k01 s l).
  rewrite /masked_velocity kl k'0 subrr mul0r mul0r addr0.
  by rewrite !ffunE (negbTE lj) (negbTE li) k'0 kl !eqxx oner_neq0.
have [kl | kl] := eqVneq (kappa s l) 0.
  apply: shows; last by rewrite kl.
    by rewrite ffunE kl eqxx !orbT.
  by rewrite !ffunE (negbTE lj) (negbTE li) k'_neq0.
rewrite /masked_velocity !ffunE (negbTE lj) (negbTE li) (negbTE kl) k'_neq0 /= eqxx.
by rewrite subrr mulr0 addr0 oner_neq0.
Qed.

Theorem C20_exact_for_all_iff_one_position (a b : V) (kappa : nat -> 'I_N -> R) T :
  a != b -> revealing_schedule kappa -> (forall i, kappa T i = 1) ->
  (forall q : data -> R, is_pmf q -> masked_chain q kappa T =1 data_law q) <->
  one_position_a_step kappa.
Proof.
move=> ab sch k1; split=> [exact_ s i j mi mj | one q q_pmf]; last first.
  exact: C06_one_position_a_step_exact.
have [k01 mono _] := sch.
have stays n l : kappa (n + T)%N l = 1.
  elim: n => [//|n IH]; rewrite addSn; apply/eqP; rewrite eq_le.
  by have /andP [_ ->] := k01 (n + T).+1 l; rewrite -[X in X <= _]IH mono.
have sT : (s < T)%N.
  rewrite ltnNge; apply: contra mi => Ts; rewrite -(subnK Ts) -addSn !stays.
  exact: eqxx.
apply/eqP; apply: contraT => ij.
have [x [q0 pos]] := C20_parallel_run_misses ab sch sT ij mi mj.
by move: pos; rewrite exact_ ?q0 ?ltxx //; apply: two_sequences_pmf.
Qed.

(* No overlap: exact for every q iff N divides T. *)
Theorem C20_no_overlap_exact_iff_divides (a b : V) T :
  a != b -> (0 < N)%N -> (0 < T)%N ->
  (forall q : data -> R, is_pmf q -> masked_chain q (@windowed_run R N 0 T) T =1 data_law q) <->
  (N %| T)%N.
Proof.
move=> ab N0 T0.
have unit : 0 <= (0 : R) <= 1 by rewrite lexx ler01.
apply: iff_trans (@C20_no_overlap_one_position_iff R N T T0 N0).
apply: (C20_exact_for_all_iff_one_position ab); first exact: windowed_reveals.
by move=> i; apply: windowed_end.
Qed.

End Parallel.
