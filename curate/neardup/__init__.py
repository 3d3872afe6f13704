"""Near duplicates: signatures, candidates, and the check of each of them."""
