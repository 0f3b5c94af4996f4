"""Commands in what people are told, such that they can be copied."""

from __future__ import annotations

import shlex
from pathlib import Path


def with_campaign(text: str, campaign: Path) -> str:
    """With the campaign's file in its commands; a results folder does not tell it."""
    return text if campaign.is_dir() else text.replace("CAMPAIGN", shlex.quote(str(campaign)))
