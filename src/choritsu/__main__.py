"""The command line, as ``python -m choritsu``."""

from choritsu.cli import main

main()
