"""A page to talk to the models and to run what they write."""
