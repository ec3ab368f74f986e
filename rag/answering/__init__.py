"""Write an answer from evidence. Does not search and does not decide whether to answer."""
