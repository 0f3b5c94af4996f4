"""Weights of another model are refused by name, never read as if they were CHGNet's."""

from __future__ import annotations

import re

import pytest
import torch

from screening.errors import InvalidInput
from screening.potential.evaluation import Potential
from screening.potential.network import Network
from screening.potential.weights import Weights
from workflows.engines.chgnet import weights_file


@pytest.fixture
def changed(tmp_path):
    """Write the packaged checkpoint after a change to it."""

    def write(change):
        checkpoint = torch.load(weights_file("0.3.0"), map_location="cpu", weights_only=True)
        change(checkpoint["model"])
        path = tmp_path / "changed.pth.tar"
        torch.save(checkpoint, path)
        return path

    return write


def refused(path, *parts):
    """A file is refused with a message in which all parts occur."""
    with pytest.raises(InvalidInput) as caught:
        Potential(path, device="cpu")
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("model", ["0.3.0", "r2scan"])
def test_packaged_weights_are_read(model):
    weights = Weights.read(weights_file(model))
    assert sum(tensor.numel() for tensor in weights.tensors.values()) == 412_525
    assert {tensor.dtype for tensor in weights.tensors.values()} == {torch.float32}


def test_a_checkpoint_written_again_is_read(changed):
    assert Potential(changed(lambda model: None), device="cpu")


def test_the_older_model_is_refused():
    refused(weights_file("0.2.0"), "another architecture", "use the weights 0.3.0 or r2scan")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_conv", 5),
        ("non_linearity", "relu"),
        ("num_radial", 9),
        ("atom_graph_cutoff", 5),
        ("cutoff_coeff", 6),
        ("mlp_out_bias", True),
        ("conv_norm", "layer"),
        ("charge_embedding", True),
    ],
)
def test_another_architecture_is_refused_by_name(changed, name, value):
    def change(model):
        model["model_args"][name] = value

    refused(changed(change), f"{name}={value}", "another architecture", "0.3.0 or r2scan")


def test_an_argument_that_is_missing_is_refused_by_name(changed):
    refused(changed(lambda model: model["model_args"].pop("gMLP_norm")), "gMLP_norm=None")


PACKAGED = Weights.read(weights_file("0.3.0"))


@pytest.mark.parametrize(
    "name", sorted(name for name in PACKAGED.tensors if not name.startswith("site_wise"))
)
def test_a_missing_tensor_is_refused_by_name(name):
    """Each one that these equations use."""
    without = Weights({key: tensor for key, tensor in PACKAGED.tensors.items() if key != name})
    with pytest.raises(InvalidInput, match=f"without {re.escape(name)}, which"):
        Network(without, torch.device("cpu"))


def test_a_file_without_a_tensor_is_refused(changed):
    path = changed(lambda model: model["state_dict"].pop("bond_weights_bg.weight"))
    refused(path, "without bond_weights_bg.weight")


def test_a_renamed_tensor_is_refused(changed):
    def change(model):
        model["state_dict"]["bond_weights_new.weight"] = model["state_dict"].pop(
            "bond_weights_bg.weight"
        )

    refused(changed(change), "without bond_weights_bg.weight", "constraints.txt")


def test_a_further_tensor_is_refused_by_name(changed):
    def change(model):
        model["state_dict"]["charge_embedding.weight"] = torch.zeros(94, 64)

    refused(changed(change), "charge_embedding.weight", "does not know")


@pytest.mark.parametrize(
    "name", ["bond_embedding.weight", "mlp.layers.0.bias", "bond_weights_ag.weight"]
)
def test_a_tensor_of_another_shape_is_refused(changed, name):
    def change(model):
        model["state_dict"][name] = model["state_dict"][name][..., :1]

    refused(changed(change), "where the implemented model has 412,460", "constraints.txt")


def test_a_tensor_that_is_not_finite_is_refused_by_name(changed):
    def change(model):
        model["state_dict"]["mlp.layers.0.weight"][3, 5] = float("nan")

    refused(changed(change), "mlp.layers.0.weight", "not finite")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth.tar"
    path.write_bytes(content)
    refused(path, f"{path}: cannot be read as weights of CHGNet", "reinstall chgnet")


@pytest.mark.parametrize("content", [{}, {"model": {}}, {"state_dict": {}}, [1, 2], 3.0])
def test_a_checkpoint_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "weights.pth.tar"
    torch.save(content, path)
    refused(path, f"{path}: cannot be read as weights of CHGNet", "reinstall chgnet")


def test_a_half_written_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth.tar"
    path.write_bytes(weights_file("0.3.0").read_bytes()[:100_000])
    refused(path, "cannot be read as weights of CHGNet")


def test_no_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth.tar"
    refused(path, f"{path}: cannot be read as weights of CHGNet", "FileNotFoundError")
