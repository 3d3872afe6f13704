"""Pages of the web: their text and code, whether they are about code, what a model thinks of them."""
