"""Thresholds after each stage, and which of them a candidate breaks first."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from screening.documents import Rejection


class Gates(BaseModel):
    """Thresholds a candidate must meet; null opens a gate.

    Names are `max_` or `min_` and the quantity, so that a rejection reads by itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_volume_change_percent: float | None = Field(
        default=None, gt=0, description="after relaxing: largest |volume change|"
    )
    max_e_above_lowest_eV_per_atom: float | None = Field(
        default=None,
        ge=0,
        description="after relaxing all orderings of a composition in a host: highest energy above "
        "the lowest of them; 0 lets only that one through",
    )
    max_e_hull_eV_per_atom: float | None = Field(
        default=0.05, ge=0, description="after stability: highest energy above the hull"
    )
    min_window_V: float | None = Field(
        default=None, ge=0, description="after stability: narrowest electrochemical window"
    )
    max_reduction_limit_V: float | None = Field(
        default=None, description="after stability: highest reduction limit against the metal"
    )
    min_oxidation_limit_V: float | None = Field(
        default=None, description="after stability: lowest oxidation limit against the metal"
    )
    min_diffusivity_cm2_s: float | None = Field(
        default=None,
        gt=0,
        description="after transport: lowest diffusivity, at every temperature of dynamics",
    )
    min_conductivity_300K_S_cm: float | None = Field(
        default=None, gt=0, description="after transport: lowest conductivity at 300 K"
    )

    def first_broken(self, values: dict[str, float | None]) -> Rejection | None:
        """The first gate, in the order above, that one of `values` does not meet.

        Args:
            values: quantity name (the gate's name without `max_` or `min_`) -> value. Quantities
                left out are not asked for at this stage; an unknown value (None) breaks no gate,
                because a candidate is not rejected for what nobody knows.
        """
        for gate in type(self).model_fields:
            threshold = getattr(self, gate)
            bound, quantity = gate.split("_", 1)
            value = values.get(quantity)
            if threshold is None or value is None:
                continue
            if not (value <= threshold if bound == "max" else value >= threshold):
                return Rejection(gate=gate, value=value, threshold=threshold)
        return None
