"""The side of the VOT toolkit: workspaces, their results, and workers that fill them."""
