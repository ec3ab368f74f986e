"""Language models, wherever they run. Nothing here knows of papers; `rag.answering` writes about them."""
