"""A call of every figure of the lectures, with numbers that occur once and are to be found."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

RNG = np.random.default_rng(11)


def some(*shape: int, low: float = 0.1, high: float = 0.9) -> Tensor:
    return torch.from_numpy(RNG.uniform(low, high, shape))


def up(k: int, low: float = 0.2, high: float = 5.0) -> Tensor:
    return torch.from_numpy(np.sort(RNG.uniform(low, high, k)))


def down(k: int, last: float | None = None) -> Tensor:
    levels = up(k).flip(0)
    return levels if last is None else torch.cat([levels[:-1], torch.tensor([last]).double()])


def picture(channels: int = 1) -> Tensor:
    return some(channels, 3, 4, low=-0.9, high=0.9)


def named(make: Any, *names: str) -> dict[str, Any]:
    return {name: make() for name in names or ("one", "two", "three")}


def covariance() -> Tensor:
    A = some(2, 2, low=-1.0, high=1.0)
    return A @ A.T + 0.2 * torch.eye(2).double()


def law() -> tuple[Tensor, Tensor]:
    return some(2), covariance()


def cases(*shape: int) -> Tensor:
    return torch.from_numpy(RNG.integers(1, 4, shape))


def call(derived: str = "", **arguments: Any) -> tuple[dict[str, Any], set[str]]:
    """Arguments, and those of them of which the picture shows something made of them."""
    return arguments, set(derived.split())


CALLS = {
    "00.image_grid": call(images=some(5, 1, 3, 4), columns=3),
    "00.noise_to_image": call(
        "levels",
        strips=named(lambda: [picture() for _ in range(3)], "run 1", "run 2"),
        levels=[9.0, 2.0, 0.3],
        last={"y": picture()},
    ),
    "00.draws_and_spread": call(images=named(picture), spread=some(3, 4)),
    "00.loss_curve": call(
        "images",
        logs=named(
            lambda: {"images": up(4), "training": up(4), "held out": up(4)}, "natural", "fashion"
        ),
    ),
    "01.null_space_sums": call(rows=named(lambda: [picture() for _ in range(5)], "H1", "H2")),
    "01.noise_amplification": call(
        "s levels", s=down(6), signal=down(6), levels=[0.1, 0.3], images=named(picture)
    ),
    "01.posterior_in_the_plane": call(
        "prior h posteriors",
        prior=law(),
        h=some(2),
        y=0.7,
        pseudo_inverse=some(2),
        posteriors={0.1: law(), 0.4: law()},
    ),
    "01.langevin_chains": call(
        "axis density",
        axis=up(5),
        density=some(5, 5),
        paths=some(6, 3, 2),
        stages=named(lambda: some(7, 2), "early", "late"),
    ),
    "02.jump_band": call("std", t=up(5), paths=some(5, 3), mean=some(5), std=some(5)),
    "02.times_correlation": call("t", t=up(5), correlation=some(5, 5)),
    "02.schedule_curves": call(
        t=up(5),
        **{what: named(lambda: some(5), "linear", "cosine") for what in ("beta", "alpha_bar")},
        snr=named(lambda: some(5), "linear", "cosine"),
    ),
    "02.density_strip": call(
        t=up(5), x=up(6), density=some(6, 5), normal=some(6), paths=some(5, 2)
    ),
    "02.images_through_time": call(
        rows=named(lambda: [picture(), picture()], "VE", "VP"), titles=["early", "late"]
    ),
    "02.distance_to_noise": call(share=up(5, 0, 1), curves=named(lambda: some(5))),
    "03.reverse_ellipses": call(
        titles=["a", "b"],
        marginal=some(6, 2),
        exact=[some(6, 2), some(6, 2)],
        circles=[some(6, 2), some(6, 2)],
        above=[some(2), some(2)],
    ),
    "03.reverse_kernel": call(
        x=up(5), kernels=named(lambda: (some(5), some(5))), beta=up(7), kurtosis=some(7)
    ),
    "03.bayes_weights": call(
        "t", t=torch.arange(6).double(), of_x0=some(6), of_x=some(6), ratio=some(6)
    ),
    "03.bound_bars": call(
        names=["L0", "L1", "LT"],
        terms=named(lambda: some(3)),
        log_likelihood={"one": 0.11, "two": 0.22, "three": 0.33},
        entropy=0.07,
    ),
    "03.excess_against_steps": call(
        steps=[2, 5, 11], excess=named(lambda: some(3), "one", "two"), floor=0.05
    ),
    "04.four_units": call(
        "sigmas", x=up(5), units=named(lambda: [some(5), some(5)]), sigmas=[0.3, 2.0]
    ),
    "04.predicted_images": call(
        "times", rows=named(lambda: [picture(), picture()], "x", "eps"), times=[3, 8]
    ),
    "04.training": call("losses", losses=some(250), best=0.2, clouds=named(lambda: some(6, 2))),
    "04.loss_weights": call(
        "halves",
        t=up(5),
        weights=named(lambda: some(5), "simple", "bound"),
        shares=named(lambda: some(5), "simple", "bound"),
        halves=[3, 4],
    ),
    "04.sample_ellipses": call(
        "data laws", data=law(), laws=named(law), steps=[2, 5, 11, 20], distance=some(4)
    ),
    "04.ddim_paths": call(
        paths=named(lambda: (down(5), some(5, 3, low=-2, high=2)), "DDPM", "DDIM"),
        steps=[2, 5, 11],
        distances=named(lambda: some(3), "eta 1", "eta 0"),
    ),
    "04.samples_and_neighbours": call(
        "distances",
        groups={"group": some(3, 1, 3, 4), "nearest": some(3, 1, 3, 4), "distances": up(3)},
    ),
    "05.sources_of_levels": call(
        "shares", shares=named(lambda: (some(3), some(3)), "H1", "H2"), levels=["a", "b", "c"]
    ),
    "05.rotation_scaling_rotation": call(
        "arrows",
        curves=[some(2, 6, low=-1, high=1) for _ in range(3)],
        arrows=[some(2, 2) for _ in range(3)],
        titles=["V", "s", "U"],
    ),
    "05.singular_vectors": call(
        "rows",
        rows=named(lambda: (some(2, 3, 4, low=-1), [1, 4], down(2)), "H1", "H2"),
    ),
    "05.spectra_and_noise": call(
        "spectra",
        spectra=named(lambda: down(5, 0.0), "H1", "H2"),
        images=named(lambda: some(5), "H1", "H2"),
        sigma_y=0.3,
    ),
    "05.posterior_ellipses": call(curves=named(lambda: some(2, 6))),
    "05.two_noises": call(
        scenes=named(lambda: (some(2, 6), some(2, 6)), "pixels", "spectral"),
        axes_names=[("a", "b"), ("c", "d")],
    ),
    "06.weights_along_a_run": call(
        "changes",
        sigmas=down(6),
        weights=named(lambda: named(lambda: some(6), "of x0", "of x", "of y"), "c1", "c2"),
        changes={"c1": 1.0},
    ),
    "06.case_plane": call(
        "s sigma spectrum levels",
        sigma=up(5),
        s=up(4),
        weights=some(4, 5),
        sigma_y=0.3,
        spectrum=up(3),
        levels=down(3),
    ),
    "06.start_variances": call("variances", s=up(5), variances=named(lambda: some(5)), sigma_T=3.0),
    "06.admissible_weights": call(
        ratio=up(5, 1, 5), limit=some(5, high=3), theorem=some(5), printed=0.8
    ),
    "06.jump_at_the_boundary": call(
        ratio=up(6, 0.5, 1.6), settings=named(lambda: named(lambda: some(6)), "s1", "s2")
    ),
    "06.product_or_shared_noise": call(
        matrices=named(lambda: some(3, 3), "product", "shared"), unit="u"
    ),
    "06.matching_eta": call(runs=named(lambda: (down(5), some(5))), eta=0.85),
    "06.memory_of_a_coordinate": call(
        s=up(5), correlation=some(5), cases=["2, 2", "2, 2", "1, 2", "1, 1", "1, 1"], at_zero=0.5
    ),
    "07.kernels_given_y": call(
        "centres covs sigmas",
        x0=some(2),
        centres=some(2, 25, 2),
        covs=torch.stack([covariance(), covariance()]),
        sigmas=torch.tensor([1.0, 0.5]),
    ),
    "07.sums_of_normals": call(grid=up(5), cdfs=named(lambda: up(5))),
    "07.induction_ladder": call(
        "cases s sigmas",
        cases=torch.tensor([[1, 1, 2], [3, 3, 3]]),
        s=torch.tensor([0.8, 0.0]),
        sigmas=torch.tensor([9.0, 2.0, 0.4]),
    ),
    "07.variance_bars": call(
        "cases s sigmas", parts=some(3, 2, 4), cases=cases(2, 4), s=down(2), sigmas=down(4)
    ),
    "07.level_correlations": call(maps=named(lambda: some(3, 3, low=-0.9))),
    "07.scores_against_normal": call(
        quantiles=up(6, -2, 2), scores=named(lambda: up(6, -2, 2)), bound=5.1
    ),
    "08.weights_of_cases": call(
        ratio=torch.tensor([0.2, 0.5, 1.3, 4.0]),
        below={"eta .5": torch.tensor([0.31, 0.22, np.nan, np.nan])},
        above={"eta_b 1": torch.tensor([np.nan, np.nan, 0.47, 0.76])},
    ),
    "08.last_term_of_bound": call(var_0=up(5), value=some(5), best=0.6, least=0.2),
    "08.coordinate_paths": call(
        "levels cases y_spec tau",
        levels=torch.tensor([9.0, 3.0, 1.0, 0.0]),
        paths=some(2, 4, 2),
        cases=torch.tensor([[1, 3], [2, 3], [2, 3]]),
        truth=some(2),
        y_spec=some(2),
        tau=torch.tensor([0.5, np.inf]),
        titles=["measured", "lost"],
    ),
    "08.run_strip": call(
        "levels",
        levels=[9.0, 0.4],
        noisy=some(2, 1, 3, 4),
        predicted=some(2, 1, 3, 4),
        ends=[("measured", picture()), ("truth", picture())],
    ),
    "08.residuals_of_runs": call("levels", levels=down(5, 0.0), residuals=named(lambda: some(5))),
    "08.two_images_of_a_state": call("levels", levels=down(6, 0.0), ve=some(3, 6), vp=some(3, 6)),
    "08.correlations_of_levels": call(
        "levels", levels=down(6), correlations=named(lambda: some(6, 6))
    ),
    "09.matrix_grid": call(rows=[named(lambda: (some(4, 6, low=-1), None), "H1", "H2")]),
    "09.memory_and_time": call(
        n=up(5), memory=named(lambda: up(5)), timed=up(4), seconds=named(lambda: up(4))
    ),
    "10.draws_and_maps": call(images=named(picture), maps=named(lambda: some(3, 4), "m1", "m2")),
    "10.rank_bars": call(shares=named(lambda: some(5))),
    "10.steps_curves": call(steps=[2, 5, 11], curves=named(lambda: some(3))),
    "10.rates_map": call(
        "etas eta_bs", etas=[0.2, 0.9], eta_bs=[0.3, 0.6, 1.0], maps=named(lambda: some(2, 3))
    ),
    "10.benchmark_dots": call(
        tasks=["t1", "t2", "t3"], scores=named(lambda: some(3), "m1", "m2", "m3", "m4")
    ),
    "10.waterfall": call("rows", rows={"a": (20.1, 0.9), "b": (23.4, 0.7)}, found=[3.0, 17.0]),
    "10.told_noise_curves": call(told=up(4), psnr=some(4), residual=some(4), true=0.7),
    "11.two_laws": call("laws", laws=named(law), truth=some(2), pairs=[(0, 1, "first", "second")]),
    "11.u_curve": call(steps=[2, 5, 11], distances=named(lambda: some(3)), main="one", parts="t"),
    "11.temperature_limits": call(
        "posterior",
        eta=up(5),
        tau=some(5),
        found=named(lambda: (up(4), some(4)), "N = 5", "N = 9"),
        levels=up(6),
        paths=named(lambda: (some(6), some(6)), "eta 1", "eta .5"),
        posterior=(0.4, 0.6),
    ),
    "11.error_against_distance": call(
        "marks",
        cooled=(up(5), some(5)),
        samplers=named(lambda: (up(4), some(4)), "DDRM", "DDNM"),
        marks=[(0.31, 0.62, "mean", (3, 4))],
        ends=["N = 5", "N = 99"],
    ),
    "11.w2_map": call(
        "eta eta_b distance error",
        eta=up(4),
        eta_b=up(5),
        distance=some(5, 4),
        error=some(5, 4),
        mark=(0.4, 1.1),
    ),
    "11.cooled_modes": call(x=up(5), densities=named(lambda: some(5))),
    "11.bound_against_truth": call(
        sigma=up(5),
        weights=named(lambda: some(5)),
        boundary=1.3,
        points=[(0.3, 0.5, "a"), (0.6, 0.8, "b")],
    ),
    "11.repairs": call(steps=[2, 5, 11], distances=named(lambda: some(3))),
    "12.matrices_and_spectra": call(
        "s",
        structures=named(lambda: {"matrix": some(3, 5, low=-1), "s": down(5, 0.0)}),
        columns=3,
    ),
    "12.vectors_as_images": call(
        "rows", rows=named(lambda: (some(2, 1, 3, 4, low=-1), ["v1", "v2"]), "H1", "H2")
    ),
    "12.spectrum_and_cases": call(
        "s sigmas",
        s=down(5, 0.0),
        sigma_y=0.3,
        sigmas=down(4, 0.0),
        counts={1: [2, 1, 4], 2: [7, 5, 6], 3: [8, 9, 10]},
    ),
    "12.rays_and_images": call(
        rows=named(lambda: some(3, 4), "0", "90"),
        y=named(lambda: some(5), "0", "90"),
        images=named(picture),
        captions={},
    ),
    "12.lab_bench": call(images=named(picture), captions={"two": "21 dB"}, title="t"),
    "13.line_up": call(images=named(picture), columns=2),
    "14.one_guess": call(
        "views prior",
        views=named(lambda: (named(law, "without y", "with y"), some(2)), "early", "late"),
        x_t=some(2),
        prior=covariance(),
        y=0.4,
    ),
    "14.distances": call(
        steps=[2, 5, 11],
        left=named(lambda: some(3), "l1", "l2"),
        right=named(lambda: some(3), "r1", "r2"),
    ),
    "14.preconditioned": call(
        spectra=named(lambda: up(5), "without", "with P"), residuals=named(lambda: down(4))
    ),
    "14.gallery": call(pictures=named(picture), captions=["a", "b", "c"], columns=2),
}


def fitting(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the function takes them, where they are named otherwise above."""
    if name == "00.loss_curve":
        columns = {"training": "train_loss", "held out": "validation_loss"}
        logs = {
            model: {columns.get(what, what): values for what, values in log.items()}
            for model, log in arguments["logs"].items()
        }
        return {"logs": logs}
    if name == "04.samples_and_neighbours":
        return {"groups": {"group": tuple(arguments["groups"].values())}}
    if name == "12.matrices_and_spectra":
        pairs = {each: tuple(pair.values()) for each, pair in arguments["structures"].items()}
        return arguments | {"structures": pairs}
    if name in ("07.kernels_given_y", "07.variance_bars"):
        return {each: value.numpy() for each, value in arguments.items()}
    return arguments


def made(name: str, arguments: dict[str, Any]) -> dict[str, Tensor]:
    """Curves that are made of the arguments, under their names: by the formulas of the lectures."""
    a = arguments
    if name == "01.noise_amplification":
        return {f"{level:g}": level / a["s"] for level in a["levels"]}
    if name == "02.jump_band":
        return {"2 standard deviations": a["mean"] + 2 * a["std"], "": a["mean"] - 2 * a["std"]}
    if name == "04.training":
        return {"network": a["losses"].reshape(-1, 50).mean(1)}
    if name == "05.spectra_and_noise":
        return {each: a["sigma_y"] / s[s > 0] for each, s in a["spectra"].items()}
    if name == "06.start_variances":
        return {each: v / a["sigma_T"] ** 2 for each, v in a["variances"].items()}
    if name == "06.case_plane":
        return {"": a["sigma_y"] / a["sigma"]}
    if name == "08.two_images_of_a_state":
        return {"x_t$": -2 * (1 + a["levels"] ** 2).sqrt()}
    return {}
