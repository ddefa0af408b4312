(* C19: jumps of several positions at once cost at least the entropy.

   The entropy of the revealed tokens is submodular: revealing j first lowers
   what i tells.  So in a step of several positions the loss, which counts each
   of them against what is revealed before the step, is at least the growth of
   the mean entropy; the growths add up to H(q).                             *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Marginal Paths Decentralization Masked.
From Ddfm Require Import Autoregression Logarithm Losses Elbo.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Places.
Variables (R : numFieldType) (N : nat).
Local Notation places := {ffun 'I_N -> bool}.
Add Field R_field : (numfield_theory R).
Implicit Types (h : places -> R) (kappa : 'I_N -> R).

(* What place i adds. *)
Definition gain (i : 'I_N) h (b : places) : R := h (upd b i true) - h (upd b i false).

Lemma upd_same (b : places) i : ~~ b i -> upd b i false = b.
Proof. by move=> bi; apply/ffunP => l; rewrite !ffunE; case: eqP => // ->; rewrite (negbTE bi). Qed.

Lemma upd_twice (b : places) i u v : upd (upd b i u) i v = upd b i v.
Proof. by apply/ffunP => l; rewrite !ffunE; case: eqP. Qed.

Lemma mean_gain h kappa i :
  mean_over_places (gain i h) kappa =
  \sum_(b : places | ~~ b i) other_weight kappa i b * (h (upd b i true) - h b).
Proof.
rewrite /mean_over_places (sum_places i); apply: eq_bigr => b bi.
rewrite !(places_weight_split _ i) upd_at (negbTE bi) other_weight_upd /gain !upd_twice upd_same //.
by ring_in R.
Qed.

Lemma move_gain h kappa kappa' i :
  (forall j, j != i -> kappa' j = kappa j) ->
  mean_over_places h kappa' - mean_over_places h kappa =
  (kappa' i - kappa i) * mean_over_places (gain i h) kappa.
Proof.
move=> off; rewrite mean_gain.
have same b : other_weight kappa' i b = other_weight kappa i b.
  by apply: eq_bigr => j /off ->.
rewrite /mean_over_places !(sum_places i) -sumrB mulr_sumr; apply: eq_bigr => b bi.
rewrite !(places_weight_split _ i) !upd_at (negbTE bi) !other_weight_upd !same.
by ring_in R.
Qed.

(* The first m places have moved. *)
Definition hybrid kappa kappa' (m : nat) (i : 'I_N) : R := if (i < m)%N then kappa' i else kappa i.

Lemma mean_eq h kappa kappa' : kappa =1 kappa' -> mean_over_places h kappa = mean_over_places h kappa'.
Proof.
move=> e; apply: eq_bigr => b _; congr (_ * _).
by apply: eq_bigr => i _; rewrite e.
Qed.

Lemma mean_telescope h kappa kappa' :
  mean_over_places h kappa' - mean_over_places h kappa =
  \sum_(i < N) (kappa' i - kappa i) * mean_over_places (gain i h) (hybrid kappa kappa' i).
Proof.
pose F m := mean_over_places h (hybrid kappa kappa' m).
have -> : mean_over_places h kappa' = F N.
  by apply: mean_eq => i; rewrite /hybrid ltn_ord.
have -> : mean_over_places h kappa = F 0%N by apply: mean_eq.
rewrite -telescope_sumr // big_mkord; apply: eq_bigr => i _.
rewrite /F (@move_gain _ _ _ i) => [|j ji].
  by rewrite /hybrid ltnSn ltnn.
by rewrite /hybrid ltnS leq_eqVlt (negbTE (_ : nat_of_ord j != i)).
Qed.

Lemma sum_le0 (S : finType) (F : S -> R) : (forall x, F x <= 0) -> \sum_x F x <= 0.
Proof. by move=> F0; rewrite -oppr_ge0 -sumrN; apply: sumr_ge0 => x _; rewrite oppr_ge0. Qed.

Lemma mean_le0 h kappa : unit_interval kappa -> (forall b, h b <= 0) -> mean_over_places h kappa <= 0.
Proof.
move=> k01 h0; apply: sum_le0 => b; apply: mulr_ge0_le0 => //.
by apply: prodr_ge0 => i _; have /andP [k0 k1] := k01 i; case: (b i); rewrite ?subr_ge0.
Qed.

Section Jump.
Variables (kappa kappa' : 'I_N -> R).
Hypotheses (k01 : unit_interval kappa) (k01' : unit_interval kappa').
Hypothesis mono : forall i, kappa i <= kappa' i.

Let hybrid01 m : unit_interval (hybrid kappa kappa' m).
Proof. by move=> i; rewrite /hybrid; case: ifP. Qed.

(* A step of several places: the growth counts each against the start. *)
Lemma submodular_jump h :
  (forall i j b, gain j (gain i h) b <= 0) ->
  mean_over_places h kappa' - mean_over_places h kappa <=
  growth h kappa (fun i => kappa' i - kappa i).
Proof.
move=> sub; rewrite growthE => [|i ki]; last first.
  by apply/eqP; rewrite eq_le subr_le0 subr_ge0 mono ki; case/andP: (k01' i) => _ ->.
rewrite mean_telescope; apply: ler_sum => i _; rewrite -mean_gain.
apply: ler_wpmul2l; first by rewrite subr_ge0.
rewrite -subr_le0 mean_telescope; apply: sum_le0 => j; apply: mulr_ge0_le0.
  by rewrite {1}/hybrid; case: ifP => _; [rewrite subr_ge0 | rewrite subrr].
by apply: mean_le0 => // l; rewrite /hybrid; case: ifP => _ //; case: ifP.
Qed.

End Jump.
End Places.

Section Jumps.
Variables (R : numFieldType) (N : nat) (V : finType) (L : R -> R).
Local Notation data := {ffun 'I_N -> V}.
Local Notation state := {ffun 'I_N -> option V}.
Local Notation places := {ffun 'I_N -> bool}.
Add Field R_field' : (numfield_theory R).
Variable q : data -> R.
Hypotheses (L_log : logarithm L) (q_pmf : is_pmf q).
Local Notation h := (places_entropy q L).
Let L_mul : additive_on_products L := proj1 L_log.
Let q0 y : 0 <= q y. Proof. by case: q_pmf. Qed.

(* Forgetting a token can only add mass. *)
Lemma forget_mass (z : state) j : revealed_mass q z <= revealed_mass q (upd z j None).
Proof.
apply: ler_sum => y _; apply: ler_wpmul2l => //; rewrite ler_nat.
case: (boolP (agrees z y)) => // /forallP ag; rewrite (_ : agrees _ _) //.
by apply/forallP => l; rewrite ffunE; case: (eqVneq l j) => // _; apply: ag.
Qed.

(* A step at the places e that moves place i alone. *)
Lemma one_place_loss (e : places) i cost : ~~ e i ->
  masked_loss q (fun l => (e l)%:R) (fun l => (e l)%:R + (l == i)%:R) cost =
  \sum_y q y * cost (show e y) i (y i).
Proof.
move=> ei; rewrite masked_loss_places.
have weight (b : places) : places_weight (fun l => (e l)%:R) b = (b == e)%:R :> R.
  by rewrite eq_state; apply: eq_bigr => l _; case: (b l); case: (e l); rewrite ?subr0 ?subrr.
under eq_bigr do rewrite weight.
rewrite sum_delta (bigD1 i) //= [X in _ + X]big1 ?addr0 => [|l /negbTE li]; last first.
  by rewrite li addr0 subrr mul0r mulr0 mul0r.
by rewrite (negbTE ei) eqxx add0r !subr0 divr1 !mul1r.
Qed.

Lemma conditioning (c : places) i j : i != j -> ~~ c i -> ~~ c j ->
  h (upd (upd c j true) i true) - h (upd c j true) <= h (upd c i true) - h c.
Proof.
move=> ij ci cj; rewrite !entropy_growth //; set e := upd c j true.
have ei : ~~ e i by rewrite /e ffunE (negbTE ij).
pose model (z : state) := token_posterior q (upd z j None).
have showE (y : data) : upd (show e y) j None = show c y.
  by apply/ffunP => l; rewrite !ffunE; case: (eqVneq l j) => [-> | //]; rewrite (negbTE cj).
have forget : \sum_y q y * token_cost L (token_posterior q) (show c y) i (y i) =
    \sum_y q y * token_cost L model (show e y) i (y i).
  by apply: eq_bigr => y _; rewrite -showE.
rewrite forget.
have k01 : unit_interval (fun l => (e l)%:R : R) by move=> l; rewrite ler0n lern1 leq_b1.
rewrite -!(one_place_loss _ ei) -subr_ge0 masked_loss_excess //.
apply: sumr_ge0 => z _; set p := marginal_path _ _ _.
have [-> | pz] := eqVneq p 0; first by rewrite mul0r.
apply: mulr_ge0; first by apply: marginal_path_ge0 => // y z'; apply: masked_path_ge0.
apply: sumr_ge0 => l _; have [li | li] := eqVneq l i; last first.
  by rewrite addr0 subrr mul0r mulr0 mul0r.
have [zi | _] := eqVneq (z l) None; last by rewrite !mul0r.
rewrite {l}li in zi *; rewrite (negbTE ei) add0r !subr0 divr1 !mul1r.
have S0 : revealed_mass q z != 0.
  by move: pz; rewrite /p C22_path_factorization mulf_eq0 negb_or => /andP [].
have S1 : revealed_mass q (upd z j None) != 0.
  by apply: lt0r_neq0; apply: lt_le_trans (forget_mass z j); rewrite lt0r S0 revealed_mass_ge0.
apply: (C14_gibbs L_log); first exact: mass_posterior_pmf.
  by apply: mass_posterior_pmf => //; rewrite ffunE (negbTE ij).
move=> v; rewrite /model /token_posterior /= => /eqP.
rewrite mulf_eq0 invr_eq0 (negbTE S1) orbF => /eqP m0.
have swap : upd (upd z j None) i (Some v) = upd (upd z i (Some v)) j None.
  apply/ffunP => l; rewrite !ffunE; case: (eqVneq l i) => [-> | //].
  by rewrite (negbTE ij).
have le0 : revealed_mass q (upd z i (Some v)) <= 0 by rewrite -m0 swap forget_mass.
have -> : revealed_mass q (upd z i (Some v)) = 0.
  by apply/eqP; rewrite eq_le le0 revealed_mass_ge0.
by rewrite mul0r.
Qed.

Lemma entropy_submodular i j b : gain j (gain i h) b <= 0.
Proof.
have [-> | ij] := eqVneq i j; first by rewrite /gain !upd_twice subrr.
pose c := upd (upd b j false) i false.
have swap u v : upd (upd b j u) i v = upd (upd c j u) i v.
  by apply/ffunP => l; rewrite !ffunE; case: eqP => // _; case: eqP.
have cj v : upd c i v = upd (upd b j false) i v by rewrite /c upd_twice.
have ci : upd c j true = upd (upd b j true) i false.
  apply/ffunP => l; rewrite !ffunE; case: (eqVneq l j) => [-> | //].
  by rewrite eq_sym (negbTE ij).
have := @conditioning c i j ij; rewrite /gain -subr_le0 => le.
rewrite -ci (swap true true) -(cj true) -/c; apply: le.
  by rewrite /c ffunE eqxx.
by rewrite /c !ffunE eq_sym (negbTE ij) eqxx.
Qed.

Theorem C19_jumps_at_least_entropy (kappa : nat -> 'I_N -> R) n :
  revealing_schedule kappa -> (forall i, kappa n i = 1) ->
  entropy L q <= \sum_(t < n) masked_loss q (kappa t) (kappa t.+1)
                                (token_cost L (token_posterior q)).
Proof.
move=> [k01 mono k0] k1.
have -> : entropy L q = \sum_(t < n) (mean_entropy q L (kappa t.+1) - mean_entropy q L (kappa t)).
  rewrite -(big_mkord xpredT (fun t => mean_entropy q L (kappa t.+1) - mean_entropy q L (kappa t))).
  by rewrite telescope_sumr // (mean_entropy_start L_mul q_pmf k0) (mean_entropy_end q L k1) subr0.
apply: ler_sum => t _; rewrite C19_loss_is_entropy_growth //.
by apply: submodular_jump => // i j b; apply: entropy_submodular.
Qed.

End Jumps.
