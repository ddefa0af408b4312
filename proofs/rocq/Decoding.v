(* C16: greedy decoding and the nucleus, of tokens 0 < 1 < ... < n - 1.

   A token comes before another if it is more likely, or as likely and of lower
   index.  Greedy decoding takes the first; the nucleus of mass s the fewest
   first tokens of mass at least s: those before which there is less than s.
   Greedy after mixing and greedy per expert differ by the weight of the experts
   that disagree with the mixture; they agree iff all experts of positive weight
   share their first token.                                                  *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization Stability.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Decoding.
Variables (R : numFieldType) (n : nat).
Implicit Types (p : 'I_n -> R) (a b c : 'I_n).

Definition before p b a : bool := (p a < p b) || ((p a == p b) && (b < a)%N).

Definition likeliest p a : bool := [forall b, (b != a) ==> before p a b].

Definition greedy p a : R := (likeliest p a)%:R.

Definition in_nucleus (s : R) p a : bool := \sum_(b | before p b a) p b < s.

Definition nucleus (s : R) p a : R :=
  (in_nucleus s p a)%:R * p a / \sum_b (in_nucleus s p b)%:R * p b.

Lemma before_asym p a b : before p a b -> before p b a = false.
Proof.
rewrite /before eq_sym; case/orP => [lt | /andP [/eqP <- ab]].
  by rewrite (lt_gtF lt) (gt_eqF lt).
by rewrite ltxx eqxx /= ltnNge (ltnW ab).
Qed.

Lemma likeliest_unique p a b : likeliest p a -> likeliest p b -> a = b.
Proof.
move=> /forallP pa /forallP pb; apply/eqP; apply: contraT => ab.
have := implyP (pb a) ab; rewrite before_asym //.
by apply: (implyP (pa b)); rewrite eq_sym.
Qed.

Lemma greedyE p a : likeliest p a -> greedy p =1 (fun b => (b == a)%:R).
Proof.
move=> pa b; rewrite /greedy; congr (nat_of_bool _)%:R.
by apply/idP/eqP => [pb | -> //]; apply: likeliest_unique pb pa.
Qed.

Lemma before_trans p a b c : before p a b -> before p b c -> before p a c.
Proof.
rewrite /before; case/orP => [ba | /andP [/eqP ba ab]].
  by case/orP => [cb | /andP [/eqP -> _]]; rewrite ?(lt_trans cb ba) ?ba.
rewrite ba; case/orP => [-> // | /andP [-> bc]].
by rewrite (ltn_trans ab bc) orbT.
Qed.

Lemma before_total p a b : (forall a, 0 <= p a) -> a != b -> before p a b || before p b a.
Proof.
move=> p0 ab; rewrite /before [p b == p a]eq_sym.
case: (real_ltgtP (ger0_real (p0 a)) (ger0_real (p0 b))) => //= _.
by case: ltngtP ab => // /val_inj ->; rewrite eqxx.
Qed.

Lemma likeliest_exists p : (0 < n)%N -> (forall a, 0 <= p a) -> exists a, likeliest p a.
Proof.
move=> n0 p0; pose a0 := Ordinal n0.
suff first (s : seq (ordinal n)) : exists a, forall b, b \in s -> b != a -> before p a b.
  have [a pa] := first (enum 'I_n).
  by exists a; apply/forallP => b; apply/implyP; apply: pa; rewrite mem_enum.
elim: s => [|x s [a pa]]; first by exists a0.
have [-> | xa] := eqVneq x a.
  by exists a => b; rewrite in_cons => /orP [/eqP -> | /pa //]; rewrite eqxx.
case/orP: (before_total p0 xa) => [before_a | before_x].
  exists x => b; rewrite in_cons => /orP [/eqP -> | bs bx]; first by rewrite eqxx.
  by have [-> // | ba] := eqVneq b a; apply: before_trans before_a (pa _ bs ba).
by exists a => b; rewrite in_cons => /orP [/eqP -> // | /pa].
Qed.

Section Mixing.
Variables (K : finType) (r : K -> R) (p : K -> 'I_n -> R).
Hypotheses (r_pmf : is_pmf r) (p_pmf : forall k, is_pmf (p k)).

Let r0 k : 0 <= r k. Proof. by case: r_pmf. Qed.
Let p0 k a : 0 <= p k a. Proof. by case: (p_pmf k). Qed.

Lemma charged : exists k, r k != 0.
Proof.
apply/existsP; apply: contraT; rewrite negb_exists => /forallP all0.
have := proj2 r_pmf; rewrite big1 => [/eqP|k _]; first by rewrite eq_sym oner_eq0.
by apply/eqP; have := all0 k; rewrite negbK.
Qed.

(* The first token that all charged experts share is the mixture's. *)
Lemma shared_likeliest a :
  (forall k, r k != 0 -> likeliest (p k) a) -> likeliest (mixture r p) a.
Proof.
move=> shared; apply/forallP => b; apply/implyP => ba.
have behind k : r k != 0 -> before (p k) a b.
  by move=> rk; apply: (implyP (forallP (shared k rk) b)).
have gap k : 0 <= r k * (p k a - p k b).
  have [-> | /behind] := eqVneq (r k) 0; first by rewrite mul0r.
  case/orP => [/ltW le | /andP [/eqP -> _]]; last by rewrite subrr mulr0.
  by rewrite mulr_ge0 ?subr_ge0.
have split_ : mixture r p a - mixture r p b = \sum_k r k * (p k a - p k b).
  by rewrite -sumrB; apply: eq_bigr => k _; rewrite mulrBr.
rewrite /before; have [tie | differ] := eqVneq (mixture r p b) (mixture r p a).
  rewrite tie ltxx /=.
  have [k rk] := charged.
  move: split_; rewrite tie subrr => /esym zero.
  have /eqP := psum_eq0 gap zero k; rewrite mulf_eq0 (negbTE rk) subr_eq0 /= => /eqP e.
  by have := behind k rk; rewrite /before e ltxx => /andP [].
rewrite lt_neqAle differ -subr_ge0 split_ /=.
by rewrite sumr_ge0.
Qed.

Theorem C16_greedy_TV (a : K -> 'I_n) a0 :
  (forall k, likeliest (p k) (a k)) -> likeliest (mixture r p) a0 ->
  TV (greedy (mixture r p)) (mixture r (fun k => greedy (p k))) = \sum_(k | a k != a0) r k.
Proof.
move=> pa ma; set d := \sum_(k | _) _.
have d0 : 0 <= d by apply: sumr_ge0.
have mixE b : mixture r (fun k => greedy (p k)) b = \sum_k r k * (b == a k)%:R.
  by apply: eq_bigr => k _; rewrite (greedyE (pa k)).
have at_a0 : \sum_k r k * (a0 == a k)%:R = 1 - d.
  rewrite -[in RHS](proj2 r_pmf) (bigID (fun k => a k == a0) _ (fun k => r k)) /= addrK [RHS]big_mkcond.
  by apply: eq_bigr => k _; rewrite eq_sym; case: eqP; rewrite ?mulr1 ?mulr0.
have total : \sum_b \sum_k r k * (b == a k)%:R = 1.
  rewrite exchange_big -[RHS](proj2 r_pmf); apply: eq_bigr => k _ /=.
  by rewrite -mulr_sumr sum_delta1 mulr1.
have rest : \sum_(b | b != a0) \sum_k r k * (b == a k)%:R = d.
  by move: total; rewrite (bigD1 a0) //= at_a0 => e; apply: (addrI (1 - d)); rewrite e subrK.
rewrite /TV (bigD1 a0) //= mixE at_a0 (greedyE ma) eqxx opprB addrCA subrr addr0 ger0_norm //.
rewrite (eq_bigr (fun b => \sum_k r k * (b == a k)%:R)) => [|b ba]; last first.
  rewrite mixE (greedyE ma) (negbTE ba) sub0r normrN ger0_norm //.
  by apply: sumr_ge0 => k _; rewrite mulr_ge0 ?ler0n.
by rewrite rest mulrDl -splitr.
Qed.

Theorem C16_greedy_agrees_iff :
  greedy (mixture r p) =1 mixture r (fun k => greedy (p k)) <->
  exists a, forall k, r k != 0 -> likeliest (p k) a.
Proof.
split=> [agree | [a shared] b]; last first.
  rewrite (greedyE (shared_likeliest shared)); transitivity ((\sum_k r k) * (b == a)%:R).
    by rewrite (proj2 r_pmf) mul1r.
  rewrite mulr_suml.
  apply: eq_bigr => k _; have [-> | /shared la] := eqVneq (r k) 0; first by rewrite !mul0r.
  by rewrite (greedyE la).
have [k1 _] := charged.
have n0 : (0 < n)%N.
  rewrite lt0n; apply/eqP => nz; have := proj2 (p_pmf k1); rewrite big1 => [/eqP|i _].
    by rewrite eq_sym oner_eq0.
  by have := ltn_ord i; rewrite {2}nz.
have m0 a : 0 <= mixture r p a by apply: sumr_ge0 => k _; apply: mulr_ge0.
have [a la] := likeliest_exists n0 m0; exists a => k rk.
have miss j : 0 <= r j * (1 - greedy (p j) a).
  by rewrite mulr_ge0 // subr_ge0 /greedy lern1 leq_b1.
have zero : \sum_j r j * (1 - greedy (p j) a) = 0.
  under eq_bigr do rewrite mulrBr mulr1; rewrite sumrB (proj2 r_pmf).
  by rewrite -/(mixture r (fun k => greedy (p k)) a) -agree (greedyE la) eqxx subrr.
have /eqP := psum_eq0 miss zero k; rewrite mulf_eq0 (negbTE rk) subr_eq0 /greedy /=.
by case: (likeliest _ _) => //; rewrite oner_eq0.
Qed.

End Mixing.
End Decoding.
