import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from workflows.config import CampaignConfig, DynamicsSettings


def models(model):
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from models(field.annotation)


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


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_a_temperature_is_named_once(temperatures_K):
    if len(set(temperatures_K)) < len(temperatures_K):
        with pytest.raises(ValidationError, match="names one twice"):
            DynamicsSettings(temperatures_K=tuple(temperatures_K))
    else:
        assert DynamicsSettings(temperatures_K=tuple(temperatures_K)).seed == 0
