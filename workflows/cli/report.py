"""Commands that make what goes into a paper: `report` and `cite`."""

from __future__ import annotations

import typer

from workflows.cli.common import CampaignOrResults, Json, print_json
from workflows.cli.results import open_results


def cite(campaign: CampaignOrResults, as_json: Json = False) -> None:
    """BibTeX of the codes, potentials, data and methods that this campaign really used.

    A comment above each entry says why it is cited. `halideflow cite CAMPAIGN > campaign.bib`
    """
    from workflows.citations import citations, to_bibtex
    from workflows.ingredients import ingredients

    listed = citations(ingredients(open_results(campaign)))
    if as_json:
        print_json(
            [
                {
                    "key": entry.key,
                    "why": entry.why,
                    "type": entry.type,
                    "authors": list(entry.authors),
                    **(entry.fields or {}),
                    "note": entry.note,
                    "bibtex": entry.bibtex(),
                }
                for entry in listed
            ]
        )
    else:
        typer.echo(to_bibtex(listed), nl=False)
