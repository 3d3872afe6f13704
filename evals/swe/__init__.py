"""SWE-bench and its kin: issues of real projects, answered by patches, judged by their tests."""
