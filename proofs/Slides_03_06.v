(** * Slides 3-6: DDPM, one pixel at a time

    Every matrix of these slides is a multiple of I, so that one pixel says it all. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith.
From Ddrm Require Import Integral Gauss Law Normal.
Open Scope R_scope.

Section DDPM.
Variables (beta : nat -> R) (x0 : R).
Hypothesis beta_range : forall t, 0 < beta t < 1.

(** Slide 3 (S03.3): alpha_t = 1 - beta_t, and alpha_bar_t is their product; alpha_bar_0 = 1. *)
Definition alpha t := 1 - beta t.
Fixpoint alpha_bar t := match t with
  | O => 1
  | S t => alpha_bar t * alpha (S t)
  end.

Lemma alpha_range t : 0 < alpha t < 1.
Proof. unfold alpha. specialize (beta_range t). lra. Qed.

(** Slide 3 (S03.3): alpha_bar_t lies in (0, 1]. *)
Theorem alpha_bar_range t : 0 < alpha_bar t <= 1.
Proof. induction t as [|t IH]; cbn; [|pose proof (alpha_range (S t))]; nra. Qed.

(** Slide 3 (S03.3): it decreases strictly. *)
Theorem alpha_bar_decreases t : alpha_bar (S t) < alpha_bar t.
Proof. cbn. pose proof (alpha_bar_range t). pose proof (alpha_range (S t)). nra. Qed.

Lemma alpha_bar_less_than_1 t : 0 < alpha_bar (S t) < 1.
Proof. pose proof (alpha_bar_range t). pose proof (alpha_bar_range (S t)).
  pose proof (alpha_bar_decreases t). lra. Qed.

(** Slide 3 (S03.1): noise is added step by step,
    q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t). *)
Fixpoint noised t : Law R := match t with
  | O => point x0
  | S t => x <- noised t ;; N (sqrt (1 - beta (S t)) * x) (beta (S t))
  end.

(** Slide 3 (S03.2): all steps at once, q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, 1 - alpha_bar_t). *)
Theorem jump t : noised t == N (sqrt (alpha_bar t) * x0) (1 - alpha_bar t).
Proof.
  induction t as [|t IH]; intros f T.
  - cbn. rewrite sqrt_1, Rminus_eq_0, Rmult_1_l. symmetry. now apply N_point.
  - pose proof (alpha_bar_range t). pose proof (alpha_range (S t)). pose proof (beta_range (S t)).
    cbn [noised]. unfold bind at 1. rewrite IH.
    2: { apply (N_test f (beta (S t)) (sqrt (1 - beta (S t))) 0); [exact T|]. intros z.
         now rewrite Rplus_0_r. }
    transitivity ((z <- N (sqrt (alpha_bar t) * x0) (1 - alpha_bar t) ;;
      N (sqrt (1 - beta (S t)) * z) (beta (S t))) f); [reflexivity|].
    rewrite hint_1 by (exact T || lra). f_equal.
    + cbn. rewrite sqrt_mult by lra. unfold alpha. ring.
    + rewrite pow2_sqrt by lra. cbn. unfold alpha. ring.
Qed.

Definition x_of t x0 eps := sqrt (alpha_bar t) * x0 + sqrt (1 - alpha_bar t) * eps.

(** Slide 3 (E20): alpha_bar_0 = 1 is needed; with any other a the formula fails at t = 0. *)
Theorem E20 a : 0 <= a < 1 -> ~ noised 0 == N (sqrt a * x0) (1 - a).
Proof.
  intros Ha H. assert (Q : N x0 0 == N (sqrt a * x0) (1 - a)).
  { intros f T. rewrite N_point by exact T. exact (H f T). }
  apply N_injective in Q; lra.
Qed.

(** Slide 6 (S06.1): x_t(x_0, eps) = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps with a
    standard normal eps has the law q(x_t | x_0). *)
Theorem reparametrisation t : (eps <- N 0 1 ;; point (x_of t x0 eps)) == noised t.
Proof.
  intros f T. pose proof (alpha_bar_range t). rewrite jump by exact T.
  transitivity (N (sqrt (1 - alpha_bar t) * 0 + sqrt (alpha_bar t) * x0)
    (sqrt (1 - alpha_bar t) ^ 2 * 1) f).
  - rewrite <- N_affine by (exact T || lra). unfold bind, point, N, x_of. apply E_ext. intros xi.
    f_equal. ring.
  - rewrite pow2_sqrt by lra. f_equal; ring.
Qed.

Definition x0_of t x eps := (x - sqrt (1 - alpha_bar t) * eps) / sqrt (alpha_bar t).

Lemma sqrt_alpha_bar t : 0 < sqrt (alpha_bar t).
Proof. apply sqrt_lt_R0, alpha_bar_range. Qed.

(** Slide 6 (S06.2): x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t). *)
Theorem reparametrisation_inverse t eps : x0_of t (x_of t x0 eps) eps = x0.
Proof. unfold x0_of, x_of. pose proof (sqrt_alpha_bar t). field. lra. Qed.

Definition x_theta t x eps := x0_of (S t) x eps.

(** Slide 6 (S06.4, corrected): x_{theta,t} is predicted from x_{t+1}, with alpha_bar_{t+1}; if the
    network's eps is the true one, x_{theta,t} is x_0. *)
Theorem prediction t eps : x_theta t (x_of (S t) x0 eps) eps = x0.
Proof. apply reparametrisation_inverse. Qed.

(** Slide 6 as printed (E1): with alpha_{t+1} under the root the prediction from the true noise is
    sqrt(alpha_bar_t) x_0. *)
Theorem E1_as_printed t eps :
  (x_of (S t) x0 eps - sqrt (1 - alpha_bar (S t)) * eps) / sqrt (alpha (S t))
  = sqrt (alpha_bar t) * x0.
Proof.
  pose proof (alpha_bar_range t). pose proof (alpha_range (S t)).
  pose proof (sqrt_lt_R0 _ (proj1 (alpha_range (S t)))).
  unfold x_of. cbn [alpha_bar]. rewrite sqrt_mult by lra. field. lra.
Qed.

(** Slide 6 as printed (E1): that is not x_0 for any t >= 1, unless x_0 = 0. *)
Theorem E1_is_wrong t : (1 <= t)%nat -> x0 <> 0 -> sqrt (alpha_bar t) * x0 <> x0.
Proof.
  intros Ht Hx. destruct t as [|t]; [easy|]. pose proof (alpha_bar_less_than_1 t).
  assert (sqrt (alpha_bar (S t)) < 1) by (rewrite <- sqrt_1; apply sqrt_lt_1; lra).
  intros H'. apply Hx. apply (Rmult_eq_reg_l (1 - sqrt (alpha_bar (S t)))); lra.
Qed.

(** ** Slide 5 *)

Let v t := 1 - alpha_bar t.  (* variance of q(x_t | x_0) *)

(** The kernel q(x_t | x_{t+1}, x_0) = N(mu_tilde, beta_tilde), which the slides omit. *)
Definition mu_tilde t x' :=
  sqrt (alpha_bar t) * beta (S t) / (1 - alpha_bar (S t)) * x0
  + sqrt (alpha (S t)) * (1 - alpha_bar t) / (1 - alpha_bar (S t)) * x'.
Definition beta_tilde t := (1 - alpha_bar t) / (1 - alpha_bar (S t)) * beta (S t).

Lemma variance_of_step t : v (S t) = sqrt (1 - beta (S t)) ^ 2 * v t + beta (S t).
Proof.
  pose proof (beta_range (S t)). rewrite pow2_sqrt by lra. unfold v. cbn. unfold alpha. ring.
Qed.

Lemma mean_of_step t : sqrt (alpha_bar (S t)) * x0 =
  sqrt (1 - beta (S t)) * (sqrt (alpha_bar t) * x0) + 0.
Proof.
  pose proof (alpha_bar_range t). pose proof (alpha_range (S t)). cbn.
  rewrite sqrt_mult by lra. unfold alpha. ring.
Qed.

(** The conditions of Bayes' rule for normal laws. *)
Lemma beta_tilde_is t : beta_tilde t * v (S t) = beta (S t) * v t.
Proof. pose proof (alpha_bar_less_than_1 t). unfold beta_tilde, v. field. lra. Qed.

Lemma mu_tilde_is t x : mu_tilde t x * v (S t) =
  sqrt (1 - beta (S t)) * v t * (x - 0) + beta (S t) * (sqrt (alpha_bar t) * x0).
Proof.
  pose proof (alpha_bar_less_than_1 t). unfold mu_tilde, v. fold (alpha (S t)). field. lra.
Qed.

(** Slide 5 (S05.3): x_t and x_{t+1} may be drawn in either order, the second time with mu_tilde and
    beta_tilde; also at t = 0, where beta_tilde = 0. *)
Theorem Bayes_kernel t :
  same_law_2 (x <- N (sqrt (alpha_bar t) * x0) (1 - alpha_bar t) ;;
              x' <- N (sqrt (1 - beta (S t)) * x) (beta (S t)) ;; point (x, x'))
             (x' <- N (sqrt (alpha_bar (S t)) * x0) (1 - alpha_bar (S t)) ;;
              x <- N (mu_tilde t x') (beta_tilde t) ;; point (x, x')).
Proof.
  pose proof (alpha_bar_range t). pose proof (alpha_bar_less_than_1 t).
  pose proof (beta_range (S t)).
  apply (Bayes _ _ (sqrt (1 - beta (S t))) 0); try lra.
  - intros u. ring.
  - apply mean_of_step.
  - apply variance_of_step.
  - apply beta_tilde_is.
  - apply mu_tilde_is.
Qed.

(** The densities q(x_t | x_0), q(x_{t+1} | x_t) and q(x_t | x_{t+1}, x_0). *)
Definition q t x := density (sqrt (alpha_bar t) * x0) (1 - alpha_bar t) x.
Definition q_up t x x' := density (sqrt (1 - beta (S t)) * x) (beta (S t)) x'.
Definition q_down t x' x := density (mu_tilde t x') (beta_tilde t) x.

(** Slide 5 (S05.1): Bayes' formula,
    q(x_{t+1} | x_t, x_0) = q(x_t | x_{t+1}, x_0) q(x_{t+1} | x_0) / q(x_t | x_0), t >= 1. *)
Theorem Bayes_formula t x x' : (1 <= t)%nat -> q_up t x x' = q_down t x' x * q (S t) x' / q t x.
Proof.
  intros Ht. destruct t as [|t]; [easy|]. pose proof (alpha_bar_less_than_1 t).
  pose proof (beta_range (S (S t))).
  assert (P : 0 < q (S t) x) by (apply density_pos; lra).
  apply (Rmult_eq_reg_l (q (S t) x)); [|lra].
  transitivity (q (S (S t)) x' * q_down (S t) x' x); [|field; lra].
  apply (Bayes_density _ _ (sqrt (1 - beta (S (S t)))) 0); try lra.
  - intros u. ring.
  - apply mean_of_step.
  - apply variance_of_step.
  - apply beta_tilde_is.
  - apply mu_tilde_is.
Qed.

(** [f 1 * ... * f n]. *)
Fixpoint product (f : nat -> R) n := match n with O => 1 | S n => product f n * f (S n) end.

(** Slide 5 (S05.2): q(x_{1:T} | x_0) = q(x_T | x_0) prod_{t=1}^{T-1} q(x_t | x_{t+1}, x_0);
    [path t] is x_t, and T is [S n]. *)
Theorem telescope (path : nat -> R) n :
  q 1 (path 1%nat) * product (fun t => q_up t (path t) (path (S t))) n =
  q (S n) (path (S n)) * product (fun t => q_down t (path (S t)) (path t)) n.
Proof.
  induction n as [|n IH]; [reflexivity|]. cbn [product].
  assert (P : 0 < q (S n) (path (S n))).
  { apply density_pos. pose proof (alpha_bar_less_than_1 n). lra. }
  rewrite <- Rmult_assoc, IH, Bayes_formula by apply le_n_S, Nat.le_0_l. field. lra.
Qed.

(** ** Slide 6: the loss *)

Definition mu_theta t x eps :=
  (x - beta (S t) / sqrt (1 - alpha_bar (S t)) * eps) / sqrt (alpha (S t)).

(** Slide 6 (S06.6): the mean of the reverse step in terms of the predicted noise is mu_tilde with
    the predicted x_0. *)
Theorem mean_from_noise t x eps :
  sqrt (alpha_bar t) * beta (S t) / (1 - alpha_bar (S t)) * x_theta t x eps
  + sqrt (alpha (S t)) * (1 - alpha_bar t) / (1 - alpha_bar (S t)) * x
  = mu_theta t x eps.
Proof.
  pose proof (alpha_bar_range t). pose proof (alpha_bar_less_than_1 t) as L.
  pose proof (alpha_range (S t)) as A. unfold mu_theta, x_theta, x0_of.
  replace (sqrt (alpha_bar (S t))) with (sqrt (alpha_bar t) * sqrt (alpha (S t))).
  2: { cbn. rewrite sqrt_mult by lra. reflexivity. }
  replace (beta (S t)) with (1 - alpha (S t)) by (unfold alpha; ring).
  pose proof (sqrt_alpha_bar t). pose proof (sqrt_lt_R0 _ (proj1 A)).
  pose proof (sqrt_lt_R0 (1 - alpha_bar (S t)) ltac:(lra)).
  pose proof (pow2_sqrt (alpha_bar t) ltac:(lra)) as QB.
  pose proof (pow2_sqrt (alpha (S t)) ltac:(lra)) as QA.
  pose proof (pow2_sqrt (1 - alpha_bar (S t)) ltac:(lra)) as QD. cbn [alpha_bar] in *.
  set (a := sqrt (alpha (S t))) in *. set (b := sqrt (alpha_bar t)) in *.
  set (d := sqrt (1 - alpha_bar t * alpha (S t))) in *. rewrite <- QD.
  rewrite <- QA, <- QB in *. field_simplify_eq; [|lra]. rewrite QD. ring.
Qed.

Lemma mu_tilde_from_noise t eps :
  mu_tilde t (x_of (S t) x0 eps) = mu_theta t (x_of (S t) x0 eps) eps.
Proof. rewrite <- mean_from_noise, prediction. reflexivity. Qed.

Definition weight t w := beta (S t) ^ 2 / (2 * w * alpha (S t) * (1 - alpha_bar (S t))).

Lemma beta_tilde_pos t : (1 <= t)%nat -> 0 < beta_tilde t.
Proof.
  intros Ht. destruct t as [|t]; [easy|]. pose proof (alpha_bar_less_than_1 t).
  pose proof (alpha_bar_less_than_1 (S t)). pose proof (beta_range (S (S t))).
  apply Rmult_lt_0_compat; [apply Rdiv_lt_0_compat|]; lra.
Qed.

(** Slide 6 (S06.5, corrected): the divergence of the reverse step with mean mu_theta and variance
    [w] from q(x_t | x_{t+1}, x_0), at x_{t+1} = x_{t+1}(x_0, eps): weight times squared error of
    the noise, and a constant that is 0 for w = beta_tilde. *)
Theorem noise_loss t w eps eps_theta : (1 <= t)%nat -> 0 < w ->
  KL (mu_tilde t (x_of (S t) x0 eps)) (beta_tilde t)
     (mu_theta t (x_of (S t) x0 eps) eps_theta) w
     (weight t w * (eps - eps_theta) ^ 2
      + (beta_tilde t / w - 1 - ln (beta_tilde t / w)) / 2).
Proof.
  intros Ht Hw. pose proof (beta_tilde_pos t Ht). pose proof (alpha_bar_less_than_1 t).
  pose proof (alpha_range (S t)) as A. pose proof (sqrt_lt_R0 _ (proj1 A)).
  pose proof (sqrt_lt_R0 (1 - alpha_bar (S t)) ltac:(lra)).
  replace (weight t w * (eps - eps_theta) ^ 2) with ((mu_tilde t (x_of (S t) x0 eps)
    - mu_theta t (x_of (S t) x0 eps) eps_theta) ^ 2 / (2 * w)); [now apply KL_normal|].
  rewrite mu_tilde_from_noise. unfold mu_theta, weight.
  rewrite <- (pow2_sqrt (alpha (S t))) at 3 by lra.
  rewrite <- (pow2_sqrt (1 - alpha_bar (S t))) at 3 by lra. field. lra.
Qed.

(** Slide 6 as printed (E2): without 1 / alpha_{t+1} the weight is too small, whenever the
    prediction is not exact. *)
Theorem E2_is_wrong t eps eps_theta : (1 <= t)%nat -> eps <> eps_theta ->
  ~ KL (mu_tilde t (x_of (S t) x0 eps)) (beta_tilde t)
       (mu_theta t (x_of (S t) x0 eps) eps_theta) (beta_tilde t)
       (beta (S t) ^ 2 / (2 * beta_tilde t * (1 - alpha_bar (S t))) * (eps - eps_theta) ^ 2).
Proof.
  intros Ht He K. pose proof (beta_tilde_pos t Ht) as P. pose proof (alpha_bar_less_than_1 t).
  pose proof (alpha_range (S t)). pose proof (beta_range (S t)).
  pose proof (KL_unique _ _ _ _ _ _ K (noise_loss t (beta_tilde t) eps eps_theta Ht P)) as Q.
  replace (beta_tilde t / beta_tilde t) with 1 in Q by (field; lra). rewrite ln_1 in Q.
  assert (D : 0 < (eps - eps_theta) ^ 2) by (apply pow2_gt_0; lra).
  assert (W : 0 < weight t (beta_tilde t)).
  { unfold weight. set (w := beta_tilde t) in *. clearbody w.
    apply Rdiv_lt_0_compat; [apply pow_lt; lra|]. repeat apply Rmult_lt_0_compat; lra. }
  replace (beta (S t) ^ 2 / (2 * beta_tilde t * (1 - alpha_bar (S t))))
    with (alpha (S t) * weight t (beta_tilde t)) in Q by (unfold weight; field; lra).
  assert (0 < weight t (beta_tilde t) * (eps - eps_theta) ^ 2) by now apply Rmult_lt_0_compat.
  rewrite Rmult_assoc in Q. set (X := weight _ _ * _) in *. nra.
Qed.
End DDPM.
