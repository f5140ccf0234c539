(** * The standard normal law

    [phi] is the density of a standard normal number up to the factor [1 / C], [C] being the
    Gaussian integral; [E f] is the mean of [f xi] for a standard normal [xi].  That [C] is
    [sqrt (2 PI)] is never needed: only that the integral exists and is positive. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz FunctionalExtensionality.
From Ddrm Require Import Integral.
Open Scope R_scope.

Definition phi (u : R) := exp (- (u * u) / 2).
Definition C := RInt_gen phi (Rbar_locally m_infty) (Rbar_locally p_infty).

Lemma phi_pos u : 0 < phi u.
Proof. apply exp_pos. Qed.

Lemma phi_even u : phi (- u) = phi u.
Proof. unfold phi. f_equal. lra. Qed.

Lemma phi_le u : phi u * (1 + u * u / 2) <= 1.
Proof.
  unfold phi. replace (- (u * u) / 2) with (- (u * u / 2)) by lra. rewrite exp_Ropp.
  assert (1 + u * u / 2 <= exp (u * u / 2)) by apply exp_ineq1_le.
  pose proof (exp_pos (u * u / 2)). apply (Rmult_le_reg_l (exp (u * u / 2))); [lra|].
  rewrite <- Rmult_assoc, Rinv_r; lra.
Qed.

Lemma phi_le_1 u : phi u <= 1.
Proof. pose proof (phi_le u). pose proof (phi_pos u). nra. Qed.

Lemma is_derive_phi u : is_derive phi u (- u * phi u).
Proof. unfold phi. auto_derive; [trivial|lra]. Qed.

(** The steepest slope of [phi] is less than 1. *)
Lemma phi_Lipschitz : Lipschitz 1 phi.
Proof.
  split; [lra|]. intros x y.
  destruct (MVT_gen phi y x (fun u => - u * phi u)) as [c [_ E]].
  - intros u _. apply is_derive_phi.
  - intros u _. apply continuity_pt_filterlim, (ex_derive_continuous phi). eexists.
    apply is_derive_phi.
  - rewrite E, Rabs_mult. apply Rmult_le_compat_r; [apply Rabs_pos|].
    pose proof (phi_le c). pose proof (phi_pos c).
    assert (0 <= phi c * ((c - 1) * (c - 1) + 1)) by (apply Rmult_le_pos; nra).
    assert (0 <= phi c * ((c + 1) * (c + 1) + 1)) by (apply Rmult_le_pos; nra).
    apply Rabs_le. split; lra.
Qed.

Lemma phi_continuous u : continuous phi u.
Proof. apply (Lipschitz_continuous 1), phi_Lipschitz. Qed.

Lemma RInt_phi_le a b : a <= b -> RInt phi a b <= 2 * PI.
Proof.
  intros Hab.
  assert (H : is_RInt (fun u => 2 * / (1 + u ^ 2)) a b (2 * (atan b - atan a))).
  { apply (is_RInt_scal (fun u => / (1 + u ^ 2)) a b 2 (atan b - atan a)).
    apply (is_RInt_derive atan (fun u => / (1 + u ^ 2))).
    - intros u _. apply is_derive_Reals, derivable_pt_lim_atan.
    - intros u _. apply (ex_derive_continuous (fun u => / (1 + u ^ 2))). auto_derive. nra. }
  apply Rle_trans with (2 * (atan b - atan a)).
  - rewrite <- (is_RInt_unique _ _ _ _ H).
    apply RInt_le; [exact Hab|apply continuous_integrable, phi_continuous|eexists; exact H|].
    intros u _. pose proof (phi_le u). pose proof (phi_pos u).
    apply (Rmult_le_reg_r (1 + u ^ 2)); [nra|]. rewrite Rmult_assoc, Rinv_l; nra.
  - pose proof (atan_bound a). pose proof (atan_bound b). lra.
Qed.

Lemma IntR_phi : IntR phi C.
Proof.
  destruct (IntR_bounded phi (2 * PI)) as [l H].
  - apply phi_continuous.
  - intros u. left. apply phi_pos.
  - intros a b. apply RInt_phi_le.
  - unfold C. now rewrite (IntR_RInt_gen phi l).
Qed.

Lemma C_pos : 0 < C.
Proof.
  apply (IntR_pos phi C 0); [apply IntR_phi|intros u; left; apply phi_pos|apply phi_pos].
Qed.

(** ** Test functions

    A law is known when the mean of every bounded Lipschitz function under it is known.  That is the
    usual meaning of "equal in law", and it speaks of point masses as well as of densities. *)
Definition bounded (M : R) (f : R -> R) := forall x, Rabs (f x) <= M.
Definition test (f : R -> R) := exists M K, bounded M f /\ Lipschitz K f.

Definition E (f : R -> R) :=
  RInt_gen (fun u => f u * phi u) (Rbar_locally m_infty) (Rbar_locally p_infty) / C.

(** [mean f m]: the mean of [f xi] exists and is [m]. *)
Definition mean (f : R -> R) (m : R) := IntR (fun u => f u * phi u) (m * C).

Lemma mean_E f m : mean f m -> E f = m.
Proof.
  intros H. unfold E. rewrite (IntR_RInt_gen _ _ H). pose proof C_pos. field. lra.
Qed.

Lemma mean_const c : mean (fun _ => c) c.
Proof. apply (IntR_scal phi c C), IntR_phi. Qed.

Lemma mean_plus f g m n : mean f m -> mean g n -> mean (fun u => f u + g u) (m + n).
Proof.
  intros F G. unfold mean. rewrite Rmult_plus_distr_r.
  refine (IntR_ext _ _ _ _ (IntR_plus _ _ _ _ F G)). intros u. cbn. ring.
Qed.

Lemma mean_scal k f m : mean f m -> mean (fun u => k * f u) (k * m).
Proof.
  intros F. unfold mean. rewrite Rmult_assoc.
  refine (IntR_ext _ _ _ _ (IntR_scal _ k _ F)). intros u. cbn. ring.
Qed.

Lemma mean_le f g m n : mean f m -> mean g n -> (forall u, f u <= g u) -> m <= n.
Proof.
  intros F G L. pose proof C_pos. apply (Rmult_le_reg_r C); [lra|].
  apply (IntR_le _ _ _ _ F G). intros u. apply Rmult_le_compat_r; [left; apply phi_pos|apply L].
Qed.

Lemma mean_mirror f m : mean f m -> mean (fun u => f (- u)) m.
Proof.
  intros F. refine (IntR_ext _ _ _ _ (IntR_mirror _ _ F)). intros u. cbn. now rewrite phi_even.
Qed.

Lemma E_ext f g : (forall u, f u = g u) -> E f = E g.
Proof. intros H. f_equal. now apply functional_extensionality. Qed.

Lemma mean_nonneg_bounded f M :
  (forall u, continuous f u) -> (forall u, 0 <= f u <= M) -> exists m, mean f m.
Proof.
  intros Hc HM. destruct (IntR_bounded (fun u => f u * phi u) (M * (2 * PI))) as [l H].
  - intros u. apply (continuous_mult f phi); [apply Hc|apply phi_continuous].
  - intros u. apply Rmult_le_pos; [apply HM|left; apply phi_pos].
  - intros a b Hab. apply Rle_trans with (RInt (fun u => M * phi u) a b).
    + apply RInt_mono; [|intros; apply continuous_times, phi_continuous|exact Hab|].
      * intros u. apply (continuous_mult f phi); [apply Hc|apply phi_continuous].
      * intros u _. apply Rmult_le_compat_r; [left; apply phi_pos|apply HM].
    + rewrite (RInt_times phi M) by apply phi_continuous.
      apply Rmult_le_compat_l; [specialize (HM 0); lra|now apply RInt_phi_le].
  - exists (l / C). unfold mean. replace (l / C * C) with l; [exact H|].
    pose proof C_pos. field. lra.
Qed.

Lemma test_continuous f u : test f -> continuous f u.
Proof. intros [M [K [_ L]]]. now apply (Lipschitz_continuous K). Qed.

Lemma test_mean f : test f -> mean f (E f).
Proof.
  intros T. destruct T as [M [K [B L]]] eqn:Eq. clear Eq.
  destruct (mean_nonneg_bounded (fun u => f u + M) (2 * M)) as [m H].
  - intros u. apply continuous_add; [now apply test_continuous|apply continuous_const].
  - intros u. specialize (B u). apply Rabs_le_between in B. lra.
  - pose proof (mean_plus _ _ _ _ H (mean_const (- M))) as F.
    assert (G : mean f (m + - M)).
    { refine (IntR_ext _ _ _ _ F). intros u. cbn. f_equal. ring. }
    now rewrite (mean_E _ _ G).
Qed.

(** ** Rules for means *)

Lemma E_const c : E (fun _ => c) = c.
Proof. apply mean_E, mean_const. Qed.

Lemma E_plus f g : test f -> test g -> E (fun u => f u + g u) = E f + E g.
Proof. intros F G. apply mean_E, mean_plus; now apply test_mean. Qed.

Lemma E_scal k f : test f -> E (fun u => k * f u) = k * E f.
Proof. intros F. now apply mean_E, mean_scal, test_mean. Qed.

Lemma E_mirror f : test f -> E (fun u => f (- u)) = E f.
Proof. intros F. now apply mean_E, mean_mirror, test_mean. Qed.

Lemma E_le f g : test f -> test g -> (forall u, f u <= g u) -> E f <= E g.
Proof. intros F G. apply mean_le; now apply test_mean. Qed.

Lemma test_const c : test (fun _ => c).
Proof.
  exists (Rabs c), 0. split; [intros x; lra|]. split; [lra|]. intros x y.
  replace (c - c) with 0 by ring. rewrite Rabs_R0. lra.
Qed.

Lemma test_affine f g a b : test f -> (forall x, g x = f (a * x + b)) -> test g.
Proof.
  intros [M [K [B [HK L]]]] G. exists M, (K * Rabs a). split; [intros x; rewrite G; apply B|].
  split; [apply Rmult_le_pos; [exact HK|apply Rabs_pos]|]. intros x y. rewrite !G.
  apply Rle_trans with (1 := L _ _). rewrite Rmult_assoc, <- Rabs_mult. right.
  f_equal. f_equal. ring.
Qed.

Lemma test_scal k f : test f -> test (fun x => k * f x).
Proof.
  intros [M [K [B [HK L]]]]. exists (Rabs k * M), (Rabs k * K). split.
  - intros x. rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|apply B].
  - split; [apply Rmult_le_pos; [apply Rabs_pos|exact HK]|]. intros x y.
    rewrite <- Rmult_minus_distr_l, Rabs_mult, Rmult_assoc.
    apply Rmult_le_compat_l; [apply Rabs_pos|apply L].
Qed.

Lemma test_plus f g : test f -> test g -> test (fun x => f x + g x).
Proof.
  intros [M [K [B [HK L]]]] [M' [K' [B' [HK' L']]]]. exists (M + M'), (K + K'). split.
  - intros x. apply Rle_trans with (1 := Rabs_triang _ _). specialize (B x). specialize (B' x). lra.
  - split; [lra|]. intros x y.
    replace (f x + g x - (f y + g y)) with ((f x - f y) + (g x - g y)) by ring.
    apply Rle_trans with (1 := Rabs_triang _ _). specialize (L x y). specialize (L' x y). lra.
Qed.

Lemma E_bounded f M : test f -> bounded M f -> Rabs (E f) <= M.
Proof.
  intros T B. apply Rabs_le. split.
  - rewrite <- (E_const (- M)). apply E_le; [apply test_const|exact T|]. intros u.
    specialize (B u). apply Rabs_le_between in B. lra.
  - rewrite <- (E_const M). apply E_le; [exact T|apply test_const|]. intros u.
    specialize (B u). apply Rabs_le_between in B. lra.
Qed.

(** Averaging over the noise of a kernel leaves a test function. *)
Lemma test_kernel f g a b s :
  test f -> (forall z, g z = E (fun xi => f (a * z + b + s * xi))) -> test g.
Proof.
  intros T G. destruct T as [M [K [B [HK L]]]] eqn:Eq. clear Eq.
  assert (S : forall c, test (fun xi => f (c + s * xi))).
  { intros c. apply (test_affine f _ s c T). intros x. f_equal. ring. }
  exists M, (K * Rabs a). split.
  - intros z. rewrite G. apply E_bounded; [apply S|]. intros x. apply B.
  - split; [apply Rmult_le_pos; [exact HK|apply Rabs_pos]|]. intros x y. rewrite !G.
    replace (E (fun xi => f (a * x + b + s * xi)) - E (fun xi => f (a * y + b + s * xi))) with
      (E (fun xi => f (a * x + b + s * xi) + -1 * f (a * y + b + s * xi))).
    2: { rewrite E_plus, E_scal; [ring|apply S..|apply test_scal, S]. }
    apply E_bounded; [apply test_plus; [apply S|apply test_scal, S]|]. intros xi.
    replace (f (a * x + b + s * xi) + -1 * f (a * y + b + s * xi))
      with (f (a * x + b + s * xi) - f (a * y + b + s * xi)) by ring.
    apply Rle_trans with (1 := L _ _). rewrite Rmult_assoc, <- Rabs_mult. right.
    f_equal. f_equal. ring.
Qed.

(** [xi] has the mean 0, [xi ^ 2] the mean 1. *)
Lemma vanishes_far_out e :
  0 < e -> exists M, 0 < M /\ forall u, M < Rabs u -> Rabs u * phi u < e.
Proof.
  intros He. exists (2 / e). assert (0 < 2 / e) by (apply Rdiv_lt_0_compat; lra).
  split; [assumption|]. intros u Hu. pose proof (phi_le u). pose proof (phi_pos u).
  assert (Q : Rabs u * Rabs u = u * u) by (rewrite <- Rabs_mult; apply Rabs_pos_eq, Rle_0_sqr).
  assert (2 < e * Rabs u).
  { apply (Rmult_lt_compat_l e) in Hu; [|lra]. replace (e * (2 / e)) with 2 in Hu by (field; lra).
    exact Hu. }
  assert (0 < Rabs u) by lra. set (v := Rabs u) in *. rewrite <- Q in *.
  apply (Rmult_lt_reg_l v); [lra|]. apply Rle_lt_trans with 2; [nra|lra].
Qed.

(** The mean of a standard normal number is 0. *)
Theorem mean_xi : mean (fun u => u) 0.
Proof.
  unfold mean. rewrite Rmult_0_l. split.
  { intros u. apply (ex_derive_continuous (fun u => u * phi u)). unfold phi. auto_derive. trivial. }
  intros e He. destruct (vanishes_far_out (e / 2)) as [M [HM Far]]; [lra|].
  exists (M + 1). intros a b Ha Hb.
  replace (RInt (fun u => u * phi u) a b) with (phi a - phi b).
  - assert (Small : forall u, M + 1 < Rabs u -> 0 < phi u < e / 2).
    { intros u Hu. specialize (Far u ltac:(lra)). pose proof (phi_pos u). split; nra. }
    assert (A : M + 1 < Rabs a) by (rewrite Rabs_left; lra).
    assert (B : M + 1 < Rabs b) by (rewrite Rabs_pos_eq; lra).
    pose proof (Small a A). pose proof (Small b B). apply Rabs_def1; lra.
  - symmetry. apply is_RInt_unique.
    replace (phi a - phi b) with (- phi b - - phi a) by ring.
    apply (is_RInt_derive (fun u => - phi u)).
    + intros u _. unfold phi. auto_derive; [trivial|lra].
    + intros u _. apply (ex_derive_continuous (fun u => u * phi u)). unfold phi. now auto_derive.
Qed.

(** The mean of its square is 1. *)
Theorem mean_xi_square : mean (fun u => u * u) 1.
Proof.
  unfold mean. rewrite Rmult_1_l.
  assert (D : IntR (fun u => (u * u - 1) * phi u) 0).
  { assert (Co : forall u, continuous (fun u => (u * u - 1) * phi u) u).
    { intros u. apply (ex_derive_continuous (fun u => (u * u - 1) * phi u)).
      unfold phi. now auto_derive. }
    split; [exact Co|]. intros e He. destruct (vanishes_far_out (e / 2)) as [M [HM Far]]; [lra|].
    exists M. intros a b Ha Hb.
    replace (RInt (fun u => (u * u - 1) * phi u) a b) with (- b * phi b - - a * phi a).
    - pose proof (Far a) as A. pose proof (Far b) as B.
      rewrite Rabs_left in A by lra. rewrite Rabs_pos_eq in B by lra.
      specialize (A ltac:(lra)). specialize (B ltac:(lra)).
      pose proof (phi_pos a). pose proof (phi_pos b). apply Rabs_def1; nra.
    - symmetry. apply is_RInt_unique. apply (is_RInt_derive (fun u => - u * phi u)); [|auto].
      intros u _. unfold phi. auto_derive; [trivial|lra]. }
  pose proof (IntR_plus _ _ _ _ D IntR_phi) as H. rewrite Rplus_0_l in H.
  refine (IntR_ext _ _ _ _ H). intros u. cbn. ring.
Qed.
