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

    - [independent J A B]: the pair drawn from [J] has parts with the laws [A] and [B], and they
      are independent.
    - [exists x, P]: there is an [x] with P.  [let a := b in c]: c, where [a] stands for b.
      [fun i => e]: the vector (or function) with the entries e; indices begin at 0.
    - [%nat]: what is meant are whole numbers.  [S t]: t + 1.  [INR t]: the whole number t as a real one.
    - [svd m n H U V s]: slide 9.  U (m x m) and V (n x n) are orthogonal, all s_i >= 0, s_i = 0
      for i >= m and for i >= n, and H_ij is the sum over k of U_ik s_k V_jk.
    - [measurement m n H x0 sigma_y]: the law of y = H x_0 + z with z ~ N(0, sigma_y^2 I).
      [y_bar m U s y]: Sigma^+ U^T y, whose entry i is (U^T y)_i / s_i, or 0 where s_i = 0.
    - [table s sigma next sigma_y eta eta_b]: slide 11 for one coordinate, as four numbers: x_t is drawn
      from N([c_x0] x_0 + [c_xt] x_{t+1} + [c_y] y_bar, [variance]).  With k = sqrt(1 - eta^2),
      s > 0 and sigma_y / s <= next: 1 - eta_b, 0, eta_b, next^2 - eta_b^2 sigma_y^2 / s^2;
      s > 0 and sigma_y / s > next: [c_y] = k next / (sigma_y / s), [c_x0] = 1 - [c_y], eta^2 next^2;
      s = 0: [c_xt] = k next / sigma, [c_x0] = 1 - [c_xt], eta^2 next^2.
    - [start s sigma_T sigma_y]: the same four numbers at T.  s > 0 and sigma_y / s <= sigma_T: 0, 0, 1,
      sigma_T^2 - sigma_y^2 / s^2.  Else, also where the measurement is noisier than sigma_T: 1, 0,
      0, sigma_T^2.

    Letters are reals, but [x0] is a vector in the statements about vectors; [sigma] is the function
    t -> sigma_t, and [sigma_t] one number.  A negative variance, a division by 0 and the root of a
    negative number have some value, nobody says which: the hypotheses keep them out.

    Everything is defined in Law.v, Vector.v, Slide_09.v and Slides_11_16.v.  Beside each statement
    stands where it is proved: "Proof. exact case_1." takes the theorem of that name from there. *)

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
    x_t = V x_bar_t has the law N(x_0, sigma_t^2 I), for every t from T to 0.  That sigma_T be at
    least sigma_y / s_i is not asked: [start] treats other coordinates as unmeasured. *)
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
    coordinates of x_bar_t are drawn by the row [table] of slide 11; there is no x_{T+1}, hence the 0.
    [draws n m v]: n independent numbers N(m_i, v_i).  [same_forms]: the pairs of vectors have one
    law (all their linear forms do).  The line is read: is_DDRM <-> (the first, and for all t the
    second). *)
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

(** There is such a chain for every choice of the numbers, the sensible ones among them
    (Proposition_3_1.v). *)
Theorem DDRM_exists : forall m n H U V s x0 sigma_y T sigma eta eta_b,
  exists J, is_DDRM m n H U V s x0 sigma_y T sigma eta eta_b J.
Proof. exact DDRM_exists. Qed.

(** The conditions can be met (Examples.v).  [admissible]: the hypotheses of Proposition 3.1 but the
    last, on m, n, H, U, V, s, sigma_y, T, sigma, eta and eta_b.  Here three pixels, H = diag(s) with
    s = (2, 1/8, 0) ([example_s]), U = V = I, sigma_y = 1/2, T = 3, sigma_t = t, any eta and
    eta_b from 0 to 1: at t = 1 and at t = 2 one pixel is in each of the three cases. *)
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
    ([shared]: x_0 + sigma xi in each, with one xi ~ N(0, 1)) passes all that they prove, and is not
    N(x_0, sigma^2 I) (Errata.v). *)
Theorem one_by_one_is_not_enough : forall x0 sigma, 0 < sigma ->
  (forall i, (x <- shared x0 sigma ;; point (x i)) == N (x0 i) (sigma ^ 2)) /\
  ~ normal 2 (shared x0 sigma) x0 (scalar (sigma ^ 2)).
Proof. intros x0 sigma P. split; [intros i; apply E19_each_coordinate|now apply E19]. Qed.
