(** * From the table of slide 11 to numbers that a computer can compare

    The same table over the rational numbers, where [vm_compute] can evaluate it.  The root in
    sqrt(1 - eta^2) is given beside eta as [k], with eta^2 + k^2 = 1 (3/5 and 4/5, 5/13 and 12/13).
    A test of the library lets Coq compare numbers computed in floating point, which are rational
    numbers, with this table; [agrees_iff] says what the comparison proves. *)

From Coquelicot Require Rcomplements.
From Coq Require Import Reals QArith Qreals Lra List Bool.
From Ddrm Require Import Slides_11_16.
Import ListNotations.
Open Scope Q_scope.

Record problem := {
  p_s : Q; p_sigma : Q; p_next : Q; p_sigma_y : Q; p_eta : Q; p_k : Q; p_eta_b : Q
}.
Record numbers := { n_x0 : Q; n_xt : Q; n_y : Q; n_noise : Q }.
Record row_Q := { q_x0 : Q; q_xt : Q; q_y : Q; q_variance : Q }.

(** A problem makes sense; it need not be admissible. *)
Definition sound (p : problem) : bool :=
  Qle_bool 0 (p_s p) && negb (Qle_bool (p_sigma p) 0) && Qle_bool 0 (p_next p)
  && Qle_bool 0 (p_k p) && Qeq_bool (p_eta p ^ 2 + p_k p ^ 2) 1.

Definition table_Q (p : problem) : row_Q :=
  let tau := p_sigma_y p / p_s p in
  if negb (Qle_bool (p_s p) 0) then
    if Qle_bool tau (p_next p) then
      {| q_x0 := 1 - p_eta_b p; q_xt := 0; q_y := p_eta_b p;
         q_variance := p_next p ^ 2 - p_sigma_y p ^ 2 / p_s p ^ 2 * p_eta_b p ^ 2 |}
    else
      {| q_x0 := 1 - p_k p * p_next p / tau; q_xt := 0; q_y := p_k p * p_next p / tau;
         q_variance := p_eta p ^ 2 * p_next p ^ 2 |}
  else
    {| q_x0 := 1 - p_k p * p_next p / p_sigma p; q_xt := p_k p * p_next p / p_sigma p; q_y := 0;
       q_variance := p_eta p ^ 2 * p_next p ^ 2 |}.

(** ** The rational table is the real one *)

Definition table_R (p : problem) : row :=
  table (Q2R (p_s p)) (Q2R (p_sigma p)) (Q2R (p_next p)) (Q2R (p_sigma_y p)) (Q2R (p_eta p))
    (Q2R (p_eta_b p)).

Lemma Qle_bool_Q2R x y : Qle_bool x y = true <-> (Q2R x <= Q2R y)%R.
Proof. rewrite Qle_bool_iff. split; [apply Qle_Rle|apply Rle_Qle]. Qed.

Lemma Qle_bool_false_Q2R x y : Qle_bool x y = false <-> (Q2R y < Q2R x)%R.
Proof.
  rewrite <- not_true_iff_false, Qle_bool_Q2R. split; intros H; lra.
Qed.

Lemma Q2R_square x : Q2R (x ^ 2) = (Q2R x ^ 2)%R.
Proof. change (x ^ 2) with (x * x). rewrite Q2R_mult. ring. Qed.

Lemma Q2R_0' : Q2R 0 = 0%R.
Proof. unfold Q2R. cbn. lra. Qed.

Lemma Q2R_1' : Q2R 1 = 1%R.
Proof. unfold Q2R. cbn. lra. Qed.

Lemma Q2R_quotient x y : (Q2R y <> 0)%R -> Q2R (x / y) = (Q2R x / Q2R y)%R.
Proof.
  intros H. apply Q2R_div. intros E. apply H. rewrite (Qeq_eqR _ _ E). apply Q2R_0'.
Qed.

Ltac to_reals := rewrite ?Q2R_minus, ?Q2R_plus, ?Q2R_mult, ?Q2R_square, ?Q2R_0', ?Q2R_1'.

(** The rational table, read as real numbers, is the table of Slides_11_16.v. *)
Theorem table_Q_is_table p : sound p = true ->
  let r := table_R p in
  Q2R (q_x0 (table_Q p)) = c_x0 r /\ Q2R (q_xt (table_Q p)) = c_xt r /\
  Q2R (q_y (table_Q p)) = c_y r /\ Q2R (q_variance (table_Q p)) = variance r.
Proof.
  unfold sound. rewrite !andb_true_iff, negb_true_iff, Qeq_bool_iff.
  rewrite !Qle_bool_Q2R, Qle_bool_false_Q2R, !Q2R_0'. intros [[[[S0 L] N0] K0] P].
  apply Qeq_eqR in P. revert P. to_reals. intros P. cbv zeta. unfold table_R, table, table_Q, kept.
  replace (1 - Q2R (p_eta p) ^ 2)%R with (Q2R (p_k p) ^ 2)%R by lra. rewrite sqrt_pow2 by exact K0.
  destruct (Qle_bool (p_s p) 0) eqn:S; cbn [negb].
  - apply Qle_bool_Q2R in S. rewrite Q2R_0' in S. destruct (Rlt_dec 0 (Q2R (p_s p))); [lra|].
    cbn [q_x0 q_xt q_y q_variance c_x0 c_xt c_y variance]. to_reals.
    rewrite Q2R_quotient by lra. to_reals. repeat split; reflexivity.
  - apply Qle_bool_false_Q2R in S. rewrite Q2R_0' in S. destruct (Rlt_dec 0 (Q2R (p_s p))); [|lra].
    assert (T : Q2R (p_sigma_y p / p_s p) = (Q2R (p_sigma_y p) / Q2R (p_s p))%R).
    { apply Q2R_quotient. lra. }
    destruct (Qle_bool (p_sigma_y p / p_s p) (p_next p)) eqn:B.
    + apply Qle_bool_Q2R in B. rewrite T in B.
      destruct (Rle_dec (Q2R (p_sigma_y p) / Q2R (p_s p)) (Q2R (p_next p))); [|lra].
      cbn [q_x0 q_xt q_y q_variance c_x0 c_xt c_y variance]. to_reals.
      rewrite Q2R_quotient by (rewrite Q2R_square; apply Rgt_not_eq, pow_lt, S). to_reals.
      repeat split; reflexivity.
    + apply Qle_bool_false_Q2R in B. rewrite T in B.
      destruct (Rle_dec (Q2R (p_sigma_y p) / Q2R (p_s p)) (Q2R (p_next p))); [lra|].
      cbn [q_x0 q_xt q_y q_variance c_x0 c_xt c_y variance]. to_reals.
      rewrite Q2R_quotient by (rewrite T; lra). rewrite T. to_reals. repeat split; reflexivity.
Qed.

(** ** Numbers that agree with the table *)

(** What is claimed of computed numbers: each weight is within [e] of the table's, and the square
    of the noise is the variance within [e] sigma_t^2, [e] being 2^-48: sixteen spacings of
    float64 at 1. *)
Definition rounding : Q := 1 # (2 ^ 48).

Definition agree (p : problem) (c : numbers) : Prop :=
  let r := table_R p in let e := Q2R rounding in
  (Rabs (Q2R (n_x0 c) - c_x0 r) <= e /\ Rabs (Q2R (n_xt c) - c_xt r) <= e /\
   Rabs (Q2R (n_y c) - c_y r) <= e /\ 0 <= Q2R (n_noise c) /\
   Rabs (Q2R (n_noise c) ^ 2 - variance r) <= e * Q2R (p_next p) ^ 2)%R.

Definition near (x y e : Q) : bool := Qle_bool (x - y) e && Qle_bool (y - x) e.

Definition agrees (p : problem) (c : numbers) : bool :=
  let r := table_Q p in
  near (n_x0 c) (q_x0 r) rounding && near (n_xt c) (q_xt r) rounding
  && near (n_y c) (q_y r) rounding && Qle_bool 0 (n_noise c)
  && near (n_noise c ^ 2) (q_variance r) (rounding * p_next p ^ 2).

Lemma near_iff x y e : near x y e = true <-> (Rabs (Q2R x - Q2R y) <= Q2R e)%R.
Proof.
  unfold near. rewrite andb_true_iff, !Qle_bool_Q2R, !Q2R_minus. split.
  - intros [A B]. apply Rabs_le. lra.
  - intros H. apply Rcomplements.Rabs_le_between in H. lra.
Qed.

(** The comparison that Coq computes decides the claim about real numbers. *)
Theorem agrees_iff p c : sound p = true -> (agrees p c = true <-> agree p c).
Proof.
  intros S. destruct (table_Q_is_table p S) as [A [B [D V]]]. unfold agrees, agree. cbv zeta.
  rewrite !andb_true_iff, !near_iff, Qle_bool_Q2R. rewrite A, B, D, V. to_reals. tauto.
Qed.

Definition all_sound (l : list problem) := forallb sound l.
Definition all_agree (l : list (problem * numbers)) := forallb (fun x => agrees (fst x) (snd x)) l.

(** The same for many problems at once. *)
Theorem all_agree_iff l : all_sound (map fst l) = true ->
  (all_agree l = true <-> Forall (fun x => agree (fst x) (snd x)) l).
Proof.
  unfold all_sound, all_agree. rewrite !forallb_forall, Forall_forall. intros S.
  split; intros H x Hx; apply agrees_iff; auto using in_map.
Qed.

(** If the comparison says no, the numbers are not those of slide 11. *)
Theorem differ l : all_sound (map fst l) = true -> all_agree l = false ->
  ~ Forall (fun x => agree (fst x) (snd x)) l.
Proof. intros S D A. apply all_agree_iff in A; [congruence|exact S]. Qed.
