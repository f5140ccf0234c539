"""What the course says about the slides and about other people's code is no more than is so."""

from __future__ import annotations

import csv
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
import torch
from ledger.registry import WITHDRAWN, all_items
from notebooks import LECTURES, ROOT, SOLUTIONS

from ddrm_edu import Dense, Kronecker
from ddrm_edu.gaussian import Gaussian, hint_1, hint_2

ERRATA = ROOT / "lectures" / "ERRATA.md"
TEXTS = ("*.md", "*.py", "*.toml", "*.cff")
FOLDERS = ("ddrm_edu", "lectures", "tests", "benchmarks", "scripts")

#: Sentences that were printed once and are not so, and a pattern for each kind of them.
FALSE_CLAIMS = {
    "three public projects": r"(?:two|three|several) (?:other |public )*projects",
    "in two projects that copied it": r"projects? (?:that )?(?:had )?copied",
    "of a kind that once lived in published code": r"\blived in\b[^.]*\b(?:public|published)",
    "a separable blur that lived in three public projects": r"\blived in\b[^.]*\bprojects?",
    "B, F and the division of K in the released implementation": r"\breleased (?:impl|code)",
    "as in a public implementation": r"\b(?:a|one) public (?:implementation|library|project)",
    "as in the official code": r"the official (?:code|implementation)",
    "by 85 to 92 %": r"85 (?:to|-) 92 ?%",
    "on a photograph by 12 to 16 %": r"12 (?:to|-) 16 ?%",
    "This is how all published tables were made": r"\ball published\b",
    "Published code that wrote > loses it": r"\bPublished code that\b",
    "20 of its lines are not right": r"\b20 (?:of its lines|errata)",
    "the proof of each of the 20 errata": r"\b20 (?:of its lines|errata)",
    "a permutation that they forget (erratum E9)": r"\berratum\W+E(?:9|16)\b",
    "means that contain z_0 (erratum **E16**)": r"\berratum\W+E(?:9|16)\b",
    "E9 as printed": r"\bE(?:9|16) as printed",
    "case 1 by Hint 1 as printed": r"Hint 1 as printed",
}


@cache
def prose() -> dict[Path, str]:
    """Every text of the repository but this file, on one line each, markup of cells removed."""
    files = [*ROOT.glob("*.md"), ROOT / "CITATION.cff"]
    files += [path for name in FOLDERS for kind in TEXTS for path in (ROOT / name).rglob(kind)]
    texts = {path: path.read_text() for path in files if path != Path(__file__).resolve()}
    for path in [*LECTURES.values(), *SOLUTIONS.values()]:
        cells = nbformat.read(path, as_version=4).cells
        texts[path] = "\n".join(cell.source for cell in cells)
    return {path: " ".join(text.split()) for path, text in texts.items()}


def section_5() -> str:
    """Lecture 13, "The case files"."""
    return prose()[LECTURES["13"]].split("## 5 ·")[1].split("## What we verified")[0]


@pytest.mark.parametrize("sentence", FALSE_CLAIMS)
def test_a_claim_that_is_not_so_is_made_nowhere(sentence):
    pattern = re.compile(FALSE_CLAIMS[sentence])
    assert pattern.search(sentence), "the pattern does not see the sentence it was made for"
    assert [str(path) for path, text in prose().items() if pattern.search(text)] == []


def test_a_claim_about_other_peoples_code_names_project_and_version():
    """Wherever a text names one of their files, year or version stand in the same paragraph."""
    files = r"functions/\w+\.py|deepinv/\S+\.py|\bsampling/diffusion\.py"
    versions = r"ddrm` ?\(2022|bahjat-kawar/ddrm\W+\(?2022|deepinv 0\.5\.0"
    versions += r"|wyhuai/DDNM at 4ab9e12"
    bare = []
    for path, text in prose().items():
        for found in re.finditer(files, text):
            if not re.search(versions, text[max(0, found.start() - 900) : found.end() + 200]):
                bare.append((path.name, found[0]))
    assert bare == []


def test_lecture_13_says_which_suspects_stand_in_public_code():
    """Four do, with a place; F and H are invented, and H's relative is told by its mechanism."""
    text = section_5()
    places = re.findall(r"\| (\w) \| (?:bahjat-kawar/ddrm|deepinv 0\.5\.0), `([\w/]+\.py)`", text)
    assert places == [
        ("B", "functions/denoising.py"),
        ("K", "functions/svd_replacement.py"),
        ("C", "deepinv/sampling/diffusion.py"),
        ("J", "deepinv/physics/range.py"),
    ]
    assert "Four of the eleven bugs stand in public code" in text
    assert "D, E, F, G, H, I and N are invented" in text
    assert "draws fresh noise in every step" in text
    assert "permutes $U$ and $V$ with it" in text
    assert "`repeat_interleave(3)`; line 461 has `repeat(1, 3)`" in text


def rows(taps: list[float], side: int) -> torch.Tensor:
    """Matrix of a blur of one line, black outside; entry (i, j) is tap j - i + 2."""
    lag = torch.arange(side) - torch.arange(side)[:, None] + 2
    known = (lag >= 0) & (lag < len(taps))
    values = torch.tensor(taps, dtype=torch.float64)
    return torch.where(known, values[lag.clamp(0, len(taps) - 1)], 0.0)


def test_the_figures_of_the_relative_of_h():
    """Lecture 13: 79 % for repeat(1, 3), nothing for repeat_interleave(3), 25 % for the tap."""
    full, short = rows([0.1, 0.2, 0.4, 0.2, 0.1], 8), rows([0.1, 0.2, 0.4, 0.2], 8)
    factor = Dense(short)
    s, order = torch.outer(factor.s, factor.s).flatten().sort(descending=True)
    V = factor.V(torch.eye(8).double()).T
    U = short @ V / factor.s
    U, V, colours = torch.kron(U, U)[:, order], torch.kron(V, V)[:, order], torch.eye(3).double()
    U, V = torch.kron(U, colours), torch.kron(V, colours)
    H = torch.kron(torch.kron(short, short), colours)

    def off(repeated: torch.Tensor) -> float:
        return float((U * repeated @ V.T - H).norm() / H.norm())

    assert off(s.repeat_interleave(3)) < 1e-12
    assert round(off(s.repeat(1, 3).flatten()), 2) == 0.79
    got, want = Kronecker(short, short).matrix(), Kronecker(full, full).matrix()
    assert round(float((got - want).norm() / want.norm()), 2) == 0.25


# --------------------------------------------------------------------------- withdrawn errata


def entries() -> dict[str, tuple[str, str]]:
    """Heading and text of each entry of ERRATA.md by its ID, with the part it stands in."""
    found = {}
    for part in re.split(r"^## ", ERRATA.read_text(), flags=re.MULTILINE)[1:]:
        for entry in re.split(r"^### ", part, flags=re.MULTILINE)[1:]:
            found[entry.split(".")[0]] = part.splitlines()[0], entry
    return found


def test_errata_that_wrong_the_slide_are_withdrawn_on_the_page():
    withdrawn = [id for id, (part, _) in entries().items() if part == "Withdrawn"]
    assert tuple(withdrawn) == WITHDRAWN == ("E9", "E16")
    for id in withdrawn:
        heading, _, text = entries()[id][1].partition("\n")
        assert heading.endswith("(withdrawn)")
        assert "*Remark.*" in text
        assert "Read:" not in text


def test_withdrawn_errata_keep_their_laws_and_accuse_nobody():
    of_withdrawn = [entry for entry in all_items() if entry.id in WITHDRAWN]
    assert {entry.id for entry in of_withdrawn} == set(WITHDRAWN)
    for entry in of_withdrawn:
        assert entry.statement.startswith("withdrawn: the charitable reading is right")
        assert "remark: " in entry.statement
        assert "as printed" not in entry.wrong


LABELS = ("Wrong", "Silent about a condition", "Misprints, possibly of our text copy")


def test_the_counts_of_errata_in_prose_are_those_of_the_page():
    parts = [part for part, _ in entries().values()]
    assert set(parts) == {*LABELS, "Withdrawn"}
    words = {2: "two", 5: "five", 11: "eleven"}
    wrong, silent, misprint = (words[parts.count(label)] for label in LABELS)
    text = prose()[ERRATA]
    assert f"**wrong** ({wrong})" in text
    assert f"**silent about a condition** ({silent})" in text
    assert f"**a misprint** ({misprint})" in text
    standing = len(parts) - len(WITHDRAWN)
    assert standing == 18
    assert "eighteen entries" in text
    assert f"{standing} [errata](lectures/ERRATA.md)" in prose()[ROOT / "README.md"]
    assert f"{standing} errata" in prose()[ROOT / "lectures" / "README.md"]


def test_each_erratum_quotes_the_slide_before_it_corrects_it():
    """What is printed (or not said) comes first, then the charitable reading, then ours."""
    for part, entry in entries().values():
        told = entry.partition("\n")[2].strip()
        if part == "Wrong":
            assert told.startswith("Printed:")
            assert re.search(r"^Charitably: .*^Read: ", told, flags=re.DOTALL | re.MULTILINE)
        if "Printed:" in told and part == "Silent about a condition":
            assert "Charitably: " in told


def test_a_lost_transpose_is_off_by_what_the_page_says():
    """E10: 2,000 turns of the null space of the constant kernel with r = 2."""
    generator = torch.Generator().manual_seed(0)
    k = torch.full((4,), 0.25, dtype=torch.float64)
    first = (k / k.norm())[:, None]
    rest = torch.linalg.svd(first).U[:, 1:]  # a basis of the null space
    turns = torch.linalg.qr(torch.randn(2000, 3, 3, generator=generator, dtype=torch.float64))
    turns = turns.Q * turns.R.diagonal(dim1=1, dim2=2).sign()[:, None]  # uniformly distributed
    V = torch.cat([first.expand(2000, 4, 1), rest @ turns], 2)
    # U_k Sigma_k V_k in the place of U_k Sigma_k V_k^T
    found = (k.norm() * V[:, 0] - k).norm(dim=1) / k.norm()
    assert 0 < found.min() < 0.1
    assert found.median() == pytest.approx(1.5**0.5, abs=0.05)  # its standard error is 0.014
    assert 1.7 < found.max() < 3**0.5


def test_each_slide_is_told_in_our_words_with_its_errata():
    text = (ROOT / "lectures" / "SLIDES.md").read_text()
    assert re.findall(r"^\*\*(\d+)\. ", text, flags=re.MULTILINE) == [str(k) for k in range(1, 25)]
    named = set(re.findall(r"E\d+", text))
    assert named == set(entries()) - {"E16"}  # which concerns no line of the slides


def test_slide_14_is_right_by_its_own_two_hints():
    """S14.1, E16: hint 1 as printed for eta_b ybar given x_0, then hint 2, at generic numbers."""
    b, eta_b, level, x_0 = 0.37, 0.62, 1.3, -1.7
    factor, variance = hint_1(V1=b, alpha=eta_b, V2=0.0)
    rest = (1 - eta_b) * x_0, level**2 - eta_b**2 * b
    both = hint_2(Gaussian([factor * x_0, rest[0]], [[variance, 0.0], [0.0, rest[1]]]))
    assert float(both.mean) == pytest.approx(x_0, abs=1e-14)
    assert float(both.cov) == pytest.approx(level**2, abs=1e-14)


def test_lecture_00_tells_how_often_a_draw_is_behind_a_classical_method():
    """Of the rows of the stored comparison that have one; ties count for nobody."""
    table = (ROOT / "benchmarks/results/quality-natural.md").read_text()
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")][1:]
    number = re.compile(r"[\d.]+")
    scores = [[tuple(map(float, number.findall(cell))) for cell in line[2:6]] for line in lines]
    ours = [(classical, draw, mean) for _, classical, draw, mean in scores if classical]
    behind = [all(a < b for a, b in zip(draw, best, strict=True)) for best, draw, _ in ours]
    ahead = [all(a > b for a, b in zip(mean, best, strict=True)) for best, _, mean in ours]
    grey, _, (draw, _), _ = scores[-2]
    assert (len(scores), len(ours), sum(behind), sum(ahead)) == (14, 12, 10, 6)
    assert draw < grey[0]  # PSNR; colorization without noise
    text = prose()[LECTURES["00"]]
    assert "64 images and 14 tasks, 12 of them with a classical method" in text
    assert "ahead in denoising, and *behind* in the other ten, in PSNR and in SSIM" in text
    assert "The mean of four draws is ahead in six of the twelve" in text


def stored(name: str) -> dict[tuple[str, str, str, str], float]:
    """PSNR in a table of `evaluate`, by task, method, eta and steps."""
    with (ROOT / "benchmarks" / "results" / f"{name}.csv").open() as file:
        keys = ("task", "method", "eta", "steps")
        return {tuple(row[k] for k in keys): float(row["psnr"]) for row in csv.DictReader(file)}


def test_lecture_10_tells_what_held_out_images_say_beside_its_four_photographs():
    table = stored("evaluate-steps")
    ours = table["inpaint:0.7", "ddrm", "own", "20"]
    behind = table["inpaint:0.7", "biharmonic", "", "0"] - ours
    longer = table["inpaint:0.7", "ddrm", "1", "100"] - ours
    seeing = table["inpaint:0.7", "moment-matching", "1", "20"] - ours
    text = prose()[LECTURES["10b"]]
    assert f"one draw of the network is {behind:.1f} dB behind it" in text
    assert f"100 steps regain {longer:.1f} of them, seeing $y$ in 20 steps {seeing:.1f}.)" in text
    table = stored("evaluate")
    above = table["denoise", "ddrm", "own", "20"] - table["denoise", "wiener", "", "0"]
    assert f"by {above:.1f} dB over a Wiener filter" in text


def test_rounding_makes_either_form_of_the_variance_of_case_1_negative_alike():
    """Lecture 13, suspect A: levels one rounding unit from sigma_y / s; the clamp mends both."""
    rng = torch.Generator().manual_seed(0)
    s, sigma_y = 0.1 + 2 * torch.rand(2, 100_000, generator=rng, dtype=torch.float64)
    tau = sigma_y / s
    level = torch.stack([torch.nextafter(tau, end * tau) for end in (0, 1, 2)])
    case_1 = s * level >= sigma_y
    product, squares = (level - tau) * (level + tau), level**2 - tau**2
    assert (case_1 & (product < 0)).any()
    assert torch.equal(case_1 & (product < 0), case_1 & (squares < 0))
    assert "where rounding makes either form negative, at the boundary" in prose()[LECTURES["13"]]
