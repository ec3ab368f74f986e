"""Language models, wherever they run. Nothing here but `check` knows of papers; `rag.answering` writes about them."""
