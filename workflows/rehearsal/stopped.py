"""What ends a run before its end."""


class Stopped(Exception):
    """The stand-in cannot go on, as VASP could not; its message goes where VASP's goes."""
