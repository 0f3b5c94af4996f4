"""A server on loopback that speaks the protocol of the Materials Project's API.

It stands in for the protocol, not for the physics. Its documents are made by emmet's own builder of
thermo documents from structures and energies of the shipped CHGNet snapshot; these hold the MP2020
corrections, which are taken out and put back by pymatgen, so that what is fetched must be what the
snapshot holds. Routes, parameters, paging and refusals are those of the real server as its client
(mp-api) and its code (emmet-api, maggma) have them.
"""

import copy
import functools
import json
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from screening.stability.references import ReferencePhases

KEY = "abcdefghijklmnopqrstuvwxyz012345"
VERSION = "2026.05.06"
MAX_LIMIT = 1000
SHIPPED = ReferencePhases.load("chgnet-0.3.0")


def shipped(*elements):
    """Phases of the shipped snapshot."""
    return SHIPPED.for_system(elements)


def entry_of(structure, energy_eV_per_atom, number, **data):
    """An entry as the Materials Project keeps it: raw energy, corrections beside it.

    Args:
        energy_eV_per_atom: with MP2020 corrections.
        number: of its id.
    """
    material_id = f"mp-{number}"
    states = structure.composition.oxi_state_guesses(max_sites=-20)
    entry = ComputedStructureEntry(
        structure,
        energy_eV_per_atom * len(structure),
        parameters={"run_type": "GGA", "is_hubbard": False, "hubbards": {}, "potcar_spec": []},
        data={
            "oxide_type": "None",
            "aspherical": True,
            "material_id": material_id,
            "task_id": material_id,
            "last_updated": "2025-01-01T00:00:00",
            "oxidation_states": dict(states[0]) if states else {},
            "run_type": "GGA",
            "license": "BY-C",
            **data,
        },
        entry_id=f"{material_id}-GGA",
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Failed to guess oxidation states")  # Ta3Cl8
        adjustments = MaterialsProject2020Compatibility(check_potcar=False).get_adjustments(entry)
    raw_eV = entry.energy - sum(adjustment.value for adjustment in adjustments)
    return ComputedStructureEntry(
        structure,
        raw_eV,
        energy_adjustments=adjustments,
        parameters=entry.parameters,
        data=entry.data,
        entry_id=entry.entry_id,
    )


@functools.cache
def documents(*elements):
    """Thermo documents of a chemical system of the shipped snapshot."""
    from emmet.core.thermo import ThermoDoc
    from emmet.core.types.enums import ThermoType

    entries = [
        entry_of(phase.structure, phase.energy_eV_per_atom, 1000 + i)
        for i, phase in enumerate(shipped(*elements))
    ]
    docs = ThermoDoc.from_entries(entries, ThermoType.GGA_GGA_U, deprecated=False)
    return tuple(doc.model_dump_json() for doc in docs)


class MaterialsProject:
    """What the server knows and how it behaves; tests change it while it runs.

    Attributes:
        documents: thermo documents.
        requests: paths asked for, with their parameters, in order.
        status: route -> HTTP status it answers with, whatever is asked.
        on_thermo: called with the parameters of each request for thermo documents.
        ignores_thermo_type: sends documents of any functional.
    """

    def __init__(self, *elements):
        self.documents = [json.loads(text) for text in documents(*elements)]
        self.version = VERSION
        self.requests = []
        self.status = {}
        self.body = None
        self.on_thermo = lambda parameters: None
        self.ignores_thermo_type = False

    def asked(self, route):
        """Parameters of the requests to a route."""
        return [parameters for path, parameters in self.requests if path == route]

    def copies(self, n):
        """Many documents: what is known, again and again, under other ids."""
        originals, self.documents = self.documents, []
        for i in range(n):
            document = copy.deepcopy(originals[i % len(originals)])
            (entry,) = document["entries"].values()
            entry["entry_id"] = f"mp-{5000 + i}-GGA"
            self.documents.append(document)

    def document(self, formula):
        """The first of a formula."""
        return next(d for d in self.documents if d["formula_pretty"] == formula)

    def entry(self, formula):
        """The entry of the first document of a formula."""
        (entry,) = self.document(formula)["entries"].values()
        return entry

    def heartbeat(self):
        """Versions, as the real one states them."""
        return {
            "status": "OK",
            "time": "2026-11-21T12:00:00+00:00",
            "version": "0.87.3",
            "pymatgen": "2026.10.16",
            "db_version": self.version,
            "suffix": "",
            "access_controlled_batch_ids": [],
        }

    def thermo(self, parameters):
        """A page of documents."""
        systems = set(parameters["chemsys"].split(","))
        types = set(parameters["thermo_types"].split(","))
        limit, skip = int(parameters["_limit"]), int(parameters.get("_skip", 0))
        fields = parameters["_fields"].split(",")
        found = [
            {field: document[field] for field in fields}
            for document in self.documents
            if document["chemsys"] in systems
            and (self.ignores_thermo_type or document["thermo_type"] in types)
        ]
        meta = {
            "api_version": "0.87.3",
            "time_stamp": "2026-11-21T12:00:00",
            "total_doc": len(found),
            "facet": None,
        }
        return {"data": found[skip : skip + min(limit, MAX_LIMIT)], "errors": None, "meta": meta}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        parameters = {key: values[0] for key, values in parse_qs(parts.query).items()}
        project = self.server.project
        route = parts.path.strip("/")
        project.requests.append((route, parameters))
        if status := project.status.get(route):
            self._answer(status, project.body or {"detail": "this is what the test wants"})
        elif route == "heartbeat":
            self._answer(200, project.heartbeat())
        elif self.headers.get("x-api-key") != KEY:
            self._answer(401, {"message": "Invalid authentication credentials"})
        elif route == "materials/thermo":
            project.on_thermo(parameters)
            self._answer(200, project.thermo(parameters))
        else:
            self._answer(404, {"message": "no Route matched with those values"})

    def _answer(self, status, document):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was interrupted

    def log_message(self, *_):
        """Nothing on stderr."""


@contextmanager
def serving(project):
    """The server's address while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.project = project
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
