(** * Wrong versions, refuted

    Each is a small change of a statement that is proved in the other files; here is a proof
    that the changed statement is false.  A law has one mean and one variance, so that one
    example is enough. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Lia FunctionalExtensionality.
From Ddrm Require Import Gauss Law Normal Vector Slides_03_06 Slides_11_16 Beyond.
Open Scope R_scope.

(** What the parameters of one step must be. *)
Lemma parameters k m V1 a b V2 c v : 0 <= V1 -> 0 <= V2 -> 0 <= v -> (forall z, k z = a * z + b) ->
  (z <- N m V1 ;; N (k z) V2) == N c v -> a * m + b = c /\ a ^ 2 * V1 + V2 = v.
Proof.
  intros H1 H2 Hv K E. pose proof (pow2_ge_0 a). apply N_injective; [|exact Hv|].
  - assert (0 <= a ^ 2 * V1) by now apply Rmult_le_pos. lra.
  - intros f T. rewrite <- (E f T), <- hint_1_affine by assumption. unfold bind, N. apply E_ext.
    intros u. apply E_ext. intros xi. now rewrite K.
Qed.

(** Against S13.1: hint 1 with alpha for alpha^2: at alpha = 2, V1 = 1, V2 = 0 the variance
    is 4, not 2. *)
Theorem hint_1_without_square :
  ~ forall z0 V1 alpha V2, 0 <= V1 -> 0 <= V2 ->
    (z1 <- N z0 V1 ;; N (alpha * z1) V2) == N (alpha * z0) (alpha * V1 + V2).
Proof.
  intros H. specialize (H 0 1 2 0 ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ 2 0) in H; intros; lra.
Qed.

(** Against S13.1: hint 1 with a mean that contains z0, and gamma z0 forgotten: the mean
    is 2, not 1. *)
Theorem hint_1_without_gamma :
  ~ forall z0 V1 alpha gamma V2, 0 <= V1 -> 0 <= V2 ->
    (z1 <- N z0 V1 ;; N (alpha * z1 + gamma * z0) V2) == N (alpha * z0) (alpha ^ 2 * V1 + V2).
Proof.
  intros H. specialize (H 1 1 1 1 0 ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ 1 1) in H; intros; lra.
Qed.

(** Against S13.2: hint 2 with standard deviations added, not variances: 4 for 2. *)
Theorem hint_2_with_deviations :
  ~ forall J mu1 V1 mu2 V2, 0 <= V1 -> 0 <= V2 -> independent J (N mu1 V1) (N mu2 V2) ->
    (z <- J ;; point (fst z + snd z)) == N (mu1 + mu2) ((sqrt V1 + sqrt V2) ^ 2).
Proof.
  intros H. set (J := z1 <- N 0 1 ;; z2 <- N 0 1 ;; point (z1, z2)).
  assert (I : independent J (N 0 1) (N 0 1)) by (intros a b f T; reflexivity).
  pose proof (hint_2 J 0 1 0 1 ltac:(lra) ltac:(lra) I) as R.
  specialize (H J 0 1 0 1 ltac:(lra) ltac:(lra) I). rewrite sqrt_1 in H.
  assert (Q : N (0 + 0) (1 + 1) == N (0 + 0) ((1 + 1) ^ 2)).
  { intros f T. now rewrite <- (R f T), <- (H f T). }
  apply N_injective in Q; lra.
Qed.

(** Against S03.2: slide 3 with alpha_t for alpha_bar_t in the variance: after two steps with beta =
    1/2 it is 3/4, not 1/2. *)
Theorem jump_with_alpha :
  ~ forall beta x0 t, (forall t, 0 < beta t < 1) ->
    noised beta x0 (S t) == N (sqrt (alpha_bar beta (S t)) * x0) (1 - alpha beta (S t)).
Proof.
  intros H. assert (B : forall t : nat, 0 < (fun _ : nat => 1 / 2) t < 1) by (intros; lra).
  specialize (H (fun _ => 1 / 2) 0 1%nat B). pose proof (jump (fun _ => 1 / 2) 0 B 2) as R.
  assert (Q : N (sqrt (alpha_bar (fun _ => 1 / 2) 2) * 0) (1 - alpha_bar (fun _ => 1 / 2) 2)
    == N (sqrt (alpha_bar (fun _ => 1 / 2) 2) * 0) (1 - alpha (fun _ => 1 / 2) 2)).
  { intros f T. now rewrite <- (R f T), <- (H f T). }
  apply N_injective in Q; cbn in *; unfold alpha in *; lra.
Qed.

(** Against S05.3: the step back with beta for beta_tilde: with beta = 1/2 the variance of x_1 is
    1/2, not 2/3. *)
Theorem beta_for_beta_tilde :
  ~ forall beta x0 t, (forall t, 0 < beta t < 1) ->
    same_law_2
      (x <- N (sqrt (alpha_bar beta t) * x0) (1 - alpha_bar beta t) ;;
       x' <- N (sqrt (1 - beta (S t)) * x) (beta (S t)) ;; point (x, x'))
      (x' <- N (sqrt (alpha_bar beta (S t)) * x0) (1 - alpha_bar beta (S t)) ;;
       x <- N (mu_tilde beta x0 t x') (beta (S t)) ;; point (x, x')).
Proof.
  intros H. set (half := fun _ : nat => 1 / 2).
  assert (B : forall t, 0 < half t < 1) by (intros; unfold half; lra).
  specialize (H half 0 1%nat B 1 0).
  assert (Q : (x' <- N (sqrt (alpha_bar half 2) * 0) (1 - alpha_bar half 2) ;;
    N (mu_tilde half 0 1 x') (half 2%nat))
      == N (sqrt (alpha_bar half 1) * 0) (1 - alpha_bar half 1)).
  { intros f T. specialize (H f T). unfold bind, point in H. cbn [fst snd] in H.
    transitivity (N (sqrt (alpha_bar half 1) * 0) (1 - alpha_bar half 1) (fun x =>
      N (sqrt (1 - half 2%nat) * x) (half 2%nat) (fun x' => f (1 * x + 0 * x')))).
    - rewrite H. unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. ring.
    - unfold N. apply E_ext. intros u. rewrite <- (E_const (f _)). apply E_ext. intros xi.
      f_equal. ring. }
  pose proof (pow2_sqrt (1 / 2) ltac:(lra)) as R.
  apply (parameters _ _ _ (sqrt (1 / 2) * (2 / 3)) 0) in Q; unfold mu_tilde, half in *;
    cbn [alpha_bar] in *; unfold alpha in *; [|lra..|].
  - destruct Q as [_ Q]. rewrite Rpow_mult_distr, R in Q. lra.
  - intros z. replace (1 - 1 / 2) with (1 / 2) by lra. field.
Qed.

(** Against S14.1: case 1 with eta_b for eta_b^2 (M19 of the ledger): at eta_b = 1/2 the variance is
    3/4, not 1. *)
Theorem case_1_without_square :
  ~ forall s sigma_y x0 sigma_t eta_b, 0 < s -> sigma_y / s <= sigma_t -> 0 <= eta_b <= 1 ->
    (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
     N (x0 * (1 - eta_b) + eta_b * y) (sigma_t ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 1 1 0 1 (1 / 2) ltac:(lra) ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ (1 / 2) 0) in H; intros; lra.
Qed.

(** Against S11.5: case 1 with an eta_b that is not admissible: no variance makes up for
    eta_b = 2. *)
Theorem case_1_for_every_eta_b :
  ~ forall s sigma_y x0 sigma_t eta_b, 0 < s -> sigma_y / s <= sigma_t -> 0 <= eta_b ->
    exists v, 0 <= v /\
    (y <- N x0 ((sigma_y / s) ^ 2) ;; N (eta_b * y + (1 - eta_b) * x0) v) == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 1 1 0 1 2 ltac:(lra) ltac:(lra) ltac:(lra)).
  apply eta_b_admissible_iff in H; lra.
Qed.

(** Against S15.1: case 2 with sqrt(1 - eta) for sqrt(1 - eta^2) (M21): at eta = 1/2 the variance is
    3/4, not 1. *)
Theorem case_2_without_square :
  ~ forall s sigma_y x0 sigma_t eta, 0 < s -> 0 <= sigma_t < sigma_y / s -> 0 <= eta <= 1 ->
    (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
     N (x0 + sqrt (1 - eta) * sigma_t * ((y - x0) / (sigma_y / s))) (eta ^ 2 * sigma_t ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 1 2 0 1 (1 / 2) ltac:(lra) ltac:(lra) ltac:(lra)).
  pose proof (pow2_sqrt (1 - 1 / 2) ltac:(lra)) as K.
  apply (parameters _ _ _ (sqrt (1 - 1 / 2) / 2) 0) in H; [|lra..|intros; field].
  destruct H as [_ H]. replace ((sqrt (1 - 1 / 2) / 2) ^ 2) with (sqrt (1 - 1 / 2) ^ 2 / 4) in H
    by field.
  lra.
Qed.

(** Against S15.1: case 2 with eta for k = sqrt(1 - eta^2): at eta = 1/2 the variance is
    1/2, not 1. *)
Theorem case_2_with_eta_for_k :
  ~ forall s sigma_y x0 sigma_t eta, 0 < s -> 0 <= sigma_t < sigma_y / s -> 0 <= eta <= 1 ->
    (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
     N (x0 + eta * sigma_t * ((y - x0) / (sigma_y / s))) (eta ^ 2 * sigma_t ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 1 2 0 1 (1 / 2) ltac:(lra) ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ (1 / 4) 0) in H; intros; lra.
Qed.

(** Against S15.1: case 2 with an eta above 1: at eta = 2 the variance is 4, not 1. *)
Theorem case_2_for_every_eta :
  ~ forall s sigma_y x0 sigma_t eta, 0 < s -> 0 <= sigma_t < sigma_y / s -> 0 <= eta ->
    (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
     N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((y - x0) / (sigma_y / s))) (eta ^ 2 * sigma_t ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 1 2 0 1 2 ltac:(lra) ltac:(lra) ltac:(lra)).
  rewrite (sqrt_neg_0 (1 - 2 ^ 2)) in H by lra. apply (parameters _ _ _ 0 0) in H; intros; lra.
Qed.

(** Against S16.1: case 3 from sigma_{t+1} = 0: at eta = 0 the variance is 0, not 1. *)
Theorem case_3_from_level_0 :
  ~ forall x0 sigma_t sigma_t1 eta, 0 <= sigma_t1 -> 0 <= eta <= 1 ->
    (x <- N x0 (sigma_t1 ^ 2) ;;
     N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((x - x0) / sigma_t1)) (eta ^ 2 * sigma_t ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 0 1 0 0 ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ (sqrt (1 - 0 ^ 2) * / 0) 0) in H; [|lra..|].
  - destruct H as [_ H]. rewrite (pow_i 2) in H by lia. lra.
  - intros z. unfold Rdiv. ring.
Qed.

(** Against S16.1: case 3 with fresh noise eta sigma_{t+1} (M24): at eta = 1 the variance
    is 4, not 1. *)
Theorem case_3_with_the_old_level :
  ~ forall x0 sigma_t sigma_t1 eta, 0 < sigma_t1 -> 0 <= eta <= 1 ->
    (x <- N x0 (sigma_t1 ^ 2) ;;
     N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((x - x0) / sigma_t1)) (eta ^ 2 * sigma_t1 ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 0 1 2 1 ltac:(lra) ltac:(lra)).
  replace (1 - 1 ^ 2) with 0 in H by ring. rewrite sqrt_0 in H.
  apply (parameters _ _ _ 0 0) in H; intros; lra.
Qed.

(** Against S16.1: case 3 without the division by sigma_{t+1} (slide 16): at eta = 0 the variance
    is 4, not 1. *)
Theorem case_3_without_division :
  ~ forall x0 sigma_t sigma_t1 eta, 0 < sigma_t1 -> 0 <= eta <= 1 ->
    (x <- N x0 (sigma_t1 ^ 2) ;;
     N (x0 + sqrt (1 - eta ^ 2) * sigma_t * (x - x0)) (eta ^ 2 * sigma_t ^ 2))
    == N x0 (sigma_t ^ 2).
Proof.
  intros H. specialize (H 0 1 2 0 ltac:(lra) ltac:(lra)).
  replace (1 - 0 ^ 2) with 1 in H by ring. rewrite sqrt_1 in H.
  apply (parameters _ _ _ 1 0) in H; intros; lra.
Qed.

(** Case 1 for sigma_t > tau only; equality falls to case 3. *)
Definition strict_table s sigma next sigma_y eta eta_b : row :=
  if Rlt_dec 0 s then
    if Rlt_dec (sigma_y / s) next then table s sigma next sigma_y eta eta_b
    else table 0 sigma next sigma_y eta eta_b
  else table 0 sigma next sigma_y eta eta_b.

(** Against S11.2: that table (M33).  Without noise, at the last step and with eta_b = 1, the
    measured coordinate is the prediction, not the measurement. *)
Theorem strict_boundary :
  ~ forall s sigma eta x_theta xt y, 0 < s -> 0 < sigma ->
    draw (strict_table s sigma 0 0 eta 1) x_theta xt y == point y.
Proof.
  intros H. specialize (H 1 1 0 0 0 1 ltac:(lra) ltac:(lra)). unfold strict_table in H.
  destruct (Rlt_dec 0 1); [|lra]. destruct (Rlt_dec (0 / 1) 0); [lra|].
  assert (Q : N 0 0 == N 1 0).
  { intros f T. rewrite !N_point, <- (H f T) by exact T. symmetry.
    apply (last_step 0 0 1 0 0 1 0 1); [lra..|now left|exact T]. }
  apply N_injective in Q; lra.
Qed.

(** Against S13.4: the start with the noise of y counted twice: the variance is 2, not 1. *)
Theorem start_with_the_noise_twice :
  ~ forall s sigma_y x0 sigma_T, 0 < s -> sigma_y / s <= sigma_T ->
    (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;; N y (sigma_T ^ 2)) == N x0 (sigma_T ^ 2).
Proof.
  intros H. specialize (H 1 1 0 1 ltac:(lra) ltac:(lra)).
  apply (parameters _ _ _ 1 0) in H; intros; lra.
Qed.

(** Against S11.6: eta + eta_b = 1 at the boundary. *)
Theorem boundary_without_squares :
  ~ forall x0 tau eta eta_b, 0 < tau -> 0 <= eta <= 1 -> 0 <= eta_b <= 1 ->
    ((forall y, N (x0 * (1 - eta_b) + eta_b * y) (tau ^ 2 - tau ^ 2 * eta_b ^ 2)
             == N (x0 + sqrt (1 - eta ^ 2) * tau * ((y - x0) / tau)) (eta ^ 2 * tau ^ 2))
     <-> eta + eta_b = 1).
Proof.
  intros H. specialize (H 0 1 (3 / 5) (4 / 5) ltac:(lra) ltac:(lra) ltac:(lra)).
  pose proof (cases_1_2_agree 0 1 (3 / 5) (4 / 5) ltac:(lra) ltac:(lra) ltac:(lra)) as R.
  assert (3 / 5 + 4 / 5 = 1) by (apply H, R; lra). lra.
Qed.

(** Against E15: the slide's range for eta_b*: without noise it is 2. *)
Theorem eta_b_star_beyond_1 : ~ forall tau next, 0 <= tau <= next -> 0 < next ->
  eta_b_star tau next <= 1.
Proof.
  intros H. specialize (H 0 1 ltac:(lra) ltac:(lra)). rewrite eta_b_star_noiseless in H; lra.
Qed.

(** Against X01: half of eta_b*. *)
Theorem eta_b_star_without_2 : ~ forall tau next, 0 <= tau -> 0 < next ->
  let eta_b := next ^ 2 / (next ^ 2 + tau ^ 2) in
  next ^ 2 * (1 - eta_b) ^ 2 = next ^ 2 - tau ^ 2 * eta_b ^ 2.
Proof. intros H. specialize (H 1 1 ltac:(lra) ltac:(lra)). cbv zeta in H. lra. Qed.

(** Against X07: DDRM's eta taken for DDIM's: with eta = 1 the chain is not the one that only
    adds noise. *)
Theorem ddim_with_the_same_eta :
  ~ forall x0 sigma next sigma_y eta_b y, 0 < next < sigma ->
    same_law_2
      (x <- N x0 (next ^ 2) ;; x' <- N x (sigma ^ 2 - next ^ 2) ;; point (x, x'))
      (x' <- N x0 (sigma ^ 2) ;; x <- draw (table 0 sigma next sigma_y 1 eta_b) x0 x' y ;;
       point (x, x')).
Proof.
  intros H. specialize (H 0 2 1 0 0 0 ltac:(lra)). apply plain_chain_iff in H; lra.
Qed.

(** Against S19.1: VP with sigma for sigma^2: at sigma = 2 the variance is 4/5, not 2/3. *)
Theorem VP_without_square :
  ~ forall x0 sigma, 0 <= sigma ->
    (x <- N x0 (sigma ^ 2) ;; point (x / sqrt (1 + sigma ^ 2)))
    == N (sqrt (/ (1 + sigma)) * x0) (1 - / (1 + sigma)).
Proof.
  intros H. specialize (H 0 2 ltac:(lra)). pose proof (VE_to_VP 0 2) as R. cbv zeta in R.
  assert (Q : N (sqrt (/ (1 + 2 ^ 2)) * 0) (1 - / (1 + 2 ^ 2))
    == N (sqrt (/ (1 + 2)) * 0) (1 - / (1 + 2))).
  { intros f T. now rewrite <- (R f T), <- (H f T). }
  apply N_injective in Q; lra.
Qed.

(** The plane turned by the angle of (3/5, 4/5). *)
Definition turn (i j : nat) : R := match i, j with
  | O, O => 3 / 5 | O, _ => 4 / 5 | _, O => - (4 / 5) | _, _ => 3 / 5
  end.

(** Against S12.2: unequal variances.  1 and 2 become 41/25 and 34/25 when the plane is turned. *)
Theorem rotation_of_unequal_variances :
  ~ forall L x0 (v : vec), normal 2 L (times 2 (transpose turn) x0) (diag v) ->
    normal 2 (x <- L ;; point (times 2 turn x)) x0 (diag v).
Proof.
  intros H. set (v := fun i : nat => match i with O => 1 | _ => 2 end).
  set (zero := fun _ : nat => 0).
  assert (Hv : forall i, (i < 2)%nat -> 0 <= v i) by (intros [|i] _; cbn; lra).
  pose proof (draws_normal 2 (times 2 (transpose turn) zero) v Hv) as D.
  specialize (H _ zero v D). set (w := fun i : nat => match i with O => 1 | _ => 0 end).
  set (w' := times 2 (transpose turn) w).
  assert (Q : N (dot 2 w' (times 2 (transpose turn) zero)) (sum 2 (fun i => w' i ^ 2 * v i))
    == N (dot 2 w zero) (sum 2 (fun i => w i ^ 2 * v i))).
  { intros f T. specialize (H w f T). specialize (D w' f T). rewrite quadratic_diag in H, D.
    rewrite <- H, <- D. unfold bind, point. f_equal. apply functional_extensionality. intros x.
    f_equal. symmetry. apply dot_times. }
  apply N_injective in Q; unfold w', times, transpose, turn, w, v in *; cbn in *; lra.
Qed.
