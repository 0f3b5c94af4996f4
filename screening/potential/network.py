"""CHGNet's equations, for many structures at once.

The model is Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3, as its
package (version 0.3.0 of the weights and later) computes it. With atoms i, bonds ij of length
r_ij < 6 Å, angles between two bonds shorter than 3 Å at one atom, and | for concatenation:

    radial   e_n(r) = f(r) sqrt(2 / R) sin(w_n r / R) / r,   f a polynomial: 1 at 0, 0 at R
    angular  c(t)   = (1 / sqrt 2, sin w_n t, cos w_n t) / sqrt pi
    start    v_i = V(Z_i),  b_ij = B e(r_ij),  a_ijk = A c(t_ijk)
    smooth   u_ij = U e(r_ij),  s_ij = S e'(r_ij)
    atoms    v_i   <- v_i   + L  sum_j  u_ij phi(v_i | b_ij | v_j)
    bonds    b_ij  <- b_ij  + L' sum_k  s_ij s_ik phi'(b_ij | b_ik | a_ijk | v_i)
    angles   a_ijk <- a_ijk + phi''(b_ij | b_ik | a_ijk | v_i)
    gate     phi(x) = silu(norm(core(x))) * sigmoid(norm(gate(x)))
    energy   E = sum_i mlp(norm(v_i)) + E_ref(Z_i)

R is 6 Å in e and 3 Å in e'. Atoms are updated four times, bonds three times in between, angles
twice after bonds (the package updates them a third time, which reaches no energy). Only bonds below
3 Å have angles and ever change.

What makes this faster than the package and changes no number but by rounding:

- the first layer of a gate is linear: its blocks act once on each atom and each bond, and what they
  give is gathered and summed for each message;
- both directions of a bond share what depends on the bond alone, and a long bond's share is one
  product of its radial functions;
- energies depend on bond vectors alone, so that one backward pass gives forces and stress, and no
  graph of second derivatives is kept;
- gates, in which nearly all time is spent, bring their own derivative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from screening.potential.graph import CUTOFF_A, SHORT_CUTOFF_A

if TYPE_CHECKING:
    from torch import Tensor

    from screening.potential.graph import Graph
    from screening.potential.weights import Weights

N_FEATURES = 64
N_UPDATES = 4
ALIKE_ROWS = 4
"""From so many rows on, each row of a product of matrices is what it is among any others, and in
float64 in multiples of it: on a CPU, in one thread, a structure has the same energy, bit by bit, in
whatever batch. No library promises that; it is tested."""
_CUTOFF_EXPONENT = 8
_NORM_EPS = 1e-5
_COSINE_SHRINK = 1 - 1e-6  # the model's own; keeps the slope of the arc cosine finite


@dataclass(frozen=True)
class _Gate:
    """A gated perceptron; its core comes first and its gate second, wherever both are side by side.

    Args:
        blocks: the first layer, one matrix of shape (64, 128) for each of its inputs.
        bias: of the first layer, shape (128,).
        hidden: weights (64, 64) and bias (64,) of a second layer of core and gate, if there is one.
        norms: weight and bias of the layer norms of core and gate.
    """

    blocks: tuple[Tensor, ...]
    bias: Tensor
    hidden: tuple[tuple[Tensor, Tensor], ...]
    norms: tuple[tuple[Tensor, Tensor], ...]


class _GatedSum(torch.autograd.Function):  # type: ignore[misc]  # torch is not typed here
    """A gate of messages whose first layer is a sum over rows of tables.

    `forward(gate, own, indices, *tables)` gives shape (n, 64):

        own: shape (n, 128), or (n / 2, 128) where both directions of a bond share it.
        indices: for each table, the row that each message takes, shape (n,).
        tables: what a block of the first layer gave for each atom or bond, shape (m, 128).
    """

    @staticmethod
    def forward(
        ctx: Any, gate: _Gate, own: Tensor, indices: tuple[Tensor, ...], *tables: Tensor
    ) -> Tensor:
        first = tables[0].index_select(0, indices[0])
        for table, index in zip(tables[1:], indices[1:], strict=True):
            first += table.index_select(0, index)
        first.view(-1, *own.shape).add_(own)
        halves = (functional.silu(first) if gate.hidden else first).split(N_FEATURES, dim=1)
        if gate.hidden:
            halves = tuple(
                torch.addmm(bias, half, weight)
                for half, (weight, bias) in zip(halves, gate.hidden, strict=True)
            )
        (core, *moments_core), (opening, *moments_gate) = (
            torch.native_layer_norm(half, (N_FEATURES,), weight, bias, _NORM_EPS)
            for half, (weight, bias) in zip(halves, gate.norms, strict=True)
        )
        opening.sigmoid_()
        active = functional.silu(core)
        ctx.gate, ctx.indices = gate, indices
        ctx.n_own, ctx.n_rows = len(own), [len(table) for table in tables]
        ctx.save_for_backward(first, *halves, *moments_core, *moments_gate, core, active, opening)
        return active * opening

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        first, *halves, mean0, inverse0, mean1, inverse1, core, active, opening = ctx.saved_tensors
        gate: _Gate = ctx.gate
        aten = torch.ops.aten
        of_norms = (
            aten.silu_backward(gradient * opening, core),
            aten.sigmoid_backward(gradient * active, opening),
        )
        of_halves = [
            aten.native_layer_norm_backward(
                of_norm, half, (N_FEATURES,), mean, inverse, weight, bias, (True, False, False)
            )[0]
            for of_norm, half, mean, inverse, (weight, bias) in zip(
                of_norms, halves, (mean0, mean1), (inverse0, inverse1), gate.norms, strict=True
            )
        ]
        if gate.hidden:
            of_first = torch.empty_like(first)
            for target, of_half, (weight, _) in zip(
                of_first.split(N_FEATURES, dim=1), of_halves, gate.hidden, strict=True
            ):
                torch.mm(of_half, weight.T, out=target)
            aten.silu_backward.grad_input(of_first, first, grad_input=of_first)
        else:
            of_first = torch.cat(of_halves, dim=1)
        n_own = ctx.n_own
        of_own = of_first if len(of_first) == n_own else of_first[:n_own] + of_first[n_own:]
        of_tables = (
            of_first.new_zeros(n, 2 * N_FEATURES).index_add_(0, index, of_first)
            for n, index in zip(ctx.n_rows, ctx.indices, strict=True)
        )
        return None, of_own, None, *of_tables


@dataclass(frozen=True)
class _Radial:
    """Bessel functions under a smooth cutoff.

    Args:
        frequencies: shape (n_radial,).
        cutoff_A: where the functions and their first two derivatives reach zero.
    """

    frequencies: Tensor
    cutoff_A: float

    def __call__(self, lengths_A: Tensor) -> Tensor:
        """Shape (n, n_radial), of lengths of shape (n,) that are all below the cutoff."""
        p = _CUTOFF_EXPONENT
        x = lengths_A / self.cutoff_A
        power = x.square().square().square()  # pow rounds otherwise where an array ends
        envelope = 1 - power * ((p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x * x)
        scale = math.sqrt(2 / self.cutoff_A) * envelope / lengths_A
        dtype = self.frequencies.dtype
        return scale.to(dtype)[:, None] * torch.sin(torch.outer(x.to(dtype), self.frequencies))


class Network:
    """The model with its weights.

    Args:
        weights: of one model, all of which must be known here.
        device: where to compute.

    Raises:
        InvalidInput: a tensor is missing, or of another shape, or one that no equation here uses.
    """

    def __init__(self, weights: Weights, device: torch.device) -> None:
        used = set()

        def tensor(name: str) -> Tensor:
            used.add(name)
            return weights.tensor(name).to(device)

        def matrix(name: str) -> Tensor:
            return tensor(f"{name}.weight").T.contiguous()

        def pair(name: str) -> tuple[Tensor, Tensor]:
            return tensor(f"{name}.weight"), tensor(f"{name}.bias")

        def gates(name: str, first: int, second: int | None, n_gates: int) -> list[_Gate]:
            return [gate(name.format(n), first, second) for n in range(n_gates)]

        def gate(name: str, first: int, second: int | None) -> _Gate:
            core, opening = (f"{name}.mlp_{side}.layers" for side in ("core", "gate"))
            layer = torch.cat([matrix(f"{core}.{first}"), matrix(f"{opening}.{first}")], dim=1)
            return _Gate(
                blocks=tuple(block.contiguous() for block in layer.split(N_FEATURES)),
                bias=torch.cat([tensor(f"{side}.{first}.bias") for side in (core, opening)]),
                hidden=tuple(
                    (matrix(f"{side}.{second}"), tensor(f"{side}.{second}.bias"))
                    for side in (core, opening)
                    if second is not None
                ),
                norms=(pair(f"{name}.bn1"), pair(f"{name}.bn2")),
            )

        self._atom_gates = gates("atom_conv_layers.{}.twoBody_atom", 0, 3, N_UPDATES)
        self._bond_gates = gates("bond_conv_layers.{}.twoBody_bond", 0, 3, N_UPDATES - 1)
        self._angle_gates = gates("angle_layers.{}.twoBody_bond", 1, None, N_UPDATES - 1)
        self._atom_out = [
            matrix(f"atom_conv_layers.{n}.mlp_out.layers.1") for n in range(N_UPDATES)
        ]
        self._bond_out = [
            matrix(f"bond_conv_layers.{n}.mlp_out.layers.1") for n in range(N_UPDATES - 1)
        ]
        self.reference_energies_eV = tensor("composition_model.fc.weight")[0].double()
        self.n_elements = len(self.reference_energies_eV)
        self._atoms = tensor("atom_embedding.embedding.weight")
        bessel = "bond_basis_expansion.rbf_expansion_{}.frequencies"
        self._radial = _Radial(tensor(bessel.format("ag")), CUTOFF_A)
        self._short_radial = _Radial(tensor(bessel.format("bg")), SHORT_CUTOFF_A)
        self._angular_frequencies = tensor(
            "angle_basis_expansion.fourier_expansion.frequencies"
        ).double()
        self._bonds = matrix("bond_embedding")
        self._bond_weights = matrix("bond_weights_ag")
        self._short_weights = matrix("bond_weights_bg")
        self._angles = matrix("angle_embedding").double() / math.sqrt(math.pi)
        self._readout_norm = pair("readout_norm")
        self._readout = [pair(f"mlp.layers.{n}") for n in (0, 2, 4, 7)]
        weights.check_all_used(used)
        self._long_bonds = [self._bonds @ gate.blocks[1] for gate in self._atom_gates]

    def energies_eV(self, vectors_A: Tensor, graph: Graph) -> Tensor:
        """Energies, shape (n_structures,), float64; differentiable once, by the bond vectors.

        Args:
            vectors_A: from the first to the second atom of every bond, shape (n_bonds, 3), float64:
                an angle near 180° has too few digits in float32 for its forces.
            graph: which atoms these are.
        """
        n_short = graph.n_short
        lengths_A = torch.linalg.norm(vectors_A, dim=1)
        radial = self._radial(lengths_A)
        weights = radial @ self._bond_weights
        long_radial = radial[n_short:]
        atoms = self._atoms.index_select(0, graph.species)
        bonds = radial[:n_short] @ self._bonds
        angles, angle_weights = self._start_angles(vectors_A[:n_short], lengths_A[:n_short], graph)
        n_angles = len(graph.angle_bonds)  # none in LiI, or in molecules of two atoms
        for n in range(N_UPDATES):
            gate = self._atom_gates[n]
            of_centre, of_bond, of_neighbour = gate.blocks
            messages = _GatedSum.apply(
                gate,
                torch.cat([bonds @ of_bond, long_radial @ self._long_bonds[n]]),
                (graph.centres, graph.neighbours),
                torch.addmm(gate.bias, atoms, of_centre),
                atoms @ of_neighbour,
            )
            messages = (messages.view(2, *weights.shape) * weights).view(-1, N_FEATURES)
            received = torch.zeros_like(atoms).index_add(0, graph.centres, messages)
            atoms = torch.addmm(atoms, received, self._atom_out[n])
            if n_angles and n < N_UPDATES - 1:
                messages = _of_angles(self._bond_gates[n], atoms, bonds, angles, graph)
                received = torch.zeros_like(bonds).index_add(
                    0, graph.angle_bonds, messages * angle_weights
                )
                bonds = torch.addmm(bonds, received, self._bond_out[n])
            if n_angles and n < N_UPDATES - 2:
                angles = angles + _of_angles(self._angle_gates[n], atoms, bonds, angles, graph)
        return self._read_out(atoms, graph)

    def _start_angles(
        self, vectors_A: Tensor, lengths_A: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """Features of all angles, and what smooths their messages, both of shape (n_angles, 64).

        In float64 up to here: the slope of the arc cosine magnifies what rounding leaves of forces
        a hundred times where atoms stand in line, as in every octahedron.
        """
        units = vectors_A / lengths_A[:, None]
        pairs = graph.angle_bonds, graph.other_bonds
        one, other = (units.index_select(0, bonds) for bonds in pairs)
        cosines = graph.angle_signs * (one * other).sum(1)
        cosines = functional.pad(cosines, (0, -len(cosines) % ALIKE_ROWS))
        phases = torch.outer(torch.acos(cosines * _COSINE_SHRINK), self._angular_frequencies)
        constant = phases.new_full((len(phases), 1), 1 / math.sqrt(2))
        fourier = torch.cat([constant, torch.sin(phases), torch.cos(phases)], dim=1)
        smooth = self._short_radial(lengths_A) @ self._short_weights
        smooth_one, smooth_other = (smooth.index_select(0, bonds) for bonds in pairs)
        angles = (fourier @ self._angles)[: len(graph.angle_bonds)]
        return angles.to(smooth.dtype), smooth_one * smooth_other

    def _read_out(self, atoms: Tensor, graph: Graph) -> Tensor:
        """Energies of all atoms, with those of their elements, summed over structures."""
        values = functional.layer_norm(atoms, (N_FEATURES,), *self._readout_norm, _NORM_EPS)
        for weight, bias in self._readout[:-1]:
            values = functional.silu(functional.linear(values, weight, bias))
        weight, bias = self._readout[-1]
        energies_eV = ((values * weight[0]).sum(1) + bias).double()
        energies_eV = energies_eV + self.reference_energies_eV.index_select(0, graph.species)
        return energies_eV.new_zeros(graph.n_structures).index_add(0, graph.owners, energies_eV)


def _of_angles(gate: _Gate, atoms: Tensor, bonds: Tensor, angles: Tensor, graph: Graph) -> Tensor:
    """A gate of all angles: of both their bonds, themselves and their atom; (n_angles, 64)."""
    of_bond, of_other, of_angle, of_atom = gate.blocks
    messages: Tensor = _GatedSum.apply(
        gate,
        angles @ of_angle,
        (graph.angle_bonds, graph.other_bonds, graph.angle_centres),
        bonds @ of_bond,
        bonds @ of_other,
        torch.addmm(gate.bias, atoms, of_atom),
    )
    return messages
