"""Turn files of papers into a durable, searchable collection. Knows nothing of questions, prompts or answers."""
