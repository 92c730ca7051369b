"""``python -m heed`` is ``heed``."""

from heed.cli.app import main

main()
