(** * The conditions can be met

    Decompositions that are known by heart, and a problem with coordinates in all three cases. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith Lia.
From Ddrm Require Import Gauss Law Vector Slide_09 Slides_11_16 Proposition_3_1 Beyond.
Open Scope R_scope.

Lemma identity_orthogonal n : orthogonal n (scalar 1).
Proof.
  intros i j Hi Hj. unfold scalar, diag.
  split; rewrite (sum_ext n _ (fun k => if i =? k then (if j =? k then 1 else 0) else 0)).
  - rewrite sum_one by exact Hi. now rewrite Nat.eqb_sym.
  - intros k _. rewrite (Nat.eqb_sym k i), (Nat.eqb_sym k j).
    destruct (i =? k), (j =? k); ring.
  - rewrite sum_one by exact Hi. now rewrite Nat.eqb_sym.
  - intros k _. destruct (i =? k), (j =? k); ring.
Qed.

(** A diagonal H with entries s_i >= 0: U = V = I. *)
Theorem diagonal_svd n s : (forall i, 0 <= s i) -> (forall i, (n <= i)%nat -> s i = 0) ->
  svd n n (diag s) (scalar 1) (scalar 1) s.
Proof.
  intros P Z. pose proof (identity_orthogonal n). repeat split; auto; try now apply H.
  intros i j Hi Hj. unfold scalar, diag.
  rewrite (sum_ext n _ (fun k => if i =? k then (if j =? k then s k else 0) else 0)).
  - rewrite sum_one by exact Hi. now rewrite Nat.eqb_sym.
  - intros k _. destruct (i =? k), (j =? k); ring.
Qed.

(** Slide 20 (S20.1): denoising, H = I. *)
Theorem denoising_svd n :
  svd n n (scalar 1) (scalar 1) (scalar 1) (fun i => if i <? n then 1 else 0).
Proof.
  pose proof (diagonal_svd n (fun i => if i <? n then 1 else 0)) as D.
  destruct D as [A [B [P [Z [Z' E]]]]]; [intros i|intros i Hi|].
  - destruct (i <? n); lra.
  - destruct (Nat.ltb_spec i n); lia || reflexivity.
  - repeat split; try apply A; try apply B; auto. intros i j Hi Hj.
    rewrite <- E by assumption. unfold scalar, diag. destruct (i =? j); [|reflexivity].
    destruct (Nat.ltb_spec i n); lia || reflexivity.
Qed.

(** Slide 20 (S20.2): inpainting.  The kept pixels are pixel 0, ..., pixel k - 1 of a permutation
    [pixel] of all n; H = Sigma P^T, that is V = P. *)
Theorem inpainting_svd k n (pixel place : nat -> nat) : (k <= n)%nat ->
  (forall i, (i < n)%nat -> (pixel i < n)%nat /\ place (pixel i) = i) ->
  (forall j, (j < n)%nat -> (place j < n)%nat /\ pixel (place j) = j) ->
  svd k n (fun i j => if pixel i =? j then 1 else 0) (scalar 1)
    (fun j i => if pixel i =? j then 1 else 0) (fun i => if i <? k then 1 else 0).
Proof.
  intros Hk Hpixel Hplace.
  assert (E : forall i j, (i < n)%nat -> (j < n)%nat -> (pixel i =? pixel j) = (i =? j)).
  { intros i j Hi Hj. destruct (Nat.eqb_spec i j) as [->|D]; [apply Nat.eqb_refl|].
    apply Nat.eqb_neq. intros Q. apply D. rewrite <- (proj2 (Hpixel i Hi)), Q. now apply Hpixel. }
  assert (F : forall i l, (i < n)%nat -> (l < n)%nat -> (pixel l =? i) = (place i =? l)).
  { intros i l Hi Hl. destruct (Hplace i Hi) as [P Q]. rewrite <- Q at 1. rewrite E by assumption.
    apply Nat.eqb_sym. }
  split; [apply identity_orthogonal|]. split; [|split; [|split; [|split]]].
  - intros i j Hi Hj. split.
    + rewrite (sum_ext n _ (fun l => if pixel i =? l then (if pixel j =? l then 1 else 0) else 0)).
      * rewrite sum_one by now apply Hpixel. now rewrite Nat.eqb_sym, E.
      * intros l _. destruct (pixel i =? l), (pixel j =? l); ring.
    + rewrite (sum_ext n _ (fun l => if place i =? l then (if place j =? l then 1 else 0) else 0)).
      * rewrite sum_one by now apply Hplace. rewrite Nat.eqb_sym, <- E by now apply Hplace.
        now rewrite (proj2 (Hplace i Hi)), (proj2 (Hplace j Hj)).
      * intros l Hl. rewrite !F by assumption. destruct (place i =? l), (place j =? l); ring.
  - intros i. destruct (i <? k); lra.
  - intros i Hi. destruct (Nat.ltb_spec i k); lia || reflexivity.
  - intros i Hi. destruct (Nat.ltb_spec i k); lia || reflexivity.
  - intros i j Hi Hj. unfold scalar, diag.
    rewrite (sum_ext n _ (fun l => if i =? l then (if pixel l =? j then 1 else 0) else 0)).
    + now rewrite sum_one by lia.
    + intros l Hl. destruct (Nat.eqb_spec i l) as [->|D]; [|ring].
      destruct (Nat.ltb_spec l k); [|lia]. destruct (pixel l =? j); ring.
Qed.

Definition example_s (i : nat) : R := match i with O => 2 | 1%nat => 1 / 8 | _ => 0 end.

(** The conditions of Proposition 3.1 can be met: three pixels with s = 2, 1/8 and 0, sigma_y = 1/2
    and the levels 0, 1, 2, 3.  At the levels 1 to 3 the first is in case 1, the second in case 2,
    the third in case 3. *)
Theorem conditions_can_be_met eta eta_b : 0 <= eta <= 1 -> 0 <= eta_b <= 1 ->
  admissible 3 3 (diag example_s) (scalar 1) (scalar 1) example_s (1 / 2) 3 INR
    (fun _ _ => eta) (fun _ _ => eta_b).
Proof.
  intros He Hb. split; auto.
  - apply diagonal_svd.
    + intros [|[|i]]; cbn; lra.
    + intros [|[|[|i]]] Hi; cbn; lia || lra.
  - lra.
  - intros t _. apply pos_INR.
  - intros t Ht. apply lt_0_INR. lia.
  - intros _ _. apply Hb.
  - intros t i P L. apply eta_b_up_to_1; [|exact Hb]. split; [|exact L].
    apply spread_nonneg; lra.
Qed.
