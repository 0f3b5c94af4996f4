"""A cluster as a project of jobflow-remote: written by `cluster init`, read back by its name.

The file is jobflow-remote's own, in its own folder, and may be edited; what `cluster init` was
given is kept in its `metadata`. What is run is a project of the campaign's own, derived from it:
see `workflows.cluster.campaign_project`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from screening.errors import InvalidInput
from workflows.cluster.settings import LONGEST_NAME, NAME_PATTERN, ClusterSettings
from workflows.cluster.translation import METADATA, project_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = """\
# A project of jobflow-remote for cluster {name}, written by `halideflow cluster init`.
# Every campaign derives its own from it, with what is changed here by hand.
"""
_HASH = "# sha256 of what follows: "


@dataclass(frozen=True)
class KnownCluster:
    """A cluster that `halideflow cluster init` has written."""

    settings: ClusterSettings
    file: Path


def projects_folder() -> Path:
    """Where jobflow-remote looks for projects."""
    from jobflow_remote.config.settings import JobflowRemoteSettings

    return Path(JobflowRemoteSettings().projects_folder).expanduser()


def project_file(name: str) -> Path:
    """Where the project of a cluster is, or goes."""
    return projects_folder() / f"{name}.yaml"


def write_project(cluster: ClusterSettings, overwrite: bool = False) -> Path:
    """Write the project of a cluster; what was edited before becomes NAME.yaml.bak.

    Args:
        cluster: of whatever name.
        overwrite: also a file that was edited by hand, or that is another program's.

    Raises:
        InvalidInput: there is such a file.
    """
    file = project_file(cluster.name)
    if file.exists() and not _is_untouched(file):
        if not overwrite:
            raise InvalidInput(
                f"{file}: was not written by `halideflow cluster init`, or has been edited since; "
                f"--force writes it anew and keeps this one as {file.name}.bak"
            )
        write_atomically(file.with_name(f"{file.name}.bak"), file.read_text(encoding="utf-8"))
    body = as_yaml(project_of(cluster))
    text = f"{_HEADER.format(name=cluster.name)}{_HASH}{_sha256(body)}\n\n{body}"
    write_atomically(file, text)
    return file


def known_clusters() -> list[KnownCluster]:
    """All clusters, by name; other projects of jobflow-remote are left out."""
    known = []
    for file in sorted(projects_folder().glob("*.yaml")):
        with contextlib.suppress(InvalidInput):
            known.append(KnownCluster(_settings(file), file))
    return known


def cluster_called(name: str) -> ClusterSettings:
    """What `cluster init` was given for the cluster of this name.

    Raises:
        InvalidInput: there is no such cluster.
    """
    file = project_file(name)
    is_name = re.match(NAME_PATTERN, name) and len(name) <= LONGEST_NAME
    if not is_name or not file.exists():
        from workflows.yaml_models import nearest

        names = [cluster.settings.name for cluster in known_clusters()]
        known = f"known are {', '.join(names)}" if names else "none is known"
        raise InvalidInput(
            f'cluster "{name}": there is no such cluster;{nearest(name, names)} {known} in '
            f"{projects_folder()}; `halideflow cluster init FILE` makes one"
        )
    return _settings(file)


def read_project(file: Path) -> dict[str, Any]:
    """A project file as plain values.

    Raises:
        InvalidInput: it cannot be read.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        project = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}: cannot be read: {error}") from error
    if not isinstance(project, dict):
        raise InvalidInput(f"{file}: is no project of jobflow-remote")
    return project


def as_yaml(project: Mapping[str, Any]) -> str:
    """Text of a project file, with scripts line by line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import walk_tree

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096  # no command is broken
    plain = dict(project)
    walk_tree(plain)
    out = io.StringIO()
    yaml.dump(plain, out)
    return out.getvalue()


def write_atomically(file: Path, text: str) -> None:
    """Replace a file by another one that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:  # noqa: PTH123
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)


def _settings(file: Path) -> ClusterSettings:
    short = (read_project(file).get("metadata") or {}).get(METADATA)
    if not isinstance(short, dict):
        raise InvalidInput(
            f"{file}: is a project of jobflow-remote that `halideflow cluster init` has not "
            "written; give the cluster another name"
        )
    try:
        return ClusterSettings.model_validate(short)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("metadata", METADATA, *first["loc"])))
        raise InvalidInput(
            f"{file}: {place}: {first['msg']}; mend it, or write the file anew by `halideflow "
            "cluster init FILE --force`"
        ) from error


def _is_untouched(file: Path) -> bool:
    head, _, rest = file.read_text(encoding="utf-8").partition(_HASH)
    found, _, body = rest.partition("\n\n")
    return head.startswith("#") and found == _sha256(body)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
