"""Everything that can go wrong, as one small tree.

ScreeningError                 code: SCREENING
├── InvalidInput               INVALID_INPUT        the user's input cannot be used
├── NotFinished                NOT_FINISHED         what was asked for is not there yet
├── Unavailable                UNAVAILABLE          a service elsewhere gives no usable answer
├── UnusableStructure          UNUSABLE_STRUCTURE   overlapping atoms, NaN, no mobile ion
├── EngineFailure              ENGINE_FAILURE       the energy engine gave no usable answer
│   ├── EnergyNotFinite        ENERGY_NOT_FINITE    NaN or infinite energy, force or stress
│   ├── NotConverged           NOT_CONVERGED        a relaxation that used up its steps
│   ├── RunExploded            RUN_EXPLODED         molecular dynamics that flew apart
│   ├── RunDrifted             RUN_DRIFTED          dynamics that does not conserve its energy
│   └── ProgramFailure         PROGRAM_FAILURE      VASP left no usable result
│       ├── ElectronsNotConverged  SCF_NOT_CONVERGED  an electronic loop used up its steps
│       ├── WallTimeReached    WALLTIME             the job's time was used up
│       ├── ProgramKilled      KILLED               ended by a signal from outside
│       ├── ProgramCrashed     CRASHED              ended by itself, with an error
│       ├── DiskFull           DISK_FULL            nothing could be written any more
│       ├── CorruptOutput      CORRUPT_OUTPUT       an output file that cannot be read
│       ├── MissingOutput      MISSING_OUTPUT       an output file that is not there
│       ├── MissingPotcar      MISSING_POTCAR       a pseudopotential that is not there
│       └── CommandNotFound    COMMAND_NOT_FOUND    the program is not there
├── UnsoundHull                UNSOUND_HULL         a hull or window that would be wrong
│   ├── MixedConventions       MIXED_CONVENTIONS    energies of different engines in one hull
│   ├── MissingReference       MISSING_REFERENCE    no reference phase for an element
│   └── MissingCorrection      MISSING_CORRECTION   a halide without its correction
└── UnusableRun                UNUSABLE_RUN         a trajectory that carries no diffusivity

A message says what was found, what was needed and what to do. `code` is what a failed candidate
is stored under; it never changes once released.
"""


class ScreeningError(Exception):
    """The root: whatever this project raises on purpose."""

    code = "SCREENING"


class InvalidInput(ScreeningError):
    """The user's input cannot be used."""

    code = "INVALID_INPUT"


class NotFinished(ScreeningError):
    """What was asked for is not there yet, or is being made."""

    code = "NOT_FINISHED"


class Unavailable(ScreeningError):
    """A service elsewhere gives no usable answer."""

    code = "UNAVAILABLE"


class UnusableStructure(ScreeningError):
    """A structure that no engine should be given."""

    code = "UNUSABLE_STRUCTURE"


class EngineFailure(ScreeningError):
    """The energy engine gave no usable answer.

    Args:
        message: what was found, what was needed, what to do.
        log_tail: last lines of what a program printed.
        corrections: what was changed and tried again before it was given up.
    """

    code = "ENGINE_FAILURE"

    def __init__(
        self, message: str, *, log_tail: str = "", corrections: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.log_tail = log_tail
        self.corrections = corrections


class EnergyNotFinite(EngineFailure):
    """An energy, force or stress that is NaN or infinite."""

    code = "ENERGY_NOT_FINITE"


class NotConverged(EngineFailure):
    """A relaxation that used up its steps."""

    code = "NOT_CONVERGED"


class RunExploded(EngineFailure):
    """Molecular dynamics that flew apart."""

    code = "RUN_EXPLODED"


class RunDrifted(EngineFailure):
    """Molecular dynamics that does not conserve its energy."""

    code = "RUN_DRIFTED"


class ProgramFailure(EngineFailure):
    """VASP left no usable result."""

    code = "PROGRAM_FAILURE"


class ElectronsNotConverged(ProgramFailure):
    """An electronic loop that used up its steps."""

    code = "SCF_NOT_CONVERGED"


class WallTimeReached(ProgramFailure):
    """The time of the job was used up."""

    code = "WALLTIME"


class ProgramKilled(ProgramFailure):
    """Ended by a signal from outside: by the queue, the system or a person."""

    code = "KILLED"


class ProgramCrashed(ProgramFailure):
    """Ended by itself, with an error."""

    code = "CRASHED"


class DiskFull(ProgramFailure):
    """Nothing could be written any more."""

    code = "DISK_FULL"


class CorruptOutput(ProgramFailure):
    """An output file that cannot be read."""

    code = "CORRUPT_OUTPUT"


class MissingOutput(ProgramFailure):
    """An output file that is not there."""

    code = "MISSING_OUTPUT"


class MissingPotcar(ProgramFailure):
    """A pseudopotential that is not there."""

    code = "MISSING_POTCAR"


class CommandNotFound(ProgramFailure):
    """The program is not there."""

    code = "COMMAND_NOT_FOUND"


class UnsoundHull(ScreeningError):
    """A hull or a window that would be wrong."""

    code = "UNSOUND_HULL"


class MixedConventions(UnsoundHull):
    """Energies of different engines or corrections in one hull."""

    code = "MIXED_CONVENTIONS"


class MissingReference(UnsoundHull):
    """An element without a reference phase."""

    code = "MISSING_REFERENCE"


class MissingCorrection(UnsoundHull):
    """A halide among corrected energies that has lost its own correction."""

    code = "MISSING_CORRECTION"


class UnusableRun(ScreeningError):
    """A trajectory that carries no diffusivity."""

    code = "UNUSABLE_RUN"
