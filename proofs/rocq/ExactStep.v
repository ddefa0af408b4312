(* C05, masked source: a step of the sampler is exact only if at each reachable
   state the hidden movers are independent given the revealed tokens.

   From z the exact step E_z and the sampler's K_z differ in how tokens are
   drawn: E_z(x) / K_z(x) = (S(x) / S(z)) / prod over newly shown i of q(x^i | z).
   With a logarithm, sum_z p(z) sum_x (E_z - K_z)(x) (L E_z(x) - L K_z(x)) = 0:
   L S(x) by exactness, L S(z) since both are pmfs, and L q(x^i | z) since both
   have the same laws of single tokens.  No term is negative, so E_z = K_z.   *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Stability Lazy MaskedRate Windows TwoPositions.
From Ddfm Require Import Independent Logarithm.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section OnlyIf.
Variables (R : numFieldType) (N : nat) (V : finType) (L : R -> R).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Add Field R_field : (numfield_theory R).
Variables (q : data -> R) (kappa kappa' : 'I_N -> R).
Hypotheses (q_pmf : is_pmf q) (k01 : unit_interval kappa).
Hypotheses (k01' : unit_interval kappa') (mono : forall i, kappa i <= kappa' i).
Hypothesis L_log : logarithm L.

Let L_mul := proj1 L_log.
Let q_ge0 y : 0 <= q y. Proof. by case: q_pmf. Qed.
Let pc_ge0 (y : data) z : 0 <= masked_path kappa y z.
Proof. exact: masked_path_ge0. Qed.
Let path := marginal_path q (masked_path kappa).

Let S := revealed_mass q.
Let e (z : state) := reveal_at kappa kappa' z.
Let post y z := posterior q (masked_path kappa) y z.

Definition exact_kernel (z x : state) : R :=
  \sum_y posterior q (masked_path kappa) y z *
         lazy_kernel z (reveal_at kappa kappa' z) (data_token R y) x.

Let kernel := step_kernel (masked_step q kappa kappa').

(* (a - b) (L a - L b) is not negative, and zero only if a = b. *)
Lemma log_gap a b : 0 < a -> 0 < b -> (a - b) ^+ 2 / a <= (a - b) * (L a - L b) \/
  (a - b) ^+ 2 / b <= (a - b) * (L a - L b).
Proof.
move=> a0 b0; have an := lt0r_neq0 a0; have bn := lt0r_neq0 b0.
have up x y : 0 < x -> 0 < y -> (x - y) / x <= L x - L y.
  move=> x0 y0; rewrite -log_div //; apply: le_trans (log_ge L_log (divr_gt0 x0 y0)).
  by rewrite invf_div mulrBl divff ?lt0r_neq0.
have [ab | ab] := real_leP (gtr0_real b0) (gtr0_real a0).
  left; rewrite expr2 -mulrA; apply: ler_wpmul2l; rewrite ?subr_ge0 //; exact: up.
right; rewrite -[a - b]opprB -[L a - L b]opprB sqrrN mulrNN expr2 -mulrA.
by apply: ler_wpmul2l; [rewrite subr_ge0 ltW | exact: up].
Qed.

Section State.
Variable z : state.
Hypothesis pz : path z != 0.

Let S_neq0 : S z != 0.
Proof. by move: pz; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP []. Qed.
Let w_neq0 : schedule_weight kappa z != 0.
Proof. by move: pz; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP []. Qed.
Let e01 : unit_interval (e z). Proof. exact: reveal_at01. Qed.
Let post1 : \sum_y post y z = 1. Proof. exact: sum_posterior. Qed.

(* What is shown and hidden, apart from the tokens drawn. *)
Definition pattern_weight (x : state) : R :=
  \prod_i (if z i == None then (if x i == None then 1 - e z i else e z i) else (x i == z i)%:R).

Definition newly (x : state) : pred 'I_N := fun i => (z i == None) && (x i != None).

Definition token_products (x : state) : R :=
  \prod_(i | newly x i) next_token q z i (x i).

Lemma kernelE x : kernel z x = pattern_weight x * token_products x.
Proof.
rewrite /kernel (marginal_lazy kappa' x pz) /lazy_kernel /token_products.
rewrite [X in _ * X]big_mkcond -big_split; apply: eq_bigr => i _.
rewrite /lazy_token /stay_token /newly -/(e z); have [zi | zi] := eqVneq (z i) None.
  have nu v : \sum_y posterior q (masked_path kappa) y z * data_token R y i (Some v) =
      next_token q z i (Some v).
    rewrite -(C22_hidden_token q v w_neq0 zi) [RHS]big_mkcond; apply: eq_bigr => y _.
    by rewrite /data_token (inj_eq (@Some_inj _)) eq_sym; case: eqP; rewrite ?mulr1 ?mulr0.
  rewrite zi; case: (x i) => [v|] /=; first by rewrite mulr0 add0r nu.
  by rewrite big1 ?mulr0 ?addr0 // => y _; rewrite mulr0.
by rewrite /e /reveal_at (negbTE zi) /= !mul0r subr0 mul1r addr0 mulr1.
Qed.

Lemma exactE x : exact_kernel z x = pattern_weight x * (S x / S z).
Proof.
rewrite /exact_kernel /S /revealed_mass mulr_suml mulr_sumr; apply: eq_bigr => y _.
rewrite C22_posterior //; case ag: (agrees z y); last first.
  have [w0 | wn] := eqVneq (pattern_weight x) 0; first by rewrite w0 mulr0 !mul0r.
  rewrite (_ : agrees x y = false) ?(mulr0, mul0r) //; apply/negbTE; move/negbT: ag.
  apply: contra => /forallP ag; apply/forallP => i; have [//|zi] := eqVneq (z i) None.
  have := ag i; move: wn; rewrite /pattern_weight (bigD1 i) //= (negbTE zi) mulf_eq0 negb_or.
  by rewrite pnatr_eq0 eqb0 negbK => /andP [/eqP -> _]; rewrite (negbTE zi).
rewrite mulr1 (_ : lazy_kernel _ _ _ _ = pattern_weight x * (agrees x y)%:R).
  by rewrite -[\sum_y0 _]/(revealed_mass q z); ring_in R.
rewrite /agrees -(prod_bool _ xpredT) /= -big_split; apply: eq_bigr => i _ /=.
rewrite /lazy_token /stay_token /data_token -/(e z); have := forallP ag i.
have [zi _ | zi /= /eqP zi'] := eqVneq (z i) None.
  by rewrite zi; case: (x i) => [v|] /=; rewrite ?(mulr0, mulr1, addr0, add0r).
rewrite /e /reveal_at (negbTE zi) /= !mul0r subr0 mul1r addr0 zi'.
case: (x i) => [v|]; last by rewrite /= mul0r.
by have [->|_] := eqVneq (Some v) (Some (y i)); rewrite /= ?mulr1 ?mul0r.
Qed.

(* Both are pmfs with one law of each token. *)
Lemma token_laws i (f : option V -> R) :
  \sum_x exact_kernel z x * f (x i) = \sum_x kernel z x * f (x i).
Proof.
have one nu : (forall j, \sum_a nu j a = 1) ->
    \sum_x lazy_kernel z (e z) nu x * f (x i) = \sum_a lazy_token z (e z) nu i a * f a.
  move=> nu1; have lazy1 j : \sum_a lazy_token z (e z) nu j a = 1.
    by rewrite big_split /= -!mulr_sumr sum_delta1 nu1 !mulr1 subrK.
  transitivity (\sum_(x : state) \prod_j (lazy_token z (e z) nu j (x j) *
      (if j == i then f (x j) else 1))).
    apply: eq_bigr => x _; rewrite big_split /=; congr (_ * _).
    by rewrite (bigD1 i) //= eqxx big1 ?mulr1 // => j /negbTE ->.
  rewrite (sum_prod (fun j a => lazy_token z (e z) nu j a * (if j == i then f a else 1))).
  rewrite (bigD1 i) //= [X in _ * X]big1 ?mulr1; last first.
    move=> j /negbTE ji; rewrite -[RHS](lazy1 j); apply: eq_bigr => a _.
    by rewrite ji mulr1.
  by rewrite eqxx.
have nu1 (y : data) j : \sum_a data_token R y j a = 1 by apply: sum_delta1.
transitivity (\sum_y post y z * \sum_a lazy_token z (e z) (data_token R y) i a * f a).
  rewrite /exact_kernel; under eq_bigr do rewrite mulr_suml.
  rewrite exchange_big; apply: eq_bigr => y _ /=; rewrite -(one _ (nu1 y)) mulr_sumr.
  by apply: eq_bigr => x _; rewrite mulrA.
transitivity (\sum_x lazy_kernel z (e z)
    (fun i a => \sum_y post y z * data_token R y i a) x * f (x i)); last first.
  by apply: eq_bigr => x _; rewrite /kernel (marginal_lazy kappa' x pz).
rewrite one => [|j]; last first.
  rewrite exchange_big -[RHS]post1; apply: eq_bigr => y _ /=.
  by rewrite -mulr_sumr nu1 mulr1.
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => a _ /=; rewrite /lazy_token mulrDl mulr_sumr mulr_suml.
rewrite -[X in X + _]mul1r -post1 mulr_suml -big_split; apply: eq_bigr => y _ /=.
by ring_in R.
Qed.

Lemma totals : \sum_x exact_kernel z x = \sum_x kernel z x.
Proof.
have one nu : (forall j, \sum_a nu j a = 1) -> \sum_x lazy_kernel z (e z) nu x = 1.
  move=> nu1; rewrite /lazy_kernel sum_prod big1 // => j _.
  by rewrite big_split /= -!mulr_sumr sum_delta1 nu1 !mulr1 subrK.
have nu1 (y : data) j : \sum_a data_token R y j a = 1 by apply: sum_delta1.
transitivity (1 : R).
  rewrite /exact_kernel exchange_big -[RHS]post1; apply: eq_bigr => y _ /=.
  by rewrite -mulr_sumr one // mulr1.
rewrite -(one (fun i a => \sum_y post y z * data_token R y i a)) => [|j].
  by apply: eq_bigr => x _; rewrite /kernel (marginal_lazy kappa' x pz).
rewrite exchange_big -[RHS]post1; apply: eq_bigr => y _ /=.
by rewrite -mulr_sumr nu1 mulr1.
Qed.

Lemma kernel_ge0 x : 0 <= kernel z x.
Proof.
suff [ge0 _] : is_pmf (kernel z) by [].
apply: C04_step_kernel_is_pmf; apply: C03_step_conditions => // y.
exact: C04_masked_step_conditions.
Qed.

Lemma exact_kernel_ge0 x : 0 <= exact_kernel z x.
Proof.
apply: sumr_ge0 => y _; apply: mulr_ge0; first exact: posterior_ge0.
apply: prodr_ge0 => i _; have /andP [e0 e1] := e01 i.
by rewrite addr_ge0 // mulr_ge0 ?ler0n ?subr_ge0.
Qed.

Lemma S_ge0 x : 0 <= S x.
Proof. exact: revealed_mass_ge0. Qed.

Lemma shown_next x i : S x != 0 -> pattern_weight x != 0 -> newly x i ->
  next_token q z i (x i) != 0.
Proof.
move=> Sx wx /andP [/eqP zi]; case xi: (x i) => [v|] // _.
apply: mulf_neq0; last by rewrite invr_eq0.
have [y] : exists y, q y * (agrees x y)%:R != 0.
  apply/existsP; apply: contraNT Sx; rewrite negb_exists => /forallP none.
  by apply/eqP/big1 => y _; apply/eqP; have := none y; rewrite negbK.
rewrite mulf_eq0 negb_or pnatr_eq0 eqb0 negbK => /andP [qy /forallP ag].
apply: (@psum_neq0 _ _ _ y) => [y'|]; first by rewrite mulr_ge0 ?ler0n.
rewrite mulf_neq0 // agrees_upd // pnatr_eq0 eqb0 negbK; apply/andP; split.
  apply/forallP => j; have [//|zj] := eqVneq (z j) None.
  have := ag j; move: wx; rewrite /pattern_weight (bigD1 j) //= (negbTE zj) mulf_eq0 negb_or.
  by rewrite pnatr_eq0 eqb0 negbK => /andP [/eqP -> _]; rewrite (negbTE zj).
by have := ag i; rewrite xi /= eq_sym => /eqP [->].
Qed.

(* The logarithms of the two kernels, where both are charged. *)
Definition token_log (i : 'I_N) (a : option V) : R :=
  if (z i == None) && (a != None) then L (next_token q z i a) else 0.

Lemma log_kernels x : exact_kernel z x != 0 ->
  kernel z x != 0 /\
  L (exact_kernel z x) - L (kernel z x) = L (S x) - L (S z) - \sum_i token_log i (x i).
Proof.
rewrite exactE => En; have := En; rewrite !mulf_eq0 !negb_or => /andP [wx /andP [Sx _]].
have n_neq0 := shown_next Sx wx.
have n_gt0 i : newly x i -> 0 < next_token q z i (x i).
  move=> ni; rewrite lt0r n_neq0 //; case: (x i) => [v|] //=.
  by rewrite divr_ge0 ?S_ge0.
have t0 : 0 < token_products x by apply: prodr_gt0 => i ni; apply: n_gt0.
have W0 : 0 < pattern_weight x.
  rewrite lt0r wx; apply: prodr_ge0 => i _; have /andP [e0 e1] := e01 i.
  by case: ifP => _; [case: ifP; rewrite ?subr_ge0 | apply: ler0n].
have Sx0 : 0 < S x by rewrite lt0r Sx S_ge0. have Sz0 : 0 < S z by rewrite lt0r S_neq0 S_ge0.
split; first by rewrite kernelE mulf_neq0 ?lt0r_neq0.
rewrite kernelE (L_mul W0 (divr_gt0 Sx0 Sz0)) (L_mul W0 t0) log_div // /token_products.
rewrite (log_prod L_mul n_gt0) big_mkcond /= (eq_bigr (fun i => token_log i (x i))) //.
by ring_in R.
Qed.

End State.

Lemma masked_exact_only_if :
  samples path (marginal_path q (masked_path kappa')) (masked_step q kappa kappa') ->
  forall z, path z != 0 ->
  mutually_independent (given q z) (hidden_mover kappa kappa' z).
Proof.
move=> smp.
have same x : \sum_z path z * kernel z x = \sum_z path z * exact_kernel z x.
  by rewrite -(exact_step q_pmf k01 k01' mono x) -smp.
have path_ge0 z : 0 <= path z by apply: marginal_path_ge0.
have support z x : path z != 0 -> kernel z x != 0 -> exact_kernel z x != 0.
  move=> pz Kn; have wx : pattern_weight z x != 0.
    by apply: contraNneq Kn; rewrite kernelE // => ->; rewrite mul0r.
  rewrite exactE // !mulf_neq0 ?invr_eq0 //; last first.
    by move: pz; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP [].
  apply/eqP => Sx; suff : \sum_z path z * kernel z x != 0.
    rewrite same big1 ?eqxx // => z' _; have [-> | pz'] := eqVneq (path z') 0.
      by rewrite mul0r.
    by rewrite exactE // Sx mul0r mulr0 mulr0.
  apply: (@psum_neq0 _ _ _ z) => [z'|]; last exact: mulf_neq0.
  by rewrite mulr_ge0 ?kernel_ge0.
pose gap z x := (exact_kernel z x - kernel z x) * (L (exact_kernel z x) - L (kernel z x)).
have gap_ge0 z x : path z != 0 -> 0 <= gap z x /\ (gap z x = 0 -> exact_kernel z x = kernel z x).
  move=> pz; rewrite /gap; have [E0 | En] := eqVneq (exact_kernel z x) 0.
    have -> : kernel z x = 0 by apply/eqP; apply: contraT => /(support z x pz); rewrite E0 eqxx.
    by rewrite E0 subrr mul0r.
  have [Kn _] := log_kernels pz En.
  have E0 : 0 < exact_kernel z x by rewrite lt0r En exact_kernel_ge0.
  have K0 : 0 < kernel z x by rewrite lt0r Kn kernel_ge0.
  set d := exact_kernel z x - kernel z x.
  have d2 c : 0 < c -> 0 <= d ^+ 2 / c /\ (d ^+ 2 / c = 0 -> d = 0).
    move=> c0; split.
      apply: divr_ge0; last exact: ltW.
      by apply: real_exprn_even_ge0 => //; apply: realB; apply: gtr0_real.
    by move=> /eqP; rewrite mulf_eq0 invr_eq0 (gt_eqF c0) orbF sqrf_eq0 => /eqP.
  have close c : 0 < c -> d ^+ 2 / c <= gap z x -> 0 <= gap z x /\
      (gap z x = 0 -> exact_kernel z x = kernel z x).
    move=> c0 le; have [ge0 eq0] := d2 c c0; split; first exact: le_trans le.
    move=> g0; apply/eqP; rewrite -subr_eq0 -/d; apply/eqP/eq0/eqP.
    by rewrite eq_le ge0 andbT -g0.
  by case: (log_gap E0 K0) => le; apply: close le.
have gapE z x : path z != 0 -> gap z x =
    exact_kernel z x * (L (S x) - L (S z)) - kernel z x * (L (S x) - L (S z)) -
    \sum_i (exact_kernel z x * token_log z i (x i) - kernel z x * token_log z i (x i)).
  move=> pz; under eq_bigr do rewrite -mulrBl.
  rewrite -mulr_sumr /gap; have [E0 | En] := eqVneq (exact_kernel z x) 0.
    have -> : kernel z x = 0 by apply/eqP; apply: contraT => /(support z x pz); rewrite E0 eqxx.
    by rewrite E0 subrr !mul0r !subrr.
  have expand (a b c d : R) : (a - b) * (c - d) = a * c - b * c - (a - b) * d by ring_in R.
  by have [_ ->] := log_kernels pz En; apply: expand.
have gap_sum z : path z != 0 -> \sum_x gap z x =
    \sum_x (exact_kernel z x * L (S x) - kernel z x * L (S x)).
  move=> pz; under eq_bigr do rewrite gapE //.
  rewrite sumrB [X in _ - X]exchange_big [X in _ - X]big1 ?subr0 => [|i _]; last first.
    by rewrite sumrB token_laws // subrr.
  have move_ x : exact_kernel z x * (L (S x) - L (S z)) - kernel z x * (L (S x) - L (S z)) =
      exact_kernel z x * L (S x) - kernel z x * L (S x) -
      (exact_kernel z x - kernel z x) * L (S z) by ring_in R.
  under eq_bigr do rewrite move_.
  by rewrite sumrB -mulr_suml [X in _ - X * _]sumrB totals // subrr mul0r subr0.
have total : \sum_z path z * (\sum_x gap z x) = 0.
  transitivity (\sum_z \sum_x (path z * exact_kernel z x - path z * kernel z x) * L (S x)).
    apply: eq_bigr => z _; have [-> | pz] := eqVneq (path z) 0.
      by rewrite mul0r big1 // => x _; rewrite !mul0r subrr mul0r.
    by rewrite gap_sum // mulr_sumr; apply: eq_bigr => x _; ring_in R.
  by rewrite exchange_big big1 //= => x _; rewrite -mulr_suml sumrB same subrr mul0r.
have equal_ z x : path z != 0 -> exact_kernel z x = kernel z x.
  move=> pz; have [_ ] := gap_ge0 z x pz; apply.
  have sum_ge0 z' : 0 <= path z' * (\sum_x gap z' x).
    have [-> | pz'] := eqVneq (path z') 0; first by rewrite mul0r.
    by apply: mulr_ge0 => //; apply: sumr_ge0 => x' _; have [] := gap_ge0 z' x' pz'.
  have /eqP := psum_eq0 sum_ge0 total z; rewrite mulf_eq0 (negbTE pz) /= => /eqP.
  by move/psum_eq0; apply=> x'; have [] := gap_ge0 z x' pz.
move=> z pz v.
pose x : state := [ffun i => if hidden_mover kappa kappa' z i then Some (v i) else z i].
have new i : newly z x i = hidden_mover kappa kappa' z i.
  rewrite /newly /x ffunE /hidden_mover; case: (z i) => [t|] //=.
  by case: (kappa i < kappa' i).
have Sz : S z != 0.
  by move: pz; rewrite /path C22_path_factorization mulf_eq0 negb_or => /andP [].
have wx : pattern_weight z x != 0.
  apply/prodf_neq0 => i _; rewrite /x ffunE /hidden_mover /e /reveal_at.
  have [zi | zi] := eqVneq (z i) None => /=; last by rewrite eqxx oner_neq0.
  have [lt | ge] := boolP (kappa i < kappa' i) => /=.
    rewrite mul1r; apply: mulf_neq0; first by rewrite subr_eq0 gt_eqF.
    rewrite invr_eq0 subr_eq0 eq_sym; apply: contraTneq lt => k1; rewrite k1.
    by apply/negP => /lt_le_trans lt1; have /andP [_ /lt1] := k01' i; rewrite ltxx.
  rewrite zi /= mul1r /reveal_rate (_ : kappa' i = kappa i) ?subrr ?mul0r ?subr0 ?oner_neq0 //.
  by apply/eqP; move: ge; rewrite lt_neqAle mono andbT negbK eq_sym.
have := equal_ z x pz; rewrite exactE // kernelE // => /(mulfI wx) quotient.
have agrees_x y : (agrees x y)%:R = (agrees z y)%:R *
    \prod_(i | hidden_mover kappa kappa' z i) (y i == v i)%:R :> R.
  rewrite prod_bool -natrM mulnb; congr (_%:R); congr nat_of_bool.
  apply/forallP/andP => [ag | [/forallP ag /forallP mv] i].
    split; apply/forallP => i; have := ag i; rewrite /x ffunE.
      by case: ifP => [/andP [-> _] //|].
    by case: ifP => //= _ /eqP [->].
  rewrite /x ffunE; case: ifP => [hm | _]; last exact: ag.
  by have := mv i; rewrite hm /= => /eqP ->.
transitivity (S x / S z).
  rewrite /S /revealed_mass mulr_suml; apply: eq_bigr => y _.
  by rewrite agrees_x /given mulrA mulrAC.
rewrite quotient /token_products (eq_bigl _ _ new); apply: eq_bigr => i hm.
have zi : z i = None by case/andP: hm => /eqP.
rewrite /x ffunE hm /next_token revealed_mass_upd // mulr_suml; apply: eq_bigr => y _.
by rewrite /given mulrAC.
Qed.

(* With a logarithm: exact iff at each reachable state the hidden movers are
   mutually independent under q given the revealed tokens. *)
Theorem C05_masked_exact_iff_independent :
  samples path (marginal_path q (masked_path kappa')) (masked_step q kappa kappa') <->
  (forall z, path z != 0 -> mutually_independent (given q z) (hidden_mover kappa kappa' z)).
Proof.
by split; [apply: masked_exact_only_if | apply: C05_masked_independent_exact].
Qed.

End OnlyIf.
