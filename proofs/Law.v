(** * Laws, and the two hints of slide 13

    A law is what it does to functions: [L f] is the mean of [f x] when [x] is drawn from [L].  Laws
    are written as programs that draw one number after the other,

        z1 <- N z0 V1 ;; N (alpha * z1) V2        draw z1 from N(z0, V1), then from N(alpha z1, V2),

    which is the law p(z2 | z0), z1 being integrated out.  [N m v] is the normal law; [N m 0] is the
    point mass at [m], so that rows of the table without noise need no case of their own. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz.
From Ddrm Require Import Integral Gauss TwoNormals.
Open Scope R_scope.

Definition Law (A : Type) := (A -> R) -> R.

Definition point {A} (a : A) : Law A := fun f => f a.
Definition bind {A B} (L : Law A) (K : A -> Law B) : Law B := fun f => L (fun a => K a f).
Definition N (m v : R) : Law R := fun f => E (fun xi => f (m + sqrt v * xi)).

Declare Scope law_scope.
Open Scope law_scope.
Notation "x <- L ;; K" := (bind L (fun x => K))
  (at level 81, L at level 80, right associativity) : law_scope.

(** Equality in law: the same mean of every bounded Lipschitz function. *)
Definition same_law (L L' : Law R) := forall f, test f -> L f = L' f.
Infix "==" := same_law (at level 70, no associativity) : law_scope.

(** For pairs: all linear forms have the same law (Cramer and Wold). *)
Definition same_law_2 (J J' : Law (R * R)) :=
  forall a b, (z <- J ;; point (a * fst z + b * snd z))
    == (z <- J' ;; point (a * fst z + b * snd z)).

(** Two numbers are independent: their joint law is that of two separate draws. *)
Definition independent (J : Law (R * R)) (L1 L2 : Law R) :=
  same_law_2 J (z1 <- L1 ;; z2 <- L2 ;; point (z1, z2)).

(** ** Normal laws *)

(** The letters mean what they say: [N m v] has the mean [m] and the variance [v]. *)
Theorem N_mean_variance m v : 0 <= v ->
  mean (fun xi => m + sqrt v * xi) m /\ mean (fun xi => (m + sqrt v * xi - m) ^ 2) v.
Proof.
  intros Hv. split.
  - pose proof (mean_plus _ _ _ _ (mean_const m) (mean_scal (sqrt v) _ _ mean_xi)) as H.
    now rewrite Rmult_0_r, Rplus_0_r in H.
  - pose proof (mean_scal v _ _ mean_xi_square) as H. rewrite Rmult_1_r in H.
    refine (IntR_ext _ _ _ _ H). intros u. cbn. f_equal.
    transitivity (sqrt v * sqrt v * (u * u)); [now rewrite sqrt_sqrt|ring].
Qed.

(** The density of the slides, N(x; m, v). *)
Definition density (m v x : R) := exp (- (x - m) ^ 2 / (2 * v)) / (C * sqrt v).

Lemma density_pos m v x : 0 < v -> 0 < density m v x.
Proof.
  intros Hv. pose proof (sqrt_lt_R0 v Hv). pose proof C_pos.
  apply Rdiv_lt_0_compat; [apply exp_pos|].
  now apply Rmult_lt_0_compat.
Qed.

(** For [v > 0], [N m v] is the law with that density. *)
Theorem N_density m v f :
  0 < v -> test f -> IntR (fun x => f x * density m v x) (N m v f).
Proof.
  intros Hv T. pose proof (sqrt_lt_R0 v Hv) as S. pose proof C_pos.
  assert (T' : test (fun xi => f (m + sqrt v * xi))).
  { apply (test_affine f _ (sqrt v) m T). intros x. f_equal. ring. }
  pose proof (IntR_affine _ _ (/ sqrt v) (- m / sqrt v) (Rinv_0_lt_compat _ S)
    (test_mean _ T')) as H'.
  apply (IntR_scal _ (/ C)) in H'. replace (/ C * (_ * C)) with (N m v f) in H'.
  2: { unfold N. field. lra. }
  refine (IntR_ext _ _ _ _ H'). intros x. cbv beta. unfold density, phi.
  replace (m + sqrt v * (/ sqrt v * x + - m / sqrt v)) with x by (field; lra).
  replace (- ((/ sqrt v * x + - m / sqrt v) * (/ sqrt v * x + - m / sqrt v)) / 2)
    with (- (x - m) ^ 2 / (2 * v)).
  - field. lra.
  - rewrite <- (sqrt_sqrt v) at 1 by lra. field. lra.
Qed.

Lemma N_test f v a b g :
  test f -> (forall z, g z = N (a * z + b) v f) -> test g.
Proof. intros T G. exact (test_kernel f g a b (sqrt v) T G). Qed.

(** The law of [a z + b]: normal, with the mean [a m + b] and the variance [a ^ 2 v]. *)
Theorem N_affine m v a b : 0 <= v -> (z <- N m v ;; point (a * z + b)) == N (a * m + b) (a ^ 2 * v).
Proof.
  intros Hv f T. unfold bind, point, N.
  replace (sqrt (a ^ 2 * v)) with (Rabs a * sqrt v).
  2: { rewrite sqrt_mult by (try apply pow2_ge_0; lra). f_equal. rewrite <- sqrt_Rsqr_abs.
       f_equal. unfold Rsqr. ring. }
  destruct (Rle_dec 0 a) as [P|P].
  - rewrite Rabs_pos_eq by exact P. apply E_ext. intros xi. f_equal. ring.
  - rewrite Rabs_left by lra. rewrite <- E_mirror.
    + apply E_ext. intros xi. f_equal. ring.
    + apply (test_affine f _ (a * sqrt v) (a * m + b) T). intros xi. f_equal. ring.
Qed.

Lemma N_point m : N m 0 == point m.
Proof.
  intros f T. unfold N, point. rewrite sqrt_0. rewrite <- (E_const (f m)). apply E_ext.
  intros xi. f_equal. ring.
Qed.

(** ** Slide 13 *)

(** Hint 1 where the mean is any affine function of [z]: what slides 14-16 get from hint 1, used for
    [a z], and hint 2, used for its sum with a constant. *)
Theorem hint_1_affine m V1 a b V2 : 0 <= V1 -> 0 <= V2 ->
  (z <- N m V1 ;; N (a * z + b) V2) == N (a * m + b) (a ^ 2 * V1 + V2).
Proof.
  intros H1 H2. destruct (Req_dec V2 0) as [->|H0].
  { intros f T. rewrite Rplus_0_r, <- (N_affine m V1 a b H1 f T). unfold bind.
    unfold N at 1 3. apply E_ext. intros xi. now apply N_point. }
  intros f T. unfold bind, N. pose proof (sqrt_lt_R0 V2 ltac:(lra)) as S.
  pose proof (sqrt_sqrt V1 H1) as Q1. pose proof (sqrt_sqrt V2 H2) as Q2.
  assert (T' : test (fun w => f (a * m + b + sqrt V2 * w))).
  { apply (test_affine f _ (sqrt V2) (a * m + b) T). intros w. f_equal. ring. }
  pose proof (E_E _ (a * sqrt V1 / sqrt V2) T') as H.
  replace (sqrt (a ^ 2 * V1 + V2))
    with (sqrt V2 * sqrt (1 + a * sqrt V1 / sqrt V2 * (a * sqrt V1 / sqrt V2))).
  - transitivity (E (fun z => E (fun xi =>
      f (a * m + b + sqrt V2 * (a * sqrt V1 / sqrt V2 * z + xi))))).
    + apply E_ext. intros z. apply E_ext. intros xi. f_equal. field. lra.
    + rewrite H. apply E_ext. intros u. f_equal. ring.
  - rewrite <- sqrt_mult; [|lra|].
    + f_equal. clear T'. set (s1 := sqrt V1) in *. set (s2 := sqrt V2) in *. clearbody s1 s2.
      rewrite <- Q1, <- Q2. field. lra.
    + pose proof (Rle_0_sqr (a * sqrt V1 / sqrt V2)). unfold Rsqr in *. lra.
Qed.

(** Slide 13, hint 1 (S13.1): p(z1 | z0) = N(z0, V1) and p(z2 | z1) = N(alpha z1, V2) give
    p(z2 | z0) = N(alpha z0, alpha^2 V1 + V2). *)
Theorem hint_1 z0 V1 alpha V2 : 0 <= V1 -> 0 <= V2 ->
  (z1 <- N z0 V1 ;; N (alpha * z1) V2) == N (alpha * z0) (alpha ^ 2 * V1 + V2).
Proof.
  intros H1 H2 f T. rewrite <- (Rplus_0_r (alpha * z0)), <- hint_1_affine by assumption.
  unfold bind. unfold N at 1 3. apply E_ext. intros xi. now rewrite Rplus_0_r.
Qed.

(** Beyond the slides (E16): hint 1 where the mean contains z0 as well. *)
Theorem hint_1_with_gamma z0 V1 alpha gamma V2 : 0 <= V1 -> 0 <= V2 ->
  (z1 <- N z0 V1 ;; N (alpha * z1 + gamma * z0) V2)
    == N ((alpha + gamma) * z0) (alpha ^ 2 * V1 + V2).
Proof.
  intros H1 H2 f T. rewrite hint_1_affine by assumption. f_equal. ring.
Qed.

(** Slide 13, hint 2 (S13.2): z1 ~ N(mu1, V1) and z2 ~ N(mu2, V2), independent, give
    z1 + z2 ~ N(mu1 + mu2, V1 + V2). *)
Theorem hint_2 J mu1 V1 mu2 V2 : 0 <= V1 -> 0 <= V2 ->
  independent J (N mu1 V1) (N mu2 V2) ->
  (z <- J ;; point (fst z + snd z)) == N (mu1 + mu2) (V1 + V2).
Proof.
  intros H1 H2 I f T. specialize (I 1 1 f T). unfold bind, point in *.
  transitivity (J (fun z => f (1 * fst z + 1 * snd z))).
  { f_equal. apply FunctionalExtensionality.functional_extensionality. intros z. f_equal. ring. }
  rewrite I. pose proof (hint_1_affine mu1 V1 1 mu2 V2 H1 H2 f T) as H.
  replace (1 * mu1 + mu2) with (mu1 + mu2) in H by ring.
  replace (1 ^ 2 * V1 + V2) with (V1 + V2) in H by ring. rewrite <- H.
  unfold bind, N. apply E_ext. intros z. apply E_ext. intros xi. f_equal. cbn. ring.
Qed.
