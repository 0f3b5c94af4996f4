"""The Materials Project's own client: quiet, in a hurry, and clear about what went wrong."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from screening.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    import requests
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from workflows.chemical_systems import System

THERMO_TYPE = "GGA_GGA+U"
UNKNOWN = "unknown"
KEY_VARIABLES = ("MP_API_KEY", "PMG_MAPI_KEY")
KEY_LENGTH = 32
HOW_TO_GO_ON = (
    "\nTo go on offline: the shipped snapshot chgnet-0.3.0 needs no network, `halideflow "
    "references build` makes one with the campaign's engine, and files that were fetched elsewhere "
    "work as they are (stability: {references: FOLDER})."
)
_ENDPOINT = "https://api.materialsproject.org/"
_CONNECT_S, _READ_S = 5.0, 8.0


def api_key() -> str:
    """The key of the Materials Project, from the environment; it is never printed or stored.

    Raises:
        InvalidInput: there is none, or what there is cannot be one.
    """
    for variable in KEY_VARIABLES:
        if key := os.environ.get(variable, "").strip():
            break
    else:
        raise InvalidInput(
            f"no key of the Materials Project: neither {' nor '.join(KEY_VARIABLES)} is set in the "
            "environment. Keys are free at https://materialsproject.org/api; then `export "
            f"{KEY_VARIABLES[0]}=...`.{HOW_TO_GO_ON}"
        )
    if len(key) != KEY_LENGTH or not (key.isascii() and key.isalnum()):
        raise InvalidInput(
            f"{variable} holds {len(key)} characters; keys of the Materials Project are "
            f"{KEY_LENGTH} letters and digits, see https://materialsproject.org/api.{HOW_TO_GO_ON}"
        )
    return key


def server_address() -> str:
    """Where its server is: the public one, unless MP_API_ENDPOINT says otherwise."""
    given = os.environ.get("MP_API_ENDPOINT", "").strip().rstrip("/")
    return f"{given}/" if given else _ENDPOINT


def database_version(address: str) -> str:
    """The version of the database as its server states it, or "unknown" where it will not say.

    Raises:
        Unavailable: no network, or nobody who answers as the Materials Project does.
    """
    import requests

    try:
        response = requests.get(f"{address}heartbeat", timeout=(_CONNECT_S, _READ_S))
    except (requests.RequestException, ValueError) as error:
        raise Unavailable(
            f"the Materials Project cannot be reached at {address}: {_root(error)}.{HOW_TO_GO_ON}"
        ) from error
    if response.status_code == requests.codes.forbidden:
        return UNKNOWN  # its bot detection does this at times; requests with a key still pass
    _check_status(response)
    try:
        return str(response.json()["db_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"{address} answered, but not as the Materials Project does: is there a login page in "
            f"between, or is MP_API_ENDPOINT set wrongly?{HOW_TO_GO_ON}"
        ) from error


def _check_status(response: requests.Response, *_: object, **__: object) -> None:
    """Say what a refused request means, before the client says it in its own words."""
    status = response.status_code
    if status in (401, 403):
        response.close()
        raise Unavailable(
            f"the Materials Project refused the key (HTTP {status}): see "
            "https://materialsproject.org/api for yours, and that it is the one in "
            f"{' or '.join(KEY_VARIABLES)}; 403 can also mean that it blocks this network."
            f"{HOW_TO_GO_ON}"
        )
    if status == 429 or status >= 500:
        response.close()
        reason = "asks for patience" if status == 429 else "has a fault"
        raise Unavailable(
            f"the server of the Materials Project {reason} (HTTP {status}); systems that are "
            f"finished stay, the same command goes on later.{HOW_TO_GO_ON}"
        )


@contextmanager
def materials_project(key: str, address: str) -> Iterator[Any]:
    """The project's own client, quiet and not patient without end."""
    from mp_api.client import MPRester
    from mp_api.client.core.exceptions import MPRestWarning
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    with warnings.catch_warnings():
        # the version is unknown then, which the snapshot says itself
        warnings.filterwarnings("ignore", "Cannot listen to heartbeat", MPRestWarning)
        with _explained(address):
            client = MPRester(
                key,
                endpoint=address,
                use_document_model=False,  # entries are checked one by one anyway
                mute_progress_bars=True,
            )
        retries = Retry(
            connect=1,
            read=1,
            status=2,
            status_forcelist=(429, 502, 503, 504),
            backoff_factor=1,
            respect_retry_after_header=False,  # a server may ask for hours
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            client.session.mount(scheme, HTTPAdapter(max_retries=retries))
        client.session.hooks["response"].append(_check_status)
        with client:
            yield client


def entries_in(client: Any, system: System, address: str) -> list[ComputedStructureEntry]:
    """All entries of a chemical system and its subsystems, with structures and corrections.

    Raises:
        Unavailable: no usable answer.
    """
    with _explained(address):
        return list(
            client.get_entries_in_chemsys(
                list(system), additional_criteria={"thermo_types": [THERMO_TYPE]}
            )
        )


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """What the client raises, in one sentence and with a way to go on."""
    import requests
    from mp_api.client import MPRestError

    try:
        yield
    except (MPRestError, requests.RequestException) as error:
        raise Unavailable(
            f"the Materials Project at {address} gave no usable answer: {_root(error)}; systems "
            f"that are finished stay, the same command goes on.{HOW_TO_GO_ON}"
        ) from error
    except (ValueError, KeyError) as error:
        raise Unavailable(
            f"the answer of the Materials Project at {address} cannot be read "
            f"({type(error).__name__}: {str(error).splitlines()[0]}); is "
            f"mp-api too old?{HOW_TO_GO_ON}"
        ) from error


def _root(error: BaseException) -> str:
    """What went wrong at the bottom of a chain of exceptions."""
    import requests

    if isinstance(error, requests.Timeout):
        return f"no answer within {_CONNECT_S + _READ_S:.0f} s"
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text or type(error).__name__).splitlines()[0]
