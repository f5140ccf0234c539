(** * Vectors, orthogonal matrices, normal vectors

    A vector is a function of its index; only the indices below [n] count.  A random vector is
    normal if every linear form of it is: the definition that has room for point masses. *)

From Coquelicot Require Import Coquelicot.
Require Import Reals Lra Psatz Arith Lia FunctionalExtensionality.
From Ddrm Require Import Gauss Law.
Open Scope R_scope.

Definition vec := nat -> R.
Definition mat := nat -> nat -> R.

Fixpoint sum (n : nat) (f : vec) : R := match n with O => 0 | S k => sum k f + f k end.
Definition dot n (a b : vec) := sum n (fun i => a i * b i).
Definition times n (A : mat) (x : vec) : vec := fun i => sum n (fun j => A i j * x j).
Definition transpose (A : mat) : mat := fun i j => A j i.
Definition diag (v : vec) : mat := fun i j => if i =? j then v i else 0.
Definition scalar (c : R) : mat := diag (fun _ => c).  (* c I *)
Definition quadratic n (A : mat) (w : vec) := sum n (fun i => sum n (fun j => w i * A i j * w j)).

(** [V^T V = V V^T = I], an n x n matrix. *)
Definition orthogonal n (V : mat) := forall i j, (i < n)%nat -> (j < n)%nat ->
  sum n (fun k => V k i * V k j) = (if i =? j then 1 else 0) /\
  sum n (fun k => V i k * V j k) = (if i =? j then 1 else 0).

(** ** Finite sums *)

Lemma sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
Proof. intros H. induction n as [|n IH]; [reflexivity|]. cbn. rewrite IH, H; auto. Qed.

Lemma sum_plus n f g : sum n (fun i => f i + g i) = sum n f + sum n g.
Proof. induction n as [|n IH]; cbn; lra. Qed.

Lemma sum_scal n k f : sum n (fun i => k * f i) = k * sum n f.
Proof. induction n as [|n IH]; cbn; lra. Qed.

Lemma sum_zero n f : (forall i, (i < n)%nat -> f i = 0) -> sum n f = 0.
Proof.
  intros H. induction n as [|n IH]; [reflexivity|]. cbn. rewrite IH, H; auto. ring.
Qed.

Lemma sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= sum n f.
Proof.
  intros H. induction n as [|n IH]; cbn; [lra|]. specialize (H n (Nat.lt_succ_diag_r n)) as P.
  assert (0 <= sum n f) by auto. lra.
Qed.

Lemma sum_swap n m (f : mat) :
  sum n (fun i => sum m (fun j => f i j)) = sum m (fun j => sum n (fun i => f i j)).
Proof.
  induction n as [|n IH]; cbn; [symmetry; now apply sum_zero|]. now rewrite sum_plus, IH.
Qed.

Lemma sum_one n i (f : vec) : (i < n)%nat -> sum n (fun j => if i =? j then f j else 0) = f i.
Proof.
  induction n as [|n IH]; intros H; [lia|]. cbn. destruct (Nat.eqb_spec i n) as [->|D].
  - rewrite sum_zero; [ring|]. intros j Hj. destruct (Nat.eqb_spec n j); [lia|reflexivity].
  - rewrite IH by lia. ring.
Qed.

(** Terms that are 0 do not count. *)
Lemma sum_tail n m f : (n <= m)%nat -> (forall i, (n <= i)%nat -> f i = 0) -> sum m f = sum n f.
Proof.
  intros H Z. induction m as [|m IH]; [now replace n with O by lia|].
  destruct (Nat.eq_dec n (S m)) as [->|D]; [reflexivity|]. cbn. rewrite IH, Z by lia. ring.
Qed.

Lemma sum_support n m f :
  (forall i, (n <= i)%nat -> f i = 0) -> (forall i, (m <= i)%nat -> f i = 0) -> sum n f = sum m f.
Proof.
  intros Zn Zm. destruct (Nat.le_ge_cases n m).
  - symmetry. now apply sum_tail.
  - now apply sum_tail.
Qed.

(** ** Matrices *)

Lemma dot_ext n a b c d :
  (forall i, (i < n)%nat -> a i = c i) -> (forall i, (i < n)%nat -> b i = d i) ->
  dot n a b = dot n c d.
Proof. intros A B. apply sum_ext. intros i Hi. now rewrite A, B. Qed.

Lemma dot_times m n w A x : dot m w (times n A x) = dot n (times m (transpose A) w) x.
Proof.
  unfold dot, times, transpose.
  rewrite (sum_ext m _ (fun i => sum n (fun j => w i * A i j * x j))).
  - rewrite sum_swap. apply sum_ext. intros j _.
    rewrite (Rmult_comm _ (x j)), <- sum_scal. apply sum_ext. intros i _. ring.
  - intros i _. rewrite <- sum_scal. apply sum_ext. intros j _. ring.
Qed.

Lemma quadratic_diag n v w : quadratic n (diag v) w = sum n (fun i => w i ^ 2 * v i).
Proof.
  apply sum_ext. intros i Hi. rewrite <- (sum_one n i (fun j => w j ^ 2 * v j) Hi).
  apply sum_ext. intros j _. unfold diag. destruct (Nat.eqb_spec i j) as [->|D]; ring.
Qed.

Lemma orthogonal_transpose n V : orthogonal n V -> orthogonal n (transpose V).
Proof. intros H i j Hi Hj. destruct (H i j Hi Hj). now split. Qed.

(** Slide 18 (S18.2): x = V x_bar, since V V^T x = x. *)
Theorem orthogonal_inverse n V x i : orthogonal n V -> (i < n)%nat ->
  times n V (times n (transpose V) x) i = x i.
Proof.
  intros H Hi. unfold times, transpose.
  rewrite (sum_ext n _ (fun k => sum n (fun j => x j * (V i k * V j k)))).
  - rewrite sum_swap. rewrite <- (sum_one n i x Hi). apply sum_ext. intros j Hj.
    rewrite sum_scal, (proj2 (H i j Hi Hj)). destruct (i =? j); ring.
  - intros k _. rewrite <- sum_scal. apply sum_ext. intros j _. ring.
Qed.

(** Slide 9 (S09.3): an orthogonal matrix keeps lengths. *)
Theorem orthogonal_isometry n V w : orthogonal n V ->
  dot n (times n (transpose V) w) (times n (transpose V) w) = dot n w w.
Proof.
  intros H. rewrite dot_times. apply dot_ext; [|reflexivity]. intros i Hi.
  now apply orthogonal_inverse.
Qed.

(** ** Random vectors *)

(** Independent normal coordinates, drawn one after the other. *)
Fixpoint draws (n : nat) (m v : vec) : Law vec := match n with
  | O => point (fun _ => 0)
  | S k => x <- draws k m v ;; u <- N (m k) (v k) ;; point (fun i => if i =? k then u else x i)
  end.

(** The vector [x] has the normal law N(m, S): every linear form w . x is N(w . m, w^T S w). *)
Definition normal n (L : Law vec) (m : vec) (S : mat) :=
  forall w, (x <- L ;; point (dot n w x)) == N (dot n w m) (quadratic n S w).

Lemma draws_form n m v w c :
  (forall i, (i < n)%nat -> 0 <= v i) ->
  (x <- draws n m v ;; point (dot n w x + c)) == N (dot n w m + c) (sum n (fun i => w i ^ 2 * v i)).
Proof.
  revert c. induction n as [|n IH]; intros c Hv f T.
  { cbn. unfold bind, point. symmetry. now apply N_point. }
  pose proof (Hv n (Nat.lt_succ_diag_r n)) as Vn.
  assert (Vs : 0 <= sum n (fun i => w i ^ 2 * v i)).
  { apply sum_nonneg. intros i Hi. apply Rmult_le_pos; [apply pow2_ge_0|apply Hv; lia]. }
  assert (Wn : 0 <= w n ^ 2 * v n) by (apply Rmult_le_pos; [apply pow2_ge_0|exact Vn]).
  set (g := fun s => N (1 * s + w n * m n) (w n ^ 2 * v n) f).
  transitivity ((x <- draws n m v ;; point (dot n w x + c)) g).
  { cbn [draws]. unfold bind, point. f_equal. apply functional_extensionality. intros x.
    unfold g. replace (1 * (dot n w x + c) + w n * m n) with (w n * m n + (dot n w x + c)) by ring.
    rewrite <- (N_affine (m n) (v n) (w n) (dot n w x + c) Vn f T). unfold bind, point, N.
    apply E_ext. intros xi. f_equal. unfold dot. cbn. rewrite Nat.eqb_refl.
    rewrite (sum_ext n _ (fun i => w i * x i)); [ring|]. intros i Hi.
    destruct (Nat.eqb_spec i n); [lia|reflexivity]. }
  rewrite IH; [|intros; apply Hv; lia|].
  2: { now apply (N_test f (w n ^ 2 * v n) 1 (w n * m n)). }
  unfold g. change (N ?a ?b (fun s => N (1 * s + ?d) ?e f))
    with ((s <- N a b ;; N (1 * s + d) e) f).
  rewrite hint_1_affine by assumption. f_equal; unfold dot; cbn; ring.
Qed.

(** Independent normal coordinates are a normal vector with a diagonal covariance matrix. *)
Theorem draws_normal n m v : (forall i, (i < n)%nat -> 0 <= v i) ->
  normal n (draws n m v) m (diag v).
Proof.
  intros Hv w f T. rewrite quadratic_diag, <- (Rplus_0_r (dot n w m)), <- draws_form by assumption.
  unfold bind, point. f_equal. apply functional_extensionality. intros x. now rewrite Rplus_0_r.
Qed.

(** Slide 12 (S12.2): q(x_t | x_0) = N(x_0, c I) if and only if q(x_bar_t | x_0) = N(x_bar_0, c I),
    for x_bar = V^T x with an orthogonal V.  Here [x_bar] is the random vector. *)
Theorem rotation n V L x0 c : orthogonal n V ->
  (normal n L (times n (transpose V) x0) (scalar c) <->
   normal n (x_bar <- L ;; point (times n V x_bar)) x0 (scalar c)).
Proof.
  intros H.
  assert (Q : forall w, sum n (fun i => w i ^ 2 * c) = c * dot n w w).
  { intros w. unfold dot. rewrite <- sum_scal. apply sum_ext. intros i _. ring. }
  split; intros G w f T.
  - specialize (G (times n (transpose V) w) f T). unfold scalar in *.
    rewrite quadratic_diag, Q, orthogonal_isometry in G by exact H.
    rewrite quadratic_diag, Q. rewrite <- dot_times in G.
    rewrite (dot_ext n w _ w x0) in G; [|reflexivity|intros; now apply orthogonal_inverse].
    rewrite <- G. unfold bind, point. f_equal. apply functional_extensionality. intros x.
    f_equal. apply dot_times.
  - specialize (G (times n V w) f T). unfold scalar in *.
    rewrite quadratic_diag, Q in *. pose proof (orthogonal_transpose n V H) as H'.
    pose proof (orthogonal_isometry n (transpose V) w H') as I.
    change (transpose (transpose V)) with V in I. rewrite I in G.
    rewrite (dot_times n n w (transpose V) x0). change (transpose (transpose V)) with V.
    rewrite <- G. unfold bind, point. f_equal. apply functional_extensionality. intros x.
    f_equal. rewrite dot_times. apply dot_ext; [|reflexivity]. intros i Hi. symmetry.
    apply (orthogonal_inverse n (transpose V) w i H' Hi).
Qed.
