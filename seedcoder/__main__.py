"""`python -m seedcoder`: the command line where the console script is not on the path."""

from seedcoder.cli import main

main()
