"""Results are known by their inputs.

The fingerprint of a stage is the sha256 of its canonical inputs: stage name, version of the stage's
code, settings, engine identity, and either the structure itself or the references to the jobs it
comes from, whose uuids are fingerprints in turn. A fingerprint is thus known while the graph is
built, before anything runs and without any database: the same config gives the same jobs, whatever
machine runs them, and a job that is already there is not run again.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import orjson
from jobflow import OnMissing
from monty.json import jsanitize

if TYPE_CHECKING:
    from jobflow import Job

_SIGNIFICANT_DIGITS = 10
_ZERO = 1e-12  # below it a coordinate is rounding noise


def fingerprint(stage: str, version: int, inputs: Any) -> str:
    """Sha256 (hex) over the canonical JSON of everything that determines a stage's result.

    Floats enter with 10 significant digits, and as zero below 1e-12, so that the last bits, which
    differ between machines, do not make a result unknown.
    """
    plain = jsanitize(inputs, strict=True, enum_values=True)
    content = _canonical({"stage": stage, "version": version, "inputs": plain})
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def identify(job: Job, stage: str, version: int, inputs: Any, labels: dict[str, str]) -> Job:
    """Name `job` by its inputs: uuid, fingerprint and labels go into its metadata.

    A stage is run even if a job before it left no output (it gets None and says so in its answer),
    so that a candidate that fails blocks nothing, whatever runs the graph.
    """
    job.config.on_missing_references = OnMissing.NONE
    digest = fingerprint(stage, version, inputs)
    job.set_uuid(str(uuid.UUID(digest[:32])))
    job.metadata = {**labels, "stage": stage, "fingerprint": digest}
    return job


def _canonical(value: Any) -> Any:
    if isinstance(value, float):
        return 0.0 if abs(value) < _ZERO else float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _canonical(entry) for key, entry in value.items() if key != "@version"}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    return value
