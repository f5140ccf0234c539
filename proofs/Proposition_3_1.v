(** * Proposition 3.1: q(x_t | x_0) = N(x_0, sigma_t^2 I)

    All coordinates at once, for every H, in spectral coordinates and in pixels.  The proof is
    done for a larger family of chains (X09), whose steps may look at y_bar and x_{t+1} at the
    same time. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith Lia FunctionalExtensionality.
From Ddrm Require Import Gauss Law Vector Slide_09 Slides_11_16.
Open Scope R_scope.

(** ** The family (X09)

    [Y] is the law of y_bar given x_0, with independent coordinates N(mu_i, b_i).  Every step has
    one row for each coordinate.  The state is the pair (y_bar, x_t). *)
Section Family.
Variables (n : nat) (x0 mu b : vec) (Y : Law vec) (T : nat).
Variables (start_row : nat -> row) (rows : nat -> nat -> row) (sigma : nat -> R).

Definition next_state (r : nat -> row) (y x : vec) : Law vec :=
  draws n (fun i => c_x0 (r i) * x0 i + c_xt (r i) * x i + c_y (r i) * y i)
    (fun i => variance (r i)).

(** Slide 11 (S11.7): given x_{t+1}, x_0 and y the coordinates of x_t are independent. *)
Theorem next_state_independent r y x : (forall i, (i < n)%nat -> 0 <= variance (r i)) ->
  normal n (next_state r y x) (fun i => c_x0 (r i) * x0 i + c_xt (r i) * x i + c_y (r i) * y i)
    (diag (fun i => variance (r i))).
Proof. intros H. now apply draws_normal. Qed.

Definition first : Law (vec * vec) :=
  y <- Y ;; x <- next_state start_row y (fun _ => 0) ;; point (y, x).
Definition then_down t (J : Law (vec * vec)) : Law (vec * vec) :=
  p <- J ;; x <- next_state (rows t) (fst p) (snd p) ;; point (fst p, x).

(** Two laws of such pairs agree if all linear forms of the pair do. *)
Definition same_forms (J J' : Law (vec * vec)) := forall u w,
  (p <- J ;; point (dot n u (fst p) + dot n w (snd p))) ==
  (p <- J' ;; point (dot n u (fst p) + dot n w (snd p))).

(** [J t] is the law of (y_bar, x_t) given x_0, for a process that follows the rows. *)
Definition is_chain (J : nat -> Law (vec * vec)) :=
  same_forms (J T) first /\
  forall t, (t < T)%nat -> same_forms (J t) (then_down t (J (S t))).

(** There is one: draw it. *)
Fixpoint drawn k : Law (vec * vec) := match k with
  | O => first
  | S k => then_down (T - S k) (drawn k)
  end.

(** It follows the rows. *)
Theorem chain_exists : is_chain (fun t => drawn (T - t)).
Proof.
  split.
  - rewrite Nat.sub_diag. intros u w f _. reflexivity.
  - intros t Ht u w f _. replace (T - t)%nat with (S (T - S t)) by lia. cbn [drawn].
    now replace (T - S (T - S t))%nat with t by lia.
Qed.

(** The covariance of y_bar^i and x_t^i, [k] steps below T. *)
Fixpoint kappa k i := match k with
  | O => c_y (start_row i) * b i
  | S k => c_y (rows (T - S k) i) * b i + c_xt (rows (T - S k) i) * kappa k i
  end.

Hypothesis Y_normal : normal n Y mu (diag b).
Hypothesis b_range : forall i, (i < n)%nat -> 0 <= b i.

(** The conditions on the rows. *)
Record keeps_start (r : row) i : Prop := {
  start_adds_up : c_x0 r + c_y r = 1;
  start_centred : c_y r * (mu i - x0 i) = 0;
  start_variance : 0 <= variance r;
  start_sum : c_y r ^ 2 * b i + variance r = sigma T ^ 2
}.
Record keeps k (r : row) i : Prop := {
  adds_up : c_x0 r + c_xt r + c_y r = 1;
  centred : c_y r * (mu i - x0 i) = 0;
  variance_range : 0 <= variance r;
  variance_is : variance r = sigma (T - S k) ^ 2 - c_y r ^ 2 * b i - c_xt r ^ 2 * sigma (T - k) ^ 2
                             - 2 * c_y r * c_xt r * kappa k i
}.
Hypothesis start_keeps : forall i, (i < n)%nat -> keeps_start (start_row i) i.
Hypothesis rows_keep : forall k i, (S k <= T)%nat -> (i < n)%nat -> keeps k (rows (T - S k) i) i.

Variable J : nat -> Law (vec * vec).
Hypothesis J_chain : is_chain J.

(** The linear forms of the pair after one draw. *)
Lemma form_after_draw (K : Law (vec * vec)) r u w f : test f ->
  (forall i, (i < n)%nat -> 0 <= variance (r i)) ->
  (p <- K ;; x <- next_state r (fst p) (snd p) ;; point (dot n u (fst p) + dot n w x)) f =
  (p <- K ;; s <- point (dot n (fun i => u i + w i * c_y (r i)) (fst p)
                         + dot n (fun i => w i * c_xt (r i)) (snd p)) ;;
   N (1 * s + dot n w (fun i => c_x0 (r i) * x0 i)) (sum n (fun i => w i ^ 2 * variance (r i)))) f.
Proof.
  intros Tf Hv. unfold bind at 1 3. f_equal. apply functional_extensionality. intros p.
  transitivity ((x <- next_state r (fst p) (snd p) ;; point (dot n w x + dot n u (fst p))) f).
  { unfold bind, point. f_equal. apply functional_extensionality. intros x. f_equal. ring. }
  unfold next_state. rewrite draws_form by assumption. unfold bind, point. f_equal.
  unfold dot. rewrite Rmult_1_l, <- !sum_plus. apply sum_ext. intros i _. ring.
Qed.

(** If all forms of (y_bar, x) were normal before the draw, they are afterwards. *)
Lemma after_draw K r u w (m v : vec -> vec -> R) : (forall i, (i < n)%nat -> 0 <= variance (r i)) ->
  (forall u w, 0 <= v u w) ->
  (forall u w, (p <- K ;; point (dot n u (fst p) + dot n w (snd p))) == N (m u w) (v u w)) ->
  let u' i := u i + w i * c_y (r i) in let w' i := w i * c_xt (r i) in
  (p <- K ;; x <- next_state r (fst p) (snd p) ;; point (dot n u (fst p) + dot n w x)) ==
  N (m u' w' + dot n w (fun i => c_x0 (r i) * x0 i))
    (v u' w' + sum n (fun i => w i ^ 2 * variance (r i))).
Proof.
  intros Hr Hv HK u' w' f Tf. rewrite form_after_draw by assumption. fold u' w'.
  set (c := dot n w (fun i => c_x0 (r i) * x0 i)).
  set (V := sum n (fun i => w i ^ 2 * variance (r i))).
  assert (HV : 0 <= V).
  { apply sum_nonneg. intros i Hi. apply Rmult_le_pos; [apply pow2_ge_0|now apply Hr]. }
  transitivity (N (m u' w') (v u' w') (fun s => N (1 * s + c) V f)).
  - apply (HK u' w'). now apply (N_test f V 1 c).
  - pose proof (hint_1_affine (m u' w') (v u' w') 1 c V (Hv u' w') HV f Tf) as Q.
    unfold bind in Q. rewrite Q. f_equal; ring.
Qed.

Lemma variance_nonneg k i a c : (k <= T)%nat -> (i < n)%nat ->
  0 <= a ^ 2 * b i + 2 * a * c * kappa k i + c ^ 2 * sigma (T - k) ^ 2.
Proof.
  revert a c. induction k as [|k IH]; intros a c L Hi.
  - destruct (start_keeps i Hi) as [_ _ P V]. rewrite Nat.sub_0_r, <- V. cbn [kappa].
    pose proof (b_range i Hi). pose proof (pow2_ge_0 c).
    pose proof (pow2_ge_0 (a + c * c_y (start_row i))).
    replace (_ + _ + _) with ((a + c * c_y (start_row i)) ^ 2 * b i + c ^ 2 * variance
      (start_row i))
      by ring. apply Rplus_le_le_0_compat; now apply Rmult_le_pos.
  - destruct (rows_keep k i L Hi) as [_ _ P V]. cbn [kappa]. set (r := rows (T - S k) i) in *.
    specialize (IH (a + c * c_y r) (c * c_xt r) ltac:(lia) Hi). pose proof (pow2_ge_0 c).
    replace (sigma (T - S k) ^ 2) with (variance r + c_y r ^ 2 * b i
      + c_xt r ^ 2 * sigma (T - k) ^ 2 + 2 * c_y r * c_xt r * kappa k i) by (rewrite V; ring).
    assert (0 <= c ^ 2 * variance r) by now apply Rmult_le_pos.
    replace (a ^ 2 * b i + _ + _)
      with ((a + c * c_y r) ^ 2 * b i + 2 * (a + c * c_y r) * (c * c_xt r)
      * kappa k i + (c * c_xt r) ^ 2 * sigma (T - k) ^ 2 + c ^ 2 * variance r) by ring. lra.
Qed.

(** Beyond the slides (X09): all linear forms of (y_bar, x_t) are normal, x_t has the mean x_0 and
    the covariance matrix sigma_t^2 I, and y_bar^i and x_t^i have the covariance kappa. *)
Theorem family k : (k <= T)%nat -> forall u w,
  (p <- J (T - k) ;; point (dot n u (fst p) + dot n w (snd p))) ==
  N (dot n u mu + dot n w x0)
    (sum n (fun i => u i ^ 2 * b i + 2 * u i * w i * kappa k i + w i ^ 2 * sigma (T - k) ^ 2)).
Proof.
  destruct J_chain as [JT JS]. induction k as [|k IH]; intros L u w f Tf.
  - rewrite Nat.sub_0_r, (JT u w f Tf).
    transitivity ((p <- (y <- Y ;; point (y, fun _ : nat => 0)) ;;
      x <- next_state start_row (fst p) (snd p) ;; point (dot n u (fst p) + dot n w x)) f);
      [reflexivity|].
    rewrite (after_draw _ _ _ _ (fun u _ => dot n u mu) (fun u _ => quadratic n (diag b) u)); auto.
    + rewrite quadratic_diag. f_equal.
      * unfold dot. rewrite <- !sum_plus. apply sum_ext. intros i Hi.
        destruct (start_keeps i Hi) as [A C _ _].
        replace (c_x0 (start_row i)) with (1 - c_y (start_row i)) by lra.
        transitivity (u i * mu i + w i * x0 i + w i * (c_y (start_row i) * (mu i - x0 i)));
          [ring|rewrite C; ring].
      * rewrite <- sum_plus. apply sum_ext. intros i Hi. destruct (start_keeps i Hi) as [_ _ _ V].
        cbn [kappa]. rewrite <- V. ring.
    + intros i Hi. now apply start_keeps.
    + intros a _. rewrite quadratic_diag. apply sum_nonneg. intros i Hi.
      apply Rmult_le_pos; [apply pow2_ge_0|now apply b_range].
    + intros a c g Tg. rewrite <- (Y_normal a g Tg). unfold bind, point. cbn [fst snd]. f_equal.
      apply functional_extensionality. intros y. f_equal. unfold dot at 2.
      rewrite sum_zero by (intros; ring). ring.
  - set (t := (T - S k)%nat). assert (Ht : (t < T)%nat) by (unfold t; lia).
    rewrite (JS t Ht u w f Tf).
    transitivity ((p <- J (S t) ;; x <- next_state (rows t) (fst p) (snd p) ;;
      point (dot n u (fst p) + dot n w x)) f); [reflexivity|].
    replace (S t) with (T - k)%nat by (unfold t; lia).
    rewrite (after_draw _ _ _ _ (fun u w => dot n u mu + dot n w x0) (fun u w => sum n (fun i =>
      u i ^ 2 * b i + 2 * u i * w i * kappa k i + w i ^ 2 * sigma (T - k) ^ 2))); auto.
    + f_equal.
      * unfold dot. rewrite <- !sum_plus. apply sum_ext. intros i Hi.
        destruct (rows_keep k i L Hi) as [A C _ _]. fold t in A, C.
        replace (c_x0 (rows t i)) with (1 - c_xt (rows t i) - c_y (rows t i)) by lra.
        transitivity (u i * mu i + w i * x0 i + w i * (c_y (rows t i) * (mu i - x0 i)));
          [ring|rewrite C; ring].
      * rewrite <- sum_plus. apply sum_ext. intros i Hi. destruct (rows_keep k i L Hi) as [_ _ _ V].
        cbn [kappa]. fold t in V |- *. rewrite V. ring.
    + intros i Hi. unfold t. now apply rows_keep.
    + intros a c. apply sum_nonneg. intros i Hi. apply variance_nonneg; lia || exact Hi.
    + apply IH. lia.
Qed.
End Family.

(** ** DDRM *)
Section DDRM.
Variables (m n : nat) (H U V : mat) (s x0 : vec) (sigma_y : R).
Variables (T : nat) (sigma : nat -> R) (eta eta_b : nat -> nat -> R).

(** The conditions.  Slides 11 and 12 print the first line and a part of the last but one.
    The rates may differ from step to step and from coordinate to coordinate; the levels need
    not decrease. *)
Record admissible : Prop := {
  H_svd : svd m n H U V s;
  noise_range : 0 <= sigma_y;
  levels : forall t, (t <= T)%nat -> 0 <= sigma t;
  levels_above_0 : forall t, (1 <= t <= T)%nat -> 0 < sigma t;
  eta_range : forall t i, 0 <= eta t i <= 1;
  eta_b_range : forall t i, 0 <= eta_b t i;
  eta_b_limit : forall t i, 0 < s i -> sigma_y / s i <= sigma t ->
    eta_b t i * (sigma_y / s i) <= sigma t
}.

(** Slides 9 and 11: y_bar given x_0, the start, the steps. *)
Definition Y : Law vec := y <- measurement m n H x0 sigma_y ;; point (y_bar m U s y).
Definition start_rows i := start (s i) (sigma T) sigma_y.
Definition step_rows t i := table (s i) (sigma (S t)) (sigma t) sigma_y (eta t i) (eta_b t i).
Definition is_DDRM := is_chain n (x0_bar n V x0) Y T start_rows step_rows.

Hypothesis ok : admissible.

(** Slide 8 (S08.1): a start and steps define a chain, so that what follows is about something. *)
Theorem DDRM_exists : exists J, is_DDRM J.
Proof. eexists. apply chain_exists. Qed.

Notation x0b := (x0_bar n V x0).
Notation mu := (y_mean n V s x0).
Notation b := (y_variance s sigma_y).

Lemma y_measured i : 0 < s i -> mu i = x0b i /\ b i = (sigma_y / s i) ^ 2 /\ 0 <= sigma_y / s i.
Proof.
  intros P. pose proof (noise_range ok). rewrite <- spread_square by exact P.
  unfold y_mean, y_variance. destruct (Rlt_dec 0 (s i)); [|lra]. repeat split.
  now apply spread_nonneg.
Qed.

Lemma b_nonneg i : 0 <= b i.
Proof.
  unfold y_variance. destruct (Rlt_dec 0 (s i)) as [P|P]; [|lra].
  rewrite spread_square by exact P. apply pow2_ge_0.
Qed.

Lemma kept_square t i : kept (eta t i) ^ 2 = 1 - eta t i ^ 2.
Proof. unfold kept. apply pow2_sqrt. pose proof (eta_range ok t i). nra. Qed.

Lemma start_ok i : keeps_start x0b mu b T sigma (start_rows i) i.
Proof.
  pose proof (levels ok T (le_n T)) as L. unfold start_rows, start.
  destruct (Rlt_dec 0 (s i)) as [P|P]; [destruct (Rle_dec (sigma_y / s i) (sigma T)) as [B|B]|];
    split; cbn [c_x0 c_xt c_y variance]; try ring; try apply pow2_ge_0;
    destruct (y_measured i P) as [M [V0 R0]].
  - rewrite M. ring.
  - rewrite spread_square by exact P. set (tau := sigma_y / s i) in *.
    assert (0 <= (sigma T - tau) * (sigma T + tau)) by (apply Rmult_le_pos; lra). lra.
  - rewrite V0, spread_square by exact P. ring.
Qed.

Lemma rows_ok k i : (S k <= T)%nat ->
  keeps x0b mu b T start_rows step_rows sigma k (step_rows (T - S k) i) i.
Proof.
  intros Hk. unfold step_rows, table. set (t := (T - S k)%nat).
  replace (T - k)%nat with (S t) by (unfold t; lia).
  pose proof (levels ok t ltac:(unfold t; lia)) as L. pose proof (kept_square t i) as K.
  destruct (Rlt_dec 0 (s i)) as [P|P]; [destruct (Rle_dec (sigma_y / s i) (sigma t)) as [B|B]|];
    split; cbn [c_x0 c_xt c_y variance]; fold t; replace (T - k)%nat with (S t) by (unfold t; lia);
    try (destruct (y_measured i P) as [M [V0 R0]]; rewrite ?M, ?V0, ?spread_square by exact P);
    try ring; try (apply Rmult_le_pos; apply pow2_ge_0).
  - set (tau := sigma_y / s i) in *. pose proof (eta_b_range ok t i).
    pose proof (eta_b_limit ok t i P B). fold tau in H1. assert (0 <= eta_b t i * tau) by nra.
    assert (0 <= (sigma t - eta_b t i * tau) * (sigma t + eta_b t i * tau)) by
      (apply Rmult_le_pos; lra). lra.
  - set (tau := sigma_y / s i) in *. transitivity (sigma t ^ 2 - kept (eta t i) ^ 2 * sigma t ^ 2);
      [rewrite K; ring|field; lra].
  - pose proof (levels_above_0 ok (S t) ltac:(unfold t; lia)) as A.
    transitivity (sigma t ^ 2 - kept (eta t i) ^ 2 * sigma t ^ 2); [rewrite K; ring|field; lra].
Qed.

(** Slides 12-16 (S12.1, spectral coordinates): Proposition 3.1 for x_bar_t, the whole vector. *)
Theorem Proposition_3_1_spectral J t : is_DDRM J -> (t <= T)%nat ->
  normal n (p <- J t ;; point (snd p)) x0b (scalar (sigma t ^ 2)).
Proof.
  intros HJ Ht w f Tf. destruct ok as [SVD _ _ _ _ _ _].
  pose proof (family n x0b mu b Y T start_rows step_rows sigma
    (law_of_y_bar m n H U V s x0 sigma_y SVD) (fun i _ => b_nonneg i) (fun i _ => start_ok i)
    (fun k i Hk _ => rows_ok k i Hk) J HJ (T - t) ltac:(lia) (fun _ => 0) w f Tf) as F.
  replace (T - (T - t))%nat with t in F by lia. unfold scalar. rewrite quadratic_diag.
  transitivity ((p <- J t ;; point (dot n (fun _ => 0) (fst p) + dot n w (snd p))) f).
  - unfold bind, point. f_equal. apply functional_extensionality. intros p. f_equal.
    unfold dot at 2. rewrite sum_zero by (intros; ring). ring.
  - rewrite F. f_equal.
    + unfold dot at 1. rewrite sum_zero by (intros; ring). ring.
    + apply sum_ext. intros i _. ring.
Qed.

(** Slide 12 (S12.1), Proposition 3.1: q(x_t | x_0) = N(x_0, sigma_t^2 I), x_t = V x_bar_t. *)
Theorem Proposition_3_1 J t : is_DDRM J -> (t <= T)%nat ->
  normal n (p <- J t ;; point (times n V (snd p))) x0 (scalar (sigma t ^ 2)).
Proof.
  intros HJ Ht. destruct (H_svd ok) as [_ [OV _]].
  exact (proj1 (rotation n V _ x0 _ OV) (Proposition_3_1_spectral J t HJ Ht)).
Qed.
End DDRM.
