"""`python -m serve.engines.own scripted|transformers`: see the package."""

from serve.engines.own.command import main

main()
