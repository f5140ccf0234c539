(** * Where the slides are wrong or silent: counterexamples

    E1, E2 and E3 stand beside the formulas they correct (Slides_03_06.v, Slide_09.v). *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz FunctionalExtensionality.
From Ddrm Require Import Integral Gauss Law Normal Vector Slide_09 Slides_11_16 Proposition_3_1.
Open Scope R_scope.

(** ** E6: hint 2 needs independence *)

(** z2 = - z1. *)
Definition opposite : Law (R * R) := z <- N 0 1 ;; point (z, - z).

(** Both are N(0, 1). *)
Theorem opposite_marginals :
  (z <- opposite ;; point (fst z)) == N 0 1 /\ (z <- opposite ;; point (snd z)) == N 0 1.
Proof.
  split; intros f T; [reflexivity|].
  transitivity ((z <- N 0 1 ;; point (-1 * z + 0)) f).
  - unfold opposite, bind, point, N. apply E_ext. intros xi. f_equal. cbn. ring.
  - rewrite N_affine by (exact T || lra). f_equal; ring.
Qed.

(** Slide 13 (E6): but their sum is the constant 0, not N(0, 2). *)
Theorem E6 : ~ (z <- opposite ;; point (fst z + snd z)) == N (0 + 0) (1 + 1).
Proof.
  intros H. assert (Q : N 0 0 == N 0 2).
  { intros f T. replace (N 0 2 f) with (N (0 + 0) (1 + 1) f) by (f_equal; ring).
    rewrite <- (H f T), N_point by exact T. unfold opposite, bind, point, N.
    rewrite <- (E_const (f 0)). apply E_ext. intros xi. f_equal. cbn. ring. }
  apply N_injective in Q; lra.
Qed.

(** Slide 13 (E6): hence hint 2 as printed, for any two normal numbers, is false. *)
Theorem hint_2_as_printed_is_false :
  ~ (forall J mu1 V1 mu2 V2, 0 <= V1 -> 0 <= V2 ->
     (z <- J ;; point (fst z)) == N mu1 V1 -> (z <- J ;; point (snd z)) == N mu2 V2 ->
     (z <- J ;; point (fst z + snd z)) == N (mu1 + mu2) (V1 + V2)).
Proof.
  intros H. destruct opposite_marginals as [A B]. apply E6.
  exact (H opposite 0 1 0 1 ltac:(lra) ltac:(lra) A B).
Qed.

(** Nor is it enough that they are uncorrelated: z2 = z1 or - z1 by the toss of a coin. *)
Definition coin : Law (R * R) := fun f =>
  (N 0 1 (fun z => f (z, z)) + N 0 1 (fun z => f (z, - z))) / 2.

(** The mean of z1 z2 is 0. *)
Theorem coin_uncorrelated : mean (fun xi => (xi * xi + xi * - xi) / 2) 0.
Proof. apply (IntR_ext (fun u => 0 * phi u)); [intros u; field|apply mean_const]. Qed.

(** Both are N(0, 1). *)
Theorem coin_marginals :
  (z <- coin ;; point (fst z)) == N 0 1 /\ (z <- coin ;; point (snd z)) == N 0 1.
Proof.
  split; intros f T.
  - transitivity ((N 0 1 f + N 0 1 f) / 2); [reflexivity|lra].
  - transitivity ((N 0 1 f + (z <- opposite ;; point (snd z)) f) / 2); [reflexivity|].
    rewrite (proj2 opposite_marginals f T). lra.
Qed.

(** A narrow bell at 0 is met half of the time, however narrow it is; no normal law does that. *)
Lemma bell_is_small m v k : 0 < v -> 0 < k -> N m v (fun x => bell (k * x + 0)) * C
  <= PI / (k * sqrt v).
Proof.
  intros Hv Hk. pose proof (sqrt_lt_R0 v Hv) as S. set (w := sqrt v) in *.
  assert (T : test (fun u => bell (k * (m + w * u) + 0))).
  { apply (test_affine _ _ (k * w) (k * m) test_bell). intros u. f_equal. ring. }
  apply (IntR_le_bound _ _ _ (test_mean _ T)). intros a b Hab.
  assert (D : forall u, is_derive (fun u => atan (k * (m + w * u) + 0) / (k * w)) u
    (bell (k * (m + w * u) + 0))).
  { intros u. unfold bell. auto_derive; [trivial|]. unfold Rsqr. field.
    pose proof (pow2_ge_0 (k * (m + w * u))). repeat split; lra. }
  assert (I : is_RInt (fun u => bell (k * (m + w * u) + 0)) a b
    (atan (k * (m + w * b) + 0) / (k * w) - atan (k * (m + w * a) + 0) / (k * w))).
  { apply (is_RInt_derive (fun u => atan (k * (m + w * u) + 0) / (k * w))); intros u _; [apply D|].
    now apply test_continuous. }
  apply Rle_trans with (RInt (fun u => bell (k * (m + w * u) + 0)) a b).
  - apply RInt_mono; [apply (test_mean _ T)|intros; now apply test_continuous|exact Hab|].
    intros u _. pose proof (bell_between (k * (m + w * u) + 0)). pose proof (phi_le_1 u).
    pose proof (phi_pos u). nra.
  - rewrite (is_RInt_unique _ _ _ _ I). pose proof (atan_bound (k * (m + w * b) + 0)).
    pose proof (atan_bound (k * (m + w * a) + 0)).
    assert (0 < / (k * w)) by (apply Rinv_0_lt_compat; nra). unfold Rdiv in *. nra.
Qed.

(** Slide 13 (E6): half of the time the sum is 0, so that it has no normal law at all. *)
Theorem coin_sum_is_not_normal m v : 0 <= v -> ~ (z <- coin ;; point (fst z + snd z)) == N m v.
Proof.
  intros Hv H. pose proof C_pos as P.
  assert (Half : forall f, test f -> N m v f = (N 0 1 (fun z => f (z + z)) + f 0) / 2).
  { intros f T. rewrite <- (H f T). unfold coin, bind, point. cbn [fst snd]. do 2 f_equal.
    rewrite <- (E_const (f 0)). unfold N. apply E_ext. intros xi. f_equal. ring. }
  assert (Tk : forall a b, test (fun x => bell (a * x + b))).
  { intros a b. now apply (test_affine _ _ a b test_bell). }
  destruct (Req_dec v 0) as [->|V].
  - specialize (Half _ (Tk 1 (- m))). rewrite N_point in Half by apply Tk. unfold point in Half.
    assert (B1 : bell (1 * m + - m) = 1).
    { replace (1 * m + - m) with 0 by ring. unfold bell. field. }
    assert (L : N 0 1 (fun z => bell (1 * (z + z) + - m)) < 1).
    { apply Rlt_le_trans with (E (fun _ => 1)); [|rewrite E_const; lra].
      unfold N. rewrite sqrt_1. apply (E_lt _ _ (m / 2 + 1)).
      - apply (test_affine _ _ 2 (- m) test_bell). intros u. f_equal. ring.
      - apply test_const.
      - intros u. apply bell_between.
      - unfold bell. replace (1 + _ ^ 2) with 5 by field. lra. }
    pose proof (bell_between (1 * 0 + - m)). lra.
  - pose proof (sqrt_lt_R0 v ltac:(lra)) as S. pose proof PI_RGT_0.
    set (k := 4 * PI / (sqrt v * C)).
    assert (K : 0 < k) by (apply Rdiv_lt_0_compat; nra).
    pose proof (bell_is_small m v k ltac:(lra) K) as B.
    replace (PI / (k * sqrt v)) with (C / 4) in B by (unfold k; field; lra).
    rewrite (Half _ (Tk k 0)) in B.
    assert (N0 : 0 <= N 0 1 (fun z => bell (k * (z + z) + 0))).
    { apply Rle_trans with (E (fun _ => 0)); [rewrite E_const; lra|].
      unfold N. rewrite sqrt_1. apply E_le; [apply test_const| |].
      - apply (test_affine _ _ (2 * k) 0 test_bell). intros u. f_equal. ring.
      - intros u. left. apply bell_between. }
    assert (B0 : bell (k * 0 + 0) = 1).
    { replace (k * 0 + 0) with 0 by ring. unfold bell. field. }
    rewrite B0 in B. nra.
Qed.

(** ** E4, E5, E15 *)

(** Slides 13-16 (E4): where s = 0, y_bar is 0; "y_bar = x_bar_0" would be another law. *)
Theorem E4 x0 sigma_y : x0 <> 0 -> ~ y_given_x0 0 sigma_y x0 == point x0.
Proof.
  intros H E. assert (Q : N 0 0 == N x0 0).
  { intros f T. rewrite !N_point, <- (E f T) by exact T. unfold y_given_x0.
    destruct (Rlt_dec 0 0); [lra|reflexivity]. }
  apply N_injective in Q; lra.
Qed.

(** Slide 11 (E5): if sigma_T < sigma_y / s, no variance makes the printed start right. *)
Theorem E5 x0 s sigma_T sigma_y : 0 < s -> 0 <= sigma_T < sigma_y / s ->
  ~ exists v, 0 <= v /\ (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;; N (1 * y + 0) v) == N x0 (sigma_T ^ 2).
Proof.
  intros S L [v [Hv E]]. rewrite spread_square in E by exact S. set (tau := sigma_y / s) in *.
  assert (Q : N (1 * x0 + 0) (1 ^ 2 * tau ^ 2 + v) == N x0 (sigma_T ^ 2)).
  { intros f T. rewrite <- (E f T). symmetry.
    apply hint_1_affine; [apply pow2_ge_0|exact Hv|exact T]. }
  apply N_injective in Q; [|nra|apply pow2_ge_0]. nra.
Qed.

(** Beyond the slides (X12): the coordinate that is left out starts like an unmeasured one. *)
Theorem X12 x0 s sigma_T sigma_y xt y : sigma_T < sigma_y / s ->
  draw (start s sigma_T sigma_y) x0 xt y = N x0 (sigma_T ^ 2).
Proof.
  intros L. unfold draw, start. destruct (Rlt_dec 0 s); [destruct (Rle_dec (sigma_y / s) sigma_T)|];
    try lra; cbn [c_x0 c_xt c_y variance]; f_equal; ring.
Qed.

(** ** E19: coordinates one by one are not enough *)

(** One number for all coordinates. *)
Definition shared (x0 : vec) sigma : Law vec := xi <- N 0 1 ;; point (fun i => x0 i + sigma * xi).

(** Slides 13-16 (E19): each coordinate is N(x_0^i, sigma^2), as the slides prove. *)
Theorem E19_each_coordinate x0 sigma i :
  (x <- shared x0 sigma ;; point (x i)) == N (x0 i) (sigma ^ 2).
Proof.
  intros f T. transitivity ((xi <- N 0 1 ;; point (sigma * xi + x0 i)) f).
  - unfold shared, bind, point, N. apply E_ext. intros u. f_equal. ring.
  - rewrite N_affine by (exact T || lra). f_equal; ring.
Qed.

(** Slides 13-16 (E19): but the vector is not N(x_0, sigma^2 I). *)
Theorem E19 x0 sigma : 0 < sigma -> ~ normal 2 (shared x0 sigma) x0 (scalar (sigma ^ 2)).
Proof.
  intros S H. set (w := fun i : nat => match i with O => 1 | _ => -1 end).
  assert (Q : N (x0 0%nat - x0 1%nat) 0 == N (x0 0%nat - x0 1%nat) (2 * sigma ^ 2)).
  { intros f T. specialize (H w f T). unfold scalar in H. rewrite quadratic_diag in H.
    transitivity (f (x0 0%nat - x0 1%nat)); [now apply N_point|].
    transitivity ((x <- shared x0 sigma ;; point (dot 2 w x)) f).
    - rewrite <- (E_const (f _)). unfold shared, bind, point, N, dot, w. cbn. apply E_ext.
      intros u. f_equal. ring.
    - rewrite H. unfold dot, w. cbn. f_equal; ring. }
  apply N_injective in Q; nra.
Qed.
