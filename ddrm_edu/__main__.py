"""``python -m ddrm_edu``: the command line."""

from .cli import main

main(prog_name="python -m ddrm_edu")
