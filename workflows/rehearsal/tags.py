"""What the stand-in makes of every INCAR tag: honour it, need not, or refuse.

A tag that changes the physics of ions and is not honoured would be a lie in every number behind it,
so it ends the run, as does a tag that nobody knows. Tags of electrons, accuracy, parallel runs and
output change nothing in a potential that has no electrons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflows.rehearsal.stopped import Stopped

if TYPE_CHECKING:
    from pathlib import Path

    from workflows.rehearsal.incar import Incar, Value


def _names(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


HONOURED: Final = _names(
    "ANDERSEN_PROB EDIFF EDIFFG GGA IBRION ISIF ISPIN ISYM KBLOCK KGAMMA KSPACING LANGEVIN_GAMMA",
    "LCHARG LDAU LDAUJ LDAUU LWAVE MAGMOM MDALGO NBANDS NBLOCK NELECT NELM NSW POTIM PSTRESS",
    "RANDOM_SEED SMASS SYMPREC SYSTEM TEBEG TEEND",
)

WITHOUT_EFFECT: Final = _names(
    # basis and accuracy
    "ADDGRID EMAX EMIN ENAUG ENCUT ENINI ENMAX GGA_COMPAT LASPH LMAXMIX LMAXPAW LMAXTAU LMIXTAU",
    "LREAL NEDOS NGX NGXF NGY NGYF NGZ NGZF NLSPLINE PREC ROPT",
    # self-consistency, and how it starts
    "ALGO AMIN AMIX AMIX_MAG APACO BMIX BMIX_MAG DEPER EBREAK IALGO IMIX INIMIX INIWAV ISEARCH",
    "ISTART IWAVPR LDIAG LSUBROT MAXMIX MINROT MIXPRE NELMDL NELMIN NSIM SIGMA TIME WC",
    "WEIMIN FERDO FERWE",
    # magnetism and +U, which are in what CHGNet was fitted to
    "LDAUL LDAUPRINT LDAUTYPE LORBMOM RWIGS SAXIS VOSKOWN",
    # parallel runs and memory
    "KPAR LASYNC LPLANE LSCALAPACK LSCALU LSCAAWARE MAXMEM NBLK NCORE NCORE_IN_IMAGE1 NPAR",
    "NCSHMEM LUSENCCL",
    # output
    "ANTIRES CSHIFT LAECHG LELF LH5 LORBIT LSEPB LSEPK LVHAR LVTOT LWRTCONT",
    "NBMOD NPACO NWRITE EINT IBAND KPUSE ML_OUTBLOCK LCORR",
    # of ensembles and algorithms that are refused by the tag that asks for them
    "FINDIFF LANGEVIN_GAMMA_L NFREE PMASS STEP_MAX STEP_SIZE AEXX ENCUTFOCK",
    "HFSCREEN LMAXFOCK LMAXFOCKAE NKRED NKREDX NKREDY NKREDZ PARAM1 PARAM2 PRECFOCK BPARAM CPARAM",
    "LVDW_EWALD LVDWEXPANSION VDW_A1 VDW_A2 VDW_C6 VDW_CNRADIUS VDW_D VDW_R0 VDW_RADIUS VDW_S6",
    "VDW_S8 VDW_SR ZAB_VDW DIPOL EPSILON LSYMGRAD",
)

_OFF: Final = (False,)
_NONE: Final = ("NONE", "--", "-", False)

ALLOWED: Final[dict[str, tuple[Value, ...]]] = {
    # the functional: CHGNet was fitted to PBE and PBE+U
    "GGA": ("PE", "--"),
    "METAGGA": _NONE,
    "AGGAX": (1,),
    "AGGAC": (1,),
    "ALDAC": (1,),
    "LMETAGGA": _OFF,
    "XC": ("PBE", "PE"),
    "LHFCALC": _OFF,
    "LUSE_VDW": _OFF,
    "IVDW": (0,),
    "LMODELHF": _OFF,
    "LTHOMAS": _OFF,
    "LRPA": _OFF,
    # electrons that are not those of a neutral crystal in its ground state
    "ISMEAR": (-15, -14, -5, -4, -1, *range(10)),
    "LSORBIT": _OFF,
    "LNONCOLLINEAR": _OFF,
    "LSPIRAL": _OFF,
    "NUPDOWN": (-1,),
    "I_CONSTRAINED_M": (0,),
    "ISPIND": (1, 2),
    "ICHARG": (0, 1, 2, 4),
    # fields and surroundings
    "EFIELD": (0,),
    "EFIELD_PEAD": (0,),
    "LDIPOL": _OFF,
    "IDIPOL": (0,),
    "LMONO": _OFF,
    "LSOL": _OFF,
    "LAMBDA": (0,),
    "QSPIRAL": (0,),
    # what is moved, and how
    "IBRION": (-1, 0, 1, 2, 3),
    "ISIF": (0, 1, 2, 3, 4, 5, 6, 7, 8),
    "MDALGO": (0, 1, 2, 3),
    "ISPIN": (1, 2),
    "IOPT": (0,),
    "ICHAIN": (0,),
    "IMAGES": (0,),
    "SPRING": (-5,),
    "LCLIMB": _OFF,
    "LATTICE_CONSTRAINTS": (False,),
    "LBLUEOUT": _OFF,
    "HILLS_BIN": (0,),
    "ML_LMLFF": _OFF,
    "ML_MODE": ("NONE",),
    "NSUBSYS": (),
    # properties of electrons, of which there are none
    "LPARD": _OFF,
    "LEPSILON": _OFF,
    "LCALCEPS": _OFF,
    "LCALCPOL": _OFF,
    "LPEAD": _OFF,
    "LOPTICS": _OFF,
    "LCHIMAG": _OFF,
    "LEFG": _OFF,
    "LHYPERFINE": _OFF,
    "LBERRY": _OFF,
    "LWANNIER90": _OFF,
    "LWANNIER90_RUN": _OFF,
    "LKPROJ": _OFF,
    "LNABLA": _OFF,
    "ICORELEVEL": (0,),
    "CLNT": (1,),
    "PHON_LMC": _OFF,
}
"""Tags whose other values are refused."""

_OTHER_ALGORITHMS: Final = (
    *("2E4W", "ACFDT", "BSE", "CHI", "CRPA", "EVGW", "G0W0", "GW", "QPGW", "RPA", "SCGW", "TDHF"),
    "TIMEEV",
)

_FILES: Final = {
    "ICONST": "constraints of molecular dynamics are",
    "PENALTYPOT": "bias potentials are",
    "HILLSPOT": "metadynamics is",
}


def check_tags(incar: Incar) -> None:
    """Stop at the first tag that would have no effect though it should.

    Raises:
        Stopped: naming the tag, its value and what is allowed.
    """
    for tag, value in incar.items():
        if tag in ALLOWED:
            allowed = ALLOWED[tag]
            if not all(_is_among(item, allowed) for item in _items(value)):
                raise refusal(tag, value, " or ".join(_written(item) for item in allowed))
        elif tag not in HONOURED and tag not in WITHOUT_EFFECT:
            raise Stopped(
                f"INCAR: {tag} = {_written(value)} is a tag that the stand-in for VASP does not "
                "know; it honours or ignores only tags it knows, so leave it out or correct it"
            )
    if incar.text("ALGO", "").upper().startswith(_OTHER_ALGORITHMS):
        raise refusal("ALGO", incar["ALGO"], "an algorithm that minimises the energy of PBE")


def check_files(folder: Path) -> None:
    """Stop at a file beside the INCAR that asks for what is not honoured.

    Raises:
        Stopped: naming the file.
    """
    for name, why in _FILES.items():
        if (path := folder / name).is_file() and path.read_text().strip():
            raise Stopped(
                f"{name}: {why} not honoured by the stand-in for VASP; allowed: no such file"
            )


def refusal(tag: str, value: Value, allowed: str) -> Stopped:
    """Says that a value is not honoured, and which are."""
    return Stopped(
        f"INCAR: {tag} = {_written(value)} is physics that the stand-in for VASP does not honour; "
        f"allowed: {allowed or 'leaving it out'}"
    )


def _items(value: Value) -> list[object]:
    return list(value) if isinstance(value, list) else [value]


def _is_among(item: object, allowed: tuple[Value, ...]) -> bool:
    if isinstance(item, bool):
        return any(item is one for one in allowed)
    if isinstance(item, str):
        return item.upper() in allowed
    return any(not isinstance(one, bool) and item == one for one in allowed)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return ".TRUE." if value else ".FALSE."
    if isinstance(value, list):
        return " ".join(_written(item) for item in value)
    return str(value)
