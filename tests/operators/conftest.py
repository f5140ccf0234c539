"""``pytest tests/operators -k CircularBlur`` finds every test that concerns the class.

Not only those that carry its name in their own: a test goes by the operators that its code names,
and by those that it is handed as parameters.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache

import pytest
from strategies import OPERATORS

KINDS = {kind.__name__ for kind in OPERATORS}


@cache
def named_in(function: Callable) -> set[str]:
    """The operators in the source of a test, below its decorators."""
    _, _, body = inspect.getsource(function).partition("def ")
    return KINDS & set(re.findall(r"\w+", body))


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, pytest.Function):
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        handed = {(v if isinstance(v, type) else type(v)).__name__ for v in values}
        item.extra_keyword_matches |= named_in(item.function) | (handed & KINDS)
