"""Wrong priors and wrong Langevin dynamics are caught by the laws that the tests ask of the right.

As in ``test_wrong_versions.py``: every row is a small change that a student or a hasty implementer
makes; its law must see it clearly, and must find the library's own version exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from prior_laws import (
    MixtureCase,
    denoiser_error,
    density_error,
    empirical_denoiser_error,
    empirical_posterior_error,
    langevin_step_error,
    posterior_error,
    posterior_score_error,
    posterior_weights_error,
    random_mixture,
    random_target,
    score_error,
    stationary_error,
    transient_error,
)

from ddrm_edu import langevin as langevin_module
from ddrm_edu import priors as priors_module
from ddrm_edu.gaussian import Gaussian
from ddrm_edu.langevin import langevin_law, langevin_samples, posterior_score, stationary_law
from ddrm_edu.priors import (
    EmpiricalPosterior,
    EmpiricalPrior,
    GaussianMixture,
    GaussianPrior,
    MixturePosterior,
)

CAUGHT, EXACT = 1e-3, 1e-10

# Generic on purpose: overlapping components with unequal weights and determinants, an H that is
# neither orthogonal nor symmetric, levels and steps that are not 1.
CASE = random_mixture(3, 2, seed=1)
H = np.array([[0.9, -0.4], [0.3, 0.2], [0.5, 1.1]])
WIDE = H[:1]
SIGMA, SIGMA_Y, STEP = 0.7, 0.6, 0.11
IMAGES = np.random.default_rng(0).standard_normal((6, 4))
LARGE_H = np.random.default_rng(1).standard_normal((3, 4))
TARGET, START = random_target(3, 0), random_target(3, 1)


class Row(NamedTuple):
    """A wrong version, the right one, and the law that tells them apart."""

    law: Callable[[Callable], float]
    wrong: Callable
    right: Callable


# ---------------------------------------------------------------- laws with all arguments but one


def denoiser(make) -> float:
    return denoiser_error(make, CASE, SIGMA)


def density(make) -> float:
    return density_error(make, CASE, SIGMA)


def score(make) -> float:
    return score_error(make, CASE, SIGMA)


def posterior(make) -> float:
    return max(posterior_error(make, CASE, A, SIGMA_Y) for A in (H, WIDE))


def weights_of_posterior(make) -> float:
    return max(posterior_weights_error(make, CASE, A, SIGMA_Y) for A in (H, WIDE))


def denoiser_of_images(make) -> float:
    return empirical_denoiser_error(make, IMAGES, SIGMA)


def posterior_of_images(make) -> float:
    return empirical_posterior_error(make, IMAGES, LARGE_H, SIGMA_Y)


def score_of_posterior(make) -> float:
    return posterior_score_error(make, GaussianMixture, CASE, H, SIGMA_Y)


def step_of(samples) -> float:
    return langevin_step_error(samples, TARGET, STEP)


def stationary(law) -> float:
    return stationary_error(law, TARGET, STEP)


def transient(law) -> float:
    return transient_error(law, TARGET, START, STEP, 4)


# ------------------------------------------------------------------------------------ mixtures


class LevelForVariance(GaussianMixture):
    """sigma instead of sigma^2 in the responsibilities."""

    def responsibilities(self, x, sigma):
        return super().responsibilities(x, math.sqrt(sigma))


class CleanResponsibilities(GaussianMixture):
    """N(x; m_k, C_k), as if x were clean."""

    def responsibilities(self, x, sigma):
        return super().responsibilities(x, 0.0)


class WithoutDeterminants(GaussianMixture):
    """exp(-|x - m|^2 / 2) without the normalisation of each component."""

    def _log_joint(self, x, sigma):
        variances = torch.stack([part.eigenvalues + sigma**2 for part in self.components])
        return super()._log_joint(x, sigma) + variances.log().sum(1) / 2


class WithoutWeights(GaussianMixture):
    """All components equally probable a priori."""

    def _log_joint(self, x, sigma):
        return super()._log_joint(x, sigma) - self.weights.log()


class WeightsAsLogits(GaussianMixture):
    """softmax(pi_k + log N) instead of softmax(log pi_k + log N)."""

    def _log_joint(self, x, sigma):
        return super()._log_joint(x, sigma) - self.weights.log() + self.weights


class HardResponsibilities(GaussianMixture):
    """Only the most probable component is asked."""

    def responsibilities(self, x, sigma):
        right = super().responsibilities(x, sigma)
        return (right == right.max(dim=1, keepdim=True).values).double()


class PriorWeights(GaussianMixture):
    """pi_k instead of the responsibilities: the denoisers are averaged whatever x is."""

    def responsibilities(self, x, sigma):
        return self.weights.expand(len(x), -1)


class MomentMatched(GaussianMixture):
    """A Gaussian of the mixture's mean and covariance (S04.3)."""

    def __call__(self, x, sigma):
        return GaussianPrior(self.mean, self.cov)(x, sigma)


class TweedieWithoutSquare(GaussianMixture):
    """x + sigma * score."""

    def __call__(self, x, sigma):
        return x + sigma * self.score(x, sigma)


class ScoreOfTheOtherSign(GaussianMixture):
    def score(self, x, sigma=0.0):
        return -super().score(x, sigma)


class ScoreAtLevelZero(GaussianMixture):
    """The score of clean images, whatever the level."""

    def score(self, x, sigma=0.0):
        return super().score(x, 0.0)


class EpsForScore(GaussianMixture):
    """(x0_hat - x) / sigma, which is minus the noise."""

    def score(self, x, sigma=0.0):
        return super().score(x, sigma) * sigma


def posterior_with(weights: Callable) -> type[GaussianMixture]:
    """A mixture whose posterior has the weights ``weights(prior, op, y, sigma_y)`` (not logs)."""

    class Wrong(GaussianMixture):
        def posterior(self, op, y, *, sigma_y):
            right = super().posterior(op, y, sigma_y=sigma_y)
            return right._replace(weights=weights(self, right.weights, op, y, sigma_y))

    return Wrong


def _evidence(mean: np.ndarray, cov: np.ndarray, y: torch.Tensor) -> torch.Tensor:
    return torch.distributions.MultivariateNormal(mean, cov).log_prob(y)


def _weights_from(cov_of_y: Callable) -> type[GaussianMixture]:
    def weights(prior, right, op, y, sigma_y):
        A, m = op.matrix(), len(y[0])
        parts = [
            log_pi
            + _evidence(A @ part.mean, cov_of_y(A, part.cov, sigma_y, torch.eye(m).double()), y)
            for log_pi, part in zip(prior.weights.log(), prior.components, strict=True)
        ]
        return torch.stack(parts, dim=1).softmax(dim=1)

    return posterior_with(weights)


class WithinOnly(GaussianMixture):
    """The covariance of the posterior without the distances between its components."""

    def posterior(self, op, y, *, sigma_y):
        class Posterior(MixturePosterior):
            @property
            def cov(self):
                return torch.einsum("bk,kij->bij", self.weights, self.covs)

        return Posterior(*super().posterior(op, y, sigma_y=sigma_y))


def _noise_of(change: Callable) -> type[GaussianMixture]:
    """A mixture whose components' posteriors see another sigma_y."""

    class Wrong(GaussianMixture):
        def posterior(self, op, y, *, sigma_y):
            wrong = super().posterior(op, y, sigma_y=change(sigma_y))
            right = super().posterior(op, y, sigma_y=sigma_y)
            return wrong._replace(weights=right.weights)

    return Wrong


MIXTURES = {
    "sigma for sigma^2 in the responsibilities": (denoiser, LevelForVariance),
    "responsibilities of clean images": (denoiser, CleanResponsibilities),
    "responsibilities without determinants": (denoiser, WithoutDeterminants),
    "weights ignored": (denoiser, WithoutWeights),
    "weights as logits": (denoiser, WeightsAsLogits),
    "the most probable component alone": (denoiser, HardResponsibilities),
    "prior weights for responsibilities": (denoiser, PriorWeights),
    "S04.3 one Gaussian for the mixture": (denoiser, MomentMatched),
    "Tweedie with sigma for sigma^2": (denoiser, TweedieWithoutSquare),
    "density without determinants": (density, WithoutDeterminants),
    "density without weights": (density, WithoutWeights),
    "score without weights": (score, WithoutWeights),
    "score of the other sign": (score, ScoreOfTheOtherSign),
    "score of clean images at a level": (score, ScoreAtLevelZero),
    "noise for score": (score, EpsForScore),
    "posterior with the prior's weights": (
        posterior,
        posterior_with(lambda prior, right, *_: prior.weights.expand_as(right)),
    ),
    "posterior of the most probable component alone": (
        posterior,
        posterior_with(lambda prior, right, *_: (right == right.max(1, True).values).double()),
    ),
    "posterior weights without H C_k H^T": (
        weights_of_posterior,
        _weights_from(lambda A, C, sigma_y, unit: sigma_y**2 * unit),
    ),
    "posterior weights that take C_k for I": (
        weights_of_posterior,
        _weights_from(lambda A, C, sigma_y, unit: A @ A.T + sigma_y**2 * unit),
    ),
    "posterior weights with sigma_y for sigma_y^2": (
        weights_of_posterior,
        _weights_from(lambda A, C, sigma_y, unit: A @ C @ A.T + sigma_y * unit),
    ),
    "S02.1 posterior with sigma_y for sigma_y^2": (posterior, _noise_of(math.sqrt)),
    "posterior covariance within components only": (posterior, WithinOnly),
}


# ---------------------------------------------------------------------------- finite sets of images


def nearness(change: Callable) -> type[EmpiricalPrior]:
    """An EmpiricalPrior whose softmax is given ``change(distances, sigma)``."""

    class Wrong(EmpiricalPrior):
        def _changed(self, method, *args, **kwargs):
            right = priors_module._log_near
            near = lambda distances, sigma: right(*change(distances, sigma))  # noqa: E731
            with mock.patch.object(priors_module, "_log_near", near):
                return method(*args, **kwargs)

        def __call__(self, x, sigma):
            return self._changed(super().__call__, x, sigma)

        def posterior(self, op, y, *, sigma_y):
            return self._changed(super().posterior, op, y, sigma_y=sigma_y)

    return Wrong


TWICE_TOO_SHARP = nearness(lambda d, sigma: (d, sigma / math.sqrt(2)))
LEVEL_FOR_SQUARE = nearness(lambda d, sigma: (d, math.sqrt(sigma)))
NOT_SQUARED = nearness(lambda d, sigma: (d.sqrt(), sigma))


class NearestOnly(EmpiricalPrior):
    """The nearest image at any level."""

    def __call__(self, x, sigma):
        return super().__call__(x, 0.0)


class InSpectralCoordinates(EmpiricalPrior):
    """|y-bar - V^T x|^2 / 2 sigma_y^2: the noise of y-bar is sigma_y / s, not sigma_y (S09.6)."""

    def posterior(self, op, y, *, sigma_y):
        seen = op.s > 0
        y_spec, x_spec = op.measure_spec(y)[:, seen], op.Vt(self.images)[:, seen]
        weights = (-(torch.cdist(y_spec, x_spec) ** 2) / (2 * sigma_y**2)).softmax(dim=1)
        return EmpiricalPosterior(weights, self.images)


class BackProjected(EmpiricalPrior):
    """Distances of x_i from H^+ y, lost pixels included."""

    def posterior(self, op, y, *, sigma_y):
        weights = (-(torch.cdist(op.pinv(y), self.images) ** 2) / (2 * sigma_y**2)).softmax(dim=1)
        return EmpiricalPosterior(weights, self.images)


IMAGE_SETS = {
    "1 / sigma^2 instead of 1 / 2 sigma^2": (denoiser_of_images, TWICE_TOO_SHARP),
    "1 / 2 sigma instead of 1 / 2 sigma^2": (denoiser_of_images, LEVEL_FOR_SQUARE),
    "distance instead of its square": (denoiser_of_images, NOT_SQUARED),
    "the nearest image at any level": (denoiser_of_images, NearestOnly),
    "1 / sigma_y^2 instead of 1 / 2 sigma_y^2": (posterior_of_images, TWICE_TOO_SHARP),
    "1 / 2 sigma_y instead of 1 / 2 sigma_y^2": (posterior_of_images, LEVEL_FOR_SQUARE),
    "distances of y-bar not weighted by s": (posterior_of_images, InSpectralCoordinates),
    "distances from H^+ y": (posterior_of_images, BackProjected),
}


# ---------------------------------------------------------------------------------------- Langevin


def score_with(change: Callable) -> Callable:
    """A posterior score made of the parts ``change(prior, op, y, sigma_y, x) -> gradient``."""

    def make(prior, op, y, *, sigma_y):
        return functools.partial(change, prior, op, y, sigma_y)

    return make


SCORES = {
    "H^T (y - H x) / sigma_y": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.adjoint(y - op(x)) / sigma_y
    ),
    "H^T (y - H x) without noise level": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.adjoint(y - op(x))
    ),
    "likelihood of the other sign": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) - op.adjoint(y - op(x)) / sigma_y**2
    ),
    "H^+ for H^T": score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.pinv(y - op(x)) / sigma_y**2
    ),
    "prior's score at level sigma_y": score_with(
        lambda prior, op, y, sigma_y, x: (
            prior.score(x, sigma_y) + op.adjoint(y - op(x)) / sigma_y**2
        )
    ),
    "prior forgotten": score_with(
        lambda prior, op, y, sigma_y, x: op.adjoint(y - op(x)) / sigma_y**2
    ),
    "likelihood forgotten": score_with(lambda prior, op, y, sigma_y, x: prior.score(x)),
}


def langevin_with(update: Callable) -> Callable:
    """Langevin dynamics with ``update(x, gradient, z, step)``."""

    def samples(score, x, *, step, steps, generator=None):
        for _ in range(steps):
            z = langevin_module.standard_normal(x, generator)
            x = update(x, score(x), z, step)
            yield x

    return samples


STEPS = {
    "S02.4 noise sqrt(step)": langevin_with(lambda x, g, z, a: x + a * g + math.sqrt(a) * z),
    "noise 2 step": langevin_with(lambda x, g, z, a: x + a * g + 2 * a * z),
    "noise step": langevin_with(lambda x, g, z, a: x + a * g + a * z),
    "no noise": langevin_with(lambda x, g, z, a: x + a * g),
    "descent instead of ascent": langevin_with(lambda x, g, z, a: x - a * g + math.sqrt(2 * a) * z),
    "half the drift": langevin_with(lambda x, g, z, a: x + a / 2 * g + math.sqrt(2 * a) * z),
    "one number for all coordinates": langevin_with(
        lambda x, g, z, a: x + a * g + math.sqrt(2 * a) * z[:, :1]
    ),
}


def stationary_with(change: Callable) -> Callable:
    """A stationary law of covariance ``change(C, step)``."""
    return lambda target, *, step: Gaussian(target.mean, change(target.cov, step))


def _through_precision(change: Callable) -> Callable:
    """The covariance as ``change(P, I, step)``, P the precision."""
    return stationary_with(
        lambda C, step: change(torch.linalg.inv(C), torch.eye(len(C)).double(), step)
    )


STATIONARY = {
    "S02.4 the target itself": stationary_with(lambda C, step: C),
    "half of it, as with noise sqrt(step)": _through_precision(
        lambda P, unit, step: torch.linalg.inv(P @ (unit - step / 2 * P)) / 2
    ),
    "step P instead of step P / 2": _through_precision(
        lambda P, unit, step: torch.linalg.inv(P @ (unit - step * P))
    ),
    "plus step P / 2": _through_precision(
        lambda P, unit, step: torch.linalg.inv(P @ (unit + step / 2 * P))
    ),
    "first order in the step": stationary_with(
        lambda C, step: C + step / 2 * torch.eye(len(C)).double()
    ),
    "C for its inverse": stationary_with(
        lambda C, step: torch.linalg.inv(C @ (torch.eye(len(C)).double() - step / 2 * C))
    ),
}


def one_step_more(target, start, *, step, steps):
    return langevin_law(target, start, step=step, steps=steps + 1)


def from_a_point(target, start, *, step, steps):
    """The spread of the start forgotten."""
    point = Gaussian(start.mean, torch.zeros_like(start.cov))
    return langevin_law(target, point, step=step, steps=steps)


def as_if_exact(target, start, *, step, steps):
    """Relaxation to the target itself instead of the wider stationary law."""
    with mock.patch.object(langevin_module, "_stationary", lambda variances, step: variances):
        return langevin_law(target, start, step=step, steps=steps)


LAWS = {
    "one step more": one_step_more,
    "spread of the start forgotten": from_a_point,
    "relaxation to the target itself": as_if_exact,
    "the limit at once": lambda target, start, *, step, steps: stationary_law(target, step=step),
}


# ----------------------------------------------------------------------------------- the tests

WRONG = {
    **{name: Row(law, wrong, GaussianMixture) for name, (law, wrong) in MIXTURES.items()},
    **{name: Row(law, wrong, EmpiricalPrior) for name, (law, wrong) in IMAGE_SETS.items()},
    **{name: Row(score_of_posterior, wrong, posterior_score) for name, wrong in SCORES.items()},
    **{name: Row(step_of, wrong, langevin_samples) for name, wrong in STEPS.items()},
    **{name: Row(stationary, wrong, stationary_law) for name, wrong in STATIONARY.items()},
    **{name: Row(transient, wrong, langevin_law) for name, wrong in LAWS.items()},
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG.keys())
def test_wrong_version_is_caught_and_the_right_one_is_exact(row):
    """Error of the wrong version >= 1e-3, of the right one <= 1e-10, by one law."""
    assert row.law(row.wrong) >= CAUGHT
    assert row.law(row.right) <= EXACT


def test_the_parts_that_the_wrong_versions_change_are_right():
    """The rows differ from the library by what they say, and by nothing else."""
    right = _weights_from(lambda A, C, sigma_y, unit: A @ C @ A.T + sigma_y**2 * unit)
    assert weights_of_posterior(right) <= EXACT
    assert posterior(posterior_with(lambda prior, weights, *_: weights)) <= EXACT
    assert posterior(_noise_of(lambda sigma_y: sigma_y)) <= EXACT
    same = nearness(lambda distances, sigma: (distances, sigma))
    assert max(denoiser_of_images(same), posterior_of_images(same)) <= EXACT
    parts = score_with(
        lambda prior, op, y, sigma_y, x: prior.score(x) + op.adjoint(y - op(x)) / sigma_y**2
    )
    assert score_of_posterior(parts) <= EXACT
    assert step_of(langevin_with(lambda x, g, z, a: x + a * g + math.sqrt(2 * a) * z)) <= EXACT
    inverse = lambda P, unit, step: torch.linalg.inv(P @ (unit - step / 2 * P))  # noqa: E731
    assert stationary(_through_precision(inverse)) <= EXACT


# Where a wrong version hides: why the numbers above are generic.
EQUAL = CASE._replace(weights=np.full(3, 1 / 3))
ONE_SHAPE = CASE._replace(covs=np.stack([CASE.covs[0]] * 3))
SINGLE = MixtureCase(np.ones(1), CASE.means[:1], CASE.covs[:1])
BLIND = {
    "weights ignored, where they are equal": (WithoutWeights, EQUAL),
    "determinants forgotten, where the covariances are equal": (WithoutDeterminants, ONE_SHAPE),
    "the most probable component, where there is one": (HardResponsibilities, SINGLE),
    "one Gaussian for the mixture, where it is one": (MomentMatched, SINGLE),
}


@pytest.mark.parametrize(("wrong", "case"), BLIND.values(), ids=BLIND.keys())
def test_special_mixtures_hide_what_generic_ones_show(wrong, case):
    """Section 5, rule (a): equal weights, equal covariances and one component are blind."""
    assert denoiser_error(wrong, case, SIGMA) <= EXACT
    assert denoiser(wrong) >= CAUGHT


def test_level_1_hides_sigma_for_sigma_squared():
    """Section 5, rule (a)."""
    assert denoiser_error(LevelForVariance, CASE, 1.0) <= EXACT
    assert empirical_denoiser_error(LEVEL_FOR_SQUARE, IMAGES, 1.0) <= EXACT
