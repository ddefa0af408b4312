(* Sums over finite spaces, and the ring and field tactics.

   No row of the ledger: only rearrangements of sums over sequences x in T^N,
   among them the two on which everything rests:

     sum over z agreeing with x off position i  =  sum over the token at i,
     sum over x of prod_i f_i(x^i)  =  prod_i sum over a of f_i(a).          *)

From mathcomp Require Import all_ssreflect all_algebra.
From Coq Require Import Ring Field.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* The standard [ring] and [field] recognise operations by their syntax, and
   MathComp writes one operation through several canonical instances: each is
   first folded to one name. *)
Section FieldOperations.
Variable R : numFieldType.

Definition fadd (x y : R) : R := x + y.
Definition fmul (x y : R) : R := x * y.
Definition fopp (x : R) : R := - x.
Definition finv (x : R) : R := x^-1.
Definition fsub (x y : R) : R := x - y.
Definition fdiv (x y : R) : R := x / y.
Definition f0 : R := 0.
Definition f1 : R := 1.

Lemma numfield_theory : field_theory f0 f1 fadd fmul fsub fopp fdiv finv eq.
Proof.
split; last 1 first.
- by move=> p /eqP p0; rewrite /fmul mulVf.
- split=> *; rewrite /fadd /fmul /fsub /fopp /f0 /f1;
    rewrite ?(add0r, mul1r, mulrDl) //.
  + exact: addrC.
  + exact: addrA.
  + exact: mulrC.
  + exact: mulrA.
  + exact: subrr.
- by move=> /eqP; rewrite (negbTE (oner_neq0 _)).
- by [].
Qed.

End FieldOperations.

Ltac fold_operations R :=
  repeat match goal with
  | |- context [@GRing.add ?V ?x ?y] =>
      progress change (@GRing.add V x y) with (@fadd R x y)
  | |- context [@GRing.mul ?V ?x ?y] =>
      progress change (@GRing.mul V x y) with (@fmul R x y)
  | |- context [@GRing.opp ?V ?x] =>
      progress change (@GRing.opp V x) with (@fopp R x)
  | |- context [@GRing.inv ?V ?x] =>
      progress change (@GRing.inv V x) with (@finv R x)
  | |- context [GRing.zero ?V] => progress change (GRing.zero V) with (@f0 R)
  | |- context [GRing.one ?V] => progress change (GRing.one V) with (@f1 R)
  end;
  match goal with
  | |- @eq _ ?x ?y => change (@eq R x y)
  | _ => idtac
  end.

(* [ring_in R] needs [Add Field f : (numfield_theory R)] in its section. *)
Ltac ring_in R := fold_operations R; ring.
Ltac field_in R := fold_operations R; field.

(* Equalities of closed rationals are computed. *)
Ltac compute_rat := apply/eqP; vm_compute; exact: isT.

Section Sums.
Variable R : numFieldType.

Lemma sum_delta (S : finType) (a : S) (F : S -> R) :
  \sum_x (x == a)%:R * F x = F a.
Proof.
rewrite (bigD1 a) //= eqxx mul1r big1 ?addr0 // => x /negbTE ->.
by rewrite mul0r.
Qed.

Lemma sum_deltar (S : finType) (a : S) (F : S -> R) :
  \sum_x F x * (a == x)%:R = F a.
Proof.
rewrite -[RHS](sum_delta a F); apply: eq_bigr => x _.
by rewrite mulrC eq_sym.
Qed.

Lemma sum_delta1 (S : finType) (a : S) : \sum_x (x == a)%:R = 1 :> R.
Proof.
rewrite -[RHS](sum_delta a (fun=> 1)).
by apply: eq_bigr => x _; rewrite mulr1.
Qed.

Lemma sum_delta1r (S : finType) (a : S) : \sum_x (a == x)%:R = 1 :> R.
Proof. by rewrite -[RHS](sum_delta1 a); apply: eq_bigr => x _; rewrite eq_sym. Qed.

Lemma prod_bool (S : finType) (P b : pred S) :
  \prod_(i | P i) (b i)%:R = [forall i, P i ==> b i]%:R :> R.
Proof.
case: forallP => [all_b | not_all].
  by rewrite big1 // => i Pi; have := all_b i; rewrite Pi /= => ->.
have [i /andP [Pi nb]] : exists i, P i && ~~ b i.
  apply/existsP; apply: contraT; rewrite negb_exists => /forallP h.
  by case: not_all => i; have := h i; rewrite negb_and negbK implybE.
by rewrite (bigD1 i) //= (negbTE nb) mul0r.
Qed.

Lemma psum_eq0 (S : finType) (F : S -> R) :
  (forall x, 0 <= F x) -> \sum_x F x = 0 -> forall x, F x = 0.
Proof. by move=> F0 s0 x; apply: (psumr_eq0P _ s0). Qed.

Lemma psum_neq0 (S : finType) (F : S -> R) x :
  (forall x, 0 <= F x) -> F x != 0 -> \sum_x F x != 0.
Proof. by move=> F0; apply: contra => /eqP s0; rewrite (psum_eq0 F0 s0). Qed.

Lemma mul_divK (a b : R) : (b = 0 -> a = 0) -> b * (a / b) = a.
Proof.
have [-> /(_ erefl) -> | b0 _] := eqVneq b 0; first by rewrite mul0r.
by rewrite mulrC divfK.
Qed.

(* Sequences x in T^N. *)
Section Sequences.
Variables (N : nat) (T : finType).
Local Notation state := {ffun 'I_N -> T}.

Definition upd (x : state) (i : 'I_N) (a : T) : state :=
  [ffun j => if j == i then a else x j].

(* delta_z(x^{-i}) of the divergence: z and x agree at every position but i. *)
Definition agree_off (i : 'I_N) (z x : state) : bool :=
  [forall j, (j != i) ==> (z j == x j)].

Lemma upd_at x i a : upd x i a i = a.
Proof. by rewrite ffunE eqxx. Qed.

Lemma upd_off x i a j : j != i -> upd x i a j = x j.
Proof. by move=> /negbTE ji; rewrite ffunE ji. Qed.

Lemma agree_upd i x a : agree_off i (upd x i a) x.
Proof. by apply/forallP => j; apply/implyP => ji; rewrite upd_off. Qed.

Lemma agree_offP i z x : agree_off i z x -> upd x i (z i) = z.
Proof.
move=> /forallP zx; apply/ffunP => j; rewrite ffunE.
by case: eqP => [-> // | /eqP ji]; have := zx j; rewrite ji => /eqP.
Qed.

Lemma agree_off_sym i z x : agree_off i z x = agree_off i x z.
Proof. by apply: eq_forallb => j; rewrite [z j == _]eq_sym. Qed.

Lemma sum_agree_off i x (F : state -> R) :
  \sum_z (agree_off i z x)%:R * F z = \sum_b F (upd x i b).
Proof.
rewrite (eq_bigr (fun z => if agree_off i z x then F z else 0)); last first.
  by move=> z _; case: agree_off; rewrite ?mul1r ?mul0r.
rewrite -big_mkcond (reindex_onto (upd x i) (fun z => z i)) /=.
  by apply: eq_bigl => b; rewrite upd_at eqxx andbT agree_upd.
by move=> z; apply: agree_offP.
Qed.

Lemma sum_prod (f : 'I_N -> T -> R) :
  \sum_(x : state) \prod_i f i (x i) = \prod_i \sum_a f i a.
Proof. by rewrite bigA_distr_bigA. Qed.

Lemma prod_upd (f : 'I_N -> T -> R) x i a :
  \prod_j f j (upd x i a j) = f i a * \prod_(j | j != i) f j (x j).
Proof.
rewrite (bigD1 i) //= upd_at; congr (_ * _).
by apply: eq_bigr => j ji; rewrite upd_off.
Qed.

Lemma eq_state (x z : state) :
  (x == z)%:R = \prod_i (x i == z i)%:R :> R.
Proof.
rewrite prod_bool; congr (_%:R); congr nat_of_bool.
apply/eqP/forallP => [-> i | h]; first by rewrite /= eqxx.
by apply/ffunP => i; apply/eqP; apply: h.
Qed.

Lemma agree_off_prod i (x z : state) :
  (agree_off i z x)%:R = \prod_(j | j != i) (x j == z j)%:R :> R.
Proof. by rewrite prod_bool agree_off_sym. Qed.

Lemma eq_state_off i (x z : state) :
  (x == z)%:R = (x i == z i)%:R * (agree_off i z x)%:R :> R.
Proof. by rewrite eq_state (bigD1 i) //= agree_off_prod. Qed.

End Sequences.

(* Sequences of length two. *)
Section Pairs.
Variable T : finType.

Definition pair2 (a b : T) : {ffun 'I_2 -> T} :=
  [ffun i => if i == ord0 then a else b].

Lemma ord2P (i : 'I_2) : i = if i == ord0 then ord0 else ord_max.
Proof. by case: i => [[|[|]]] // h; apply: val_inj. Qed.

Lemma pair2_0 a b : pair2 a b ord0 = a.
Proof. by rewrite ffunE. Qed.

Lemma pair2_1 a b : pair2 a b ord_max = b.
Proof. by rewrite ffunE. Qed.

Lemma pair2K (x : {ffun 'I_2 -> T}) : pair2 (x ord0) (x ord_max) = x.
Proof. by apply/ffunP => i; rewrite ffunE [in RHS](ord2P i); case: eqP. Qed.

Lemma eq_pair2 a b a' b' :
  (pair2 a b == pair2 a' b') = (a == a') && (b == b').
Proof.
apply/eqP/andP => [e | [/eqP -> /eqP ->] //]; split; apply/eqP.
  by rewrite -(pair2_0 a b) e pair2_0.
by rewrite -(pair2_1 a b) e pair2_1.
Qed.

Lemma sum_ord2 (F : 'I_2 -> R) : \sum_i F i = F ord0 + F ord_max.
Proof.
rewrite !big_ord_recl big_ord0 addr0; congr (_ + F _); exact: val_inj.
Qed.

Lemma prod_ord2 (F : 'I_2 -> R) : \prod_i F i = F ord0 * F ord_max.
Proof.
rewrite !big_ord_recl big_ord0 mulr1; congr (_ * F _); exact: val_inj.
Qed.

Lemma forall_ord2 (P : pred 'I_2) : [forall i, P i] = P ord0 && P ord_max.
Proof.
apply/forallP/andP => [h | [h0 h1] i]; first by split; apply: h.
by rewrite (ord2P i); case: eqP.
Qed.

Lemma sum_pair2 (F : {ffun 'I_2 -> T} -> R) :
  \sum_x F x = \sum_a \sum_b F (pair2 a b).
Proof.
rewrite pair_bigA /= (reindex (fun p : T * T => pair2 p.1 p.2)) //=.
exists (fun x => (x ord0, x ord_max)) => [[a b] _|x _] /=.
  by rewrite pair2_0 pair2_1.
exact: pair2K.
Qed.

Lemma upd_pair2_0 a b c : upd (pair2 a b) ord0 c = pair2 c b.
Proof. by apply/ffunP => i; rewrite !ffunE; case: eqP. Qed.

Lemma upd_pair2_1 a b c : upd (pair2 a b) ord_max c = pair2 a c.
Proof. by apply/ffunP => i; rewrite !ffunE; case: (i) => [[|[|]]]. Qed.

End Pairs.
End Sums.
