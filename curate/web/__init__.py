"""Pages of the web: their text and code, whether they are about code, how good they are."""
