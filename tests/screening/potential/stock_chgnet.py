"""CHGNet as its package computes it: in float32 as shipped, and the same code in float64."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import chgnet.model.model
import numpy as np
import pytest
import torch
from chgnet.graph.crystalgraph import CrystalGraph
from chgnet.model.composition_model import AtomRef
from chgnet.model.model import CHGNet
from numpy.typing import NDArray
from pymatgen.core import Structure

from screening.potential.evaluation import Potential
from screening.potential.graph import Crystal
from screening.potential.network import Network
from screening.potential.weights import Weights
from workflows.engines.chgnet import weights_file

EV_PER_A3_IN_GPA = 160.21766208
"""The package's own; what it calls GPa is eV/Å³ times this."""


@dataclass(frozen=True)
class Answer:
    """What is compared; stress in GPa, as the package gives it."""

    energy_eV_per_atom: float
    forces_eV_per_A: NDArray[np.floating]
    stress_GPa: NDArray[np.floating]

    def distances_from(self, other: Answer) -> NDArray[np.float64]:
        """Largest differences in energy, forces and stress."""
        return np.array(
            [
                abs(self.energy_eV_per_atom - other.energy_eV_per_atom),
                np.abs(self.forces_eV_per_A - other.forces_eV_per_A).max(),
                np.abs(self.stress_GPa - other.stress_GPa).max(),
            ]
        )


class _ExactReferences(AtomRef):
    """Energies of the elements whose composition is not rounded to float32."""

    def _assemble_graphs(self, graphs: list[CrystalGraph]) -> torch.Tensor:
        counts = [torch.bincount(g.atomic_number - 1, minlength=94).double() for g in graphs]
        return torch.stack([count / count.sum() for count in counts])


@functools.cache
def stock(model: str) -> CHGNet:
    """The package's network."""
    with contextlib.redirect_stdout(io.StringIO()):
        return CHGNet.load(model_name=model, use_device="cpu", verbose=False)


@functools.cache
def _stock_float64(model: str) -> CHGNet:
    network = copy.deepcopy(stock(model)).double()
    network.composition_model.__class__ = _ExactReferences
    return network


@contextlib.contextmanager
def _float64() -> Iterator[None]:
    """Whatever the package would make in float32, it makes in float64."""
    before = torch.get_default_dtype()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chgnet.model.model, "TORCH_DTYPE", torch.float64)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(before)


def stock_graphs(structures: Sequence[Structure]) -> list[CrystalGraph]:
    """Graphs as the package makes them; those of all its models are the same."""
    return [stock("0.3.0").graph_converter(structure) for structure in structures]


def stock_answers(graphs: Sequence[CrystalGraph], model: str = "0.3.0") -> list[Answer]:
    """What the package says, in float32 as shipped."""
    return _answers(stock(model), graphs)


def stock_float64_answers(
    structures: Sequence[Structure], graphs: Sequence[CrystalGraph], model: str = "0.3.0"
) -> list[Answer]:
    """The same code, weights and graphs with every number in float64."""
    doubled = []
    for structure, graph in zip(structures, graphs, strict=True):
        made = copy.copy(graph)
        made.atom_frac_coord = torch.tensor(structure.frac_coords, requires_grad=True)
        made.lattice = torch.tensor(structure.lattice.matrix, requires_grad=True)
        made.neighbor_image = graph.neighbor_image.double()
        doubled.append(made)
    with _float64():
        return _answers(_stock_float64(model), doubled)


def _answers(network: CHGNet, graphs: Sequence[CrystalGraph]) -> list[Answer]:
    predictions = network.predict_graph(list(graphs), task="efs", batch_size=4)
    return [
        Answer(float(one["e"]), one["f"], one["s"])
        for one in ([predictions] if len(graphs) == 1 else predictions)
    ]


@functools.cache
def ours(model: str = "0.3.0") -> Potential:
    """The potential under test."""
    return Potential(weights_file(model), device="cpu")


@functools.cache
def ours_float64(model: str = "0.3.0") -> Potential:
    """Its equations with every number in float64."""
    potential = Potential(weights_file(model), device="cpu")
    tensors = Weights.read(weights_file(model)).tensors
    doubled = Weights({name: tensor.double() for name, tensor in tensors.items()})
    potential._network = Network(doubled, torch.device("cpu"))
    return potential


def crystal(structure: Structure) -> Crystal:
    return Crystal(
        np.array(structure.atomic_numbers), structure.cart_coords, structure.lattice.matrix
    )


def our_answers(potential: Potential, structures: Sequence[Structure]) -> list[Answer]:
    return [
        Answer(
            one.energy_eV / len(structure),
            one.forces_eV_per_A,
            one.stress_eV_per_A3 * EV_PER_A3_IN_GPA,
        )
        for one, structure in zip(
            potential.evaluate([crystal(structure) for structure in structures]),
            structures,
            strict=True,
        )
    ]
