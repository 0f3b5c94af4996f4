"""Stored shapes of the stability stage: windows, voltage profiles, guards, interfaces."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from screening.documents import Document, StageDocument


class Limit(Document):
    """One end of a window: the potential against the metal, and what forms beyond it."""

    potential_V: float
    potential_68_V: tuple[float, float] | None = None
    products: tuple[str, ...]
    reaction: str


class Window(Document):
    """Between reduction (lower) and oxidation (upper)."""

    reduction: Limit
    oxidation: Limit
    width_68_V: tuple[float, float] | None = None

    @property
    def width_V(self) -> float:
        """Zero where the limits coincide or the reduction limit lies above the other."""
        return max(0.0, self.oxidation.potential_V - self.reduction.potential_V)


class VoltageStep(Document):
    """What happens at one potential, on the way down; amounts per candidate formula unit."""

    potential_V: float
    reaction: str
    products: dict[str, float] = Field(description="in equilibrium below this potential")
    n_metal: float = Field(description="atoms of A in the products, per formula unit")
    capacity_mAh_g: float = Field(description="charge that passes at this potential")
    energy_Wh_kg: float = Field(description="potential times charge, against the metal")
    reaction_energy_eV: float = Field(
        description="products - candidate - metal taken up, per formula unit of the candidate"
    )


class VoltageProfile(Document):
    """Equilibrium against the metal at every potential, from fully oxidised to fully reduced.

    `decomposition_energies_eV_per_atom` is ΔE_D(V) = E_eq - E_candidate - Δn μ_A <= 0, per atom of
    the candidate, with Δn = n_A(eq) - n_A(candidate); it is linear between the
    `decomposition_potentials_V`.
    """

    oxidized: dict[str, float] = Field(description="in equilibrium above the highest step")
    steps: tuple[VoltageStep, ...] = Field(description="by falling potential")
    decomposition_potentials_V: tuple[float, ...]
    decomposition_energies_eV_per_atom: tuple[float, ...]


class Guard(Document):
    """One check on whether a number is sound."""

    name: str
    passed: bool
    message: str


class InterfaceReaction(Document):
    """What a mixture of the candidate and a partner turns into at one mixing ratio."""

    mixing_fraction: float = Field(
        ge=0,
        le=1,
        description="of the candidate; by atoms, at an open interface those other than A",
    )
    energy_eV_per_atom: float = Field(le=0, description="products - unmixed candidate and partner")
    mutual_energy_eV_per_atom: float = Field(
        le=0, description="of it, beyond what the two would gain by decomposing on their own"
    )
    products: dict[str, float] = Field(
        description="reduced formula -> formula units per formula unit of the candidate (of the "
        "partner, where the mixing fraction is zero)"
    )
    reaction: str


class Interface(Document):
    """Reaction of the candidate with a partner over the mixing ratio.

    Energies are per atom of the mixture; per atom other than the metal A at an interface that is
    open to A. They are linear in the mixing fraction between the `kinks`, from the partner alone
    (0) to the candidate alone (1).
    """

    partner: str
    condition: Literal["closed", "open"] = Field(description="open: to the metal A, at a potential")
    potential_V: float | None = Field(description="against A; None for a closed interface")
    worst_energy_eV_per_atom: float = Field(le=0)
    mixing_fraction: float = Field(description="of the candidate, where the energy is worst")
    products: dict[str, float]
    reaction: str
    kinks: tuple[InterfaceReaction, ...] = Field(min_length=1, description="by rising fraction")

    @property
    def worst_mutual(self) -> InterfaceReaction:
        """Where the two gain most by reacting with each other."""
        return min(self.kinks, key=lambda kink: kink.mutual_energy_eV_per_atom)


class Stability(Document):
    """Place on the convex hull and electrochemical stability windows.

    The candidate's own window ends where the candidate itself would react while it takes up the
    metal or gives it off. The equilibrium's window is that of the other phases that coexist at its
    composition, into which a metastable candidate decomposes. `window_of` names the one that is
    ranked: the candidate's own if it is stable.
    """

    formation_energy_eV_per_atom: float
    e_hull_eV_per_atom: float = Field(ge=0)
    energy_below_competitors_eV_per_atom: float = Field(
        description="hull of all other phases minus the candidate; positive for a stable candidate"
    )
    decomposition: dict[str, float] = Field(description="formula -> amount per candidate formula")
    candidate_window: Window = Field(
        description="a metastable candidate may have none: reduction then lies above oxidation"
    )
    equilibrium_window: Window
    window_of: Literal["candidate", "equilibrium"]
    profile: VoltageProfile
    guards: tuple[Guard, ...]
    interfaces: tuple[Interface, ...] = ()
    references_sha256: str = Field(description="of the phases of its chemical system")
    caveats: tuple[str, ...] = ()

    @property
    def window(self) -> Window:
        """The window that `window_of` names."""
        return self.candidate_window if self.window_of == "candidate" else self.equilibrium_window

    @property
    def suspect(self) -> bool:
        """Whether a guard failed: the numbers should not be believed before its cause is found."""
        return not all(guard.passed for guard in self.guards)

    @property
    def reduction_limit_V(self) -> float:
        """Of the window that is ranked."""
        return self.window.reduction.potential_V

    @property
    def oxidation_limit_V(self) -> float:
        """Of the window that is ranked."""
        return self.window.oxidation.potential_V


class StabilityDocument(StageDocument):
    """Answer of the stability stage."""

    result: Stability | None = None
