"""Numbers that count something: positive integers of any kind, and nothing else."""

import numpy as np
import pytest

from gtn_core.counts import require_counts
from gtn_core.errors import UsageError


def test_positive_integers_of_any_kind_are_accepted():
    require_counts(steps=1, agents=np.int64(20))


@pytest.mark.parametrize("value", [0, -3, 2.0, True, "4", None])
def test_what_counts_nothing_is_rejected_by_name(value):
    with pytest.raises(UsageError, match=f"agents must be a positive integer, got {value!r}"):
        require_counts(steps=1, agents=value)
