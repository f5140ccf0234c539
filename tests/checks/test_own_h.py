"""check_H takes any H, finds what is wrong with it, and says what the lecture takes for granted."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from strategies import operators

from ddrm_edu import CircularBlur, Dense, NoiseSchedule, SuperResolution, check_H
from ddrm_edu import law as law_module
from ddrm_edu.checks import own_h
from ddrm_edu.checks.own_h import SECTIONS
from ddrm_edu.operators.convert import attribute_of, loaded, shape_of

RNG = np.random.default_rng(5)
WIDE = RNG.standard_normal((4, 9))
IMAGE = (1, 4, 6)
DIFFERENCES = np.diff(np.eye(24).reshape(24, 4, 6)).reshape(24, -1).T

MEASURES = "H measures something and loses something"
START = "every measured coordinate starts at y_spec: sigma_T >= sigma_y / s"
CUT = "no singular value lies near the rank cut"
CONDITION = "H is well conditioned"
LINEAR = "H is linear in double precision"
SIZE = "H is small enough for a dense decomposition"
LINEAR_MAP = "H is a real linear map of images"
TRUTH = "U diag(s) V^T = H"
(MARGINAL,), (MEAN, COVARIANCE), (CONSISTENT, NEARER) = (
    SECTIONS[section] for section in ("marginals", "sampler", "recovery")
)


def failed(reports) -> list[str]:
    return [finding.name for finding in reports.failures]


def notes(reports) -> dict[str, str]:
    return {note.name: str(note) for report in reports for note in report.notes}


def not_asked(reports) -> str:
    return "\n".join(str(finding) for report in reports for finding in report.not_asked)


def names(report) -> list[str]:
    return [finding.name for finding in report.asked]


# -- every form of H -------------------------------------------------------------------------------


def differences(x):
    return x[..., 1:] - x[..., :-1]


def numpy_differences(x):
    return np.diff(np.asarray(x))


def adjoint_of_differences(y):
    zero = torch.zeros_like(y[..., :1])
    return torch.cat([zero, y], -1) - torch.cat([y, zero], -1)


def make_wide():
    return WIDE


class Twofold(Dense):
    def __init__(self, factor=2.0):
        super().__init__(factor * WIDE)


IN_SHAPE = {"in_shape": IMAGE}
FORMS = {
    "numpy": (WIDE, {}, 4),
    "torch": (torch.from_numpy(WIDE), {}, 4),
    "nested lists": (WIDE.tolist(), {}, 4),
    "sparse": (scipy.sparse.random_array((20, 30), density=0.2, rng=RNG), {}, None),
    "images": (DIFFERENCES, {"in_shape": IMAGE, "out_shape": (1, 4, 5)}, 20),
    "LinearOperator": (aslinearoperator(WIDE), {}, 4),
    "LinearOperator without adjoint": (LinearOperator((4, 9), lambda v: WIDE @ v), {}, 4),
    "function of torch": (differences, IN_SHAPE, 20),
    "function of numpy": (numpy_differences, IN_SHAPE, 20),
    "pair": ((differences, adjoint_of_differences), IN_SHAPE, 20),
    "module": (torch.nn.Linear(6, 2, bias=False), IN_SHAPE, 8),
    "maker": (make_wide, {}, 4),
    "maker of a function": (lambda: differences, IN_SHAPE, 20),
    "class": (Twofold, {}, 4),
    "operator": (SuperResolution(IMAGE, 2), {}, 6),
    "tall": (WIDE.T, {}, 4),
    "square": (RNG.standard_normal((5, 5)), {}, 5),
    "rank-deficient": (WIDE[:, :3] @ WIDE[1:, :], {}, 3),
    "zero rows": (np.vstack([WIDE, np.zeros((3, 9))]), {}, 4),
    "one row": ([[1.0, -2.0, 0.5]], {}, 1),
    "zero": (np.zeros((2, 3)), {}, 0),
    "one number": ([[-0.3]], {}, 1),
    "ill-conditioned": (np.diag(np.logspace(0, -9, 10)), {}, 10),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_h_is_tested(name):
    H, options, rank = FORMS[name]
    reports = check_H(H, sigma_y=0.07, **options)
    assert reports.ok, str(reports)
    text = str(reports)
    if rank is not None:
        assert f"rank {rank})" in text
    for section, report in zip(SECTIONS, reports, strict=True):
        told = [finding.name for finding in report.findings]
        assert [name for name in SECTIONS[section] if name in told] == told


def test_matrices_and_functions_are_compared_with_themselves():
    """(a): the independent matrix is H as it came; an SVDOperator needs a truth."""
    for H, options in ((WIDE, {}), (differences, IN_SHAPE), (aslinearoperator(WIDE), {})):
        assert TRUTH in names(check_H(H, **options).reports[0])
    op = SuperResolution(IMAGE, 2)
    assert f"{TRUTH}: H was not given a second time" in not_asked(check_H(op))
    assert TRUTH in names(check_H(op, truth=op.matrix()).reports[0])
    assert failed(check_H(Twofold(), truth=WIDE)) == [TRUTH]


@settings(max_examples=30)
@given(operators())
def test_every_operator_of_the_library_passes_all_of_it(case):
    reports = check_H(case.op, truth=case.H, sigma_y=0.07)
    assert reports.ok, str(reports)
    assert "raised" not in not_asked(reports)


def test_an_h_of_256_pixels_takes_less_than_ten_seconds():
    start = time.process_time()
    assert check_H(RNG.standard_normal((100, 256)), in_shape=(1, 16, 16)).ok
    assert time.process_time() - start < 10


# -- what is no H ----------------------------------------------------------------------------------


def takes_one_image(x):
    return np.convolve(np.asarray(x).reshape(24), [1, 2, 1])


def broken_maker():
    raise RuntimeError("no data")


def broken_adjoint(y):
    raise RuntimeError("no light")


def takes_three_images(x):
    if len(x) != 3:
        raise RuntimeError("three images, please")
    return x


REFUSED = {
    "three images": (takes_three_images, IN_SHAPE, "RuntimeError: three images, please."),
    "clip": (lambda x: x.clamp(-1, 1), IN_SHAPE, "is not linear"),
    "affine": (lambda x: x + 1, IN_SHAPE, "affine"),
    "noise": (lambda x: x + 0.1 * torch.randn_like(x), IN_SHAPE, "random"),
    "one image": (takes_one_image, IN_SHAPE, "lambda x: np.stack"),
    "complex function": (lambda x: torch.fft.fft(x), IN_SHAPE, "real"),
    "complex": (1j * WIDE, {}, "must be real"),
    "nan": ([[1.0, float("nan")]], {}, "must be finite"),
    "vector": ([1.0, 2.0], {}, "matrix of shape (m, n)"),
    "other in_shape": (WIDE, {"in_shape": (2, 2)}, "holds 4 numbers, but H has 9 columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_linear_map_fails_the_first_law_and_waits_with_all_others(name):
    H, options, words = REFUSED[name]
    reports = check_H(H, **options)
    assert failed(reports) == [LINEAR_MAP]
    assert words in reports.failures[0].sentence
    assert [len(report.asked) for report in reports] == [1, 0, 0, 0, 0]
    assert not_asked(reports).count("wait for an H that is a linear map") == 5


@pytest.mark.parametrize(
    ("H", "options", "words"),
    [
        (differences, {}, "in_shape=(channels, height, width)"),
        ("H", {}, "but was of type str"),
        (None, {}, "but was of type NoneType"),
        (3, {}, "but was of type int"),
        (lambda: None, {}, "returned None"),
        (broken_maker, {}, "broken_maker() raised RuntimeError: no data."),
        (Dense, {}, "whose __init__ needs arguments"),
        (WIDE, {"sigma_y": -1}, "at least 0"),
        (WIDE, {"sigmas": [1.0, 2.0, 0.0]}, "strictly decreasing"),
        (differences, {"in_shape": (1, 0)}, "positive integers"),
    ],
)
def test_what_cannot_be_tested_is_a_sentence(H, options, words):
    with pytest.raises(ValueError, match=r".*[.?]$") as error:
        check_H(H, **options)
    assert words in str(error.value)


def test_an_adjoint_that_is_none_is_found_with_its_factor():
    """The mean of two pixels, and the repetition of y: twice the transpose; it blocks nothing."""
    mean = lambda x: (x[..., ::2] + x[..., 1::2]) / 2  # noqa: E731
    reports = check_H((mean, lambda y: y.repeat_interleave(2, -1)), in_shape=IMAGE)
    assert failed(reports) == ["the adjoint that came with H is its transpose"]
    assert "it is 2 times the transpose" in reports.failures[0].sentence
    assert NEARER in names(reports.reports[-1])
    wrong = LinearOperator((4, 9), matvec=lambda v: WIDE @ v, rmatvec=lambda u: WIDE.T @ u[::-1])
    assert failed(check_H(wrong)) == ["the adjoint that came with H is its transpose"]
    (failure,) = check_H((mean, broken_adjoint), in_shape=IMAGE).failures
    assert failure.name == "the adjoint that came with H is its transpose"
    assert "the adjoint must take a batch of images" in failure.found
    assert "no light" in failure.found


def test_a_broken_operator_is_not_restored_with():
    class Exchanged(Dense):
        def V(self, x):
            return super().Vt(x)

        def Vt(self, x):
            return super().V(x)

    reports = check_H(Exchanged(WIDE), truth=WIDE)
    assert failed(reports) == [TRUTH]
    assert "V and Vt are exchanged" in reports.failures[0].sentence
    assert not_asked(reports).count("they wait for the claims of the operator") == 3


# -- assumptions -----------------------------------------------------------------------------------


def test_nothing_is_noted_where_every_assumption_holds():
    assert notes(check_H(WIDE, sigma_y=0.1)) == {}
    assert "6 of 6 assumptions hold." in str(check_H(WIDE, sigma_y=0.1))


def test_coordinates_that_start_unobserved_are_counted():
    """E5, X12: sigma_T < sigma_y / s; the boundary itself still starts at y_spec."""
    s, levels = [2.0, 0.5, 0.02, 0.01, 0.001, 0.0], [4.0, 1.0, 0.0]
    text = notes(check_H(np.diag(s), sigma_y=0.08, sigmas=levels))[START]
    assert "Of 5 measured coordinates 2 have sigma_y / s > sigma_T = 4" in text
    assert "s from 0.001 to 0.01" in text
    assert "up to 80" in text
    assert START not in notes(check_H(np.diag(s), sigma_y=0.0, sigmas=levels))


def test_the_default_levels_are_twenty_of_the_shipped_networks():
    sigma_T = NoiseSchedule.cosine().sigmas(20)[0].item()
    for factor, noted in ((0.999, False), (1.001, True)):
        H = np.diag([1.0, 0.0])
        assert (START in notes(check_H(H, sigma_y=factor * sigma_T))) == noted


def test_a_rank_cut_without_a_gap_is_noted_with_both_sides_of_it():
    """12 values a factor of 10 apart, of which 5 are cut at 1e-7."""
    H = np.diag(np.logspace(0, -11, 12))
    text = notes(check_H(H, rtol=3e-7))[CUT]
    assert "5 of 12 singular values were set to 0, the largest of them 1.0e-07" in text
    assert "the smallest that was kept is 1.0e-06" in text
    clear = check_H(WIDE[:, :3] @ WIDE[1:], sigma_y=0.1)
    assert CUT not in notes(clear)
    assert "1 of 4 singular values were set to 0" in str(clear)


def test_an_ill_conditioned_h_is_noted_with_the_coordinates_that_drown():
    text = notes(check_H(np.diag([1.0, 1e-3, 2e-5, 0.0]), sigma_y=0.01))[CONDITION]
    assert "from 2e-05 to 1, a ratio of 5.0e+04" in text
    assert "in 2 coordinates" in text
    assert CONDITION not in notes(check_H(np.diag([1.0, 2e-4]), sigma_y=0.01))


@pytest.mark.parametrize(
    ("H", "words"),
    [(WIDE.T, "All 4 coordinates are measured"), (np.zeros((2, 3)), "H is 0")],
)
def test_an_h_that_loses_all_or_nothing_is_noted(H, words):
    assert words in notes(check_H(H))[MEASURES]


def test_single_precision_is_noted_and_passes():
    """Compared at its own rounding, and singular values below it count as 0."""
    matrix = torch.from_numpy(WIDE).float()
    reports = check_H(lambda x: x.float() @ matrix.T, in_shape=(9,))
    assert reports.ok, str(reports)
    assert "float32" in notes(reports)[LINEAR]
    almost = check_H(lambda x: x @ matrix.T.double() + 1e-10 * x[:, :4].abs(), in_shape=(9,))
    assert almost.ok, str(almost)
    assert "linear up to" in notes(almost)[LINEAR]


@pytest.mark.parametrize(
    ("H", "options", "words"),
    [
        (scipy.sparse.random_array((50_000, 50_000), density=1e-5, rng=RNG), {}, "TruncatedSVD"),
        (aslinearoperator(scipy.sparse.eye_array(50_000, format="csr")), {}, "is the identity"),
        (lambda x: x[..., ::2], {"in_shape": (1, 256, 256)}, "Inpainting(mask)"),
        (WIDE, {"memory_limit": 1000}, "memory_limit = 9.31e-07 GiB"),
    ],
    ids=["sparse", "LinearOperator", "function", "limit"],
)
def test_too_large_an_h_is_refused_before_its_memory_is_taken(H, options, words):
    start = time.process_time()
    reports = check_H(H, **options)
    assert time.process_time() - start < 5
    assert reports.ok
    assert not reports.examined
    assert words in notes(reports)[SIZE]
    assert "A dense operator from (" in notes(reports)[SIZE]
    assert not_asked(reports).count("H is too large") == 5


def test_an_h_that_was_decomposed_is_examined():
    assert check_H(WIDE).examined


# -- the sampler -----------------------------------------------------------------------------------


def test_large_images_are_restored_but_their_law_is_not_asked():
    """n = 12,288: all claims in O(n), recovery with a prior without correlations."""
    reports = check_H(SuperResolution((3, 64, 64), 4))
    assert reports.ok, str(reports)
    assert "n = 12,288 is above 1,024" in not_asked(reports)
    assert names(reports.reports[-1]) == [CONSISTENT, NEARER]
    blur = check_H(CircularBlur((3, 64, 64), RNG.standard_normal((3, 3))))
    assert blur.ok, str(blur)
    assert "32 of 12,288 coordinates, extremes included" in str(blur)


def test_images_of_middle_size_are_judged_from_draws():
    reports = check_H(CircularBlur((1, 17, 16), RNG.standard_normal((3, 2))), sigma_y=0.1)
    assert reports.ok, str(reports)
    assert "N = 1,000, 32 of 272 coordinates, extremes included" in str(reports)


def wrong_samples(change):
    """ddrm_samples whose final image is changed."""

    def samples(denoiser, op, y, sigmas, **settings):
        *_, last = restoring_samples(denoiser, op, y, sigmas, **settings)
        return [last._replace(x=change(last.x, op, y))]

    return samples


restoring_samples = own_h.ddrm_samples
WRONG_SAMPLERS = {
    "too wide": (lambda x, op, y: x.mean(0) + 1.1 * (x - x.mean(0)), {MEAN, COVARIANCE}),
    "ignores y": (lambda x, op, y: x - op.pinv(y), {MEAN, CONSISTENT}),
    "forgets the null space": (lambda x, op, y: op.pinv(op(x)), {COVARIANCE, NEARER}),
    "extra noise": (lambda x, op, y: x + 0.5 * torch.randn_like(x), {COVARIANCE, CONSISTENT}),
    "clipped": (lambda x, op, y: x.clamp(-0.5, 0.5), {MEAN, COVARIANCE, CONSISTENT}),
}


@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 12, 24)], ids=["exact", "drawn"])
@pytest.mark.parametrize("name", WRONG_SAMPLERS)
def test_a_wrong_sampler_fails_the_claims_of_sampler_and_recovery(name, shape, monkeypatch):
    change, claims = WRONG_SAMPLERS[name]
    monkeypatch.setattr(own_h, "ddrm_samples", wrong_samples(change))
    assert claims <= set(failed(check_H(SuperResolution(shape, 2), sigma_y=0.1)))


def test_coefficients_that_break_proposition_3_1_fail_the_marginals(monkeypatch):
    """S12.1 with the noise of deepinv 0.5.0 (sampling/diffusion.py), divided by the root of 2."""
    right = law_module.ddrm_coefficients

    def wrong(*arguments, **rates):
        c = right(*arguments, **rates)
        return c._replace(noise=c.noise / 2**0.5)

    monkeypatch.setattr(law_module, "ddrm_coefficients", wrong)
    assert MARGINAL in failed(check_H(WIDE))


def test_a_covariance_that_is_off_alone_fails_the_law(monkeypatch):
    """S18.1, without chance: the noise is explained, the constant is right, its size is not."""
    right = own_h.sampler_law

    def law(*arguments, **settings):
        law = right(*arguments, **settings)
        return SimpleNamespace(A=law.A, c=law.c, cov=1.01 * law.cov)

    monkeypatch.setattr(own_h, "sampler_law", law)
    assert failed(check_H(SuperResolution((1, 4, 6), 2), sigma_y=0.1)) == [COVARIANCE]


def test_correlations_alone_fail_the_marginals(monkeypatch):
    """S12.1 is one of the full covariance: half of each noise is one number for all coordinates."""
    right = own_h.inference_network

    class Correlated:
        def __init__(self, *arguments, **settings):
            self.network = right(*arguments, **settings)

        def joint(self, name):
            law = self.network.joint(name)
            size = law.cov.diagonal().sqrt()
            return SimpleNamespace(mean=law.mean, cov=(law.cov + torch.outer(size, size)) / 2)

    monkeypatch.setattr(own_h, "inference_network", Correlated)
    assert failed(check_H(WIDE)) == [MARGINAL]


# -- FILE.py:NAME ----------------------------------------------------------------------------------


def test_a_file_may_import_its_neighbours(tmp_path):
    (tmp_path / "neighbour_of_h.py").write_text("ROWS = [[1.0, 2.0]]\n")
    (tmp_path / "my_h.py").write_text("from neighbour_of_h import ROWS\nH = ROWS\n")
    H, module = loaded(f"{tmp_path / 'my_h.py'}:H")
    assert H == [[1.0, 2.0]] == attribute_of(module, "ROWS")


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        ("H = 1", "other.py:H", "There is no file 'other.py'"),
        ("H = 1", "my_h.py", "Expected FILE.py:NAME"),
        ("H = 1", "my_h.py:", "Expected FILE.py:NAME"),
        ("H = 1\n_x = 2", "my_h.py:G", "my_h.py defines no 'G'; it defines H."),
        ("", "my_h.py:G", "it defines nothing."),
        ("1 / 0", "my_h.py:H", "it raised ZeroDivisionError: division by zero."),
        ("H = (", "my_h.py:H", "it raised SyntaxError"),
        ("raise SystemExit(2)", "my_h.py:H", "it raised SystemExit: 2."),
        ("import nowhere_to_be_found", "my_h.py:H", "it raised ModuleNotFoundError"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_sentence(text, target, words, tmp_path, monkeypatch):
    (tmp_path / "my_h.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\.$") as error:
        loaded(target)
    assert words in str(error.value)


def test_a_file_of_another_kind_is_a_sentence(tmp_path):
    (tmp_path / "H.txt").write_text("1 2")
    with pytest.raises(ValueError, match=r"must end in \.py"):
        loaded(f"{tmp_path / 'H.txt'}:H")


def test_shapes_are_read_from_the_command_line():
    assert shape_of("1,16,16") == (1, 16, 16)
    assert shape_of("9") == (9,)
    with pytest.raises(ValueError, match="integers with commas"):
        shape_of("1x16")
