from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from workflows.config import CampaignConfig, DynamicsSettings, PublishedWindow, StabilitySettings


def inside(annotation):
    """Models that an annotation names, in lists and alternatives too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from inside(part)


def models(model):
    yield model
    for field in model.model_fields.values():
        for found in inside(field.annotation):
            yield from models(found)


@pytest.mark.parametrize("model", list(models(CampaignConfig)), ids=lambda model: model.__name__)
def test_every_block_is_frozen_and_takes_no_unknown_key(model):
    assert model.model_config["frozen"] is True
    assert model.model_config["extra"] == "forbid"


@pytest.mark.parametrize("model", list(models(CampaignConfig)), ids=lambda model: model.__name__)
def test_every_key_is_described(model):
    for name, field in model.model_fields.items():
        block = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        assert field.description or (block and field.annotation.__doc__), name


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "with space", "Ångström"])
def test_a_name_must_do_as_a_file_name(name):
    with pytest.raises(ValidationError, match="pattern"):
        CampaignConfig.model_validate({"name": name, "candidates": {}})


@given(timestep_fs=st.floats(0.1, 5), frame_interval_fs=st.floats(0.1, 50))
def test_frames_are_no_closer_than_steps(timestep_fs, frame_interval_fs):
    values = {"timestep_fs": timestep_fs, "frame_interval_fs": frame_interval_fs}
    if frame_interval_fs < timestep_fs:
        with pytest.raises(ValidationError, match="store at most one frame a step"):
            DynamicsSettings(**values)
    else:
        assert DynamicsSettings(**values).frame_interval_fs == frame_interval_fs


@given(n_frames=st.floats(0.5, 100), frame_interval_fs=st.floats(2, 1000))
def test_a_run_holds_twenty_frames(n_frames, frame_interval_fs):
    assume(abs(n_frames - 20) > 1e-6)
    values = {
        "frame_interval_fs": frame_interval_fs,
        "production_ps": n_frames * frame_interval_fs / 1000,
    }
    if n_frames < 20:
        with pytest.raises(ValidationError, match="gives fewer than 20 frames"):
            DynamicsSettings(**values)
    else:
        DynamicsSettings(**values)


@pytest.mark.parametrize("share", [25, 1.01, 0, -0.25])
def test_a_relative_error_is_a_share_of_D(share):
    with pytest.raises(ValidationError, match="relative_error"):
        DynamicsSettings(relative_error=share)
    assert DynamicsSettings(relative_error=1).relative_error == 1


def test_a_segment_holds_a_frame():
    with pytest.raises(ValidationError, match=r"segment_ps=0.01 is shorter than"):
        DynamicsSettings(segment_ps=0.01, frame_interval_fs=20)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_a_temperature_is_named_once(temperatures_K):
    if len(set(temperatures_K)) < len(temperatures_K):
        with pytest.raises(ValidationError, match="names one twice"):
            DynamicsSettings(temperatures_K=tuple(temperatures_K))
    else:
        assert DynamicsSettings(temperatures_K=tuple(temperatures_K)).seed == 0


FILES = {"files": [{"path": "a.cif", "mobile_ion": "K"}]}


@pytest.mark.parametrize("gate", ["min_conductivity_300K_S_cm", "min_diffusivity_cm2_s"])
def test_what_dynamics_tells_cannot_be_asked_for_without_it(gate):
    gates = {gate: 1e-6}
    values = {"name": "a", "candidates": FILES, "dynamics": None}
    assert CampaignConfig.model_validate(values).dynamics is None
    with pytest.raises(ValidationError, match="set the gate to null, or give dynamics"):
        CampaignConfig.model_validate({**values, "gates": gates})


@pytest.mark.parametrize("formula", ["Na0.75Sm1.75Cl6", "KTaCl6"])
def test_a_published_window_has_a_formula_and_a_source(formula):
    assert PublishedWindow(formula=formula, source="doi:10.1000/1").reduction_limit_V is None
    with pytest.raises(ValidationError, match="source"):
        PublishedWindow(formula=formula)
    with pytest.raises(ValidationError, match="cannot be read as a formula"):
        PublishedWindow(formula="Kta5(", source="x")


@pytest.mark.parametrize("pin", ["abc", "A" * 64, "0" * 65, "notahexnumber"])
def test_a_pin_is_eight_or_more_hexadecimal_digits(pin):
    assert StabilitySettings(references_sha256="0123abcd").references_sha256 == "0123abcd"
    with pytest.raises(ValidationError, match="pattern"):
        StabilitySettings(references_sha256=pin)


def test_processes_of_the_embedded_potential_share_a_node():
    resources = {"relax": {"nodes": 2, "tasks": 2}}
    fields = {
        "name": "wide",
        "candidates": {"files": [{"path": "a.cif", "mobile_ion": "Na"}]},
        "execution": {"resources": resources},
    }
    with pytest.raises(ValidationError, match="2 nodes; the processes of engine chgnet share one"):
        CampaignConfig(**fields)
    assert CampaignConfig(**fields, engine={"name": "vasp"}).execution.resources.relax.nodes == 2
