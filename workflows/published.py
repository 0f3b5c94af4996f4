"""Windows from the literature beside those of a campaign.

A limit within its tolerance agrees; one without a tolerance is shown without a verdict, as is every
limit of a campaign that takes the halide corrections out. Reduction limits of elements of which
the energies are known to be wrong (Sm, Eu, Yb: a hidden divalent state) are marked as unreliable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from screening.stability.caveats import element_caveats

if TYPE_CHECKING:
    from screening.ranked import RankedCandidate
    from workflows.config import CampaignConfig, PublishedWindow

Verdict = Literal["agrees", "differs", "no verdict", "not computed"]


@dataclass(frozen=True)
class LimitComparison:
    """One limit, published beside computed.

    Args:
        limit: which end of the window.
        published_V: None where nothing is published.
        computed_V: None where the candidate has not come so far.
        computed_68_V: its interval, where there is one.
        tolerance_V: None where no verdict is asked for.
        verdict: on the potential and, where products are published, on them too.
        published_products: empty where none are compared.
        computed_products: empty where there is no limit.
        is_unreliable: it hangs on an element of which the energies are known to be wrong.
    """

    limit: Literal["reduction", "oxidation"]
    published_V: float | None
    computed_V: float | None
    computed_68_V: tuple[float, float] | None
    tolerance_V: float | None
    verdict: Verdict
    published_products: tuple[str, ...]
    computed_products: tuple[str, ...]
    is_unreliable: bool

    @property
    def difference_V(self) -> float | None:
        """Computed minus published."""
        if self.published_V is None or self.computed_V is None:
            return None
        return self.computed_V - self.published_V


@dataclass(frozen=True)
class Comparison:
    """A published window and the candidate that it belongs to."""

    formula: str
    mobile_ion: str | None
    candidate: str | None
    e_hull_eV_per_atom: float | None
    window_of: str | None
    limits: tuple[LimitComparison, LimitComparison]
    source: str
    note: str


def compare_published(
    config: CampaignConfig, rows: Iterable[RankedCandidate]
) -> tuple[Comparison, ...]:
    """Each published window of a campaign beside the candidate that it is of."""
    rows = list(rows)
    raw = config.stability.raw_halide_energies
    return tuple(_compare(window, _candidate(window, rows), raw) for window in config.published)


def _candidate(window: PublishedWindow, rows: Iterable[RankedCandidate]) -> RankedCandidate | None:
    """The one of lowest energy among those of the formula."""
    formula = _reduced(window.formula)
    alike = [
        row
        for row in rows
        if row.formula == formula and window.candidate in (None, row.id, row.host)
    ]
    computed = [row for row in alike if row.formation_energy_eV_per_atom is not None]
    return min(
        computed, key=lambda row: row.formation_energy_eV_per_atom or 0.0, default=None
    ) or next(iter(alike), None)


def _compare(window: PublishedWindow, row: RankedCandidate | None, raw: bool) -> Comparison:
    from pymatgen.core.composition import Composition

    hidden = element_caveats(element.symbol for element in Composition(window.formula))
    return Comparison(
        formula=window.formula,
        mobile_ion=row.mobile_ion if row else None,
        candidate=row.id if row else None,
        e_hull_eV_per_atom=row.e_hull_eV_per_atom if row else None,
        window_of=row.window_of if row else None,
        limits=(
            _limit(
                "reduction",
                window.reduction_limit_V,
                row.reduction_limit_V if row else None,
                row.reduction_limit_68_V if row else None,
                None if raw else window.reduction_tolerance_V,
                window.reduction_products,
                (row.reduction_products if row else None) or (),
                bool(hidden),
            ),
            _limit(
                "oxidation",
                window.oxidation_limit_V,
                row.oxidation_limit_V if row else None,
                row.oxidation_limit_68_V if row else None,
                None if raw else window.oxidation_tolerance_V,
                window.oxidation_products,
                (row.oxidation_products if row else None) or (),
                False,
            ),
        ),
        source=window.source,
        note=window.note,
    )


def _limit(
    limit: Literal["reduction", "oxidation"],
    published_V: float | None,
    computed_V: float | None,
    computed_68_V: tuple[float, float] | None,
    tolerance_V: float | None,
    published_products: tuple[str, ...],
    computed_products: tuple[str, ...],
    is_unreliable: bool,
) -> LimitComparison:
    verdict: Verdict = "no verdict"
    if computed_V is None:
        verdict = "not computed"
    elif published_V is not None and tolerance_V is not None:
        within = abs(computed_V - published_V) <= tolerance_V
        expected, found = (
            {_reduced(product) for product in products}
            for products in (published_products, computed_products)
        )
        same = not expected or expected == found
        verdict = "agrees" if within and same else "differs"
    return LimitComparison(
        limit,
        published_V,
        computed_V,
        computed_68_V,
        tolerance_V,
        verdict,
        published_products,
        computed_products,
        is_unreliable,
    )


def _reduced(formula: str) -> str:
    """With whole amounts: Na0.75Sm1.75Cl6 is Na3Sm7Cl24."""
    from pymatgen.core.composition import Composition

    whole, _ = Composition(formula).get_integer_formula_and_factor()
    return str(Composition(whole).reduced_formula)
