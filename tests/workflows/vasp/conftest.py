import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder of a job; faults are counted beside the runs' own folders."""
    home = tmp_path / "job"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return home


@pytest.fixture
def faults(monkeypatch):
    """Function that tells the stand-in which faults to show."""
    return lambda text: monkeypatch.setenv("HALIDEFLOW_REHEARSAL_FAULTS", text)


@pytest.fixture
def executed(monkeypatch):
    """Function that tells this process how to run VASP."""
    from workflows.execution_settings import ExecutionSettings
    from workflows.vasp.execution import VARIABLE

    def tell(**settings):
        monkeypatch.setenv(VARIABLE, ExecutionSettings(**settings).model_dump_json())

    return tell
