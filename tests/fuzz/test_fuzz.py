"""A bad argument gives a sentence or the right result: a sample of the campaign of `make fuzz`.

The sample is the same in every run.  A new public callable needs a good call in good_calls.py, and
then refuses what the kinds put in the place of each of its arguments.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fuzz import campaign, good_calls
from fuzz.campaign import BAD, attempt, outcomes
from fuzz.good_calls import GOOD, public_names

SEED = 1
SLOWEST = {"check_sampler", "check_H", "check_mc", "load_denoiser", "from_diffusers", "law_of"}
BUNDLES = 16
QUICK = sorted(GOOD.keys() - SLOWEST)


def test_every_public_callable_has_a_good_call():
    assert set(public_names()) == {name.split()[0] for name in GOOD}


@pytest.mark.parametrize("bundle", range(BUNDLES))
def test_bad_arguments_are_refused_in_a_sentence(bundle):
    """One kind in 30 for each argument."""
    bad = [
        f"{each.target}({each.argument} = {each.kind}): {each.status} {each.told}"
        for each in outcomes(QUICK[bundle::BUNDLES], seed=SEED, share=1 / 30)
        if each.status in BAD
    ]
    assert not bad, "\n".join(bad)


# ------------------------------------------------------------------ the campaign itself notices


def spoils(x):
    x.mul_(2)


def draws(x):
    return torch.randn(2)


def draws_with_numpy(x):
    return np.random.rand()  # noqa: NPY002


def fails_inside_torch(x):
    return x @ torch.ones(7, 7)


def says_no(x):
    raise ValueError("x must be something else, but was what it is. Change it.")


WRONG = {
    "CHANGED": spoils,
    "RANDOM STATE": draws,
    "UNCLEAR": fails_inside_torch,
}


@pytest.mark.parametrize("status", WRONG)
def test_the_campaign_notices(status, monkeypatch):
    monkeypatch.setitem(good_calls.GOOD, "wrong", lambda: (WRONG[status], {"x": torch.ones(2, 3)}))
    assert attempt("wrong", "", None, 5.0)[0] == status


def test_the_campaign_notices_numpy_state(monkeypatch):
    monkeypatch.setitem(good_calls.GOOD, "wrong", lambda: (draws_with_numpy, {"x": 1.0}))
    assert attempt("wrong", "", None, 5.0)[:2] == ("RANDOM STATE", "numpy ")


def test_a_sentence_counts_only_if_the_package_raises_it(monkeypatch):
    monkeypatch.setitem(good_calls.GOOD, "wrong", lambda: (says_no, {"x": 1.0}))
    assert attempt("wrong", "", None, 5.0)[0] == "UNCLEAR"


def test_nan_from_finite_input_is_noticed(monkeypatch):
    good = lambda: (lambda x: 1 / torch.as_tensor(x), {"x": 2.0})  # noqa: E731
    monkeypatch.setitem(good_calls.GOOD, "wrong", good)
    assert campaign.GOOD is good_calls.GOOD
    assert {each.kind: each.status for each in outcomes(["wrong"])}["0"] == "NaN"


def test_what_takes_too_long_is_stopped(monkeypatch):
    def forever(x):
        while True:
            pass

    monkeypatch.setitem(good_calls.GOOD, "wrong", lambda: (forever, {"x": 1.0}))
    assert attempt("wrong", "", None, 0.2)[0] == "TOO LONG"
