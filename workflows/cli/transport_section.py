"""The transport of one candidate as people read it: each run, the Arrhenius law, conductivity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screening.rounding import rounded_up
from workflows.cli.stability_sections import section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from screening.transport.documents import Arrhenius, Diffusivity, Transport

Interval = tuple[float, float] | None


def transport_sections(transport: Transport) -> Iterator[RenderableType]:
    """What each temperature gave and why its run ended, then the law over all of them."""
    runs = {
        f"{entry.temperature_K:g} K": "\n".join(_run(entry, transport))
        for entry in transport.diffusivities
    }
    lost = {f"{t} K": f"{f.code}: {f.message}" for t, f in transport.failures.items()}
    yield section("transport", runs | lost)
    yield section("conductivity", _law(transport.arrhenius))


def diffusivity(value: Diffusivity) -> str:
    """A diffusivity with its 68 % interval, or its upper bound."""
    mark = "†" if value.framework_moves else ""
    if value.D_cm2_s is None or value.D_68_cm2_s is None:
        return f"< {power_above(value.upper_bound_cm2_s)}{mark}"
    return f"{power(value.D_cm2_s)} ({_range(value.D_68_cm2_s)}){mark}"


def power(value: float | None) -> str:
    """Two digits and an exponent without leading zeros; a dash where it is unknown."""
    if value is None:
        return "–"
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+")


def power_above(bound: float | None) -> str:
    """An upper bound as `power` writes it, rounded up: a tighter one is not known."""
    return power(None if bound is None else rounded_up(bound, 2))


def _run(entry: Diffusivity, transport: Transport) -> Iterator[str]:
    wider = f", 95 %: {_range(entry.D_95_cm2_s)}" if entry.D_95_cm2_s else ""
    yield f"D {diffusivity(entry)} cm²/s{wider}"
    facts = [f"{entry.n_hops:.1f} hops in {entry.duration_ps:.1f} ps"]
    if entry.dimensionality:
        facts.append(f"in {entry.dimensionality} dimension{'s' * (entry.dimensionality > 1)}")
    if entry.haven_ratio is not None:
        text = f"Haven ratio {entry.haven_ratio:.2f}"
        if entry.haven_ratio_68:
            text += " ({:.2f}…{:.2f})".format(*entry.haven_ratio_68)
        facts.append(text)
    if entry.rsd_he_2018 is not None:
        facts.append(f"RSD after He 2018 {entry.rsd_he_2018:.0%}")
    yield ", ".join(facts)
    if entry.equilibration:
        cut = entry.equilibration
        yield f"{cut.cut_ps:.3g} ps left out" + (f": {cut.test}" if cut.cut_ps > 0 else "")
    if end := transport.ends.get(f"{entry.temperature_K:g}"):
        yield f"ended, {end.outcome}: {end.message}"
    said = (entry.reason, *(motion.message for motion in entry.framework), *entry.caveats)
    yield from dict.fromkeys(text for text in said if text)


def _law(law: Arrhenius) -> dict[str, str]:
    """Entries without a value are left out by `section`."""
    lines = {
        "Ea of ln D and ln(σT)": _energy(
            law.activation_energy_eV, law.activation_energy_68_eV, law.activation_energy_95_eV
        ),
        "Ea of ln σ": _energy(
            law.activation_energy_ln_sigma_eV,
            law.activation_energy_ln_sigma_68_eV,
            law.activation_energy_ln_sigma_95_eV,
        ),
        "D0": _quantity(
            law.prefactor_cm2_s, law.prefactor_68_cm2_s, law.prefactor_95_cm2_s, "cm²/s"
        ),
        "D(300 K)": _quantity(law.D_300K_cm2_s, law.D_300K_68_cm2_s, law.D_300K_95_cm2_s, "cm²/s"),
        "σ(300 K)": _quantity(
            law.conductivity_300K_S_cm,
            law.conductivity_300K_68_S_cm,
            law.conductivity_300K_95_S_cm,
            "S/cm",
        ),
    }
    if law.correlation_Ea_ln_D0 is not None:
        lines["D0"] += f"; correlation of ln D0 with Ea {law.correlation_Ea_ln_D0:.3f}"
    if law.conductivity_300K_mS_cm is not None:
        lines["σ(300 K)"] += f"\n= {law.conductivity_300K_mS_cm:.2g} mS/cm"
        if low_high := law.conductivity_300K_68_S_cm:
            lines["σ(300 K)"] += " (68 %: {:.2g}…{:.2g})".format(*(1000 * s for s in low_high))
    if (highest := law.conductivity_300K_upper_bound_S_cm) is not None:
        lines["σ(300 K), 95 %"] = (
            f"< {power_above(highest)} S/cm = {rounded_up(1000 * highest, 2):.2g} mS/cm; "
            f"D(300 K) < {power_above(law.D_300K_upper_bound_cm2_s)} cm²/s"
        )
    if law.carriers_per_cm3 is not None:
        lines["carriers"] = (
            f"n = {power(law.carriers_per_cm3)} cm⁻³, z = {law.charge}; {law.conductivity_formula}"
        )
    if law.law is not None:
        lines["one law"] = f"{'yes' if law.law.holds else 'NO'}: {law.law.message}"
    lines["note"] = "\n".join([*([law.reason] if law.reason else []), *law.notes])
    return lines


def _energy(value_eV: float | None, in_68: Interval, in_95: Interval) -> str:
    if value_eV is None:
        return ""
    text = f"{value_eV:.3f} eV"
    if in_68 and in_95:
        text += " (68 %: {:.3f}…{:.3f}, 95 %: {:.3f}…{:.3f})".format(*in_68, *in_95)
    return text


def _quantity(value: float | None, in_68: Interval, in_95: Interval, unit: str) -> str:
    if value is None:
        return ""
    if in_68 is None or in_95 is None:
        return f"{power(value)} {unit}"
    return f"{power(value)} {unit} (68 %: {_range(in_68)}, 95 %: {_range(in_95)})"


def _range(interval: tuple[float, float]) -> str:
    return "…".join(map(power, interval))
