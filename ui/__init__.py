"""The faces of Citewell: a command line (``ui.cli``) and a web page (``ui.web``). Neither answers by itself."""
