"""From a campaign's settings to candidates: one composition in one host with one ordering each."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from pymatgen.core import Element, Structure

from screening.documents import Candidate, Document
from screening.errors import InvalidInput
from screening.prototypes.library import load_prototype

MobileIon = Literal["Li", "Na", "K"]
Anion = Literal["F", "Cl", "Br", "I"]


def _known_element(symbol: str) -> str:
    if not Element.is_valid_symbol(symbol):
        symbols = [element.symbol for element in Element]
        nearest = get_close_matches(symbol.capitalize(), symbols, n=1, cutoff=0)[0]
        raise ValueError(f'"{symbol}" is no element symbol; did you mean {nearest}?')
    return symbol


def _known_prototype(name: str) -> str:
    try:
        load_prototype(name)
    except InvalidInput as error:
        raise ValueError(str(error)) from error
    return name


ElementSymbol = Annotated[str, AfterValidator(_known_element)]
Supercell = tuple[PositiveInt, PositiveInt, PositiveInt]


class Settings(BaseModel):
    """A frozen block of settings that accepts no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Family(Settings):
    """All charge-neutral compositions of one prototype."""

    prototype: Annotated[str, AfterValidator(_known_prototype)] = Field(
        description="name of a shipped prototype", examples=["k2ptcl6"]
    )
    mobile_ions: tuple[MobileIon, ...] = Field(
        min_length=1, description="one candidate series each", examples=[["K"]]
    )
    framework: tuple[ElementSymbol, ...] = Field(
        min_length=1, description="elements tried on the framework sites", examples=[["Ta", "Nb"]]
    )
    anions: tuple[Anion, ...] = Field(
        min_length=1, description="halogens tried on the anion sites", examples=[["Cl"]]
    )
    mobile_filling: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        min_length=1,
        description="fractions of the mobile sites that are filled",
        examples=[[0.5, 1.0]],
    )
    oxidation_states: dict[
        ElementSymbol, Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
    ] = Field(
        default={},
        description="oxidation states allowed to framework elements; one not named here may have "
        "its common ones",
    )
    supercell: Supercell = Field(
        default=(1, 1, 1), description="conventional cells along a, b and c that are ordered"
    )
    max_orderings: PositiveInt = Field(
        default=100, description="a composition with more distinct orderings is an error"
    )

    @model_validator(mode="after")
    def _charges_of_the_framework(self) -> Self:
        if strangers := sorted(self.oxidation_states.keys() - set(self.framework)):
            raise ValueError(
                f"oxidation_states names {', '.join(strangers)}, which the framework "
                f"{list(self.framework)} does not hold"
            )
        return self


class StructureFile(Settings):
    """A structure of the user's own; partially occupied mobile sites are ordered."""

    path: str = Field(
        min_length=1, description="CIF, POSCAR or whatever pymatgen reads; relative to this file"
    )
    mobile_ion: MobileIon = Field(description="the ion whose motion is asked for")
    supercell: Supercell = Field(
        default=(1, 1, 1), description="cells of the file along a, b and c"
    )
    max_orderings: PositiveInt = Field(
        default=100, description="more distinct orderings than this are an error"
    )


class CandidateSettings(Settings):
    """What is screened: families of compositions, the user's own structures, or both."""

    families: tuple[Family, ...] = Field(
        default=(), description="prototypes with the elements to try on their sites"
    )
    files: tuple[StructureFile, ...] = Field(default=(), description="the user's own structures")

    @model_validator(mode="after")
    def _something_to_screen(self) -> Self:
        if not (self.families or self.files):
            raise ValueError("families and files are both empty; name at least one of either")
        return self


class LeftOut(Document):
    """A composition that became no candidate."""

    formula: str
    reason: str


class Enumeration(Document):
    """All candidates of a campaign, and what was left out on the way."""

    candidates: tuple[Candidate, ...]
    left_out: tuple[LeftOut, ...] = Field(description="one entry a formula")


def enumerate_candidates(
    settings: CandidateSettings, structures: Mapping[str, Structure] | None = None
) -> Enumeration:
    """All candidates, lowest Ewald energy of the formal charges first within a composition.

    Args:
        settings: families and files.
        structures: the structure of each file by its path, already read.
    """
    return Enumeration(candidates=(), left_out=())
