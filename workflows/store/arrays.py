"""Arrays as files that `numpy.load` opens, indexed in SQLite: an additional store of jobflow.

What a job gives to the store is a blob, and in its `data` there may be npz archives at any depth:

    given and got back   {"@module": ..., "@class": ..., "npz": "<base64 of the archive>"}
    kept in the index    {"@module": ..., "@class": ..., "npz": {"file": "<blob_uuid>.npz"}}
    kept as a file       <directory>/<blob_uuid>.npz, the archive; -1, -2, ... if there are more
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from monty.json import jsanitize

from workflows.store.codec import Document
from workflows.store.sqlite import Criteria, Order, Properties, SqliteStore

_NPZ_KEYS = {"@module", "@class", "npz"}
_ZIP_MAGIC = b"PK"


class ArrayFileStore(SqliteStore):
    """Blobs of jobs, whose npz archives, at any depth of `data`, are files in a directory.

    A file is on disk before the index names it. If a process dies in between, the file stays
    behind unused, and the next update of the same blob overwrites it.

    Args:
        path: the SQLite file of the index; may be that of the documents.
        directory: where the archives go; made when the first one comes.
        table: of the index.
        key: what identifies a blob.
        read_only: never write; the SQLite file must exist.
        kwargs: as in `SqliteStore`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        directory: str | os.PathLike[str],
        table: str = "arrays",
        key: str = "blob_uuid",
        read_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            path,
            table=table,
            key=key,
            unique=("blob_uuid",),
            indexed=("job_uuid", "job_index"),
            read_only=read_only,
            **kwargs,
        )
        self.directory = str(Path(directory).expanduser().absolute())

    def query(
        self,
        criteria: Criteria | None = None,
        properties: Properties | None = None,
        sort: Order | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Blobs that match, with the archives that `properties` leave in them.

        Raises:
            FileNotFoundError: an archive is no longer in the directory.
        """
        for blob in super().query(criteria, properties, sort, skip, limit):
            if "data" in blob:
                blob["data"] = _with_npz(blob["data"], self._read)
            yield blob

    def update(self, docs: list[Document] | Document, key: list[str] | str | None = None) -> None:
        """Write the archives, then the index; see `SqliteStore.update`.

        Raises:
            ValueError: a blob_uuid that cannot name a file.
        """
        self._table.check_writable()
        blobs = [
            jsanitize(document, allow_bson=True, recursive_msonable=True)
            for document in (docs if isinstance(docs, list) else [docs])
        ]
        before = self._files({"blob_uuid": {"$in": [blob["blob_uuid"] for blob in blobs]}})
        for blob in blobs:
            if "data" in blob:
                blob["data"] = _with_npz(blob["data"], self._writer(blob["blob_uuid"]))
        super().update(blobs, key)
        self._unlink(before - {name for blob in blobs for name in _files_in(blob)})

    def remove_docs(self, criteria: Criteria) -> None:
        """Remove the blobs that match, and their archives."""
        files = self._files(criteria)
        super().remove_docs(criteria)
        self._unlink(files)

    def files(self, criteria: Criteria) -> dict[str, str | None]:
        """Name of each file of the blobs that match -> uuid of the job it is of; none is read."""
        return {
            name: blob.get("job_uuid")
            for blob in super().query(criteria, ["job_uuid", "data"])
            for name in _files_in(blob)
        }

    def _files(self, criteria: Criteria) -> set[str]:
        return set(self.files(criteria))

    def _unlink(self, names: set[str]) -> None:
        for name in names:
            Path(self.directory, name).unlink(missing_ok=True)

    def _read(self, npz: Any) -> Any:
        """The archive that the index names, as base64; what is no such name is left as it is."""
        if not _is_file(npz):
            return npz
        path = Path(self.directory, npz["file"])
        try:
            return base64.b64encode(path.read_bytes()).decode("ascii")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{path} is missing, but {self.name} lists it; "
                "put it back, or remove its results and run their jobs again"
            ) from error

    def _writer(self, blob_uuid: str) -> Callable[[Any], Any]:
        """Function that moves the archives of one blob into files, and gives what names them."""
        if not blob_uuid or blob_uuid != Path(blob_uuid).name:
            raise ValueError(f"blob_uuid {blob_uuid!r} cannot be the name of a file")
        names = (
            f"{blob_uuid}-{number}.npz" if number else f"{blob_uuid}.npz" for number in count()
        )

        def write(npz: Any) -> Any:
            archive = _archive(npz)
            if archive is None:
                return npz
            name = next(names)
            _write_durably(Path(self.directory, name), archive)
            return {"file": name}

        return write


def _with_npz(value: Any, convert: Callable[[Any], Any]) -> Any:
    """A copy in which each npz went through `convert`."""
    if isinstance(value, list):
        return [_with_npz(part, convert) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() >= _NPZ_KEYS:
        return {**value, "npz": convert(value["npz"])}
    return {key: _with_npz(part, convert) for key, part in value.items()}


def _files_in(blob: Document) -> list[str]:
    found: list[Any] = []
    _with_npz(blob.get("data"), found.append)
    return [npz["file"] for npz in found if _is_file(npz)]


def _is_file(npz: Any) -> bool:
    """Whether this is what `_writer` left: no other file is ever read or removed."""
    if not isinstance(npz, dict) or npz.keys() != {"file"}:
        return False
    name = npz["file"]
    return isinstance(name, str) and name.endswith(".npz") and name == Path(name).name


def _archive(npz: Any) -> bytes | None:
    """The archive in a base64 string, None if there is none."""
    try:
        archive = base64.b64decode(npz, validate=True) if isinstance(npz, str) else b""
    except ValueError:
        return None
    return archive if archive.startswith(_ZIP_MAGIC) else None


def _write_durably(path: Path, content: bytes) -> None:
    """Either the whole file is there when this returns, or, if it fails, the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
