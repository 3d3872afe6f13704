"""Our own engine servers: `python -m serve.engines.own scripted|transformers --socket PATH ...`.

Both speak OpenAI's protocol through the same front (`wire`, `bodies`, `telling`, `front`) and
differ in what stands behind it: a script that is paced, or a checkpoint run by transformers.

They listen on a unix socket or on loopback and ask for no keys: what may reach them is the
gateway's affair and the machine's.
"""
