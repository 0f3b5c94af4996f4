"""Settings of all tests, made before anything is imported that reads them."""

import os

# Processes, not threads, share the cores; and sums keep their order, so energies their last digits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

# The first example compiles what is compiled on the way, and machines are noisy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
