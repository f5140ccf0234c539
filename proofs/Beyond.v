(** * Slides 11, 17 and 19 once more, and beyond the slides

    Which rates are admissible, what a wrong prediction costs, Theorem 3.2, DDIM, VE and VP.  One
    coordinate; [sigma] is sigma_{t+1}, [next] is sigma_t, [tau] is sigma_y / s. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz FunctionalExtensionality.
From Ddrm Require Import Integral Gauss Law Normal Slides_11_16.
Open Scope R_scope.

(** ** Slide 11: the rates *)

(** Slide 11 (S11.5): in case 1 there is a variance that keeps the marginal if and only if
    eta_b tau <= sigma_t. *)
Theorem eta_b_admissible_iff x0 tau next eta_b : 0 <= tau -> 0 <= next -> 0 <= eta_b ->
  ((exists v, 0 <= v /\ (y <- N x0 (tau ^ 2) ;; N (eta_b * y + (1 - eta_b) * x0) v)
    == N x0 (next ^ 2))
   <-> eta_b * tau <= next).
Proof.
  intros Ht Hn He. assert (P : 0 <= eta_b * tau) by now apply Rmult_le_pos. split.
  - intros [v [Hv E]]. assert (Q : N x0 (eta_b ^ 2 * tau ^ 2 + v) == N x0 (next ^ 2)).
    { intros f T. rewrite <- (E f T), hint_1_affine by (exact T || exact Hv || apply pow2_ge_0).
      f_equal. ring. }
    apply N_injective in Q; [|nra|apply pow2_ge_0]. destruct Q as [_ Q].
    apply Rsqr_incr_0; [unfold Rsqr; nra|exact P|exact Hn].
  - intros L. exists (next ^ 2 - (eta_b * tau) ^ 2). split.
    + assert (0 <= (next - eta_b * tau) * (next + eta_b * tau)) by (apply Rmult_le_pos; lra). lra.
    + apply row_keeps_marginal; [|apply pow2_ge_0|ring|ring].
      assert (0 <= (next - eta_b * tau) * (next + eta_b * tau)) by (apply Rmult_le_pos; lra). lra.
Qed.

(** Slide 11 (S11.5): the slide's range, up to 1, is always admissible in case 1. *)
Theorem eta_b_up_to_1 tau next eta_b : 0 <= tau <= next -> 0 <= eta_b <= 1 -> eta_b * tau <= next.
Proof. intros T E. assert (eta_b * tau <= 1 * tau) by (apply Rmult_le_compat_r; lra). lra. Qed.

(** Slide 11 (S11.6): at sigma_t = tau cases 1 and 2 are the same kernel iff eta^2 + eta_b^2 = 1. *)
Theorem cases_1_2_agree x0 tau eta eta_b : 0 < tau -> 0 <= eta <= 1 -> 0 <= eta_b <= 1 ->
  ((forall y, N (x0 * (1 - eta_b) + eta_b * y) (tau ^ 2 - tau ^ 2 * eta_b ^ 2)
           == N (x0 + sqrt (1 - eta ^ 2) * tau * ((y - x0) / tau)) (eta ^ 2 * tau ^ 2))
   <-> eta ^ 2 + eta_b ^ 2 = 1).
Proof.
  intros Ht He Hb. assert (P : 0 < tau ^ 2) by (apply pow_lt; lra).
  assert (V : 0 <= tau ^ 2 - tau ^ 2 * eta_b ^ 2).
  { assert (0 <= tau ^ 2 * (1 - eta_b ^ 2)) by (apply Rmult_le_pos; nra). lra. } split.
  - intros E. specialize (E x0). apply N_injective in E; [|exact V|apply Rmult_le_pos; nra].
    destruct E as [_ E]. apply (Rmult_eq_reg_l (tau ^ 2)); lra.
  - intros E y f T. replace (1 - eta ^ 2) with (eta_b ^ 2) by lra. rewrite sqrt_pow2 by lra.
    f_equal; [field; lra|]. replace (eta ^ 2) with (1 - eta_b ^ 2) by lra. ring.
Qed.

(** Beyond the slides (X04): at the boundary with eta_b = 1 the variance is 0; x_t is
    y_bar itself. *)
Theorem boundary x0 s sigma sigma_y eta xt y : 0 < s ->
  draw (table s sigma (sigma_y / s) sigma_y eta 1) x0 xt y == point y.
Proof.
  intros S f T. rewrite slide_11_case_1 by lra.
  replace (x0 * (1 - 1) + 1 * y) with y by ring.
  replace ((sigma_y / s) ^ 2 - sigma_y ^ 2 / s ^ 2 * 1 ^ 2) with 0 by (field; lra).
  now apply N_point.
Qed.

(** Beyond the slides (X06): without noise, sigma_y = 0, a measured coordinate is in case 1, and the
    variance is sigma_t^2 for every eta_b. *)
Theorem noiseless x0 s sigma next eta eta_b xt y : 0 < s -> 0 <= next ->
  draw (table s sigma next 0 eta eta_b) x0 xt y = N (x0 * (1 - eta_b) + eta_b * y) (next ^ 2).
Proof.
  intros S L. rewrite slide_11_case_1; [f_equal; field; lra|exact S|].
  unfold Rdiv. rewrite Rmult_0_l. lra.
Qed.

(** Beyond the slides (X14): for eta = 1 cases 2 and 3 use neither y_bar nor x_{t+1}. *)
Theorem memory_is_gone s sigma next sigma_y eta_b : ~ (0 < s /\ sigma_y / s <= next) ->
  let r := table s sigma next sigma_y 1 eta_b in c_xt r = 0 /\ c_y r = 0 /\ c_x0 r = 1.
Proof.
  assert (K : kept 1 = 0) by (unfold kept; replace (1 - 1 ^ 2) with 0 by ring; apply sqrt_0).
  intros B. cbv zeta. unfold table. rewrite K. destruct (Rlt_dec 0 s).
  - destruct (Rle_dec (sigma_y / s) next); [tauto|]. cbn. unfold Rdiv. repeat split; ring.
  - cbn. unfold Rdiv. repeat split; ring.
Qed.

(** Slide 17 (S17.3): the last step, sigma_0 = 0.  The prediction is the result; without noise,
    where s > 0, it is (1 - eta_b) x_theta + eta_b y_bar, that is y_bar for eta_b = 1. *)
Theorem last_step x_theta s sigma sigma_y eta eta_b xt y : 0 < sigma -> 0 <= sigma_y ->
  (s = 0 \/ 0 < s /\ 0 < sigma_y ->
   draw (table s sigma 0 sigma_y eta eta_b) x_theta xt y == point x_theta) /\
  (0 < s -> sigma_y = 0 ->
   draw (table s sigma 0 sigma_y eta eta_b) x_theta xt y
   == point (x_theta * (1 - eta_b) + eta_b * y)).
Proof.
  intros L N0. split.
  - intros [S|[S Y]] f T.
    + rewrite slide_11_case_3 by assumption. rewrite <- N_point by exact T. f_equal; field; lra.
    + assert (0 < sigma_y / s) by (apply Rdiv_lt_0_compat; lra).
      rewrite slide_11_case_2 by lra. rewrite <- N_point by exact T. f_equal; field; lra.
  - intros S -> f T. rewrite noiseless by lra. rewrite <- N_point by exact T. f_equal; ring.
Qed.

(** ** Slide 17: what a wrong prediction costs *)

(** Slide 17 (S17.1): the sampler starts in the same way with 0 for the x_bar_0 that it
    cannot know. *)
Theorem sampler_start s sigma_T sigma_y xt y : 0 <= s ->
  (0 < s -> sigma_y / s <= sigma_T ->
     draw (start s sigma_T sigma_y) 0 xt y = N y (sigma_T ^ 2 - sigma_y ^ 2 / s ^ 2)) /\
  (s = 0 -> draw (start s sigma_T sigma_y) 0 xt y = N 0 (sigma_T ^ 2)).
Proof. intros S. now apply slide_11_start. Qed.

(** Slide 17 (S17.2, X05): the reverse kernel is the same row with x_theta in the place of x_0.  Its
    divergence is c_x0^2 / (2 variance) times the squared error. *)
Theorem step_divergence r x0 x_theta xt y : 0 < variance r ->
  KL (c_x0 r * x0 + c_xt r * xt + c_y r * y) (variance r)
     (c_x0 r * x_theta + c_xt r * xt + c_y r * y) (variance r)
     (c_x0 r ^ 2 / (2 * variance r) * (x0 - x_theta) ^ 2).
Proof.
  intros V. pose proof (KL_normal (c_x0 r * x0 + c_xt r * xt + c_y r * y) (variance r)
    (c_x0 r * x_theta + c_xt r * xt + c_y r * y) (variance r) V V) as K.
  replace (variance r / variance r) with 1 in K by (field; lra). rewrite ln_1 in K.
  replace (c_x0 r ^ 2 / (2 * variance r) * (x0 - x_theta) ^ 2) with
    ((c_x0 r * x0 + c_xt r * xt + c_y r * y - (c_x0 r * x_theta + c_xt r * xt + c_y r * y)) ^ 2
     / (2 * variance r) + (1 - 1 - 0) / 2); [exact K|field; lra].
Qed.

Definition weight (r : row) := c_x0 r ^ 2 / (2 * variance r).

(** Beyond the slides (X05): the three weights. *)
Theorem weights s sigma next sigma_y eta eta_b :
  let w := weight (table s sigma next sigma_y eta eta_b) in
  (0 < s -> sigma_y / s <= next ->
     w = (1 - eta_b) ^ 2 / (2 * (next ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b ^ 2))) /\
  (0 < s -> next < sigma_y / s ->
     w = (1 - kept eta * next / (sigma_y / s)) ^ 2 / (2 * (eta ^ 2 * next ^ 2))) /\
  (s = 0 -> w = (1 - kept eta * next / sigma) ^ 2 / (2 * (eta ^ 2 * next ^ 2))).
Proof.
  cbv zeta. unfold weight, table. repeat split; [intros S B|intros S B|intros S];
    destruct (Rlt_dec 0 s); try lra; try (destruct (Rle_dec (sigma_y / s) next); try lra);
      reflexivity.
Qed.

(** Beyond the slides (X15): case 3 with eta^2 = 1 - (sigma_t / sigma_{t+1})^2 has DDPM's
    own weight. *)
Theorem ddpm_weight sigma next : 0 < next < sigma ->
  (1 - kept (sqrt (1 - (next / sigma) ^ 2)) * next / sigma) ^ 2
  / (2 * (sqrt (1 - (next / sigma) ^ 2) ^ 2 * next ^ 2)) = (/ next ^ 2 - / sigma ^ 2) / 2.
Proof.
  intros L. assert (Q : 0 < next / sigma < 1).
  { split; [apply Rdiv_lt_0_compat; lra|]. apply (Rmult_lt_reg_r sigma); [lra|].
    unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  unfold kept. rewrite pow2_sqrt by nra.
  replace (1 - (1 - (next / sigma) ^ 2)) with ((next / sigma) ^ 2) by ring.
  rewrite sqrt_pow2 by lra. assert (0 < sigma ^ 2 - next ^ 2) by nra. field. repeat split; nra.
Qed.

(** Beyond the slides (X16): no eta gives case 2 a smaller weight than
    (1 / sigma_t^2 - 1 / tau^2) / 2. *)
Theorem least_weight tau next eta : 0 < next < tau -> 0 < eta <= 1 ->
  (/ next ^ 2 - / tau ^ 2) / 2 <= (1 - kept eta * next / tau) ^ 2 / (2 * (eta ^ 2 * next ^ 2)).
Proof.
  intros L He. pose proof (pow2_sqrt (1 - eta ^ 2) ltac:(nra)) as K. fold (kept eta) in K.
  assert (P : 0 < eta ^ 2) by nra. assert (0 < next ^ 2) by nra. assert (0 < tau ^ 2) by nra.
  apply (Rmult_le_reg_r (2 * (eta ^ 2 * next ^ 2) * tau ^ 2)).
  { repeat apply Rmult_lt_0_compat; lra. }
  replace ((/ next ^ 2 - / tau ^ 2) / 2 * (2 * (eta ^ 2 * next ^ 2) * tau ^ 2))
    with (eta ^ 2 * (tau ^ 2 - next ^ 2)) by (field; lra).
  replace ((1 - kept eta * next / tau) ^ 2 / (2 * (eta ^ 2 * next ^ 2))
    * (2 * (eta ^ 2 * next ^ 2) * tau ^ 2)) with ((tau - kept eta * next) ^ 2) by (field; lra).
  replace (eta ^ 2) with (1 - kept eta ^ 2) by lra.
  pose proof (pow2_ge_0 (kept eta * tau - next)). nra.
Qed.

(** Beyond the slides (X16): it is reached for sqrt(1 - eta^2) = sigma_t / tau. *)
Theorem least_weight_reached tau next : 0 < next < tau ->
  let eta := sqrt (1 - (next / tau) ^ 2) in
  (1 - kept eta * next / tau) ^ 2 / (2 * (eta ^ 2 * next ^ 2)) = (/ next ^ 2 - / tau ^ 2) / 2.
Proof. intros L. exact (ddpm_weight tau next L). Qed.

(** ** Theorem 3.2 *)

(** eta_b* = 2 sigma_t^2 / (sigma_t^2 + tau^2). *)
Definition eta_b_star tau next := 2 * next ^ 2 / (next ^ 2 + tau ^ 2).

(** Beyond the slides (X01): with a = sigma_t^2 and b = tau^2, case 1 has the weight 1 / 2a, that is
    a (1 - eta_b)^2 = a - b eta_b^2, for eta_b = 0 and eta_b = eta_b* and for no other eta_b. *)
Theorem roots tau next eta_b : 0 <= tau -> 0 < next ->
  (next ^ 2 * (1 - eta_b) ^ 2 = next ^ 2 - tau ^ 2 * eta_b ^ 2
   <-> eta_b = 0 \/ eta_b = eta_b_star tau next).
Proof.
  intros Ht Hn. assert (P : 0 < next ^ 2 + tau ^ 2) by nra. unfold eta_b_star. split.
  - intros E. destruct (Req_dec eta_b 0) as [Z|Z]; [now left|right].
    apply (Rmult_eq_reg_l (eta_b * (next ^ 2 + tau ^ 2))); [|nra].
    transitivity (2 * next ^ 2 * eta_b); [lra|field; lra].
  - intros [->| ->]; [ring|field; lra].
Qed.

(** Beyond the slides (X01): the difference of the two sides is least half way between the roots. *)
Theorem vertex tau next eta_b : 0 <= tau -> 0 < next ->
  let g e := next ^ 2 * (1 - e) ^ 2 - (next ^ 2 - tau ^ 2 * e ^ 2) in
  g (eta_b_star tau next / 2) <= g eta_b.
Proof.
  intros Ht Hn g. assert (P : 0 < next ^ 2 + tau ^ 2) by nra.
  replace (g eta_b) with ((next ^ 2 + tau ^ 2) * (eta_b - eta_b_star tau next / 2) ^ 2
    + g (eta_b_star tau next / 2)) by (unfold g, eta_b_star; field; lra).
  assert (0 <= (next ^ 2 + tau ^ 2) * (eta_b - eta_b_star tau next / 2) ^ 2).
  { apply Rmult_le_pos; [lra|apply pow2_ge_0]. } lra.
Qed.

(** Beyond the slides (X01, E15): in case 1 it lies between 1 and 2, outside of the slide's range
    but at the boundary. *)
Theorem eta_b_star_range tau next : 0 < tau <= next -> 1 <= eta_b_star tau next < 2.
Proof.
  intros L. assert (P : 0 < next ^ 2 + tau ^ 2) by nra. assert (Q : tau ^ 2 <= next ^ 2) by nra.
  unfold eta_b_star. split; apply (Rmult_le_reg_r (next ^ 2 + tau ^ 2)) ||
    apply (Rmult_lt_reg_r (next ^ 2 + tau ^ 2)); try lra;
    unfold Rdiv; rewrite Rmult_assoc, Rinv_l; nra.
Qed.

(** Beyond the slides (X06): without noise it is 2. *)
Theorem eta_b_star_noiseless next : 0 < next -> eta_b_star 0 next = 2.
Proof. intros L. unfold eta_b_star. field. nra. Qed.

(** Beyond the slides (X02): it is admissible, because the geometric mean does not exceed the
    arithmetic one. *)
Theorem eta_b_star_admissible tau next : 0 <= tau -> 0 < next -> eta_b_star tau next * tau <= next.
Proof.
  intros Ht Hn. assert (P : 0 < next ^ 2 + tau ^ 2) by nra. unfold eta_b_star.
  apply (Rmult_le_reg_r (next ^ 2 + tau ^ 2)); [lra|].
  replace (2 * next ^ 2 / (next ^ 2 + tau ^ 2) * tau * (next ^ 2 + tau ^ 2))
    with (2 * next ^ 2 * tau)
    by (field; lra).
  pose proof (Rmult_le_pos next ((next - tau) ^ 2) ltac:(lra) (pow2_ge_0 _)). nra.
Qed.

(** Theorem 3.2, each term of its sum (X03): with eta = 1 and eta_b* every coordinate has the weight
    1 / (2 sigma_t^2), whatever s and sigma_y are, as long as sigma_t is not exactly tau. *)
Theorem Theorem_3_2 s sigma next sigma_y : 0 <= s -> 0 <= sigma_y -> 0 < next ->
  (0 < s -> next <> sigma_y / s) ->
  weight (table s sigma next sigma_y 1 (eta_b_star (sigma_y / s) next)) = / (2 * next ^ 2).
Proof.
  intros S Y L B. destruct (Rlt_dec 0 s) as [P|P].
  - assert (T : 0 <= sigma_y / s) by now apply spread_nonneg.
    specialize (B P). unfold weight, table. destruct (Rlt_dec 0 s); [|lra].
    rewrite spread_square by exact P. set (tau := sigma_y / s) in *.
    destruct (Rle_dec tau next) as [Q|Q]; cbn [c_x0 variance].
    + assert (H : 0 < next ^ 2 - tau ^ 2) by nra.
      assert (E : next ^ 2 * (1 - eta_b_star tau next) ^ 2
        = next ^ 2 - tau ^ 2 * eta_b_star tau next ^ 2) by (apply roots; auto).
      rewrite <- E. assert (1 - eta_b_star tau next <> 0).
      { unfold eta_b_star. intros Z. assert (next ^ 2 + tau ^ 2 = 2 * next ^ 2); [|lra].
        apply (Rmult_eq_reg_r (/ (next ^ 2 + tau ^ 2))); [|apply Rinv_neq_0_compat; nra].
        rewrite Rinv_r by nra. unfold Rdiv in Z. lra. }
      field. split; [lra|assumption].
    + unfold kept. replace (1 - 1 ^ 2) with 0 by ring. rewrite sqrt_0. field. split; [|lra].
      unfold tau in *. lra.
  - unfold weight, table. destruct (Rlt_dec 0 s); [lra|]. cbn [c_x0 variance].
    unfold kept. replace (1 - 1 ^ 2) with 0 by ring. rewrite sqrt_0.
    replace (0 * next / sigma) with 0 by (unfold Rdiv; ring). field. lra.
Qed.

(** ** DDIM and DDPM (X07) *)

(** Beyond the slides (X07): DDIM's marginals, by the same lemma as case 3.  Here
    A = alpha_bar_{t+1}, B = alpha_bar_t, and v is the variance of the step. *)
Theorem DDIM_marginals x0 A B v : 0 < A < 1 -> 0 <= B <= 1 -> 0 <= v <= 1 - B ->
  (x <- N (sqrt A * x0) (1 - A) ;;
   N (sqrt B * x0 + sqrt (1 - B - v) * ((x - sqrt A * x0) / sqrt (1 - A))) v)
  == N (sqrt B * x0) (1 - B).
Proof.
  intros HA HB Hv f T. pose proof (sqrt_lt_R0 (1 - A) ltac:(lra)) as S.
  pose proof (pow2_sqrt (1 - A) ltac:(lra)) as QA.
  pose proof (pow2_sqrt (1 - B - v) ltac:(lra)) as Q.
  set (r := sqrt (1 - A)) in *. set (k := sqrt (1 - B - v)) in *.
  transitivity ((x <- N (sqrt A * x0) (1 - A) ;;
    N (k / r * x + (sqrt B * x0 - k / r * (sqrt A * x0))) v) f).
  { unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. field. lra. }
  rewrite hint_1_affine by (exact T || lra). rewrite <- QA. f_equal; [ring|].
  transitivity (k ^ 2 + v); [field; lra|]. rewrite Q. ring.
Qed.

(** Beyond the slides (X07): where s = 0 and eta^2 = 1 - (sigma_t / sigma_{t+1})^2, DDRM's step is
    DDPM's: the kernel of x_t given x_{t+1} and x_0 in the chain that only adds noise. *)
Theorem DDPM_is_case_3 x0 sigma next sigma_y eta_b y : 0 < next < sigma ->
  same_law_2
    (x <- N x0 (next ^ 2) ;; x' <- N x (sigma ^ 2 - next ^ 2) ;; point (x, x'))
    (x' <- N x0 (sigma ^ 2) ;;
     x <- draw (table 0 sigma next sigma_y (sqrt (1 - (next / sigma) ^ 2)) eta_b) x0 x' y ;;
     point (x, x')).
Proof.
  intros L. assert (P : 0 < sigma ^ 2) by nra. assert (D : 0 < sigma ^ 2 - next ^ 2) by nra.
  assert (Q : 0 <= next / sigma) by (left; apply Rdiv_lt_0_compat; lra).
  assert (R1 : (next / sigma) ^ 2 <= 1).
  { replace ((next / sigma) ^ 2) with (1 - (sigma ^ 2 - next ^ 2) / sigma ^ 2) by (field; lra).
    assert (0 < (sigma ^ 2 - next ^ 2) / sigma ^ 2) by now apply Rdiv_lt_0_compat. lra. }
  assert (B : same_law_2
    (x <- N x0 (next ^ 2) ;; x' <- N x (sigma ^ 2 - next ^ 2) ;; point (x, x'))
    (x' <- N x0 (sigma ^ 2) ;; x <- N (x0 + next / sigma * next * ((x' - x0) / sigma))
      ((1 - (next / sigma) ^ 2) * next ^ 2) ;; point (x, x'))).
  { apply (Bayes x0 (next ^ 2) 1 0 (sigma ^ 2 - next ^ 2) x0 (sigma ^ 2) _ (fun x => x));
      try (apply pow2_ge_0 || lra).
    - intros x. ring.
    - field. lra.
    - intros x. field. lra. }
  intros c d f T. rewrite (B c d f T). unfold bind. f_equal. apply functional_extensionality.
  intros x'. rewrite slide_11_case_3 by lra. rewrite pow2_sqrt by lra.
  replace (1 - (1 - (next / sigma) ^ 2)) with ((next / sigma) ^ 2) by ring.
  now rewrite sqrt_pow2.
Qed.

(** Beyond the slides (X07): in VE coordinates beta_tilde is (1 - (sigma_t / sigma_{t+1})^2)
    sigma_t^2, and DDIM's step has the variance eta_ddim^2 beta_tilde: case 3 with another eta. *)
Theorem DDIM_is_case_3 x0 sigma next sigma_y eta_ddim eta_b xt y :
  0 <= next < sigma -> 0 <= eta_ddim <= 1 ->
  let v := eta_ddim ^ 2 * ((1 - (next / sigma) ^ 2) * next ^ 2) in
  draw (table 0 sigma next sigma_y (eta_ddim * sqrt (1 - (next / sigma) ^ 2)) eta_b) x0 xt y
  = N (x0 + sqrt (next ^ 2 - v) * ((xt - x0) / sigma)) v.
Proof.
  intros L He v. assert (R0 : 0 <= next / sigma < 1).
  { split; [apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]|].
    apply (Rmult_lt_reg_r sigma); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  set (r := next / sigma) in *. assert (0 <= 1 - r ^ 2) by nra.
  rewrite slide_11_case_3 by lra. rewrite Rpow_mult_distr, pow2_sqrt by assumption.
  replace (next ^ 2 - v) with ((1 - eta_ddim ^ 2 * (1 - r ^ 2)) * next ^ 2) by (unfold v; ring).
  rewrite sqrt_mult; [|assert (eta_ddim ^ 2 <= 1) by nra; nra|apply pow2_ge_0].
  rewrite sqrt_pow2 by lra. unfold v. f_equal; ring.
Qed.

(** ** The general family, one step (X09) *)

(** Beyond the slides (X09): y_bar and x_{t+1} have the variances b and sigma^2 and the covariance
    kappa, given x_0.  A step with the weights a and l keeps the marginal for one variance only. *)
Theorem family_step J x0 b sigma kappa a l v next : 0 <= v ->
  (forall c d, 0 <= c ^ 2 * b + 2 * c * d * kappa + d ^ 2 * sigma ^ 2) ->
  (forall c d, (p <- J ;; point (c * fst p + d * snd p)) ==
    N (c * x0 + d * x0) (c ^ 2 * b + 2 * c * d * kappa + d ^ 2 * sigma ^ 2)) ->
  ((p <- J ;; N (x0 + a * (fst p - x0) + l * (snd p - x0)) v) == N x0 (next ^ 2)
   <-> v = next ^ 2 - a ^ 2 * b - l ^ 2 * sigma ^ 2 - 2 * a * l * kappa).
Proof.
  intros Hv Hpos HJ. set (w := a ^ 2 * b + 2 * a * l * kappa + l ^ 2 * sigma ^ 2).
  assert (S : (p <- J ;; N (x0 + a * (fst p - x0) + l * (snd p - x0)) v) == N x0 (w + v)).
  { intros f T. set (g := fun z => N (1 * z + (1 - a - l) * x0) v f).
    assert (G : test g) by now apply (N_test f v 1 ((1 - a - l) * x0)).
    transitivity ((p <- J ;; point (a * fst p + l * snd p)) g).
    - unfold bind, point. f_equal. apply functional_extensionality. intros p. unfold g. f_equal.
      ring.
    - rewrite (HJ a l g G). unfold g.
      change ((z <- N (a * x0 + l * x0) w ;; N (1 * z + (1 - a - l) * x0) v) f = N x0 (w + v) f).
      rewrite hint_1_affine by (exact T || exact Hv || apply Hpos). f_equal; ring. }
  pose proof (Hpos a l) as W. fold w in W. split.
  - intros E. assert (Q : N x0 (w + v) == N x0 (next ^ 2)).
    { intros f T. now rewrite <- (S f T), (E f T). }
    apply N_injective in Q; [|lra|apply pow2_ge_0]. unfold w in Q. lra.
  - intros -> f T. rewrite (S f T). f_equal. unfold w. ring.
Qed.

(** ** s = 0 is case 3 (X13), and when DDRM's chain is the plain one (S19.3) *)

(** Beyond the slides (X13): two neighbouring levels where s = 0 have the covariance
    sqrt(1 - eta^2) sigma_t sigma_{t+1}, so that all the noise but the fresh one is kept. *)
Theorem neighbours x0 sigma next sigma_y eta eta_b y c d : 0 < sigma -> 0 <= eta <= 1 ->
  (x' <- N x0 (sigma ^ 2) ;; x <- draw (table 0 sigma next sigma_y eta eta_b) x0 x' y ;;
   point (c * x' + d * x)) ==
  N (c * x0 + d * x0)
    (c ^ 2 * sigma ^ 2 + 2 * c * d * (kept eta * next * sigma) + d ^ 2 * next ^ 2).
Proof.
  intros L He f T. pose proof (pow2_sqrt (1 - eta ^ 2) ltac:(nra)) as K. fold (kept eta) in K.
  transitivity ((x' <- N x0 (sigma ^ 2) ;;
    x <- N (kept eta * next / sigma * x' + (1 - kept eta * next / sigma) * x0)
      (eta ^ 2 * next ^ 2) ;;
    point (c * x' + d * x)) f).
  { unfold bind. f_equal. apply functional_extensionality. intros x'.
    rewrite slide_11_case_3 by lra. unfold N, kept. apply E_ext. intros xi. do 2 f_equal.
    field. lra. }
  rewrite pair_form by (exact T || apply pow2_ge_0 || apply Rmult_le_pos; apply pow2_ge_0).
  f_equal; [ring|]. replace (eta ^ 2) with (1 - kept eta ^ 2) by lra. field. lra.
Qed.

(** Slide 19 (S19.3): two neighbouring levels are those of the chain that only adds noise if and
    only if eta^2 = 1 - (sigma_t / sigma_{t+1})^2. *)
Theorem plain_chain_iff x0 sigma next sigma_y eta eta_b y : 0 < next < sigma -> 0 <= eta <= 1 ->
  (same_law_2
    (x <- N x0 (next ^ 2) ;; x' <- N x (sigma ^ 2 - next ^ 2) ;; point (x, x'))
    (x' <- N x0 (sigma ^ 2) ;; x <- draw (table 0 sigma next sigma_y eta eta_b) x0 x' y ;;
     point (x, x'))
   <-> eta ^ 2 = 1 - (next / sigma) ^ 2).
Proof.
  intros L He. split.
  - intros E. assert (Q : N (1 * x0 + 1 * x0)
      (1 ^ 2 * sigma ^ 2 + 2 * 1 * 1 * (kept eta * next * sigma)
      + 1 ^ 2 * next ^ 2) == N (1 * x0 + 1 * (1 * x0 + 0))
        ((1 + 1 * 1) ^ 2 * next ^ 2 + 1 ^ 2 * (sigma ^ 2 - next ^ 2))).
    { intros f T. rewrite <- (neighbours x0 sigma next sigma_y eta eta_b y 1 1) by (exact T || lra).
      rewrite <- pair_form by (exact T || apply pow2_ge_0 || nra).
      specialize (E 1 1 f T). unfold bind, point in *. cbn [fst snd] in E.
      transitivity (N x0 (sigma ^ 2) (fun x' => draw (table 0 sigma next sigma_y eta eta_b) x0 x' y
        (fun x => f (1 * x + 1 * x')))).
      - f_equal. apply functional_extensionality. intros x'. f_equal.
        apply functional_extensionality. intros x. f_equal. ring.
      - rewrite <- E. unfold N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. ring. }
    assert (0 <= kept eta) by apply sqrt_pos.
    assert (P : 0 <= kept eta * next * sigma) by (repeat apply Rmult_le_pos; lra).
    apply N_injective in Q; [|nra|nra]. destruct Q as [_ Q].
    assert (K : kept eta * sigma = next) by (apply (Rmult_eq_reg_r next); nra).
    pose proof (pow2_sqrt (1 - eta ^ 2) ltac:(nra)) as K2. fold (kept eta) in K2.
    replace (next / sigma) with (kept eta) by (rewrite <- K; field; lra). lra.
  - intros E. replace eta with (sqrt (1 - (next / sigma) ^ 2)); [now apply DDPM_is_case_3|].
    rewrite <- E. apply sqrt_pow2. lra.
Qed.

(** ** Slide 19: VE and VP *)

(** Slide 19 (S19.1): x / sqrt(1 + sigma^2) of x ~ N(x_0, sigma^2) has DDPM's law with
    alpha_bar = 1 / (1 + sigma^2). *)
Theorem VE_to_VP x0 sigma : let alpha_bar := / (1 + sigma ^ 2) in
  (x <- N x0 (sigma ^ 2) ;; point (x / sqrt (1 + sigma ^ 2)))
  == N (sqrt alpha_bar * x0) (1 - alpha_bar).
Proof.
  intros alpha_bar f T. assert (P : 0 < 1 + sigma ^ 2) by nra.
  pose proof (sqrt_lt_R0 _ P) as S. pose proof (pow2_sqrt (1 + sigma ^ 2) ltac:(lra)) as Q.
  transitivity ((x <- N x0 (sigma ^ 2) ;; point (/ sqrt (1 + sigma ^ 2) * x + 0)) f).
  { unfold bind, point, N. apply E_ext. intros xi. f_equal. field. lra. }
  rewrite N_affine by (exact T || apply pow2_ge_0). unfold alpha_bar. rewrite sqrt_inv.
  f_equal; [ring|]. rewrite pow_inv, Q. field. lra.
Qed.

(** Slide 19 (S19.1): sqrt(1 - alpha_bar) = sigma / sqrt(1 + sigma^2). *)
Theorem VP_noise sigma : 0 <= sigma ->
  sqrt (1 - / (1 + sigma ^ 2)) = sigma / sqrt (1 + sigma ^ 2).
Proof.
  intros L. assert (P : 0 < 1 + sigma ^ 2) by nra.
  replace (1 - / (1 + sigma ^ 2)) with (sigma ^ 2 / (1 + sigma ^ 2)) by (field; lra).
  rewrite sqrt_div_alt by exact P. now rewrite sqrt_pow2.
Qed.
