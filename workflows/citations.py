"""What to cite of a campaign: the codes, potentials, data and methods that it really used.

Bibliographic data are in bibliography.yaml. A source that is only named in words, such as that of a
prototype, is cited in these words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from screening.ordering_settings import SupercellsUpTo
from workflows.ingredients import Ingredients

if TYPE_CHECKING:
    from workflows.ingredients import Snapshot

ENTHALPIES = "measured enthalpies of formation, from which the intervals of windows follow"
_DOI = re.compile(r"doi:\s*(10\.\d{4,9}/[^\s,;\"'<>]+)", re.IGNORECASE)
_FIELDS = (
    "title", "journal", "series", "volume", "number", "pages", "edition", "publisher", "year",
    "doi", "url",
)  # fmt: skip
_OTHERS = "others"
_NO_BRACES = str.maketrans("{}", "()")
_MOST_AUTHORS = 8  # shown to people; BibTeX gets all
_CODES = ("halideflow", "jobflow", "pymatgen", "ase", "atomate2", "chgnet")


@dataclass(frozen=True)
class Citation:
    """A source, and why it is cited.

    Args:
        key: of BibTeX.
        why: what of it this campaign used.
        type: of BibTeX.
        authors: as `Family, Given`; the last may be `others`.
        fields: of BibTeX, those that are known for certain.
        note: in words: versions, hashes, what has no field.
        hosts: of the campaign's, those that it is the source of.
    """

    key: str
    why: str
    type: str
    authors: tuple[str, ...] = ()
    fields: Mapping[str, str] | None = None
    note: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def doi(self) -> str | None:
        """Where there is one."""
        return (self.fields or {}).get("doi")

    @property
    def url(self) -> str | None:
        """Where it is found."""
        return f"https://doi.org/{self.doi}" if self.doi else (self.fields or {}).get("url")

    def bibtex(self) -> str:
        """The entry, with why it is cited as a comment above."""
        comment = " ".join(self.why.replace("@", " at ").split())  # an @ would begin an entry
        lines = [f"% {comment}", f"@{self.type}{{{self.key},"]
        if self.authors:
            lines.append(f"  author = {{{' and '.join(map(_escaped, self.authors))}}},")
        for name, value in (self.fields or {}).items():
            text = value if name in ("doi", "url") else _escaped(value)
            text = f"{{{text}}}" if name == "title" else text  # capitals stay
            lines.append(f"  {name} = {{{text}}},")
        if self.note:
            lines.append(f"  note = {{{_escaped(self.note.translate(_NO_BRACES))}}},")
        return "\n".join([*lines, "}"])

    def text(self) -> str:
        """As a list of references has it, without the link."""
        fields = self.fields or {}
        title = fields.get("title", "")
        parts = [self._authors(), title]
        where = " ".join(
            filter(None, (fields.get("journal") or fields.get("series"), fields.get("volume")))
        )
        if number := fields.get("number"):
            where += f" ({number})" if fields.get("volume") else f" {number}"
        if edition := fields.get("edition"):
            where = f"edition {edition}" + (f", {where}" if where else "")
        if pages := fields.get("pages"):
            where += f"{', ' if where else ''}{pages.replace('-', '–')}"
        if version := fields.get("version"):
            where += f"version {version}"
        if year := fields.get("year"):
            where += f" ({year})" if where else f"({year})"
        note = self.note
        if self.doi:  # beside the text, not twice
            note = re.sub(rf",?\s*doi:\s*{re.escape(self.doi)}", "", note)
        return ". ".join(part.removesuffix(".") for part in (*parts, where, note) if part)

    def _authors(self) -> str:
        shown = [name for name in self.authors if name != _OTHERS]
        are_all = len(shown) == len(self.authors) and len(shown) <= _MOST_AUTHORS
        return ", ".join(map(_initials, shown)) if are_all else f"{_initials(shown[0])} et al."


def citations(used: Ingredients) -> tuple[Citation, ...]:
    """All that this campaign used, each once: codes, energies, data, methods, structures."""
    found: dict[str, Citation] = {}
    for new in (
        *_codes(used),
        *_energies(used),
        *_references(used),
        *_stability(used),
        *_transport(used),
        *_structures(used),
    ):
        citation, n_others = new, 1
        while (known := found.get(citation.key)) and not _is_same(known, citation):
            n_others += 1
            citation = replace(new, key=f"{new.key}-{n_others}")
        if known:
            why = known.why if new.why in known.why else f"{known.why}; {new.why}"
            found[citation.key] = replace(known, why=why, hosts=(*known.hosts, *new.hosts))
        else:
            found[citation.key] = citation
    return tuple(found.values())


def _is_same(one: Citation, other: Citation) -> bool:
    return (one.fields, one.note) == (other.fields, other.note)


def to_bibtex(listed: Sequence[Citation]) -> str:
    """A file of entries."""
    return "\n\n".join(citation.bibtex() for citation in listed) + "\n"


def _codes(used: Ingredients) -> Iterator[Citation]:
    yield _cite("halideflow", "the screening program that ran this campaign", used)
    yield _cite("jobflow", "the graph of the campaign's jobs", used)
    if used.on_cluster:
        yield _cite("jobflow-remote", "jobs were sent to the queue of a cluster through it")
    yield _cite("maggma", "the store of results")
    yield _cite("pymatgen", "structures, phase diagrams and files", used)
    yield _cite("pymatgen2026", "its developers ask for this one, too")
    yield _cite("moyopy", "symmetry of hosts, with which distinct orderings are found")
    if used.n_relaxed:
        yield _cite("atomate2", "the calculations of all relaxations", used)
    if used.n_relaxed and used.config.engine.name != "vasp":
        yield _cite("ase", "optimisers and molecular dynamics", used)
    if used.n_relaxed and used.config.engine.runs_vasp:
        yield _cite("custodian", "errors of VASP's runs were found and mended by it")


def _energies(used: Ingredients) -> Iterator[Citation]:
    for convention in used.conventions:
        weights = (
            f", weights sha256 {convention.weights_sha256}" if convention.weights_sha256 else ""
        )
        if convention.code == "vasp":
            yield from _density_functional_theory(used)
            continue
        energies = "all energies and forces"
        if used.config.engine.runs_vasp:
            energies = "all energies and forces, behind a stand-in for VASP (a rehearsal)"
        yield _cite("chgnet", f"{energies}: {convention.potential}{weights}", used)
        if "r2scan" in convention.potential:
            yield _cite("chgnet-r2scan", f"the weights {convention.potential}")
            yield _cite("r2scan", "the functional that these weights reproduce")
    if used.conventions and not used.config.engine.runs_vasp:
        yield _cite("fire", "the optimiser of all relaxations")
    if used.corrects_energies:
        how = {
            True: "corrections that were added to each energy",
            False: "corrections that the potential's training energies hold",
        }[any(convention.code == "vasp" for convention in used.conventions)]
        yield _cite("mp2020", how)


def _density_functional_theory(used: Ingredients) -> Iterator[Citation]:
    versions = ", ".join(used.vasp.versions)
    yield _cite("vasp1996a", f"VASP {versions}: all energies and forces")
    yield _cite("vasp1996b", f"VASP {versions}: all energies and forces")
    yield _cite("paw1994", "projector augmented waves")
    yield _cite("paw1999", f"the pseudopotentials {', '.join(used.vasp.potcars)}")
    yield _cite("pbe", "the exchange-correlation functional")
    if used.vasp.with_hubbard_u:
        yield _cite("dudarev1998", "the Hubbard U of some elements")
    yield _cite("materials-project", "the settings of relaxations and single points")


def _references(used: Ingredients) -> Iterator[Citation]:
    if not used.n_on_hull:
        return
    if used.snapshot.is_of_the_materials_project:
        yield _cite("materials-project", "energies of reference phases")
    yield _snapshot(used.snapshot)
    names = _enthalpy_sources()
    for key in used.enthalpy_sources:
        if key in _bibliography():
            yield _cite(key, ENTHALPIES)
        else:
            yield from _in_words(f"enthalpies-{key}", names[key], ENTHALPIES)


def _snapshot(snapshot: Snapshot) -> Citation:
    facts = [f"sha256 {snapshot.sha256}" if snapshot.sha256 else "its hash was not noted"]
    if snapshot.known:
        facts.insert(0, f"{snapshot.known.n_phases} phases of {snapshot.known.date}")
        facts.insert(1, snapshot.known.source)
    return Citation(
        "reference-phases",
        "the phases that candidates compete with",
        "misc",
        ("{The Halideflow developers}",) if snapshot.is_shipped else (),
        {"title": f"Reference phases {snapshot.name}"},
        "; ".join(facts),
    )


def _stability(used: Ingredients) -> Iterator[Citation]:
    if not used.n_on_hull:
        return
    yield _cite("ong2008", "phases in equilibrium with a reservoir of the metal")
    yield _cite("zhu2015", "the electrochemical window")
    yield _cite("richards2016", "the electrochemical window")
    if used.n_with_intervals:
        yield _cite("hautier2012", "the mixing error in the intervals of windows")
    if used.n_interfaces:
        yield _cite("zhu2016", "reactions with electrodes")


def _transport(used: Ingredients) -> Iterator[Citation]:
    if not used.dynamics.durations_ps:
        return
    if any(convention.code == "vasp" for convention in used.conventions):
        yield _cite("nose1984", "the thermostat of molecular dynamics")
        yield _cite("hoover1985", "the thermostat of molecular dynamics")
    elif not used.config.engine.runs_vasp:
        yield _cite("martyna1992", "the thermostat of molecular dynamics")
    yield _cite("he2018", "hops of a run, and the empirical error of D to compare with")
    yield _cite("clark2025", "the test by which the start of a run is left out")
    yield _cite("chodera2016", "the test by which the start of a run is left out")
    if used.n_glasses:
        yield _cite("melt-quench", "the protocol of melting and quenching")
        yield _cite("pinsky1998", "symmetry measures of the polyhedra in glasses")


def _structures(used: Ingredients) -> Iterator[Citation]:
    candidates = used.config.candidates
    if candidates.families:
        yield _cite("shannon1976", "radii from which cells of prototypes are scaled")
    if any(not substitution.ions for substitution in candidates.substitutions):
        yield _cite("hautier2011", "which ions are likely to take each other's place")
    supercells = [entry.supercell for entry in candidates.families]
    supercells += [entry.supercell for entry in candidates.files]
    supercells += [entry.supercell for entry in candidates.substitutions]
    if any(isinstance(supercell, SupercellsUpTo) for supercell in supercells):
        yield _cite("hart2008", "all supercells up to a size")
    for origin in used.origins:
        if origin.source != origin.host:  # a file of the user's own is its own source
            why = f"the host {origin.host}"
            for citation in _in_words(f"host-{origin.host}", origin.source, why):
                yield replace(citation, hosts=(origin.host,))
    for window in used.config.published:
        why = f"the published window of {window.formula}, compared with"
        yield from _in_words(f"published-{window.formula}", window.source, why)


def _in_words(key: str, source: str, why: str) -> Iterator[Citation]:
    """What a source in words names: entries of known DOIs, else the words with the first DOI."""
    dois = [doi.rstrip(".)") for doi in _DOI.findall(source)]
    known = [name for doi in dois if (name := _keys_by_doi().get(doi.lower()))]
    for name in known:
        yield _cite(name, why)
    if dois and len(known) == len(dois):
        return
    clean = re.sub(r"[^A-Za-z0-9.-]+", "-", key).strip("-")
    yield Citation(clean, why, "misc", fields={"doi": dois[0]} if dois else {}, note=source)


def _cite(key: str, why: str, used: Ingredients | None = None) -> Citation:
    """An entry of the bibliography; with `used`, with the versions of the code."""
    citation = replace(_bibliography()[key], why=why)
    version = used.versions.get(key) if used and key in _CODES else None
    if version is None:
        return citation
    if citation.type == "software":
        return replace(citation, fields={**(citation.fields or {}), "version": version})
    note = f"version {version} was used"
    return replace(citation, note=f"{citation.note}; {note}" if citation.note else note)


@functools.cache
def _bibliography() -> dict[str, Citation]:
    text = (resources.files("workflows") / "bibliography.yaml").read_text(encoding="utf-8")
    data: dict[str, dict[str, Any]] = YAML(typ="safe").load(text)
    return {
        key: Citation(
            key,
            "",
            entry["type"],
            tuple(entry.get("authors", ())),
            {name: str(entry[name]) for name in _FIELDS if name in entry},
            entry.get("note", ""),
        )
        for key, entry in data.items()
    }


@functools.cache
def _keys_by_doi() -> dict[str, str]:
    return {entry.doi.lower(): key for key, entry in _bibliography().items() if entry.doi}


@functools.cache
def _enthalpy_sources() -> dict[str, str]:
    from screening.stability.enthalpies import enthalpy_sources

    return enthalpy_sources()


def _initials(name: str) -> str:
    """`Deng, Bowen` -> `B. Deng`; a name in braces stays."""
    if name.startswith("{"):
        return name.strip("{}")
    family, _, given = name.partition(", ")
    initials = [
        "-".join(f"{part[0]}." for part in word.split("-") if part) for word in given.split()
    ]
    return " ".join([*initials, family])


def _escaped(text: str) -> str:
    """For BibTeX: what LaTeX would take for commands."""
    text = " ".join(text.replace("\\", "/").split())
    return re.sub(r"([&%$#_])", r"\\\1", text)
