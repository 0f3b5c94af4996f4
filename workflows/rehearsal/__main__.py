"""`python -m workflows.rehearsal` runs the stand-in as `vasp_std`."""

from workflows.rehearsal.program import main

if __name__ == "__main__":
    main()
