"""What a campaign file says of VASP: settings that decide results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Self

from pydantic import ConfigDict, Field, WithJsonSchema, model_validator

from screening.ordering_settings import Settings

_Scalar = bool | int | float | str
# Editors and messages say what goes in the key's own words; the union says it in thirty.
IncarValue = Annotated[
    _Scalar | tuple[_Scalar, ...] | dict[str, _Scalar] | None,
    WithJsonSchema({"description": "value of the tag"}),
]
_Mesh = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]

# Energies of another functional share no hull with the Materials Project's; GGA = PE is PBE, but
# is not read as such.
_FUNCTIONAL = frozenset(
    {"GGA", "METAGGA", "LHFCALC", "IVDW", "LUSE_VDW", "AEXX", "AGGAC", "AGGAX", "ALDAC"}
    | {"LSOL", "LSORBIT", "LNONCOLLINEAR"}
)
_VDW = "VDW_"
_LEAST_CUTOFF_EV = 520  # of all Materials Project runs
_DOWNHILL = (1, 2, 3)  # values of IBRION
# Tag of a single point or of dynamics -> the key of the campaign that says it.
_OF_A_STATIC = {"NSW": "a single point", "IBRION": "a single point"}
_HUBBARD = "LDAU"
_BY_ELEMENT = frozenset({"MAGMOM", "LDAUU", "LDAUJ", "LDAUL"})
_NEWER = ("ML_", "NHC_")  # tags that upstream's list does not know yet begin so
_OF_DYNAMICS = {
    "NSW": "dynamics.segment_ps",
    "POTIM": "dynamics.timestep_fs",
    "TEBEG": "dynamics.temperatures_K",
    "TEEND": "dynamics.temperatures_K",
    "IBRION": "molecular dynamics",
    "ISIF": "a fixed cell",
    "SMASS": "dynamics.thermostat_period_fs",
    "MDALGO": "the Nosé–Hoover thermostat",
}


class KpointsSettings(Settings):
    """One mesh, as in VASP's KPOINTS file; INCAR's KSPACING is the other way to say it."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    gamma: _Mesh | None = Field(
        default=None, alias="Gamma", description="divisions of a mesh centred at Γ"
    )
    monkhorst_pack: _Mesh | None = Field(
        default=None, alias="Monkhorst-Pack", description="divisions of a Monkhorst-Pack mesh"
    )
    automatic: int | None = Field(
        default=None, alias="Automatic", gt=0, description="fully automatic: this length in Å"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [mesh for mesh in (self.gamma, self.monkhorst_pack, self.automatic) if mesh]
        if len(given) != 1:
            raise ValueError(
                f"kpoints names {len(given)} meshes; needed: one of Gamma, Monkhorst-Pack, "
                "Automatic"
            )
        return self


class CalculationSettings(Settings):
    """What one kind of VASP calculation does otherwise than its Maker."""

    incar: dict[str, IncarValue] = Field(
        default={},
        description="INCAR tags, such as {ENCUT: 600, ALGO: Normal}; a list for a list, a block of "
        "elements for MAGMOM and LDAUU; null takes a tag of the Maker out",
    )
    kpoints: KpointsSettings | None = Field(
        default=None, description="instead of the Maker's mesh: {Gamma: [2, 2, 2]}"
    )

    @model_validator(mode="after")
    def _tags_of_vasp(self) -> Self:
        if self.incar:
            _require_tags(self.incar)
        if self.kpoints is not None and self.incar.get("KSPACING") is not None:
            raise ValueError("kpoints and incar.KSPACING both say the mesh; leave out either")
        return self


class VaspSettings(Settings):
    """What VASP computes; of engines vasp and rehearsal, others leave it aside."""

    relax: CalculationSettings = Field(
        default=CalculationSettings(), description="both relaxations of MPGGADoubleRelaxStaticMaker"
    )
    static: CalculationSettings = Field(
        default=CalculationSettings(), description="the single point that the energy is from"
    )
    dynamics: CalculationSettings = Field(
        default=CalculationSettings(),
        description="molecular dynamics: not spin-polarised, Γ only, Nosé–Hoover",
    )
    potcar: dict[str, str] = Field(
        default={},
        description="POTCAR label of an element, such as {Ta: Ta_pv}, instead of the Materials "
        "Project's; with another one than theirs an energy is refused on their hull",
    )

    @model_validator(mode="after")
    def _labels_of_elements(self) -> Self:
        for symbol, label in self.potcar.items():
            if not re.fullmatch(rf"{re.escape(symbol)}([_.][\w.]+)?", label) or len(symbol) > 2:
                raise ValueError(
                    f"potcar: {label} is no label of {symbol}, such as {symbol} or {symbol}_sv"
                )
        return self

    @model_validator(mode="after")
    def _left_to_the_campaign(self) -> Self:
        for name in ("relax", "static"):
            calculation: CalculationSettings = getattr(self, name)
            tag = next((t for t in calculation.incar if t in _FUNCTIONAL or _VDW in t), None)
            if hubbard := next((t for t in calculation.incar if t.startswith(_HUBBARD)), None):
                raise ValueError(
                    f"{name}.incar sets {hubbard}: the Materials Project's own Hubbard U is set "
                    "where it has one, and another is refused on its hull; leave it out"
                )
            if tag:
                raise ValueError(
                    f"{name}.incar sets {tag}: energies of another functional share no hull with "
                    "the reference phases, and GGA = PE is not read as PBE; leave it out"
                )
            cutoff_eV = calculation.incar.get("ENCUT", _LEAST_CUTOFF_EV)
            if not isinstance(cutoff_eV, int | float) or cutoff_eV < _LEAST_CUTOFF_EV:
                raise ValueError(
                    f"{name}.incar sets ENCUT to {cutoff_eV}, below the {_LEAST_CUTOFF_EV} eV of "
                    "the reference phases; leave it out, or raise it"
                )
        relax = self.relax.incar
        if relax.get("IBRION", 2) not in _DOWNHILL or relax.get("NSW", 1) == 0:
            raise ValueError(
                "relax.incar sets IBRION or NSW so that nothing is relaxed; needed: IBRION 1, 2 or "
                "3, and NSW above 0"
            )
        for name, set_by in (("static", _OF_A_STATIC), ("dynamics", _OF_DYNAMICS)):
            calculation = getattr(self, name)
            if tag := next((tag for tag in calculation.incar if tag in set_by), None):
                raise ValueError(
                    f"{name}.incar sets {tag}, which follows from {set_by[tag]}; leave it out"
                )
        return self


def _require_tags(incar: Mapping[str, object]) -> None:
    """Refuse what is no tag of VASP.

    Raises:
        ValueError: with the nearest one.
    """
    known = _known_tags()
    for tag, value in incar.items():
        if tag in known or tag.startswith(_NEWER):
            _require_kind(tag, value, known.get(tag, ""))
            continue
        near = get_close_matches(tag.upper(), known, n=1, cutoff=0.7)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"incar: {tag} is no tag of VASP{hint}")


def _require_kind(tag: str, value: object, kind: str) -> None:
    """Refuse a value of another kind than a tag takes.

    Raises:
        ValueError: with what it takes.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits, needed = {
        "int": (is_number and isinstance(value, int), "a whole number"),
        "float": (is_number, "a number"),
        "bool": (isinstance(value, bool), "true or false"),
        "str": (isinstance(value, str), "a word"),
    }.get(kind, (True, ""))
    if tag in _BY_ELEMENT:
        fits, needed = isinstance(value, dict), "a block of elements, such as {Fe: 5}"
    elif isinstance(value, dict):
        fits, needed = False, needed or "a value"
    if value is not None and not fits:
        raise ValueError(f"incar: {tag} is {value!r}; needed: {needed}")


def _known_tags() -> dict[str, str]:
    """Tag -> kind of its value."""
    import json
    from importlib import resources

    file = resources.files("pymatgen.io.vasp") / "incar_parameters.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    return {tag: about.get("type", "") for tag, about in found.items()}
