"""The toolkit's side: workspaces, their results, and the workers that produce results."""
