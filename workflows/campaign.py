"""The whole campaign as one jobflow graph.

    enumerate ─▶ [ relax ─▶ stability ─▶ transport (gates) ─▶ dynamics at each T ─▶ fit ] ─▶ rank
                   one such chain a candidate; polymorphs, which compete on the hull, and orderings
                   that a gate compares wait for each other; without dynamics the gates end it;
                   where glasses are asked for, quench ─▶ dynamics ─▶ amorphous follow transport

The enumeration job answers with the candidates' flows (a detour: the ranking waits for them). The
same graph runs on this machine or on a cluster.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

from jobflow import Flow, Job, OutputReference, Response, job
from pydantic import Field

from screening.candidates import enumerate_candidates
from screening.compositions import LeftOut
from screening.documents import Candidate, CandidateInfo, Document, StageDocument
from screening.errors import InvalidInput
from screening.gates import Gates
from screening.prototypes.library import library_sha256
from screening.ranked import Ranking
from screening.ranking import rank, summarise
from screening.stability.references import ReferencePhases
from workflows.config import NOT_SCIENCE
from workflows.engines import engine_convention
from workflows.fingerprint import identify
from workflows.stages import amorphous, dynamics, gates, lowest, relax, stability, transport
from workflows.stages.amorphous import AmorphousMaker
from workflows.stages.boundary import LOST
from workflows.stages.gates import GatesMaker
from workflows.stages.lowest import LowestOrderingMaker
from workflows.stages.relax import RelaxMaker
from workflows.stages.sizes import size_labels
from workflows.stages.stability import StabilityMaker
from workflows.stages.transport import TransportMaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core.structure import Structure

    from workflows.config import CampaignConfig

VERSION = 3


class CandidateOutputs(Document):
    """A candidate and the references to what its stages will answer."""

    candidate: CandidateInfo
    relax: Any = Field(description="OutputReference; a document once resolved")
    stability: Any
    transport: Any = Field(description="where no dynamics is asked for, the gates' own answer")
    amorphous: Any = Field(default=None, description="None where no glass is asked for")


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
    science = config.model_dump(exclude=set(NOT_SCIENCE))
    enumeration = identify(
        enumerate_campaign(config, dict(structures)),
        "enumerate",
        VERSION,
        [science, dict(structures), _behind_the_config(config)],
        labels,
    )
    ranking = identify(
        rank_campaign(
            enumeration.output,
            config.name,
            config.engine.name,
            config.gates,
            config.dynamics is not None,
        ),
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
        "data": stability.data_sha256(),
        "versions": [
            stage.VERSION
            for stage in (relax, lowest, stability, gates, transport, dynamics, amorphous)
        ],
    }


def formula_flow(
    candidates: Sequence[Candidate], config: CampaignConfig
) -> tuple[Flow, list[CandidateOutputs]]:
    """All stages of all candidates of one formula, whatever their hosts and mobile ions."""
    relax_maker = RelaxMaker(config.engine, config.relax)
    relaxed = [
        relax_maker.make(candidate.structure, candidate.mobile_ion, _labels(candidate, config))
        for candidate in candidates
    ]
    jobs: list[Job] = []

    def lowest_of(kind: Literal["lowest", "polymorph"], of: Sequence[Job]) -> OutputReference:
        compared = LowestOrderingMaker(kind).make(
            [job.output for job in of], {"campaign": config.name}
        )
        jobs.append(compared)
        return compared.output

    polymorph = lowest_of("polymorph", relaxed) if len(candidates) > 1 else None
    orderings: dict[str, list[Job]] = defaultdict(list)
    for candidate, relaxation in zip(candidates, relaxed, strict=True):
        orderings[candidate.origin.host].append(relaxation)
    lowest_in_host: dict[str, OutputReference] = {}
    if config.gates.max_e_above_lowest_eV_per_atom is not None:
        lowest_in_host = {host: lowest_of("lowest", of) for host, of in orderings.items()}
    outputs = []
    for candidate, relaxation in zip(candidates, relaxed, strict=True):
        stages = _after_relaxation(
            candidate,
            relaxation,
            polymorph,
            lowest_in_host.get(candidate.origin.host),
            config,
        )
        stable, last = stages
        jobs += [relaxation, stable, last]
        glasses = _glasses(candidate, relaxation, last, config)
        jobs += glasses
        outputs.append(
            CandidateOutputs(
                candidate=CandidateInfo(**candidate.model_dump(exclude={"structure"})),
                relax=relaxation.output,
                stability=stable.output,
                transport=last.output,
                amorphous=next((made.output for made in glasses), None),
            )
        )
    return Flow(jobs, name=candidates[0].formula), outputs


def _after_relaxation(
    candidate: Candidate,
    relaxation: Job,
    polymorph: OutputReference | None,
    lowest_in_host: OutputReference | None,
    config: CampaignConfig,
) -> tuple[Job, Job]:
    """Stability, and what comes last: transport, or the gates alone where it is not asked for."""
    ion, labels = candidate.mobile_ion, _labels(candidate, config)
    sizes = size_labels(candidate.structure, config.dynamics, config.amorphous)
    elements = [element.symbol for element in candidate.structure.composition]
    stable = StabilityMaker(config.stability).make(
        relaxation.output, polymorph, elements, ion, labels
    )
    if config.dynamics is None:
        last = GatesMaker(config.gates).make(
            relaxation.output, stable.output, lowest_in_host, labels
        )
    else:
        last = TransportMaker(config.engine, config.dynamics, config.gates).make(
            relaxation.output, stable.output, lowest_in_host, ion, labels | sizes
        )
    return stable, last


def _glasses(
    candidate: Candidate, relaxation: Job, transported: Job, config: CampaignConfig
) -> list[Job]:
    """One job, or none where no glass is asked for."""
    if config.amorphous is None or config.dynamics is None:
        return []
    maker = AmorphousMaker(config.engine, config.amorphous, config.dynamics, config.gates)
    labels = _labels(candidate, config)
    labels |= size_labels(candidate.structure, config.dynamics, config.amorphous)
    return [maker.make(relaxation.output, transported.output, candidate.mobile_ion, labels)]


def _labels(candidate: Candidate, config: CampaignConfig) -> dict[str, str]:
    return {
        "campaign": config.name,
        "candidate": candidate.id,
        "formula": candidate.formula,
        "mobile_ion": candidate.mobile_ion,
    }


@job(name="enumerate", output_schema=EnumerationDocument)
def enumerate_campaign(config: CampaignConfig, structures: dict[str, Structure]) -> Response[Any]:
    """All candidates, each formula with its flow."""
    enumeration = enumerate_candidates(config.candidates, structures)
    if not enumeration.candidates:
        reasons = "; ".join(f"{entry.formula}: {entry.reason}" for entry in enumeration.left_out)
        raise InvalidInput(f"no candidate is left to screen ({reasons})")
    formulas: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in enumeration.candidates:
        formulas[candidate.formula].append(candidate)
    made = [formula_flow(candidates, config) for candidates in formulas.values()]
    return Response(
        output=EnumerationDocument(
            candidates=tuple(entry for _, outputs in made for entry in outputs),
            left_out=enumeration.left_out,
        ),
        detour=[flow for flow, _ in made],
    )


@job(name="rank", output_schema=Ranking)
def rank_campaign(
    enumeration: EnumerationDocument | None,
    campaign: str,
    engine: str,
    gates: Gates,
    with_dynamics: bool,
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
            last_stage="transport" if with_dynamics else "gates",
        )
        for entry in enumeration.candidates
    ]
    return Ranking(campaign=campaign, candidates=rank(rows))
