"""Turn passages and questions into unit vectors. Knows nothing of storage or search."""
