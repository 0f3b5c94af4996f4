"""CHGNet's published weights, read from the file that its package ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from screening.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# The architecture whose equations `network` holds; a file that says otherwise is another model.
_ARCHITECTURE: dict[str, Any] = {
    "num_radial": 31,
    "num_angular": 31,
    "n_conv": 4,
    "update_bond": True,
    "update_angle": True,
    "mlp_first": True,
    "is_intensive": True,
    "non_linearity": "silu",
    "gMLP_norm": "layer",
    "readout_norm": "layer",
    "atom_fea_dim": 64,
    "bond_fea_dim": 64,
    "angle_fea_dim": 64,
    "atom_conv_hidden_dim": 64,
    "bond_conv_hidden_dim": 64,
    "angle_layer_hidden_dim": 0,
    "mlp_hidden_dims": [64, 64, 64],
    "learnable_rbf": True,
    "atom_graph_cutoff": 6,
    "bond_graph_cutoff": 3,
    "cutoff_coeff": 8,
}
# Arguments that change no energy: where the references come from (they are among the weights), how
# atoms would be pooled before the last perceptron (it comes first), how graphs are made, training.
_WITHOUT_EFFECT = {
    "composition_model",
    "read_out",
    "graph_converter_algorithm",
    "mlp_dropout",
    "conv_dropout",
    "version",
}
_OF_MAGNETIC_MOMENTS = {"site_wise.weight", "site_wise.bias"}
_N_NUMBERS = 412_460  # in all other tensors


@dataclass(frozen=True)
class Weights:
    """The tensors of one model by their names.

    Args:
        tensors: float32, as the package names them.
    """

    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, path: Path) -> Weights:
        """Weights of a checkpoint of the chgnet package.

        Raises:
            InvalidInput: no such checkpoint, or one of another architecture.
        """
        try:
            model = torch.load(path, map_location="cpu", weights_only=True)["model"]
            arguments: dict[str, Any] = model["model_args"]
            tensors: dict[str, Tensor] = model["state_dict"]
        except Exception as error:  # whatever a file that is something else makes torch raise
            raise InvalidInput(
                f"{path}: cannot be read as weights of CHGNet ({type(error).__name__}: {error}); "
                "needed: a checkpoint that the chgnet package ships; if it is one, reinstall chgnet"
            ) from error
        names = arguments.keys() | _ARCHITECTURE.keys()
        differences = [
            f"{name}={arguments.get(name)} (here {_ARCHITECTURE.get(name)})"
            for name in sorted(names - _WITHOUT_EFFECT)
            if arguments.get(name) != _ARCHITECTURE.get(name)
        ]
        if differences:
            raise InvalidInput(
                f"{path}: a model of another architecture than the one implemented: "
                f"{', '.join(differences)}; use the weights 0.3.0 or r2scan"
            )
        damaged = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if damaged:
            raise InvalidInput(
                f"{path}: {', '.join(damaged)} not finite; the file is damaged: reinstall chgnet"
            )
        return cls({name: tensor.float() for name, tensor in tensors.items()})

    def tensor(self, name: str) -> Tensor:
        """One of them.

        Raises:
            InvalidInput: there is none of that name.
        """
        if name not in self.tensors:
            raise InvalidInput(
                f"weights without {name}, which the implemented model needs; install the chgnet "
                "version of constraints.txt"
            )
        return self.tensors[name]

    def check_all_used(self, used: set[str]) -> None:
        """Refuse weights that hold more than what `network` computes with.

        Raises:
            InvalidInput: there are others, or those there are have other shapes.
        """
        unused = self.tensors.keys() - used - _OF_MAGNETIC_MOMENTS
        if unused:
            raise InvalidInput(
                f"weights that the implemented model does not know: {', '.join(sorted(unused))}; "
                "install the chgnet version of constraints.txt"
            )
        n_numbers = sum(self.tensors[name].numel() for name in used)
        if n_numbers != _N_NUMBERS:
            raise InvalidInput(
                f"weights of {n_numbers:,} numbers, where the implemented model has "
                f"{_N_NUMBERS:,}; install the chgnet version of constraints.txt"
            )
