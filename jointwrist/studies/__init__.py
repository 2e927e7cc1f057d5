"""Studies on a user's own films without labels: how large an erosion must be for weights to see it, and adaptation."""
