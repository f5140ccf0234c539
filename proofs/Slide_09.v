(** * Slides 2 and 9: the measurement, in spectral coordinates *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith Lia FunctionalExtensionality.
From Ddrm Require Import Gauss Law Vector.
Open Scope R_scope.

Section Measurement.
Variables (m n : nat) (H U V : mat) (s x0 : vec) (sigma_y : R).

(** Slide 9 (S09.1): H = U Sigma V^T, H of shape m x n, U and V orthogonal.  [s] lists the singular
    values and continues with zeros; their order does not matter. *)
Definition svd :=
  orthogonal m U /\ orthogonal n V /\ (forall k, 0 <= s k) /\
  (forall k, (m <= k)%nat -> s k = 0) /\ (forall k, (n <= k)%nat -> s k = 0) /\
  forall i j, (i < m)%nat -> (j < n)%nat -> H i j = sum n (fun k => U i k * s k * V j k).

Hypothesis H_svd : svd.

(** Slide 2 (S02.1): y = H x_0 + z, z ~ N(0, sigma_y^2 I), given x_0. *)
Definition measurement : Law vec :=
  z <- draws m (fun _ => 0) (fun _ => sigma_y ^ 2) ;; point (fun i => times n H x0 i + z i).

(** Slide 2 (S02.1): y ~ N(H x_0, sigma_y^2 I) given x_0. *)
Theorem law_of_y : normal m measurement (times n H x0) (scalar (sigma_y ^ 2)).
Proof.
  intros w f T. unfold scalar. rewrite quadratic_diag.
  transitivity ((z <- draws m (fun _ => 0) (fun _ => sigma_y ^ 2) ;;
    point (dot m w z + dot m w (times n H x0))) f).
  { unfold measurement, bind, point. f_equal. apply functional_extensionality. intros z.
    f_equal. unfold dot. rewrite <- sum_plus. apply sum_ext. intros i _. ring. }
  rewrite draws_form by (exact T || intros; apply pow2_ge_0). f_equal.
  unfold dot at 1. rewrite sum_zero by (intros; ring). ring.
Qed.

(** Slide 9 (S09.2, S09.4): x_bar = V^T x and y_bar = Sigma^+ U^T y; Sigma^+ turns s into 1 / s and
    leaves zeros alone. *)
Definition x0_bar := times n (transpose V) x0.
Definition inverse (a : R) := if Rlt_dec 0 a then / a else 0.
Definition y_bar (y : vec) : vec := fun i => inverse (s i) * times m (transpose U) y i.

(** Slide 9 (S09.4): where s_i = 0 there is no measurement, y_bar^i = 0. *)
Theorem y_bar_unmeasured y i : s i = 0 -> y_bar y i = 0.
Proof. intros S. unfold y_bar, inverse. rewrite S. destruct (Rlt_dec 0 0); lra. Qed.

Lemma inverse_0 : inverse 0 = 0.
Proof. unfold inverse. destruct (Rlt_dec 0 0); lra. Qed.

Lemma inverse_times a : 0 <= a -> inverse a * a = if Rlt_dec 0 a then 1 else 0.
Proof. intros A. unfold inverse. destruct (Rlt_dec 0 a); [field|]; lra. Qed.

(** Slide 9 (S09.2): Sigma^+ is the pseudo-inverse of Sigma (the conditions of Penrose). *)
Theorem pseudo_inverse a : 0 <= a ->
  a * inverse a * a = a /\ inverse a * a * inverse a = inverse a.
Proof.
  intros A. unfold inverse. destruct (Rlt_dec 0 a); [split; field; lra|].
  replace a with 0 by lra. lra.
Qed.

(** U^T H x_0 = Sigma x_bar_0. *)
Lemma U_H i : (i < m)%nat -> (i < n)%nat ->
  times m (transpose U) (times n H x0) i = s i * x0_bar i.
Proof.
  intros Hm Hn. destruct H_svd as [OU [OV [_ [Sm [_ Hs]]]]]. unfold times, transpose.
  transitivity (sum n (fun k => if i =? k then s k * x0_bar k else 0)).
  2: { now rewrite (sum_one n i (fun k => s k * x0_bar k)). }
  transitivity (sum m (fun l => sum n (fun k => s k * x0_bar k * (U l i * U l k)))).
  - apply sum_ext. intros l Hl. unfold x0_bar, times, transpose.
    rewrite (sum_ext n (fun j => H l j * x0 j)
      (fun j => sum n (fun k => U l k * s k * (V j k * x0 j)))).
    + rewrite sum_swap, <- sum_scal. apply sum_ext. intros k _.
      rewrite sum_scal. ring.
    + intros j Hj. rewrite Hs by assumption. rewrite Rmult_comm, <- sum_scal. apply sum_ext.
      intros k _. ring.
  - rewrite sum_swap. apply sum_ext. intros k Hk. rewrite sum_scal.
    destruct (le_lt_dec m k) as [L|L]; [rewrite Sm by exact L; destruct (i =? k); ring|].
    rewrite (proj1 (OU i k Hm L)). destruct (i =? k); ring.
Qed.

(** Slide 9 (S09.5, corrected): y_bar = Sigma^+ Sigma x_bar_0 + Sigma^+ U^T z. *)
Theorem y_bar_decomposed z i : (i < n)%nat ->
  y_bar (fun j => times n H x0 j + z j) i =
  (if Rlt_dec 0 (s i) then x0_bar i else 0) + inverse (s i) * times m (transpose U) z i.
Proof.
  intros Hi. destruct H_svd as [OU [OV [S0 [Sm [_ _]]]]]. unfold y_bar.
  destruct (Rlt_dec 0 (s i)) as [P|P].
  - destruct (le_lt_dec m i) as [L|L]; [rewrite (Sm i L) in P; lra|].
    replace (times m (transpose U) (fun j => times n H x0 j + z j) i)
      with (times m (transpose U) (times n H x0) i + times m (transpose U) z i).
    + rewrite U_H by assumption. unfold inverse. destruct (Rlt_dec 0 (s i)); [field|]; lra.
    + unfold times. rewrite <- sum_plus. apply sum_ext. intros k _. ring.
  - unfold inverse. destruct (Rlt_dec 0 (s i)); [easy|ring].
Qed.

(** Slide 9 as printed (E3): "y_bar = x_bar_0 + Sigma^+ U^T z" holds for every x_0 and z only if no
    s_i is 0, that is for k = n. *)
Theorem E3_only_for_full_rank z i : (i < n)%nat ->
  (y_bar (fun j => times n H x0 j + z j) i = x0_bar i + inverse (s i) * times m (transpose U) z i
   <-> 0 < s i \/ x0_bar i = 0).
Proof.
  intros Hi. rewrite y_bar_decomposed by exact Hi. destruct (Rlt_dec 0 (s i)); split; try tauto.
  - intros E. right. lra.
  - intros [E|E]; lra.
Qed.

Definition y_mean : vec := fun i => if Rlt_dec 0 (s i) then x0_bar i else 0.
Definition y_variance : vec := fun i => if Rlt_dec 0 (s i) then sigma_y ^ 2 / s i ^ 2 else 0.

Lemma form_of_y_bar w z :
  dot n w (y_bar (fun j => times n H x0 j + z j)) =
  dot m (times m U (fun i => w i * inverse (s i))) z + dot n w y_mean.
Proof.
  destruct H_svd as [_ [_ [_ [Sm [Sn _]]]]]. rewrite Rplus_comm.
  transitivity (dot n w y_mean + sum n (fun i => w i * inverse (s i) * times m (transpose U) z i)).
  - unfold dot. rewrite <- sum_plus. apply sum_ext. intros i Hi.
    rewrite y_bar_decomposed by exact Hi. unfold y_mean. ring.
  - f_equal. rewrite (sum_support n m).
    + change (sum m ?f) with (dot m (fun i => w i * inverse (s i)) (times m (transpose U) z)).
      now rewrite dot_times.
    + intros i Hi. rewrite (Sn i Hi), inverse_0. ring.
    + intros i Hi. rewrite (Sm i Hi), inverse_0. ring.
Qed.

(** Slide 9 (S09.6), and hint 3 of slide 13 (S13.3, corrected): given x_0 the coordinates of y_bar
    are normal and independent; y_bar^i ~ N(x_bar_0^i, sigma_y^2 / s_i^2) where s_i > 0, and 0
    elsewhere. *)
Theorem law_of_y_bar :
  normal n (y <- measurement ;; point (y_bar y)) y_mean (diag y_variance).
Proof.
  intros w f T. destruct H_svd as [OU [_ [S0 [Sm [Sn _]]]]].
  transitivity ((z <- draws m (fun _ => 0) (fun _ => sigma_y ^ 2) ;;
    point (dot m (times m U (fun i => w i * inverse (s i))) z + dot n w y_mean)) f).
  { unfold measurement, bind, point. f_equal. apply functional_extensionality. intros z.
    f_equal. apply form_of_y_bar. }
  rewrite draws_form by (exact T || intros; apply pow2_ge_0). rewrite quadratic_diag. f_equal.
  - unfold dot at 1. rewrite sum_zero by (intros; ring). ring.
  - rewrite (sum_ext m _ (fun i => sigma_y ^ 2 * (times m U (fun i => w i * inverse (s i)) i
      * times m U (fun i => w i * inverse (s i)) i))) by (intros; ring).
    rewrite sum_scal. pose proof (orthogonal_isometry m (transpose U) (fun i => w i * inverse (s i))
      (orthogonal_transpose m U OU)) as I. change (transpose (transpose U)) with U in I.
    unfold dot in I. rewrite I, <- sum_scal. rewrite (sum_support m n).
    + apply sum_ext. intros i _. unfold y_variance, inverse. specialize (S0 i).
      destruct (Rlt_dec 0 (s i)); [field; lra|ring].
    + intros i Hi. rewrite (Sm i Hi), inverse_0. ring.
    + intros i Hi. rewrite (Sn i Hi), inverse_0. ring.
Qed.
End Measurement.
