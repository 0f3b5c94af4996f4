"""Settings of all tests, made before anything is imported that reads them."""

import os

# Processes, not threads, share the cores; and sums keep their order, so energies their last digits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
