"""Where the weights of a model come from, and which of them stand still."""
