(** * Slides 11-16: the inference chain of DDRM and Proposition 3.1, one coordinate

    The next file does all coordinates at once; here is the proof of the slides, in their order. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith Lia FunctionalExtensionality.
From Ddrm Require Import Gauss Law Normal.
Open Scope R_scope.

(** ** Slide 11: the table

    One row has four numbers: the next state is drawn from
    N(c_x0 x_0 + c_xt x_{t+1} + c_y y_bar, variance). *)
Record row := { c_x0 : R; c_xt : R; c_y : R; variance : R }.

Definition draw (r : row) (x0 xt y : R) : Law R :=
  N (c_x0 r * x0 + c_xt r * xt + c_y r * y) (variance r).

(** One coordinate: its singular value [s], the noise [sigma_y] of the measurement, the level
    [sigma] that is left and the level [next] that is entered. *)
Definition kept eta := sqrt (1 - eta ^ 2).

Definition table s sigma next sigma_y eta eta_b : row :=
  if Rlt_dec 0 s then
    if Rle_dec (sigma_y / s) next then
      {| c_x0 := 1 - eta_b; c_xt := 0; c_y := eta_b;
         variance := next ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b ^ 2 |}
    else
      {| c_x0 := 1 - kept eta * next / (sigma_y / s); c_xt := 0;
         c_y := kept eta * next / (sigma_y / s);
         variance := eta ^ 2 * next ^ 2 |}
  else
    {| c_x0 := 1 - kept eta * next / sigma; c_xt := kept eta * next / sigma; c_y := 0;
       variance := eta ^ 2 * next ^ 2 |}.

(** Slide 11 (S11.1): the start.  A coordinate whose measurement is noisier than the first level
    counts as unmeasured (X12); the slide is silent about it (E5). *)
Definition start s sigma_T sigma_y : row :=
  if Rlt_dec 0 s then
    if Rle_dec (sigma_y / s) sigma_T then
      {| c_x0 := 0; c_xt := 0; c_y := 1; variance := sigma_T ^ 2 - sigma_y ^ 2 / s ^ 2 |}
    else {| c_x0 := 1; c_xt := 0; c_y := 0; variance := sigma_T ^ 2 |}
  else {| c_x0 := 1; c_xt := 0; c_y := 0; variance := sigma_T ^ 2 |}.

(** Slide 11 (S11.2, S11.3, S11.4): the three coefficients of every row add up to 1. *)
Theorem coefficients_add_up s sigma next sigma_y eta eta_b :
  let r := table s sigma next sigma_y eta eta_b in c_x0 r + c_xt r + c_y r = 1.
Proof.
  unfold table. repeat match goal with |- context [if ?test then _ else _] => destruct test end;
    cbn; ring.
Qed.

Section OneCoordinate.
Variables s sigma_y x0 : R.
Hypothesis s_range : 0 <= s.
Hypothesis sigma_y_range : 0 <= sigma_y.

(** Slide 11 (S11.2): case 1, s > 0 and sigma_t >= sigma_y / s, the boundary included. *)
Theorem slide_11_case_1 sigma next eta eta_b xt y : 0 < s -> next >= sigma_y / s ->
  draw (table s sigma next sigma_y eta eta_b) x0 xt y =
  N (x0 * (1 - eta_b) + eta_b * y) (next ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b ^ 2).
Proof.
  intros S B. unfold draw, table. destruct (Rlt_dec 0 s); [|lra].
  destruct (Rle_dec (sigma_y / s) next); [|lra]. cbn [c_x0 c_xt c_y variance]. f_equal. ring.
Qed.

(** Slide 11 (S11.3): case 2, s > 0 and sigma_t < sigma_y / s. *)
Theorem slide_11_case_2 sigma next eta eta_b xt y : 0 < s -> 0 <= next < sigma_y / s ->
  draw (table s sigma next sigma_y eta eta_b) x0 xt y =
  N (x0 + sqrt (1 - eta ^ 2) * next * ((y - x0) / (sigma_y / s))) (eta ^ 2 * next ^ 2).
Proof.
  intros S B. unfold draw, table. destruct (Rlt_dec 0 s); [|lra].
  destruct (Rle_dec (sigma_y / s) next); [lra|]. cbn [c_x0 c_xt c_y variance]. f_equal.
  unfold kept. assert (sigma_y / s <> 0) by lra. set (tau := sigma_y / s) in *. field. lra.
Qed.

(** Slide 11 (S11.4): case 3, s = 0. *)
Theorem slide_11_case_3 sigma next eta eta_b xt y : s = 0 -> 0 < sigma ->
  draw (table s sigma next sigma_y eta eta_b) x0 xt y =
  N (x0 + sqrt (1 - eta ^ 2) * next * ((xt - x0) / sigma)) (eta ^ 2 * next ^ 2).
Proof.
  intros S B. unfold draw, table. destruct (Rlt_dec 0 s); [lra|].
  cbn [c_x0 c_xt c_y variance]. f_equal. unfold kept. field. lra.
Qed.

(** Slide 11 (S11.1): the start, under the condition that the slide does not print. *)
Theorem slide_11_start sigma_T xt y :
  (0 < s -> sigma_y / s <= sigma_T ->
     draw (start s sigma_T sigma_y) x0 xt y = N y (sigma_T ^ 2 - sigma_y ^ 2 / s ^ 2)) /\
  (s = 0 -> draw (start s sigma_T sigma_y) x0 xt y = N x0 (sigma_T ^ 2)).
Proof.
  split; [intros S B|intros S]; unfold draw, start; destruct (Rlt_dec 0 s); try lra.
  - destruct (Rle_dec (sigma_y / s) sigma_T); [|lra]. cbn [c_x0 c_xt c_y variance]. f_equal. ring.
  - cbn [c_x0 c_xt c_y variance]. f_equal. ring.
Qed.

(** ** Slides 13-16: the three cases

    Each is hint 1 and hint 2 for a mean that is affine in what the row looks at. *)

Lemma spread_square : 0 < s -> sigma_y ^ 2 / s ^ 2 = (sigma_y / s) ^ 2.
Proof. intros S. field. lra. Qed.

Lemma spread_nonneg : 0 < s -> 0 <= sigma_y / s.
Proof. intros S. apply Rmult_le_pos; [assumption|left; now apply Rinv_0_lt_compat]. Qed.

(** What every row rests on: a mean a z + b that is x_0 at z = x_0, and variances that add up. *)
Lemma row_keeps_marginal a b v w c : 0 <= v -> 0 <= w -> a * x0 + b = x0 -> a ^ 2 * w + v = c ->
  (z <- N x0 w ;; N (a * z + b) v) == N x0 c.
Proof. intros Hv Hw M V. rewrite <- M at 2. rewrite <- V. now apply hint_1_affine. Qed.

(** Slide 13 (S13.4): the induction base, t = T. *)
Theorem base sigma_T : 0 < s -> sigma_y / s <= sigma_T ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;; N y (sigma_T ^ 2 - sigma_y ^ 2 / s ^ 2))
  == N x0 (sigma_T ^ 2).
Proof.
  intros S B f T. pose proof (spread_nonneg S) as P. rewrite spread_square by exact S.
  transitivity ((y <- N x0 ((sigma_y / s) ^ 2) ;;
    N (1 * y + 0) (sigma_T ^ 2 - (sigma_y / s) ^ 2)) f).
  { unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. ring. }
  apply row_keeps_marginal; [|apply pow2_ge_0|ring|ring|exact T].
  assert (0 <= (sigma_T - sigma_y / s) * (sigma_T + sigma_y / s)) by (apply Rmult_le_pos; lra). lra.
Qed.

(** Slide 14 (S14.1): case 1. *)
Theorem case_1 sigma_t eta_b :
  0 < s -> sigma_y / s <= sigma_t -> 0 <= eta_b -> eta_b * (sigma_y / s) <= sigma_t ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
   N (x0 * (1 - eta_b) + eta_b * y) (sigma_t ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b ^ 2))
  == N x0 (sigma_t ^ 2).
Proof.
  intros S B E A f T. pose proof (spread_nonneg S) as P. rewrite spread_square by exact S.
  set (tau := sigma_y / s) in *. assert (0 <= eta_b * tau) by nra.
  transitivity ((y <- N x0 (tau ^ 2) ;; N (eta_b * y + x0 * (1 - eta_b))
    (sigma_t ^ 2 - tau ^ 2 * eta_b ^ 2)) f).
  { unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. ring. }
  apply row_keeps_marginal; [|apply pow2_ge_0|ring|ring|exact T].
  assert (0 <= (sigma_t - eta_b * tau) * (sigma_t + eta_b * tau)) by (apply Rmult_le_pos; lra). lra.
Qed.

(** Slide 15 (S15.1): case 2. *)
Theorem case_2 sigma_t eta :
  0 < s -> 0 <= sigma_t < sigma_y / s -> 0 <= eta <= 1 ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
   N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((y - x0) / (sigma_y / s))) (eta ^ 2 * sigma_t ^ 2))
  == N x0 (sigma_t ^ 2).
Proof.
  intros S B E f T. rewrite spread_square by exact S. set (tau := sigma_y / s) in *.
  pose proof (pow2_sqrt (1 - eta ^ 2) ltac:(nra)) as K. set (k := sqrt (1 - eta ^ 2)) in *.
  transitivity ((y <- N x0 (tau ^ 2) ;; N (k * sigma_t / tau * y + (1 - k * sigma_t / tau) * x0)
    (eta ^ 2 * sigma_t ^ 2)) f).
  { unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. field. lra. }
  apply row_keeps_marginal; [|apply pow2_ge_0|ring| |exact T].
  { apply Rmult_le_pos; apply pow2_ge_0. }
  transitivity (k ^ 2 * sigma_t ^ 2 + eta ^ 2 * sigma_t ^ 2); [field; lra|]. rewrite K. ring.
Qed.

(** Slide 16 (S16.1): case 3, the induction step from sigma_{t+1} to sigma_t. *)
Theorem case_3 sigma_t sigma_t1 eta :
  0 < sigma_t1 -> 0 <= eta <= 1 ->
  (x <- N x0 (sigma_t1 ^ 2) ;;
   N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((x - x0) / sigma_t1)) (eta ^ 2 * sigma_t ^ 2))
  == N x0 (sigma_t ^ 2).
Proof.
  intros S E f T. pose proof (pow2_sqrt (1 - eta ^ 2) ltac:(nra)) as K.
  set (k := sqrt (1 - eta ^ 2)) in *.
  transitivity ((x <- N x0 (sigma_t1 ^ 2) ;; N (k * sigma_t / sigma_t1 * x
    + (1 - k * sigma_t / sigma_t1) * x0) (eta ^ 2 * sigma_t ^ 2)) f).
  { unfold bind, N. apply E_ext. intros u. apply E_ext. intros xi. f_equal. field. lra. }
  apply row_keeps_marginal; [|apply pow2_ge_0|ring| |exact T].
  { apply Rmult_le_pos; apply pow2_ge_0. }
  transitivity (k ^ 2 * sigma_t ^ 2 + eta ^ 2 * sigma_t ^ 2); [field; lra|]. rewrite K. ring.
Qed.

(** ** The chain and Proposition 3.1 *)

Variables (T : nat) (sigma eta eta_b : nat -> R).
Hypothesis levels : forall t, 0 <= sigma t.
Hypothesis levels_above_0 : forall t, (1 <= t <= T)%nat -> 0 < sigma t.
Hypothesis eta_range : forall t, 0 <= eta t <= 1.
Hypothesis eta_b_range : forall t, 0 <= eta_b t.
Hypothesis eta_b_admissible : forall t, 0 < s -> sigma_y / s <= sigma t ->
  eta_b t * (sigma_y / s) <= sigma t.

(** Slide 13, hint 3 (S13.3): what y_bar is, given x_0; where s = 0 it is 0 (E4), not x_0. *)
Definition y_given_x0 : Law R := if Rlt_dec 0 s then N x0 (sigma_y ^ 2 / s ^ 2) else point 0.

(** Slide 11: the pair (y_bar, x_t) given x_0, after [k] steps down from T. *)
Fixpoint chain k : Law (R * R) := match k with
  | O => y <- y_given_x0 ;; x <- draw (start s (sigma T) sigma_y) x0 0 y ;; point (y, x)
  | S k => p <- chain k ;;
      x <- draw (table s (sigma (T - k)) (sigma (T - S k)) sigma_y
                       (eta (T - S k)) (eta_b (T - S k)))
             x0 (snd p) (fst p) ;;
      point (fst p, x)
  end.
Definition x_given_x0 t : Law R := p <- chain (T - t) ;; point (snd p).

(** What is drawn below y_bar does not change the law of y_bar. *)
Lemma draw_const r x xt y c : draw r x xt y (fun _ => c) = c.
Proof. unfold draw, N. apply E_const. Qed.

Lemma chain_keeps_y k (g : R -> R) : chain k (fun p => g (fst p)) = y_given_x0 g.
Proof.
  induction k as [|k IH]; cbn [chain]; unfold bind, point; cbn [fst].
  - f_equal. apply functional_extensionality. intros y. apply draw_const.
  - rewrite <- IH. f_equal. apply functional_extensionality. intros p. apply draw_const.
Qed.

Lemma measured : 0 < s -> y_given_x0 = N x0 (sigma_y ^ 2 / s ^ 2).
Proof. intros S. unfold y_given_x0. destruct (Rlt_dec 0 s); [reflexivity|lra]. Qed.

(** Slide 13: t = T. *)
Lemma at_T : (p <- chain 0 ;; point (snd p)) == N x0 (sigma T ^ 2).
Proof.
  intros f Tf. change ((y <- y_given_x0 ;; draw (start s (sigma T) sigma_y) x0 0 y) f
    = N x0 (sigma T ^ 2) f).
  destruct (Req_dec s 0) as [S0|S0]; [|destruct (Rle_dec (sigma_y / s) (sigma T)) as [B|B]].
  - unfold bind. transitivity (y_given_x0 (fun _ => N x0 (sigma T ^ 2) f)).
    + f_equal. apply functional_extensionality. intros y.
      now rewrite (proj2 (slide_11_start _ 0 y)).
    + unfold y_given_x0. destruct (Rlt_dec 0 s); [lra|reflexivity].
  - rewrite <- (base (sigma T)), measured by (lra || exact Tf). unfold bind. f_equal.
    apply functional_extensionality. intros y. rewrite (proj1 (slide_11_start _ 0 y)); lra || auto.
  - rewrite measured by lra. unfold bind. unfold N at 1. rewrite <- E_const. apply E_ext. intros xi.
    unfold draw, start. destruct (Rlt_dec 0 s); [|lra].
    destruct (Rle_dec (sigma_y / s) (sigma T)); [lra|]. cbn [c_x0 c_xt c_y variance].
    f_equal. ring.
Qed.

(** Slide 14 and 15: a measured coordinate; x_{t+1} is not used and may be dropped. *)
Lemma at_measured k : 0 < s -> (S k <= T)%nat ->
  (p <- chain (S k) ;; point (snd p)) == N x0 (sigma (T - S k) ^ 2).
Proof.
  intros S0 L f Tf. set (t := (T - S k)%nat). pose proof (levels t). pose proof (eta_range t).
  transitivity ((y <- y_given_x0 ;;
    draw (table s (sigma (T - k)) (sigma t) sigma_y (eta t) (eta_b t)) x0 0 y) f).
  { unfold bind at 2. rewrite <- (chain_keeps_y k). cbn [chain]. fold t. unfold bind, point.
    f_equal. apply functional_extensionality. intros p. cbn [snd]. unfold draw, table.
    destruct (Rlt_dec 0 s); [|lra]. destruct (Rle_dec (sigma_y / s) (sigma t)); cbn; do 2 f_equal;
      ring. }
  rewrite measured by exact S0. unfold bind. destruct (Rle_dec (sigma_y / s) (sigma t)) as [B|B].
  - transitivity (N x0 (sigma_y ^ 2 / s ^ 2) (fun y => N (x0 * (1 - eta_b t) + eta_b t * y)
      (sigma t ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b t ^ 2) f));
      [|exact (case_1 _ _ S0 B (eta_b_range t) (eta_b_admissible t S0 B) f Tf)].
    f_equal. apply functional_extensionality. intros y. rewrite slide_11_case_1; lra || auto.
  - assert (H' : 0 <= sigma t < sigma_y / s) by lra.
    transitivity (N x0 (sigma_y ^ 2 / s ^ 2) (fun y => N (x0 + sqrt (1 - eta t ^ 2) * sigma t *
      ((y - x0) / (sigma_y / s))) (eta t ^ 2 * sigma t ^ 2) f));
      [|exact (case_2 _ _ S0 H' (eta_range t) f Tf)].
    f_equal. apply functional_extensionality. intros y. now rewrite slide_11_case_2.
Qed.

(** Slide 16: a coordinate that was not measured, by induction. *)
Lemma at_unmeasured k : s = 0 -> (S k <= T)%nat ->
  (p <- chain k ;; point (snd p)) == N x0 (sigma (T - k) ^ 2) ->
  (p <- chain (S k) ;; point (snd p)) == N x0 (sigma (T - S k) ^ 2).
Proof.
  intros S0 L IH f Tf. set (t := (T - S k)%nat). pose proof (levels_above_0 (T - k) ltac:(lia)).
  rewrite <- (case_3 (sigma t) (sigma (T - k)) (eta t)) by auto. unfold bind at 2.
  rewrite <- IH.
  - cbn [chain]. fold t. unfold bind, point. f_equal. apply functional_extensionality. intros p.
    cbn [snd]. now rewrite slide_11_case_3.
  - apply (N_test f (eta t ^ 2 * sigma t ^ 2) (sqrt (1 - eta t ^ 2) * sigma t / sigma (T - k))
      ((1 - sqrt (1 - eta t ^ 2) * sigma t / sigma (T - k)) * x0) _ Tf).
    intros x. f_equal. field. lra.
Qed.

(** Slides 12-16 (S12.1, one coordinate): q(x_t | x_0) = N(x_0, sigma_t^2) for every t,
    from T to 0. *)
Theorem Proposition_3_1_coordinate t : (t <= T)%nat -> x_given_x0 t == N x0 (sigma t ^ 2).
Proof.
  intros Ht. unfold x_given_x0. replace (sigma t) with (sigma (T - (T - t))) by (f_equal; lia).
  assert (L : (T - t <= T)%nat) by lia. induction (T - t)%nat as [|k IH].
  - replace (T - 0)%nat with T by lia. apply at_T.
  - destruct (Req_dec s 0) as [S0|S0].
    + apply at_unmeasured; auto. apply IH. lia.
    + apply at_measured; lra || auto.
Qed.
End OneCoordinate.

(** Slide 11 (S11.1): the start is the step that comes from any level with eta = eta_b = 1. *)
Theorem start_is_a_step s sigma sigma_T sigma_y :
  start s sigma_T sigma_y = table s sigma sigma_T sigma_y 1 1.
Proof.
  assert (K : kept 1 = 0) by (unfold kept; replace (1 - 1 ^ 2) with 0 by ring; apply sqrt_0).
  unfold start, table. rewrite K.
  destruct (Rlt_dec 0 s); [destruct (Rle_dec (sigma_y / s) sigma_T)|];
    unfold Rdiv; f_equal; ring.
Qed.
