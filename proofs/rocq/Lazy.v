(* Products of lazy kernels, for the rate of C05.

   At a state z, position i stays with probability 1 - e_i, else is drawn from
   nu_i.  A product of averages of such kernels and the average of their
   products agree to first order in e; the rest is non-negative, of equal mass
   in both, at most sum_{i<j} e_i e_j, which therefore bounds their total
   variation.                                                                *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Masked MaskedStep Stability.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Pairs.
Variables (R : numFieldType) (N : nat) (e : 'I_N -> R).
Hypothesis e01 : unit_interval e.
Add Field R_field : (numfield_theory R).

Let e_ge0 i : 0 <= e i. Proof. by case/andP: (e01 i). Qed.
Let e_le1 i : e i <= 1. Proof. by case/andP: (e01 i). Qed.
Let c_ge0 i : 0 <= 1 - e i. Proof. by rewrite subr_ge0. Qed.

Definition pairs (s : seq 'I_N) : R :=
  \sum_(i <- s) \sum_(j <- s | (i < j)%N) e i * e j.

Lemma pairs_cons a s : a \notin s ->
  pairs (a :: s) = e a * (\sum_(j <- s) e j) + pairs s.
Proof.
move=> a_s; rewrite /pairs big_cons big_cons ltnn.
under [X in _ + X]eq_bigr do rewrite big_cons.
have -> : \sum_(i <- s) (if (i < a)%N then
    e i * e a + \sum_(j <- s | (i < j)%N) e i * e j
    else \sum_(j <- s | (i < j)%N) e i * e j) =
    \sum_(i <- s) (if (i < a)%N then e i * e a else 0) + pairs s.
  by rewrite -big_split; apply: eq_bigr => i _ /=; case: ifP; rewrite ?add0r.
rewrite addrA; congr (_ + _); rewrite big_mkcond -big_split /= mulr_sumr.
rewrite big_seq [RHS]big_seq; apply: eq_bigr => j js.
have ja : (j : nat) != a by apply: contraNneq a_s => /val_inj <-.
by case: ltngtP ja => // _ _; rewrite ?addr0 ?add0r // mulrC.
Qed.

Lemma prod_complement_ge (s : seq 'I_N) :
  1 - \prod_(i <- s) (1 - e i) <= \sum_(i <- s) e i.
Proof.
elim: s => [|a s IH]; first by rewrite !big_nil subrr.
rewrite !big_cons; set p := \prod_(i <- s) _ in IH *.
have p_le1 : p <= 1.
  apply: (@le_trans _ _ (\prod_(i <- s) 1)); last by rewrite big1_eq.
  by apply: ler_prod => i _; rewrite c_ge0 ler_subl_addr ler_addl e_ge0.
rewrite (_ : 1 - _ = e a * p + (1 - p)); last by ring_in R.
by apply: ler_add => //; rewrite -[X in _ <= X]mulr1; apply: ler_wpmul2l.
Qed.

Lemma remainder_le_pairs (s : seq 'I_N) : uniq s ->
  remainder (fun i => 1 - e i) (fun=> 1) s <= pairs s.
Proof.
elim: s => [_|a s IH /andP [a_s us]].
  by rewrite /remainder /first_order /pairs !big_nil !subrr.
rewrite remainder_cons // pairs_cons // addrC.
rewrite (_ : 1 - (1 - e a) = e a); last by ring_in R.
have rem0 : 0 <= remainder (fun i => 1 - e i) (fun=> 1) s.
  apply: remainder_ge0 => // i; last by rewrite ler_subl_addr ler_addl e_ge0.
apply: ler_add.
  apply: ler_wpmul2l => //; rewrite big1_eq; exact: prod_complement_ge.
apply: le_trans (IH us); rewrite -[X in _ <= X]mul1r; apply: ler_wpmul2r => //.
by rewrite ler_subl_addr ler_addl e_ge0.
Qed.

End Pairs.

Section Lazy.
Variables (R : numFieldType) (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.
Variables (z : state) (e : 'I_N -> R).
Hypothesis e01 : unit_interval e.
Add Field R_field' : (numfield_theory R).

Let e_ge0 i : 0 <= e i. Proof. by case/andP: (e01 i). Qed.
Let c_ge0 i : 0 <= 1 - e i. Proof. by rewrite subr_ge0; case/andP: (e01 i). Qed.

Definition stay_token (i : 'I_N) (a : T) : R := (1 - e i) * (a == z i)%:R.

Definition lazy_token (nu : 'I_N -> T -> R) (i : 'I_N) (a : T) : R :=
  stay_token i a + e i * nu i a.

Definition lazy_kernel nu (x : state) : R := \prod_i lazy_token nu i (x i).

Definition second_order nu (x : state) : R :=
  remainder (fun i => stay_token i (x i)) (fun i => lazy_token nu i (x i))
            (index_enum _).

Definition first_part nu (x : state) : R :=
  \sum_i e i * nu i (x i) * \prod_(j | j != i) stay_token j (x j).

Lemma lazy_kernel_split nu x :
  lazy_kernel nu x =
  \prod_i stay_token i (x i) + first_part nu x + second_order nu x.
Proof.
rewrite /second_order /remainder (_ : first_order _ _ _ = first_part nu x).
  by rewrite -[X in _ = _ + X]addrA -opprD [RHS]addrC subrK.
by apply: eq_bigr => i _; rewrite /lazy_token addrAC subrr add0r.
Qed.

Lemma second_order_ge0 nu x :
  (forall i a, 0 <= nu i a) -> 0 <= second_order nu x.
Proof.
move=> nu0; apply: remainder_ge0 => [i|i|]; last exact: index_enum_uniq.
  by rewrite mulr_ge0 ?ler0n.
by rewrite ler_addl mulr_ge0.
Qed.

Lemma second_order_mass nu : (forall i, \sum_a nu i a = 1) ->
  \sum_x second_order nu x = remainder (fun i => 1 - e i) (fun=> 1) (index_enum _).
Proof.
move=> nu1; have stay1 i : \sum_a stay_token i a = 1 - e i.
  by rewrite -mulr_sumr sum_delta1 mulr1.
have lazy1 i : \sum_a lazy_token nu i a = 1.
  by rewrite big_split /= stay1 -mulr_sumr nu1 mulr1 subrK.
rewrite /second_order /remainder !sumrB; congr (_ - _ - _).
- by rewrite sum_prod; apply: eq_bigr => i _.
- by rewrite sum_prod; apply: eq_bigr => i _.
rewrite exchange_big; apply: eq_bigr => i _ /=.
pose F j a := if j == i then e i * nu i a else stay_token j a.
transitivity (\sum_(x : state) \prod_j F j (x j)).
  apply: eq_bigr => x _; rewrite [RHS](bigD1 i) //= /F eqxx /lazy_token.
  rewrite addrAC subrr add0r; congr (_ * _); apply: eq_bigr => j /negbTE ji.
  by rewrite ji.
rewrite sum_prod (bigD1 i) //= /F eqxx -mulr_sumr nu1 mulr1 subKr; congr (_ * _).
by apply: eq_bigr => j /negbTE ->.
Qed.

Lemma TV_lazy (Y : finType) (post : Y -> R) (nu : Y -> 'I_N -> T -> R) :
  is_pmf post -> (forall y i, is_pmf (nu y i)) ->
  TV (lazy_kernel (fun i a => \sum_y post y * nu y i a))
     (fun x => \sum_y post y * lazy_kernel (nu y) x) <= pairs e (index_enum _).
Proof.
move=> [post0 post1] nu_pmf; set avg := fun i a => \sum_y post y * nu y i a.
have avg0 i a : 0 <= avg i a.
  by apply: sumr_ge0 => y _; apply: mulr_ge0 => //; case: (nu_pmf y i).
have avg1 i : \sum_a avg i a = 1.
  rewrite exchange_big /= -[RHS]post1; apply: eq_bigr => y _.
  by rewrite -mulr_sumr (proj2 (nu_pmf y i)) mulr1.
have diff x : lazy_kernel avg x - \sum_y post y * lazy_kernel (nu y) x =
    second_order avg x - \sum_y post y * second_order (nu y) x.
  have -> : \sum_y post y * lazy_kernel (nu y) x =
      \prod_i stay_token i (x i) + first_part avg x +
      \sum_y post y * second_order (nu y) x.
    have split_ y : post y * lazy_kernel (nu y) x =
        post y * (\prod_i stay_token i (x i)) + post y * first_part (nu y) x +
        post y * second_order (nu y) x.
      by rewrite lazy_kernel_split -mulrDr -mulrDr.
    rewrite (eq_bigr _ (fun y _ => split_ y)) big_split big_split /=.
    rewrite -mulr_suml post1 mul1r; congr (_ + _ + _).
    under eq_bigr do rewrite mulr_sumr.
    rewrite exchange_big; apply: eq_bigr => i _ /=; rewrite mulr_sumr mulr_suml.
    by apply: eq_bigr => y _; ring_in R.
  by rewrite lazy_kernel_split opprD addrACA subrr add0r.
have mass : \sum_x (second_order avg x + \sum_y post y * second_order (nu y) x) =
    2%:R * remainder (fun i => 1 - e i) (fun=> 1) (index_enum _).
  rewrite big_split /= second_order_mass // exchange_big /=.
  have mass1 y := second_order_mass (fun i => proj2 (nu_pmf y i)).
  under [X in _ + X]eq_bigr do rewrite -mulr_sumr mass1.
  by rewrite -mulr_suml post1 mul1r -mulr2n mulr_natl.
have two0 : 0 < 2%:R :> R by rewrite ltr0n.
rewrite /TV ler_pdivr_mulr // mulrC.
apply: le_trans (_ : _ <= 2%:R * remainder (fun i => 1 - e i) (fun=> 1) (index_enum _)) _.
  rewrite -mass; apply: ler_sum => x _; rewrite diff.
  apply: le_trans (ler_norm_sub _ _) _; rewrite !ger0_norm //.
    apply: sumr_ge0 => y _; apply: mulr_ge0 => //.
    by apply: second_order_ge0 => i a; case: (nu_pmf y i).
  exact: second_order_ge0.
by rewrite ler_pmul2l // remainder_le_pairs // index_enum_uniq.
Qed.

End Lazy.
