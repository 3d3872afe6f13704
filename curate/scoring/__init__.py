"""How good a document is: asked of a model, then learnt by small scorers."""
