"""`python -m neurodyn` is the command `neurodyn`."""

import sys

if __name__ == "__main__":
    # Python puts the current folder first, where its files would hide installed packages.
    if not sys.flags.safe_path:
        sys.path.append(sys.path.pop(0))

    from neurodyn.cli import main

    sys.exit(main())
