"""Raw code and web to deduplicated, scored, decontaminated, packed data."""
