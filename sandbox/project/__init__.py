"""Judge patches to whole projects by the projects' own tests (SWE-bench's way)."""
