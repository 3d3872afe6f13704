"""Sessions: a box kept alive between cells, alone (`Session`) or by id (`Sessions`)."""
