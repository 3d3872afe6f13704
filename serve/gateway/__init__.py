"""One address for many models: the OpenAI protocol in front of the engines."""
