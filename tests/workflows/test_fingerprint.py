from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobflow import job
from pymatgen.core import Lattice, Structure

from workflows.config import DynamicsSettings
from workflows.fingerprint import fingerprint, identify

json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_like)
def test_the_same_inputs_have_the_same_fingerprint(inputs):
    assert fingerprint("relax", 1, inputs) == fingerprint("relax", 1, inputs)
    assert fingerprint("relax", 1, inputs) != fingerprint("relax", 2, inputs)
    assert fingerprint("relax", 1, inputs) != fingerprint("stability", 1, inputs)


@given(st.dictionaries(st.text(), st.integers(-(2**50), 2**50), min_size=2))
def test_order_of_keys_does_not_matter(inputs):
    assert fingerprint("a", 1, inputs) == fingerprint("a", 1, dict(reversed(inputs.items())))


@given(st.floats(1e-6, 1e6))
def test_last_bits_do_not_matter_but_digits_do(value):
    assert fingerprint("a", 1, value) == fingerprint("a", 1, float(np.nextafter(value, 0)))[
        :64
    ] or (f"{value:.10g}" != f"{np.nextafter(value, 0):.10g}")
    assert fingerprint("a", 1, value) != fingerprint("a", 1, value * 1.0001)


def test_negative_zero_is_zero():
    assert fingerprint("a", 1, [-0.0]) == fingerprint("a", 1, [0.0])


def test_rounding_noise_is_zero():
    assert fingerprint("a", 1, 6e-16) == fingerprint("a", 1, 0.0) != fingerprint("a", 1, 1e-9)


def test_another_process_gives_the_same_fingerprint():
    code = (
        "from pymatgen.core import Lattice, Structure\n"
        "from workflows.fingerprint import fingerprint\n"
        "s = Structure(Lattice.cubic(4.2), ['K', 'Cl'], [[0, 0, 0], [0.5, 0.5, 0.5]])\n"
        "print(fingerprint('relax', 1, [s, {'a', }.pop()]))"
    )
    structure = Structure(Lattice.cubic(4.2), ["K", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert printed == fingerprint("relax", 1, [structure, "a"])


def test_settings_and_structures_are_inputs():
    base = DynamicsSettings()
    longer = base.model_copy(update={"production_ps": 80.0})
    assert fingerprint("dynamics", 1, base) != fingerprint("dynamics", 1, longer)


def test_identity_follows_the_jobs_that_a_job_depends_on():
    @job
    def identity(value):
        return value

    def chain(value):
        first = identify(identity(value), "first", 1, value, {})
        return identify(identity(first.output), "second", 1, first.output, {"candidate": "x"})

    assert chain(1).uuid == chain(1).uuid
    assert chain(1).uuid != chain(2).uuid
    assert chain(1).metadata["candidate"] == "x"
    assert len(chain(1).metadata["fingerprint"]) == 64
    assert chain(1).output.uuid == chain(1).uuid


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_still_has_one_fingerprint(value):
    assert fingerprint("a", 1, value) == fingerprint("a", 1, value)
