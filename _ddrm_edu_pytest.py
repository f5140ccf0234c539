"""The doorstep of the pytest plugin: ``pytest --H my_file.py:make_H``.

It is a module of its own because pytest imports it in every run of the environment, and whatever
lies below ``ddrm_edu`` would import torch as well; that is done only if ``--H`` is given.
"""

import pytest


def pytest_addoption(parser):
    group = parser.getgroup("ddrm-edu", "your own H, tested with all that DDRM needs of it")
    group.addoption(
        "--H",
        dest="ddrm_H",
        metavar="FILE.py:NAME",
        help="collect the checks of this matrix, operator, function or maker of one, and no other "
        "tests",
    )
    group.addoption(
        "--H-in-shape",
        dest="ddrm_in_shape",
        metavar="C,H,W",
        help="shape of one image, if H is a function",
    )
    group.addoption(
        "--H-sigma-y",
        dest="ddrm_sigma_y",
        metavar="SIGMA",
        type=float,
        default=0.05,
        help="noise in y (default: 0.05)",
    )
    group.addoption(
        "--H-truth",
        dest="ddrm_truth",
        metavar="NAME",
        help="name in FILE.py of H, built another way",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if config.getoption("ddrm_H"):
        from ddrm_edu.pytest_plugin import OwnHPlugin

        config.pluginmanager.register(OwnHPlugin(config), "ddrm_edu_own_H")
