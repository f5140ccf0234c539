(** * Two independent standard normal numbers

    [a z + xi] has the law of [sqrt (1 + a ^ 2) u]: the analytic core of hint 1.  The plane is
    integrated in both orders; in one of them the square is completed, as on paper. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz.
From Ddrm Require Import Integral Gauss.
Open Scope R_scope.

Lemma Lipschitz_weaken K K' f : K <= K' -> Lipschitz K f -> Lipschitz K' f.
Proof.
  intros H [HK L]. split; [lra|]. intros x y. apply Rle_trans with (1 := L x y).
  apply Rmult_le_compat_r; [apply Rabs_pos|exact H].
Qed.

Lemma Lipschitz_mult M K M' K' f g :
  bounded M f -> Lipschitz K f -> bounded M' g -> Lipschitz K' g ->
  Lipschitz (M * K' + M' * K) (fun x => f x * g x).
Proof.
  intros B [HK L] B' [HK' L'].
  assert (0 <= M) by (apply Rle_trans with (2 := B 0), Rabs_pos).
  assert (0 <= M') by (apply Rle_trans with (2 := B' 0), Rabs_pos).
  split; [nra|]. intros x y.
  replace (f x * g x - f y * g y) with (f x * (g x - g y) + g y * (f x - f y)) by ring.
  apply Rle_trans with (1 := Rabs_triang _ _). rewrite !Rabs_mult, Rmult_plus_distr_r.
  apply Rplus_le_compat; rewrite Rmult_assoc; apply Rmult_le_compat; auto using Rabs_pos.
Qed.

Lemma Lipschitz_shift K f a c : Lipschitz K f -> Lipschitz (K * Rabs a) (fun x => f (a * x + c)).
Proof.
  intros [HK L]. split; [apply Rmult_le_pos; [exact HK|apply Rabs_pos]|]. intros x y.
  apply Rle_trans with (1 := L _ _). rewrite Rmult_assoc, <- Rabs_mult. right.
  f_equal. f_equal. ring.
Qed.

Lemma Lipschitz_ext K f g : (forall x, f x = g x) -> Lipschitz K f -> Lipschitz K g.
Proof. intros H [HK L]. split; [exact HK|]. intros x y. rewrite <- !H. apply L. Qed.

Lemma phi_bounded : bounded 1 phi.
Proof. intros u. pose proof (phi_pos u). pose proof (phi_le_1 u). apply Rabs_le. lra. Qed.

Section Two.
Variables (a M K : R) (f : R -> R).
Hypothesis f_Lipschitz : Lipschitz K f.
Hypothesis f_between : forall x, 0 <= f x <= M.
Let r := sqrt (1 + a * a).

(** The integrand at [x = a z + xi]. *)
Let h z x := f x * (phi z * phi (x - a * z)).

Let f_bounded : bounded M f.
Proof. intros x. apply Rabs_le. specialize (f_between x). lra. Qed.

Let f_test : test f.
Proof. now exists M, K. Qed.

Lemma r_pos : 0 < r.
Proof. apply sqrt_lt_R0. nra. Qed.

Lemma r_square : r * r = 1 + a * a.
Proof. apply sqrt_sqrt. nra. Qed.

Lemma h_nonneg z x : 0 <= h z x.
Proof.
  apply Rmult_le_pos; [apply f_between|]. left. apply Rmult_lt_0_compat; apply phi_pos.
Qed.

Lemma h_Lipschitz : Lipschitz2 (M * (1 + Rabs a) + (M + K)) h.
Proof.
  assert (0 <= M) by (specialize (f_between 0); lra). pose proof (proj1 f_Lipschitz).
  pose proof (Rabs_pos a). split.
  - intros x. apply (Lipschitz_weaken (M * (1 * (1 * Rabs (- a)) + 1 * 1) + 1 * 1 * 0)).
    { rewrite Rabs_Ropp. nra. }
    apply (Lipschitz_mult M 0 (1 * 1) _ (fun _ => f x));
      [intros z; apply f_bounded|split; [lra|]| |].
    + intros u v. replace (f x - f x) with 0 by ring. rewrite Rabs_R0. lra.
    + intros z. rewrite Rabs_mult. apply Rmult_le_compat; auto using Rabs_pos, phi_bounded.
    + apply Lipschitz_mult; auto using phi_bounded, phi_Lipschitz; [intros z; apply phi_bounded|].
      apply (Lipschitz_ext _ (fun z => phi (- a * z + x))); [intros z; f_equal; ring|].
      apply Lipschitz_shift, phi_Lipschitz.
  - intros z. apply (Lipschitz_weaken (M * (1 * (1 * Rabs 1) + 1 * 0) + 1 * 1 * K)).
    { rewrite Rabs_R1. nra. }
    apply (Lipschitz_mult M K (1 * 1)); [exact f_bounded|exact f_Lipschitz| |].
    + intros x. rewrite Rabs_mult. apply Rmult_le_compat; auto using Rabs_pos, phi_bounded.
    + apply (Lipschitz_mult 1 0 1 _ (fun _ => phi z));
        [intros x; apply phi_bounded|split; [lra|]|intros x; apply phi_bounded|].
      * intros u v. replace (phi z - phi z) with 0 by ring. rewrite Rabs_R0. lra.
      * apply (Lipschitz_ext _ (fun x => phi (1 * x + - (a * z)))); [intros x; f_equal; ring|].
        apply Lipschitz_shift, phi_Lipschitz.
Qed.

(** In the order "first [z], then [x]": the square is completed. *)
Lemma complete_the_square z x : h z x = f x * phi (x / r) * phi (r * z + - a * x / r).
Proof.
  assert (Q : r * / r = 1) by (apply Rinv_r; pose proof r_pos; lra). pose proof r_square as S.
  unfold h, phi. rewrite (Rmult_assoc (f x)), <- !exp_plus. f_equal. f_equal. unfold Rdiv.
  assert (A : x * / r * (x * / r) + (r * z + - a * x * / r) * (r * z + - a * x * / r)
    = z * z + (x - a * z) * (x - a * z)); [|lra].
  transitivity (x * x * (/ r * / r) * (1 + a * a) + r * r * (z * z) - 2 * a * x * z * (r * / r)).
  { ring. }
  rewrite <- S. transitivity (x * x * ((r * / r) * (r * / r)) + r * r * (z * z)
    - 2 * a * x * z * (r * / r)); [ring|]. rewrite Q, S. ring.
Qed.

Lemma integral_over_z x : IntR (fun z => h z x) (C / r * (f x * phi (x / r))).
Proof.
  pose proof r_pos.
  pose proof (IntR_scal _ (f x * phi (x / r) / r) _
    (IntR_affine _ _ r (- a * x / r) r_pos IntR_phi))
    as H'.
  replace (C / r * (f x * phi (x / r))) with (f x * phi (x / r) / r * C) by (field; lra).
  refine (IntR_ext _ _ _ _ H'). intros z. rewrite complete_the_square. field. lra.
Qed.

Lemma integral_over_z_x : IntR (fun x => C / r * (f x * phi (x / r)))
  (E (fun u => f (r * u)) * C * C).
Proof.
  pose proof r_pos as P.
  assert (T : test (fun u => f (r * u))).
  { apply (test_affine f _ r 0 f_test). intros u. f_equal. ring. }
  pose proof (IntR_affine _ _ (/ r) 0 (Rinv_0_lt_compat _ P) (test_mean _ T)) as H.
  apply (IntR_scal _ C) in H. rewrite Rmult_comm in H.
  refine (IntR_ext _ _ _ _ H). intros x. cbn.
  replace (r * (/ r * x + 0)) with x by (field; lra).
  replace (/ r * x + 0) with (x / r) by (field; lra). field. lra.
Qed.

Lemma rectangle_le X Z : 0 <= X -> 0 <= Z ->
  RInt (fun z => RInt (h z) (- X) X) (- Z) Z <= E (fun u => f (r * u)) * C * C.
Proof.
  intros HX HZ. pose proof h_Lipschitz as L. rewrite (Fubini _ h _ _ _ _ L).
  apply Rle_trans with (RInt (fun x => C / r * (f x * phi (x / r))) (- X) X).
  - apply RInt_le; [lra| | |].
    + apply continuous_integrable. intros x.
      apply (RInt_continuous _ (fun x z => h z x) _ _ _ (Lipschitz2_swap _ _ L)).
    + apply continuous_integrable, integral_over_z_x.
    + intros x _. apply (RInt_le_IntR (fun z => h z x)); [apply integral_over_z| |lra].
      intros z. apply h_nonneg.
  - apply RInt_le_IntR; [apply integral_over_z_x| |lra]. intros x.
    pose proof C_pos. pose proof r_pos. pose proof (phi_pos (x / r)). apply Rmult_le_pos.
    + left. apply Rdiv_lt_0_compat; lra.
    + apply Rmult_le_pos; [apply f_between|lra].
Qed.

(** In the order "first [x], then [z]": the mean of [f] under the kernel. *)
Let g z := E (fun xi => f (a * z + xi)).

Lemma kernel_test z : test (fun xi => f (a * z + xi)).
Proof. apply (test_affine f _ 1 (a * z) f_test). intros xi. f_equal. ring. Qed.

Lemma integral_over_x z : IntR (fun x => f x * phi (x - a * z)) (g z * C).
Proof.
  refine (IntR_ext _ _ _ _ (IntR_shift _ _ (a * z) (test_mean _ (kernel_test z)))).
  intros x. cbn. do 2 f_equal. ring.
Qed.

(** All but [e] of the kernel lies within [- X] and [X], for every [z] between [- Z] and [Z]. *)
Lemma kernel_within Z e : 0 < e -> exists X, 0 <= X /\
  forall z, Rabs z <= Z -> g z * C <= RInt (fun x => f x * phi (x - a * z)) (- X) X + M * e.
Proof.
  intros He. destruct (proj2 IntR_phi e He) as [X0 HX0].
  pose proof (Rle_abs X0) as A0. pose proof (Rabs_pos X0). pose proof (Rabs_pos a).
  pose proof (Rabs_pos Z). exists (Rabs X0 + Rabs a * Rabs Z + 1). split; [nra|].
  set (X := Rabs X0 + Rabs a * Rabs Z + 1). intros z Hz. pose proof (Rle_abs Z).
  pose proof (IntR_shift _ _ (a * z) IntR_phi) as P. pose proof (integral_over_x z) as F.
  assert (Q : C - e < RInt (fun x => phi (x - a * z)) (- X) X).
  { replace (RInt _ (- X) X) with (RInt phi (1 * - X + - (a * z)) (1 * X + - (a * z))).
    - assert (Rabs (a * z) <= Rabs a * Rabs Z).
      { rewrite Rabs_mult. apply Rmult_le_compat_l; lra. }
      pose proof (Rle_abs (a * z)). pose proof (Rle_abs (- (a * z))). rewrite Rabs_Ropp in *.
      assert (B := HX0 (1 * - X + - (a * z)) (1 * X + - (a * z))). unfold X in *.
      apply Rabs_def2 in B; lra.
    - rewrite <- (RInt_comp_lin phi 1) by apply continuous_integrable, phi_continuous.
      apply RInt_eq. intros x. change (1 * phi (1 * x + - (a * z)) = phi (x - a * z)).
      now rewrite !Rmult_1_l. }
  pose proof (IntR_plus _ _ _ _ (IntR_scal _ M _ P) (IntR_scal _ (-1) _ F)) as D.
  apply (RInt_le_IntR _ _ (- X) X) in D; [| |unfold X; nra].
  2: { intros x. pose proof (f_between x). pose proof (phi_pos (x - a * z)). cbn. nra. }
  rewrite (RInt_add (fun x => M * phi (x - a * z)) (fun x => -1 * (f x * phi (x - a * z)))) in D
    by (intros; apply continuous_times; apply P || apply F).
  rewrite (RInt_times (fun x => phi (x - a * z)) M) in D by apply P.
  rewrite (RInt_times (fun x => f x * phi (x - a * z))) in D by apply F.
  assert (0 <= M) by (pose proof (f_between 0); lra). nra.
Qed.

Lemma g_test : test g.
Proof.
  apply (test_kernel f _ a 0 1 f_test). intros z. apply E_ext. intros xi. f_equal. ring.
Qed.

Lemma g_between z : 0 <= g z <= M.
Proof.
  split; [rewrite <- (E_const 0)|rewrite <- (E_const M)];
    (apply E_le; [apply test_const || apply kernel_test..|intros xi; apply f_between]).
Qed.

Lemma rectangle_near e : 0 < e -> exists X Z, 0 <= X /\ 0 <= Z /\
  E g * C * C <= RInt (fun z => RInt (h z) (- X) X) (- Z) Z + e * (C + M * C).
Proof.
  intros He. pose proof (test_mean g g_test) as G. destruct (proj2 G e He) as [Z0 HZ0].
  pose proof (Rle_abs Z0). pose proof (Rabs_pos Z0). set (Z := Rabs Z0 + 1).
  assert (PZ : 0 <= Z) by (unfold Z; lra).
  destruct (kernel_within Z e He) as [X [PX HX]]. exists X, Z.
  split; [exact PX|]. split; [exact PZ|].
  pose proof C_pos. assert (PM : 0 <= M) by (pose proof (f_between 0); lra).
  assert (B : E g * C - e < RInt (fun z => g z * phi z) (- Z) Z).
  { assert (B := HZ0 (- Z) Z). unfold Z in *. apply Rabs_def2 in B; lra. }
  assert (RI : forall z, continuous (fun z => RInt (h z) (- X) X) z).
  { intros z. apply (RInt_continuous _ h _ _ _ h_Lipschitz). }
  assert (D : C * RInt (fun z => g z * phi z) (- Z) Z
    <= RInt (fun z => RInt (h z) (- X) X) (- Z) Z + M * e * RInt phi (- Z) Z).
  { rewrite <- (RInt_times (fun z => g z * phi z)) by apply G.
    rewrite <- (RInt_times phi) by apply phi_continuous.
    rewrite <- (RInt_add (fun z => RInt (h z) (- X) X)) by
      (exact RI || intros; apply continuous_times, phi_continuous).
    apply RInt_mono; [intros; apply continuous_times, G| |lra|].
    { intros z. apply continuous_add; [apply RI|apply continuous_times, phi_continuous]. }
    intros z Hz. specialize (HX z ltac:(apply Rabs_le; lra)). pose proof (phi_pos z).
    replace (RInt (h z) (- X) X) with (phi z * RInt (fun x => f x * phi (x - a * z)) (- X) X).
    - nra.
    - rewrite <- (RInt_times (fun x => f x * phi (x - a * z))) by apply (integral_over_x z).
      apply RInt_eq. intros x. unfold h. ring. }
  assert (RInt phi (- Z) Z <= C).
  { apply (RInt_le_IntR phi C); [apply IntR_phi|intros; left; apply phi_pos|lra]. }
  assert (0 <= M * e) by (apply Rmult_le_pos; lra). nra.
Qed.

Lemma E_E_le : E g <= E (fun u => f (r * u)).
Proof.
  pose proof C_pos as P. assert (PM : 0 <= M) by (pose proof (f_between 0); lra).
  apply (Rmult_le_reg_r (C * C)); [nra|]. apply Rnot_lt_le. intros L.
  set (d := E g * (C * C) - E (fun u => f (r * u)) * (C * C)).
  destruct (rectangle_near (d / (2 * (C + M * C)))) as [X [Z [PX [PZ H]]]].
  { apply Rdiv_lt_0_compat; unfold d; nra. }
  pose proof (rectangle_le X Z PX PZ).
  replace (d / (2 * (C + M * C)) * (C + M * C)) with (d / 2) in H by (field; nra).
  unfold d in *. lra.
Qed.
End Two.

(** [a z + xi] and [sqrt (1 + a ^ 2) u] have the same law.  One inequality comes from [f + M], the
    other from [M - f]; both are nowhere negative. *)
Theorem E_E f a :
  test f -> E (fun z => E (fun xi => f (a * z + xi))) = E (fun u => f (sqrt (1 + a * a) * u)).
Proof.
  intros T. destruct T as [M [K [B L]]] eqn:Eq. clear Eq.
  assert (T1 : forall z, test (fun xi => f (a * z + xi))).
  { intros z. apply (test_affine f _ 1 (a * z) T). intros xi. f_equal. ring. }
  assert (T2 : test (fun z => E (fun xi => f (a * z + xi)))).
  { apply (test_kernel f _ a 0 1 T). intros z. apply E_ext. intros xi. f_equal. ring. }
  assert (T3 : test (fun u => f (sqrt (1 + a * a) * u))).
  { apply (test_affine f _ (sqrt (1 + a * a)) 0 T). intros u. f_equal. ring. }
  assert (Up : forall k, Rabs k = 1 -> k * E (fun z => E (fun xi => f (a * z + xi)))
    <= k * E (fun u => f (sqrt (1 + a * a) * u))).
  { intros k Hk. pose proof (E_E_le a (2 * M) K (fun x => k * f x + M)) as H. cbn in H.
    rewrite (E_ext _ (fun z => k * E (fun xi => f (a * z + xi)) + M)) in H.
    - rewrite !E_plus, !E_scal, E_const in H by auto using test_const, test_scal.
      apply (Rplus_le_reg_r M), H.
      + split; [apply L|]. intros x y. replace (k * f x + M - (k * f y + M)) with (k * (f x - f y))
          by ring. rewrite Rabs_mult, Hk, Rmult_1_l. apply L.
      + intros x. pose proof (Rmult_le_compat_l (Rabs k) _ _ (Rabs_pos k) (B x)) as Q.
        rewrite <- Rabs_mult, Hk in Q. apply Rabs_le_between in Q. lra.
    - intros z. rewrite E_plus, E_scal, E_const by auto using test_const, test_scal. reflexivity. }
  pose proof (Up 1 Rabs_R1). pose proof (Up (-1) ltac:(rewrite Rabs_left; lra)). lra.
Qed.
