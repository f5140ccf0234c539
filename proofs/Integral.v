(** * Integrals over the whole line, and the order of two integrals

    What the lecture takes from analysis.  Everything is about continuous functions and uses the
    Riemann integral [RInt f a b] of Coquelicot. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz.
Open Scope R_scope.

(** [f] moves at most [K] times as fast as its argument. *)
Definition Lipschitz (K : R) (f : R -> R) :=
  0 <= K /\ forall x y, Rabs (f x - f y) <= K * Rabs (x - y).

Lemma Lipschitz_continuous K f x : Lipschitz K f -> continuous f x.
Proof.
  intros [HK H]. apply continuity_pt_filterlim, continuity_pt_locally. intros e.
  assert (P : 0 < e / (K + 1)) by (apply Rdiv_lt_0_compat; [apply cond_pos|lra]).
  exists (mkposreal _ P). intros y Hy. cbn in Hy.
  unfold AbsRing_ball, abs, minus, plus, opp in Hy. cbn in Hy. fold (y - x) in Hy.
  apply Rle_lt_trans with (1 := H y x).
  apply Rle_lt_trans with (K * (e / (K + 1))); [apply Rmult_le_compat_l; lra|].
  apply Rlt_le_trans with ((K + 1) * (e / (K + 1))); [|right; field; lra].
  apply Rmult_lt_compat_r; lra.
Qed.

Lemma continuous_integrable (f : R -> R) a b : (forall x, continuous f x) -> ex_RInt f a b.
Proof. intros H. apply (@ex_RInt_continuous R_CompleteNormedModule f). intros x _. apply H. Qed.

Lemma RInt_split (f : R -> R) a b c :
  (forall x, continuous f x) -> RInt f a b + RInt f b c = RInt f a c.
Proof. intros H. apply (RInt_Chasles f a b c); now apply continuous_integrable. Qed.

Lemma RInt_nonneg (f : R -> R) a b :
  (forall x, continuous f x) -> (forall x, 0 <= f x) -> a <= b -> 0 <= RInt f a b.
Proof. intros Hc Hp Hab. apply RInt_ge_0; [exact Hab|now apply continuous_integrable|auto]. Qed.

Lemma RInt_times (f : R -> R) k a b :
  (forall x, continuous f x) -> RInt (fun x => k * f x) a b = k * RInt f a b.
Proof. intros H. apply (RInt_scal f a b k), continuous_integrable, H. Qed.

Lemma RInt_add (f g : R -> R) a b :
  (forall x, continuous f x) -> (forall x, continuous g x) ->
  RInt (fun x => f x + g x) a b = RInt f a b + RInt g a b.
Proof. intros F G. apply (RInt_plus f g a b); now apply continuous_integrable. Qed.

Lemma RInt_eq (f g : R -> R) a b : (forall x, f x = g x) -> RInt f a b = RInt g a b.
Proof. intros H. apply RInt_ext. auto. Qed.

Lemma RInt_mono (f g : R -> R) a b :
  (forall x, continuous f x) -> (forall x, continuous g x) -> a <= b ->
  (forall x, a < x < b -> f x <= g x) -> RInt f a b <= RInt g a b.
Proof. intros F G H L. apply RInt_le; auto using continuous_integrable. Qed.

Lemma continuous_times (f : R -> R) k x : continuous f x -> continuous (fun x => k * f x) x.
Proof. apply (continuous_scal_r k f x). Qed.

Lemma continuous_add (f g : R -> R) x :
  continuous f x -> continuous g x -> continuous (fun x => f x + g x) x.
Proof. apply (continuous_plus f g x). Qed.

(** ** The improper integral *)

(** [IntR f l]: the integral of [f] over the whole line is [l].  For every [e] there is an [M] such
    that the integral over each interval that reaches beyond [-M] and [M] is [l] up to [e]. *)
Definition IntR (f : R -> R) (l : R) :=
  (forall x, continuous f x) /\
  forall e, 0 < e -> exists M, forall a b, a < - M -> M < b -> Rabs (RInt f a b - l) < e.

(** It is the one of Coquelicot. *)
Lemma IntR_RInt_gen f l :
  IntR f l -> RInt_gen f (Rbar_locally m_infty) (Rbar_locally p_infty) = l.
Proof.
  intros [Hc H]. apply is_RInt_gen_unique. intros P [e He].
  destruct (H e (cond_pos e)) as [M HM].
  exists (fun a => a < - M) (fun b => M < b); [now exists (- M)|now exists M|].
  intros a b Ha Hb. exists (RInt f a b). split.
  - apply (RInt_correct f), continuous_integrable, Hc.
  - apply He. exact (HM a b Ha Hb).
Qed.

Lemma IntR_unique f l l' : IntR f l -> IntR f l' -> l = l'.
Proof. intros H H'. rewrite <- (IntR_RInt_gen f l H). now apply IntR_RInt_gen. Qed.

Lemma IntR_ext f g l : (forall x, f x = g x) -> IntR f l -> IntR g l.
Proof.
  intros E [Hc H]. split.
  - intros x. apply (continuous_ext f g x E), Hc.
  - intros e He. destruct (H e He) as [M HM]. exists M. intros a b Ha Hb.
    rewrite <- (RInt_ext f g a b); auto.
Qed.

Lemma IntR_scal f k l : IntR f l -> IntR (fun x => k * f x) (k * l).
Proof.
  intros [Hc H]. split; [intros x; apply continuous_times, Hc|].
  intros e He. pose proof (Rabs_pos k) as Hk.
  destruct (H (e / (Rabs k + 1))) as [M HM]; [apply Rdiv_lt_0_compat; lra|].
  exists M. intros a b Ha Hb. specialize (HM a b Ha Hb).
  rewrite (RInt_times f k) by exact Hc. rewrite <- Rmult_minus_distr_l, Rabs_mult.
  apply Rle_lt_trans with (Rabs k * (e / (Rabs k + 1))); [apply Rmult_le_compat_l; lra|].
  apply Rlt_le_trans with ((Rabs k + 1) * (e / (Rabs k + 1))); [|right; field; lra].
  apply Rmult_lt_compat_r; [apply Rdiv_lt_0_compat|]; lra.
Qed.

Lemma IntR_plus f g l m : IntR f l -> IntR g m -> IntR (fun x => f x + g x) (l + m).
Proof.
  intros [Hf H] [Hg H']. split; [intros x; now apply continuous_add|].
  intros e He. destruct (H (e / 2)) as [M HM]; [lra|]. destruct (H' (e / 2)) as [M' HM']; [lra|].
  exists (Rmax M M'). intros a b Ha Hb. pose proof (Rmax_l M M'). pose proof (Rmax_r M M').
  specialize (HM a b ltac:(lra) ltac:(lra)). specialize (HM' a b ltac:(lra) ltac:(lra)).
  rewrite (RInt_add f g) by assumption.
  replace (RInt f a b + RInt g a b - (l + m)) with ((RInt f a b - l) + (RInt g a b - m)) by ring.
  apply Rle_lt_trans with (1 := Rabs_triang _ _). lra.
Qed.

(** Substitution of [k u + c], [k > 0]. *)
Lemma IntR_affine f l k c : 0 < k -> IntR f l -> IntR (fun u => k * f (k * u + c)) l.
Proof.
  intros Hk [Hc H].
  assert (A : forall u, continuous (fun u => f (k * u + c)) u).
  { intros u. apply (continuous_comp (fun u => k * u + c) f); [|apply Hc].
    apply (ex_derive_continuous (fun u => k * u + c)). auto_derive. trivial. }
  split; [intros u; apply continuous_times, A|].
  intros e He. destruct (H e He) as [M HM]. exists ((Rabs M + Rabs c) / k). intros a b Ha Hb.
  replace (RInt (fun u => k * f (k * u + c)) a b) with (RInt f (k * a + c) (k * b + c)).
  2: { symmetry. apply (RInt_comp_lin f k c a b), continuous_integrable, Hc. }
  pose proof (Rle_abs M). pose proof (Rle_abs c). pose proof (Rle_abs (- c)).
  rewrite Rabs_Ropp in *. apply HM.
  - apply (Rmult_lt_compat_l k) in Ha; [|exact Hk].
    replace (k * - ((Rabs M + Rabs c) / k)) with (- (Rabs M + Rabs c)) in Ha by (field; lra). lra.
  - apply (Rmult_lt_compat_l k) in Hb; [|exact Hk].
    replace (k * ((Rabs M + Rabs c) / k)) with (Rabs M + Rabs c) in Hb by (field; lra). lra.
Qed.

Lemma IntR_shift f l c : IntR f l -> IntR (fun u => f (u - c)) l.
Proof.
  intros H. refine (IntR_ext _ _ _ _ (IntR_affine _ _ 1 (- c) Rlt_0_1 H)). intros u.
  rewrite !Rmult_1_l. reflexivity.
Qed.

Lemma IntR_mirror f l : IntR f l -> IntR (fun u => f (- u)) l.
Proof.
  intros [Hc H]. split.
  - intros u. apply (continuous_comp Ropp f); [|apply Hc].
    apply (ex_derive_continuous Ropp). auto_derive. trivial.
  - intros e He. destruct (H e He) as [M HM]. exists M. intros a b Ha Hb.
    replace (RInt (fun u => f (- u)) a b) with (RInt f (- b) (- a)); [apply HM; lra|].
    rewrite <- (opp_RInt_swap f) by (apply continuous_integrable, Hc).
    symmetry. apply is_RInt_unique.
    pose proof (RInt_correct f (- a) (- b) (continuous_integrable f _ _ Hc)) as R.
    apply (is_RInt_comp_opp f a b), (is_RInt_opp (fun y => opp (f (- y)))) in R.
    refine (is_RInt_ext _ _ _ _ _ _ R). intros u _. apply Ropp_involutive.
Qed.

(** ** Functions that are nowhere negative *)

Lemma RInt_le_IntR f l a b : IntR f l -> (forall x, 0 <= f x) -> a <= b -> RInt f a b <= l.
Proof.
  intros [Hc H] Hp Hab. apply Rnot_lt_le. intros K.
  destruct (H (RInt f a b - l)) as [M HM]; [lra|].
  pose proof (Rmin_l a (- M - 1)). pose proof (Rmin_r a (- M - 1)).
  pose proof (Rmax_l b (M + 1)). pose proof (Rmax_r b (M + 1)).
  set (a' := Rmin a (- M - 1)) in *. set (b' := Rmax b (M + 1)) in *.
  specialize (HM a' b' ltac:(lra) ltac:(lra)). apply Rabs_def2 in HM.
  pose proof (RInt_split f a' a b' Hc). pose proof (RInt_split f a b b' Hc).
  pose proof (RInt_nonneg f a' a Hc Hp). pose proof (RInt_nonneg f b b' Hc Hp). lra.
Qed.

Lemma IntR_le_bound f l B : IntR f l -> (forall a b, a <= b -> RInt f a b <= B) -> l <= B.
Proof.
  intros [_ H] HB. apply Rnot_lt_le. intros K. destruct (H (l - B)) as [M HM]; [lra|].
  pose proof (Rle_abs M). pose proof (Rabs_pos M).
  specialize (HM (- Rabs M - 1) (Rabs M + 1) ltac:(lra) ltac:(lra)).
  specialize (HB (- Rabs M - 1) (Rabs M + 1) ltac:(lra)). apply Rabs_def2 in HM. lra.
Qed.

(** An integral is positive as soon as its function is, somewhere. *)
Lemma IntR_pos f l x :
  IntR f l -> (forall u, 0 <= f u) -> 0 < f x -> 0 < l.
Proof.
  intros H Hp Hx. pose proof (proj1 H) as Hc.
  assert (L : locally x (fun u => f x / 2 < f u)).
  { specialize (Hc x). apply continuity_pt_filterlim in Hc. assert (e : 0 < f x / 2) by lra.
    destruct (proj1 (continuity_pt_locally f x) Hc (mkposreal _ e)) as [d Hd].
    exists d. intros u Hu. specialize (Hd u Hu). cbn in Hd. apply Rabs_def2 in Hd. lra. }
  destruct L as [d Hd]. pose proof (cond_pos d) as P.
  apply Rlt_le_trans with (RInt f (x - d / 2) (x + d / 2)).
  - apply RInt_gt_0; [lra| |intros u _; apply Hc].
    intros u Hu. apply Rlt_trans with (f x / 2); [lra|]. apply Hd. cbn.
    unfold AbsRing_ball, abs, minus, plus, opp. cbn. apply Rabs_def1; lra.
  - apply (RInt_le_IntR f l); [exact H|exact Hp|lra].
Qed.

Lemma IntR_nonneg f l : IntR f l -> (forall x, 0 <= f x) -> 0 <= l.
Proof.
  intros H Hp. apply Rle_trans with (RInt f 0 0); [|apply RInt_le_IntR; auto; lra].
  rewrite RInt_point. right. reflexivity.
Qed.

Lemma IntR_le f g l m : IntR f l -> IntR g m -> (forall x, f x <= g x) -> l <= m.
Proof.
  intros Hf Hg L. apply (IntR_scal f (-1)) in Hf. pose proof (IntR_plus _ _ _ _ Hg Hf) as H.
  apply IntR_nonneg in H; [lra|]. intros x. specialize (L x). cbn. lra.
Qed.

(** A function that is nowhere negative has an integral as soon as its integrals are bounded. *)
Lemma IntR_bounded (f : R -> R) B :
  (forall x, continuous f x) -> (forall x, 0 <= f x) -> (forall a b, a <= b -> RInt f a b <= B) ->
  exists l, IntR f l.
Proof.
  intros Hc Hp HB.
  destruct (completeness (fun z => exists a b, a <= b /\ z = RInt f a b)) as [l [Up Least]].
  { exists B. intros z [a [b [Hab ->]]]. now apply HB. }
  { exists (RInt f 0 0), 0, 0. split; [lra|reflexivity]. }
  exists l. split; [exact Hc|]. intros e He.
  assert (N : exists a b, a <= b /\ l - e < RInt f a b).
  { apply Classical_Prop.NNPP. intros No. assert (l <= l - e); [|lra].
    apply Least. intros z [a [b [Hab ->]]]. apply Rnot_lt_le. intros K. apply No. now exists a, b. }
  destruct N as [a [b [Hab Near]]]. exists (Rabs a + Rabs b). intros a' b' Ha Hb.
  pose proof (Rle_abs a). pose proof (Rle_abs (- a)). pose proof (Rle_abs b).
  pose proof (Rle_abs (- b)). rewrite !Rabs_Ropp in *.
  pose proof (Rabs_pos a). pose proof (Rabs_pos b).
  pose proof (RInt_split f a' a b' Hc). pose proof (RInt_split f a b b' Hc).
  pose proof (RInt_nonneg f a' a Hc Hp ltac:(lra)).
  pose proof (RInt_nonneg f b b' Hc Hp ltac:(lra)).
  assert (RInt f a' b' <= l) by (apply Up; exists a', b'; split; [lra|reflexivity]).
  apply Rabs_def1; lra.
Qed.

(** ** Two integrals over a rectangle may be exchanged *)

(** It is enough here that [h] is Lipschitz in each variable, whatever the other one is. *)
Definition Lipschitz2 (K : R) (h : R -> R -> R) :=
  (forall y, Lipschitz K (fun x => h x y)) /\ (forall x, Lipschitz K (h x)).

Lemma Lipschitz2_swap K h : Lipschitz2 K h -> Lipschitz2 K (fun y x => h x y).
Proof. intros [A B]. now split. Qed.

Lemma jointly_continuous K h x y : Lipschitz2 K h -> continuity_2d_pt h x y.
Proof.
  intros [A B] e. destruct (A y) as [HK _]. pose proof (cond_pos e) as He.
  assert (P : 0 < e / 2 / (K + 1)) by (apply Rdiv_lt_0_compat; lra).
  exists (mkposreal _ P). cbn. intros u v Hu Hv.
  replace (h u v - h x y) with ((h u v - h x v) + (h x v - h x y)) by ring.
  apply Rle_lt_trans with (1 := Rabs_triang _ _).
  pose proof (proj2 (A v) u x) as A'. pose proof (proj2 (B x) v y) as B'. cbn in A', B'.
  assert (D : K * (e / 2 / (K + 1)) < e / 2).
  { apply Rlt_le_trans with ((K + 1) * (e / 2 / (K + 1))); [|right; field; lra].
    apply Rmult_lt_compat_r; lra. }
  assert (K * Rabs (u - x) <= K * (e / 2 / (K + 1))) by (apply Rmult_le_compat_l; lra).
  assert (K * Rabs (v - y) <= K * (e / 2 / (K + 1))) by (apply Rmult_le_compat_l; lra). lra.
Qed.

Lemma RInt_continuous K h c d x : Lipschitz2 K h -> continuous (fun x => RInt (h x) c d) x.
Proof.
  intros [A B]. apply (Lipschitz_continuous (K * Rabs (d - c))). split.
  { apply Rmult_le_pos; [exact (proj1 (A 0))|apply Rabs_pos]. }
  assert (C : forall u y, continuous (h u) y) by (intros; apply (Lipschitz_continuous K), B).
  intros u v. replace (RInt (h u) c d - RInt (h v) c d) with (RInt (fun y => h u y - h v y) c d).
  2: { apply (RInt_minus (h u) (h v)); now apply continuous_integrable. }
  replace (K * Rabs (d - c) * Rabs (u - v)) with (Rabs (d - c) * (K * Rabs (u - v))) by ring.
  apply (norm_RInt_le_const_abs (fun y => h u y - h v y) c d); [intros y _; apply (A y)|].
  apply (RInt_correct (fun y => h u y - h v y)), continuous_integrable. intros y.
  now apply (continuous_minus (h u) (h v)).
Qed.

Lemma is_derive_RInt_upper (f : R -> R) a x :
  (forall x, continuous f x) -> is_derive (fun b => RInt f a b) x (f x).
Proof.
  intros C. apply (is_derive_RInt f _ a x); [|apply C].
  apply filter_forall. intros b. now apply (RInt_correct f), continuous_integrable.
Qed.

(** The order of integration does not matter. *)
Theorem Fubini K h a b c d :
  Lipschitz2 K h ->
  RInt (fun x => RInt (h x) c d) a b = RInt (fun y => RInt (fun x => h x y) a b) c d.
Proof.
  intros H. destruct H as [A B] eqn:E. clear E. pose proof (Lipschitz2_swap K h H) as H'.
  set (P := fun b => RInt (fun x => RInt (h x) c d) a b).
  set (Q := fun b => RInt (fun y => RInt (fun x => h x y) a b) c d).
  assert (Inner : forall y u, is_derive (fun u => RInt (fun x => h x y) a u) u (h u y)).
  { intros y u. apply (is_derive_RInt_upper (fun x => h x y)). intros.
    apply (Lipschitz_continuous K), A. }
  assert (DP : forall z, is_derive P z (RInt (h z) c d)).
  { intros z. apply (is_derive_RInt_upper (fun x => RInt (h x) c d)). intros.
    now apply (RInt_continuous K). }
  assert (DQ : forall z, is_derive Q z (RInt (h z) c d)).
  { intros z. rewrite <- (RInt_ext (fun y => Derive (fun u => RInt (fun x => h x y) a u) z))
      by (intros y _; apply is_derive_unique, Inner).
    apply is_derive_RInt_param; [apply filter_forall| |apply filter_forall].
    - intros u y _. eexists. apply Inner.
    - intros y _. apply (continuity_2d_pt_ext h); [|now apply (jointly_continuous K)].
      intros u v. symmetry. apply is_derive_unique, Inner.
    - intros u. apply continuous_integrable. intros y. now apply (RInt_continuous K). }
  assert (Z : forall z, is_derive (fun b => P b - Q b) z 0).
  { intros z. replace 0 with (RInt (h z) c d - RInt (h z) c d) by ring.
    now apply (is_derive_minus P Q). }
  assert (S : P b - Q b = P a - Q a).
  { destruct (Rtotal_order a b) as [L|[->|L]]; [symmetry| |]; try reflexivity;
      apply (eq_is_derive (fun b => P b - Q b)); auto. }
  assert (P a = 0) by (unfold P; now rewrite RInt_point).
  assert (Q a = 0).
  { unfold Q. rewrite (RInt_ext _ (fun _ => 0)) by (intros; now rewrite RInt_point).
    rewrite RInt_const. apply Rmult_0_r. }
  fold (P b) (Q b). lra.
Qed.
