"""Train the evidence reader. Nothing here runs when questions are answered; it needs torch.

``python -m rag.evidence.training --help`` tells how. The modules, in the order of their work: ``papers`` and
``examples`` (with ``edits``) say what is learnt, ``prepare`` and ``batches`` turn it into tensors, ``network`` is what
learns, ``losses`` what it is told, ``train`` the run; ``weights`` and ``export`` read and write what came out.
"""
