(* Controls of C16: decoding after mixing against decoding per expert.

   Greedy: experts (3/5, 2/5, 0) and (0, 2/5, 3/5), each weight 1/2: the mixture
   prefers the token that neither prefers, TV 1.
   Nucleus, other tokens: mass 3/4, (1, 0) and (1/2, 1/2): TV 1/4.
   Nucleus, the same tokens with other masses: mass 3/4, (1/2, 1/4, 1/4) and
   (1/2, 1/2, 0): 4/7 against 7/12.
   Temperature 1/2: accidental agreement.                                   *)

From mathcomp Require Import all_ssreflect all_algebra.
From Ddfm Require Import Sums Velocity Decentralization Stability Averaging Decoding.
From Ddfm Require Import CounterexamplesToken.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import Order.Theory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

(* The law of tokens 0, 1, 2, ... as a list. *)
Definition law_of n (s : seq rat) (a : 'I_n) : rat := nth 0 s a.

Definition pair_of n (s s' : seq rat) (k : bool) : 'I_n -> rat := law_of (if k then s else s').

Lemma sum3 (F : 'I_3 -> rat) :
  \sum_a F a = F ord0 + F (lift ord0 ord0) + F (lift ord0 (lift ord0 ord0)).
Proof. by rewrite !big_ord_recl big_ord0 addr0 addrA. Qed.

Section Greedy.
Let experts := @pair_of 3 [:: 3%:R / 5%:R; 2%:R / 5%:R; 0] [:: 0; 2%:R / 5%:R; 3%:R / 5%:R].

Theorem C16_control_greedy :
  TV (greedy (mixture even experts)) (mixture even (fun k => greedy (experts k))) = 1.
Proof.
have even_pmf : is_pmf even by split=> [k|]; rewrite ?big_bool; [|compute_rat].
pose first (k : bool) : 'I_3 := if k then ord0 else lift ord0 (lift ord0 ord0).
have each k : likeliest (experts k) (first k).
  by case: k; apply/forallP => -[[|[|[|]]]].
have mixed : likeliest (mixture even experts) (lift ord0 ord0).
  by apply/forallP => -[[|[|[|]]] lt] //; rewrite /before /mixture !big_bool.
rewrite (C16_greedy_TV even_pmf each mixed) big_mkcond big_bool.
by compute_rat.
Qed.

End Greedy.

(* The nucleus as a quotient to be computed. *)
Section Nucleus.
Variables (s : rat).

Definition kept_token n (sum : ('I_n -> rat) -> rat) (p : 'I_n -> rat) (a : 'I_n) : rat :=
  if sum (fun b => if before p b a then p b else 0) < s then p a else 0.

Lemma nucleusE n sum (p : 'I_n -> rat) a : (forall F, \sum_b F b = sum F) ->
  nucleus s p a = kept_token sum p a / sum (kept_token sum p).
Proof.
move=> sumE; have tokenE b : (in_nucleus s p b)%:R * p b = kept_token sum p b.
  rewrite /in_nucleus /kept_token big_mkcond sumE.
  by case: (_ < _); rewrite ?mul1r ?mul0r.
by rewrite /nucleus tokenE; under eq_bigr do rewrite tokenE; rewrite sumE.
Qed.

End Nucleus.

Lemma before_eq n (p p' : 'I_n -> rat) b a : p =1 p' -> before p b a = before p' b a.
Proof. by move=> e; rewrite /before !e. Qed.

Lemma nucleus_eq n s (p p' : 'I_n -> rat) a : p =1 p' -> nucleus s p a = nucleus s p' a.
Proof.
move=> e; have same b : in_nucleus s p b = in_nucleus s p' b.
  by congr (_ < _); apply: eq_big => c; rewrite ?e // (before_eq _ _ e).
by rewrite /nucleus same e; congr (_ / _); apply: eq_bigr => b _; rewrite same e.
Qed.

Lemma even_mixture n (p : bool -> 'I_n -> rat) a :
  mixture even p a = p true a / 2%:R + p false a / 2%:R.
Proof. by rewrite /mixture big_bool /even mul1r ![_^-1 * _]mulrC. Qed.

(* Experts with other tokens in their nuclei. *)
Theorem C16_control_nucleus (s := 3%:R / 4%:R)
    (experts := @pair_of 2 [:: 1; 0] [:: 1 / 2%:R; 1 / 2%:R]) :
  TV (nucleus s (mixture even experts)) (mixture even (fun k => nucleus s (experts k))) = 1 / 4%:R.
Proof.
rewrite /TV sum_ord2 !(nucleus_eq _ _ (even_mixture experts)) !even_mixture.
by rewrite !(nucleusE _ _ _ (@sum_ord2 _)); compute_rat.
Qed.

(* One nucleus, tokens 0 and 1, of mass 3/4 and 1, and other laws on it. *)
Theorem C16_control_nucleus_mass (s := 3%:R / 4%:R)
    (experts := @pair_of 3 [:: 1 / 2%:R; 1 / 4%:R; 1 / 4%:R] [:: 1 / 2%:R; 1 / 2%:R; 0]) :
  (forall k a, in_nucleus s (experts k) a = (a < 2)%N) /\
  nucleus s (mixture even experts) ord0 = 4%:R / 7%:R /\
  mixture even (fun k => nucleus s (experts k)) ord0 = 7%:R / 12%:R.
Proof.
split=> [k a|]; last split.
- rewrite /in_nucleus big_mkcond sum3.
  by case: k; case: a => [[|[|[|]]] lt] //; vm_compute.
- by rewrite (nucleus_eq _ _ (even_mixture experts)) (nucleusE _ _ _ sum3); compute_rat.
by rewrite even_mixture !(nucleusE _ _ _ sum3); compute_rat.
Qed.

(* Accidental agreement at temperature 1/2: mirror images, and one unlike pair. *)
Definition coins (p p' : rat) (k : bool) : bool -> rat := coin (if k then p else p').

Theorem C16_control_accidental
    (agree := fun r p p' : rat => sharpen 2 (mixture (coin (1 - r)) (coins p p')) false =
       mixture (coin (1 - r)) (fun k => sharpen 2 (coins p p' k)) false) :
  agree (1 / 2%:R) (1 / 4%:R) (3%:R / 4%:R) /\ agree (8%:R / 35%:R) (1 / 4%:R) (2%:R / 3%:R).
Proof. by split; rewrite /agree /sharpen /mixture !big_bool; compute_rat. Qed.
