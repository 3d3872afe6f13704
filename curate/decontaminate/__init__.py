"""Documents that hold what a benchmark asks, found by words and by solutions."""
