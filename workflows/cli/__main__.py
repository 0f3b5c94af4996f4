"""`python -m workflows.cli` is `halideflow`."""

from workflows.cli import main

main()
