"""The files of a run, written step by step, so that a killed one leaves what VASP would leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from workflows.rehearsal import NOTICE, REHEARSAL_VERSION, outcar, vasprun_xml
from workflows.rehearsal.steps import rows, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TextIO

    from workflows.rehearsal.faults import Faults
    from workflows.rehearsal.inputs import Inputs
    from workflows.rehearsal.poscar import Poscar
    from workflows.rehearsal.settings import Settings
    from workflows.rehearsal.steps import IonicStep

_COLUMNS = (
    "       N       E                     dE             d eps       ncg     rms          rms(c)"
    f"   {NOTICE}\n"
)
_PLACEHOLDERS = ("CHG", "DOSCAR", "EIGENVAL", "PCDAT")


class Outputs:
    """Open files of a run; a context that closes them.

    Args:
        inputs: of the run.
        settings: of the run.
        faults: that strike while it is written.
        say: takes what goes to the standard output.
    """

    def __init__(
        self, inputs: Inputs, settings: Settings, faults: Faults, say: Callable[[str], None]
    ) -> None:
        self._inputs, self._settings, self._faults, self._say = inputs, settings, faults, say
        self._started = time.perf_counter()
        self._last_energy_eV = 0.0
        self._folder = inputs.folder
        poscar = inputs.poscar
        say(
            f" running on    1 total cores\n vasp.{REHEARSAL_VERSION} ({NOTICE})\n"
            f" POSCAR found :  {len(poscar.symbols)} types and {sum(poscar.counts):7d} ions\n"
        )
        (self._folder / "CONTCAR").write_text("")  # VASP opens it first and writes it last
        self._vasprun = (self._folder / "vasprun.xml").open("w", encoding="utf-8")
        self._outcar = (self._folder / "OUTCAR").open("w", encoding="utf-8")
        self._oszicar = (self._folder / "OSZICAR").open("w", encoding="utf-8")
        self._xdatcar = (self._folder / "XDATCAR").open("w", encoding="utf-8")
        self._vasprun.write(vasprun_xml.header_text(inputs, settings))
        self._outcar.write(outcar.header_text(inputs, settings))
        self._write_frame_header(poscar)
        self._write_placeholders()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files():
            file.close()

    def record(self, step: IonicStep, following: Poscar) -> None:
        """Write one ionic step, and the CONTCAR that a run would go on from behind it.

        Raises:
            OSError: a disk is full, or a fault says so.
            Stopped: a fault ends the run here.
        """
        text = vasprun_xml.step_text(step, self._inputs, self._settings)
        self._faults.in_step(step.number, self._vasprun, text)
        self._vasprun.write(text)
        self._outcar.write(outcar.step_text(step, self._settings))
        lines = self._electronic_lines(step) + self._ionic_line(step)
        self._oszicar.write(_COLUMNS + lines)
        self._say(lines)
        if (step.number - 1) % self._settings.stride == 0:
            if self._settings.is_relaxation and self._settings.isif > 2 and step.number > 1:
                self._write_frame_header(following.moved(step.cell_A, step.fractional))
            frame = rows(3 * "  %11.8f" + "\n", step.fractional)
            self._xdatcar.write(f"Direct configuration= {step.number:5d}\n{frame}")
        self._flush()
        self._write_contcar(following)
        self._faults.after_step()

    def end(self, last: Poscar, message: str = "", *, is_stopped: bool = False) -> None:
        """Write what stands behind the last step.

        Args:
            last: as in the CONTCAR.
            message: what was reached, if anything.
            is_stopped: whether a STOPCAR ended the run.
        """
        if message:
            self._say(f" {message}\n")
        took_s = time.perf_counter() - self._started
        self._vasprun.write(vasprun_xml.end_text(last))
        self._outcar.write(outcar.end_text(message, took_s, is_stopped=is_stopped))
        if self._inputs.incar.flag("LCHARG", default=True):
            grid = "\n    1    1    1\n  0.00000000000E+00\n"
            charge = last.moved(last.cell_A, wrapped(last.fractional)).text() + grid
            (self._folder / "CHGCAR").write_text(charge)
        self._flush()

    def _files(self) -> tuple[TextIO, ...]:
        return self._vasprun, self._outcar, self._oszicar, self._xdatcar

    def _flush(self) -> None:
        for file in self._files():
            file.flush()

    def _electronic_lines(self, step: IonicStep) -> str:
        return "".join(
            f"DAV: {k:3d}   {energy_eV: .12E}   {change_eV: .5E}   {change_eV: .5E}"
            f"{8 * len(self._inputs.headers):6d}   {abs(change_eV):.3E}\n"
            for k, (energy_eV, change_eV) in enumerate(step.electronic_energies_eV(), 1)
        )

    def _ionic_line(self, step: IonicStep) -> str:
        energy_eV = step.point.energy_eV
        change_eV, self._last_energy_eV = energy_eV - self._last_energy_eV, energy_eV
        if (motion := step.motion) is None:
            return (
                f"{step.number:4d} F= {energy_eV:.8E} E0= {energy_eV:.8E}  d E ={change_eV:.6E}\n"
            )
        return (
            f"{step.number:7d} T= {motion.temperature_K:5.0f}. "
            f"E= {motion.conserved_eV(energy_eV):.8E} F= {energy_eV:.8E} E0= {energy_eV:.8E}  "
            f"EK= {motion.kinetic_eV:.5E} SP= {motion.thermostat_potential_eV:.2E} "
            f"SK= {motion.thermostat_kinetic_eV:.2E}\n"
        )

    def _write_frame_header(self, poscar: Poscar) -> None:
        vectors = rows(3 * " %12.6f" + "\n", poscar.cell_A)
        self._xdatcar.write(
            f"{poscar.formula} ({NOTICE})\n           1\n{vectors}"
            f"   {'   '.join(poscar.symbols)}\n   {'   '.join(map(str, poscar.counts))}\n"
        )

    def _write_contcar(self, poscar: Poscar) -> None:
        """Replace it at once: a kill leaves this one or the one before."""
        temporary = self._folder / ".CONTCAR"
        temporary.write_text(poscar.text(self._settings.timestep_fs))
        temporary.replace(self._folder / "CONTCAR")

    def _write_placeholders(self) -> None:
        """Files that later runs copy by name; there is nothing to put into them."""
        for name in ("WAVECAR", "CHGCAR"):
            (self._folder / name).write_bytes(b"")
        for name in _PLACEHOLDERS:
            (self._folder / name).write_text(f"{NOTICE}\n")
        points = self._inputs.kpoints
        lines = "".join(
            f"{x:20.14f}{y:20.14f}{z:20.14f}{weight:14.8f}\n"
            for (x, y, z), weight in zip(points.points.tolist(), points.weights, strict=True)
        )
        (self._folder / "IBZKPT").write_text(
            f"Points of the mesh ({NOTICE})\n{len(points.points):8d}\nReciprocal lattice\n{lines}"
        )
