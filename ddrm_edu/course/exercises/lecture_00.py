"""Exercises of lecture 00: block means, a mask of one's own, a misprint."""

from __future__ import annotations

import torch

from ddrm_edu.course.engine import Answer, Cases, hints, mistakes, question
from ddrm_edu.schedule import NoiseSchedule


@question("00.1", "The singular values of block means", kind="paper", of="r")
@hints(
    "The positive singular values of H are the square roots of the eigenvalues of H H^T.",
    "A row of H has r^2 entries 1 / r^2, and two different rows never meet at a pixel.",
    "So H H^T = (r^2 / r^4) I.",
)
@mistakes(
    lambda r: 1 / r**2,
    "That is the entry of H, or the eigenvalue of H H^T: take its root.",
    lambda r: 1.0,
    "The rows of H are orthogonal, but their length is not 1.",
    lambda r: float(r),
    "That is the singular value of H^+, the inverse of the one asked.",
    lambda r: 1 / r**4,
    "That is the square of one entry of H. A row has r^2 of them; add up, then take the root.",
    lambda r: r**-0.5,
    "The root was taken once too often: H H^T = (1 / r^2) I.",
)
def singular_value_of_block_means(answer: Answer) -> Cases:
    for r in (2, 3, 4):
        H = torch.full((1, r * r), 1 / r**2, dtype=torch.float64)
        yield f"r = {r}", answer(r), torch.linalg.svdvals(H)[0]


@question("00.2", "A mask of your own", kind="code")
@hints(
    "A mask is True where a pixel is measured.",
    "Count columns from 0: the second one is number 1, and it is lost.",
    "mask = torch.ones(32, 32, dtype=torch.bool); then set mask[:, 1::2].",
)
@mistakes(
    torch.arange(32).expand(32, 32) % 2 == 1,
    "True means measured, and the first column, number 0, is to be measured.",
    (torch.arange(32) % 2 == 0)[:, None].expand(32, 32),
    "These are rows. The last index of a mask counts the columns.",
    torch.ones(32, 32, dtype=torch.bool),
    "Everything is measured here: this is denoising, not inpainting.",
    (torch.arange(32) < 16).expand(32, 32),
    "Half of the columns are lost, but they are neighbours: every second one is to be lost.",
    (torch.arange(32) + torch.arange(32)[:, None]) % 2 == 0,
    "This is a chessboard. A column is lost in every row.",
    torch.arange(32).expand(32, 32) % 3 != 1,
    "Every third column is lost here.",
)
def every_second_column(answer: Answer) -> Cases:
    measured = torch.arange(32) % 2 == 0
    yield "the mask (row, column), 1 where measured", answer, measured.expand(32, 32)


_SCHEDULE = NoiseSchedule.linear()


@question("00.3", "The smallest test that sees the misprint", kind="code")
@hints(
    "Compare alpha[t] with alpha_bar[t] for t = 1, 2, 3.",
    "alpha_bar[t] is the product of alpha[1] to alpha[t].",
    "At t = 1 the product has one factor.",
)
@mistakes(
    1,
    "At t = 1 the printed formula and the right one agree: it is the blind spot.",
    0,
    "At t = 0 there is no noise yet: alpha_bar[0] = 1, and a step to 0 does not exist.",
    500,
    "They do differ there, but there is a smaller t.",
    3,
    "alpha_bar[2] has two factors already.",
    1000,
    "That is the largest t, and the smallest is asked for.",
)
def smallest_t_that_sees_the_misprint(answer: Answer) -> Cases:
    differ = (_SCHEDULE.alpha - _SCHEDULE.alpha_bar).abs() > 0
    yield "the smallest t", answer, int(differ.nonzero()[0])
