"""What the campaign file says about candidates: families, the user's structures, substitutions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from screening.errors import InvalidInput
from screening.formulas import (
    Formula,
    check_letter,
    exact_fraction,
    parse_formula,
    parse_ion,
    written,
)
from screening.ordering_settings import (
    ClusterSubstitution,
    ElementSymbol,
    Ion,
    MaxOrderings,
    MoreOrderings,
    OxidationStates,
    Replace,
    Seed,
    Settings,
    Supercell,
    SupercellsUpTo,
    WhenMore,
    accepted_by,
    listed,
    n_cells,
    shape_of,
)
from screening.prototypes.library import load_prototype

__all__ = [
    "CandidateSettings",
    "CationRole",
    "ClusterSubstitution",
    "ElementSymbol",
    "Equimolar",
    "Family",
    "MobileIon",
    "Settings",
    "StructureFile",
    "Substitution",
    "Supercell",
    "SupercellsUpTo",
    "WhenMore",
    "XRange",
    "family_formula",
    "n_cells",
]

Letter = Annotated[str, accepted_by(check_letter)]
MobileIon = Literal["Li", "Na", "K"]
CationRole = Literal["mobile", "framework", "vacant"]

_MAX_GRID = 1000


class Equimolar(Settings):
    """Every mixture of so many of these elements in equal shares."""

    equimolar: int = Field(ge=2, description="elements in each mixture", examples=[4])
    of: tuple[Ion, ...] = Field(
        min_length=2, description="elements to choose from", examples=[["Y", "In", "Sc", "Er"]]
    )

    @model_validator(mode="after")
    def _enough_elements(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError(f"of names an element twice: {', '.join(self.of)}")
        if self.equimolar > len(self.of):
            raise ValueError(
                f"equimolar is {self.equimolar}, but there are only {len(self.of)} elements to "
                "choose from"
            )
        return self


def _sum_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = sum(map(exact_fraction, shares.values()), Fraction(0))
    if total != 1:
        mixture = ", ".join(f"{ion}: {share:g}" for ion, share in shares.items())
        raise ValueError(
            f"shares of {{{mixture}}} add up to {written(total)}; needed: exactly 1 (0.333 is read "
            "as 1/3)"
        )
    return shares


Mixture = Annotated[
    dict[Ion, Annotated[float, Field(gt=0, le=1)]],
    Field(min_length=1),
    AfterValidator(_sum_to_one),
]
Choice = Annotated[
    Annotated[Ion, Tag("text")]
    | Annotated[Equimolar, Tag("equal shares")]
    | Annotated[Mixture, Tag("block")],
    Discriminator(shape_of),
]


class XRange(Settings):
    """Every x from min to max for which the supercell holds whole atoms, or a grid."""

    min: float = Field(ge=0, description="smallest x", examples=[0])
    max: float = Field(ge=0, description="largest x", examples=[0.5])
    step: float | None = Field(
        default=None,
        gt=0,
        description="distance of the x of a grid; null: every x that the supercell allows",
    )

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max={self.max:g} is smaller than min={self.min:g}; swap them")
        if self.step and (self.max - self.min) / self.step > _MAX_GRID:
            raise ValueError(
                f"step={self.step:g} gives more than {_MAX_GRID} values of x from {self.min:g} to "
                f"{self.max:g}; choose a larger one"
            )
        return self


class Family(Settings):
    """All charge-neutral compositions of one formula in one prototype."""

    formula: str = Field(
        min_length=1,
        description="elements and letters with their amounts, numbers or linear in x, such as "
        "A(2+x)Zr(1-x)M(x)X6",
        examples=["KTaCl6"],
    )
    prototype: Annotated[str, accepted_by(load_prototype)] = Field(
        description="name of a shipped prototype", examples=["k2ptcl6"]
    )
    elements: dict[Letter, Annotated[tuple[Choice, ...], Field(min_length=1)]] = Field(
        default={},
        description="choices for each letter of the formula: an element (Ta, or Ta5+ with its "
        "oxidation state), a mixture such as { Y: 0.5, In: 0.5 }, or { equimolar: 4, of: [Y, In, "
        "Sc, Er, Yb] } for every mixture of 4 of these in equal shares",
    )
    x: Annotated[
        Annotated[tuple[Annotated[float, Field(ge=0)], ...], Tag("list")]
        | Annotated[XRange, Tag("block")],
        Discriminator(shape_of),
    ] = Field(
        default=(),
        description="values of x; { min: 0, max: 0.5 } is every x for which the supercell holds "
        "whole atoms, { min: 0, max: 0.5, step: 0.1 } a grid",
    )
    oxidation_states: OxidationStates = Field(default={})
    sites: dict[str, CationRole] = Field(
        default={},
        description="elements or letters that sit on other sites than usual (Li, Na and K: mobile; "
        "other cations: framework), such as { Ba: mobile }",
    )
    replace: Replace = None
    supercell: Supercell = (1, 1, 1)
    max_orderings: MaxOrderings = 100
    when_more: MoreOrderings = "error"
    seed: Seed = 0

    @model_validator(mode="after")
    def _formula_can_be_read(self) -> Self:
        try:
            formula = family_formula(self)
            formula.limits()
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        if unused := sorted(self.elements.keys() - formula.amounts.keys()):
            raise ValueError(
                f"elements explains {', '.join(unused)}, which {self.formula} does not hold"
            )
        self._check_x(formula)
        self._check_names(formula)
        return self

    def _check_x(self, formula: Formula) -> None:
        given = isinstance(self.x, XRange) or bool(self.x)
        if formula.has_x and not given:
            raise ValueError(
                f"x has no values, but {self.formula} depends on it; give a list, or min and max"
            )
        if given and not formula.has_x:
            raise ValueError(f"x has values, but {self.formula} does not depend on it")
        ends = (self.x.min, self.x.max) if isinstance(self.x, XRange) else self.x
        for value in ends:
            try:
                formula.at(exact_fraction(value))
            except InvalidInput as error:
                raise ValueError(str(error)) from error

    def _check_names(self, formula: Formula) -> None:
        elements = set(_elements_of(formula, self.elements))
        if strangers := sorted(self.oxidation_states.keys() - elements):
            raise ValueError(
                f"oxidation_states names {', '.join(strangers)}, which neither {self.formula} nor "
                "a choice for its letters holds"
            )
        if strangers := sorted(self.sites.keys() - elements - self.elements.keys()):
            raise ValueError(
                f"sites names {', '.join(strangers)}, which neither {self.formula} nor a choice "
                "for its letters holds"
            )


def family_formula(family: Family) -> Formula:
    """The formula of a family, read with the letters that it explains.

    Raises:
        InvalidInput: with the position of what cannot be read; not for a validated family.
    """
    return parse_formula(family.formula, family.elements)


def _elements_of(
    formula: Formula, explained: Mapping[str, tuple[str | dict[str, float] | Equimolar, ...]]
) -> Iterator[str]:
    """Symbols of all elements that a formula may hold."""
    for name in formula.amounts:
        for choice in explained.get(name, (name,)):
            ions = choice.of if isinstance(choice, Equimolar) else choice
            for ion in [ions] if isinstance(ions, str) else ions:
                yield parse_ion(ion)[0]


class StructureFile(Settings):
    """A structure of the user's own; partially occupied sites are ordered."""

    path: str = Field(
        min_length=1, description="CIF, POSCAR or whatever pymatgen reads; relative to this file"
    )
    mobile_ion: MobileIon = Field(description="the ion whose motion is asked for")
    oxidation_states: OxidationStates = Field(default={})
    replace: Replace = None
    supercell: Supercell = (1, 1, 1)
    max_orderings: MaxOrderings = 100
    when_more: MoreOrderings = "error"
    seed: Seed = 0


class Substitution(Settings):
    """Other ions on the sites of a known structure."""

    path: str = Field(
        min_length=1, description="CIF, POSCAR or whatever pymatgen reads; relative to this file"
    )
    mobile_ion: MobileIon = Field(
        description="the ion whose motion is asked for; in a result without it, the most plentiful "
        "of Li, Na and K"
    )
    ions: dict[Ion, Annotated[tuple[Ion, ...], Field(min_length=1)]] = Field(
        default={},
        description="for an element of the structure those that take its place, such as { Na: [K, "
        "Li], Ta: [Nb, Sb] }, in every combination (with Na: [Na, K] it may also stay); {}: those "
        "that are likely by the ICSD's statistics of substitutions",
    )
    min_probability: float = Field(
        default=0.002,
        gt=0,
        le=1,
        description="with ions: {}: a less likely set of substitutions is not proposed",
    )
    max_radius_mismatch: float = Field(
        default=0.35,
        gt=0,
        description="largest |ln(new radius / old radius)| on any site; 0.3 is 35 percent larger",
    )
    oxidation_states: OxidationStates = Field(default={})
    supercell: Supercell = (1, 1, 1)
    max_orderings: MaxOrderings = 100
    when_more: MoreOrderings = "error"
    seed: Seed = 0

    @model_validator(mode="after")
    def _each_element_once(self) -> Self:
        elements = [parse_ion(ion)[0] for ion in self.ions]
        if len(set(elements)) < len(elements):
            raise ValueError(f"ions names an element twice: {listed(self.ions)}")
        return self


class CandidateSettings(Settings):
    """What is screened: families, the user's structures, substitutions, or several of these."""

    families: tuple[Family, ...] = Field(
        default=(), description="formulas with the elements to try, each in a prototype"
    )
    files: tuple[StructureFile, ...] = Field(default=(), description="the user's own structures")
    substitutions: tuple[Substitution, ...] = Field(
        default=(), description="known structures with other ions on their sites"
    )

    @model_validator(mode="after")
    def _something_to_screen(self) -> Self:
        if not (self.families or self.files or self.substitutions):
            raise ValueError(
                "families, files and substitutions are all empty; name at least one of them"
            )
        return self
