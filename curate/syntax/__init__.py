"""Whether a file parses, by the grammars of tree-sitter, as strictly as each grammar is exact."""
