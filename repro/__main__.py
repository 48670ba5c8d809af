"""``python -m repro``: the same command as the ``repro`` script."""

from repro.cli.app import main

if __name__ == "__main__":
    main()
