"""What ends a run before its end."""

from screening.errors import ScreeningError


class Stopped(ScreeningError):
    """The stand-in cannot go on, as VASP could not: its message goes where VASP's goes."""

    code = "REHEARSAL_STOPPED"
