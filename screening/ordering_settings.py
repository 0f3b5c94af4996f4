"""Settings that families, files and substitutions share: ions, supercells, how many orderings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveInt,
    Tag,
    model_validator,
)

from screening.errors import InvalidInput
from screening.formulas import check_element, parse_ion

WhenMore = Literal["error", "lowest_ewald", "sample"]


class Settings(BaseModel):
    """A frozen block of settings that accepts no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def accepted_by(check: Callable[[str], object]) -> AfterValidator:
    """Text that `check` takes; what it complains of becomes pydantic's error."""

    def validate(text: str) -> str:
        try:
            check(text)
        except InvalidInput as error:
            raise ValueError(str(error)) from error
        return text

    return AfterValidator(validate)


def shape_of(value: Any) -> str | None:
    """Which alternative of a union is meant, from the value's shape alone."""
    if isinstance(value, Mapping):
        return "equal shares" if {"equimolar", "of"} & set(value) else "block"
    if isinstance(value, BaseModel):
        return "equal shares" if hasattr(value, "equimolar") else "block"
    if isinstance(value, list | tuple):
        return "matrix" if any(isinstance(row, list | tuple) for row in value) else "list"
    if value is None:
        return "null"
    return "text" if isinstance(value, str) else None


ElementSymbol = Annotated[str, accepted_by(check_element)]
Ion = Annotated[str, accepted_by(parse_ion)]
OxidationStates = Annotated[
    dict[ElementSymbol, Annotated[tuple[int, ...], Field(min_length=1)]],
    Field(
        description="oxidation states allowed to an element, such as { Ta: [4, 5] }; one not named "
        "here may have those of its ICSD statistics"
    ),
]
Seed = Annotated[NonNegativeInt, Field(description="of when_more: sample")]
MaxOrderings = Annotated[
    PositiveInt, Field(description="distinct orderings of one composition in one supercell")
]
MoreOrderings = Annotated[
    WhenMore,
    Field(
        description="what happens beyond max_orderings: error, the max_orderings of lowest "
        "electrostatic energy, or a random sample of so many"
    ),
]


class SupercellsUpTo(Settings):
    """Every distinct supercell shape up to a size."""

    max_cells: int = Field(ge=1, le=16, description="primitive cells", examples=[4])


Multiples = tuple[PositiveInt, PositiveInt, PositiveInt]
Row = tuple[int, int, int]


def determinant(matrix: Sequence[Sequence[int]]) -> int:
    """Cells in the supercell that three rows span; negative for left-handed ones."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _right_handed(matrix: tuple[Row, Row, Row]) -> tuple[Row, Row, Row]:
    if (size := determinant(matrix)) <= 0:
        raise ValueError(
            f"the matrix {[list(row) for row in matrix]} has the determinant {size}; needed: the "
            "number of cells, at least 1"
        )
    return matrix


Matrix = Annotated[tuple[Row, Row, Row], AfterValidator(_right_handed)]
Supercell = Annotated[
    Annotated[Multiples, Tag("list")]
    | Annotated[Matrix, Tag("matrix")]
    | Annotated[SupercellsUpTo, Tag("block")],
    Discriminator(shape_of),
    Field(
        description="cells along a, b and c, or a 3x3 matrix, or { max_cells: 4 }: every distinct "
        "shape of up to 4 primitive cells"
    ),
]


class ClusterSubstitution(Settings):
    """One ion in place of a whole group of them, such as K+ for [Li2OH]+."""

    group: dict[ElementSymbol, PositiveInt] = Field(
        min_length=1, description="what leaves", examples=[{"Li": 2, "O": 1, "H": 1}]
    )
    by: Ion = Field(description="the ion that comes", examples=["K"])
    at: ElementSymbol = Field(
        description="the member of the group whose site it takes", examples=["O"]
    )
    number: PositiveInt = Field(default=1, description="groups in each supercell")

    @model_validator(mode="after")
    def _a_site_of_the_group(self) -> Self:
        if self.at not in self.group:
            raise ValueError(f"at is {self.at}, which the group {listed(self.group)} lacks")
        return self


def n_cells(supercell: Multiples | Matrix) -> int:
    """Unit cells in a given supercell."""
    a, b, c = supercell
    if isinstance(a, int) and isinstance(b, int) and isinstance(c, int):
        return a * b * c
    return determinant([row for row in supercell if not isinstance(row, int)])


Replace = Annotated[
    Annotated[None, Tag("null")] | Annotated[ClusterSubstitution, Tag("block")],
    Discriminator(shape_of),
    Field(
        description="an ion for a group of ions in each supercell, such as { group: { Li: 2, O: 1, "
        "H: 1 }, by: K, at: O, number: 1 }"
    ),
]


def listed(names: Mapping[str, object]) -> str:
    """Names as a message shows them."""
    return ", ".join(names)
