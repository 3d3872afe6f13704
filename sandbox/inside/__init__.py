"""What runs inside a box: it imports nothing of ours but itself, and no third-party package."""
