(* C20: a masked run towards two sequences that differ at two positions i, j,
   each with probability 1/2, whatever the other positions do:

     TV = (sum_t Dk^i Dk^j) / 2.

   The run reaches what a sequence shows at the places b with the probability
   prod_{l != i, j} (kappa^l or 1 - kappa^l) times that of i and j alone.    *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability Windows Parallel Logarithm Losses Elbo.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Pair.
Variables (R : numFieldType) (N : nat) (i j : 'I_N).
Local Notation places := {ffun 'I_N -> bool}.
Hypothesis ij : i != j.

Definition other (l : 'I_N) : bool := (l != i) && (l != j).

Lemma prod_pair (F : 'I_N -> R) : \prod_l F l = F i * F j * \prod_(l | other l) F l.
Proof.
by rewrite (bigD1 i) //= (bigD1 j) 1?eq_sym // mulrA.
Qed.

Lemma sum_pair (F : 'I_N -> bool -> R) (G : bool -> bool -> R) :
  \sum_(b : places) G (b i) (b j) * \prod_(l | other l) F l (b l) =
  (\sum_u \sum_v G u v) * \prod_(l | other l) \sum_u F l u.
Proof.
pose F' u v l a := if l == i then (a == u)%:R else if l == j then (a == v)%:R else F l a : R.
have rest u v (b : places) : \prod_(l | other l) F' u v l (b l) = \prod_(l | other l) F l (b l).
  by apply: eq_bigr => l /andP [/negbTE li /negbTE lj]; rewrite /F' li lj.
transitivity (\sum_u \sum_v G u v * \sum_(b : places) \prod_l F' u v l (b l)).
  under [RHS]eq_bigr do under eq_bigr do rewrite mulr_sumr.
  under [RHS]eq_bigr do rewrite exchange_big.
  rewrite exchange_big; apply: eq_bigr => b _ /=.
  rewrite -(sum_delta (b i) (fun u => G u (b j) * \prod_(l | other l) F l (b l))).
  apply: eq_bigr => u _; rewrite -(sum_delta (b j) (fun v => G u v * \prod_(l | other l) F l (b l))).
  rewrite mulr_sumr; apply: eq_bigr => v _.
  rewrite prod_pair rest /F' eqxx [j == i]eq_sym (negbTE ij) eqxx [b i == u]eq_sym [b j == v]eq_sym.
  by rewrite [LHS]mulrA [RHS]mulrCA.
rewrite mulr_suml; apply: eq_bigr => u _; rewrite mulr_suml; apply: eq_bigr => v _; congr (_ * _).
rewrite sum_prod prod_pair /F' eqxx [j == i]eq_sym (negbTE ij) eqxx !sum_delta1 !mul1r.
by apply: eq_bigr => l /andP [/negbTE -> /negbTE ->].
Qed.

End Pair.

(* Half on y0, half on y1, which differ at i and j. *)
Section TwoSequences.
Variables (R : numFieldType) (N : nat) (V : finType) (i j : 'I_N).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Local Notation places := {ffun 'I_N -> bool}.
Add Field R_field : (numfield_theory R).
Variables (q : data -> R) (y0 y1 : data) (kappa : nat -> 'I_N -> R).
Hypotheses (ij : i != j) (qE : forall y, q y = ((y == y0)%:R + (y == y1)%:R) / 2%:R).
Hypotheses (yi : y0 i != y1 i) (yj : y0 j != y1 j).
Hypothesis same : forall l, other i j l -> y0 l = y1 l.
Hypothesis schedule : revealing_schedule kappa.

Let two0 : 2%:R != 0 :> R. Proof. by rewrite pnatr_eq0. Qed.
Let k01 t : unit_interval (kappa t). Proof. by case: schedule => k _ _; apply: k. Qed.
Let mono t l : kappa t l <= kappa t.+1 l. Proof. by case: schedule. Qed.

Definition pair_mass (u v : bool) : R := if u || v then 2%:R^-1 else 1.

Lemma two_mass (c : places) : revealed_mass q (show c y0) = pair_mass (c i) (c j).
Proof.
have -> : revealed_mass q (show c y0) =
    ((agrees (show c y0) y0)%:R + (agrees (show c y0) y1)%:R) / 2%:R.
  rewrite /revealed_mass; under eq_bigr do rewrite qE mulrAC mulrDl.
  by rewrite -mulr_suml big_split /= !sum_delta.
have -> : agrees (show c y0) y0.
  by apply/forallP => l; rewrite ffunE; case: (c l); rewrite ?eqxx ?orbT.
have -> : agrees (show c y0) y1 = ~~ (c i || c j).
  apply/forallP/idP => [ag | /norP [ci cj] l]; last first.
    rewrite ffunE; have [cl | //] := boolP (c l); rewrite /= (_ : y0 l = y1 l) ?eqxx //.
    by apply: same; apply/andP; split; [apply: contraNneq ci | apply: contraNneq cj] => <-.
  apply/norP; split; [have := ag i | have := ag j]; rewrite ffunE;
    case: ifP => //=; rewrite (inj_eq (@Some_inj _)) ?(negbTE yi) ?(negbTE yj) //.
rewrite /pair_mass; case: (c i || c j); rewrite /= ?mulr1n ?mulr0n ?addr0 ?mul1r //.
by rewrite -[1 + 1]/(2%:R) divff.
Qed.

(* What a place does in a step, given i and j before it. *)
Definition place_step (rho : R) (chance : R) (before after : bool) : R :=
  if before then after%:R else if after then rho * chance else 1 - rho.

Definition rho t l : R := (kappa t.+1 l - kappa t l) / (1 - kappa t l).

Lemma two_kernel t (c b : places) :
  marginal_path q (masked_path (kappa t)) (show c y0) != 0 ->
  step_kernel (masked_step q (kappa t) (kappa t.+1)) (show c y0) (show b y0) =
  place_step (rho t i) (if c j then 1 else 2%:R^-1) (c i) (b i) *
  place_step (rho t j) (if c i then 1 else 2%:R^-1) (c j) (b j) *
  \prod_(l | other i j l) place_step (rho t l) 1 (c l) (b l).
Proof.
move=> pz; have S0 : revealed_mass q (show c y0) != 0.
  by move: pz; rewrite C22_path_factorization mulf_eq0 negb_or => /andP [].
have token l chance :
    (~~ c l -> revealed_mass q (show (upd c l true) y0) = chance * revealed_mass q (show c y0)) ->
    (show b y0 l == show c y0 l)%:R + masked_step q (kappa t) (kappa t.+1) l (show b y0 l) (show c y0) =
    place_step (rho t l) chance (c l) (b l).
  move=> next; rewrite /masked_step C22_marginal_velocity // -/(rho t l) /place_step.
  rewrite ![show _ _ l]ffunE; case cl: (c l) => /=.
    by case: (b l); rewrite ?eqxx mul0r mul0r addr0.
  case: (b l) => /=; last by rewrite ?eqxx mul1r sub0r mulrN1.
  by rewrite -show_upd next ?cl // mulfK // subr0 !mul1r add0r.
have upd_mass l : revealed_mass q (show (upd c l true) y0) =
    pair_mass (if l == i then true else c i) (if l == j then true else c j).
  by rewrite two_mass !ffunE ![_ == l]eq_sym.
rewrite /step_kernel (prod_pair ij); congr (_ * _ * _).
- apply: token => /negbTE ci; rewrite upd_mass two_mass eqxx (negbTE ij) /pair_mass ci /=.
  by case: (c j); rewrite /= ?mul1r ?mulr1.
- apply: token => /negbTE cj; rewrite upd_mass two_mass eqxx [j == i]eq_sym (negbTE ij) /pair_mass cj.
  by rewrite orbT orbF; case: (c i); rewrite /= ?mul1r ?mulr1.
apply: eq_bigr => l /andP [/negbTE li /negbTE lj]; apply: token => _.
by rewrite upd_mass two_mass li lj mul1r.
Qed.

Local Notation kernel t := (step_kernel (masked_step q (kappa t) (kappa t.+1))).

(* What y0 shows is reached from what y0 shows alone. *)
Lemma two_push (A : state -> R) t (b : places) :
  push A (kernel t) (show b y0) = \sum_c A (show c y0) * kernel t (show c y0) (show b y0).
Proof.
pose shown (z : state) : places := [ffun l => z l != None].
have showK c : shown (show c y0) = c.
  by apply/ffunP => l; rewrite !ffunE; case: (c l).
rewrite /push (bigID (fun z : state => show (shown z) y0 == z)) /= [X in _ + X]big1 ?addr0.
  rewrite (reindex_onto (fun c => show c y0) shown) /= => [|z /eqP //].
  by apply: eq_bigl => c; rewrite showK !eqxx.
move=> z out; have [l zl] : exists l, show (shown z) y0 l != z l.
  apply/existsP; apply: contraR out; rewrite negb_exists => /forallP h.
  by apply/eqP/ffunP => l; have := h l; rewrite negbK => /eqP.
have hidden : z l == None = false.
  by apply: contraNF zl => /eqP e; rewrite !ffunE e.
rewrite /step_kernel (bigD1 l) //= [X in _ * (X * _)](_ : _ = 0) ?mul0r ?mulr0 //.
have eqF : (show b y0 l == z l) = false.
  apply: contraNF zl => /eqP e; move: hidden; rewrite -e !ffunE -e ffunE.
  by case: (b l).
rewrite eqF add0r.
have [p0 | pz] := eqVneq (marginal_path q (masked_path (kappa t)) z) 0.
  rewrite /masked_step /marginal_velocity big1 // => y _.
  by rewrite /posterior p0 invr0 mulr0 mul0r.
by rewrite /masked_step C22_marginal_velocity // hidden !mul0r.
Qed.

Definition together n : R :=
  \sum_(t < n) (kappa t.+1 i - kappa t i) * (kappa t.+1 j - kappa t j).

Definition place_law n l (u : bool) : R := if u then kappa n l else 1 - kappa n l.

Definition pair_law n (u v : bool) : R :=
  if u then if v then kappa n i * kappa n j / (1 + 1) - together n / (1 + 1) / (1 + 1)
            else kappa n i * (1 - kappa n j) / (1 + 1)
  else if v then (1 - kappa n i) * kappa n j / (1 + 1)
       else (1 - kappa n i) * (1 - kappa n j).

Lemma together_bounds n : 0 <= together n /\ together n <= kappa n i /\ together n <= kappa n j.
Proof.
have d0 t l : 0 <= kappa t.+1 l - kappa t l by rewrite subr_ge0.
have d1 t l : kappa t.+1 l - kappa t l <= 1.
  have /andP [_ le1] := k01 t.+1 l; have /andP [ge0 _] := k01 t l.
  by apply: le_trans le1; rewrite ler_subl_addr ler_addl.
elim: n => [|n [ge0 [lei lej]]]; rewrite /together.
  by rewrite big_ord0; have [_ _ k0] := schedule; rewrite !k0 lexx.
rewrite big_ord_recr /= -/(together n); split; first by rewrite addr_ge0 ?mulr_ge0.
split; rewrite -ler_subr_addl.
  apply: (@le_trans _ _ (kappa n.+1 i - kappa n i)); last by rewrite ler_add2l ler_opp2.
  by rewrite -[X in _ <= X]mulr1; apply: ler_wpmul2l.
apply: (@le_trans _ _ (kappa n.+1 j - kappa n j)); last by rewrite ler_add2l ler_opp2.
by rewrite -[X in _ <= X]mul1r; apply: ler_wpmul2r.
Qed.

Lemma pair_law0 n u v : place_law n i u * place_law n j v = 0 -> pair_law n u v = 0.
Proof.
rewrite /place_law /pair_law; case: u; case: v => e; rewrite ?e ?mul0r //.
have [t0 [ti tj]] := together_bounds n.
rewrite (_ : together n = 0) ?mul0r ?subrr //; apply/eqP; rewrite eq_le t0 andbT.
by move/eqP: e; rewrite mulf_eq0 => /orP [] /eqP <-.
Qed.

Lemma two_chain n (b : places) : masked_chain q kappa n (show b y0) =
  pair_law n (b i) (b j) * \prod_(l | other i j l) place_law n l (b l).
Proof.
have [_ _ k0] := schedule; elim: n b => [|n IH] b.
  transitivity (\prod_l (show b y0 l == all_mask N V l)%:R : R); first exact: eq_state.
  rewrite (prod_pair ij); congr (_ * _).
    rewrite !ffunE /pair_law /together big_ord0 !k0; case: (b i); case: (b j);
      by rewrite /= ?subr0 ?(mul0r, mulr0, subr0, mulr1, mul1r).
  by apply: eq_bigr => l _; rewrite !ffunE /place_law k0; case: (b l); rewrite /= ?subr0.
rewrite -[LHS]/(push (masked_chain q kappa n) (kernel n) (show b y0)) two_push.
pose S u v := place_step (rho n i) (if v then 1 else 2%:R^-1) u (b i) *
              place_step (rho n j) (if u then 1 else 2%:R^-1) v (b j).
transitivity (\sum_(c : places) (pair_law n (c i) (c j) * S (c i) (c j)) *
    \prod_(l | other i j l) (place_law n l (c l) * place_step (rho n l) 1 (c l) (b l))).
  apply: eq_bigr => c _; rewrite IH big_split /=.
  have [p0 | pz] := eqVneq (marginal_path q (masked_path (kappa n)) (show c y0)) 0; last first.
    by rewrite two_kernel // -/(S (c i) (c j)) mulrACA.
  suff z : pair_law n (c i) (c j) * \prod_(l | other i j l) place_law n l (c l) = 0.
    by rewrite mulrACA z !mul0r.
  move/eqP: p0; rewrite C22_path_factorization two_mass mulf_eq0.
  have -> /= : pair_mass (c i) (c j) == 0 = false.
    by rewrite /pair_mass; case: ifP => _; rewrite ?oner_eq0 ?invr_eq0 ?(negbTE two0).
  have -> : schedule_weight (kappa n) (show c y0) = \prod_l place_law n l (c l).
    by apply: eq_bigr => l _; rewrite ffunE /place_law; case: (c l).
  rewrite (prod_pair ij) mulf_eq0 => /orP [] /eqP e; last by rewrite e mulr0.
  by rewrite pair_law0 ?mul0r.
rewrite (sum_pair ij (fun l u => place_law n l u * place_step (rho n l) 1 u (b l))
  (fun u v => pair_law n u v * S u v)).
have next l : kappa n.+1 l = kappa n l + (1 - kappa n l) * rho n l.
  rewrite /rho mul_divK; first by rewrite addrC subrK.
  move=> /eqP; rewrite subr_eq0 => /eqP k1; have /andP [_ le1] := k01 n.+1 l.
  by apply/eqP; rewrite subr_eq0 eq_le mono andbT -k1.
congr (_ * _); last first.
  apply: eq_bigr => l _; rewrite big_bool /place_law /place_step next.
  by case: (b l) => /=; rewrite ?mulr1 ?mulr0 ?addr0 ?add0r; ring_in R.
rewrite !big_bool /S /place_step /pair_law /together big_ord_recr /= -/(together n) !next.
have two0' : 1 + 1 != 0 :> R by [].
rewrite -[2%:R]/(1 + 1); set t := together n; set a := kappa n i; set d := kappa n j.
set e := rho n i; set f := rho n j.
by case: (b i); case: (b j); rewrite ?mulr1n ?mulr0n; field_in R; apply/eqP.
Qed.

Lemma two_ends n : (forall l, kappa n l = 1) ->
  masked_chain q kappa n (reveal_all y0) = 2%:R^-1 - together n / 2%:R / 2%:R.
Proof.
move=> k1; have -> : reveal_all y0 = show [ffun=> true] y0.
  by apply/ffunP => l; rewrite !ffunE.
rewrite two_chain !ffunE /= !k1 !mul1r big1 ?mulr1 // => l _.
by rewrite /place_law ffunE k1.
Qed.

End TwoSequences.

Section Arithmetic.
Variable R : numFieldType.
Add Field R_field' : (numfield_theory R).

Lemma remaining (h c x : R) : (h - c) + ((h - c) + x) = h + h -> x = c + c.
Proof. by move=> e; apply: (addrI (h - c)); apply: (addrI (h - c)); rewrite e; ring_in R. Qed.

Lemma four_quarters (t : R) (c := t / 2%:R / 2%:R) : (c + (c + (c + c))) / 2%:R = t / 2%:R.
Proof.
have two0 : 1 + 1 != 0 :> R by rewrite -[1 + 1]/(2%:R) pnatr_eq0.
by rewrite /c -[2%:R]/(1 + 1); field_in R; apply/eqP.
Qed.

End Arithmetic.

Theorem C20_two_sequences_TV (R : numFieldType) N (V : finType) (i j : 'I_N)
    (q : {ffun 'I_N -> V} -> R) (y0 y1 : {ffun 'I_N -> V}) (kappa : nat -> 'I_N -> R) n :
  i != j -> (forall y, q y = ((y == y0)%:R + (y == y1)%:R) / 2%:R) ->
  y0 i != y1 i -> y0 j != y1 j -> (forall l : 'I_N, (l != i) && (l != j) -> y0 l = y1 l) ->
  revealing_schedule kappa -> (forall l, kappa n l = 1) ->
  TV (masked_chain q kappa n) (data_law q) = together i j kappa n / 2%:R.
Proof.
move=> ij qE yi yj same sch k1; set t := together i j kappa n.
have two0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
have y01 : y1 != y0 by apply: contraNneq yi => ->.
have q_pmf : is_pmf q.
  split=> [y|]; first by rewrite qE; apply: divr_ge0; [apply: addr_ge0 |]; apply: ler0n.
  by under eq_bigr do rewrite qE; rewrite -mulr_suml big_split /= !sum_delta1 -[1 + 1]/(2%:R) divff.
have at0 : masked_chain q kappa n (reveal_all y0) = 2%:R^-1 - t / 2%:R / 2%:R.
  exact: (two_ends ij qE yi yj same sch k1).
have at1 : masked_chain q kappa n (reveal_all y1) = 2%:R^-1 - t / 2%:R / 2%:R.
  apply: (two_ends (y1 := y0) ij _ _ _ _ sch k1) => [y|||l /same //]; first by rewrite qE addrC.
    by rewrite eq_sym.
  by rewrite eq_sym.
have t0 : 0 <= t / 2%:R / 2%:R.
  by have [? _] := together_bounds i j sch n; rewrite !divr_ge0 ?ler0n.
set c := t / 2%:R / 2%:R in at0 at1 t0.
have q0 : q y0 = 2%:R^-1 by rewrite qE eqxx eq_sym (negbTE y01) addr0 mul1r.
have q1 : q y1 = 2%:R^-1 by rewrite qE eqxx (negbTE y01) add0r mul1r.
have r01 : reveal_all y1 != reveal_all y0 by rewrite (inj_eq (@reveal_all_inj N V)).
rewrite /TV (bigD1 (reveal_all y0)) //= (bigD1 (reveal_all y1)) //= !data_law_reveal_all.
rewrite at0 at1 q0 q1 addrAC subrr add0r normrN (ger0_norm t0).
have -> : \sum_(x | (x != reveal_all y0) && (x != reveal_all y1))
    `|masked_chain q kappa n x - data_law q x| = c + c.
  transitivity (\sum_(x | (x != reveal_all y0) && (x != reveal_all y1)) masked_chain q kappa n x).
    apply: eq_bigr => x /andP [x0 x1]; rewrite (_ : data_law q x = 0).
      by rewrite subr0 ger0_norm ?masked_chain_ge0.
    rewrite /data_law big1 // => y _; have [e | _] := eqVneq x (reveal_all y); last by rewrite mulr0.
    have off w : x != reveal_all w -> (y == w) = false by rewrite e; apply: contraNF => /eqP ->.
    by rewrite qE !off // addr0 !mul0r.
  have := masked_chain_total q_pmf sch n.
  rewrite (bigD1 (reveal_all y0)) //= (bigD1 (reveal_all y1)) //= at0 at1 => e.
  by apply: (@remaining _ 2%:R^-1); rewrite e; have := splitr (1 : R); rewrite mul1r.
exact: four_quarters.
Qed.
