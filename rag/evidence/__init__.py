"""Which sentences of an abstract answer a question. Does not search for papers and writes no answer."""
