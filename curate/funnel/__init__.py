"""Where every document went, and why."""
