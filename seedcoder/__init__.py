"""The hall: recipes, run folders, model clients, report pieces, the command line."""
