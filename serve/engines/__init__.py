"""What runs the models: each engine speaks the OpenAI protocol at an address of its own."""
