"""The whole campaign as one jobflow graph.

    enumerate ─▶ [ relax ─▶ stability ─▶ transport (gates) ─▶ dynamics at each T ─▶ fit ] ─▶ rank
                   one such chain a candidate; the orderings of a composition may wait for each
                   other, if a gate compares them

The enumeration job answers with the candidates' flows (a detour: the ranking waits for them). The
same graph runs on this machine or on a cluster.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, Response, job
from pydantic import Field

from screening.candidates import enumerate_candidates
from screening.compositions import LeftOut
from screening.documents import Candidate, CandidateInfo, Document, Ranking, StageDocument
from screening.errors import InvalidInput
from screening.gates import Gates
from screening.prototypes.library import library_sha256
from screening.ranking import rank, summarise
from screening.stability.references import ReferencePhases
from workflows.engines import engine_convention
from workflows.fingerprint import identify
from workflows.stages import dynamics, lowest, relax, stability, transport
from workflows.stages.boundary import LOST
from workflows.stages.lowest import LowestOrderingMaker
from workflows.stages.relax import RelaxMaker
from workflows.stages.stability import StabilityMaker
from workflows.stages.transport import TransportMaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core.structure import Structure

    from workflows.config import CampaignConfig

VERSION = 2


class CandidateOutputs(Document):
    """A candidate and the references to what its stages will answer."""

    candidate: CandidateInfo
    relax: Any = Field(description="OutputReference; a document once resolved")
    stability: Any
    transport: Any


class EnumerationDocument(Document):
    """Answer of the enumeration job."""

    candidates: tuple[CandidateOutputs, ...]
    left_out: tuple[LeftOut, ...]


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
        [science, dict(structures), _behind_the_config(config)],
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


def _behind_the_config(config: CampaignConfig) -> dict[str, Any]:
    """What the stages depend on besides the config; a change makes the enumeration ask anew."""
    return {
        "engine": engine_convention(config.engine),
        "references": ReferencePhases.load(config.stability.references).sha256,
        "prototypes": library_sha256(),
        "versions": [stage.VERSION for stage in (relax, lowest, stability, transport, dynamics)],
    }


def composition_flow(
    orderings: Sequence[Candidate], config: CampaignConfig
) -> tuple[Flow, list[CandidateOutputs]]:
    """All stages of all orderings of one composition and mobile ion in one host."""
    relax_maker = RelaxMaker(config.engine, config.relax)
    stability_maker = StabilityMaker(config.stability)
    transport_maker = TransportMaker(config.engine, config.dynamics, config.gates)
    jobs: list[Job] = []
    ion = orderings[0].mobile_ion
    labels = [_labels(candidate, config) for candidate in orderings]
    relaxed = [
        relax_maker.make(candidate.structure, ion, label)
        for candidate, label in zip(orderings, labels, strict=True)
    ]
    lowest_output = None
    if config.gates.max_e_above_lowest_eV_per_atom is not None:
        compared = LowestOrderingMaker().make(
            [job.output for job in relaxed], {"campaign": config.name}
        )
        jobs, lowest_output = [compared], compared.output
    outputs = []
    for candidate, label, relaxation in zip(orderings, labels, relaxed, strict=True):
        stable = stability_maker.make(relaxation.output, ion, label)
        moved = transport_maker.make(relaxation.output, stable.output, lowest_output, ion, label)
        jobs += [relaxation, stable, moved]
        outputs.append(
            CandidateOutputs(
                candidate=CandidateInfo(**candidate.model_dump(exclude={"structure"})),
                relax=relaxation.output,
                stability=stable.output,
                transport=moved.output,
            )
        )
    return Flow(jobs, name=orderings[0].formula), outputs


def _labels(candidate: Candidate, config: CampaignConfig) -> dict[str, str]:
    return {
        "campaign": config.name,
        "candidate": candidate.id,
        "formula": candidate.formula,
        "mobile_ion": candidate.mobile_ion,
    }


@job(name="enumerate", output_schema=EnumerationDocument)
def enumerate_campaign(config: CampaignConfig, structures: dict[str, Structure]) -> Response[Any]:
    """All candidates, each composition with its flow."""
    enumeration = enumerate_candidates(config.candidates, structures)
    if not enumeration.candidates:
        reasons = "; ".join(f"{entry.formula}: {entry.reason}" for entry in enumeration.left_out)
        raise InvalidInput(f"no candidate is left to screen ({reasons})")
    compositions: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in enumeration.candidates:
        key = candidate.origin.host, candidate.formula, candidate.mobile_ion
        compositions[key].append(candidate)
    made = [composition_flow(orderings, config) for orderings in compositions.values()]
    return Response(
        output=EnumerationDocument(
            candidates=tuple(entry for _, outputs in made for entry in outputs),
            left_out=enumeration.left_out,
        ),
        detour=[flow for flow, _ in made],
    )


@job(name="rank", output_schema=Ranking)
def rank_campaign(
    enumeration: EnumerationDocument | None, campaign: str, engine: str, gates: Gates
) -> Ranking:
    """The ranked list, from whatever the candidates' stages answered."""
    if enumeration is None:
        raise InvalidInput("the enumeration failed, so there is nothing to rank")
    lost = StageDocument(state="failed", failure=LOST)
    rows = [
        summarise(
            entry.candidate,
            engine,
            gates,
            entry.relax or lost,
            entry.stability or lost,
            entry.transport or lost,
        )
        for entry in enumeration.candidates
    ]
    return Ranking(campaign=campaign, candidates=rank(rows))
