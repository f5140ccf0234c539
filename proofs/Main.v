(** * The main statements on one page

    Every statement here is complete: nothing is assumed but what stands in it.  The words are few.

    - [N m v]: the normal law with the mean [m] and the variance [v]; a point mass if [v] is 0.
    - [x <- A ;; B]: draw [x] from the law [A], then go on with [B], which may use [x].
    - [point a]: the law of the number or vector [a], which is certain.
    - [fst z], [snd z]: the two parts of a pair [z].
    - [A == B]: the two laws are equal.
    - [P -> Q -> R]: if P and Q, then R.  [~ P]: not P.  [/\]: and.  [P <-> Q]: P if and only if Q.
    - [normal n L m S]: the vector of length [n] drawn from [L] has the law N(m, S).
    - [scalar c], [diag v]: the matrices c I and diag(v).  [times n A x]: the product A x.

    They are defined in Law.v and Vector.v.  Beside each statement stands where it is proved. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals.
From Ddrm Require Import Law Vector Slide_09 Slides_11_16.
From Ddrm Require Import Proposition_3_1 Beyond Errata Examples.
Open Scope R_scope.

(** Slide 13, hint 1 (Law.v). *)
Theorem hint_1 : forall z0 V1 alpha V2, 0 <= V1 -> 0 <= V2 ->
  (z1 <- N z0 V1 ;; N (alpha * z1) V2) == N (alpha * z0) (alpha ^ 2 * V1 + V2).
Proof. exact Law.hint_1. Qed.

(** Slide 13, hint 2, with the condition that the slide omits (Law.v). *)
Theorem hint_2 : forall J mu1 V1 mu2 V2, 0 <= V1 -> 0 <= V2 ->
  independent J (N mu1 V1) (N mu2 V2) ->
  (z <- J ;; point (fst z + snd z)) == N (mu1 + mu2) (V1 + V2).
Proof. exact Law.hint_2. Qed.

(** Without that condition it is false (Errata.v). *)
Theorem hint_2_as_printed_is_false :
  ~ (forall J mu1 V1 mu2 V2, 0 <= V1 -> 0 <= V2 ->
     (z <- J ;; point (fst z)) == N mu1 V1 -> (z <- J ;; point (snd z)) == N mu2 V2 ->
     (z <- J ;; point (fst z + snd z)) == N (mu1 + mu2) (V1 + V2)).
Proof. exact Errata.hint_2_as_printed_is_false. Qed.

(** Slide 13, t = T, one coordinate (Slides_11_16.v): y_bar ~ N(x_0, sigma_y^2 / s^2), and x_T is
    drawn from slide 11's N(y_bar, sigma_T^2 - sigma_y^2 / s^2). *)
Theorem base : forall s sigma_y x0 sigma_T, 0 <= sigma_y -> 0 < s -> sigma_y / s <= sigma_T ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;; N y (sigma_T ^ 2 - sigma_y ^ 2 / s ^ 2))
  == N x0 (sigma_T ^ 2).
Proof. intros s sigma_y x0 sigma_T Y. exact (base s sigma_y x0 Y sigma_T). Qed.

(** Slide 14, case 1: x_t is drawn from N(x_0 (1 - eta_b) + eta_b y_bar, ...). *)
Theorem case_1 : forall s sigma_y x0 sigma_t eta_b,
  0 <= sigma_y -> 0 < s -> sigma_y / s <= sigma_t ->
  0 <= eta_b -> eta_b * (sigma_y / s) <= sigma_t ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
   N (x0 * (1 - eta_b) + eta_b * y) (sigma_t ^ 2 - sigma_y ^ 2 / s ^ 2 * eta_b ^ 2))
  == N x0 (sigma_t ^ 2).
Proof. intros s sigma_y x0 sigma_t eta_b Y. exact (case_1 s sigma_y x0 Y sigma_t eta_b). Qed.

(** Slide 15, case 2: the measurement is noisier than the level. *)
Theorem case_2 : forall s sigma_y x0 sigma_t eta,
  0 < s -> 0 <= sigma_t < sigma_y / s -> 0 <= eta <= 1 ->
  (y <- N x0 (sigma_y ^ 2 / s ^ 2) ;;
   N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((y - x0) / (sigma_y / s))) (eta ^ 2 * sigma_t ^ 2))
  == N x0 (sigma_t ^ 2).
Proof. exact case_2. Qed.

(** Slide 16, case 3, the induction step: x_{t+1} ~ N(x_0, sigma_{t+1}^2) is given; sigma_t1 is
    sigma_{t+1}. *)
Theorem case_3 : forall x0 sigma_t sigma_t1 eta, 0 < sigma_t1 -> 0 <= eta <= 1 ->
  (x <- N x0 (sigma_t1 ^ 2) ;;
   N (x0 + sqrt (1 - eta ^ 2) * sigma_t * ((x - x0) / sigma_t1)) (eta ^ 2 * sigma_t ^ 2))
  == N x0 (sigma_t ^ 2).
Proof. exact case_3. Qed.

(** Slide 12, Proposition 3.1 (Proposition_3_1.v).

    H is an m x n matrix with the decomposition U, s, V; y_bar and x_t are drawn as on slides 9 and
    11 ([is_DDRM], see below): [J t] is the law of the pair (y_bar, x_bar_t) given x_0.  Then
    x_t = V x_bar_t has the law N(x_0, sigma_t^2 I), for every t from T to 0. *)
Theorem Proposition_3_1 :
  forall m n H U V s x0 sigma_y T sigma eta eta_b J,
  svd m n H U V s ->
  0 <= sigma_y ->
  (forall t, (t <= T)%nat -> 0 <= sigma t) ->
  (forall t, (1 <= t <= T)%nat -> 0 < sigma t) ->
  (forall t i, 0 <= eta t i <= 1) ->
  (forall t i, 0 <= eta_b t i) ->
  (forall t i, 0 < s i -> sigma_y / s i <= sigma t -> eta_b t i * (sigma_y / s i) <= sigma t) ->
  is_DDRM m n H U V s x0 sigma_y T sigma eta eta_b J ->
  forall t, (t <= T)%nat ->
  normal n (p <- J t ;; point (times n V (snd p))) x0 (scalar (sigma t ^ 2)).
Proof.
  intros. refine (Proposition_3_1 m n H U V s x0 sigma_y T sigma eta eta_b _ J t _ _);
    try assumption.
  now split.
Qed.

(** What [is_DDRM] says.  J T: y = H x_0 + z is measured, and the coordinates of x_bar_T are drawn
    by the row [start] of slide 11.  J t: (y_bar, x_bar_{t+1}) is drawn from J (t + 1), and the
    coordinates of x_bar_t are drawn by the row [table] of slide 11.  [draws n m v]: n independent
    numbers N(m_i, v_i).  [same_forms]: equal in law, for pairs of vectors. *)
Theorem is_DDRM_says : forall m n H U V s x0 sigma_y T sigma eta eta_b J,
  let x0_bar := times n (transpose V) x0 in
  is_DDRM m n H U V s x0 sigma_y T sigma eta eta_b J <->
  same_forms n (J T)
    (y <- measurement m n H x0 sigma_y ;;
     let r i := start (s i) (sigma T) sigma_y in
     x <- draws n (fun i => c_x0 (r i) * x0_bar i + c_xt (r i) * 0 + c_y (r i) * y_bar m U s y i)
                  (fun i => variance (r i)) ;;
     point (y_bar m U s y, x)) /\
  forall t, (t < T)%nat -> same_forms n (J t)
    (p <- J (S t) ;;
     let r i := table (s i) (sigma (S t)) (sigma t) sigma_y (eta t i) (eta_b t i) in
     x <- draws n (fun i => c_x0 (r i) * x0_bar i + c_xt (r i) * snd p i + c_y (r i) * fst p i)
                  (fun i => variance (r i)) ;;
     point (fst p, x)).
Proof. reflexivity. Qed.

(** There is such a chain for every choice of the numbers (Proposition_3_1.v). *)
Theorem DDRM_exists : forall m n H U V s x0 sigma_y T sigma eta eta_b,
  exists J, is_DDRM m n H U V s x0 sigma_y T sigma eta eta_b J.
Proof. exact DDRM_exists. Qed.

(** The conditions can be met: three pixels, one in each of the three cases, any eta and eta_b from
    0 to 1 (Examples.v). *)
Theorem conditions_can_be_met : forall eta eta_b, 0 <= eta <= 1 -> 0 <= eta_b <= 1 ->
  admissible 3 3 (diag example_s) (scalar 1) (scalar 1) example_s (1 / 2) 3 INR
    (fun _ _ => eta) (fun _ _ => eta_b).
Proof. exact conditions_can_be_met. Qed.

(** Slide 11: which eta_b are admissible in case 1; tau is sigma_y / s (Beyond.v). *)
Theorem eta_b_admissible_iff : forall x0 tau sigma_t eta_b,
  0 <= tau -> 0 <= sigma_t -> 0 <= eta_b ->
  ((exists v, 0 <= v /\
    (y <- N x0 (tau ^ 2) ;; N (eta_b * y + (1 - eta_b) * x0) v) == N x0 (sigma_t ^ 2))
   <-> eta_b * tau <= sigma_t).
Proof. exact eta_b_admissible_iff. Qed.

(** Slides 13-16 prove each coordinate.  One random number shared by both coordinates of a plane
    passes all that they prove, and is not N(x_0, sigma^2 I) (Errata.v). *)
Theorem one_by_one_is_not_enough : forall x0 sigma, 0 < sigma ->
  (forall i, (x <- shared x0 sigma ;; point (x i)) == N (x0 i) (sigma ^ 2)) /\
  ~ normal 2 (shared x0 sigma) x0 (scalar (sigma ^ 2)).
Proof. intros x0 sigma P. split; [intros i; apply E19_each_coordinate|now apply E19]. Qed.
