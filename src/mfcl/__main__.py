"""`python -m mfcl` is the command `mfcl`."""

from mfcl.cli import main

raise SystemExit(main())
