"""The whole campaign as one jobflow graph.

    enumerate ─▶ [ relax ─▶ stability ─▶ transport (gate) ─▶ dynamics at each T ─▶ fit ] ─▶ rank
                   one such chain a candidate

The enumeration job answers with the candidates' flows (a detour: the ranking waits for them). The
same graph runs on this machine or on a cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobflow import Flow, Response, job
from pydantic import Field

from screening.candidates import enumerate_candidates
from screening.documents import Candidate, CandidateInfo, Document, Ranking
from screening.gates import Gates
from screening.ranking import rank, summarise
from workflows.fingerprint import identify
from workflows.stages.relax import RelaxMaker
from workflows.stages.stability import StabilityMaker
from workflows.stages.transport import TransportMaker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core.structure import Structure

from workflows.config import CampaignConfig

VERSION = 1


class CandidateOutputs(Document):
    """A candidate and the references to what its stages will answer."""

    candidate: CandidateInfo
    relax: Any = Field(description="OutputReference; a document once resolved")
    stability: Any
    transport: Any


class EnumerationDocument(Document):
    """Answer of the enumeration job."""

    candidates: tuple[CandidateOutputs, ...]
    left_out: dict[str, str] = Field(description="composition -> reason")


def build_campaign(config: CampaignConfig, structures: Mapping[str, Structure]) -> Flow:
    """The graph of a campaign.

    Args:
        config: the campaign file.
        structures: the user's own structure files, already read, by their path in the config.
    """
    labels = {"campaign": config.name}
    science = config.model_dump(exclude={"name", "description", "results_dir", "store"})
    enumeration = identify(
        enumerate_campaign(config, dict(structures)),
        "enumerate",
        VERSION,
        [science, dict(structures)],
        labels,
    )
    ranking = identify(
        rank_campaign(enumeration.output, config.name, config.engine.name, config.gates),
        "rank",
        VERSION,
        [enumeration.output, config.gates],
        labels,
    )
    return Flow([enumeration, ranking], output=ranking.output, name=config.name)


def candidate_flow(candidate: Candidate, config: CampaignConfig) -> tuple[Flow, CandidateOutputs]:
    """All stages of one candidate."""
    labels = {
        "campaign": config.name,
        "candidate": candidate.id,
        "formula": candidate.formula,
        "mobile_ion": candidate.mobile_ion,
    }
    ion = candidate.mobile_ion
    relaxed = RelaxMaker(config.engine, config.relax).make(candidate.structure, ion, labels)
    stable = StabilityMaker(config.stability).make(relaxed.output, ion, labels)
    moved = TransportMaker(config.engine, config.dynamics, config.gates).make(
        relaxed.output, stable.output, ion, labels
    )
    outputs = CandidateOutputs(
        candidate=CandidateInfo(**candidate.model_dump(exclude={"structure"})),
        relax=relaxed.output,
        stability=stable.output,
        transport=moved.output,
    )
    return Flow([relaxed, stable, moved], name=candidate.id), outputs


@job(name="enumerate", output_schema=EnumerationDocument)
def enumerate_campaign(config: CampaignConfig, structures: dict[str, Structure]) -> Response[Any]:
    """All candidates, each with its flow."""
    enumeration = enumerate_candidates(config.candidates, structures)
    chains = [candidate_flow(candidate, config) for candidate in enumeration.candidates]
    return Response(
        output=EnumerationDocument(
            candidates=tuple(outputs for _, outputs in chains),
            left_out={entry.formula: entry.reason for entry in enumeration.left_out},
        ),
        detour=[flow for flow, _ in chains],
    )


@job(name="rank", output_schema=Ranking)
def rank_campaign(
    enumeration: EnumerationDocument, campaign: str, engine: str, gates: Gates
) -> Ranking:
    """The ranked list, from whatever the candidates' stages answered."""
    rows = [
        summarise(entry.candidate, engine, gates, entry.relax, entry.stability, entry.transport)
        for entry in enumeration.candidates
    ]
    return Ranking(campaign=campaign, candidates=rank(rows))
