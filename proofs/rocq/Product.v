(* C21 (and C05): factorized sampling of a mixture against a mixture of
   factorized samplers.

   One law where at most one position moves.  With two movers i, j they differ
   by Cov_r of the experts' kernels at i and j, so they agree iff that
   covariance is zero for all tokens; for two binary tokens and two experts the
   distance is 2 |r1 r2 Dp^1 Dp^2|.                                          *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization Stability.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Product.
Variables (R : numFieldType) (N : nat) (T K : finType).
Local Notation state := {ffun 'I_N -> T}.
Local Notation velocity := ('I_N -> T -> state -> R).
Add Field R_field : (numfield_theory R).

(* The law of the next token at position i from z. *)
Definition token_kernel (u : velocity) (z : state) (i : 'I_N) (a : T) : R :=
  (a == z i)%:R + u i a z.

Definition covariance (r f g : K -> R) : R :=
  \sum_k r k * (f k * g k) - (\sum_k r k * f k) * (\sum_k r k * g k).

(* The weights r at z; the experts' velocities there are mixed. *)
Definition mixed_at (r : K -> R) (u : K -> velocity) : velocity :=
  mixed_velocity (fun k _ => r k) u.

Lemma token_kernel_mixed r u z i a :
  \sum_k r k = 1 ->
  token_kernel (mixed_at r u) z i a = \sum_k r k * token_kernel (u k) z i a.
Proof.
move=> r1; rewrite /token_kernel -[X in X + _]mul1r -r1 mulr_suml -big_split /=.
by apply: eq_bigr => k _; rewrite mulrDr.
Qed.

Lemma still_token u z i a : ~~ moves u z i -> token_kernel u z i a = (a == z i)%:R.
Proof. by move=> /movesPn still; rewrite /token_kernel still addr0. Qed.

Lemma still_mixed (r : K -> R) (u : K -> velocity) z i :
  (forall k, ~~ moves (u k) z i) -> ~~ moves (mixed_at r u) z i.
Proof.
move=> still; apply/negP => /existsP [a]; apply/negP; rewrite negbK.
rewrite /mixed_at /mixed_velocity big1 // => k _.
by rewrite (movesPn (still k)) mulr0.
Qed.

Theorem C21_one_mover_same_law (r : K -> R) (u : K -> velocity) z :
  \sum_k r k = 1 ->
  (forall k l i j, moves (u k) z i -> moves (u l) z j -> i = j) ->
  forall x, \sum_k r k * step_kernel (u k) z x = step_kernel (mixed_at r u) z x.
Proof.
move=> r1 one x.
have movers i : moves (mixed_at r u) z i -> exists k, moves (u k) z i.
  move=> m; apply/existsP; apply: contraT; rewrite negb_exists => /forallP still.
  by rewrite (negbTE (still_mixed r still)) in m.
rewrite step_kernel_one_mover; last first.
  by move=> i j /movers [k mk] /movers [l ml]; apply: one mk ml.
have first_order k := step_kernel_one_mover x (one k k).
under eq_bigr do rewrite first_order mulrDr.
rewrite big_split /= -mulr_suml r1 mul1r; congr (_ + _).
under eq_bigr do rewrite mulr_sumr.
rewrite exchange_big; apply: eq_bigr => i _ /=; rewrite mulr_sumr.
by apply: eq_bigr => k _; rewrite mulrCA.
Qed.

Theorem C21_two_movers_covariance (r : K -> R) (u : K -> velocity) z i j x :
  \sum_k r k = 1 -> i != j ->
  (forall k l, l != i -> l != j -> ~~ moves (u k) z l) ->
  \sum_k r k * step_kernel (u k) z x - step_kernel (mixed_at r u) z x =
  [forall l, (l != i) && (l != j) ==> (x l == z l)]%:R *
  covariance r (fun k => token_kernel (u k) z i (x i))
               (fun k => token_kernel (u k) z j (x j)).
Proof.
move=> r1 ij still.
have split_ v : (forall l, l != i -> l != j -> ~~ moves v z l) ->
    step_kernel v z x = [forall l, (l != i) && (l != j) ==> (x l == z l)]%:R *
      (token_kernel v z i (x i) * token_kernel v z j (x j)).
  move=> sv; have ji : j != i by rewrite eq_sym.
  rewrite /step_kernel (bigD1 i) //= (bigD1 j ji) /=.
  rewrite (eq_bigr (fun l => (x l == z l)%:R)); last first.
    by move=> l /andP [li lj]; apply: still_token (sv l li lj).
  by rewrite prod_bool mulrA; apply: mulrC.
rewrite split_; last by move=> l li lj; apply: still_mixed => k; apply: still.
have split_k k := split_ (u k) (still k).
under eq_bigr do rewrite split_k mulrCA.
by rewrite -mulr_sumr -mulrBr !token_kernel_mixed.
Qed.

Theorem C21_two_movers_same_law_iff (r : K -> R) (u : K -> velocity) z i j :
  \sum_k r k = 1 -> i != j ->
  (forall k l, l != i -> l != j -> ~~ moves (u k) z l) ->
  (forall x, \sum_k r k * step_kernel (u k) z x = step_kernel (mixed_at r u) z x)
  <->
  (forall a b, covariance r (fun k => token_kernel (u k) z i a)
                            (fun k => token_kernel (u k) z j b) = 0).
Proof.
move=> r1 ij still; split=> [same a b | cov0 x]; last first.
  apply/eqP; rewrite -subr_eq0 (C21_two_movers_covariance _ r1 ij still).
  by rewrite cov0 mulr0.
have /eqP := same (upd (upd z i a) j b).
rewrite -subr_eq0 (C21_two_movers_covariance _ r1 ij still).
rewrite upd_at (upd_off _ _ ij) upd_at (_ : [forall l, _]) ?mul1r; last first.
  by apply/forallP => l; apply/implyP => /andP [li lj]; rewrite !upd_off.
by move=> /eqP.
Qed.

(* The covariance of two experts. *)
Lemma covariance_two (r f g : bool -> R) :
  r true + r false = 1 ->
  \sum_k r k * (f k * g k) - (\sum_k r k * f k) * (\sum_k r k * g k) =
  r true * r false * (f true - f false) * (g true - g false).
Proof.
move=> r1; rewrite !big_bool /=.
have -> : r false = 1 - r true by rewrite -r1; ring_in R.
by ring_in R.
Qed.

End Product.

Section Binary.
Variable R : numFieldType.
Add Field R_field' : (numfield_theory R).

(* Two binary tokens, two experts: Dp^i is the difference of the experts'
   probabilities of one token at position i. *)
Theorem C21_two_experts_binary (r : bool -> R)
    (u : bool -> 'I_2 -> bool -> {ffun 'I_2 -> bool} -> R) z :
  is_pmf r -> (forall k i, \sum_a u k i a z = 0) ->
  TV (fun x => \sum_k r k * step_kernel (u k) z x)
     (step_kernel (mixed_at r u) z) =
  2%:R * `|r true * r false *
     (token_kernel (u true) z ord0 true - token_kernel (u false) z ord0 true) *
     (token_kernel (u true) z ord_max true - token_kernel (u false) z ord_max true)|.
Proof.
move=> [r0 r1] total.
have r1' : r true + r false = 1 by rewrite -r1 big_bool.
have flip k i : token_kernel (u k) z i false = 1 - token_kernel (u k) z i true.
  have : \sum_a token_kernel (u k) z i a = 1.
    by rewrite big_split /= sum_delta1 total addr0.
  by rewrite big_bool /= => <-; rewrite addrAC subrr add0r.
have diff x : \sum_k r k * step_kernel (u k) z x - step_kernel (mixed_at r u) z x =
    r true * r false *
    (token_kernel (u true) z ord0 (x ord0) - token_kernel (u false) z ord0 (x ord0)) *
    (token_kernel (u true) z ord_max (x ord_max) -
     token_kernel (u false) z ord_max (x ord_max)).
  rewrite -(covariance_two (fun k => token_kernel (u k) z ord0 (x ord0))
             (fun k => token_kernel (u k) z ord_max (x ord_max)) r1').
  have two v : step_kernel v z x =
      token_kernel v z ord0 (x ord0) * token_kernel v z ord_max (x ord_max).
    exact: prod_ord2.
  rewrite two !token_kernel_mixed //; congr (_ - _).
  by apply: eq_bigr => k _; rewrite two.
rewrite /TV; under eq_bigr do rewrite diff.
rewrite sum_pair2 !big_bool /= !pair2_0 !pair2_1 !flip.
set c := r true * r false.
set f := token_kernel _ _ ord0 _; set f' := token_kernel _ _ ord0 _.
set g := token_kernel _ _ ord_max _; set g' := token_kernel _ _ ord_max _.
have fl (a b : R) : 1 - a - (1 - b) = - (a - b) by ring_in R.
rewrite !fl !(mulrN, mulNr) opprK !normrN.
have two_neq0 : 2%:R != 0 :> R by rewrite pnatr_eq0.
apply: (mulIf two_neq0); rewrite divfK //; set n := `|_|.
by rewrite -[2%:R]/(1 + 1); ring_in R.
Qed.

End Binary.
