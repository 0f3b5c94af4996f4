"""The campaign file: read, checked, and every problem named with its line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from screening.errors import InvalidInput
from workflows.config import CampaignConfig
from workflows.yaml_models import nearest, read_model
from workflows.yaml_source import ConfigError, read_yaml

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

__all__ = [
    "ConfigError",
    "load_campaign",
    "read_structures",
    "resolve_references",
    "results_folder",
]


def load_campaign(path: Path) -> CampaignConfig:
    """Read and check a campaign file; the structure files it names are not opened.

    Raises:
        ConfigError: with all problems of the file, each with its line.
    """
    return read_model(path, CampaignConfig)


def results_folder(config_path: Path, config: CampaignConfig) -> Path:
    """Folder of the results: `results_dir`, else the file's name without its ending, beside it.

    A file without an ending has its results in a folder ending in `-results`.
    """
    default = config_path.stem if config_path.suffix else f"{config_path.name}-results"
    folder = config_path.parent / Path(config.results_dir or default).expanduser()
    return Path(os.path.normpath(folder))  # without `..`, for people to read


def read_structures(config: CampaignConfig, config_path: Path) -> dict[str, Structure]:
    """Read the structure files that a campaign names, relative to its own file.

    Returns:
        The structures by their path as the campaign gives it.

    Raises:
        ConfigError: with the line of every file that is missing or holds no structure.
    """
    from workflows.structure_files import read_structure

    structures, unread = {}, {}
    candidates = config.candidates
    named = [("files", i, file.path) for i, file in enumerate(candidates.files)]
    named += [("substitutions", i, s.path) for i, s in enumerate(candidates.substitutions)]
    for key, i, path in named:
        file = config_path.parent / path
        try:
            structures[path] = read_structure(file)
        except InvalidInput as error:
            hint = "" if file.exists() else "; paths are relative to the campaign file"
            reason = str(error).removeprefix(f"{file}: ")
            unread["candidates", key, i, "path"] = f'found "{path}"; {reason}{hint}'
    if unread:
        source, _ = read_yaml(config_path)
        raise ConfigError(config_path, [source.at(at).problem(why) for at, why in unread.items()])
    return structures


def resolve_references(config: CampaignConfig, config_path: Path) -> CampaignConfig:
    """The campaign with the path of its reference phases made absolute, once they have been read.

    A shipped name stays as it is; a path is relative to the campaign file.

    Raises:
        ConfigError: with the line, if there is no such snapshot, it cannot be read, it is not the
            one that the campaign is pinned to, it is not of the campaign's engine, it lacks an
            electrode, or raw halide energies are asked for where there are no corrections.
    """
    from screening.errors import ScreeningError
    from screening.prototypes.electrodes import electrode_names
    from screening.stability.corrections import require_raw_halides
    from screening.stability.reactants import phases_called
    from screening.stability.references import ReferencePhases
    from screening.stability.snapshots import shipped_snapshots
    from workflows.engines import engine_convention

    def refuse(reason: str, *key: str | int) -> ConfigError:
        source, _ = read_yaml(config_path)
        return ConfigError(config_path, [source.at(("stability", *key)).problem(reason)])

    def other_snapshots() -> str:
        if config.engine.name == "vasp":
            return (
                f"`halideflow references fetch {config_path}` gets those of the Materials Project"
            )
        leave = f"leave the key out for the shipped snapshot {config.engine.references}"
        if config.engine.name == "rehearsal":
            return leave
        return f"{leave}, or make one with `halideflow references build {config_path} --out FILE`"

    convention = engine_convention(config.engine)
    if config.stability.raw_halide_energies:
        try:
            require_raw_halides(convention)
        except InvalidInput as error:
            raise refuse(
                str(error).removeprefix("raw_halide_energies: "), "raw_halide_energies"
            ) from error
    name, pin = config.stability.references, config.stability.references_sha256
    if name not in shipped_snapshots():
        path = (config_path.parent / Path(name).expanduser()).resolve()
        if not path.exists() and name == config.engine.references:
            raise refuse(
                f"engine {config.engine.name} needs reference phases of its own energies: there "
                f"is no folder {path}. `halideflow references fetch {config_path}` writes those of "
                "the Materials Project there; your own runs become one by `halideflow references "
                "vasp DIR --out FILE`",
                "references",
            )
        if not path.exists():
            shipped = shipped_snapshots()
            raise refuse(
                f'found "{name}";{nearest(name, shipped)} allowed: {", ".join(shipped)}, or a '
                "file or folder relative to the campaign file",
                "references",
            )
        name = str(path)
    elif name == config.engine.references and pin is None and not config.stability.electrodes:
        return config
    try:
        references = ReferencePhases.load(name)
    except ScreeningError as error:
        raise refuse(str(error), "references") from error
    if pin is not None and not references.sha256.startswith(pin):
        raise refuse(
            f'pinned to "{pin}", but the snapshot {config.stability.references} of '
            f"{references.date} has the hash {references.sha256}; bring back the snapshot that is "
            "pinned, or pin this one: a run then computes stability again and shows what changes",
            "references_sha256",
        )
    if references.convention != convention:
        theirs = references.convention
        raise refuse(
            f"{config.stability.references} holds energies of {theirs.potential} "
            f"({theirs.functional}; corrections: {theirs.corrections}), the campaign's engine is "
            f"{convention.potential} ({convention.functional}; corrections: "
            f"{convention.corrections}); their energies cannot be compared: {other_snapshots()}",
            "references",
        )
    for i, electrode in enumerate(config.stability.electrodes):
        if not phases_called(electrode, references):
            raise refuse(
                f'found "{electrode}";{nearest(electrode, electrode_names())} allowed: '
                f"{', '.join(electrode_names())}, or a phase of the snapshot, if the snapshot "
                "holds it: `halideflow references show` lists its phases",
                "electrodes",
                i,
            )
    stability = config.stability.model_copy(update={"references": name})
    return config.model_copy(update={"stability": stability})
