"""`python -m jointwrist` is the console script."""

from jointwrist.cli import main

raise SystemExit(main())
