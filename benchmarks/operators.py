"""Memory and time of the operators as images grow, and beside other implementations of DDRM.

    python benchmarks/operators.py --official FOLDER

FOLDER is a checkout of the code of the paper's authors; without it, or where deepinv cannot be
imported, that column stays empty.  Writes ``benchmarks/results/operators.md``, ``operators.csv``
and ``operators-peers.csv``.  One thread, float32; every time is a multiple of that of
``x.clone()``, measured in turn with it, so that two machines can be compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import torch
from measuring import (
    beside,
    imported,
    in_folder,
    machine,
    on_device,
    peak,
    seconds,
    write_csv,
    written,
)
from memory import stored_bytes
from torch import Tensor
from tqdm import tqdm

from ddrm_edu import (
    BicubicSuperResolution,
    BlockOperator,
    BlurDecimation,
    CircularBlur,
    Colorization,
    CompressedSensing,
    Denoising,
    Diagonal,
    FourierMask,
    Inpainting,
    SeparableBlur,
    Stacked,
    SuperResolution,
    SVDOperator,
    SymmetricBlur,
    WeightedRows,
)

Calls = dict[str, Callable[[], Tensor]]
METHODS = ["V", "Vt", "Ut"]
SIDES = [32, 64, 128, 256, 512, 1024]
PEERS = ["official", "deepinv"]


def operators(side: int) -> dict[str, SVDOperator]:
    """One of every class for colour images of ``side x side`` pixels."""
    shape = (3, side, side)
    draw = torch.Generator().manual_seed(0)
    mask = torch.rand(side, side, generator=draw) < 0.5
    kernel = torch.rand(21, 21, generator=draw)
    symmetric = kernel + kernel.flip(0)
    symmetric = symmetric + symmetric.flip(1)
    K = torch.randn(4, 16, generator=draw)
    return {
        "denoising": Denoising(shape),
        "inpainting": Inpainting(mask, channels=3),
        "diagonal": Diagonal(torch.randn(side, side, generator=draw), channels=3),
        "super-resolution x 4": SuperResolution(shape, 4),
        "colorization": Colorization(shape),
        "block of 4 x 16": BlockOperator(K, shape, (1, 4, 4)),
        "circular blur, 21 x 21": CircularBlur(shape, kernel),
        "mirrored blur, 21 x 21": SymmetricBlur(shape, symmetric),
        "blur 21 x 21, every 4th pixel": BlurDecimation(shape, kernel, 4),
        "Fourier mask, 2 channels": FourierMask(mask),
        "mean x 4, a noise map": WeightedRows(
            SuperResolution(shape, 4), 1 + torch.rand(3, side // 4, side // 4, generator=draw)
        ),
        "two blurs of one picture": Stacked(
            [CircularBlur(shape, kernel), CircularBlur(shape, kernel.flip(0))]
        ),
        "compressed sensing": CompressedSensing(shape, 3 * side**2 // 4, generator=draw),
        "separable blur, 9 x 9": SeparableBlur(shape, torch.full((9,), 1 / 9)),
        "bicubic x 4": BicubicSuperResolution(shape, 4),
    }


def images(shape: tuple[int, ...], batch: int, device: str = "cpu") -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1)).to(device)


def relative(calls: Calls, x: Tensor, rounds: int) -> dict[str, float]:
    """Times of the calls as multiples of ``x.clone()``."""
    shortest = seconds({"clone": x.clone} | calls, rounds)
    return {name: shortest[name] / shortest["clone"] for name in calls}


# -- as images grow --------------------------------------------------------------------------------


def growth(side: int, rounds: int, device: str) -> list[dict]:
    """Memory and times of every operator at one size, single images."""
    rows = []
    for name, op in tqdm(operators(side).items(), desc=f"3 x {side} x {side}", leave=False):
        x, y = images(op.in_shape, 1, device), images(op.out_shape, 1, device)
        calls = {"V": partial(op.V, x), "Vt": partial(op.Vt, x), "Ut": partial(op.Ut, y)}
        shortest = seconds({"clone": x.clone} | calls, rounds, device)
        row = {"operator": name, "side": side, "n": op.n}
        row["stored bytes"] = sum(map(stored_bytes, vars(op).values()))
        row["peak bytes of V"] = peak(calls["V"], device)
        rows.append(row | {f"{call} ms": 1e3 * shortest[call] for call in ("clone", *METHODS)})
    return rows


def slope(rows: list[dict], key: str) -> float:
    """Exponent a of ``key ~ n^a``, by least squares over all sizes."""
    n, values = (np.log([row[column] for row in rows]) for column in ("n", key))
    return np.polyfit(n, values, 1)[0].round(2) + 0.0  # no -0.00


def growth_table(rows: list[dict]) -> list[str]:
    lines = [
        "| operator | stored bytes per entry of x | ~ n^ | peak of V / x | ~ n^ "
        "| V | Vt | Ut | V ~ n^ | Vt ~ n^ |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["operator"] for row in rows):
        mine = [row for row in rows if row["operator"] == name]
        last = mine[-1]
        cells = [
            name,
            f"{last['stored bytes'] / last['n']:.1f}",
            f"{slope(mine, 'stored bytes'):.2f}",
            f"{last['peak bytes of V'] / (4 * last['n']):.1f}",
            f"{slope(mine, 'peak bytes of V'):.2f}",
            *(f"{last[f'{m} ms'] / last['clone ms']:.1f}" for m in METHODS),
            *(f"{slope(mine, f'{m} ms'):.2f}" for m in ("V", "Vt")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


# -- beside others ---------------------------------------------------------------------------------

SIDE, BATCH = 256, 4


def official_calls(module: ModuleType, x: Tensor) -> dict[str, Calls]:
    """V and Vt of the authors' classes, which take flat vectors."""
    everything = torch.arange(3 * SIDE**2)
    lost = torch.rand(3 * SIDE**2, generator=torch.Generator().manual_seed(0)) < 0.5
    # Its constructor looks every pixel up among the missing ones, for minutes at this size.
    inpainting = module.Inpainting.__new__(module.Inpainting)
    inpainting.channels, inpainting.img_dim = 3, SIDE
    inpainting.missing_indices, inpainting.kept_indices = everything[lost], everything[~lost]
    blur = module.Deblurring(torch.full((9,), 1 / 9), 3, SIDE, "cpu")
    order = torch.randperm(SIDE**2, generator=torch.Generator().manual_seed(0))
    found = {
        "denoising": module.Denoising(3, SIDE, "cpu"),
        "inpainting": inpainting,
        "super-resolution x 4": module.SuperResolution(3, SIDE, 4, "cpu"),
        "colorization": module.Colorization(SIDE, "cpu"),
        "compressed sensing": module.WalshHadamardCS(3, SIDE, 4, order, "cpu"),
        "separable blur, 9 x 9": blur,
    }
    flat = x.flatten(1)
    return {name: {"V": partial(op.V, flat), "Vt": partial(op.Vt, x)} for name, op in found.items()}


def deepinv_calls(physics: ModuleType, x: Tensor) -> dict[str, Calls]:
    """V and its adjoint; where coordinates are fewer than pixels, V is thin and does less work."""
    shape = tuple(x.shape[1:])
    kernel = torch.rand(1, 1, 21, 21, generator=torch.Generator().manual_seed(0))
    mask = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    found = {
        "inpainting": physics.Inpainting(shape, mask),
        "colorization": physics.Decolorize(),
        "circular blur, 21 x 21": physics.BlurFFT(shape, kernel),
        "compressed sensing": physics.SinglePixelCamera(SIDE**2 // 4, shape),
    }
    return {
        name: {"V": partial(op.V, op.V_adjoint(x)), "Vt": partial(op.V_adjoint, x)}
        for name, op in found.items()
    }


def our_calls(x: Tensor) -> dict[str, Calls]:
    ours = {name: op for name, op in operators(SIDE).items() if op.in_shape == x.shape[1:]}
    return {name: {"V": partial(op.V, x), "Vt": partial(op.Vt, x)} for name, op in ours.items()}


def peers(official: ModuleType | None, deepinv: ModuleType | None, rounds: int) -> list[dict]:
    """Times of V and Vt of everybody, all of one operator in turn."""
    x = images((3, SIDE, SIDE), BATCH)
    everybody = {"ours": our_calls(x)}
    if official:
        everybody["official"] = official_calls(official, x)
    if deepinv:
        everybody["deepinv"] = deepinv_calls(deepinv.physics, x)
    rows = []
    for name in tqdm(everybody["ours"], desc="beside others", leave=False):
        calls = {
            f"{who} {method}": call
            for who, operators_of in everybody.items()
            for method, call in operators_of.get(name, {}).items()
        }
        rows.append({"operator": name} | relative(calls, x, rounds))
    return rows


def peers_table(rows: list[dict]) -> list[str]:
    columns = [f"{who} {method}" for who in ("ours", *PEERS) for method in ("V", "Vt")]
    lines = [
        f"| operator | {' | '.join(columns)} | official / ours |",
        "|---|" + "---|" * (len(columns) + 1),
    ]
    for row in rows:
        cells = [f"{row[column]:.1f}" if column in row else "-" for column in columns]
        both = [m for m in ("V", "Vt") if f"official {m}" in row]
        gains = [f"{row[f'official {m}'] / row[f'ours {m}']:.1f}" for m in both]
        cells.append(", ".join(gains) or "-")
        lines.append(f"| {row['operator']} | {' | '.join(cells)} |")
    return lines


# -- results ---------------------------------------------------------------------------------------


def report(grown: list[dict], compared: list[dict], versions: str, device: str) -> str:
    smallest, largest = grown[0]["side"], grown[-1]["side"]
    copies = [slope([row for row in grown if row["side"] >= side], "clone ms") for side in (0, 256)]
    dense = 4 * grown[-1]["n"] ** 2 / 2**40
    times = "of the processor" if device == "cpu" else "until the device is done"
    head = f"""\
{versions}; float32{", one thread" * (device == "cpu")}.
Times {times} are multiples of that of `x.clone()`, the
shortest of several taken in turn with it.

## As images grow

One colour image of {smallest} x {smallest} up to {largest} x {largest} pixels. Bytes and times hold
for the largest, where a dense V would need {dense:.3g} TiB. Exponents of n are fitted to all sizes;
that of `x.clone()` itself is {copies[0]:.2f}, and {copies[1]:.2f} from 256 x 256 on, where images
leave the cache.
Separable blur and bicubic reduction are two products with h x h matrices, n^1.5 operations.
"""
    others = f"""
## Beside others

{BATCH} colour images of {SIDE} x {SIDE} pixels. The authors' classes are those of the repository
bahjat-kawar/ddrm (2022); their separable blur of colour images is not the blur of its kernel
(lecture 13, section 5). deepinv's V of inpainting returns its argument and that of colorization
leaves out the null space, so those do less than ours. A dash: no such operator with an SVD, or not
measured.
"""
    others = [others, *peers_table(compared)] if compared else []
    return "\n".join([head, *growth_table(grown), *others]) + "\n"


@click.command()
@beside
@on_device
@click.option("--rounds", default=15, help="Times each call takes its turn.")
@click.option("--largest", default=1024, help="Side of the largest image.")
@in_folder
def main(official: Path | None, device: str, rounds: int, largest: int, out: Path) -> None:
    """Measure both tables; the second, beside others, on the CPU only."""
    torch.set_num_threads(1)
    compared, versions, name = [], machine(device), "operators"
    if device == "cpu":
        if official:
            sys.path.insert(0, str(official / "functions"))
        theirs = imported("svd_replacement") if official else None
        deepinv = imported("deepinv")
        versions += f", deepinv {deepinv.__version__}" if deepinv else ""
        compared = peers(theirs, deepinv, rounds)
    else:
        name = f"operators-{device}"
    grown = [row for side in SIDES if side <= largest for row in growth(side, rounds, device)]
    written(report(grown, compared, versions, device), out, f"{name}.md")
    write_csv(out / f"{name}.csv", grown)
    if compared:
        write_csv(out / "operators-peers.csv", compared)


if __name__ == "__main__":
    main()
