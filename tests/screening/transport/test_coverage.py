"""Intervals hold the known diffusivity as often as they say, class by class of synthetic walks.

`benchmarks/transport.py` does the same with more replicas, beside other tools.
"""

import pytest
from transport_coverage import Answer, Coverage
from walks import CLASSES

from screening.transport.analysis import analyse_run

N_REPLICAS = 120


@pytest.mark.slow
@pytest.mark.parametrize("title", CLASSES)
def test_intervals_cover(title):
    """Bounds are those of 400 replicas, 62–74 % and 92–98 %, widened by the smaller number's."""
    hopping = CLASSES[title]
    runs = (hopping.walk(seed).trajectory for seed in range(1000, 1000 + N_REPLICAS))
    answers = [Answer.of_ours(analyse_run(run, "K")) for run in runs]
    ours = Coverage.over(answers, hopping.D_cm2_s)
    assert ours.values > 0.95
    assert 0.57 <= ours.covers_68 <= 0.79
    assert ours.covers_95 >= 0.90
    assert abs(ours.median_bias) < 0.03 + 2 * 1.25 * ours.spread / N_REPLICAS**0.5
