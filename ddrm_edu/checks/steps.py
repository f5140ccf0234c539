"""Laws of the start and of each step: slides 11 and 17, one coordinate at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ._laws import Law
from .calling import Setting
from .exam import CASES, Exam, Run, level, where
from .tally import Chance, Exact
from .values import covariance_scores, cross_scores, variance_scores

__all__ = ["PairOfRuns", "fresh_law", "noise_law", "start_law", "weight_laws"]


def start_law(exam: Exam) -> Law:
    """S11.1, S17.1 and X12: the law of x_T given y."""
    chance = Chance(exam.draws)
    for run in exam.runs:
        _compare_noise(chance, run, 0)
        _compare_start(chance, run)
    return chance.law(
        "start: x_T = y_spec + N(0, sigma_T^2 - sigma_y^2 / s^2), or N(0, sigma_T^2)",
        "y_spec = s^+ U^T y holds noise of size sigma_y / s already (slide 17); where that exceeds "
        "sigma_T, start as where s = 0. If nothing happens where s = 0, V is thin; if all is too "
        "small by sqrt(1 + sigma_T^2), the denoiser was shown a VP image (slide 19).",
    )


def _compare_start(chance: Chance, run: Run) -> None:
    """Nothing of y and x_0 is left beside the mean; told as the weight of the own y_spec."""
    setting, c = run.setting, run.setting.coefficients[0]
    place = (c.noise > 0).nonzero().flatten()
    given = torch.cat([run.y_spec, run.x0], 1)

    def sentence(i: int) -> str:
        row, column = divmod(i, given.shape[1])
        j, own = int(place[row]), given[:, column]
        head, n = where(setting, 0, j), setting.op.n
        if column != j:
            whose = "y_spec" if column < n else "x_0"
            return f"{head}: x_T depends on coordinate {column % n} of {whose}"
        weight = c.y[j] + run.beside_the_mean(0)[:, j] @ own / (own @ own)
        return f"{head}: weight of y_spec found {weight:.2g}, due {c.y[j]:.0f}"

    chance.add(cross_scores(run.innovation(0), given), sentence)


class PairOfRuns:
    """Two runs with the same noise; every input of every step differs between them.

    The noise cancels in the difference of the states, which is a weighted sum of the differences
    of x0_hat, x_{t+1} and y_spec: the weights of slide 11, to rounding.
    """

    def __init__(self, exam: Exam, setting: Setting, batch: int = 32):
        n, seed = setting.op.n, next(exam.seeds)
        self.setting, x0, dy = setting, exam.images(setting, batch), exam.normal(batch, n)
        self.dx0 = exam.normal(setting.T, batch, n)
        self.dy = dy * (setting.s > 0)
        self.one = exam.run(setting, x0, seed=seed)
        y = self.one.y + setting.op(setting.pixels(dy))
        self.two = exam.run(setting, x0, y=y, seed=seed, change=self.dx0)
        states = self.one.seen.states, self.two.seen.states
        self.dx = [b - a for a, b in zip(*states, strict=True)]
        self.bound = setting.rounding(max(self.one.seen.eps, self.two.seen.eps))

    def compare(self, exact: Exact, k: int, coordinates: Tensor) -> None:
        """Step k against the table, only where ``coordinates`` (n,) is true."""
        c, place = self.setting.coefficients[k], coordinates.nonzero().flatten()
        due = c.x0 * self.dx0[k - 1] + c.xt * self.dx[k - 1] + c.y * self.dy
        off = (self.dx[k] - due).abs().amax(0)
        exact.add(off[place], self.bound, lambda i: self._sentence(k, int(place[i]), off[place[i]]))

    def _sentence(self, k: int, j: int, off: Tensor) -> str:
        """Weights found by least squares, of those inputs that differ between the runs."""
        c, got, head = self.setting.coefficients[k], self.dx[k][:, j], where(self.setting, k, j)
        parts = {
            "x0_hat": (self.dx0[k - 1][:, j], c.x0[j]),
            "y_spec": (self.dy[:, j], c.y[j]),
            "x": (self.dx[k - 1][:, j], c.xt[j]),
        }
        if k == 1:  # where x_T = y_spec + noise, its difference is that of y_spec
            del parts["x"]
        parts = {name: part for name, part in parts.items() if part[0].abs().max() > self.bound}
        columns = torch.stack([column for column, _ in parts.values()], 1)
        found = torch.linalg.lstsq(columns, got[:, None]).solution[:, 0]
        if (columns @ found - got).abs().max() > 1e-3 * got.abs().max():
            return (
                f"{head}: it is no weighted sum of x0_hat, x and y_spec. Is x0_hat clipped, or "
                "mixed with other coordinates or images?"
            )
        weights = ", ".join(
            f"{name} {round(weight.item(), 4) + 0.0:.4g} (due {due:.4g})"
            for weight, (name, (_, due)) in zip(found, parts.items(), strict=True)
        )
        fine = f", off by {off:.0e} in all. Is some number float32?" if off < 1e-5 else "."
        return f"{head}: weights found are {weights}{fine}"


def weight_laws(exam: Exam) -> Iterator[Law]:
    """S11.2-S11.4: the weights of each case, and the whole state where no noise is due."""
    pairs = [PairOfRuns(exam, setting) for setting in exam.settings]
    advice = {
        1: "It is (1 - eta_b) x0_hat + eta_b y_spec, x_{t+1} not used (slide 11).",
        2: "It is x0_hat + sqrt(1 - eta^2) sigma_next (y_spec - x0_hat) / (sigma_y / s).",
        3: "It is x0_hat + sqrt(1 - eta^2) sigma_next (x - x0_hat) / sigma; y has no part in it.",
    }
    for case, name in CASES.items():
        exact = Exact()
        for pair in pairs:
            for k in range(1, pair.setting.T + 1):
                pair.compare(exact, k, pair.setting.case(k) == case)
        if exact.ratio <= 1:  # a wrong weight says more than the wrong state that it leads to
            for run in exam.runs:
                for k in range(1, run.setting.T + 1):
                    _compare_deterministic(exact, run, k, run.setting.case(k) == case)
        if exact.ratio < 0:
            exam.not_asked.append(f"{name}: it does not occur in your problem.")
        else:
            yield exact.law(f"step of {name}: weights, and no noise if none is due", advice[case])


def _compare_deterministic(exact: Exact, run: Run, k: int, coordinates: Tensor) -> None:
    """Where no noise is due (eta = 0, sigma_next = 0) the state itself is due."""
    setting = run.setting
    place = (coordinates & (setting.coefficients[k].noise == 0)).nonzero().flatten()
    off = run.beside_the_mean(k)[:, place].abs().amax(0)

    def describe(i: int) -> str:
        return (
            f"{where(setting, k, int(place[i]))}: no noise is due here, but the state is off by "
            f"{off[i]:.2g} in the worst image."
        )

    exact.add(off, setting.rounding(run.seen.eps), describe)


def noise_law(exam: Exam) -> Law:
    """S11.2-S11.4: mean, size and shape of the fresh noise."""
    chance = Chance(exam.draws)
    pooled: dict[int, list[Tensor]] = {case: [] for case in CASES}
    for run in exam.runs:
        for k in range(1, run.setting.T + 1):
            _compare_noise(chance, run, k)
            case, r = run.setting.case(k)[run.setting.coefficients[k].noise > 0], run.innovation(k)
            for which, parts in pooled.items():
                parts.append(r[:, case == which])
    for which, parts in pooled.items():
        _compare_pooled(chance, CASES[which], torch.cat([part.flatten() for part in parts]))
    return chance.law(
        "noise of a step: N(0, 1) in the units of slide 11",
        "Its variance is sigma_next^2 - eta_b^2 sigma_y^2 / s^2 in case 1 and eta^2 sigma_next^2 "
        "in cases 2 and 3, with sigma_next the level that is entered.",
    )


def _compare_noise(chance: Chance, run: Run, k: int) -> None:
    """Mean and variance of the noise of state k, coordinate by coordinate."""
    r, noise = run.innovation(k), run.setting.coefficients[k].noise
    place = (noise > 0).nonzero().flatten()
    noise = noise[place]

    def variance(i: int) -> str:
        found = (r[:, i] ** 2).mean() * noise[i] ** 2
        head = where(run.setting, k, int(place[i]))
        return f"{head}: variance found {found:.4g}, due {noise[i] ** 2:.4g}"

    def mean(i: int) -> str:
        found = r[:, i].mean() * noise[i]
        return f"{where(run.setting, k, int(place[i]))}: mean is off by {found:.4g}"

    chance.add(variance_scores((r**2).sum(0), len(r)), variance)
    chance.add(cross_scores(r, torch.ones_like(r[:, :1])), mean)


def _compare_pooled(chance: Chance, case: str, r: Tensor) -> None:
    """Size and shape of the noise of one case, all steps and problems together."""
    if not len(r):
        return
    square = (r**2).sum()
    ratio = square / len(r)
    size = f"all steps of {case} together: the variance is {ratio:.4f} times what is due"
    chance.add(variance_scores(square[None], len(r)), lambda i: size)
    # E cos z = e^(-1/2), and its mean has the variance below if z is divided by its own size; the
    # cosine is bounded, so that it is near its normal limit at any number that is used here.
    e = math.exp(-1)
    found, due = (r / ratio.sqrt()).cos().mean(), math.exp(-0.5)
    spread = (((1 - e) ** 2 - e) / (2 * len(r))) ** 0.5
    shape = f"all steps of {case} together: not normal, E cos z is {found:.4f}, due {due:.4f}"
    chance.add((found - due)[None] / spread, lambda i: shape)


def fresh_law(exam: Exam) -> Law:
    """S11.7 and E19: the noise of a step is independent of all that was there before."""
    chance = Chance(exam.draws)
    for run in exam.runs:
        earlier = {
            "the image": run.x0,
            "the noise of y": run.y_spec - run.x0 * (run.setting.s > 0),
        }
        for k in range(run.setting.T + 1):
            at = f"the noise {_source(run.setting, k)}"
            r = run.innovation(k)
            _compare_with_earlier(chance, r, at, earlier)
            _compare_within(chance, r, at)
            earlier[f"that {_source(run.setting, k)}"] = r
    return chance.law(
        "noise is fresh: independent over steps, coordinates and images, and of y",
        "Draw new noise of the shape of x, torch.randn(x.shape), in every step. One number for all "
        "coordinates leaves every variance right and Proposition 3.1 wrong.",
    )


def _source(setting: Setting, k: int) -> str:
    if k == 0:
        return f"at the start ({level(setting, 0)})"
    return f"of the step to {level(setting, k)}"


def _compare_with_earlier(chance: Chance, r: Tensor, at: str, earlier: dict[str, Tensor]) -> None:
    for what, columns in earlier.items():
        sentence = f"{at} is correlated with {what}"
        chance.add(cross_scores(r, columns), lambda i, sentence=sentence: sentence)


def _compare_within(chance: Chance, r: Tensor, at: str) -> None:
    """Across the coordinates of an image, and across images of the batch."""
    unit = torch.eye(r.shape[1], dtype=torch.float64)
    upper = torch.triu_indices(*unit.shape, 1)
    coordinates = f"{at} is correlated between coordinates of an image"
    chance.add(covariance_scores(r, unit, len(r))[*upper], lambda i: coordinates)
    half = len(r) // 2
    images = f"{at} is correlated between images of the batch"
    for one, other in (
        (r[0 : 2 * half : 2], r[1 : 2 * half : 2]),
        (r[:half], r[half : 2 * half]),
    ):
        chance.add(cross_scores(one, other), lambda i: images)
