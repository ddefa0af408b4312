(* C20: the law of a masked run of two positions, for any schedule and any q:

     marginal path + (sum_t Dk^1 Dk^2) (q^1 x q^2 - q),

   so TV = (sum_t Dk^1 Dk^2) TV(q, q^1 x q^2): the bound of C05, with the
   dependence of the two tokens for constant.  Windows without overlap in an
   odd number T of steps: sum_t Dk^1 Dk^2 = 1/T^2.                           *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability Lazy MaskedRate Windows.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section DataLaws.
Variables (R : numFieldType) (N : nat) (V : finType).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.

(* The law of token i, and the product of these laws. *)
Definition token_law (q : data -> R) (i : 'I_N) (a : V) : R :=
  \sum_(y : data) q y * (y i == a)%:R.
Definition independent (q : data -> R) (y : data) : R :=
  \prod_i token_law q i (y i).

Lemma data_law_independent q x :
  data_law (independent q) x = \prod_i \sum_(y : data) q y * (x i == Some (y i))%:R.
Proof.
transitivity (\sum_(y : data) \prod_i (token_law q i (y i) * (x i == Some (y i))%:R)).
  apply: eq_bigr => y _; rewrite big_split /=; congr (_ * _).
  by rewrite eq_state; apply: eq_bigr => i _; rewrite ffunE.
rewrite (sum_prod (fun i a => token_law q i a * (x i == Some a)%:R)).
apply: eq_bigr => i _; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big; apply: eq_bigr => y _ /=; under eq_bigr do rewrite -mulrA.
rewrite -mulr_sumr; congr (_ * _).
rewrite (eq_bigr (fun a => (a == y i)%:R * (x i == Some a)%:R)) ?sum_delta //.
by move=> a _; rewrite eq_sym.
Qed.

Lemma TV_data_law (p q : data -> R) : TV (data_law p) (data_law q) = TV p q.
Proof.
have image x : data_law p x - data_law q x = \sum_y (p y - q y) * (x == reveal_all y)%:R.
  by rewrite -sumrB; apply: eq_bigr => y _; rewrite mulrBl.
congr (_ / _); transitivity (\sum_x \sum_y `|p y - q y| * (x == @reveal_all N V y)%:R).
  apply: eq_bigr => x _; rewrite image.
  have [/existsP [y /eqP ->] | none] := boolP [exists y, x == @reveal_all N V y].
    under eq_bigr do rewrite (inj_eq (@reveal_all_inj N V)).
    under [RHS]eq_bigr do rewrite (inj_eq (@reveal_all_inj N V)).
    by rewrite !sum_deltar.
  have off y : (x == reveal_all y) = false.
    by apply: negbTE; move: none; rewrite negb_exists => /forallP; apply.
  by rewrite !big1 ?normr0 // => y _; rewrite off mulr0.
rewrite exchange_big; apply: eq_bigr => y _ /=.
by rewrite -mulr_sumr sum_delta1 mulr1.
Qed.

(* Whole sequences stay. *)
Lemma revealed_stays (q : data -> R) kappa kappa' y x :
  step_kernel (masked_step q kappa kappa') (reveal_all y) x = (x == reveal_all y)%:R.
Proof.
rewrite eq_state; apply: eq_bigr => i _; rewrite /masked_step /marginal_velocity.
rewrite big1 ?addr0 // => y' _; rewrite /posterior masked_pathE.
have [/forallP ag | _] := boolP (agrees (reveal_all y) y'); last first.
  by rewrite mul0r mulr0 !mul0r.
rewrite /masked_velocity ffunE; have := ag i; rewrite ffunE /= => /eqP [->].
by rewrite subrr !mulr0.
Qed.

Lemma push_data_law (q f : data -> R) kappa kappa' x :
  push (data_law f) (step_kernel (masked_step q kappa kappa')) x = data_law f x.
Proof.
rewrite /push; under eq_bigr do rewrite mulr_suml.
rewrite exchange_big; apply: eq_bigr => y _ /=.
under eq_bigr do rewrite -mulrA.
by rewrite -mulr_sumr sum_delta revealed_stays.
Qed.

End DataLaws.

Section TwoPositions.
Variables (R : numFieldType) (V : finType).
Local Notation data := {ffun 'I_2 -> V}.
Local Notation state := {ffun 'I_2 -> option V}.
Add Field R_field : (numfield_theory R).
Variable q : data -> R.
Hypothesis q_pmf : is_pmf q.

Let q0 y : 0 <= q y. Proof. by case: q_pmf. Qed.

Section Step.
Variables kappa kappa' : 'I_2 -> R.
Hypotheses (k01 : unit_interval kappa) (k01' : unit_interval kappa').
Hypothesis mono : forall i, kappa i <= kappa' i.

Let path := marginal_path q (masked_path kappa).

Lemma two_position_step x :
  push path (step_kernel (masked_step q kappa kappa')) x =
  marginal_path q (masked_path kappa') x +
  (kappa' ord0 - kappa ord0) * (kappa' ord_max - kappa ord_max) *
  (data_law (independent q) x - data_law q x).
Proof.
pose e (z : state) := reveal_at kappa kappa' z; pose post y z := posterior q (masked_path kappa) y z.
pose nu (y : data) i : R := data_token R y i (x i).
have gap z : path z * (step_kernel (masked_step q kappa kappa') z x -
      \sum_y post y z * lazy_kernel z (e z) (data_token R y) x) =
    path z * (e z ord0 * e z ord_max *
      ((\sum_y post y z * nu y ord0) * (\sum_y post y z * nu y ord_max) -
       \sum_y post y z * (nu y ord0 * nu y ord_max))).
  have [-> | pz] := eqVneq (path z) 0; first by rewrite !mul0r.
  congr (_ * _); rewrite (marginal_lazy kappa' x pz).
  have two f : lazy_kernel z (e z) f x =
      (stay_token z (e z) ord0 (x ord0) + e z ord0 * f ord0 (x ord0)) *
      (stay_token z (e z) ord_max (x ord_max) + e z ord_max * f ord_max (x ord_max)).
    exact: prod_ord2.
  rewrite two; set s0 := stay_token _ _ ord0 _; set s1 := stay_token _ _ ord_max _.
  have post1 : \sum_y post y z = 1 by apply: sum_posterior.
  have -> : \sum_y post y z * lazy_kernel z (e z) (data_token R y) x =
      \sum_y (s0 * s1 * post y z +
      s1 * e z ord0 * (post y z * nu y ord0) +
      s0 * e z ord_max * (post y z * nu y ord_max) +
      e z ord0 * e z ord_max * (post y z * (nu y ord0 * nu y ord_max))).
    by apply: eq_bigr => y _; rewrite two -/s0 -/s1 -/(nu y ord0) -/(nu y ord_max); ring_in R.
  rewrite !big_split /= -!mulr_sumr post1.
  set A := \sum_y post y z * nu y ord0; set B := \sum_y post y z * nu y ord_max.
  set C := \sum_y post y z * _; change ((s0 + e z ord0 * A) * (s1 + e z ord_max * B) -
    (s0 * s1 * 1 + s1 * e z ord0 * A + s0 * e z ord_max * B + e z ord0 * e z ord_max * C) =
    e z ord0 * e z ord_max * (A * B - C)).
  by ring_in R.
rewrite (exact_step q_pmf k01 k01' mono) -[LHS](subrK (\sum_z path z *
  \sum_y post y z * lazy_kernel z (e z) (data_token R y) x)) addrC; congr (_ + _).
rewrite -sumrB (bigD1 (all_mask 2 V)) //= [X in _ + X]big1 ?addr0 => [|z z_neq]; last first.
  rewrite -mulrBr gap /e /reveal_at; have [z0 | z0] := eqVneq (z ord0) None; last first.
    by rewrite !mul0r mulr0.
  have [z1 | z1] := eqVneq (z ord_max) None; last by rewrite !mul0r !mulr0 mul0r mulr0.
  case/negP: z_neq; apply/eqP/ffunP => i; rewrite ffunE (ord2P i).
  by case: eqP.
set m := all_mask 2 V; have S1 : revealed_mass q m = 1.
  rewrite -(proj2 q_pmf); apply: eq_bigr => y _.
  by rewrite (_ : agrees m y) ?mulr1 //; apply/forallP => i; rewrite ffunE.
have weight : path m = (1 - kappa ord0) * (1 - kappa ord_max).
  by rewrite /path C22_path_factorization S1 mul1r /schedule_weight prod_ord2 !ffunE.
have moved i : (1 - kappa i) * reveal_rate kappa kappa' i = kappa' i - kappa i.
  apply: mul_divK => /eqP; rewrite subr_eq0 => /eqP k1.
  have /andP [_ le1] := k01' i; have le := mono i; rewrite -k1 in le.
  by apply/eqP; rewrite -k1 subr_eq0 eq_le le1 le.
have both : path m * (e m ord0 * e m ord_max) =
    (kappa' ord0 - kappa ord0) * (kappa' ord_max - kappa ord_max).
  by rewrite /e /reveal_at !ffunE /= !mul1r weight mulrACA !moved.
rewrite -mulrBr gap mulrA both; have [p0 | pm] := eqVneq (path m) 0.
  by rewrite -both p0 !mul0r.
have w0 : schedule_weight kappa m != 0.
  by move: pm; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP [].
have postE y : post y m = q y.
  rewrite /post C22_posterior // S1 divr1 (_ : agrees m y) ?mulr1 //.
  by apply/forallP => i; rewrite ffunE.
congr (_ * (_ - _)).
  rewrite data_law_independent prod_ord2.
  by congr (_ * _); apply: eq_bigr => y _; rewrite postE.
apply: eq_bigr => y _; rewrite postE eq_state prod_ord2 !ffunE.
by rewrite /nu /data_token.
Qed.

End Step.

Theorem C20_two_positions_law (kappa : nat -> 'I_2 -> R) n x :
  revealing_schedule kappa ->
  masked_chain q kappa n x =
  marginal_path q (masked_path (kappa n)) x +
  (\sum_(t < n) (kappa t.+1 ord0 - kappa t ord0) * (kappa t.+1 ord_max - kappa t ord_max)) *
  (data_law (independent q) x - data_law q x).
Proof.
move=> [k01 mono k0]; elim: n x => [|n IH] x.
  by rewrite big_ord0 mul0r addr0 (masked_start x (proj2 q_pmf) k0).
set d := \sum_(t < n) _ in IH.
rewrite big_ord_recr /= -/d; pose u := step_kernel (masked_step q (kappa n) (kappa n.+1)).
rewrite -[LHS]/(push (masked_chain q kappa n) u x).
transitivity (push (marginal_path q (masked_path (kappa n))) u x +
              d * (push (data_law (independent q)) u x - push (data_law q) u x)).
  rewrite /push -sumrB mulr_sumr -big_split /=; apply: eq_bigr => z _.
  by rewrite IH; ring_in R.
by rewrite /u !push_data_law two_position_step //; ring_in R.
Qed.

Theorem C20_two_positions_TV (kappa : nat -> 'I_2 -> R) n :
  revealing_schedule kappa -> (forall i, kappa n i = 1) ->
  TV (masked_chain q kappa n) (data_law q) =
  (\sum_(t < n) (kappa t.+1 ord0 - kappa t ord0) * (kappa t.+1 ord_max - kappa t ord_max)) *
  TV q (independent q).
Proof.
move=> sch k1; have [_ mono _] := sch; set d := \sum_(t < n) _.
have d0 : 0 <= d by apply: sumr_ge0 => t _; apply: mulr_ge0; rewrite subr_ge0 mono.
rewrite -(TV_data_law q) [TV (data_law q) _]TV_sym /TV mulrA mulr_sumr; congr (_ / _); apply: eq_bigr => x _.
rewrite C20_two_positions_law // (masked_end q x k1) addrC addKr normrM.
by rewrite (ger0_norm d0).
Qed.

(* No overlap, T = 2 m + 1: both positions move in step m alone, by 1/T each. *)
Lemma odd_windows_together m (T := m.*2.+1) (kappa := @windowed_run R 2 0 T) :
  \sum_(t < T) (kappa t.+1 ord0 - kappa t ord0) * (kappa t.+1 ord_max - kappa t ord_max) =
  T%:R ^- 2.
Proof.
rewrite /kappa.
have T_neq0 : T%:R != 0 :> R by rewrite pnatr_eq0.
have mT : (m < T)%N by rewrite /T ltnS -addnn leq_addr.
have twice n : (n * 2 = n.*2)%N by rewrite muln2.
rewrite (bigD1 (Ordinal mT)) //= [X in _ + X]big1 ?addr0 => [|t tm]; last first.
  have [lt | gt] : (t < m)%N \/ (m < t)%N.
    by apply/orP; rewrite -neq_ltn; apply: contraNneq tm => tm; apply/eqP/val_inj.
  - rewrite [X in _ * X](_ : _ = 0) ?mulr0 // !no_overlapE // !twice !mul1n.
    have le n : (n <= m)%N -> (n.*2 <= T)%N by rewrite -leq_double => /leq_trans; apply; rewrite /T.
    by rewrite (le _ lt) (le _ (ltnW lt)) subrr.
  rewrite [X in X * _](_ : _ = 0) ?mul0r // !no_overlapE // !twice !mul0n !mul1n.
  have ge n : (m < n)%N -> (T <= n.*2)%N.
    by rewrite -leq_double doubleS => /(leq_trans _); apply; rewrite /T ltnS.
  have pos n : (m < n)%N -> (n.*2 <= 0)%N = false by case: n.
  by rewrite !pos ?ge ?(leq_trans gt) ?subrr.
rewrite !no_overlapE // !twice !mul0n !mul1n doubleS.
have -> : (m.*2.+2 <= T)%N = false by rewrite /T ltnS ltnn.
have -> : (m.*2 <= T)%N by rewrite /T leqnSn.
have -> : (2 * T <= m.*2.+2)%N = (T <= m.+1)%N by rewrite mul2n -doubleS leq_double.
have -> : (T <= m.*2)%N = false by rewrite /T ltnn.
have -> : (T <= m.*2.+2)%N by rewrite /T leqnSn.
have -> : (m.*2.+2 - T)%N = 1%N by rewrite /T subSS subSn ?subnn.
rewrite /= subr0 subn0.
have -> : (if (m.*2 <= 0)%N then 0 else (m.*2)%:R / T%:R) = (m.*2)%:R / T%:R :> R.
  by case: (m) => [|k] //=; rewrite mul0r.
have one : 1 - (m.*2)%:R / T%:R = 1 / T%:R :> R.
  by rewrite -[X in X - _](divff T_neq0) -mulrBl /T -addn1 natrD addrAC subrr add0r.
rewrite one; case: ifP => [Tm | _]; last by rewrite !mul1r expr2 invfM.
have m0 : m = 0%N by move: Tm; rewrite /T ltnS -addnn -[X in (_ <= X)%N]addn0 leq_add2l leqn0 => /eqP.
by rewrite /T m0 !divr1 mul1r expr1n invr1.
Qed.

Theorem C20_two_positions_odd m (T := m.*2.+1) :
  TV (masked_chain q (windowed_run 0 T) T) (data_law q) =
  TV q (independent q) / T%:R ^+ 2.
Proof.
have unit : 0 <= (0 : R) <= 1 by rewrite lexx ler01.
rewrite C20_two_positions_TV ?odd_windows_together; first exact: mulrC.
  exact: windowed_reveals.
by move=> i; apply: windowed_end.
Qed.

End TwoPositions.
