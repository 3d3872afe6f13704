"""Many machines as one pool: Ray places a pool on each node, and programs go where there is room.

A cluster trusts all its members: whoever is in it can run code on each. Programs under test are
not members; they stay in the boxes of the nodes' pools.
"""

from sandbox.fleet.front import Fleet
from sandbox.fleet.nodes import NodeState

__all__ = ["Fleet", "NodeState"]
