(** * More about normal laws: their parameters, their divergence, Bayes' rule *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz.
From Ddrm Require Import Integral Gauss Law.
Open Scope R_scope.

(** ** Different parameters, different laws

    Needed wherever a condition is shown to be necessary and wherever a wrong formula is refuted. *)

Lemma E_lt f g u : test f -> test g -> (forall u, f u <= g u) -> f u < g u -> E f < E g.
Proof.
  intros F G L S. pose proof C_pos.
  pose proof (mean_plus _ _ _ _ (test_mean g G) (mean_scal (-1) _ _ (test_mean f F))) as D.
  apply IntR_pos with (x := u) in D; [nra| |].
  - intros x. specialize (L x). pose proof (phi_pos x). cbn. nra.
  - pose proof (phi_pos u). cbn. nra.
Qed.

Lemma test_from_slope M f df :
  bounded M f -> (forall x, is_derive f x (df x)) -> (forall x, Rabs (df x) <= 1) -> test f.
Proof.
  intros B D H. exists M, 1. split; [exact B|]. split; [lra|]. intros x y.
  destruct (MVT_gen f y x df) as [c [_ Eq]].
  - intros u _. apply D.
  - intros u _. apply continuity_pt_filterlim, (ex_derive_continuous f). eexists. apply D.
  - rewrite Eq, Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|apply H].
Qed.

Lemma test_atan : test atan.
Proof.
  apply (test_from_slope PI atan (fun x => / (1 + x ^ 2))).
  - intros x. pose proof (atan_bound x). pose proof PI_RGT_0. apply Rabs_le. lra.
  - intros x. apply is_derive_Reals, derivable_pt_lim_atan.
  - intros x. assert (1 <= 1 + x ^ 2) by nra. rewrite Rabs_pos_eq.
    + rewrite <- Rinv_1. apply Rinv_le_contravar; lra.
    + left. apply Rinv_0_lt_compat. lra.
Qed.

Definition bell (x : R) := / (1 + x ^ 2).

Lemma bell_between x : 0 < bell x <= 1.
Proof.
  unfold bell. split; [apply Rinv_0_lt_compat; nra|].
  rewrite <- Rinv_1 at 2. apply Rinv_le_contravar; nra.
Qed.

Lemma test_bell : test bell.
Proof.
  apply (test_from_slope 1 bell (fun x => - (2 * x) * (bell x) ^ 2)).
  - intros x. pose proof (bell_between x). apply Rabs_le. lra.
  - intros x. unfold bell. auto_derive; [nra|]. field. nra.
  - intros x. pose proof (bell_between x) as [P Q].
    assert (H : (1 + x ^ 2) * bell x = 1) by (unfold bell; field; nra).
    assert (2 * Rabs x <= 1 + x ^ 2).
    { rewrite <- (pow2_abs x). pose proof (pow2_ge_0 (Rabs x - 1)). lra. }
    rewrite Rabs_mult, Rabs_Ropp, Rabs_mult, (Rabs_pos_eq 2), (Rabs_pos_eq (bell x ^ 2))
      by (lra || apply pow2_ge_0).
    pose proof (Rabs_pos x). apply Rle_trans with ((1 + x ^ 2) * bell x ^ 2); [|nra].
    apply Rmult_le_compat_r; nra.
Qed.

Lemma N_mean_unique m v m' v' : N m v == N m' v' -> m <= m'.
Proof.
  intros H. apply Rnot_lt_le. intros L.
  assert (T : forall s d, test (fun x => atan (s * x + d))).
  { intros s d. apply (test_affine _ _ s d test_atan). reflexivity. }
  assert (Z : forall s, E (fun xi => atan (s * xi + 0)) = 0).
  { intros s. pose proof (E_mirror _ (T s 0)) as M.
    rewrite (E_ext _ (fun xi => -1 * atan (s * xi + 0))) in M;
      [rewrite E_scal in M by apply T; lra|].
    intros u. cbn. replace (s * - u + 0) with (- (s * u + 0)) by ring. rewrite atan_opp. ring. }
  specialize (H (fun x => atan (1 * x + - m')) (T 1 (- m'))). unfold N in H.
  assert (E (fun xi => atan (sqrt v * xi + 0)) < E (fun xi => atan (1 * (m + sqrt v * xi) + - m'))).
  { apply (E_lt _ _ 0); [apply T| | |].
    - apply (test_affine _ _ (sqrt v) (m - m') test_atan). intros x. f_equal. ring.
    - intros u. left. apply atan_increasing. lra.
    - apply atan_increasing. lra. }
  rewrite Z in H0. rewrite H, (E_ext _ (fun xi => atan (sqrt v' * xi + 0))), Z in H0; [lra|].
  intros u. f_equal. ring.
Qed.

(** Equal laws have equal means and equal variances. *)
Theorem N_injective m v m' v' : 0 <= v -> 0 <= v' -> N m v == N m' v' -> m = m' /\ v = v'.
Proof.
  intros Hv Hv' H. assert (Em : m = m').
  { apply Rle_antisym; [now apply (N_mean_unique m v m' v')|].
    apply (N_mean_unique m' v' m v). intros f T. symmetry. now apply H. }
  split; [exact Em|]. subst m'.
  assert (Q : forall w w', 0 <= w < w' -> N m w == N m w' -> False).
  { clear. intros w w' Hw H. specialize (H (fun x => bell (1 * x + - m))). unfold N in H.
    assert (T : forall s, test (fun xi => bell (1 * (m + s * xi) + - m))).
    { intros s. apply (test_affine _ _ s 0 test_bell). intros x. f_equal. ring. }
    assert (L : forall u, u * u * w <= u * u * w') by (intros u; nra).
    assert (S : forall w u, 0 <= w -> 1 + (1 * (m + sqrt w * u) + - m) ^ 2 = 1 + u * u * w).
    { clear. intros w u Hw. rewrite <- (sqrt_sqrt w) at 2 by exact Hw. ring. }
    assert (K : E (fun xi => bell (1 * (m + sqrt w' * xi) + - m))
      < E (fun xi => bell (1 * (m + sqrt w * xi) + - m))).
    { apply (E_lt _ _ 1); auto.
      - intros u. specialize (L u). unfold bell. rewrite !S by lra. apply Rinv_le_contravar; nra.
      - unfold bell. rewrite !S by lra. apply Rinv_lt_contravar; nra. }
    rewrite H in K; [lra|]. apply (test_affine _ _ 1 (- m) test_bell). reflexivity. }
  destruct (Rtotal_order v v') as [L|[Eq|L]]; [|exact Eq|]; exfalso.
  - apply (Q v v'); [lra|exact H].
  - apply (Q v' v); [lra|]. intros f T. symmetry. now apply H.
Qed.

(** ** The divergence of two normal laws *)

Lemma exp_minus a b : exp (a - b) = exp a / exp b.
Proof. unfold Rminus. now rewrite exp_plus, exp_Ropp. Qed.

(** [KL m v m' v' d]: the mean of log (N(x; m, v) / N(x; m', v')), x ~ N(m, v), exists and is d. *)
Definition KL (m v m' v' d : R) :=
  mean (fun xi => ln (density m v (m + sqrt v * xi) / density m' v' (m + sqrt v * xi))) d.

Lemma KL_unique m v m' v' d d' : KL m v m' v' d -> KL m v m' v' d' -> d = d'.
Proof. intros H H'. now rewrite <- (mean_E _ _ H), <- (mean_E _ _ H'). Qed.

(** The divergence of two normal laws. *)
Theorem KL_normal m v m' v' : 0 < v -> 0 < v' ->
  KL m v m' v' ((m - m') ^ 2 / (2 * v') + (v / v' - 1 - ln (v / v')) / 2).
Proof.
  intros Hv Hv'. pose proof C_pos. pose proof (sqrt_lt_R0 v Hv). pose proof (sqrt_lt_R0 v' Hv').
  pose proof (mean_plus _ _ _ _ (mean_const ((m - m') ^ 2 / (2 * v') - ln (v / v') / 2))
    (mean_plus _ _ _ _ (mean_scal ((m - m') * sqrt v / v') _ _ mean_xi)
      (mean_scal ((v / v' - 1) / 2) _ _ mean_xi_square))) as M.
  unfold KL. replace (_ + _) with ((m - m') ^ 2 / (2 * v') - ln (v / v') / 2 +
    ((m - m') * sqrt v / v' * 0 + (v / v' - 1) / 2 * 1)) by (field; lra).
  refine (IntR_ext _ _ _ _ M). intros u. cbv beta. f_equal. unfold density.
  replace (exp _ / _ / (_ / _)) with (sqrt v' / sqrt v *
    exp (- (m + sqrt v * u - m) ^ 2 / (2 * v) - - (m + sqrt v * u - m') ^ 2 / (2 * v'))).
  2: { rewrite exp_minus. field. pose proof exp_pos.
       repeat split; lra || apply Rgt_not_eq, exp_pos. }
  rewrite ln_mult, ln_exp by (try apply exp_pos; now apply Rdiv_lt_0_compat).
  replace (ln (sqrt v' / sqrt v)) with (- (ln (v / v') / 2)).
  - replace (m + sqrt v * u - m) with (sqrt v * u) by ring.
    rewrite Rpow_mult_distr, pow2_sqrt by lra.
    transitivity (- (ln (v / v') / 2) + (- (v * u ^ 2) / (2 * v)
      - - (v * u ^ 2 + 2 * (m - m') * sqrt v * u + (m - m') ^ 2) / (2 * v'))); [field; lra|].
    f_equal. f_equal. f_equal. f_equal.
    rewrite <- (pow2_sqrt v) at 1 by lra. ring.
  - rewrite !ln_div, <- (sqrt_sqrt v) at 1 by lra.
    rewrite <- (sqrt_sqrt v') at 1 by lra. rewrite !ln_mult by lra. lra.
Qed.

(** ** Pairs of normal numbers

    One number drawn after the other. *)

(** Every linear form of the pair is normal, with the mean and the variance that one expects. *)
Theorem pair_form m v a b s c d : 0 <= v -> 0 <= s ->
  (u <- N m v ;; x <- N (a * u + b) s ;; point (c * u + d * x))
  == N (c * m + d * (a * m + b)) ((c + d * a) ^ 2 * v + d ^ 2 * s).
Proof.
  intros Hv Hs f T.
  replace (c * m + d * (a * m + b)) with ((c + d * a) * m + d * b) by ring.
  assert (Hd : 0 <= d ^ 2 * s) by (apply Rmult_le_pos; [apply pow2_ge_0|exact Hs]).
  rewrite <- (hint_1_affine m v (c + d * a) (d * b) (d ^ 2 * s) Hv Hd f T).
  unfold bind at 1 3. unfold N at 1 3. apply E_ext. intros xi. set (u := m + sqrt v * xi).
  replace ((c + d * a) * u + d * b) with (d * (a * u + b) + c * u) by ring.
  rewrite <- (N_affine (a * u + b) s d (c * u) Hs f T).
  unfold bind, point, N. apply E_ext. intros y. f_equal. ring.
Qed.

(** ** Bayes' rule for normal laws

    A prior N(m, v) of [u] and a kernel N(k u, s) from [u] to [x], [k u = a u + b].  Then [x] has
    the law N(m', w), and [u] has the law N(mu x, tau) when [x] is known. *)
Section Bayes.
Variables (m v a b s m' w tau : R) (k mu : R -> R).
Hypothesis k_is : forall u, k u = a * u + b.
Hypothesis m'_is : m' = a * m + b.
Hypothesis w_is : w = a ^ 2 * v + s.
Hypothesis tau_is : tau * w = s * v.
Hypothesis mu_is : forall x, mu x * w = a * v * (x - b) + s * m.

(** In densities: p(u) p(x | u) = p(x) p(u | x). *)
Theorem Bayes_density u x : 0 < v -> 0 < s ->
  density m v u * density (k u) s x = density m' w x * density (mu x) tau u.
Proof.
  intros Hv Hs. assert (Hw : 0 < w) by (rewrite w_is; nra).
  assert (Ht : 0 < tau) by (apply (Rmult_lt_reg_r w); nra). pose proof C_pos.
  pose proof (sqrt_lt_R0 v Hv). pose proof (sqrt_lt_R0 s Hs).
  pose proof (sqrt_lt_R0 w Hw). pose proof (sqrt_lt_R0 tau Ht).
  assert (Q : sqrt w * sqrt tau = sqrt v * sqrt s).
  { rewrite <- !sqrt_mult by lra. f_equal. lra. }
  unfold density. transitivity (exp (- (u - m) ^ 2 / (2 * v) + - (x - k u) ^ 2 / (2 * s))
    / (C * C * (sqrt v * sqrt s))); [rewrite exp_plus; field; repeat split; lra|].
  rewrite <- Q. transitivity (exp (- (x - m') ^ 2 / (2 * w) + - (u - mu x) ^ 2 / (2 * tau))
    / (C * C * (sqrt w * sqrt tau))); [|rewrite exp_plus; field; repeat split; lra].
  f_equal. f_equal.
  replace (mu x) with ((a * v * (x - b) + s * m) / w) by (rewrite <- mu_is; field; lra).
  replace tau with (s * v / w) by (rewrite <- tau_is; field; lra).
  rewrite k_is, m'_is, w_is in *. field. repeat split; lra.
Qed.

(** The same for laws, point masses included: the pair (u, x) may be drawn in either order. *)
Theorem Bayes : 0 <= v -> 0 <= s -> 0 < w ->
  same_law_2 (u <- N m v ;; x <- N (k u) s ;; point (u, x))
             (x <- N m' w ;; u <- N (mu x) tau ;; point (u, x)).
Proof.
  intros Hv Hs Hw c d f T.
  assert (Ht : 0 <= tau) by (apply (Rmult_le_reg_r w); nra).
  transitivity ((u <- N m v ;; x <- N (a * u + b) s ;; point (c * u + d * x)) f).
  { unfold bind, point, N. apply E_ext. intros y. apply E_ext. intros z. now rewrite k_is. }
  rewrite pair_form by (exact T || lra). symmetry.
  transitivity ((x <- N m' w ;; u <- N (a * v / w * x + (s * m - a * v * b) / w) tau ;;
    point (d * x + c * u)) f).
  { unfold bind, point. unfold N at 1 3. apply E_ext. intros y. set (x := m' + sqrt w * y).
    replace (a * v / w * x + (s * m - a * v * b) / w) with (mu x).
    - unfold N. apply E_ext. intros z. f_equal. cbn. ring.
    - transitivity (mu x * w / w); [field; lra|]. rewrite mu_is. field. lra. }
  rewrite pair_form by (exact T || lra).
  replace tau with (s * v / w) by (rewrite <- tau_is; field; lra).
  rewrite m'_is, w_is in *. f_equal; field; lra.
Qed.
End Bayes.

(** Hint 1 in densities, as an integral over [u]. *)
Theorem hint_1_density m v a b s x : 0 < v -> 0 < s ->
  IntR (fun u => density m v u * density (a * u + b) s x) (density (a * m + b) (a ^ 2 * v + s) x).
Proof.
  intros Hv Hs. assert (Hw : 0 < a ^ 2 * v + s) by nra.
  set (tau := s * v / (a ^ 2 * v + s)).
  assert (Ht : 0 < tau) by (unfold tau; apply Rdiv_lt_0_compat; nra).
  set (mu := (a * v * (x - b) + s * m) / (a ^ 2 * v + s)).
  pose proof (N_density mu tau (fun _ => 1) Ht (test_const 1)) as T. unfold N in T.
  rewrite E_const in T. apply (IntR_scal _ (density (a * m + b) (a ^ 2 * v + s) x)) in T.
  rewrite Rmult_1_r in T. refine (IntR_ext _ _ _ _ T). intros u. cbv beta.
  rewrite (Bayes_density m v a b s (a * m + b) (a ^ 2 * v + s) tau (fun u => a * u + b) (fun x =>
    (a * v * (x - b) + s * m) / (a ^ 2 * v + s))); try easy.
  - fold mu. ring.
  - unfold tau. field. lra.
  - intros y. field. lra.
Qed.
