"""Commands in what people are told, such that they can be copied."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows.advice import Advice
    from workflows.read_model import CampaignResults


def with_campaign(text: str, campaign: Path) -> str:
    """With the campaign's file in its commands; a results folder does not tell it."""
    return text if campaign.is_dir() else text.replace("CAMPAIGN", shlex.quote(str(campaign)))


def advice_in(
    results: CampaignResults, campaign: Path, code: str | None, stage: str | None = None
) -> Advice:
    """What to do about a failure in a campaign, with its file in the commands.

    Args:
        results: of the campaign.
        campaign: its file or folder.
        code: of the failure.
        stage: of the job; None where there are several.
    """
    from workflows.advice import Advice, advice_for  # commands import this module at their top

    advice = advice_for(code, stage, results.config.execution.cluster is not None)
    return Advice(
        advice.meaning,
        with_campaign(advice.action, campaign),
        with_campaign(advice.command, campaign),
    )
