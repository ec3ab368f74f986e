"""Run the command line as ``python -m ui``. Does nothing else."""

from ui.cli import main

main()
