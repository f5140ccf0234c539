"""Which of their samplers stands beside which of ours, and what makes the two the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from deepinv.sampling.sde_solver import AncestralSolver

from ddrm_edu import (
    DiffPIR,
    ExactDenoiser,
    ddrm_samples,
    dps_samples,
    pigdm_samples,
    repaint_samples,
)

from . import of_azula as azula
from . import of_deepinv as deepinv
from .ours import (
    OneGMRES,
    Plain,
    Pull,
    RowSums,
    diffpir_at,
    in_the_loop,
    levels_of_deepinv,
    ours,
    same,
)
from .problems import SAME, Problem, Sampler, apart, between_laws, noiseless
from .source import edited, lines

GRADIENT = "they need the denoiser's gradient, which those of the check do not have"


@dataclass(frozen=True)
class Comparison:
    """One of their samplers beside one of ours, and what makes them the same."""

    name: str
    package: str
    theirs: Sampler
    ours: str  # of OURS
    rounding: float = 1e-10  # up to which they agree
    changed: tuple[Callable[[Problem], Sampler], Callable[[Problem], Sampler]] | None = None
    note: str = ""
    problems: tuple[Problem, ...] = ()
    distance: Callable[[Problem, Sampler, Sampler], float] = apart
    counted: Sampler | None = None  # what the law is found of, if not ``theirs``
    unasked: str = ""  # why ``check_sampler`` cannot be asked

    @property
    def adapter(self) -> Callable[..., Any]:
        return self.theirs.func if isinstance(self.theirs, partial) else self.theirs


def of_azula() -> list[Comparison]:
    """Its samplers, with what makes each of them ours."""
    one = Comparison
    PGDM, MMPS, DPS = azula.PGDMSampler, azula.MMPSDenoiser, azula.DPSSampler
    TMPD, PIR, RePaint = azula.TMPDenoiser, azula.DiffPIRDenoiser, azula.RePaintSampler
    JFPS = azula.JFPSDenoiser
    each = edited(DPS, ("vector_norm(error)", "vector_norm(error, dim=-1).sum()"))
    but_last = edited(RePaint, ("range(self.iterations)", "range(self.iterations if s > 0 else 1)"))
    measured = [
        one(
            "PGDMSampler, eta 1",
            "azula",
            azula.pgdm,
            "pigdm_samples",
            unasked=GRADIENT,
            changed=(same(azula.pgdm), same(ours(pigdm_samples, sigma_y=0.0))),
            note=f"The step uses y through `A_inv` alone ({lines(PGDM, 'self.A_inv(self.y)')}), "
            "that is H^+ without sigma_y: the published method for a y without noise. Ours, told "
            "sigma_y = 0, is the same.",
        ),
        one(
            "PGDMSampler, eta 0.36",
            "azula",
            partial(azula.pgdm, eta=0.36),
            "pigdm_samples, sigma_y 0, eta 0.6",
            unasked=GRADIENT,
            note="No difference, but of names: its `eta` multiplies the variance "
            f"({lines(PGDM, 'self.eta * tau')}; so its documentation says), DDIM's the standard "
            "deviation, so 0.36 there is 0.6 here.",
        ),
        one(
            "MMPSDenoiser, 1 GMRES step (its default)",
            "azula",
            azula.mmps,
            "MomentMatching, 1 step",
            unasked=GRADIENT,
            changed=(same(azula.mmps), same(in_the_loop(OneGMRES))),
            note="One step of an iteration is not its limit, and the two take another: theirs is "
            f"GMRES on y - H x0_hat as it is ({lines(MMPS, 'grad = self.solve(')}), ours "
            "conjugate gradients preconditioned by the SVD of H. Ours with their step is the same.",
        ),
        one(
            "MMPSDenoiser, 3 CG steps",
            "azula",
            partial(azula.mmps, solver="cg", iterations=3),
            "MomentMatching, 3 steps",
            unasked=GRADIENT,
            changed=(
                same(partial(azula.mmps, solver="cg", iterations=3)),
                same(in_the_loop(partial(Plain, cg_steps=3))),
            ),
            note=f"As before ({lines(MMPS, 'grad = self.solve(')}): ours without the "
            "preconditioner, as for an H without an SVD, is the same.",
        ),
        one(
            "MMPSDenoiser, solved (8 GMRES steps)",
            "azula",
            partial(azula.mmps, iterations=8),
            "MomentMatching, solved",
            unasked=GRADIENT,
        ),
        one(
            "TMPDenoiser",
            "azula",
            azula.tmpd,
            "MomentMatching, solved",
            unasked=GRADIENT,
            rounding=1e-8,
            changed=(same(azula.tmpd), same(in_the_loop(RowSums))),
            note="It puts the row sums of H K H^T in the place of the matrix "
            f"({lines(TMPD, 'var_Ax = ')}), which is exact for a diagonal matrix. With entries of "
            "both signs in H K H^T, as in the first two problems, a row sum may be negative and "
            "cancel sigma_y^2. The part of y outside H's range counts as well. Ours with the row "
            "sums is the same.",
        ),
        one(
            "DiffPIRDenoiser, 1 GMRES step (its default), lambda 1",
            "azula",
            azula.diffpir,
            "DiffPIR",
            changed=(same(partial(azula.diffpir, iterations=8)), same(in_the_loop(DiffPIR))),
            note="The proximal step is solved by one step of GMRES "
            f"({lines(PIR, 'grad = self.solve(')}), ours in closed form. With `iterations=8` it is "
            "the same; the default lambda is 10 there, 1 here.",
        ),
        one(
            "JFPSDenoiser with the prior's covariance, 1 CG step (its default)",
            "azula",
            azula.jfps,
            "ExactDenoiser",
            unasked="it needs the covariance of the prior",
            changed=(
                same(partial(azula.jfps, solver="gmres", iterations=8)),
                same(in_the_loop(ExactDenoiser)),
            ),
            note="For a Gaussian prior whose covariance it is told it has the exact E[x_0 | x_t, "
            f"y], up to the solver's one step ({lines(JFPS, 'grad = self.solve(')}). Solved, by "
            '`solver="gmres", iterations=8`, it is the same.',
        ),
        one(
            "DPSSampler, zeta 1",
            "azula",
            azula.dps,
            "dps_samples, zeta 1/2",
            unasked=GRADIENT,
            changed=(same(partial(azula.dps, cls=each)), same(ours(dps_samples, zeta=0.5))),
            counted=partial(azula.dps, cls=each),
            note="The gradient is divided by one length for the whole batch "
            f"({lines(DPS, 'vector_norm(error)')}), so what an image becomes depends on the "
            f"others; the difference in the table is that of {SAME} images "
            "at once. With a length for each image, which is what a batch of one gets, it is the "
            "same, and its law is that of the table. It follows the gradient of the length, "
            "Algorithm 1 of the paper that of its square over the length: half the zeta.",
        ),
        one(
            "RePaintSampler, 3 iterations, eta 1",
            "azula",
            azula.repaint,
            "repaint_samples, 3 resamplings",
            unasked="it needs pixels without noise",
            changed=(
                same(partial(azula.repaint, cls=but_last)),
                same(ours(repaint_samples, resamplings=3)),
            ),
            problems=(noiseless(),),
            distance=between_laws,
            note="It goes back from level 0 as well "
            f"({lines(RePaint, 'range(self.iterations)')}), where Algorithm 1 of the paper ends. "
            "Without that the laws are the same.",
        ),
    ]
    return measured


def of_deepinv() -> list[Comparison]:
    """Its samplers, with what makes each of them ours."""
    one = Comparison
    DDRM, PIR, Matching = deepinv.DDRM, deepinv.DiffPIR, deepinv.MomentMatchingDataFidelity
    exact = edited(Matching, ("tol=self.cg_tol,", "tol=0.0, eps=0.0,"))
    double = partial(
        deepinv.diffpir,
        cls=edited(
            PIR,
            ("dtype=torch.float32", "dtype=torch.float64"),
            ("torch.tensor(rhos)", "torch.tensor(rhos, dtype=torch.float64)"),
            ("torch.tensor(sigmas)", "torch.tensor(sigmas, dtype=torch.float64)"),
        ),
    )
    right = partial(deepinv.ddrm, cls=edited(DDRM, *DDRM_CHANGES), eps=0.0)
    return [
        one(
            "DDRM, eta 0.85",
            "deepinv",
            deepinv.ddrm,
            "ddrm_samples",
            changed=(same(right), same(ours(ddrm_samples))),
            note=f"Fresh noise is divided by sqrt 2 ({lines(DDRM, 'np.sqrt(2.0)')}); a coordinate "
            "counts as measured if s > sigma_y "
            f"({lines(DDRM, 'case = mask > sigma_noise')}), where the paper has s > 0, and "
            "sigma_T >= sigma_y / s at the start, which matters where 0 < s <= sigma_y, here in "
            "the first problem only; 1e-6 is added to s and sigma_y / s "
            f"({lines(DDRM, '+ self.eps')}). With the three changed it is the same.",
        ),
        one(
            "DPS, weight 1",
            "deepinv",
            deepinv.dps,
            "dps_samples, zeta 1/2",
            unasked=GRADIENT,
            rounding=1e-5,
            changed=(same(deepinv.dps), same(in_the_loop(Pull))),
            note="The gradient of the length is taken for a score "
            f"({lines(deepinv.PosteriorDiffusion, 'data_fid_grad_weight * data_fid_grad / scale')}"
            "), and a score is weighed by the step "
            f"({lines(AncestralSolver, 'scale_0 * scale_1 * sigma_0**2')}): in our units by "
            "sigma^2 - sigma_next^2 in the place of sqrt((1 + sigma^2)(1 + sigma_next^2)), which "
            "Algorithm 1 of the paper has, so that the pull vanishes at small levels. It is then a "
            "denoiser that sees y, x0_hat + sigma^2 J^T H^T r / |r| with r = y - H x0_hat, and "
            "that in our loop is the same. Its clip to [-1, 1] is taken off by the adapter; its "
            "default is 1,000 steps.",
        ),
        one(
            "PiGDMDataFidelity in PosteriorDiffusion",
            "deepinv",
            deepinv.pigdm,
            "PiGDM",
            unasked=GRADIENT,
            rounding=1e-5,
        ),
        one(
            "MomentMatchingDataFidelity, 3 CG steps (its default)",
            "deepinv",
            deepinv.moment_matching,
            "MomentMatching, 3 steps",
            unasked=GRADIENT,
            rounding=1e-5,
            changed=(
                same(partial(deepinv.moment_matching, cls=exact)),
                same(in_the_loop(partial(Plain, cg_steps=3))),
            ),
            note="Conjugate gradients without a preconditioner "
            f"({lines(Matching, 'inverse_difference = conjugate_gradient(')}). Ours without it "
            "is the same, once theirs stops by no tolerance and adds no 1e-8 to its denominators; "
            "with both they are 3e-5 apart.",
        ),
        one(
            "DiffPIR, lambda 7, zeta 0.1 (its defaults), levels of its own",
            "deepinv",
            deepinv.diffpir,
            "DiffPIR, lambda 7, zeta 0.1, its levels",
            unasked="it has levels of its own",
            changed=(same(double), diffpir_at(levels_of_deepinv, 0.1, 3.5, ends=True)),
            note="Levels are those of images in [-1, 1], sigma_y and the proximal step those of "
            "images in [0, 1], and the step's `gamma` is 1 / (2 rho) "
            f"({lines(PIR, 'gamma=1.0 / (2 * self.rhos[t_i])')}): together its lambda 7 is ours of "
            f"3.5. It starts from H^T y ({lines(PIR, '4.0 * self.sigma')}) and returns the VP "
            "state at the last level, without a last step "
            f"({lines(PIR, 'self.seq[i] == self.seq[-1]')}). Ours with these three is "
            "the same as it with tables in float64, in the place of "
            f"float32 ({lines(PIR, 'dtype=torch.float32')}). Its clamp to the range of pictures "
            f"({lines(PIR, 'clamp(-1, 1)')}) stays out of the way here.",
        ),
    ]


DDRM_CHANGES = (
    ("/ np.sqrt(2.0)", ""),
    ("case = mask > sigma_noise", "case = mask > 0"),
    (
        "mean[case] = y_bar[case]\n",
        "seen = case & (nsr <= self.sigmas[0])\n            mean[seen] = y_bar[seen]\n",
    ),
    (
        "std[case] = (self.sigmas[0] ** 2 - nsr[case].pow(2)).sqrt()",
        "std[seen] = (self.sigmas[0] ** 2 - nsr[seen].pow(2)).sqrt()",
    ),
)
"""Of deepinv's DDRM, line by line, what makes it the paper's."""
